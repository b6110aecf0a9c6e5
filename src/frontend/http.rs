//! http{}.

use core::ffi::c_void;
use core::ptr;
use std::collections::BTreeSet;

use nginx_sys::{
    ngx_array_t, ngx_command_t, ngx_conf_t, ngx_connection_t, ngx_cycle_t, ngx_http_add_variable,
    ngx_http_conf_addr_t, ngx_http_conf_ctx_t, ngx_http_conf_port_t, ngx_http_core_loc_conf_t,
    ngx_http_core_main_conf_t, ngx_http_core_srv_conf_t, ngx_http_module_t, ngx_http_request_t,
    ngx_http_server_name_t, ngx_http_ssl_srv_conf_t, ngx_int_t, ngx_module_t, ngx_pool_t,
    ngx_uint_t, NGX_HTTP_MAIN_CONF, NGX_HTTP_MODULE, NGX_HTTP_SRV_CONF, NGX_HTTP_SRV_CONF_OFFSET,
};
use ngx::core::{NgxStr, Status};
use ssl_session_cache_core::report;

use crate::attach::Server;
use crate::frontend::block::{servers, Block, Frontend, Names, Socket};
use crate::frontend::names::{configured, is_regex};
use crate::frontend::tls::{fields, Fields};
use crate::frontend::{hooks, status, variables};
use crate::net::Resolver;
use crate::nginx::{borrowed, duration, place};

/// http{}.
pub(super) struct Http;

static CONTEXT: ngx_http_module_t = ngx_http_module_t {
    preconfiguration: Some(add_variables),
    postconfiguration: Some(hooks::postconfiguration::<Http>),
    create_main_conf: None,
    init_main_conf: Some(hooks::remember_tickets::<Http>),
    create_srv_conf: Some(hooks::create_server),
    merge_srv_conf: Some(hooks::merge_server),
    create_loc_conf: None,
    merge_loc_conf: None,
};

/// Where directives may stand, and where nginx keeps what they say of a server.
const LEVELS: u32 = NGX_HTTP_MAIN_CONF | NGX_HTTP_SRV_CONF;
const OFFSET: usize = NGX_HTTP_SRV_CONF_OFFSET;

static mut COMMANDS: [ngx_command_t; 4] = [
    hooks::cache(LEVELS, OFFSET),
    hooks::tickets(LEVELS, OFFSET),
    status::COMMAND,
    ngx_command_t::empty(),
];

/// The module as nginx knows it.
#[used]
#[allow(non_upper_case_globals)]
#[cfg_attr(not(feature = "export-modules"), no_mangle)]
pub static mut ngx_http_ssl_session_cache_module: ngx_module_t = ngx_module_t {
    ctx: ptr::addr_of!(CONTEXT).cast_mut().cast(),
    // SAFETY: only the address is taken; nginx alone writes to the array, before any worker runs.
    commands: unsafe { ptr::addr_of_mut!(COMMANDS[0]) },
    type_: NGX_HTTP_MODULE as ngx_uint_t,

    ..ngx_module_t::default()
};

unsafe extern "C" fn add_variables(cf: *mut ngx_conf_t) -> ngx_int_t {
    for (name, handler) in variables::all::<ngx_http_request_t>() {
        let mut name = borrowed(name.as_bytes());
        // SAFETY: nginx passes its configuration context. It copies the name, and keeps the variable for
        // as long as the configuration.
        match unsafe { ngx_http_add_variable(cf, &mut name, 0).as_mut() } {
            Some(variable) => variable.get_handler = Some(handler),
            None => return Status::NGX_ERROR.into(),
        }
    }
    Status::NGX_OK.into()
}

// SAFETY: a request has a connection and a pool.
unsafe impl variables::Scope for ngx_http_request_t {
    fn connection(&self) -> *mut ngx_connection_t {
        self.connection
    }

    fn pool(&self) -> *mut ngx_pool_t {
        self.pool
    }
}

// SAFETY: see ngx_http_core_module.h and ngx_http_ssl_module.h.
unsafe impl Frontend for Http {
    const NAME: report::Frontend = report::Frontend::Http;
    const MODULES: Names = Names {
        block: c"ngx_http_module",
        core: c"ngx_http_core_module",
        ssl: c"ngx_http_ssl_module",
        own: c"ngx_http_ssl_session_cache_module",
    };
    const TIMEOUT_DIRECTIVE: &'static str = "client_header_timeout";
    const WAITS_FOR_CLOSE: bool = false;
    const KNOWS_NAMES: bool = true;

    type Main = ngx_http_core_main_conf_t;
    type Server = ngx_http_core_srv_conf_t;
    type Ssl = ngx_http_ssl_srv_conf_t;

    fn servers(main: &Self::Main) -> &ngx_array_t {
        &main.servers
    }

    fn context(server: &Self::Server) -> *const c_void {
        server.ctx.cast()
    }

    fn tls(conf: &Self::Ssl) -> Fields {
        Fields { early_data: conf.early_data, ocsp: conf.ocsp, ..fields!(conf) }
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
            names: names(cycle, server),
            resolver: resolver(block, server),
            handshake_timeout: duration(server.client_header_timeout),
            tls: tls.conf(),
        }
    }

    fn sockets(block: &Block<'_, Self>) -> Vec<Socket<Self::Server>> {
        // SAFETY: null without a `listen`, else an array of ports, each with an array of addresses.
        unsafe { block.main().ports.as_ref() }
            .into_iter()
            .flat_map(|ports| unsafe { ports.as_slice::<ngx_http_conf_port_t>() })
            .flat_map(|port| unsafe { port.addrs.as_slice::<ngx_http_conf_addr_t>() })
            .filter(|address| has_tls(address))
            .map(socket)
            .collect()
    }
}

/// The names of a server, as they are configured.
fn names(cycle: &ngx_cycle_t, server: &ngx_http_core_srv_conf_t) -> BTreeSet<Vec<u8>> {
    // SAFETY: the array holds names.
    let names = unsafe { server.server_names.as_slice::<ngx_http_server_name_t>() };
    names.iter().map(|name| configured(cycle, &name.name, is_regex!(name))).collect()
}

/// The `resolver` of a server.
fn resolver(block: &Block<'_, Http>, server: &ngx_http_core_srv_conf_t) -> Option<Resolver> {
    // SAFETY: the type is that of ngx_http_core_module's location configuration, which a server
    // has, merged with that of http{}; the resolver lives as long.
    unsafe {
        let context = &*server.ctx.cast::<ngx_http_conf_ctx_t>();
        let conf = (*context.loc_conf.add(block.core.ctx_index)).cast::<ngx_http_core_loc_conf_t>();
        Resolver::new((*conf).resolver, (*conf).resolver_timeout)
    }
}

fn socket(address: &ngx_http_conf_addr_t) -> Socket<ngx_http_core_srv_conf_t> {
    // SAFETY: an address has a default server and an array of pointers to servers.
    let (default, servers) =
        unsafe { (&*address.default_server, servers(&address.servers).collect()) };
    Socket { address: address.opt.addr_text.to_string(), default, servers }
}

/// Whether an address is for TLS, over TCP or QUIC.
fn has_tls(address: &ngx_http_conf_addr_t) -> bool {
    #[cfg(http_quic)]
    if address.opt.quic() != 0 {
        return true;
    }
    address.opt.ssl() != 0
}
