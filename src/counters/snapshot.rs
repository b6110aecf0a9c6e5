//! What the counters say now.

use std::sync::atomic::Ordering::Relaxed;

use ssl_session_cache_core::report::{
    Counts, EarlyData, Frontend, Outcome, Server, Snapshot, Store, Worker,
};
use ssl_session_cache_core::server::State;

use crate::counters::slots::{Counter, ServerSlot};
use crate::counters::stores::{Counted, ServerEntry, StoreEntry};
use crate::counters::zone::{self, Shared};
use crate::nginx::unix_time;

/// Reads all counters, those of these stores; there are none where no server uses the cache.
pub(crate) fn take(counted: &[Counted]) -> Snapshot {
    let now = unix_time();
    let Some(shared) = zone::shared() else {
        return Snapshot { now, since: now, ..Snapshot::default() };
    };
    let mut handshakes = [[0; Outcome::ALL.len()]; Frontend::ALL.len()];
    let mut early_data = [0; EarlyData::ALL.len()];
    for worker in shared.workers() {
        let sums = handshakes.iter_mut().flatten().chain(&mut early_data);
        let counters = worker.handshakes.iter().flatten().chain(&worker.early_data);
        for (sum, counter) in sums.zip(counters) {
            *sum += counter.value();
        }
    }
    let store = |entry: &StoreEntry| {
        let counted = counted.iter().find(|store| entry.is_of(&store.name))?;
        Some(store(shared, entry, counted))
    };
    let stores = shared.stores.configured().filter_map(store).collect();
    let since = shared.since.load(Relaxed);
    Snapshot { now, since, handshakes, early_data, stores, ..Snapshot::default() }
}

fn store(shared: &Shared, entry: &StoreEntry, counted: &Counted) -> Store {
    let mut servers: Vec<Server> = Vec::new();
    for mut new in entry.servers().map(|entry| server(shared, entry)) {
        if !counted.has_servers && new.name.is_some() {
            // It was one of several until a reload: what was counted of it is the store's now.
            new = Server { name: None, workers: Vec::new(), ..new };
        }
        match servers.iter_mut().find(|server| server.name == new.name) {
            Some(server) => server.add(new),
            None => servers.push(new),
        }
    }
    Store {
        name: counted.name.clone(),
        type_name: counted.kind.name(),
        address: counted.address.clone(),
        keys: counted.keys.clone(),
        timeout: counted.timeout,
        has_servers: counted.has_servers,
        servers,
    }
}

fn server(shared: &Shared, entry: &ServerEntry) -> Server {
    let mut server = Server { name: entry.name(), ..Server::default() };
    for ((number, worker), slot) in shared.workers().iter().enumerate().zip(entry.slots()) {
        server.counts.add(&counts(slot));
        // A worker uses a server of several from when it needs it, and none any more when it exits.
        let is_old = worker.generation.load(Relaxed) != zone::generation();
        let is_used = match is_old {
            true => slot.state() == State::Up,
            false => server.name.is_none() || slot.is_used(),
        };
        if let Some(pid) = worker.running().filter(|_| is_used) {
            server.workers.push(self::worker(number, pid, slot));
        }
    }
    server
}

fn counts(slot: &ServerSlot) -> Counts {
    Counts {
        lookups: slot.lookups.each_ref().map(Counter::value),
        times: slot.times.each_ref().map(Counter::value),
        time_sum: slot.time_sum.value(),
        events: slot.events.each_ref().map(Counter::value),
    }
}

fn worker(number: usize, pid: i64, slot: &ServerSlot) -> Worker {
    Worker {
        number,
        pid,
        state: slot.state(),
        is_paused: slot.is_paused.load(Relaxed) != 0,
        since: slot.since.load(Relaxed),
        reason: slot.reason.value(),
        address: slot.address.value(),
        waiting_lookups: slot.waiting_lookups.value(),
        queued_requests: slot.queued_requests.value(),
        queued_bytes: slot.queued_bytes.value(),
    }
}
