//! The process that nginx runs this code in.

use core::ffi::{c_void, CStr};
use core::time::Duration;
use core::{ptr, slice};

use nginx_sys::{
    dlsym, ngx_connection_t, ngx_core_conf_t, ngx_core_module, ngx_current_msec, ngx_cycle,
    ngx_cycle_t, ngx_exiting, ngx_last_process, ngx_module_t, ngx_pid, ngx_pid_t, ngx_process,
    ngx_process_t, ngx_processes, ngx_worker, NGX_PROCESS_SINGLE, NGX_PROCESS_WORKER,
};

use crate::nginx::duration;

/// The id of this process, as nginx keeps it: set anew behind each fork.
pub(crate) fn process_id() -> ngx_pid_t {
    // SAFETY: nginx writes to it on this one thread.
    unsafe { ngx_pid }
}

/// The configuration in use.
pub(crate) fn current_cycle() -> &'static ngx_cycle_t {
    // SAFETY: nginx sets its current cycle before it calls a module in a worker, and keeps it as long as
    // a configuration is in use.
    unsafe { &*ngx_cycle }
}

/// A module of a configuration, static or loaded, by its name.
pub(crate) fn module(cycle: &ngx_cycle_t, name: &CStr) -> Option<&'static ngx_module_t> {
    // SAFETY: a cycle has an array of its modules, each with a name; nginx writes to them only while it
    // loads them and numbers them, on this one thread. They are there as long as the cycle.
    unsafe {
        let modules = slice::from_raw_parts(cycle.modules, cycle.modules_n);
        let mut modules = modules.iter().map(|module| &**module);
        modules.find(|module| CStr::from_ptr(module.name) == name)
    }
}

/// How many connections a worker may have, to clients and to others (`worker_connections`).
pub(crate) fn max_connections() -> usize {
    current_cycle().connection_n
}

/// Whether this process has clients: a worker, or the only process. The cache manager and the cache
/// loader have none.
pub(crate) fn process_serves_clients() -> bool {
    // SAFETY: nginx sets the kind of a process before it runs any code of a module's in it.
    let process = unsafe { ngx_process };
    process == NGX_PROCESS_WORKER as usize || process == NGX_PROCESS_SINGLE as usize
}

/// The number of this worker, from 0; of the only process as well.
pub(crate) fn worker_number() -> usize {
    // SAFETY: nginx sets the number before it calls a module in a worker.
    unsafe { ngx_worker }
}

/// The name of this machine, as nginx found it.
pub(crate) fn host_name() -> &'static [u8] {
    current_cycle().hostname.as_bytes()
}

/// Whether this worker exits, once it has no clients any more: another may have taken its place.
pub(crate) fn is_exiting() -> bool {
    // SAFETY: nginx writes to the flag on this one thread.
    unsafe { ngx_exiting != 0 }
}

/// A client that has not begun a handshake for so long is taken for one that never will: those of
/// stream{} and mail{} may stay for hours. One that does so all the same makes a full one.
const PLAIN_AFTER: Duration = Duration::from_secs(120);

/// Whether a client of this worker has its handshake before it, or is in the middle.
pub(crate) fn clients_may_handshake() -> bool {
    let cycle = current_cycle();
    // SAFETY: the array of connections is as long as told; nothing writes to it meanwhile.
    let connections = unsafe { slice::from_raw_parts(cycle.connections, cycle.connection_n) };
    connections.iter().any(may_handshake)
}

fn may_handshake(connection: &ngx_connection_t) -> bool {
    // Who has made a request to http{} without TLS makes no handshake any more.
    if connection.fd == -1 || connection.listening.is_null() || connection.requests != 0 {
        return false;
    }
    // SAFETY: of a connection in use it is null, or valid. nginx writes to its clock on this one thread.
    let (ssl, now) = unsafe { (connection.ssl.as_ref(), ngx_current_msec) };
    match ssl {
        Some(ssl) => ssl.handshaked() == 0,
        None => duration(now.wrapping_sub(connection.start_time)) < PLAIN_AFTER,
    }
}

/// So many workers a configuration has.
pub(crate) fn worker_processes(cycle: &ngx_cycle_t) -> usize {
    // SAFETY: nginx gives the core module its number, and a configuration of this type, before it
    // calls any module with the cycle.
    let workers = unsafe {
        let conf = *cycle.conf_ctx.add(ngx_core_module.index);
        (*conf.cast::<ngx_core_conf_t>()).worker_processes
    };
    usize::try_from(workers).unwrap_or(0)
}

/// Whether workers of a configuration before the one in use are still there, in the master: those
/// that were told to exit, and have not done so yet.
pub(crate) fn old_workers_run() -> bool {
    // SAFETY: the table has so many entries. The master alone writes to it, on this one thread; its
    // handler of SIGCHLD sets other bits of an entry, of which no reference is made.
    unsafe {
        let processes = ptr::addr_of!(ngx_processes).cast::<ngx_process_t>();
        (0..ngx_last_process as usize).map(|index| processes.add(index)).any(|process| {
            (*ptr::addr_of!((*process).pid)) != -1 && ngx_process_t::exiting_raw(process) != 0
        })
    }
}

/// A function or variable of nginx, or of what it has loaded; null where it has none of that name.
pub(crate) fn symbol(name: &CStr) -> *mut c_void {
    // SAFETY: a null handle stands for the running binary and all that it has loaded (RTLD_DEFAULT
    // in dlsym(3)).
    unsafe { dlsym(ptr::null_mut(), name.as_ptr()) }
}

/// Whether regular expressions are compiled to machine code (`pcre_jit on`).
#[cfg(ngx_feature = "pcre")]
pub(crate) fn is_pcre_jit_on(cycle: &ngx_cycle_t) -> bool {
    use nginx_sys::ngx_flag_t;

    extern "C" {
        static ngx_regex_module: ngx_module_t;
    }

    // SAFETY: the module is a part of nginx, and its configuration, ngx_regex_conf_t in
    // src/core/ngx_regex.c, begins with the flag.
    unsafe { *(*cycle.conf_ctx.add(ngx_regex_module.index)).cast::<ngx_flag_t>() == 1 }
}

#[cfg(not(ngx_feature = "pcre"))]
pub(crate) fn is_pcre_jit_on(_cycle: &ngx_cycle_t) -> bool {
    false
}
