//! All counters at one time, those of all workers together.

use crate::report::{Event, LookupResult, Outcome, StoreState};

/// The upper bounds of the histogram of lookup times, in microseconds; beyond is one bucket more.
pub const BOUNDS: [u64; 13] = [
    100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000,
    1_000_000,
];

/// What the status page shows.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// The time, in Unix seconds.
    pub now: i64,
    /// When counting began, in Unix seconds.
    pub since: i64,
    /// By the numbers of [`Outcome`].
    pub handshakes: [u64; Outcome::ALL.len()],
    /// The stores of the configuration.
    pub stores: Vec<Store>,
}

/// What was counted of a store.
#[derive(Clone, Debug, Default)]
pub struct Store {
    /// As the configuration names it.
    pub name: String,
    /// How old the file of the key is that sessions are sealed with, in seconds.
    pub key_age: Option<i64>,
    /// By the numbers of [`LookupResult`].
    pub lookups: [u64; LookupResult::ALL.len()],
    /// Lookups that were sent, by the time they took: so many in each bucket of [`BOUNDS`].
    pub times: [u64; BOUNDS.len() + 1],
    /// All those times together, in microseconds.
    pub time_sum: u64,
    /// By the numbers of [`Event`].
    pub events: [u64; Event::ALL.len()],
    /// Those that run.
    pub workers: Vec<Worker>,
}

/// How things are between a worker that runs now and a store.
#[derive(Clone, Debug)]
pub struct Worker {
    /// As nginx numbers its workers, from 0.
    pub number: usize,
    /// Its process.
    pub pid: i64,
    /// Its connection.
    pub state: StoreState,
    /// Whether lookups are suspended, as the store answers too late.
    pub is_suspended: bool,
    /// The address in use, or the one that is tried.
    pub address: String,
    /// Lookups that handshakes wait for.
    pub waiting_lookups: u64,
    /// Commands without a reply.
    pub queued_commands: u64,
    /// The bytes of those commands.
    pub queued_bytes: u64,
}
