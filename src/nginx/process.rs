//! The process that nginx runs this code in.

use core::slice;

use nginx_sys::{ngx_cycle, ngx_process, NGX_PROCESS_SINGLE, NGX_PROCESS_WORKER};

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
