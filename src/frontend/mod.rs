//! What nginx's http{} calls servers and listeners, and what an operator sees there.

pub(crate) mod http;
pub(crate) mod sockets;
pub(crate) mod status;
pub(crate) mod tickets;
pub(crate) mod variables;
