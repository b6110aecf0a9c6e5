//! A request of a store's on its way to a server.

use std::rc::Rc;
use std::time::Duration;

use crate::protocol::Put;
use crate::server::{Addition, Lookup, Unavailable};
use crate::session::Key;
use crate::time::Instant;
use crate::topology::endpoint::Endpoint;
use crate::topology::id::ServerId;

/// The servers of a store, as whoever has their connections lends them.
///
/// What is asked with a [`Routed`] ends once: that is told to the router. On an error nothing
/// was queued, and nothing ends.
pub trait Servers<T> {
    /// Has a server look a key up by `deadline`.
    fn get(
        &self,
        server: ServerId,
        key: &Key,
        deadline: Instant,
        asking: Asking,
        routed: Routed<T>,
    ) -> Result<(), Unavailable>;

    /// Has a server put a record.
    fn put(
        &self,
        server: ServerId,
        put: Put<'_>,
        asking: Asking,
        routed: Option<Routed<T>>,
    ) -> Result<(), Unavailable>;

    /// Has a server add a record by `deadline`, where there is none.
    fn add(
        &self,
        server: ServerId,
        put: Put<'_>,
        deadline: Instant,
        asking: Asking,
        routed: Routed<T>,
    ) -> Result<(), Unavailable>;

    /// Has a server delete a record.
    fn delete(
        &self,
        server: ServerId,
        key: &Key,
        asking: Asking,
        routed: Option<Routed<T>>,
    ) -> Result<(), Unavailable>;

    /// Has a node of a cluster be among the servers, from now on.
    fn open(&self, server: ServerId, endpoint: &Endpoint);

    /// Nothing is asked any more of a node of a cluster: it does not connect. What was asked of it ends
    /// later, when [`Router::closed`](crate::topology::Router::closed) has told of it.
    fn close(&self, server: ServerId);

    /// Counts a record as not stored that a server was asked to put.
    fn record_failed(&self);

    /// Counts a lookup for which there is no server to ask.
    fn turned_away(&self);
}

/// Whether a node of a cluster is asked for a key that it is about to get from another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asking {
    /// The key is the server's.
    No,
    /// Another node sent us here for this once: `ASKING` goes before the request.
    Yes,
}

/// What a server is asked by, from the store's request to its end.
#[derive(Clone, Debug)]
pub struct Routed<T>(pub(super) Route<T>);

#[derive(Clone, Debug)]
pub(super) enum Route<T> {
    /// A lookup of a store that has but this server.
    Only(T),
    /// A record to add to this server, and to no other.
    Add(T),
    /// A request that another server may be asked next.
    Many(Box<Attempt<T>>),
}

/// A request, and what is to be known to ask another server.
#[derive(Clone, Debug)]
pub(super) struct Attempt<T> {
    pub(super) task: Task<T>,
    pub(super) key: Key,
    /// When it is too late for an answer.
    pub(super) deadline: Instant,
    pub(super) next: Next,
}

#[derive(Clone, Debug)]
pub(super) enum Task<T> {
    Get(T),
    Put(Record),
    Add(T, Record),
    Delete,
}

/// What is to be put under the key of an attempt.
#[derive(Clone, Debug)]
pub(super) struct Record {
    bytes: Rc<[u8]>,
    ttl: u32,
    unix_now: u64,
}

impl Record {
    pub(super) fn of(put: Put<'_>) -> Self {
        Self { bytes: put.record.into(), ttl: put.ttl, unix_now: put.unix_now }
    }

    pub(super) fn put<'a>(&'a self, key: &'a Key) -> Put<'a> {
        Put { key, record: &self.bytes, ttl: self.ttl, unix_now: self.unix_now }
    }
}

/// What may follow an attempt.
#[derive(Clone, Copy, Debug)]
pub(super) enum Next {
    /// The first choice was asked; this is the second.
    Second(ServerId),
    /// The second choice was asked. Why the first one could not say, if it could not.
    Last(Option<Unavailable>),
    /// So many redirects are followed, and what a cluster cannot do now is tried again after this
    /// time.
    Redirects { left: u8, pause: Duration },
}

impl<T> Attempt<T> {
    /// The length of the record to put.
    pub(super) fn record_len(&self) -> usize {
        match &self.task {
            Task::Put(record) | Task::Add(_, record) => record.bytes.len(),
            Task::Get(_) | Task::Delete => 0,
        }
    }

    pub(super) fn routed(self) -> Routed<T> {
        Routed(Route::Many(Box::new(self)))
    }
}

/// What has ended that somebody waits for: what it is known by, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Told<'a, T> {
    /// A lookup.
    Lookup(T, Lookup<'a>),
    /// A record to add.
    Add(T, Addition),
}
