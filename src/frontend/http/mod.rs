//! The module of http{}: its directives, what it keeps of servers, and when the cache is attached.

use core::ffi::{c_char, c_void};
use core::ptr;

use nginx_sys::{
    ngx_command_t, ngx_conf_t, ngx_http_core_srv_conf_t, ngx_http_module_t, ngx_int_t,
    ngx_module_t, ngx_uint_t, NGX_CONF_1MORE, NGX_CONF_TAKE12, NGX_HTTP_MAIN_CONF, NGX_HTTP_MODULE,
    NGX_HTTP_SRV_CONF, NGX_HTTP_SRV_CONF_OFFSET,
};
use ngx::core::{Status, NGX_CONF_OK};
use ngx::http::{HttpModule, HttpModuleServerConf};
use ngx::ngx_string;

use crate::attach::Server;
use crate::conf::{set_cache, set_tickets, Reported, ServerConf};
use crate::frontend::{attach, status, variables, Frontend, Socket};

use self::tickets::said;

mod servers;
mod tickets;

/// http{}.
struct Http;

static CONTEXT: ngx_http_module_t = ngx_http_module_t {
    preconfiguration: Some(Http::preconfiguration),
    postconfiguration: Some(Http::postconfiguration),
    create_main_conf: None,
    init_main_conf: Some(remember_tickets),
    create_srv_conf: Some(Http::create_srv_conf),
    merge_srv_conf: Some(Http::merge_srv_conf),
    create_loc_conf: None,
    merge_loc_conf: None,
};

static mut COMMANDS: [ngx_command_t; 4] = [
    ngx_command_t {
        name: ngx_string!("remote_ssl_session_cache"),
        type_: (NGX_HTTP_MAIN_CONF | NGX_HTTP_SRV_CONF | NGX_CONF_1MORE) as ngx_uint_t,
        set: Some(set_cache),
        conf: NGX_HTTP_SRV_CONF_OFFSET,
        offset: 0,
        post: ptr::null_mut(),
    },
    ngx_command_t {
        name: ngx_string!("remote_ssl_session_tickets"),
        type_: (NGX_HTTP_MAIN_CONF | NGX_HTTP_SRV_CONF | NGX_CONF_TAKE12) as ngx_uint_t,
        set: Some(set_tickets),
        conf: NGX_HTTP_SRV_CONF_OFFSET,
        offset: 0,
        post: ptr::null_mut(),
    },
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

// SAFETY: create_srv_conf() makes a ServerConf.
unsafe impl HttpModuleServerConf for Http {
    type ServerConf = ServerConf;
}

impl HttpModule for Http {
    fn module() -> &'static ngx_module_t {
        // SAFETY: nginx writes to the module only while it reads its configuration, on the one
        // thread there is, and never while this reference is used.
        unsafe { &*ptr::addr_of!(ngx_http_ssl_session_cache_module) }
    }

    unsafe extern "C" fn preconfiguration(cf: *mut ngx_conf_t) -> ngx_int_t {
        // SAFETY: nginx passes its configuration context.
        match variables::add(unsafe { &mut *cf }) {
            Some(()) => Status::NGX_OK.into(),
            None => Status::NGX_ERROR.into(),
        }
    }

    unsafe extern "C" fn postconfiguration(cf: *mut ngx_conf_t) -> ngx_int_t {
        // SAFETY: nginx passes its configuration context, with all of http{} parsed and merged.
        match attach::<Self>(unsafe { &mut *cf }) {
            Ok(()) => Status::NGX_OK.into(),
            Err(Reported) => Status::NGX_ERROR.into(),
        }
    }
}

/// Remembers what servers say of stateless tickets themselves.
///
/// Called before ngx_http_ssl_module merges its configuration (see `ngx_module_order`): after that
/// a default cannot be told from what was asked for.
unsafe extern "C" fn remember_tickets(cf: *mut ngx_conf_t, _conf: *mut c_void) -> *mut c_char {
    // SAFETY: nginx passes its configuration context, that of http{}, with every server parsed. The
    // context of a server holds the configuration of every module.
    unsafe {
        let outer = said(&*cf);
        for server in servers::all(&*cf) {
            let conf = Http::server_conf_mut(server).expect("made with the server");
            conf.nginx_tickets = said(server).or(outer).in_all();
        }
    }
    NGX_CONF_OK
}

impl Frontend for Http {
    type Server = ngx_http_core_srv_conf_t;

    const TIMEOUT_DIRECTIVE: &'static str = "client_header_timeout";

    fn servers(cf: &ngx_conf_t) -> Vec<&'static Self::Server> {
        servers::all(cf).collect()
    }

    fn server(cf: &ngx_conf_t, server: &'static Self::Server) -> Server {
        Server {
            ctx: servers::ssl_ctx(server),
            conf: Self::server_conf(server).expect("made with the server"),
            name: servers::name(server),
            place: servers::place(server),
            names: servers::names(cf, server),
            resolver: servers::resolver(server),
            handshake_timeout: servers::handshake_timeout(server),
            tls: servers::tls(server),
        }
    }

    fn sockets(cf: &ngx_conf_t) -> Vec<Socket<Self::Server>> {
        servers::sockets(cf)
    }
}
