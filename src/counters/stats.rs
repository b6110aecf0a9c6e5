//! Where a worker counts.

use core::time::Duration;
use std::sync::atomic::Ordering::Relaxed;

use ssl_session_cache_core::report::{EarlyData, Event, Frontend, LookupResult, Outcome, BOUNDS};
use ssl_session_cache_core::server::State;

use crate::counters::slots::{ServerSlot, WorkerSlot};
use crate::counters::stores::WHOLE;
use crate::counters::zone;
use crate::nginx::unix_time;

/// Where this worker counts what it does with a store. Counts nothing where there is no room.
#[derive(Clone, Copy)]
pub(crate) struct StoreStats {
    worker: &'static WorkerSlot,
    store: Option<&'static ServerSlot>,
    pid: i64,
}

impl StoreStats {
    /// Of a server of the store of this name, or of all of the store; `None` in a process that does not
    /// count.
    pub(crate) fn of(store: &str, server: Option<&str>) -> Option<Self> {
        let worker = zone::own_slot()?;
        let store = zone::server_slot(store, server.unwrap_or(WHOLE));
        Some(Self { worker, store, pid: worker.owner.load(Relaxed) })
    }

    /// Whether there is room to count.
    pub(crate) fn has_room(self) -> bool {
        self.store.is_some()
    }

    /// A lookup was sent or queued.
    pub(crate) fn lookup_begun(self) {
        self.gauges(|store| store.waiting_lookups.add(1));
    }

    /// A lookup that was begun has ended, after this time.
    pub(crate) fn lookup_ended(self, result: LookupResult, time: Duration) {
        let Some(store) = self.store else { return };
        self.gauges(|store| store.waiting_lookups.add(-1));
        let micros = time.as_micros() as u64;
        let bucket = BOUNDS.iter().position(|bound| micros <= *bound).unwrap_or(BOUNDS.len());
        store.lookups[result as usize].add(1);
        store.times[bucket].add(1);
        store.time_sum.add(micros);
    }

    /// A lookup was not even queued.
    pub(crate) fn lookup_turned_away(self, result: LookupResult) {
        if let Some(store) = self.store {
            store.lookups[result as usize].add(1);
        }
    }

    /// Something has happened so many times.
    pub(crate) fn count(self, event: Event, times: usize) {
        if let (Some(store), true) = (self.store, times > 0) {
            store.events[event as usize].add(times as u64);
        }
    }

    /// How things are now: the connection, and whether lookups are paused as the store answers too
    /// late; and why, where it is not up or they are.
    pub(crate) fn show(self, state: State, is_paused: bool, reason: &str) {
        self.gauges(|store| {
            let is_up = |state| state == State::Up;
            let was_paused = store.is_paused.swap(is_paused.into(), Relaxed) != 0;
            let has_changed = is_up(store.state()) != is_up(state) || was_paused != is_paused;
            if has_changed || store.since.load(Relaxed) == 0 {
                store.since.store(unix_time(), Relaxed);
            }
            store.state.store(state as u8, Relaxed);
            if !store.reason.is(reason) {
                store.reason.set(reason);
            }
        });
    }

    /// What waits for a reply.
    pub(crate) fn show_waiting(self, requests: usize, bytes: u64) {
        self.gauges(|store| {
            store.queued_requests.set(requests as u64);
            store.queued_bytes.set(bytes);
        });
    }

    /// The address that the worker uses, or tries to.
    pub(crate) fn show_address(self, address: &str) {
        self.gauges(|store| store.address.set(address));
    }

    /// The worker uses the server no more.
    pub(crate) fn leave(self) {
        self.gauges(ServerSlot::reset_gauges);
    }

    fn gauges(self, write: impl FnOnce(&ServerSlot)) {
        let owner = self.worker.owner.load(Relaxed);
        if let (Some(store), true) = (self.store, owner == self.pid) {
            write(store);
        }
    }
}

/// Counts early data that came with a session.
pub(crate) fn count_early_data(result: EarlyData) {
    if let Some(worker) = zone::own_slot() {
        worker.early_data[result as usize].add(1);
    }
}

/// Counts a handshake that is done.
pub(crate) fn count_handshake(frontend: Frontend, outcome: Outcome) {
    if let Some(worker) = zone::own_slot() {
        worker.handshakes[frontend as usize][outcome as usize].add(1);
    }
}
