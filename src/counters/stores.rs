//! The stores that are counted, and their servers, as they lie in shared memory.

use core::time::Duration;
use std::sync::atomic::{
    AtomicU8,
    Ordering::{AcqRel, Acquire, Relaxed, Release},
};

use ssl_session_cache_core::plan::Kind;
use ssl_session_cache_core::report::SealingKey;

use crate::counters::list::{List, Pool, Zeroed};
use crate::counters::outage::Told;
use crate::counters::slots::{ServerSlot, Text};

/// Room for the name of a store, and for that of a server.
const MAX_NAME: usize = 126;

/// The name of a server that is all of its store.
pub(super) const WHOLE: &str = "";

/// A store that is counted, and what else is shown of it.
pub(crate) struct Counted {
    pub(crate) name: String,
    pub(crate) kind: Kind,
    /// The address of its server, as configured; `None` of several, and of one that Sentinels know.
    pub(crate) address: Option<String>,
    /// The keys that its sessions are sealed with, each once.
    pub(crate) keys: Vec<SealingKey>,
    /// The longest that a lookup may take.
    pub(crate) timeout: Duration,
    /// Whether it has servers that are counted by themselves.
    pub(crate) has_servers: bool,
}

impl Counted {
    /// Adds what is said elsewhere of a store of the same name, which is the same one to an operator.
    pub(crate) fn add(&mut self, other: Self) {
        self.timeout = self.timeout.min(other.timeout);
        other.keys.into_iter().for_each(|key| self.add_key(key));
    }

    /// Adds a key. Of the files that one is in, the oldest tells its time.
    pub(crate) fn add_key(&mut self, key: SealingKey) {
        match self.keys.iter_mut().find(|known| known.id == key.id) {
            Some(known) => known.time = known.time.min(key.time),
            None => self.keys.push(key),
        }
    }
}

/// All stores that have slots. Written by the process that reads the configuration.
///
/// A store has its slots for as long as the configuration names it, and beyond: workers of an
/// earlier configuration may count on, and the store may come back. Only where the zone is full does
/// another store get them, and only once no worker is left that knows the one before.
#[repr(C)]
pub(super) struct Stores(List<StoreEntry>);

impl Stores {
    /// Gives each store of a configuration with so many workers its slots; returns the stores for
    /// which there is no room. `old_workers` tells whether there are workers of a configuration
    /// before the one that was in use until now.
    pub(super) fn configure<'a>(
        &self,
        stores: &'a [Counted],
        workers: usize,
        old_workers: bool,
        pool: Pool,
    ) -> Vec<&'a Counted> {
        let is_wanted = |entry: &StoreEntry| stores.iter().any(|store| entry.name.is(&store.name));
        // What was in use until now still is: its workers have yet to exit.
        let mut free: Vec<_> = self.0.iter().filter(|entry| !entry.is_configured()).collect();
        free.retain(|entry| !old_workers && !entry.is_blank() && !is_wanted(entry));

        let mut uncounted = Vec::new();
        for store in stores {
            match self.entry(store, workers, &mut free, pool) {
                Some(entry) => entry.set(store),
                None => uncounted.push(store),
            }
        }
        // Last, as workers read meanwhile.
        let is_uncounted =
            |entry: &StoreEntry| uncounted.iter().any(|store| entry.name.is(&store.name));
        for entry in self.0.iter().filter(|entry| !is_wanted(entry) || is_uncounted(entry)) {
            entry.is_configured.store(0, Relaxed);
        }
        uncounted
    }

    /// The entry for a store: the one that it had, a new one, or that of a store that is gone.
    fn entry(
        &self,
        store: &Counted,
        workers: usize,
        free: &mut Vec<&'static StoreEntry>,
        pool: Pool,
    ) -> Option<&'static StoreEntry> {
        let has_room = |entry: &&StoreEntry| entry.make_room(workers, pool).is_some();
        if let Some(kept) = self.0.iter().find(|entry| entry.name.is(&store.name)) {
            return Some(kept).filter(has_room);
        }
        // One that was begun when the zone was full is tried again.
        let blank = self.0.iter().find(|entry| entry.is_blank()).or_else(|| self.0.push(pool));
        if let Some(new) = blank.filter(has_room) {
            return Some(new);
        }
        let reused = free.remove(free.iter().position(has_room)?);
        reused.reset();
        Some(reused)
    }

    /// The stores of the configuration.
    pub(super) fn configured(&self) -> impl Iterator<Item = &'static StoreEntry> {
        self.0.iter().filter(|entry| entry.is_configured())
    }

    /// A server, and what the worker of this number counts of it, which gets a slot where it has none;
    /// `None` where the zone is full, and for a store that is not counted.
    pub(super) fn slot(
        &self,
        store: &str,
        name: &str,
        worker: usize,
        pool: Pool,
    ) -> Option<(&'static ServerEntry, &'static ServerSlot)> {
        let store = self.configured().find(|entry| entry.name.is(store))?;
        let server = store.server(name, pool)?;
        for _ in server.slots().count()..=worker {
            server.slots.push(pool)?;
        }
        let slot = server.slots().nth(worker)?;
        if name != WHOLE {
            // From now on it is in use; until now another worker may have given it to another server.
            slot.address.set(name);
            if !server.name.is(name) {
                slot.address.set("");
                return None;
            }
        }
        Some((server, slot))
    }

    /// All slots of the worker of this number.
    pub(super) fn slots_of(&self, worker: usize) -> impl Iterator<Item = &'static ServerSlot> {
        let servers = self.0.iter().flat_map(StoreEntry::servers);
        servers.filter_map(move |server| server.slots().nth(worker))
    }
}

