//! What nginx calls while it reads http{}, stream{} or mail{}, the same for all of them.

use core::ffi::{c_char, c_void};

use nginx_sys::ngx_conf_t;
use ngx::core::{Pool, NGX_CONF_OK};

use crate::conf::ServerConf;
use crate::frontend::block::{Block, Frontend};

/// Makes what is kept of our directives for a block, or for a server.
pub(super) unsafe extern "C" fn create_server(cf: *mut ngx_conf_t) -> *mut c_void {
    // SAFETY: nginx passes its configuration context, whose pool drops the value when it goes.
    unsafe { Pool::from_ngx_pool((*cf).pool) }.allocate(ServerConf::default()).cast()
}

/// Has a server inherit what it does not say itself.
pub(super) unsafe extern "C" fn merge_server(
    _cf: *mut ngx_conf_t,
    outer: *mut c_void,
    server: *mut c_void,
) -> *mut c_char {
    // SAFETY: nginx passes what create_server() has made for the block and for the server.
    unsafe { (*server.cast::<ServerConf>()).inherit(&*outer.cast::<ServerConf>()) };
    NGX_CONF_OK
}

/// Remembers what servers say of stateless tickets themselves.
///
/// Called before nginx's TLS module merges its configuration (see `ngx_module_order`).
pub(super) unsafe extern "C" fn remember_tickets<F: Frontend>(
    cf: *mut ngx_conf_t,
    _main: *mut c_void,
) -> *mut c_char {
    // SAFETY: nginx passes its configuration context, that of the block, with every server parsed.
    if let Some(block) = unsafe { Block::<F>::being_read(&*cf) } {
        let outer = block.outer_tls().said();
        for server in block.servers() {
            let said = block.tls(server).said().or(outer);
            block.conf(server).nginx_tickets.set(said.in_all());
        }
    }
    NGX_CONF_OK
}
