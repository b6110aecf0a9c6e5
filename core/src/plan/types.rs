//! Plain values: what a store is, and what is kept of sessions there.

use core::time::Duration;
use std::borrow::Cow;

use crate::protocol::Credentials;
use crate::session::Keyspace;

/// Where a store is, how it is spoken to, and its limits.
#[derive(PartialEq, Eq)]
pub struct StorePlan<'a> {
    /// Where it is, or where it is asked for: at least one, no two with the same
    /// [word](Place::word).
    pub servers: Vec<Place<'a>>,
    /// What the servers are to each other.
    pub shape: Shape<'a>,
    /// What kind of server it is.
    pub kind: Kind,
    /// The wait between attempts to connect, and the idleness after which it is probed.
    pub interval: Duration,
    /// So many requests may wait for their replies; `None` for any number.
    pub count: Option<usize>,
    /// The longest wait for a connection and for a reply.
    pub timeout: Duration,
    /// Who its client says it is.
    pub auth: Option<Auth<'a>>,
    /// The number of the database in a Redis.
    pub database: u16,
    /// How TLS is spoken, if it is.
    pub tls: Option<TlsPlan<'a>>,
    /// The words of a resolver of its own, as nginx's `resolver` has them; empty without one.
    pub resolver: Vec<&'a [u8]>,
    /// The name of the store that is asked for what this one does not have.
    pub fallback: Option<&'a [u8]>,
    /// The number of the site whose store this is.
    pub site: Option<u8>,
}

/// What the servers of a store are to each other.
#[derive(PartialEq, Eq)]
pub enum Shape<'a> {
    /// Each has a part of the sessions; one has all of them.
    Servers,
    /// Nodes of a Redis Cluster, which know of the others.
    Cluster,
    /// Sentinels, which know where the store is.
    Sentinel {
        /// What the Sentinels call it.
        master: &'a [u8],
        /// Who their client says it is.
        auth: Option<Auth<'a>>,
    },
}

/// What the directives of all levels come to.
#[derive(PartialEq, Eq)]
pub struct DirectivePlan<'a> {
    /// Of the store.
    pub store: StoreSource<'a>,
    /// Of the sessions there.
    pub sessions: SessionsPlan<'a>,
}

/// The store of a directive.
#[derive(PartialEq, Eq)]
pub enum StoreSource<'a> {
    /// All of it was said.
    Said(Box<StorePlan<'a>>),
    /// The name of a block.
    Named(&'a [u8]),
}

/// What is kept of sessions in a store, and how handshakes wait for it.
#[derive(PartialEq, Eq)]
pub struct SessionsPlan<'a> {
    /// The keys of the sessions.
    pub keyspace: Keyspace,
    /// How handshakes wait.
    pub suspend: Suspend,
    /// What of a session is used once.
    pub single_use: SingleUse,
    /// Key files, the first to seal with; none where sessions are stored in clear.
    pub keys: Vec<&'a [u8]>,
}

/// Where a store is.
#[derive(Debug, PartialEq, Eq)]
pub enum Place<'a> {
    /// A port of a host: an IP address, with or without brackets, or a name that is not looked up yet.
    Host(&'a [u8], u16),
    /// The absolute path of a unix socket.
    Unix(&'a [u8]),
}

/// What kind of server a store is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Redis, 2.0 and later.
    Redis,
    /// Memcached, 1.4.3 and later.
    Memcached,
}

/// The port that a Sentinel listens on by default.
pub(super) const SENTINEL_PORT: u16 = 26379;

/// How handshakes wait for a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Suspend {
    /// In whatever way works best.
    Auto,
    /// In OpenSSL's callback on the ClientHello.
    Retry,
    /// As OpenSSL jobs.
    Async,
    /// With the ClientHello held back.
    Hello,
}

/// What of a session of TLS 1.3 is used once in the whole fleet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SingleUse {
    /// Nothing.
    Off,
    /// Its early data is accepted once.
    EarlyData,
    /// It is resumed once, and so is its early data.
    On,
}

impl SingleUse {
    /// As it is configured.
    pub fn name(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::EarlyData => "early_data",
            Self::On => "on",
        }
    }
}

/// Who the client of a store says it is.
#[derive(PartialEq, Eq)]
pub enum Auth<'a> {
    /// All of it was said.
    Said(Credentials),
    /// The secret is in a file.
    InFile(AuthFile<'a>),
}

/// A file with the secret of a store's client.
#[derive(PartialEq, Eq)]
pub struct AuthFile<'a> {
    /// The parameter that names it.
    pub parameter: &'static str,
    /// As it is configured.
    pub name: &'a [u8],
    pub(super) user: Option<Cow<'a, [u8]>>,
    pub(super) kind: Kind,
}

/// How TLS to a store is spoken.
#[derive(Debug, PartialEq, Eq)]
pub struct TlsPlan<'a> {
    /// Who each server is, if not who its place says. Unix sockets are without one only where
    /// nothing is verified.
    pub name: Option<Peer>,
    /// Whether a server must prove who it is.
    pub verify: bool,
    /// A file with the certificates to trust, in place of the system's.
    pub ca: Option<&'a [u8]>,
    /// The files of a certificate with its chain and of its key.
    pub identity: Option<(&'a [u8], &'a [u8])>,
}

/// Whom a certificate is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Peer {
    /// A DNS name, without the dot that ends it.
    Name(String),
    /// An IP address, as text.
    Address(String),
}

impl Kind {
    /// As it is configured.
    pub fn name(self) -> &'static str {
        match self {
            Self::Redis => "redis",
            Self::Memcached => "memcached",
        }
    }

    /// The port that such a server listens on by default.
    pub fn default_port(self) -> u16 {
        match self {
            Self::Redis => 6379,
            Self::Memcached => 11211,
        }
    }
}
