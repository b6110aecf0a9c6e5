//! How a store is reached.

use core::time::Duration;
use std::rc::Rc;

use ssl_session_cache_core::plan::Kind;
use ssl_session_cache_core::protocol::{client_name, Credentials, Memcached, Protocol, Redis};
use ssl_session_cache_core::server::Settings as Limits;
use ssl_session_cache_core::topology::Endpoint;

use crate::net::{Address, Location, Tls};
use crate::nginx::{host_name, worker_number};

/// How to reach a store, and its limits.
#[derive(PartialEq, Eq)]
pub(crate) struct Settings {
    /// What a block calls it; none of a store of one line.
    pub(crate) name: Option<String>,
    /// Where it is, or where it is asked for, in configured order; at least one.
    pub(crate) locations: Vec<Location>,
    /// What the servers there are to each other.
    pub(crate) shape: Shape,
    pub(crate) kind: Kind,
    /// The wait between attempts to connect, and the idleness after which the store is probed.
    pub(crate) interval: Duration,
    /// So many requests may wait for their replies; `None` for any number.
    pub(crate) count: Option<usize>,
    /// The longest wait for a connection and for a reply.
    pub(crate) timeout: Duration,
    /// With a user, where the store is a Memcached.
    pub(crate) credentials: Option<Credentials>,
    /// The number of the database in a Redis.
    pub(crate) database: u16,
    /// How TLS is spoken, if it is.
    pub(crate) tls: Option<Rc<Tls>>,
    /// The number of the site whose store this is.
    pub(crate) site: Option<u8>,
}

/// What the servers of a store are to each other.
#[derive(PartialEq, Eq)]
pub(crate) enum Shape {
    /// Each has a part of the sessions; one has all of them.
    Servers,
    /// Nodes of a Redis Cluster, which know of the others.
    Cluster,
    /// Sentinels, which know where the store is.
    Sentinel {
        /// What the Sentinels call it.
        master: Box<[u8]>,
        credentials: Option<Credentials>,
    },
}

impl Settings {
    /// The store as its counters name it: as it is configured.
    pub(crate) fn name(&self) -> String {
        if let Some(name) = &self.name {
            return name.clone();
        }
        self.location_name(&self.locations[0])
    }

    /// What tells the store from all others, on every machine with the same configuration.
    pub(crate) fn identity(&self) -> Vec<u8> {
        let shape: &[u8] = match &self.shape {
            Shape::Servers => b"servers",
            Shape::Cluster => b"cluster",
            Shape::Sentinel { master, .. } => master,
        };
        let words = self.locations.iter().map(|location| location.word.as_bytes());
        let kind = [self.kind.name().as_bytes(), &self.database.to_be_bytes(), shape];
        let parts = kind.into_iter().chain(words);
        parts.flat_map(|part| [&(part.len() as u64).to_be_bytes()[..], part].concat()).collect()
    }

    /// The servers with names that are not known now, as messages name them.
    pub(crate) fn unknown_names(&self) -> impl Iterator<Item = String> + '_ {
        let unknown = self.locations.iter().filter(|location| location.addresses.is_empty());
        unknown.map(|location| self.in_store(self.location_name(location)))
    }

    /// A server as messages name it: with its store's name, if that has one.
    pub(super) fn in_store(&self, server: String) -> String {
        match &self.name {
            Some(name) => format!("{server} of store \"{name}\""),
            None => server,
        }
    }

    fn location_name(&self, location: &Location) -> String {
        match &location.name {
            Some(name) => format!("{} {name}:{}", self.kind.name(), location.port),
            None => server_name(self.kind, &location.addresses[0]),
        }
    }

    /// Whether the store has several servers.
    pub(crate) fn has_servers(&self) -> bool {
        match self.shape {
            Shape::Servers => self.locations.len() > 1,
            Shape::Cluster => true,
            Shape::Sentinel { .. } => false,
        }
    }

    /// To so many servers a worker connects when it starts. The nodes of a cluster are bounded by
    /// themselves.
    pub(crate) fn max_servers(&self) -> usize {
        if self.shape == Shape::Servers {
            self.locations.len()
        } else {
            1
        }
    }

    /// Where its server is, as configured; `None` where it has several, or Sentinels know.
    pub(crate) fn address(&self) -> Option<&str> {
        match &*self.locations {
            [location] if self.shape == Shape::Servers => Some(&location.word),
            _ => None,
        }
    }

    /// The server at a location as its counters name it; `None` where it is all of the store.
    pub(super) fn server_of<'a>(&self, location: &'a Location) -> Option<&'a str> {
        self.has_servers().then_some(&*location.word)
    }

    /// Where a node of a cluster is: at the address that another one tells, or where the
    /// configuration names it too.
    pub(super) fn location_of(&self, endpoint: &Endpoint) -> Location {
        let word = endpoint.to_string();
        let known = self.locations.iter().find(|location| location.word == word);
        known.cloned().unwrap_or_else(|| Location::told(endpoint, self.tls.as_deref()))
    }

    /// Whether a session that was made at a site may lie in the store. Those of machines without a
    /// number for theirs, 0, may lie anywhere.
    pub(crate) fn serves(&self, site: u8) -> bool {
        self.site.is_none_or(|own| site == own || site == 0)
    }

    pub(super) fn limits(&self) -> Limits {
        Limits { timeout: self.timeout, interval: self.interval, max_requests: self.count }
    }

    /// As [`protocol`](Self::protocol), for a connection that lasts: it has the name of this worker.
    pub(super) fn named_protocol(&self) -> Rc<dyn Protocol> {
        match self.kind {
            Kind::Redis => Rc::new(self.redis().named(client_name(host_name(), worker_number()))),
            Kind::Memcached => self.protocol(),
        }
    }

    pub(super) fn protocol(&self) -> Rc<dyn Protocol> {
        match self.kind {
            Kind::Redis => Rc::new(self.redis()),
            Kind::Memcached => Rc::new(Memcached::new(self.credentials.clone())),
        }
    }

    fn redis(&self) -> Redis {
        let redis = Redis::new(self.credentials.clone(), self.database);
        let is_sentinel = matches!(self.shape, Shape::Sentinel { .. });
        if is_sentinel {
            redis.master_only()
        } else {
            redis
        }
    }
}

/// The server at an address, as messages and counters name it.
pub(super) fn server_name(kind: Kind, address: &Address) -> String {
    format!("{} {}", kind.name(), address.name())
}
