//! stream{}.
//!
//! nginx may have it as a module that is loaded before or after this one, or not at all. So nothing of it
//! is linked: modules are found by their names, functions by theirs, when the configuration is read.

use core::ffi::c_void;
use core::{mem, ptr};

use nginx_sys::{
    ngx_array_t, ngx_command_t, ngx_conf_t, ngx_connection_t, ngx_cycle_t, ngx_int_t, ngx_module_t,
    ngx_pool_t, ngx_str_t, ngx_uint_t,
};
use ngx::core::Status;
use ssl_session_cache_core::report;

use crate::attach::Server;
use crate::frontend::block::{Block, Frontend, Names, Socket};
use crate::frontend::tls::{fields, Fields};
use crate::frontend::{hooks, variables};
use crate::net::Resolver;
use crate::nginx::bindings::{
    ngx_stream_conf_ctx_t, ngx_stream_core_main_conf_t, ngx_stream_core_srv_conf_t,
    ngx_stream_module_t, ngx_stream_session_t, ngx_stream_variable_t, NGX_STREAM_MAIN_CONF,
    NGX_STREAM_MODULE, NGX_STREAM_SRV_CONF,
};
use crate::nginx::{borrowed, duration, log, place, symbol};

#[cfg(stream_server_names)]
use self::named as servers;
#[cfg(not(stream_server_names))]
use self::nameless as servers;

#[cfg(stream_server_names)]
mod named;
#[cfg(not(stream_server_names))]
mod nameless;

/// stream{}.
pub(super) struct Stream;

static CONTEXT: ngx_stream_module_t = ngx_stream_module_t {
    preconfiguration: None,
    postconfiguration: Some(postconfiguration),
    create_main_conf: None,
    init_main_conf: Some(hooks::remember_tickets::<Stream>),
    create_srv_conf: Some(hooks::create_server),
    merge_srv_conf: Some(hooks::merge_server),
};

/// Where directives may stand, and where nginx keeps what they say of a server.
const LEVELS: u32 = NGX_STREAM_MAIN_CONF | NGX_STREAM_SRV_CONF;
const OFFSET: usize = mem::offset_of!(ngx_stream_conf_ctx_t, srv_conf);

static mut COMMANDS: [ngx_command_t; 3] =
    [hooks::cache(LEVELS, OFFSET), hooks::tickets(LEVELS, OFFSET), ngx_command_t::empty()];

/// The module as nginx knows it.
#[used]
#[allow(non_upper_case_globals)]
#[cfg_attr(not(feature = "export-modules"), no_mangle)]
pub static mut ngx_stream_ssl_session_cache_module: ngx_module_t = ngx_module_t {
    ctx: ptr::addr_of!(CONTEXT).cast_mut().cast(),
    // SAFETY: only the address is taken; nginx alone writes to the array, before any worker runs.
    commands: unsafe { ptr::addr_of_mut!(COMMANDS[0]) },
    type_: NGX_STREAM_MODULE as ngx_uint_t,

    ..ngx_module_t::default()
};

/// ngx_stream_add_variable() (ngx_stream_variables.h).
type AddVariable =
    unsafe extern "C" fn(*mut ngx_conf_t, *mut ngx_str_t, ngx_uint_t) -> *mut ngx_stream_variable_t;

/// Variables are not added before: where this module was loaded before that of stream{}, nginx has no
/// place for them when it begins to read. It looks for those that the block names once this is done.
unsafe extern "C" fn postconfiguration(cf: *mut ngx_conf_t) -> ngx_int_t {
    // SAFETY: nginx passes its configuration context, with all of stream{} parsed and merged.
    unsafe {
        match add_variables(cf) {
            Some(()) => hooks::postconfiguration::<Stream>(cf),
            None => Status::NGX_ERROR.into(),
        }
    }
}

/// Adds the variables; `None` where nginx refuses, which it has told of.
///
/// # Safety
///
/// The configuration context must be valid.
unsafe fn add_variables(cf: *mut ngx_conf_t) -> Option<()> {
    let add = symbol(c"ngx_stream_add_variable");
    // SAFETY: the function is of this type; a null pointer is `None`.
    let add: Option<AddVariable> = unsafe { mem::transmute(add) };
    // Without it nginx says that it does not know them, where they are used.
    let Some(add) = add else { return Some(()) };
    for (name, handler) in variables::all::<ngx_stream_session_t>() {
        let mut name = borrowed(name.as_bytes());
        // SAFETY: as the caller promises. nginx copies the name, and keeps the variable for as long as the
        // configuration.
        let variable = unsafe { add(cf, &mut name, 0).as_mut()? };
        if variable.get_handler.is_some() {
            // SAFETY: as above.
            let log = unsafe { (*cf).log };
            log!(
                NGX_LOG_EMERG,
                log,
                "the variable \"{name}\" is defined already, expected another name"
            );
            return None;
        }
        variable.get_handler = Some(handler);
    }
    Some(())
}

// SAFETY: a session has a connection, which has a pool (ngx_stream_handler.c).
unsafe impl variables::Scope for ngx_stream_session_t {
    fn connection(&self) -> *mut ngx_connection_t {
        self.connection
    }

    fn pool(&self) -> *mut ngx_pool_t {
        // SAFETY: as above.
        unsafe { (*self.connection).pool }
    }
}

// SAFETY: see ngx_stream.h and ngx_stream_ssl_module.h.
unsafe impl Frontend for Stream {
    const NAME: report::Frontend = report::Frontend::Stream;
    const MODULES: Names = Names {
        block: c"ngx_stream_module",
        core: c"ngx_stream_core_module",
        ssl: c"ngx_stream_ssl_module",
        own: c"ngx_stream_ssl_session_cache_module",
    };
    const TIMEOUT_DIRECTIVE: &'static str = "ssl_handshake_timeout";
    const WAITS_FOR_CLOSE: bool = true;
    const KNOWS_NAMES: bool = true;

    type Main = ngx_stream_core_main_conf_t;
    type Server = ngx_stream_core_srv_conf_t;
    type Ssl = servers::Ssl;

    fn servers(main: &Self::Main) -> &ngx_array_t {
        &main.servers
    }

    fn context(server: &Self::Server) -> *const c_void {
        server.ctx.cast()
    }

    fn tls(conf: &Self::Ssl) -> Fields {
        #[cfg(stream_ocsp)]
        let ocsp = conf.ocsp;
        #[cfg(not(stream_ocsp))]
        let ocsp = 0;
        Fields { ocsp, ..fields!(conf) }
    }

    fn server(
        cycle: &ngx_cycle_t,
        block: &Block<'_, Self>,
        server: &'static Self::Server,
    ) -> Server {
        let tls = block.tls(server);
        Server {
            ctx: tls.ctx(),
            conf: block.conf(server),
            name: servers::name(server),
            // SAFETY: nginx keeps the name of the file as a C string.
            place: unsafe { place(server.file_name, server.line) },
            names: servers::names(cycle, server),
            // SAFETY: the resolver lives as long as the configuration.
            resolver: unsafe { Resolver::new(server.resolver, server.resolver_timeout) },
            handshake_timeout: duration(block.ssl(server).handshake_timeout),
            tls: tls.conf(),
        }
    }

    fn sockets(block: &Block<'_, Self>) -> Vec<Socket<Self::Server>> {
        servers::sockets(block)
    }
}
