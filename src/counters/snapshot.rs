//! All counters at one time, those of all workers together.

use std::sync::atomic::Ordering::Relaxed;

use nginx_sys::ngx_cached_time;

use crate::counters::outcome::Outcome;
use crate::counters::slots::{Counter, Event, LookupResult, StoreSlot, StoreState, BOUNDS};
use crate::counters::zone::{self, Counted, Shared};

/// What the status page shows.
#[derive(Default)]
pub(crate) struct Snapshot {
    /// Unix times, in seconds.
    pub(crate) now: i64,
    pub(crate) since: i64,
    /// By the numbers of [`Outcome`].
    pub(crate) handshakes: [u64; Outcome::ALL.len()],
    pub(crate) stores: Vec<Store>,
}

pub(crate) struct Store {
    pub(crate) name: String,
    /// How old the file of the key is that sessions are sealed with, in seconds.
    pub(crate) key_age: Option<i64>,
    /// By the numbers of [`LookupResult`].
    pub(crate) lookups: [u64; LookupResult::ALL.len()],
    pub(crate) times: [u64; BOUNDS.len() + 1],
    /// In microseconds.
    pub(crate) time_sum: u64,
    /// By the numbers of [`Event`].
    pub(crate) events: [u64; Event::ALL.len()],
    pub(crate) workers: Vec<Worker>,
}

/// How things are between a worker that runs now and a store.
pub(crate) struct Worker {
    pub(crate) number: usize,
    pub(crate) pid: i64,
    pub(crate) state: &'static str,
    pub(crate) is_suspended: bool,
    /// The address in use, or the one that is tried.
    pub(crate) address: String,
    pub(crate) waiting_lookups: u64,
    pub(crate) queued_commands: u64,
    pub(crate) queued_bytes: u64,
}

impl Snapshot {
    /// Empty where no server uses the cache.
    pub(crate) fn take() -> Self {
        // SAFETY: nginx sets the time before it serves requests.
        let now = unsafe { (*ngx_cached_time).sec };
        let Some(shared) = zone::shared() else {
            return Self { now, since: now, ..Self::default() };
        };
        let mut handshakes = [0; Outcome::ALL.len()];
        for worker in shared.workers() {
            add(&mut handshakes, &worker.handshakes);
        }
        let stores = shared
            .stores()
            .map(|(index, counted)| Store::take(shared, index, counted, now))
            .collect();
        Self { now, since: shared.since.load(Relaxed), handshakes, stores }
    }
}

impl Store {
    fn take(shared: &Shared, index: usize, counted: Counted, now: i64) -> Self {
        let mut store = Self {
            name: counted.name,
            key_age: counted.key_time.map(|time| (now - time).max(0)),
            lookups: Default::default(),
            times: Default::default(),
            time_sum: 0,
            events: Default::default(),
            workers: Vec::new(),
        };
        for (number, worker) in shared.workers().iter().enumerate() {
            let slot = &worker.stores[index];
            add(&mut store.lookups, &slot.lookups);
            add(&mut store.times, &slot.times);
            add(&mut store.events, &slot.events);
            store.time_sum += slot.time_sum.value();
            if let Some(pid) = worker.running() {
                store.workers.push(Worker::take(number, pid, slot));
            }
        }
        store
    }
}

impl Worker {
    fn take(number: usize, pid: i64, slot: &StoreSlot) -> Self {
        Self {
            number,
            pid,
            state: StoreState::name(slot.state.load(Relaxed)),
            is_suspended: slot.is_suspended.load(Relaxed) != 0,
            address: slot.address.value(),
            waiting_lookups: slot.waiting_lookups.value(),
            queued_commands: slot.queued_commands.value(),
            queued_bytes: slot.queued_bytes.value(),
        }
    }
}

fn add<const N: usize>(sums: &mut [u64; N], counters: &[Counter; N]) {
    for (sum, counter) in sums.iter_mut().zip(counters) {
        *sum += counter.value();
    }
}
