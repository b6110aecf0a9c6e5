//! The drivers of a store's servers.

use core::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::{Rc, Weak};

use nginx_sys::ngx_log_t;
use ssl_session_cache_core::protocol::Put;
use ssl_session_cache_core::report::Event;
use ssl_session_cache_core::server::Unavailable;
use ssl_session_cache_core::session::Key;
use ssl_session_cache_core::topology::{Asking, Endpoint, Routed, ServerId, Servers};
use ssl_session_cache_core::Instant;

use crate::counters::StoreStats;
use crate::net::{Location, Resolver};
use crate::nginx::now;
use crate::store::driver::{Driver, Owner};
use crate::store::lookup::Token;
use crate::store::quota::Quota;
use crate::store::settings::Settings;

/// The drivers of a store's servers, each by what its server is known by.
pub(super) struct Drivers {
    owner: Weak<dyn Owner>,
    settings: Rc<Settings>,
    resolver: Option<Resolver>,
    /// A map by the whole of an id: one may be closed only after the next has its place.
    drivers: RefCell<BTreeMap<ServerId, Rc<Driver>>>,
    /// What is counted of the store and of none of its servers.
    stats: Option<StoreStats>,
    /// The lines of the log that are left to the servers.
    quota: Rc<Quota>,
    log: *mut ngx_log_t,
}

impl Drivers {
    pub(super) fn new(
        owner: Weak<dyn Owner>,
        settings: Rc<Settings>,
        resolver: Option<Resolver>,
        log: *mut ngx_log_t,
    ) -> Self {
        let stats = StoreStats::of(&settings.name(), None);
        // Of a store of one server its driver does.
        if let (Some(stats), true) = (stats, settings.has_servers()) {
            stats.enter();
        }
        let (drivers, quota) = (RefCell::default(), Rc::new(Quota::new(now())));
        Self { owner, settings, resolver, drivers, stats, quota, log }
    }

    /// Adds a server, without a connection yet.
    pub(super) fn add(&self, server: ServerId, location: Location) -> Rc<Driver> {
        let driver = Driver::new(
            server,
            Weak::clone(&self.owner),
            Rc::clone(&self.settings),
            location,
            self.resolver,
            Rc::clone(&self.quota),
            self.log,
        );
        self.drivers.borrow_mut().insert(server, Rc::clone(&driver));
        driver
    }

    /// What is counted of the store and of none of its servers.
    pub(super) fn stats(&self) -> Option<StoreStats> {
        self.stats
    }

    /// Where a server is.
    pub(super) fn location(&self, server: ServerId) -> Option<Location> {
        self.drivers.borrow().get(&server).map(|driver| driver.location().clone())
    }

    /// Closes the connection to a server, and forgets it.
    pub(super) fn remove(&self, server: ServerId) {
        let driver = self.drivers.borrow_mut().remove(&server);
        if let Some(driver) = driver {
            driver.stop();
        }
    }

    /// Closes all connections, and ends what waits.
    pub(super) fn stop(&self) {
        let drivers: Vec<_> = self.drivers.borrow().values().map(Rc::clone).collect();
        drivers.iter().for_each(|driver| driver.stop());
    }

    /// Writes what was queued for the end of the turn.
    pub(super) fn flush(&self) {
        self.drivers.borrow().values().for_each(|driver| driver.flush());
    }

    /// Counts a record as dropped.
    pub(super) fn drop_record(&self) {
        self.count(Event::SessionDropped);
    }

    fn count(&self, event: Event) {
        if let Some(stats) = self.stats {
            stats.count(event, 1);
        }
    }

    fn ask(
        &self,
        server: ServerId,
        request: impl FnOnce(&Driver) -> Result<(), Unavailable>,
    ) -> Result<(), Unavailable> {
        self.drivers.borrow().get(&server).map_or(Err(Unavailable::Down), |driver| request(driver))
    }
}

impl Servers<Token> for Drivers {
    fn get(
        &self,
        server: ServerId,
        key: &Key,
        deadline: Instant,
        asking: Asking,
        routed: Routed<Token>,
    ) -> Result<(), Unavailable> {
        self.ask(server, |driver| driver.get(key, deadline, asking, routed))
    }

    fn put(
        &self,
        server: ServerId,
        put: Put<'_>,
        asking: Asking,
        routed: Option<Routed<Token>>,
    ) -> Result<(), Unavailable> {
        self.ask(server, |driver| driver.put(put, asking, routed))
    }

    fn add(
        &self,
        server: ServerId,
        put: Put<'_>,
        deadline: Instant,
        asking: Asking,
        routed: Routed<Token>,
    ) -> Result<(), Unavailable> {
        self.ask(server, |driver| driver.add(put, deadline, asking, routed))
    }

    fn delete(
        &self,
        server: ServerId,
        key: &Key,
        asking: Asking,
        routed: Option<Routed<Token>>,
    ) -> Result<(), Unavailable> {
        self.ask(server, |driver| driver.delete(key, asking, routed))
    }

    fn open(&self, server: ServerId, endpoint: &Endpoint) {
        let location = self.settings.location_of(endpoint);
        self.add(server, location).start();
    }

    fn close(&self, server: ServerId) {
        if let Some(driver) = self.drivers.borrow().get(&server) {
            driver.retire();
        }
    }

    fn turned_away(&self) {
        if let Some(stats) = self.stats {
            stats.lookup_turned_away(Unavailable::Down.into());
        }
    }

    fn record_failed(&self) {
        self.count(Event::SessionFailed);
    }
}
