//! The servers of http{}, and what nginx's own modules keep of them.

use core::ffi::CStr;
use core::time::Duration;

use nginx_sys::{
    ngx_conf_t, ngx_http_core_loc_conf_t, ngx_http_core_main_conf_t, ngx_http_core_module,
    ngx_http_core_srv_conf_t, ngx_http_ssl_module, ngx_http_ssl_srv_conf_t, ngx_module_t,
};
use ngx::core::NgxStr;
use ngx::http::HttpModuleConfExt;

use crate::net::Resolver;
use crate::openssl::SslCtx;

/// The servers of http{}.
pub(crate) fn servers(
    cf: &ngx_conf_t,
) -> impl Iterator<Item = &'static ngx_http_core_srv_conf_t> + use<> {
    // SAFETY: the array holds pointers to servers; they live as long as the configuration.
    unsafe { core_conf(cf).servers.as_slice::<*const ngx_http_core_srv_conf_t>() }
        .iter()
        // SAFETY: as above.
        .map(|server| unsafe { &**server })
}

/// What nginx keeps for all of http{}.
pub(crate) fn core_conf(cf: &ngx_conf_t) -> &'static ngx_http_core_main_conf_t {
    // SAFETY: the type is that of ngx_http_core_module's main configuration, which always exists.
    unsafe {
        cf.http_main_conf_unchecked(&*core::ptr::addr_of!(ngx_http_core_module))
            .expect("http{} has ngx_http_core_module")
            .as_ref()
    }
}

/// What nginx keeps of TLS for a server.
pub(crate) fn ssl_conf(server: &ngx_http_core_srv_conf_t) -> &'static ngx_http_ssl_srv_conf_t {
    // SAFETY: the type is that of ngx_http_ssl_module's server configuration.
    unsafe {
        server
            .http_server_conf_unchecked(ssl_module())
            .expect("nginx has ngx_http_ssl_module")
            .as_ref()
    }
}

/// The SSL_CTX of a server; `None` without TLS.
pub(crate) fn ssl_ctx(server: &ngx_http_core_srv_conf_t) -> Option<SslCtx> {
    // SAFETY: nginx keeps an SSL_CTX as long as the configuration, null where a server has no TLS.
    unsafe { SslCtx::from_ptr(ssl_conf(server).ssl.ctx) }
}

/// The `resolver` of a server.
pub(crate) fn resolver(server: &ngx_http_core_srv_conf_t) -> Option<Resolver> {
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
pub(crate) fn handshake_timeout(server: &ngx_http_core_srv_conf_t) -> Duration {
    Duration::from_millis(server.client_header_timeout as u64)
}

/// The name of a server, for messages.
pub(crate) fn name(server: &ngx_http_core_srv_conf_t) -> &NgxStr {
    NgxStr::from_bytes(server.server_name.as_bytes())
}

/// Where a server is in the configuration, for messages.
pub(crate) fn place(server: &ngx_http_core_srv_conf_t) -> String {
    // SAFETY: nginx keeps the name of the file as a C string.
    let file = unsafe { CStr::from_ptr(server.file_name.cast()) };
    format!("{}:{}", file.to_string_lossy(), server.line)
}

/// nginx's own TLS module.
pub(crate) fn ssl_module() -> &'static ngx_module_t {
    // SAFETY: the module is part of the running binary, and nginx writes to it only before it reads
    // its configuration.
    unsafe { &*core::ptr::addr_of!(ngx_http_ssl_module) }
}
