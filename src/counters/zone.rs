//! The shared memory zone: made with the first configuration, and kept over reloads.

use core::ffi::c_void;
use core::{mem, ptr};
use std::sync::atomic::{
    AtomicI64, AtomicPtr, AtomicU32, AtomicU8, AtomicUsize, Ordering::Relaxed,
};

use nginx_sys::{
    ngx_cached_time, ngx_conf_t, ngx_int_t, ngx_module_t, ngx_pid, ngx_shared_memory_add,
    ngx_shm_zone_t, ngx_slab_calloc, ngx_slab_pool_t, ngx_str_t, ngx_worker, NGX_ERROR, NGX_OK,
};

use crate::counters::slots::{StoreSlot, Text, WorkerSlot, MAX_STORES};

/// Workers beyond share the slots of the first ones: their counters are right, their gauges are one
/// worker's.
const MAX_WORKERS: usize = 128;

/// Room for the name of a store.
const MAX_NAME: usize = 126;

/// What the zone holds beside nginx's own account of its pages.
const SIZE: usize = mem::size_of::<Shared>() + 64 * 1024;

const NAME: &str = "remote_ssl_session_cache";

/// What lies in shared memory. Valid when all-zero.
#[repr(C)]
pub(super) struct Shared {
    /// When counting began, in Unix seconds.
    pub(super) since: AtomicI64,
    /// So many slots of workers have been in use.
    workers_used: AtomicU32,
    stores: [StoreEntry; MAX_STORES],
    workers: [WorkerSlot; MAX_WORKERS],
}

/// A store that is counted.
pub(crate) struct Counted {
    pub(crate) name: String,
    /// The time of the file of the key that its sessions are sealed with, in Unix seconds; that of
    /// the oldest one, if there are several.
    pub(crate) key_time: Option<i64>,
}

/// The store that has a number, and so the slots of that number. Written by the process that reads
/// the configuration.
#[repr(C)]
struct StoreEntry {
    /// Whether the configuration in use has the store.
    is_configured: AtomicU8,
    /// Its name, cut off where it is too long; empty where the number has never been a store's.
    name: Text<MAX_NAME>,
    /// `Counted::key_time`, 0 for none.
    key_time: AtomicI64,
}

/// The zone of the configuration that was read last.
static SHARED: AtomicPtr<Shared> = AtomicPtr::new(ptr::null_mut());

/// This worker's slot, plus one; 0 in a process that does not count.
static OWN: AtomicUsize = AtomicUsize::new(0);

/// Adds the zone to a configuration; `None` without memory.
pub(crate) fn add_zone(cf: &mut ngx_conf_t, module: &ngx_module_t) -> Option<()> {
    let mut name = ngx_str_t { len: NAME.len(), data: NAME.as_ptr().cast_mut() };
    // SAFETY: nginx keeps the name, which is static, and uses the tag as an address only.
    unsafe {
        let tag = ptr::from_ref(module).cast_mut().cast();
        ngx_shared_memory_add(cf, &mut name, SIZE, tag).as_mut()?.init = Some(init);
    }
    Some(())
}

/// nginx has mapped the zone, or hands over that of the configuration before.
unsafe extern "C" fn init(zone: *mut ngx_shm_zone_t, _old: *mut c_void) -> ngx_int_t {
    // SAFETY: nginx passes the zone of add_zone(), with its slab pool at the front; `data` of that
    // is ours. No worker of this configuration runs yet; those of the one before use atomics.
    unsafe {
        let pool = (*zone).shm.addr.cast::<ngx_slab_pool_t>();
        if (*pool).data.is_null() {
            (*pool).data = ngx_slab_calloc(pool, mem::size_of::<Shared>());
            let Some(shared) = (*pool).data.cast::<Shared>().as_ref() else {
                return NGX_ERROR as ngx_int_t;
            };
            shared.since.store((*ngx_cached_time).sec, Relaxed);
        }
        SHARED.store((*pool).data.cast(), Relaxed);
    }
    NGX_OK as ngx_int_t
}

