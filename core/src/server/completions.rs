//! Lookups that have ended.

use std::ops::Range;

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

/// Lookups that have ended, in that order, each with what its asker has given it to be known by.
///
/// They are values: whoever is told of them may ask for the next, as nothing is borrowed then of the
/// pipeline that they come from.
#[derive(Debug)]
pub struct Completions<T> {
    ended: Vec<(T, End)>,
    records: Vec<u8>,
}

/// How a lookup ended; a record as its place among all.
#[derive(Debug)]
enum End {
    Found(Range<usize>),
    Oversized,
    Missing,
    Unavailable(Unavailable),
}

impl<T> Completions<T> {
    /// What is kept of the memory that a burst took, in lookups and in bytes.
    const KEPT_LOOKUPS: usize = 512;
    const KEPT_BYTES: usize = 64 * 1024;

    pub(crate) fn push(&mut self, token: T, lookup: Lookup<'_>) {
        let end = match lookup {
            Lookup::Found(record) => {
                let start = self.records.len();
                self.records.extend_from_slice(record);
                End::Found(start..self.records.len())
            }
            Lookup::Oversized => End::Oversized,
            Lookup::Missing => End::Missing,
            Lookup::Unavailable(unavailable) => End::Unavailable(unavailable),
        };
        self.ended.push((token, end));
    }

    /// Tells of each, and leaves none.
    pub fn drain(&mut self, mut tell: impl FnMut(T, Lookup<'_>)) {
        for (token, end) in self.ended.drain(..) {
            let lookup = match end {
                End::Found(range) => Lookup::Found(&self.records[range]),
                End::Oversized => Lookup::Oversized,
                End::Missing => Lookup::Missing,
                End::Unavailable(unavailable) => Lookup::Unavailable(unavailable),
            };
            tell(token, lookup);
        }
        self.records.clear();
        self.ended.shrink_to(Self::KEPT_LOOKUPS);
        self.records.shrink_to(Self::KEPT_BYTES);
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.ended.is_empty()
    }
}

impl<T> Default for Completions<T> {
    fn default() -> Self {
        Self { ended: Vec::new(), records: Vec::new() }
    }
}