#[repr(C)]
pub(super) struct StoreEntry {
    /// Whether the configuration in use has the store.
    is_configured: AtomicU8,
    /// Its name, cut off where it is too long; empty where the entry has never been a store's.
    name: Text<MAX_NAME>,
    servers: List<ServerEntry>,
}

// SAFETY: a number is 0, a text and a list are empty.
unsafe impl Zeroed for StoreEntry {}

impl StoreEntry {
    /// Whether it is that of a store of this name.
    pub(super) fn is_of(&self, name: &str) -> bool {
        self.name.is(name)
    }

    /// Those that are counted: all of the store is, always.
    pub(super) fn servers(&self) -> impl Iterator<Item = &'static ServerEntry> {
        self.servers.iter().filter(|server| server.usage.load(Acquire) == IN_USE)
    }

    /// The entry of a server: the one that it had, one that is free, or a new one. Where two workers
    /// want one at the same time there may be two, which count as one.
    fn server(&self, name: &str, pool: Pool) -> Option<&'static ServerEntry> {
        let is_it = |server: &&ServerEntry| server.name.is(name);
        if let Some(known) = self.servers().find(is_it) {
            return Some(known);
        }
        let free = || self.servers.iter().find(|server| server.take(FREE));
        let new = || self.servers.push(pool).filter(|server| server.take(NEW));
        let server = free().or_else(new).or_else(|| self.unused())?;
        server.slots().for_each(ServerSlot::reset);
        server.told.reset();
        server.name.set(name);
        server.usage.store(IN_USE, Release);
        Some(server)
    }

    /// Where there is no other room: the entry of a server that no worker uses any more, as one of a
    /// cluster that was replaced.
    fn unused(&self) -> Option<&'static ServerEntry> {
        let is_unused = |server: &&ServerEntry| {
            !server.name.is(WHOLE) && !server.slots().any(ServerSlot::is_used)
        };
        self.servers().filter(is_unused).find(|server| server.take(IN_USE))
    }

    fn is_configured(&self) -> bool {
        self.is_configured.load(Acquire) != 0
    }

    fn is_blank(&self) -> bool {
        self.name.is_empty()
    }

    /// Has slots for so many workers, all of them or the store goes uncounted; `None` where the zone
    /// is full.
    fn make_room(&self, workers: usize, pool: Pool) -> Option<()> {
        let whole = self.server(WHOLE, pool)?;
        for _ in whole.slots().count()..workers {
            whole.slots.push(pool)?;
        }
        Some(())
    }

    fn set(&self, store: &Counted) {
        self.name.set(&store.name);
        self.is_configured.store(1, Release);
    }

    /// Forgets all: the entry is for another store from now on.
    fn reset(&self) {
        for server in self.servers() {
            match server.name.is(WHOLE) {
                true => {
                    server.slots().for_each(ServerSlot::reset);
                    server.told.reset();
                }
                false => server.usage.store(FREE, Release),
            }
        }
    }
}

/// How an entry is used: by nobody yet, by who is about to name it, by a server, by none any more.
const NEW: u8 = 0;
const TAKEN: u8 = 1;
const IN_USE: u8 = 2;
const FREE: u8 = 3;

#[repr(C)]
pub(super) struct ServerEntry {
    /// [`NEW`], [`TAKEN`], [`IN_USE`] or [`FREE`].
    usage: AtomicU8,
    /// Its name among the servers of the store, [`WHOLE`] where there is but this one.
    name: Text<MAX_NAME>,
    /// What all workers have told of it.
    pub(super) told: Told,
    /// By the workers' numbers.
    slots: List<ServerSlot>,
}

// What `docs/status.md` says of the room.
const _: () = assert!(List::<ServerEntry>::PIECE <= 256);

// SAFETY: numbers are 0, a text and a list are empty.
unsafe impl Zeroed for ServerEntry {}

impl ServerEntry {
    /// Takes an entry that is used so, and that nobody else has taken.
    fn take(&self, used: u8) -> bool {
        self.usage.compare_exchange(used, TAKEN, AcqRel, Relaxed).is_ok()
    }

    pub(super) fn name(&self) -> Option<String> {
        (!self.name.is(WHOLE)).then(|| self.name.value())
    }

    pub(super) fn slots(&self) -> impl Iterator<Item = &'static ServerSlot> {
        self.slots.iter()
    }
}
