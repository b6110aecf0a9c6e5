//! The directives, and what nginx calls while it reads http{}, stream{} or mail{}: the same for all of
//! them.

use core::ffi::{c_char, c_void};
use core::ptr;
use std::collections::BTreeMap;

use nginx_sys::{
    ngx_command_t, ngx_conf_t, ngx_cycle_t, ngx_int_t, ngx_uint_t, NGX_CONF_1MORE, NGX_CONF_TAKE12,
};
use ngx::core::{Pool, Status, NGX_CONF_ERROR, NGX_CONF_OK};
use ngx::ngx_string;

use crate::attach::{self, Listener, Servers};
use crate::conf::{set_cache, set_tickets, Reported, ServerConf};
use crate::frontend::block::{Block, Frontend, Socket};

/// The directive of the cache, for these levels of the configuration; nginx keeps what it has for a server
/// at this place of a context.
pub(super) const fn cache(levels: u32, offset: usize) -> ngx_command_t {
    ngx_command_t {
        name: ngx_string!("remote_ssl_session_cache"),
        type_: (levels | NGX_CONF_1MORE) as ngx_uint_t,
        set: Some(set_cache),
        conf: offset,
        ..ngx_command_t::empty()
    }
}

/// That of ticket keys, as [`cache`].
pub(super) const fn tickets(levels: u32, offset: usize) -> ngx_command_t {
    ngx_command_t {
        name: ngx_string!("remote_ssl_session_tickets"),
        type_: (levels | NGX_CONF_TAKE12) as ngx_uint_t,
        set: Some(set_tickets),
        conf: offset,
        ..ngx_command_t::empty()
    }
}

/// Makes what is kept of our directives for a block, or for a server.
pub(super) unsafe extern "C" fn create_server(cf: *mut ngx_conf_t) -> *mut c_void {
    // SAFETY: nginx passes its configuration context, whose pool drops the value when it goes.
    unsafe { Pool::from_ngx_pool((*cf).pool) }.allocate(ServerConf::default()).cast()
}

/// Has a server inherit what it does not say itself.
pub(super) unsafe extern "C" fn merge_server(
    cf: *mut ngx_conf_t,
    outer: *mut c_void,
    server: *mut c_void,
) -> *mut c_char {
    // SAFETY: nginx passes its configuration context, and what create_server() has made for the block and
    // for the server.
    let (cf, outer, server) =
        unsafe { (&mut *cf, &*outer.cast::<ServerConf>(), &mut *server.cast::<ServerConf>()) };
    match server.inherit(cf, outer) {
        Ok(()) => NGX_CONF_OK,
        Err(Reported) => NGX_CONF_ERROR,
    }
}

/// Remembers what servers say of stateless tickets themselves.
///
/// Called before nginx's TLS module merges its configuration (see `ngx_module_order`).
pub(super) unsafe extern "C" fn remember_tickets<F: Frontend>(
    cf: *mut ngx_conf_t,
    _main: *mut c_void,
) -> *mut c_char {
    // SAFETY: nginx passes its configuration context, with every server parsed, and reads a configuration
    // for a cycle.
    if let Some(block) = Block::<F>::of(unsafe { &*(*cf).cycle }) {
        let outer = block.outer_tls().said();
        for server in block.servers() {
            let said = block.tls(server).said().or(outer);
            block.conf(server).nginx_tickets.set(said.in_all());
        }
    }
    NGX_CONF_OK
}

/// nginx has read all of a block and merged it: attaches the cache to its servers.
pub(super) unsafe extern "C" fn postconfiguration<F: Frontend>(cf: *mut ngx_conf_t) -> ngx_int_t {
    // SAFETY: nginx passes its configuration context, and reads a configuration for a cycle.
    match attach::<F>(unsafe { &*(*cf).cycle }) {
        Ok(()) => Status::NGX_OK.into(),
        Err(Reported) => Status::NGX_ERROR.into(),
    }
}

/// Attaches the cache to the servers of a block, where the configuration has one.
pub(super) fn attach<F: Frontend>(cycle: &ngx_cycle_t) -> Result<(), Reported> {
    match Block::of(cycle) {
        Some(block) => attach::attach(cycle, &servers::<F>(cycle, &block)),
        None => Ok(()),
    }
}

fn servers<F: Frontend>(cycle: &ngx_cycle_t, block: &Block<'_, F>) -> Servers {
    let numbers: BTreeMap<*const F::Server, usize> = block
        .servers()
        .enumerate()
        .map(|(number, server)| (ptr::from_ref(server), number))
        .collect();
    let number = |server: &F::Server| numbers[&ptr::from_ref(server)];
    let listener = |socket: Socket<F::Server>| Listener {
        address: socket.address,
        default: number(socket.default),
        servers: socket.servers.into_iter().map(number).collect(),
    };
    Servers {
        frontend: F::NAME,
        wait_for_close: F::WAITS_FOR_CLOSE,
        know_names: F::KNOWS_NAMES,
        listeners: F::sockets(block).into_iter().map(listener).collect(),
        servers: block.servers().map(|server| F::server(cycle, block, server)).collect(),
        timeout_directive: F::TIMEOUT_DIRECTIVE,
    }
}
