//! What is kept of a session: its name in the store, and its record.
//!
//! [`sealed`] is what a store gets to see of a session where it is not trusted; the ciphers are the
//! caller's. [`clear`] is what it gets to see otherwise. [`asn1`] tells what OpenSSL does not of a
//! session.

pub mod asn1;
pub mod clear;
mod key;
pub mod sealed;

pub use key::{Key, Keyspace, PrefixError};
