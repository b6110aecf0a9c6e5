//! What nginx has the module do when a configuration comes into use, and when a worker starts and
//! exits.

use core::ffi::{c_char, c_void};
use core::ptr;
use std::rc::Rc;

use nginx_sys::{ngx_cycle_t, ngx_int_t, ngx_test_config};
use ngx::core::{Status, NGX_CONF_ERROR, NGX_CONF_OK};
use ssl_session_cache_core::server::{Addition, Lookup};
use ssl_session_cache_core::Instant;

use crate::conf::{CycleConf, Reported};
use crate::frontend::mail;
use crate::nginx::{log, process_serves_clients};
use crate::store::{Asker, Store, StoreConf, Tell};
use crate::{attach, counters, handshake, tickets};

/// What the module is, for its notice at the start, and for `strings` of the file that it is loaded from:
/// the bracket ends it there.
const RELEASE: &str =
    concat!("version ", env!("CARGO_PKG_VERSION"), " (built for ", env!("NGINX_VERSION"), ")");

/// All of the configuration has been read.
pub(crate) unsafe extern "C" fn init_conf(
    cycle: *mut ngx_cycle_t,
    _conf: *mut c_void,
) -> *mut c_char {
    // SAFETY: nginx passes the cycle that it reads a configuration for.
    let cycle = unsafe { &mut *cycle };
    match mail::attach(cycle).and_then(|()| attach::finish(cycle)) {
        Ok(()) => NGX_CONF_OK,
        Err(Reported) => NGX_CONF_ERROR,
    }
}

pub(crate) unsafe extern "C" fn init_module(cycle: *mut ngx_cycle_t) -> ngx_int_t {
    // SAFETY: nginx passes its current cycle, and writes to the flag on this one thread.
    let (cycle, is_test) = unsafe { (&*cycle, ngx_test_config != 0) };
    let conf = CycleConf::of(cycle);
    attach::prepare_suspensions(cycle, conf);
    if !is_test {
        log!(NGX_LOG_NOTICE, cycle.log, "module {RELEASE}");
        attach::tell_suspensions(cycle, conf);
        conf.start_counting(cycle);
    }
    Status::NGX_OK.into()
}

pub(crate) unsafe extern "C" fn init_process(cycle: *mut ngx_cycle_t) -> ngx_int_t {
    // SAFETY: nginx passes its current cycle.
    let cycle = unsafe { &*cycle };
    let conf = CycleConf::of(cycle);
    let stores = conf.stores();
    if process_serves_clients() && !stores.is_empty() {
        counters::enter();
        let mut started: Vec<(Rc<StoreConf>, Rc<Store>)> = Vec::new();
        for conf in stores {
            // It stands before.
            let is_fallback = |(other, _): &&(Rc<StoreConf>, _)| {
                conf.fallback().is_some_and(|fallback| ptr::eq(fallback, &**other))
            };
            let fallback = started.iter().find(is_fallback).map(|(_, store)| Rc::clone(store));
            let store = Store::start(&conf, fallback, TELL, cycle.log);
            started.push((conf, store));
        }
        conf.use_stores(started, cycle);
    }
    Status::NGX_OK.into()
}

/// How those are told who ask a store.
const TELL: Tell = Tell { is_awaited, looked_up, added, reconnected: tickets::reconnected };

fn is_awaited(asker: Asker) -> bool {
    match asker {
        Asker::Handshake(id) => handshake::is_awaited(id),
        Asker::Keeper(id) => tickets::is_awaited(id),
    }
}

fn looked_up(asker: Asker, lookup: Lookup<'_>, now: Instant) {
    match asker {
        Asker::Handshake(id) => handshake::answered(id, lookup, now),
        Asker::Keeper(id) => tickets::answered(id, lookup),
    }
}

fn added(asker: Asker, addition: Addition, now: Instant) {
    match asker {
        Asker::Handshake(id) => handshake::claim_answered(id, addition, now),
        Asker::Keeper(id) => tickets::added(id, addition),
    }
}

pub(crate) unsafe extern "C" fn exit_process(cycle: *mut ngx_cycle_t) {
    // SAFETY: nginx passes its current cycle.
    let conf = CycleConf::of(unsafe { &*cycle });
    conf.stop_stores();
    counters::leave();
}
