//! The part of the TLS session cache that needs neither nginx nor a socket nor a clock.
//!
//! [`Pipeline`] speaks to one store over one connection: it turns lookups and stores into bytes to
//! send, and received bytes into completed lookups. Its caller owns the transport and the time; it
//! hands in bytes and `now`, and takes bytes and the next deadline. What the bytes mean is behind
//! the [`Protocol`] trait, with [`Redis`] and [`Memcached`] as its implementations.
//!
//! [`ClientHello`] tells, from the first bytes of a connection, which sessions will be asked for.
//! [`record`] is what a store gets to see of a session where it is not trusted; the ciphers are the
//! caller's. [`clear`] is what it gets to see otherwise. [`asn1`] tells what OpenSSL does not of a
//! session.

#![forbid(unsafe_code)]

pub mod asn1;
mod backoff;
mod breaker;
mod buffer;
pub mod clear;
mod client_hello;
mod key;
mod memcached;
mod pipeline;
mod protocol;
pub mod record;
mod redis;
mod time;

pub use backoff::Backoff;
pub use client_hello::{server_name, ClientHello, Opening, OpeningReader, ServerAbilities};
pub use key::{Key, Keyspace, PrefixError};
pub use memcached::Memcached;
pub use pipeline::{Error, Lookup, Pipeline, Received, Settings, Unavailable, Waiter, MAX_WAITING};
pub use protocol::{
    Command, Credentials, Decoded, Fingerprint, Protocol, ProtocolError, Reply, Rest, MAX_RECORD,
};
pub use redis::Redis;
pub use time::Instant;
