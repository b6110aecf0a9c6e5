//! nginx's clocks.

use core::cell::Cell;
use core::time::Duration;

use nginx_sys::{ngx_cached_time, ngx_current_msec, ngx_msec_int_t, ngx_msec_t};
use ssl_session_cache_core::Instant;

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

/// The Unix time in seconds, as nginx keeps it for each turn of its event loop.
pub(crate) fn unix_time() -> i64 {
    // SAFETY: nginx sets the time before it reads its configuration.
    unsafe { (*ngx_cached_time).sec }
}

/// The same, where a clock before 1970 is at its beginning.
pub(crate) fn unix_seconds() -> u64 {
    unix_time().max(0) as u64
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

/// A time that nginx has read from a configuration.
pub(crate) fn duration(time: ngx_msec_t) -> Duration {
    Duration::from_millis(time as u64)
}
