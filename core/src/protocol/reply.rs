//! What a server answers.

use crate::protocol::text::{self, printable};

/// A server's reply to one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reply<'a> {
    /// The record that was asked for.
    Found(&'a [u8]),
    /// What lies there is longer than any record. This is still to come of it.
    Oversized(Rest),
    /// There is no such record.
    Missing,
    /// There is a record where one was to be added.
    Present,
    /// The request was carried out.
    Done,
    /// It was not.
    Refused(Refusal<'a>),
}

/// What follows the beginning of a reply that is too long to be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rest {
    /// So many bytes, whatever they are.
    pub len: usize,
    /// And behind them these.
    pub tail: &'static [u8],
}

/// An error that a server answers with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal<'a> {
    /// What the error means.
    pub reason: Reason<'a>,
    /// The server's message, without anything it may repeat of the request.
    pub message: &'a [u8],
}

/// Why a request was refused (<https://redis.io/docs/latest/develop/reference/protocol-spec/>, and
/// <https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/> for the first four).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason<'a> {
    /// Another server of the cluster has the key, from now on. `None` where it does not say which.
    Moved(Option<Redirect<'a>>),
    /// Another server of the cluster has the key, this time. `None` as above.
    Ask(Option<Redirect<'a>>),
    /// The key is on its way from one server of the cluster to another.
    TryAgain,
    /// The cluster does not serve the key.
    ClusterDown,
    /// The server is a replica, which takes no records.
    ReadOnly,
    /// The server takes no records now: its memory is full, it cannot write to its disk, or has too
    /// few replicas. It says so to a probe as well, and answers lookups all the while.
    TakesNoRecords,
    /// The server is a replica that has lost its master.
    MasterDown,
    /// The server is reading its data.
    Loading,
    /// The server wants credentials, or others.
    NoAuth,
    /// The user lacks a right.
    NoPermission,
    /// The server is busy with a script.
    Busy,
    /// The server is too old for what it was asked to add in one request.
    Outdated,
    /// Whatever else the message says.
    Other,
}

/// Where another server of a cluster is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Redirect<'a> {
    /// The slot of the key, below 16384.
    pub slot: u16,
    /// `host:port`; without a host it is that of the server that says so.
    pub address: &'a [u8],
}

impl<'a> Redirect<'a> {
    /// Reads `3999 127.0.0.1:6381`.
    pub(crate) fn parse(text: &'a [u8]) -> Option<Self> {
        const SLOTS: u64 = 16384;

        let (slot, digits) = text::number(text, b' ', SLOTS - 1).ok()??;
        let address = &text[digits + 1..];
        (!address.is_empty()).then_some(Self { slot: slot as u16, address })
    }
}

impl Refusal<'_> {
    /// Whether the server answers lookups, though it takes no records.
    pub fn is_of_records(&self) -> bool {
        matches!(self.reason, Reason::ReadOnly | Reason::TakesNoRecords)
    }

    /// The server's message as text for a log: on one line and of bounded length.
    pub fn text(&self) -> String {
        printable(self.message)
    }
}
