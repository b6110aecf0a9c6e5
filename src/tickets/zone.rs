//! The zone of the seeds: memory that all workers of a machine share, made with the first
//! configuration that has tickets, and kept over reloads.

use core::cell::UnsafeCell;
use core::ffi::c_void;
use core::{mem, ptr};
use std::sync::atomic::{
    AtomicBool, AtomicPtr, AtomicU64,
    Ordering::{Acquire, Relaxed, Release},
};

use nginx_sys::{
    ngx_cycle_t, ngx_int_t, ngx_module_t, ngx_shm_zone_t, ngx_shmtx_lock, ngx_shmtx_unlock,
    ngx_slab_calloc, ngx_slab_pool_t, NGX_ERROR, NGX_OK,
};
use ssl_session_cache_core::ticket::Ring;

use crate::nginx::add_shared_zone;

/// The same with every configuration: nginx throws a zone away whose size has changed. What is not
/// used of it takes no memory; a slab pool needs some pages, which are of 64 KB on some machines.
const SIZE: usize = 2 * 1024 * 1024;

const NAME: &str = "remote_ssl_session_tickets";

/// The root of what lies in shared memory. Valid when all-zero.
#[repr(C)]
struct Shared {
    /// That of the ring: what has been derived of its seeds is as good as they are while it lasts.
    generation: AtomicU64,
    /// Under the lock of the slab pool, which nginx's master takes from a worker that has died
    /// (ngx_unlock_mutexes() in ngx_process.c).
    ring: UnsafeCell<Ring>,
}

/// The zone of the configuration that was read last and has one; our root is its `data`. A later one
/// without tickets has nginx unmap it.
static POOL: AtomicPtr<ngx_slab_pool_t> = AtomicPtr::new(ptr::null_mut());

/// Whether this process is a worker with the zone.
static IS_USED: AtomicBool = AtomicBool::new(false);

/// Whether this process is a worker with the zone. With `master_process off` it may then be the one
/// that reads another configuration, which is to have the zone as well: connections of the one before
/// go on meanwhile.
pub(crate) fn is_used() -> bool {
    IS_USED.load(Relaxed)
}

/// Adds the zone to a configuration; `None` without memory.
pub(crate) fn add_zone(cycle: &mut ngx_cycle_t, module: &ngx_module_t) -> Option<()> {
    add_shared_zone(cycle, module, NAME, SIZE, init)
}

/// nginx has mapped the zone, or hands over that of the configuration before.
unsafe extern "C" fn init(zone: *mut ngx_shm_zone_t, _old: *mut c_void) -> ngx_int_t {
    const { assert!(mem::size_of::<Shared>() < SIZE / 2 && mem::align_of::<Shared>() <= 64) };
    // SAFETY: nginx passes the zone of add_zone(), with its slab pool at the front; `data` of that
    // is ours. What is larger than a page begins with one.
    unsafe {
        let pool = (*zone).shm.addr.cast::<ngx_slab_pool_t>();
        if (*pool).data.is_null() {
            let shared = ngx_slab_calloc(pool, mem::size_of::<Shared>());
            if shared.is_null() {
                return NGX_ERROR as ngx_int_t;
            }
            (*pool).data = shared;
        }
        POOL.store(pool, Relaxed);
    }
    if let Some(zone) = Zone::mapped() {
        zone.keep_from_disk();
    }
    NGX_OK as ngx_int_t
}

/// The zone, as this process has it mapped.
#[derive(Clone, Copy)]
pub(super) struct Zone {
    pool: *mut ngx_slab_pool_t,
    shared: &'static Shared,
}

impl Zone {
    /// The zone as this worker uses it; `None` in a process that does not.
    pub(super) fn used() -> Option<Self> {
        is_used().then(Self::mapped)?
    }

    /// This process is a worker of a configuration with the zone: it uses it from now on.
    pub(super) fn enter() -> Option<Self> {
        let zone = Self::mapped()?;
        zone.keep_from_disk();
        IS_USED.store(true, Relaxed);
        Some(zone)
    }

    /// The zone, where the configuration has it.
    fn mapped() -> Option<Self> {
        let pool = POOL.load(Relaxed);
        // SAFETY: what init() set is mapped as long as the configuration is in use, and has its root.
        let shared = unsafe { pool.as_ref()?.data.cast::<Shared>().as_ref()? };
        Some(Self { pool, shared })
    }

    /// Keeps the seeds out of swap, and out of cores, as far as that is allowed: there may be a limit to
    /// what a process locks (RLIMIT_MEMLOCK). To be called in each process, as the lock is not handed
    /// down to those that it forks: nginx's master may be one itself.
    fn keep_from_disk(self) {
        let address = ptr::from_ref(self.shared).cast_mut().cast();
        let len = mem::size_of::<Shared>();
        // SAFETY: the memory is mapped, and begins with a page; neither call changes what is there.
        unsafe {
            libc::mlock(address, len);
            #[cfg(target_os = "linux")]
            libc::madvise(address, len, libc::MADV_DONTDUMP);
        }
    }

    /// The generation of the ring, without its lock.
    pub(super) fn generation(self) -> u64 {
        self.shared.generation.load(Acquire)
    }

    /// Uses the ring, while no other process does. What is called may not come here again, nor wait.
    pub(super) fn with<R>(self, with: impl FnOnce(&mut Ring) -> R) -> R {
        // SAFETY: the pool is mapped. While its lock is held nobody else uses the ring, of which this
        // is the only reference.
        unsafe {
            let lock = &raw mut (*self.pool).mutex;
            ngx_shmtx_lock(lock);
            let ring = &mut *self.shared.ring.get();
            let result = with(ring);
            self.shared.generation.store(ring.generation(), Release);
            ngx_shmtx_unlock(lock);
            result
        }
    }
}
