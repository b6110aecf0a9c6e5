//! Stores, and the driver that a worker has for each.

use core::cell::Cell;
use core::time::Duration;
use std::rc::Rc;

use nginx_sys::ngx_log_t;
use slotmap::new_key_type;
use ssl_session_cache_core::plan::Kind;
use ssl_session_cache_core::protocol::{Credentials, Memcached, Protocol, Redis};
use ssl_session_cache_core::server::{Lookup, Settings as Limits, Unavailable};
use ssl_session_cache_core::session::Key;
use ssl_session_cache_core::Instant;

use crate::net::{Address, Location, Resolver, Tls};
use crate::nginx::now;

use self::driver::Driver;

mod driver;
mod log;
mod scout;

/// How to reach a store, and its limits.
#[derive(PartialEq, Eq)]
pub(crate) struct Settings {
    pub(crate) location: Location,
    pub(crate) kind: Kind,
    /// The wait between attempts to connect, and the idleness after which the store is probed.
    pub(crate) interval: Duration,
    /// So many commands may wait for their replies; `None` for any number.
    pub(crate) count: Option<usize>,
    /// The longest wait for a connection and for a reply.
    pub(crate) timeout: Duration,
    /// With a user, where the store is a Memcached.
    pub(crate) credentials: Option<Credentials>,
    /// The number of the database in a Redis.
    pub(crate) database: u16,
    /// How TLS is spoken, if it is.
    pub(crate) tls: Option<Rc<Tls>>,
}

impl Settings {
    /// The store as its counters name it: as it is configured.
    pub(crate) fn name(&self) -> String {
        let Location { addresses, name, port } = &self.location;
        match name {
            Some(name) => format!("{} {name}:{port}", self.kind.name()),
            None => server_name(self.kind, &addresses[0]),
        }
    }

    fn limits(&self) -> Limits {
        Limits { timeout: self.timeout, interval: self.interval, max_requests: self.count }
    }

    fn protocol(&self) -> Rc<dyn Protocol> {
        let credentials = self.credentials.clone();
        match self.kind {
            Kind::Redis => Rc::new(Redis::new(credentials, self.database)),
            Kind::Memcached => Rc::new(Memcached::new(credentials)),
        }
    }
}

/// The server at an address, as messages and counters name it.
fn server_name(kind: Kind, address: &Address) -> String {
    format!("{} {}", kind.name(), address.name())
}

new_key_type! {
    /// What a lookup is known by: its asker draws it, and is told by it how the lookup has ended.
    pub(crate) struct LookupId;
}

/// Who is told how a lookup has ended: once, if it was accepted. The store may be asked meanwhile.
pub(crate) type Tell = fn(LookupId, Lookup<'_>, Instant);

/// A store, as the configuration has it: what a worker makes a [`Store`] of.
pub(crate) struct StoreConf {
    settings: Rc<Settings>,
    /// What looks the store's name up again.
    resolver: Cell<Option<Resolver>>,
}

impl StoreConf {
    pub(crate) fn new(settings: Settings) -> Self {
        Self { settings: Rc::new(settings), resolver: Cell::new(None) }
    }

    pub(crate) fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Has the store's name looked up again whenever its time is over. Where servers with different
    /// resolvers share the store, the first one's is used.
    pub(crate) fn resolve_by(&self, resolver: Option<Resolver>) {
        self.resolver.set(self.resolver.get().or(resolver));
    }

    /// Whether the store's name is looked up again.
    pub(crate) fn has_resolver(&self) -> bool {
        self.resolver.get().is_some()
    }
}

/// A store, as a worker has it. One server today: where a store is many, this is what maps a key to
/// the driver of one.
///
/// # Drop behaviour
///
/// The connection is closed, and what waits for it ends.
pub(crate) struct Store {
    settings: Rc<Settings>,
    driver: Rc<Driver>,
}

impl Store {
    /// Begins to connect.
    pub(crate) fn start(conf: &StoreConf, tell: Tell, log: *mut ngx_log_t) -> Self {
        let settings = Rc::clone(&conf.settings);
        let driver = Driver::new(Rc::clone(&settings), conf.resolver.get(), tell, log);
        driver.start();
        Self { settings, driver }
    }

    /// The time that deadlines are told in.
    pub(crate) fn now(&self) -> Instant {
        now()
    }

    /// The longest that a lookup may take.
    pub(crate) fn timeout(&self) -> Duration {
        self.settings.timeout
    }

    /// Looks a record up. How that has ended is told by the deadline, and by the id; on an error it is
    /// not.
    pub(crate) fn get(
        &self,
        key: &Key,
        deadline: Instant,
        id: LookupId,
    ) -> Result<(), Unavailable> {
        self.driver.get(key, deadline, id)
    }

    /// Stores a record for `ttl` seconds from `unix_now`, or drops it where that cannot be done.
    pub(crate) fn put(&self, key: &Key, record: &[u8], ttl: u32, unix_now: u64) {
        self.driver.put(key, record, ttl, unix_now);
    }

    /// Writes what was queued without waiting for the end of the turn: the client of a session that
    /// was put may be back before that, on another machine.
    pub(crate) fn flush(&self) {
        self.driver.flush();
    }

    /// Counts a record as dropped that could not even be made.
    pub(crate) fn drop_record(&self) {
        self.driver.drop_record();
    }

    /// Deletes a record, or leaves it to its time to live where that cannot be done.
    pub(crate) fn delete(&self, key: &Key) {
        self.driver.delete(key);
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        self.driver.stop();
    }
}
