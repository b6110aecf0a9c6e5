//! mail{}.
//!
//! As stream{}, nginx may have it as a module of its own, or not at all: nothing of it is linked.

use core::ffi::c_void;
use core::{mem, ptr};
use std::collections::BTreeSet;

use nginx_sys::{ngx_array_t, ngx_command_t, ngx_cycle_t, ngx_module_t, ngx_uint_t};
use ngx::core::NgxStr;
use ssl_session_cache_core::report;

use crate::attach::Server;
use crate::conf::Reported;
use crate::frontend::block::{Block, Frontend, Names, Socket};
use crate::frontend::hooks;
use crate::frontend::names::configured;
use crate::frontend::tls::{fields, Fields};
use crate::net::Resolver;
use crate::nginx::bindings::{
    ngx_mail_conf_ctx_t, ngx_mail_core_main_conf_t, ngx_mail_core_srv_conf_t, ngx_mail_listen_t,
    ngx_mail_module_t, ngx_mail_ssl_conf_t, NGX_MAIL_MAIN_CONF, NGX_MAIL_MODULE, NGX_MAIL_SRV_CONF,
};
use crate::nginx::{duration, place};

/// mail{}.
pub(super) struct Mail;

/// The module's hooks, as a static: they have a pointer.
#[repr(transparent)]
struct Hooks(ngx_mail_module_t);

// SAFETY: nginx only reads it.
unsafe impl Sync for Hooks {}

static CONTEXT: Hooks = Hooks(ngx_mail_module_t {
    protocol: ptr::null_mut(),
    create_main_conf: None,
    init_main_conf: Some(hooks::remember_tickets::<Mail>),
    create_srv_conf: Some(hooks::create_server),
    merge_srv_conf: Some(hooks::merge_server),
});

/// Where directives may stand, and where nginx keeps what they say of a server.
const LEVELS: u32 = NGX_MAIL_MAIN_CONF | NGX_MAIL_SRV_CONF;
const OFFSET: usize = mem::offset_of!(ngx_mail_conf_ctx_t, srv_conf);

static mut COMMANDS: [ngx_command_t; 3] =
    [hooks::cache(LEVELS, OFFSET), hooks::tickets(LEVELS, OFFSET), ngx_command_t::empty()];

/// The module as nginx knows it.
#[used]
#[allow(non_upper_case_globals)]
#[cfg_attr(not(feature = "export-modules"), no_mangle)]
pub static mut ngx_mail_ssl_session_cache_module: ngx_module_t = ngx_module_t {
    ctx: ptr::addr_of!(CONTEXT).cast_mut().cast(),
    // SAFETY: only the address is taken; nginx alone writes to the array, before any worker runs.
    commands: unsafe { ptr::addr_of_mut!(COMMANDS[0]) },
    type_: NGX_MAIL_MODULE as ngx_uint_t,

    ..ngx_module_t::default()
};

/// Attaches the cache to the servers of mail{}. nginx does not say when that has been read, but when all
/// of the configuration has.
pub(crate) fn attach(cycle: &ngx_cycle_t) -> Result<(), Reported> {
    hooks::attach::<Mail>(cycle)
}

// SAFETY: see ngx_mail.h and ngx_mail_ssl_module.h.
unsafe impl Frontend for Mail {
    const NAME: report::Frontend = report::Frontend::Mail;
    const MODULES: Names = Names {
        block: c"ngx_mail_module",
        core: c"ngx_mail_core_module",
        ssl: c"ngx_mail_ssl_module",
        own: c"ngx_mail_ssl_session_cache_module",
    };
    const TIMEOUT_DIRECTIVE: &'static str = "timeout";
    const WAITS_FOR_CLOSE: bool = true;
    const KNOWS_NAMES: bool = false;

    type Main = ngx_mail_core_main_conf_t;
    type Server = ngx_mail_core_srv_conf_t;
    type Ssl = ngx_mail_ssl_conf_t;

    fn servers(main: &Self::Main) -> &ngx_array_t {
        &main.servers
    }

    fn context(server: &Self::Server) -> *const c_void {
        server.ctx.cast()
    }

    fn tls(conf: &Self::Ssl) -> Fields {
        fields!(conf)
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
            name: NgxStr::from_bytes(server.server_name.as_bytes()),
            // SAFETY: nginx keeps the name of the file as a C string.
            place: unsafe { place(server.file_name, server.line) },
            names: BTreeSet::from([configured(cycle, &server.server_name, false)]),
            // SAFETY: the resolver lives as long as the configuration.
            resolver: unsafe { Resolver::new(server.resolver, server.resolver_timeout) },
            handshake_timeout: duration(server.timeout),
            tls: tls.conf(),
        }
    }

    /// Those of the servers that have TLS, from the start or after STARTTLS: each socket has one server. One
    /// without either, beside others of its server, makes no handshakes.
    fn sockets(block: &Block<'_, Self>) -> Vec<Socket<Self::Server>> {
        // SAFETY: an array of what is listened on, each with the context of its server.
        unsafe {
            let listens = block.main().listen.as_slice::<ngx_mail_listen_t>();
            let sockets = listens
                .iter()
                .map(|listen| block.socket_of_one(&listen.addr_text, listen.ctx.cast()));
            sockets.filter(|socket| block.tls(socket.default).ctx().is_some()).collect()
        }
    }
}
