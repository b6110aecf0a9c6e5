//! Several servers that know nothing of each other: each has a part of the sessions.

use slotmap::SlotMap;

use crate::protocol::Put;
use crate::server::{Ended, Lookup, Unavailable};
use crate::session::Key;
use crate::time::Instant;
use crate::topology::id::ServerId;
use crate::topology::rendezvous::Rendezvous;
use crate::topology::route::{Asking, Attempt, Next, Route, Routed, Servers, Task, Told};

/// Each key has a first and a second choice among the servers, which all machines agree on. Which
/// servers are up they see differently: none is ever taken out. What was put at the second choice
/// while one machine saw the first one down is looked for there by all.
pub(super) struct Spread {
    servers: Vec<ServerId>,
    rendezvous: Rendezvous,
}

impl Spread {
    pub(super) fn new<'a>(words: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let mut names = SlotMap::with_key();
        let words: Vec<_> = words.into_iter().collect();
        let servers = words.iter().map(|_| names.insert(())).collect();
        Self { servers, rendezvous: Rendezvous::new(words.into_iter()) }
    }

    pub(super) fn servers(&self) -> &[ServerId] {
        &self.servers
    }

    fn choices(&self, key: &Key) -> (ServerId, Option<ServerId>) {
        let (first, second) = self.rendezvous.first_two(key);
        (self.servers[first], second.map(|second| self.servers[second]))
    }

    pub(super) fn get<T: Copy>(
        &self,
        servers: &impl Servers<T>,
        key: &Key,
        deadline: Instant,
        token: T,
        now: Instant,
    ) -> Result<(), Unavailable> {
        let (first, second) = self.choices(key);
        let attempt = |next| Attempt { task: Task::Get(token), key: key.clone(), deadline, next };
        let Some(second) = second else {
            let routed = attempt(Next::Last(None)).routed();
            return servers.get(first, key, deadline, Asking::No, routed);
        };
        let half = now + deadline.since(now) / 2;
        servers.get(first, key, half, Asking::No, attempt(Next::Second(second)).routed()).or_else(
            |unavailable| {
                let routed = attempt(Next::Last(Some(unavailable))).routed();
                servers.get(second, key, deadline, Asking::No, routed)
            },
        )
    }

    pub(super) fn put<T>(
        &self,
        servers: &impl Servers<T>,
        put: Put<'_>,
    ) -> Result<(), Unavailable> {
        let (first, second) = self.choices(put.key);
        servers.put(first, put, Asking::No, None).or_else(|unavailable| match second {
            Some(second) => servers.put(second, put, Asking::No, None),
            None => Err(unavailable),
        })
    }

    /// At the first choice alone: machines see different failures, and at two servers two would be the
    /// first.
    pub(super) fn add<T>(
        &self,
        servers: &impl Servers<T>,
        put: Put<'_>,
        deadline: Instant,
        token: T,
    ) -> Result<(), Unavailable> {
        let (first, _) = self.choices(put.key);
        servers.add(first, put, deadline, Asking::No, Routed(Route::Add(token)))
    }

    pub(super) fn delete<T>(
        &self,
        servers: &impl Servers<T>,
        key: &Key,
    ) -> Result<(), Unavailable> {
        let (first, second) = self.choices(key);
        let deleted = servers.delete(first, key, Asking::No, None);
        match second {
            Some(second) => deleted.and(servers.delete(second, key, Asking::No, None)),
            None => deleted,
        }
    }

    /// A lookup has ended at a server: the second choice is asked next, or this is the end.
    pub(super) fn ended<'a, T: Copy>(
        &self,
        servers: &impl Servers<T>,
        attempt: Attempt<T>,
        ended: Ended<'a>,
        now: Instant,
    ) -> Option<Told<'a, T>> {
        let Task::Get(token) = attempt.task else { return None };
        let lookup = Lookup::from(ended);
        let reason = match lookup {
            Lookup::Unavailable(reason) => Some(reason),
            Lookup::Missing => None,
            Lookup::Found(_) | Lookup::Oversized => return Some(Told::Lookup(token, lookup)),
        };
        match attempt.next {
            Next::Second(second) if now < attempt.deadline => {
                let (key, deadline) = (attempt.key.clone(), attempt.deadline);
                let routed = Attempt { next: Next::Last(reason), ..attempt }.routed();
                let asked = servers.get(second, &key, deadline, Asking::No, routed);
                asked.is_err().then_some(Told::Lookup(token, lookup))
            }
            // That there is none at the second choice says nothing of the first.
            Next::Last(Some(first)) => Some(Told::Lookup(token, Lookup::Unavailable(first))),
            Next::Second(_) | Next::Last(None) | Next::Redirects { .. } => {
                Some(Told::Lookup(token, lookup))
            }
        }
    }
}
