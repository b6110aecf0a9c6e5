//! One connection on nginx's event loop, with TLS or without, with a timer and an event for the end
//! of the turn, and the lookup of the name of whom to connect to.

use core::cell::Cell;
use core::slice;
use core::time::Duration;

use nginx_sys::{
    ngx_current_msec, ngx_cycle, ngx_msec_int_t, ngx_msec_t, ngx_process, NGX_PROCESS_SINGLE,
    NGX_PROCESS_WORKER,
};
use ssl_session_cache_core::Instant;

mod address;
mod link;
mod quiet;
mod resolve;
mod tls;

pub(crate) use self::address::{ip_address, Address, Location};
pub(crate) use self::link::{Error, Handler, Io, Link};
pub(crate) use self::resolve::{NameHandler, NameLookup, Resolved, Resolver};
pub(crate) use self::tls::{Identity, Peer, Tls, TlsError, TlsPart, TlsSettings};

/// nginx's monotonic clock, as kept for each turn of the event loop.
pub(crate) fn now() -> Instant {
    thread_local! {
        static LAST: Cell<Option<Instant>> = const { Cell::new(None) };
    }
    // SAFETY: nginx writes to the clock on this one thread.
    let millis = unsafe { ngx_current_msec };
    if cfg!(target_pointer_width = "64") {
        return Instant::from_millis(millis as u64);
    }
    // It begins anew every 49 days. What is first shown has room before it: a worker goes on from
    // what the master has seen, which may be longer ago than can be told from 32 bits.
    let first = || Instant::from_millis((1 << 32) | millis as u64);
    let now = LAST.get().map_or_else(first, |last| last.nearest(millis as u32));
    LAST.set(Some(now));
    now
}

/// Whether this turn of the event loop has lasted for some time already: longer than a client that
/// is not far away takes to come back.
pub(crate) fn turn_is_long() -> bool {
    const LONG: ngx_msec_int_t = 5;

    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the time is valid for a write. nginx writes to its clock, which is this one in
    // milliseconds (ngx_monotonic_time() in ngx_times.c), on this one thread.
    let (result, turn) =
        unsafe { (libc::clock_gettime(libc::CLOCK_MONOTONIC, &mut time), ngx_current_msec) };
    let millis = Duration::new(time.tv_sec as u64, time.tv_nsec as u32).as_millis();
    let elapsed = (millis as ngx_msec_t).wrapping_sub(turn) as ngx_msec_int_t;
    result == 0 && elapsed >= LONG
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
