//! Stores, and the driver that a worker has for each.

use core::cell::Cell;
use core::time::Duration;
use std::rc::Rc;

use nginx_sys::ngx_log_t;
use ssl_session_cache_core::server::Unavailable;
use ssl_session_cache_core::session::Key;
use ssl_session_cache_core::Instant;

use crate::net::Resolver;
use crate::nginx::now;

use self::driver::Driver;

pub(crate) use self::lookup::{LookupId, Tell};
pub(crate) use self::settings::{Settings, Shape};

mod driver;
mod log;
mod lookup;
mod scout;
mod settings;

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

    /// Puts a record there for `ttl` seconds from `unix_now`, or drops it where that cannot be done.
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
