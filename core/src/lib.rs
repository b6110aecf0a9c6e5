//! The part of the TLS session cache that needs neither nginx nor a socket nor a clock.
//!
//! - [`session`]: what a store gets to see of a session, and under which name.
//! - [`ticket`]: the ticket keys that all machines share, for tickets that need no lookup.
//! - [`plan`]: what a configuration says of a store and of the sessions there.
//! - [`hello`]: which sessions will be asked for, from the first bytes of a connection.
//! - [`protocol`]: how a kind of server is spoken to.
//! - [`server`]: one connection to one server, and its health. The caller owns the transport and the
//!   time; it hands in bytes and `now`, and takes bytes and the next deadline.
//! - [`topology`]: a store that is many servers.
//! - [`report`]: what operators are told, and by which names.

#![forbid(unsafe_code)]

pub mod hello;
pub mod plan;
pub mod protocol;
mod random;
pub mod report;
pub mod server;
pub mod session;
pub mod ticket;
mod time;
pub mod topology;

pub use time::Instant;
