//! The servers of stream{} since nginx 1.25.5: they have names, and a socket can have several.

use std::collections::BTreeSet;

use nginx_sys::ngx_cycle_t;
use ngx::core::NgxStr;

use crate::frontend::block::{servers, Block, Frontend, Socket};
use crate::frontend::names::{configured, is_regex};
use crate::nginx::bindings::{
    ngx_stream_conf_addr_t, ngx_stream_conf_port_t, ngx_stream_core_main_conf_t,
    ngx_stream_core_srv_conf_t, ngx_stream_server_name_t,
};

pub(super) use crate::nginx::bindings::ngx_stream_ssl_srv_conf_t as Ssl;

/// The first name of a server.
pub(super) fn name(server: &'static ngx_stream_core_srv_conf_t) -> &'static NgxStr {
    NgxStr::from_bytes(server.server_name.as_bytes())
}

/// The names of a server, as they are configured.
pub(super) fn names(cycle: &ngx_cycle_t, server: &ngx_stream_core_srv_conf_t) -> BTreeSet<Vec<u8>> {
    // SAFETY: the array holds names.
    let names = unsafe { server.server_names.as_slice::<ngx_stream_server_name_t>() };
    names.iter().map(|name| configured(cycle, &name.name, is_regex!(name))).collect()
}

/// The sockets with TLS.
pub(super) fn sockets<F>(block: &Block<'_, F>) -> Vec<Socket<ngx_stream_core_srv_conf_t>>
where
    F: Frontend<Main = ngx_stream_core_main_conf_t>,
{
    // SAFETY: null without a `listen`, else an array of ports, each with an array of addresses.
    unsafe { block.main().ports.as_ref() }
        .into_iter()
        .flat_map(|ports| unsafe { ports.as_slice::<ngx_stream_conf_port_t>() })
        .flat_map(|port| unsafe { port.addrs.as_slice::<ngx_stream_conf_addr_t>() })
        .filter(|address| address.opt.ssl() != 0)
        .map(socket)
        .collect()
}

fn socket(address: &ngx_stream_conf_addr_t) -> Socket<ngx_stream_core_srv_conf_t> {
    // SAFETY: an address has a default server and an array of pointers to servers.
    let (default, servers) =
        unsafe { (&*address.default_server, servers(&address.servers).collect()) };
    Socket { address: address.opt.addr_text.to_string(), default, servers }
}
