//! The servers and sockets of http{}, as nginx's own modules keep them.

use core::ffi::CStr;
use core::time::Duration;
use std::collections::BTreeSet;

use nginx_sys::{
    ngx_conf_t, ngx_http_conf_addr_t, ngx_http_conf_port_t, ngx_http_core_loc_conf_t,
    ngx_http_core_main_conf_t, ngx_http_core_module, ngx_http_core_srv_conf_t,
    ngx_http_server_name_t, ngx_http_ssl_module, ngx_http_ssl_srv_conf_t, ngx_keyval_t,
    ngx_module_t, NGX_SSL_DFLT_BUILTIN_SCACHE, NGX_SSL_NO_SCACHE,
};
use ngx::core::NgxStr;
use ngx::http::HttpModuleConfExt;

use crate::attach::{NginxCache, TlsConf, Transport};
use crate::frontend::Socket;
use crate::net::Resolver;
use crate::openssl::SslCtx;

/// The servers of http{}.
pub(super) fn all(
    cf: &ngx_conf_t,
) -> impl Iterator<Item = &'static ngx_http_core_srv_conf_t> + use<> {
    // SAFETY: the array holds pointers to servers; they live as long as the configuration.
    unsafe { core_conf(cf).servers.as_slice::<*const ngx_http_core_srv_conf_t>() }
        .iter()
        // SAFETY: as above.
        .map(|server| unsafe { &**server })
}

/// What nginx keeps for all of http{}.
fn core_conf(cf: &ngx_conf_t) -> &'static ngx_http_core_main_conf_t {
    // SAFETY: the type is that of ngx_http_core_module's main configuration, which always exists.
    unsafe {
        cf.http_main_conf_unchecked(&*core::ptr::addr_of!(ngx_http_core_module))
            .expect("http{} has ngx_http_core_module")
            .as_ref()
    }
}

/// What nginx keeps of TLS for a server.
fn ssl_conf(server: &ngx_http_core_srv_conf_t) -> &'static ngx_http_ssl_srv_conf_t {
    // SAFETY: the type is that of ngx_http_ssl_module's server configuration.
    unsafe {
        server
            .http_server_conf_unchecked(ssl_module())
            .expect("nginx has ngx_http_ssl_module")
            .as_ref()
    }
}

/// The SSL_CTX of a server; `None` without TLS.
pub(super) fn ssl_ctx(server: &ngx_http_core_srv_conf_t) -> Option<SslCtx> {
    // SAFETY: nginx keeps an SSL_CTX as long as the configuration, null where a server has no TLS.
    unsafe { SslCtx::from_ptr(ssl_conf(server).ssl.ctx) }
}

/// The `resolver` of a server.
pub(super) fn resolver(server: &ngx_http_core_srv_conf_t) -> Option<Resolver> {
    // SAFETY: the type is that of ngx_http_core_module's location configuration, which a server
    // has, merged with that of http{}; the resolver lives as long.
    unsafe {
        let conf: &ngx_http_core_loc_conf_t = server
            .http_location_conf_unchecked(&*core::ptr::addr_of!(ngx_http_core_module))
            .expect("a server has ngx_http_core_module")
            .as_ref();
        Resolver::new(conf.resolver, conf.resolver_timeout)
    }
}

/// The time that nginx gives a client for its handshake, on the sockets that a server is the default
/// server of.
pub(super) fn handshake_timeout(server: &ngx_http_core_srv_conf_t) -> Duration {
    Duration::from_millis(server.client_header_timeout as u64)
}

/// The name of a server, for messages.
pub(super) fn name(server: &'static ngx_http_core_srv_conf_t) -> &'static NgxStr {
    NgxStr::from_bytes(server.server_name.as_bytes())
}

/// Where a server is in the configuration, for messages.
pub(super) fn place(server: &ngx_http_core_srv_conf_t) -> String {
    // SAFETY: nginx keeps the name of the file as a C string.
    let file = unsafe { CStr::from_ptr(server.file_name.cast()) };
    format!("{}:{}", file.to_string_lossy(), server.line)
}

/// nginx's own TLS module.
pub(super) fn ssl_module() -> &'static ngx_module_t {
    // SAFETY: the module is part of the running binary, and nginx writes to it only before it reads
    // its configuration.
    unsafe { &*core::ptr::addr_of!(ngx_http_ssl_module) }
}

/// The names of a server, as they are configured.
pub(super) fn names(cf: &ngx_conf_t, server: &ngx_http_core_srv_conf_t) -> BTreeSet<Vec<u8>> {
    // SAFETY: the array holds names, and the cycle has the name of the machine.
    let (names, hostname) =
        unsafe { (server.server_names.as_slice::<ngx_http_server_name_t>(), (*cf.cycle).hostname) };
    names
        .iter()
        .map(|name| match name.name {
            // Another on each machine, and nginx keeps the very same text.
            text if text.data == hostname.data => b"$hostname".to_vec(),
            text if name.regex.is_null() => text.as_bytes().to_vec(),
            text => [b"~", text.as_bytes()].concat(),
        })
        .collect()
}

/// What nginx's own directives say of TLS for a server.
pub(super) fn tls(server: &ngx_http_core_srv_conf_t) -> TlsConf {
    let ssl = ssl_conf(server);
    TlsConf {
        session_cache: match ssl.builtin_session_cache {
            off if off == NGX_SSL_NO_SCACHE as isize => NginxCache::Off,
            default if default == NGX_SSL_DFLT_BUILTIN_SCACHE as isize => NginxCache::Builtin,
            0.. => NginxCache::Builtin,
            _ => NginxCache::Other,
        },
        session_timeout: Duration::from_secs(ssl.session_timeout.max(0) as u64),
        early_data: ssl.early_data == 1,
        verify: ssl.verify as u64,
        ocsp: ssl.ocsp as u64,
        // SAFETY: null, or an array of pairs, which live as long as the configuration.
        commands: unsafe {
            ssl.conf_commands.as_ref().map_or(&[], |commands| commands.as_slice::<ngx_keyval_t>())
        },
    }
}

/// The sockets with TLS that http{} listens on.
pub(super) fn sockets(cf: &ngx_conf_t) -> Vec<Socket<ngx_http_core_srv_conf_t>> {
    // SAFETY: null without a `listen`, else an array of ports, each with an array of addresses.
    unsafe { core_conf(cf).ports.as_ref() }
        .into_iter()
        .flat_map(|ports| unsafe { ports.as_slice::<ngx_http_conf_port_t>() })
        .flat_map(|port| unsafe { port.addrs.as_slice::<ngx_http_conf_addr_t>() })
        .filter_map(socket)
        .collect()
}

/// A socket, if it is one with TLS.
fn socket(address: &'static ngx_http_conf_addr_t) -> Option<Socket<ngx_http_core_srv_conf_t>> {
    // SAFETY: an address has a default server and an array of pointers to servers, which live as long
    // as the configuration.
    let (default, servers) = unsafe {
        let servers = address.servers.as_slice::<*const ngx_http_core_srv_conf_t>();
        (&*address.default_server, servers.iter().map(|server| &**server).collect())
    };
    Some(Socket {
        address: NgxStr::from_bytes(address.opt.addr_text.as_bytes()),
        transport: transport(address)?,
        default,
        servers,
    })
}

/// How clients come; `None` without TLS.
fn transport(address: &ngx_http_conf_addr_t) -> Option<Transport> {
    if address.opt.ssl() != 0 {
        return Some(Transport::Tcp);
    }
    #[cfg(ngx_feature = "http_v3")]
    if address.opt.quic() != 0 {
        return Some(Transport::Quic);
    }
    None
}
