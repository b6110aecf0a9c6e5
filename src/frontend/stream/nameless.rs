//! The servers of stream{} before nginx 1.25.5: they have no names, and each socket has one.

use std::collections::BTreeSet;

use nginx_sys::ngx_cycle_t;
use ngx::core::NgxStr;

use crate::frontend::block::{Block, Frontend, Socket};
use crate::nginx::bindings::{
    ngx_stream_core_main_conf_t, ngx_stream_core_srv_conf_t, ngx_stream_listen_t,
};

pub(super) use crate::nginx::bindings::ngx_stream_ssl_conf_t as Ssl;

/// Empty: a server has no names.
pub(super) fn name(_server: &'static ngx_stream_core_srv_conf_t) -> &'static NgxStr {
    NgxStr::from_bytes(b"")
}

/// None.
pub(super) fn names(_: &ngx_cycle_t, _: &ngx_stream_core_srv_conf_t) -> BTreeSet<Vec<u8>> {
    BTreeSet::new()
}

/// The sockets with TLS.
pub(super) fn sockets<F>(block: &Block<'_, F>) -> Vec<Socket<ngx_stream_core_srv_conf_t>>
where
    F: Frontend<Main = ngx_stream_core_main_conf_t, Server = ngx_stream_core_srv_conf_t>,
{
    // SAFETY: an array of what is listened on, each with the context of its server.
    unsafe {
        let listens = block.main().listen.as_slice::<ngx_stream_listen_t>();
        let with_tls = listens.iter().filter(|listen| listen.ssl() != 0);
        with_tls.map(|listen| block.socket_of_one(&listen.addr_text, listen.ctx.cast())).collect()
    }
}
