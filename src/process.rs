//! What nginx has the module do when a configuration comes into use, and when a worker starts and
//! exits.

use std::rc::Rc;

use nginx_sys::{ngx_cycle_t, ngx_int_t, ngx_test_config};
use ngx::core::Status;

use crate::conf::CycleConf;
use crate::nginx::{log, process_serves_clients};
use crate::store::{Store, StoreConf};
use crate::{attach, counters, handshake};

pub(crate) unsafe extern "C" fn init_module(cycle: *mut ngx_cycle_t) -> ngx_int_t {
    // SAFETY: nginx passes its current cycle, and writes to the flag on this one thread.
    let (cycle, is_test) = unsafe { (&*cycle, ngx_test_config != 0) };
    let conf = CycleConf::of(cycle);
    attach::prepare(cycle, conf);
    if !is_test {
        for suspension in conf.suspensions() {
            log!(NGX_LOG_NOTICE, cycle.log, "handshakes are suspended with {suspension}");
        }
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
        let start = |store: Rc<StoreConf>| {
            let started = Store::start(&store, handshake::answered, cycle.log);
            (store, started)
        };
        conf.use_stores(stores.into_iter().map(start).collect());
    }
    Status::NGX_OK.into()
}

pub(crate) unsafe extern "C" fn exit_process(cycle: *mut ngx_cycle_t) {
    // SAFETY: nginx passes its current cycle.
    let conf = CycleConf::of(unsafe { &*cycle });
    conf.stop_stores();
    counters::leave();
}
