//! What nginx's http{}, stream{} and mail{} call servers and sockets, each in a file of its own, and what
//! an operator sees there.

pub(crate) mod http;
pub(crate) mod mail;
pub(crate) mod stream;

mod block;
mod hooks;
mod names;
mod status;
mod tls;
mod variables;
