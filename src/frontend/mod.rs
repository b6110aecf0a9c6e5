//! What nginx's http{} calls servers and listeners, and what an operator sees there; stream{} and
//! mail{} would each have a file beside that of http{}.

use core::ptr;
use std::collections::BTreeMap;

use nginx_sys::ngx_conf_t;
use ngx::core::NgxStr;

use crate::attach::{Listener, Server, Servers, Transport};
use crate::conf::Reported;

pub(crate) mod http;
pub(crate) mod status;
pub(crate) mod variables;

/// What the cache has to know of http{}, stream{} or mail{}, once all of the block has been read.
pub(crate) trait Frontend {
    /// What it keeps of a server, as long as the configuration.
    type Server: 'static;

    /// The directive that sets the time for a handshake.
    const TIMEOUT_DIRECTIVE: &'static str;

    /// All servers, in the order of the configuration.
    fn servers(cf: &ngx_conf_t) -> Vec<&'static Self::Server>;

    /// What a server is.
    fn server(cf: &ngx_conf_t, server: &'static Self::Server) -> Server;

    /// The sockets with TLS.
    fn sockets(cf: &ngx_conf_t) -> Vec<Socket<Self::Server>>;
}

/// A socket with TLS.
pub(crate) struct Socket<S: 'static> {
    /// The address as it is configured.
    pub(crate) address: &'static NgxStr,
    pub(crate) transport: Transport,
    /// The server of clients that mean no other by a name.
    pub(crate) default: &'static S,
    /// All of its servers.
    pub(crate) servers: Vec<&'static S>,
}

/// Attaches the cache to every server of a frontend that it is on for.
pub(crate) fn attach<F: Frontend>(cf: &mut ngx_conf_t) -> Result<(), Reported> {
    let servers = servers::<F>(cf);
    crate::attach::attach(cf, &servers)
}

fn servers<F: Frontend>(cf: &ngx_conf_t) -> Servers {
    let servers = F::servers(cf);
    let numbers: BTreeMap<*const F::Server, usize> = servers
        .iter()
        .enumerate()
        .map(|(number, server)| (ptr::from_ref(*server), number))
        .collect();
    let number = |server: &F::Server| numbers[&ptr::from_ref(server)];
    let listener = |socket: Socket<F::Server>| Listener {
        address: socket.address,
        transport: socket.transport,
        default: number(socket.default),
        servers: socket.servers.into_iter().map(number).collect(),
    };
    Servers {
        listeners: F::sockets(cf).into_iter().map(listener).collect(),
        servers: servers.into_iter().map(|server| F::server(cf, server)).collect(),
        timeout_directive: F::TIMEOUT_DIRECTIVE,
    }
}
