//! What nginx's http{}, stream{} and mail{} call servers and sockets, each in a file of its own, and what
//! an operator sees there.

use core::ptr;
use std::collections::BTreeMap;

use nginx_sys::ngx_cycle_t;

use crate::attach::{Listener, Servers};

use self::block::{Block, Frontend, Socket};
use self::http::Http;
use self::mail::Mail;
use self::stream::Stream;

pub(crate) mod http;
pub(crate) mod mail;
pub(crate) mod stream;

mod block;
mod hooks;
mod names;
mod status;
mod tls;
mod variables;

/// The servers of all blocks of a configuration.
pub(crate) fn all(cycle: &ngx_cycle_t) -> Vec<Servers> {
    [servers::<Http>(cycle), servers::<Stream>(cycle), servers::<Mail>(cycle)]
        .into_iter()
        .flatten()
        .collect()
}

/// The servers of one, where there is one.
fn servers<F: Frontend>(cycle: &ngx_cycle_t) -> Option<Servers> {
    let block = Block::<F>::of(cycle)?;
    let numbers: BTreeMap<*const F::Server, usize> = block
        .servers()
        .enumerate()
        .map(|(number, server)| (ptr::from_ref(server), number))
        .collect();
    let number = |server: &F::Server| numbers[&ptr::from_ref(server)];
    let listener = |socket: Socket<F::Server>| Listener {
        address: socket.address,
        transport: socket.transport,
        default: number(socket.default),
        servers: socket.servers.into_iter().map(number).collect(),
    };
    Some(Servers {
        frontend: F::NAME,
        listeners: F::sockets(&block).into_iter().map(listener).collect(),
        servers: block.servers().map(|server| F::server(cycle, &block, server)).collect(),
        timeout_directive: F::TIMEOUT_DIRECTIVE,
    })
}
