//! The process that nginx runs this code in.

use core::ffi::CStr;
use core::{ptr, slice};

use nginx_sys::{
    dlsym, ngx_cycle, ngx_cycle_t, ngx_pid, ngx_pid_t, ngx_process, NGX_PROCESS_SINGLE,
    NGX_PROCESS_WORKER,
};

/// The id of this process, as nginx keeps it: set anew behind each fork.
pub(crate) fn process_id() -> ngx_pid_t {
    // SAFETY: nginx writes to it on this one thread.
    unsafe { ngx_pid }
}

/// Whether this process has clients: a worker, or the only process. The cache manager and the cache
/// loader have none.
pub(crate) fn process_serves_clients() -> bool {
    // SAFETY: nginx sets the kind of a process before it runs any code of a module's in it.
    let process = unsafe { ngx_process };
    process == NGX_PROCESS_WORKER as usize || process == NGX_PROCESS_SINGLE as usize
}

/// Whether a client of this worker has its handshake before it, or is in the middle: one that has
/// made no request yet.
pub(crate) fn clients_may_handshake() -> bool {
    // SAFETY: a worker has a cycle, whose array of connections is as long as told; nothing writes
    // to it meanwhile.
    let connections = unsafe {
        let cycle = &*ngx_cycle;
        slice::from_raw_parts(cycle.connections, cycle.connection_n)
    };
    connections.iter().any(|c| c.fd != -1 && !c.listening.is_null() && c.requests == 0)
}

/// Whether nginx, or what it has loaded, has a symbol.
pub(crate) fn has_symbol(name: &CStr) -> bool {
    // SAFETY: a null handle stands for the running binary and all that it has loaded (RTLD_DEFAULT
    // in dlsym(3)).
    !unsafe { dlsym(ptr::null_mut(), name.as_ptr()) }.is_null()
}

/// Whether regular expressions are compiled to machine code (`pcre_jit on`).
#[cfg(ngx_feature = "pcre")]
pub(crate) fn is_pcre_jit_on(cycle: &ngx_cycle_t) -> bool {
    use nginx_sys::{ngx_flag_t, ngx_module_t};

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
