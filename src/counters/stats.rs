//! Where a worker counts.

use core::ptr;
use core::time::Duration;
use std::sync::atomic::Ordering::{Relaxed, SeqCst};

use ssl_session_cache_core::report::{EarlyData, Event, Frontend, LookupResult, Outcome, BOUNDS};
use ssl_session_cache_core::server::State;

use crate::counters::outage::{number, Begin, End, Outage};
use crate::counters::slots::{ServerSlot, WorkerSlot};
use crate::counters::stores::{ServerEntry, WHOLE};
use crate::counters::zone;
use crate::nginx::unix_time;

/// Where this worker counts what it does with a store. Counts nothing where there is no room.
#[derive(Clone, Copy)]
pub(crate) struct StoreStats {
    worker: &'static WorkerSlot,
    /// What all workers know of the server, and the slot of this one.
    server: Option<(&'static ServerEntry, &'static ServerSlot)>,
    pid: i64,
}

impl StoreStats {
    /// Of a server of the store of this name, or of all of the store; `None` in a process that does not
    /// count.
    pub(crate) fn of(store: &str, server: Option<&str>) -> Option<Self> {
        let worker = zone::own_slot()?;
        let server = zone::server_slot(store, server.unwrap_or(WHOLE));
        Some(Self { worker, server, pid: worker.owner.load(Relaxed) })
    }

    /// Whether there is room to count.
    pub(crate) fn has_room(self) -> bool {
        self.server.is_some()
    }

    /// A connection to the server counts here from now on.
    pub(crate) fn enter(self) {
        self.gauges(|store| {
            store.users.fetch_add(1, Relaxed);
        });
    }

    /// A lookup was sent or queued.
    pub(crate) fn lookup_begun(self) {
        self.gauges(|store| store.waiting_lookups.add(1));
    }

    /// A lookup that was begun has ended, after this time.
    pub(crate) fn lookup_ended(self, result: LookupResult, time: Duration) {
        let Some((_, store)) = self.server else { return };
        self.gauges(|store| store.waiting_lookups.add(-1));
        let micros = time.as_micros() as u64;
        let bucket = BOUNDS.iter().position(|bound| micros <= *bound).unwrap_or(BOUNDS.len());
        store.lookups[result as usize].add(1);
        store.times[bucket].add(1);
        store.time_sum.add(micros);
    }

    /// A lookup was not even queued.
    pub(crate) fn lookup_turned_away(self, result: LookupResult) {
        if let Some((_, store)) = self.server {
            store.lookups[result as usize].add(1);
        }
    }

    /// Something has happened so many times.
    pub(crate) fn count(self, event: Event, times: usize) {
        if let (Some((_, store)), true) = (self.server, times > 0) {
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

    /// The server is down for this worker, or cannot be looked up, for this reason.
    pub(crate) fn outage_begun(self, outage: Outage, reason: &[&str]) -> Begin {
        let Some((shared, slot)) = self.shared_by_workers() else { return Begin::First };
        slot.outages.fetch_or(outage.bit(), SeqCst);
        let generation = zone::generation();
        let is_noted = shared.told.note(outage, number((generation, reason)));
        // If it concerns nobody else, the last one of an earlier outage was killed before its end.
        if is_noted && self.concerns_others(outage) {
            return Begin::Known;
        }
        match shared.told.begin(outage, generation) {
            true if self.concerns_others(outage) => Begin::OtherReason,
            _ => Begin::First,
        }
    }

    /// It is not any more for this worker.
    pub(crate) fn outage_ended(self, outage: Outage) -> End {
        let Some((shared, slot)) = self.shared_by_workers() else { return End::Untold };
        slot.outages.fetch_and(!outage.bit(), SeqCst);
        if self.concerns_others(outage) {
            return End::Partial;
        }
        let was_told = shared.told.forget(outage);
        // One that it has begun for in the meantime may have been silent.
        match was_told {
            _ if self.concerns_others(outage) => End::Partial,
            true => End::Told,
            false => End::Untold,
        }
    }

    /// Whether to tell once more of an outage, or another worker has done so lately.
    pub(crate) fn may_remind(self, outage: Outage) -> bool {
        let shared = self.shared_by_workers();
        shared.is_none_or(|(shared, _)| shared.told.may_remind(outage, unix_time()))
    }

    /// How many workers an outage concerns, and how many there are; `None` where the worker tells for one
    /// of several connections.
    pub(crate) fn concerned(self, outage: Outage) -> Option<(usize, usize)> {
        self.shared_by_workers()?;
        let mut others = 0;
        let concerned = self.others().inspect(|_| others += 1);
        let concerned = concerned.filter(|slot| is_concerned(slot, outage)).count();
        Some((1 + concerned, 1 + others))
    }

    /// The server has refused requests of this worker; how many of all workers to tell of, if any: the same
    /// is told once in a second.
    pub(crate) fn refused(self, count: u32, reason: &[&str]) -> Option<u32> {
        let Some((shared, _)) = self.shared_by_workers() else { return Some(count) };
        shared.told.refuse(count, number((zone::generation(), unix_time(), reason)))
    }

    /// The server is up at an address; whether that was told already.
    pub(crate) fn up_is_told(self, address: &str) -> bool {
        self.shared_by_workers().is_some_and(|(shared, _)| shared.told.note_up(number_of(address)))
    }

    /// An address of the server is in use.
    pub(crate) fn used(self, address: &str) {
        if let Some((shared, _)) = self.shared_by_workers() {
            shared.told.used(number_of(address));
        }
    }

    /// An address of the server is not in use any more; whether that was told already.
    pub(crate) fn dropped_is_told(self, address: &str) -> bool {
        let shared = self.shared_by_workers();
        shared.is_some_and(|(shared, _)| shared.told.note_dropped(number_of(address)))
    }

    fn concerns_others(self, outage: Outage) -> bool {
        self.others().any(|slot| is_concerned(slot, outage))
    }

    /// What the other workers show that began with the same configuration and run.
    fn others(self) -> impl Iterator<Item = &'static ServerSlot> {
        let slots = self
            .server
            .into_iter()
            .flat_map(|(shared, own)| shared.slots().map(move |slot| (slot, ptr::eq(own, slot))));
        let workers = zone::shared().map_or(&[][..], |shared| shared.workers());
        workers.iter().zip(slots).filter_map(|(worker, (slot, is_own))| {
            let is_sibling = worker.generation.load(Relaxed) == zone::generation();
            (is_sibling && !is_own && worker.running().is_some()).then_some(slot)
        })
    }

    /// The same, where what the worker tells is of one connection alone.
    fn shared_by_workers(self) -> Option<(&'static ServerEntry, &'static ServerSlot)> {
        self.owned().filter(|(_, slot)| slot.users.load(Relaxed) <= 1)
    }

    /// The slot, and what all workers know, as long as no later worker has the slot.
    fn owned(self) -> Option<(&'static ServerEntry, &'static ServerSlot)> {
        let owner = self.worker.owner.load(Relaxed);
        self.server.filter(|_| owner == self.pid)
    }

    fn gauges(self, write: impl FnOnce(&ServerSlot)) {
        if let Some((_, store)) = self.owned() {
            write(store);
        }
    }
}

/// A number that stands for an address, for the workers that began with the same configuration.
fn number_of(address: &str) -> u64 {
    number((zone::generation(), address))
}

fn is_concerned(slot: &ServerSlot, outage: Outage) -> bool {
    slot.outages.load(SeqCst) & outage.bit() != 0
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
