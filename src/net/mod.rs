//! One connection on nginx's event loop, with TLS or without, with a timer and an event for the end
//! of the turn, and the lookup of the name of whom to connect to.

mod address;
mod link;
mod resolve;
mod tls;

pub(crate) use self::address::{Address, Location};
pub(crate) use self::link::{Handler, Io, Link, LinkError};
pub(crate) use self::resolve::{NameHandler, NameLookup, Resolved};
pub(crate) use self::tls::{Identity, Peer, Tls, TlsError, TlsPart, TlsSettings};
pub(crate) use crate::nginx::Resolver;
