//! The lines in nginx's log about ticket keys.

use nginx_sys::ngx_log_t;
use ssl_session_cache_core::session::sealed::OpenError;
use ssl_session_cache_core::ticket::{Epoch, Origin};

use crate::nginx::log;
use crate::tickets::TicketsConf;

/// The store tells the keys again, after one from here was in use. At the level of the line that told
/// that.
pub(super) fn in_step(log: *mut ngx_log_t, conf: &TicketsConf, before: Origin) {
    let store = conf.store_name();
    match before {
        Origin::Own => {
            log!(NGX_LOG_ERR, log, "the ticket keys in {store} are in use again");
        }
        _ => {
            log!(NGX_LOG_WARN, log, "the ticket keys in {store} are in use again");
        }
    }
}

/// The store has not told the key of this epoch, but one before.
pub(super) fn derived(log: *mut ngx_log_t, conf: &TicketsConf) {
    log!(
        NGX_LOG_WARN,
        log,
        "{} does not tell the ticket key that is due: one is in use that is derived of the key \
         before it, as on all machines that know that one",
        conf.store_name()
    );
}

/// The store has told no key.
pub(super) fn own(log: *mut ngx_log_t, conf: &TicketsConf) {
    log!(
        NGX_LOG_ERR,
        log,
        "{} does not tell the ticket keys of the fleet: this machine makes its own, and its tickets \
         are opened by no other until they are told",
        conf.store_name()
    );
}

/// What lies in the store as the key of an epoch is not to be opened.
pub(super) fn unusable(log: *mut ngx_log_t, conf: &TicketsConf, epoch: Epoch, error: OpenError) {
    let store = conf.store_name();
    let epoch = epoch.0;
    if error.is_damage() {
        log!(
            NGX_LOG_ERR,
            log,
            "the ticket key of epoch {epoch} in {store} is damaged or forged ({error}): it is not used, \
             and stays there until it is deleted or its time is over"
        );
    } else {
        log!(
            NGX_LOG_WARN,
            log,
            "the ticket key of epoch {epoch} in {store} is of no use to this version ({error})"
        );
    }
}

/// Another machine has made a key by a clock that is so many seconds ahead.
pub(super) fn clock_behind(log: *mut ngx_log_t, conf: &TicketsConf, seconds: u64) {
    log!(
        NGX_LOG_WARN,
        log,
        "the clock of another machine with the ticket keys in {} is {seconds} seconds ahead of this \
         one's: as long as they differ by so much, tickets of the one may not be opened by the other",
        conf.store_name()
    );
}

/// No such key is in use any more.
pub(super) fn clock_right(log: *mut ngx_log_t, conf: &TicketsConf) {
    log!(
        NGX_LOG_WARN,
        log,
        "no clock of another machine with the ticket keys in {} is ahead of this one's any more",
        conf.store_name()
    );
}
