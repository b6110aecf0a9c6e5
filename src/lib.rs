//! An nginx module that lets a TLS session made on one machine be resumed on every other machine
//! of the fleet, through Redis or Memcached, without ever blocking a worker.
//!
//! This file holds the tables by which nginx finds the modules. The parts, each of which uses those
//! behind it only: `process` (what happens when a worker starts and exits), `frontend` (what nginx's
//! http{}, stream{} and mail{} call servers and sockets, their modules, the variables and the status
//! page), `attach` (the
//! cache put into SSL_CTXs), `conf` (the directive and the block of a store), `handshake` (OpenSSL's
//! session and ticket callbacks), `tickets` (the ticket keys of the fleet), `store` (the client of a
//! store), `counters` and `net` (a connection on nginx's event loop), and the edge, `nginx` and
//! `openssl`.

use core::ptr;

use nginx_sys::{ngx_core_module_t, ngx_module_t, ngx_uint_t, NGX_CORE_MODULE};
use ngx::ngx_string;

mod attach;
mod conf;
mod counters;
mod frontend;
mod handshake;
mod net;
mod nginx;
mod openssl;
mod process;
mod store;
mod tickets;

/// What nginx calls for a configuration as a whole.
static mut CORE: ngx_core_module_t = ngx_core_module_t {
    name: ngx_string!("ssl_session_cache"),
    create_conf: Some(conf::create),
    init_conf: Some(process::init_conf),
};

/// What http{}, stream{} and mail{} share, as nginx knows it. Their modules are in `frontend`.
#[used]
#[allow(non_upper_case_globals)]
#[cfg_attr(not(feature = "export-modules"), no_mangle)]
pub static mut ngx_ssl_session_cache_module: ngx_module_t = ngx_module_t {
    ctx: ptr::addr_of_mut!(CORE).cast(),
    // SAFETY: only the address is taken; nginx alone writes to the array, before any worker runs.
    commands: unsafe { ptr::addr_of_mut!(conf::COMMANDS[0]) },
    type_: NGX_CORE_MODULE as ngx_uint_t,

    init_module: Some(process::init_module),
    init_process: Some(process::init_process),
    exit_process: Some(process::exit_process),

    ..ngx_module_t::default()
};

/// The tables by which nginx finds the modules of a shared object (src/core/ngx_module.c), made by
/// nginx's own build where that builds the module.
#[cfg(feature = "export-modules")]
mod export {
    use core::ffi::{c_char, CStr};
    use core::ptr;

    use nginx_sys::ngx_module_t;

    use crate::frontend::http::ngx_http_ssl_session_cache_module;
    use crate::frontend::mail::ngx_mail_ssl_session_cache_module;
    use crate::frontend::stream::ngx_stream_ssl_session_cache_module;

    const HTTP: &CStr = c"ngx_http_ssl_session_cache_module";
    const MAIL: &CStr = c"ngx_mail_ssl_session_cache_module";
    const STREAM: &CStr = c"ngx_stream_ssl_session_cache_module";
    const CORE: &CStr = c"ngx_ssl_session_cache_module";

    #[no_mangle]
    #[allow(non_upper_case_globals)]
    static mut ngx_modules: [*const ngx_module_t; 5] = [
        ptr::addr_of!(ngx_http_ssl_session_cache_module),
        ptr::addr_of!(ngx_mail_ssl_session_cache_module),
        ptr::addr_of!(ngx_stream_ssl_session_cache_module),
        ptr::addr_of!(super::ngx_ssl_session_cache_module),
        ptr::null(),
    ];

    #[no_mangle]
    #[allow(non_upper_case_globals)]
    static mut ngx_module_names: [*const c_char; 5] =
        [HTTP.as_ptr(), MAIL.as_ptr(), STREAM.as_ptr(), CORE.as_ptr(), ptr::null()];

    // Each before nginx's own TLS module: what is configured there must be seen before it is merged
    // with its defaults. A module is put before all that follow it here. Where nginx's is loaded after
    // this one, it comes after it anyway.
    #[no_mangle]
    #[allow(non_upper_case_globals)]
    static mut ngx_module_order: [*const c_char; 7] = [
        HTTP.as_ptr(),
        c"ngx_http_ssl_module".as_ptr(),
        MAIL.as_ptr(),
        c"ngx_mail_ssl_module".as_ptr(),
        STREAM.as_ptr(),
        c"ngx_stream_ssl_module".as_ptr(),
        ptr::null(),
    ];
}
