//! An nginx module that lets a TLS session made on one machine be resumed on every other machine
//! of the fleet, through Redis or Memcached, without ever blocking a worker.
//!
//! This file holds the module's table and its process hooks. The parts, each of which uses those
//! behind it only: `frontend` (what nginx's http{} calls servers and listeners, the variables and the
//! status page), `attach` (the cache put into SSL_CTXs), `conf` (the directive), `handshake`
//! (OpenSSL's session callbacks), `store` (the client of a store), `counters` and `net` (a connection
//! on nginx's event loop), and the edge, `openssl` and `nginx`.

use core::ffi::{c_char, c_void};
use core::ptr;
use std::rc::Rc;

use nginx_sys::{
    ngx_conf_t, ngx_cycle_t, ngx_http_module_t, ngx_int_t, ngx_module_t, ngx_test_config,
    ngx_uint_t, NGX_HTTP_MODULE,
};
use ngx::core::{Status, NGX_CONF_OK};
use ngx::http::{HttpModule, HttpModuleMainConf, HttpModuleServerConf};

use crate::conf::{MainConf, ServerConf, COMMANDS};
use crate::nginx::log;
use crate::store::Store;

mod attach;
mod conf;
mod counters;
mod frontend;
mod handshake;
mod net;
mod nginx;
mod openssl;
mod store;

struct Module;

static MODULE_CTX: ngx_http_module_t = ngx_http_module_t {
    preconfiguration: Some(Module::preconfiguration),
    postconfiguration: Some(Module::postconfiguration),
    create_main_conf: Some(Module::create_main_conf),
    init_main_conf: Some(Module::init_main_conf),
    create_srv_conf: Some(Module::create_srv_conf),
    merge_srv_conf: Some(Module::merge_srv_conf),
    create_loc_conf: None,
    merge_loc_conf: None,
};

/// The module as nginx knows it.
#[used]
#[allow(non_upper_case_globals)]
#[cfg_attr(not(feature = "export-modules"), no_mangle)]
pub static mut ngx_http_ssl_session_cache_module: ngx_module_t = ngx_module_t {
    ctx: ptr::addr_of!(MODULE_CTX).cast_mut().cast(),
    // SAFETY: only the address is taken; nginx alone writes to the array, before any worker runs.
    commands: unsafe { ptr::addr_of_mut!(COMMANDS[0]) },
    type_: NGX_HTTP_MODULE as ngx_uint_t,

    init_module: Some(init_module),
    init_process: Some(init_process),
    exit_process: Some(exit_process),

    ..ngx_module_t::default()
};

/// The tables by which nginx finds the modules of a shared object (src/core/ngx_module.c), made by
/// nginx's own build where that builds the module.
#[cfg(feature = "export-modules")]
mod export {
    use core::ffi::c_char;
    use core::ptr;

    use nginx_sys::ngx_module_t;

    const NAME: &core::ffi::CStr = c"ngx_http_ssl_session_cache_module";

    #[no_mangle]
    #[allow(non_upper_case_globals)]
    static mut ngx_modules: [*const ngx_module_t; 2] =
        [ptr::addr_of!(super::ngx_http_ssl_session_cache_module), ptr::null()];

    #[no_mangle]
    #[allow(non_upper_case_globals)]
    static mut ngx_module_names: [*const c_char; 2] = [NAME.as_ptr(), ptr::null()];

    // Before ngx_http_ssl_module: what is configured there must be seen before it is merged with
    // its defaults.
    #[no_mangle]
    #[allow(non_upper_case_globals)]
    static mut ngx_module_order: [*const c_char; 3] =
        [NAME.as_ptr(), c"ngx_http_ssl_module".as_ptr(), ptr::null()];
}

// SAFETY: create_main_conf() makes a MainConf.
unsafe impl HttpModuleMainConf for Module {
    type MainConf = MainConf;
}

// SAFETY: create_srv_conf() makes a ServerConf.
unsafe impl HttpModuleServerConf for Module {
    type ServerConf = ServerConf;
}

impl HttpModule for Module {
    fn module() -> &'static ngx_module_t {
        // SAFETY: nginx writes to the module only while it reads its configuration, on the one
        // thread there is, and never while this reference is used.
        unsafe { &*ptr::addr_of!(ngx_http_ssl_session_cache_module) }
    }

    unsafe extern "C" fn preconfiguration(cf: *mut ngx_conf_t) -> ngx_int_t {
        // SAFETY: nginx passes its configuration context.
        match frontend::variables::add(unsafe { &mut *cf }) {
            Some(()) => Status::NGX_OK.into(),
            None => Status::NGX_ERROR.into(),
        }
    }

    unsafe extern "C" fn init_main_conf(cf: *mut ngx_conf_t, _conf: *mut c_void) -> *mut c_char {
        // SAFETY: nginx passes its configuration context, with every server of http{} parsed.
        unsafe { frontend::tickets::remember_requests(&mut *cf) };
        NGX_CONF_OK
    }

    unsafe extern "C" fn postconfiguration(cf: *mut ngx_conf_t) -> ngx_int_t {
        // SAFETY: nginx passes its configuration context, with all of http{} parsed and merged.
        match attach::attach(unsafe { &mut *cf }) {
            Ok(()) => Status::NGX_OK.into(),
            Err(conf::Reported) => Status::NGX_ERROR.into(),
        }
    }
}

extern "C" fn init_module(cycle: *mut ngx_cycle_t) -> ngx_int_t {
    // SAFETY: nginx passes its current cycle, and writes to the flag on this one thread.
    let (cycle, is_test) = unsafe { (&*cycle, ngx_test_config != 0) };
    let Some(conf) = Module::main_conf(cycle) else { return Status::NGX_OK.into() };
    attach::prepare(cycle, conf);
    if !is_test {
        for suspension in conf.suspensions() {
            log!(NGX_LOG_NOTICE, cycle.log, "handshakes are suspended with {suspension}");
        }
        if let Some(stores) = &conf.counted {
            counters::configure(stores);
        }
    }
    Status::NGX_OK.into()
}

extern "C" fn init_process(cycle: *mut ngx_cycle_t) -> ngx_int_t {
    // SAFETY: nginx passes its current cycle.
    let cycle = unsafe { &*cycle };
    if nginx::process_serves_clients() {
        if let Some(conf) = Module::main_conf(cycle) {
            if conf.stores().next().is_some() {
                counters::enter();
            }
            for store in conf.stores() {
                let started = Store::start(store, handshake::answered, cycle.log);
                conf.use_store(store, Some(&Rc::new(started)));
            }
        }
    }
    Status::NGX_OK.into()
}

extern "C" fn exit_process(cycle: *mut ngx_cycle_t) {
    // SAFETY: nginx passes its current cycle.
    if let Some(conf) = Module::main_conf(unsafe { &*cycle }) {
        conf.stores().for_each(|store| conf.use_store(store, None));
        counters::leave();
    }
}
