//! Stacks for OpenSSL's jobs, with memory below them that nobody may touch.
//!
//! OpenSSL takes them from the heap: a job that needs more than it has overwrites what happens to lie there.
//! With a guard below its stack it ends the process at once. OpenSSL keeps the stack of a job that is done for
//! another one, so that few are made.

use core::ffi::{c_int, c_void};
use core::sync::atomic::{AtomicUsize, Ordering};
use core::{mem, ptr};

use nginx_sys::dlsym;

type Allocate = unsafe extern "C" fn(*mut usize) -> *mut c_void;
type Free = unsafe extern "C" fn(*mut c_void);
type SetMemFunctions = unsafe extern "C" fn(Allocate, Free) -> c_int;

/// As much as OpenSSL's own stacks have.
const STACK: usize = 32 * 1024;

/// More than a function takes at once, mostly: one that does not touch what it takes from the top down could
/// jump over less.
const GUARD: usize = 64 * 1024;

/// Each takes two mappings, of which Linux allows a process 65,530 (vm.max_map_count).
const MAX_GUARDED: usize = 16 * 1024;

/// So many stacks have a guard.
static GUARDED: AtomicUsize = AtomicUsize::new(0);

/// Has OpenSSL take the stacks of jobs from here, if it can (ASYNC_set_mem_functions(3), since OpenSSL 3.4).
/// To be called before there is a job in this process, or one that it forks.
pub(crate) fn guard_stacks() {
    // SAFETY: a null handle stands for the running binary and all that it has loaded (RTLD_DEFAULT in
    // dlsym(3)). The function has this type, and those that it is given stay where they are: the module is
    // linked with `-z nodelete`.
    unsafe {
        let function = dlsym(ptr::null_mut(), c"ASYNC_set_mem_functions".as_ptr());
        if let Some(set) = mem::transmute::<*mut c_void, Option<SetMemFunctions>>(function) {
            // It refuses where there are jobs already: a configuration before this one has had them set.
            set(allocate, keep);
        }
    }
}

/// A stack, from its lowest byte on; without memory, OpenSSL has no job.
unsafe extern "C" fn allocate(len: *mut usize) -> *mut c_void {
    // SAFETY: OpenSSL passes a place for the length of what it gets.
    unsafe { *len = STACK };
    // SAFETY: has no requirements.
    guarded().unwrap_or_else(|| unsafe { libc::malloc(STACK) })
}

/// A stack with a guard below it; `None` without memory, or with too many of them.
fn guarded() -> Option<*mut c_void> {
    if GUARDED.load(Ordering::Relaxed) == MAX_GUARDED {
        return None;
    }
    // SAFETY: a mapping of its own, of which as much is made accessible as it has behind the guard.
    unsafe {
        let (flags, none) = (libc::MAP_PRIVATE | libc::MAP_ANONYMOUS, libc::PROT_NONE);
        let guard = libc::mmap(ptr::null_mut(), GUARD + STACK, none, flags, -1, 0);
        if guard == libc::MAP_FAILED {
            return None;
        }
        let stack = guard.byte_add(GUARD);
        if libc::mprotect(stack, STACK, libc::PROT_READ | libc::PROT_WRITE) != 0 {
            libc::munmap(guard, GUARD + STACK);
            return None;
        }
        GUARDED.fetch_add(1, Ordering::Relaxed);
        Some(stack)
    }
}

/// OpenSSL frees its stacks where the thread ends, which is where the process does.
unsafe extern "C" fn keep(_: *mut c_void) {}
