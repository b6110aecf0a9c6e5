//! The shared memory zone: made with the first configuration, and kept over reloads.

use core::ffi::c_void;
use core::ptr;
use std::sync::atomic::{AtomicI64, AtomicPtr, AtomicU32, AtomicUsize, Ordering::Relaxed};

use nginx_sys::{
    ngx_cycle_t, ngx_int_t, ngx_module_t, ngx_shm_zone_t, ngx_slab_pool_t, NGX_ERROR, NGX_OK,
};

use crate::counters::list::{Pool, Zeroed};
use crate::counters::slots::{ServerSlot, WorkerSlot};
use crate::counters::stores::{Counted, ServerEntry, Stores};
use crate::nginx::{
    add_shared_zone, log, old_workers_run, process_id, unix_time, worker_number, worker_processes,
};

/// Workers beyond share the slots of the first ones: their counters are right, their gauges are one
/// worker's.
const MAX_WORKERS: usize = 128;

/// With 16 workers it has room for 200 servers and more, with 128 for 30: a server takes 512 bytes
/// for each worker and as many beside. What is not used of it takes no memory. The same with every
/// configuration: nginx throws a zone away whose size has changed, and all counters with it.
const SIZE: usize = 2 * 1024 * 1024;

const NAME: &str = "remote_ssl_session_cache";

/// The root of what lies in shared memory.
#[repr(C)]
pub(super) struct Shared {
    /// When counting began, in Unix seconds.
    pub(super) since: AtomicI64,
    /// So many slots of workers have been in use.
    workers_used: AtomicU32,
    pub(super) stores: Stores,
    workers: [WorkerSlot; MAX_WORKERS],
}

// SAFETY: numbers are 0, and the list of stores is empty.
unsafe impl Zeroed for Shared {}

/// The zone of the configuration that was read last; our root is its `data`.
static POOL: AtomicPtr<ngx_slab_pool_t> = AtomicPtr::new(ptr::null_mut());

/// This worker's slot, plus one; 0 in a process that does not count.
static OWN: AtomicUsize = AtomicUsize::new(0);

/// So many configurations were in use when this process began, as its siblings did.
static GENERATION: AtomicU32 = AtomicU32::new(0);

/// Adds the zone to a configuration; `None` without memory.
pub(crate) fn add_zone(cycle: &mut ngx_cycle_t, module: &ngx_module_t) -> Option<()> {
    add_shared_zone(cycle, module, NAME, SIZE, init)
}

/// nginx has mapped the zone, or hands over that of the configuration before.
unsafe extern "C" fn init(zone: *mut ngx_shm_zone_t, _old: *mut c_void) -> ngx_int_t {
    // SAFETY: nginx passes the zone of add_zone(), with its slab pool at the front; `data` of that
    // is ours. No worker of this configuration runs yet; those of the one before use atomics.
    unsafe {
        let pool = (*zone).shm.addr.cast::<ngx_slab_pool_t>();
        if (*pool).data.is_null() {
            // That it is full is for us to tell.
            (*pool).set_log_nomem(0);
            let Some(shared) = Pool::new(pool).allocate::<Shared>() else {
                return NGX_ERROR as ngx_int_t;
            };
            shared.since.store(unix_time(), Relaxed);
            (*pool).data = ptr::from_ref(shared).cast_mut().cast();
        }
        POOL.store(pool, Relaxed);
    }
    NGX_OK as ngx_int_t
}

/// A configuration with the zone and these stores is in use from now on. Not told before: until
/// then it can still fail, which leaves the one before in use.
pub(crate) fn configure(cycle: &ngx_cycle_t, stores: &[Counted]) {
    GENERATION.fetch_add(1, Relaxed);
    let Some((pool, shared)) = mapped() else { return };
    let workers = worker_processes(cycle).clamp(1, MAX_WORKERS);
    // With `master_process off` this process counts on for the configuration before.
    let old_workers = old_workers_run() || is_counting();
    let uncounted = shared.stores.configure(stores, workers, old_workers, pool);
    if let [first, ..] = &*uncounted {
        log!(
            NGX_LOG_WARN,
            cycle.log,
            "the zone of the counters is full: {} of {} stores are not counted, and not shown by \
             the status page, among them {}",
            uncounted.len(),
            stores.len(),
            first.name
        );
    }
}

/// This process is a worker of a configuration with the zone: it counts from now on.
pub(crate) fn enter() {
    let Some((_, shared)) = mapped() else { return };
    let index = worker_number() % MAX_WORKERS;
    let slot = &shared.workers[index];
    slot.owner.store(process_id().into(), Relaxed);
    slot.generation.store(generation(), Relaxed);
    shared.stores.slots_of(index).for_each(ServerSlot::reset_gauges);
    shared.workers_used.fetch_max(index as u32 + 1, Relaxed);
    OWN.store(index + 1, Relaxed);
}

/// The worker exits: what is shown of it as being so now goes with it.
pub(crate) fn leave() {
    let Some(slot) = own_slot() else { return };
    let _ = slot.owner.compare_exchange(process_id().into(), 0, Relaxed, Relaxed);
}

/// The number of the configuration that this process and its siblings began with.
pub(super) fn generation() -> u32 {
    GENERATION.load(Relaxed)
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
    is_counting().then(mapped)?.map(|(_, shared)| shared)
}

/// Where this worker counts what it does with a server of a store; `None` where it does not.
pub(super) fn server_slot(
    store: &str,
    server: &str,
) -> Option<(&'static ServerEntry, &'static ServerSlot)> {
    let worker = OWN.load(Relaxed).checked_sub(1)?;
    let (pool, shared) = is_counting().then(mapped)??;
    shared.stores.slot(store, server, worker, pool)
}

/// The zone, where the configuration has it.
fn mapped() -> Option<(Pool, &'static Shared)> {
    let pool = POOL.load(Relaxed);
    // SAFETY: what init() set is mapped as long as the configuration is in use, and has its root.
    unsafe { Some((Pool::new(pool), pool.as_ref()?.data.cast::<Shared>().as_ref()?)) }
}

impl Shared {
    /// The slots that workers have used.
    pub(super) fn workers(&self) -> &[WorkerSlot] {
        &self.workers[..self.workers_used.load(Relaxed) as usize]
    }
}