/// A configuration with the zone and these stores is in use from now on. Not told before: until
/// then it can still fail, which leaves the one before in use.
pub(crate) fn configure(stores: &[Counted]) {
    // SAFETY: what init() set is mapped as long as the configuration is in use.
    if let Some(shared) = unsafe { SHARED.load(Relaxed).as_ref() } {
        shared.configure(stores);
    }
}

/// This process is a worker of a configuration with the zone: it counts from now on.
pub(crate) fn enter() {
    // SAFETY: what init() set is mapped as long as the configuration is in use; nginx sets the two
    // numbers before it calls a module in a worker.
    let (shared, worker, pid) = unsafe { (SHARED.load(Relaxed).as_ref(), ngx_worker, ngx_pid) };
    let Some(shared) = shared else { return };
    let index = worker % MAX_WORKERS;
    let slot = &shared.workers[index];
    slot.owner.store(pid.into(), Relaxed);
    slot.stores.iter().for_each(StoreSlot::reset_gauges);
    shared.workers_used.fetch_max(index as u32 + 1, Relaxed);
    OWN.store(index + 1, Relaxed);
}

/// The worker exits: what is shown of it as being so now goes with it.
pub(crate) fn leave() {
    let Some(slot) = own_slot() else { return };
    // SAFETY: nginx sets it at the start of the process.
    let pid = unsafe { ngx_pid }.into();
    let _ = slot.owner.compare_exchange(pid, 0, Relaxed, Relaxed);
}

/// Whether this process counts.
pub(crate) fn is_counting() -> bool {
    OWN.load(Relaxed) != 0
}

/// Where this worker counts; `None` in a process that does not.
pub(super) fn own_slot() -> Option<&'static WorkerSlot> {
    let index = OWN.load(Relaxed).checked_sub(1)?;
    Some(&shared()?.workers[index])
}

/// What all workers count; `None` in a process that does not.
pub(super) fn shared() -> Option<&'static Shared> {
    if !is_counting() {
        return None;
    }
    // SAFETY: what init() set; the zone stays mapped while the configuration is in use.
    unsafe { SHARED.load(Relaxed).as_ref() }
}

/// The number of a store of the configuration.
pub(super) fn store_index(name: &str) -> Option<usize> {
    shared()?.index(name)
}

impl Shared {
    /// Gives each store of a configuration its number: the one that it had, or a free one.
    fn configure(&self, stores: &[Counted]) {
        for entry in &self.stores {
            entry.is_configured.store(0, Relaxed);
        }
        // Those that had one first, as the others get what is free.
        let (known, new): (Vec<_>, Vec<_>) =
            stores.iter().partition(|store| self.index(&store.name).is_some());
        for store in known.into_iter().chain(new) {
            let unused = || self.stores.iter().position(|entry| entry.name.is_empty());
            let free = || self.stores.iter().position(|entry| !entry.is_configured());
            let kept = self.index(&store.name);
            let Some(index) = kept.or_else(unused).or_else(free) else { return };
            if kept.is_none() {
                self.workers.iter().for_each(|worker| worker.stores[index].reset());
            }
            self.stores[index].set(store);
        }
    }

    fn index(&self, name: &str) -> Option<usize> {
        self.stores.iter().position(|entry| entry.name.is(name))
    }

    /// The stores of the configuration, with their numbers.
    pub(super) fn stores(&self) -> impl Iterator<Item = (usize, Counted)> + '_ {
        let entries = self.stores.iter().enumerate().filter(|(_, entry)| entry.is_configured());
        entries.map(|(index, entry)| (index, entry.counted()))
    }

    /// The slots that workers have used.
    pub(super) fn workers(&self) -> &[WorkerSlot] {
        &self.workers[..self.workers_used.load(Relaxed) as usize]
    }
}

impl StoreEntry {
    fn is_configured(&self) -> bool {
        self.is_configured.load(Relaxed) != 0
    }

    fn set(&self, store: &Counted) {
        self.name.set(&store.name);
        self.key_time.store(store.key_time.unwrap_or(0), Relaxed);
        self.is_configured.store(1, Relaxed);
    }

    fn counted(&self) -> Counted {
        let key_time = self.key_time.load(Relaxed);
        Counted { name: self.name.value(), key_time: (key_time != 0).then_some(key_time) }
    }
}
