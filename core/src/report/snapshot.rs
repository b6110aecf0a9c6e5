//! All counters at one time, those of all workers together.

use core::time::Duration;

use crate::report::{EarlyData, Event, Frontend, LookupResult, Outcome};
use crate::server::State;
use crate::session::sealed::KeyId;
use crate::ticket::Origin;

/// The upper bounds of the histogram of lookup times, in microseconds; beyond is one bucket more.
pub const BOUNDS: [u64; 13] = [
    100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000,
    1_000_000,
];

/// What the status page shows.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// The module's version.
    pub version: &'static str,
    /// The name of the machine.
    pub host: String,
    /// The time, in Unix seconds.
    pub now: i64,
    /// When counting began, in Unix seconds.
    pub since: i64,
    /// The ways in which handshakes wait for a store, each once.
    pub suspend: Vec<&'static str>,
    /// Which frontends have servers with the cache, by the numbers of [`Frontend`].
    pub frontends: [bool; Frontend::ALL.len()],
    /// By the numbers of [`Frontend`], and then of [`Outcome`].
    pub handshakes: [[u64; Outcome::ALL.len()]; Frontend::ALL.len()],
    /// The early data that came with sessions, by the numbers of [`EarlyData`].
    pub early_data: [u64; EarlyData::ALL.len()],
    /// The stores of the configuration.
    pub stores: Vec<Store>,
    /// The ticket keys of the configuration: those of a store may be several, where servers differ in
    /// what they seal with.
    pub tickets: Vec<Tickets>,
}

impl Snapshot {
    /// The handshakes of all frontends together.
    pub(super) fn all_handshakes(&self) -> [u64; Outcome::ALL.len()] {
        let mut sums = [0; Outcome::ALL.len()];
        self.handshakes.iter().for_each(|counts| add(&mut sums, counts));
        sums
    }

    /// The frontends that have servers with the cache, or had when something was counted there.
    pub(super) fn frontends(&self) -> impl Iterator<Item = Frontend> + '_ {
        let has_counts =
            |of: &Frontend| self.handshakes[*of as usize].iter().any(|count| *count > 0);
        Frontend::ALL.into_iter().filter(move |of| self.frontends[*of as usize] || has_counts(of))
    }

    /// The ticket keys of each store, once: of several, what is worst.
    pub(super) fn tickets(&self) -> Vec<Tickets> {
        let mut stores: Vec<Tickets> = Vec::new();
        for tickets in &self.tickets {
            match stores.iter_mut().find(|known| known.store == tickets.store) {
                Some(known) => known.worsen(tickets),
                None => stores.push(tickets.clone()),
            }
        }
        stores
    }
}

/// The ticket keys that a machine has of a store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tickets {
    /// The store's name.
    pub store: String,
    /// Where the key in use is from; `None` where there is none yet. The machine is out of step with
    /// others where it is not the store's.
    pub state: Option<Origin>,
    /// For how many seconds that key is in use.
    pub key_age: u64,
    /// So many epochs have keys, the next one among them.
    pub epochs: usize,
    /// So many seconds is this machine's clock behind that of another, where that is more than does
    /// no harm.
    pub clock_behind: Option<u64>,
}

impl Tickets {
    fn worsen(&mut self, other: &Self) {
        self.state = self.state.min(other.state);
        self.key_age = self.key_age.max(other.key_age);
        self.epochs = self.epochs.min(other.epochs);
        self.clock_behind = self.clock_behind.max(other.clock_behind);
    }
}

/// A store, as the configuration names it.
#[derive(Clone, Debug, Default)]
pub struct Store {
    /// Its name.
    pub name: String,
    /// What its servers are: `redis` or `memcached`.
    pub type_name: &'static str,
    /// The address of its server, as configured; `None` of several, and of one that Sentinels know.
    pub address: Option<String>,
    /// The keys that sessions are sealed with, each once.
    pub keys: Vec<SealingKey>,
    /// The longest that a lookup may take.
    pub timeout: Duration,
    /// Whether it has servers that are counted by themselves.
    pub has_servers: bool,
    /// Its servers, each with a name of its own, and what was counted of none of them.
    pub servers: Vec<Server>,
}

impl Store {
    /// What was counted of all its servers together.
    pub fn counts(&self) -> Counts {
        let mut sum = Counts::default();
        self.servers.iter().for_each(|server| sum.add(&server.counts));
        sum
    }

    /// The key with the oldest file.
    pub(super) fn oldest_key(&self) -> Option<SealingKey> {
        self.keys.iter().copied().min_by_key(|key| (key.time, key.id))
    }

    /// Its servers, where it has some by themselves.
    pub(super) fn named(&self) -> impl Iterator<Item = (&str, &Server)> {
        self.servers.iter().filter_map(|server| Some((server.name.as_deref()?, server)))
    }

    /// The workers that use the store, where it has no servers by themselves, or none is known yet.
    pub(super) fn workers(&self) -> &[Worker] {
        let is_whole = self.named().next().is_none();
        let whole = self.servers.iter().find(|server| server.name.is_none() && is_whole);
        whole.map_or(&[], |whole| &whole.workers)
    }
}

/// A key that sessions are sealed with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SealingKey {
    /// What tells it from others.
    pub id: KeyId,
    /// The time of its file, in Unix seconds.
    pub time: i64,
}

impl Server {
    /// Adds what was counted of the same server elsewhere.
    pub fn add(&mut self, other: Self) {
        self.counts.add(&other.counts);
        self.workers.extend(other.workers);
    }
}

/// A server of a store.
#[derive(Clone, Debug, Default)]
pub struct Server {
    /// Its name among the servers of the store; `None` for all of the store.
    pub name: Option<String>,
    /// What was counted of it.
    pub counts: Counts,
    /// The workers that run.
    pub workers: Vec<Worker>,
}

/// What all workers have counted of a server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// By the numbers of [`LookupResult`].
    pub lookups: [u64; LookupResult::ALL.len()],
    /// Lookups that were sent, by the time they took: so many in each bucket of [`BOUNDS`].
    pub times: [u64; BOUNDS.len() + 1],
    /// All those times together, in microseconds.
    pub time_sum: u64,
    /// By the numbers of [`Event`].
    pub events: [u64; Event::ALL.len()],
}

impl Counts {
    /// Adds what was counted elsewhere.
    pub fn add(&mut self, other: &Self) {
        let Self { lookups, times, time_sum, events } = other;
        add(&mut self.lookups, lookups);
        add(&mut self.times, times);
        add(&mut self.events, events);
        self.time_sum += time_sum;
    }
}

fn add(sums: &mut [u64], counts: &[u64]) {
    sums.iter_mut().zip(counts).for_each(|(sum, count)| *sum += count);
}

/// How things are between a worker that runs now and a server.
#[derive(Clone, Debug)]
pub struct Worker {
    /// As nginx numbers its workers, from 0.
    pub number: usize,
    /// Its process.
    pub pid: i64,
    /// Its connection.
    pub state: State,
    /// Whether lookups are paused, as the store answers too late.
    pub is_paused: bool,
    /// Since when it has been up, or has not been, or since when lookups are paused or not any more,
    /// whichever is later, in Unix seconds; 0 where that is not known.
    pub since: i64,
    /// Why it is not up, or why lookups are paused; empty where neither is so. It may be cut off.
    pub reason: String,
    /// The address in use, or the one that is tried.
    pub address: String,
    /// Lookups that handshakes wait for.
    pub waiting_lookups: u64,
    /// Requests without a reply.
    pub queued_requests: u64,
    /// The bytes of those requests.
    pub queued_bytes: u64,
}
