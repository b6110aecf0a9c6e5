//! What the counters say now.

use std::sync::atomic::Ordering::Relaxed;

use nginx_sys::ngx_cached_time;
use ssl_session_cache_core::report::{Counts, Outcome, Server, Snapshot, Store, Worker};

use crate::counters::slots::{Counter, StoreSlot};
use crate::counters::zone::{self, Counted, Shared};

/// Reads all counters; there are none where no server uses the cache.
pub(crate) fn take() -> Snapshot {
    // SAFETY: nginx sets the time before it serves requests.
    let now = unsafe { (*ngx_cached_time).sec };
    let Some(shared) = zone::shared() else {
        return Snapshot { now, since: now, ..Snapshot::default() };
    };
    let mut handshakes = [0; Outcome::ALL.len()];
    for worker in shared.workers() {
        for (sum, counter) in handshakes.iter_mut().zip(&worker.handshakes) {
            *sum += counter.value();
        }
    }
    let stores =
        shared.stores().map(|(index, counted)| store(shared, index, counted, now)).collect();
    Snapshot { now, since: shared.since.load(Relaxed), handshakes, stores }
}

fn store(shared: &Shared, index: usize, counted: Counted, now: i64) -> Store {
    let mut server = Server::default();
    for (number, worker) in shared.workers().iter().enumerate() {
        let slot = &worker.stores[index];
        server.counts.add(&counts(slot));
        if let Some(pid) = worker.running() {
            server.workers.push(self::worker(number, pid, slot));
        }
    }
    Store {
        name: counted.name,
        key_age: counted.key_time.map(|time| (now - time).max(0)),
        servers: vec![server],
    }
}

fn counts(slot: &StoreSlot) -> Counts {
    Counts {
        lookups: slot.lookups.each_ref().map(Counter::value),
        times: slot.times.each_ref().map(Counter::value),
        time_sum: slot.time_sum.value(),
        events: slot.events.each_ref().map(Counter::value),
    }
}

fn worker(number: usize, pid: i64, slot: &StoreSlot) -> Worker {
    Worker {
        number,
        pid,
        state: slot.state(),
        is_suspended: slot.is_suspended.load(Relaxed) != 0,
        address: slot.address.value(),
        waiting_lookups: slot.waiting_lookups.value(),
        queued_commands: slot.queued_commands.value(),
        queued_bytes: slot.queued_bytes.value(),
    }
}
