//! What was asked of a server and has ended.

use std::ops::Range;

use crate::protocol::{Reason, Redirect, Reply};

/// Why a server cannot be asked, or has not answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unavailable {
    /// There is no usable connection, or lookups are paused.
    Down,
    /// Too much waits already, or the record is longer than
    /// [`MAX_RECORD`](crate::protocol::MAX_RECORD).
    Full,
    /// The deadline passed.
    Timeout,
    /// The server answered with an error.
    Refused,
}

/// How a lookup ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lookup<'a> {
    /// The record that lies in the store.
    Found(&'a [u8]),
    /// What lies in the store is longer than any record.
    Oversized,
    /// The store has no such record.
    Missing,
    /// The store could not be asked, or did not answer.
    Unavailable(Unavailable),
}

/// How a request to add a record ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Addition {
    /// The record was put there: of all that add one under a key, one is told so.
    First,
    /// There was one.
    Present,
    /// The store could not be asked, or has not said: the record may have been put there.
    Unavailable(Unavailable),
}

/// How a request ended, as one server has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended<'a> {
    /// The record that lies there.
    Found(&'a [u8]),
    /// What lies there is longer than any record.
    Oversized,
    /// There is no such record.
    Missing,
    /// There is one where one was to be added.
    Present,
    /// A record was put, added or deleted.
    Done,
    /// The server refused.
    Refused(Reason<'a>),
    /// The server could not be asked, or did not answer.
    Unavailable(Unavailable),
}

impl<'a> From<Reply<'a>> for Ended<'a> {
    fn from(reply: Reply<'a>) -> Self {
        match reply {
            Reply::Found(record) => Self::Found(record),
            Reply::Oversized(_) => Self::Oversized,
            Reply::Missing => Self::Missing,
            Reply::Present => Self::Present,
            Reply::Done => Self::Done,
            Reply::Refused(refusal) => Self::Refused(refusal.reason),
        }
    }
}

impl<'a> From<Ended<'a>> for Lookup<'a> {
    fn from(ended: Ended<'a>) -> Self {
        match ended {
            Ended::Found(record) => Self::Found(record),
            Ended::Oversized => Self::Oversized,
            Ended::Missing => Self::Missing,
            Ended::Present | Ended::Done | Ended::Refused(_) => {
                Self::Unavailable(Unavailable::Refused)
            }
            Ended::Unavailable(unavailable) => Self::Unavailable(unavailable),
        }
    }
}

impl From<Ended<'_>> for Addition {
    fn from(ended: Ended<'_>) -> Self {
        match ended {
            Ended::Done => Self::First,
            Ended::Present => Self::Present,
            Ended::Found(_) | Ended::Oversized | Ended::Missing | Ended::Refused(_) => {
                Self::Unavailable(Unavailable::Refused)
            }
            Ended::Unavailable(unavailable) => Self::Unavailable(unavailable),
        }
    }
}

/// Requests that have ended, in that order, each with what its asker has given it to be known by.
///
/// They are values: whoever is told of them may ask for the next, as nothing is borrowed then of the
/// pipeline that they come from.
#[derive(Debug)]
pub struct Completions<T> {
    ended: Vec<(T, End)>,
    bytes: Vec<u8>,
}

/// [`Ended`], with the bytes of records and addresses as their place among all.
#[derive(Debug)]
enum End {
    Found(Range<usize>),
    Oversized,
    Missing,
    Present,
    Done,
    Moved { slot: u16, address: Range<usize> },
    Ask { slot: u16, address: Range<usize> },
    Refused(Reason<'static>),
    Unavailable(Unavailable),
}

impl<T> Completions<T> {
    /// What is kept of the memory that a burst took, in requests and in bytes.
    const KEPT_REQUESTS: usize = 512;
    const KEPT_BYTES: usize = 64 * 1024;

    pub(crate) fn push(&mut self, token: T, ended: Ended<'_>) {
        let end = match ended {
            Ended::Found(record) => End::Found(self.keep(record)),
            Ended::Oversized => End::Oversized,
            Ended::Missing => End::Missing,
            Ended::Present => End::Present,
            Ended::Done => End::Done,
            Ended::Refused(reason) => self.refused(reason),
            Ended::Unavailable(unavailable) => End::Unavailable(unavailable),
        };
        self.ended.push((token, end));
    }

    fn refused(&mut self, reason: Reason<'_>) -> End {
        match reason {
            Reason::Moved(Some(Redirect { slot, address })) => {
                End::Moved { slot, address: self.keep(address) }
            }
            Reason::Ask(Some(Redirect { slot, address })) => {
                End::Ask { slot, address: self.keep(address) }
            }
            Reason::Moved(None) => End::Refused(Reason::Moved(None)),
            Reason::Ask(None) => End::Refused(Reason::Ask(None)),
            Reason::TryAgain => End::Refused(Reason::TryAgain),
            Reason::ClusterDown => End::Refused(Reason::ClusterDown),
            Reason::ReadOnly => End::Refused(Reason::ReadOnly),
            Reason::TakesNoRecords => End::Refused(Reason::TakesNoRecords),
            Reason::MasterDown => End::Refused(Reason::MasterDown),
            Reason::Loading => End::Refused(Reason::Loading),
            Reason::NoAuth => End::Refused(Reason::NoAuth),
            Reason::NoPermission => End::Refused(Reason::NoPermission),
            Reason::Busy => End::Refused(Reason::Busy),
            Reason::Outdated => End::Refused(Reason::Outdated),
            Reason::Other => End::Refused(Reason::Other),
        }
    }

    fn keep(&mut self, bytes: &[u8]) -> Range<usize> {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(bytes);
        start..self.bytes.len()
    }

    /// Tells of each, and leaves none.
    pub fn drain(&mut self, mut tell: impl FnMut(T, Ended<'_>)) {
        for (token, end) in self.ended.drain(..) {
            let redirect = |slot, address| Some(Redirect { slot, address });
            let ended = match end {
                End::Found(range) => Ended::Found(&self.bytes[range]),
                End::Oversized => Ended::Oversized,
                End::Missing => Ended::Missing,
                End::Present => Ended::Present,
                End::Done => Ended::Done,
                End::Moved { slot, address } => {
                    Ended::Refused(Reason::Moved(redirect(slot, &self.bytes[address])))
                }
                End::Ask { slot, address } => {
                    Ended::Refused(Reason::Ask(redirect(slot, &self.bytes[address])))
                }
                End::Refused(reason) => Ended::Refused(reason),
                End::Unavailable(unavailable) => Ended::Unavailable(unavailable),
            };
            tell(token, ended);
        }
        self.bytes.clear();
        self.ended.shrink_to(Self::KEPT_REQUESTS);
        self.bytes.shrink_to(Self::KEPT_BYTES);
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.ended.is_empty()
    }
}

impl<T> Default for Completions<T> {
    fn default() -> Self {
        Self { ended: Vec::new(), bytes: Vec::new() }
    }
}
