//! Stores, and what a worker has of each: a router, and a driver for each of its servers.

use core::cell::{Cell, RefCell};
use core::time::Duration;
use std::rc::{Rc, Weak};

use nginx_sys::ngx_log_t;
use ssl_session_cache_core::server::{Ended, Unavailable};
use ssl_session_cache_core::session::Key;
use ssl_session_cache_core::topology::{Put, Routed, Router, ServerId};
use ssl_session_cache_core::Instant;

use crate::net::Resolver;
use crate::nginx::now;

use self::driver::Owner;
use self::servers::Drivers;

pub(crate) use self::lookup::{LookupId, Tell};
pub(crate) use self::settings::{Settings, Shape};

mod driver;
mod errand;
mod inquiry;
mod log;
mod lookup;
mod scout;
#[expect(dead_code, reason = "no configuration has Sentinels yet")]
mod sentinel;
mod servers;
mod settings;

/// A store, as the configuration has it: what a worker makes a [`Store`] of.
pub(crate) struct StoreConf {
    settings: Rc<Settings>,
    /// What looks the names of its servers up again.
    resolver: Cell<Option<Resolver>>,
    /// The store that is asked for what this one does not have. Its own fallback is not.
    fallback: Option<Rc<StoreConf>>,
}

impl StoreConf {
    /// A store, with a resolver of its own if it has one.
    pub(crate) fn new(
        settings: Settings,
        resolver: Option<Resolver>,
        fallback: Option<Rc<StoreConf>>,
    ) -> Self {
        Self { settings: Rc::new(settings), resolver: Cell::new(resolver), fallback }
    }

    /// The store that is asked for what this one does not have.
    pub(crate) fn fallback(&self) -> Option<&Self> {
        self.fallback.as_deref()
    }

    pub(crate) fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Has the store's names, and those of its fallback, looked up again whenever their time is over.
    /// Where servers with different resolvers share a store that has none of its own, the first one's
    /// is used.
    pub(crate) fn resolve_by(&self, resolver: Option<Resolver>) {
        self.resolver.set(self.resolver.get().or(resolver));
        if let Some(fallback) = &self.fallback {
            fallback.resolve_by(resolver);
        }
    }

    /// Whether the store's names are looked up again.
    pub(crate) fn has_resolver(&self) -> bool {
        self.resolver.get().is_some()
    }
}

/// A store, as a worker has it.
///
/// # Drop behaviour
///
/// The connections are closed. [`stop`](Self::stop) it before: nothing is told of what waits.
pub(crate) struct Store {
    settings: Rc<Settings>,
    /// Who is told how lookups end.
    tell: Tell,
    /// Borrowed by the methods that handshakes call, and never where a handshake can go on: see
    /// [`driver::Driver`].
    router: RefCell<Router<LookupId>>,
    drivers: Drivers,
}

impl Store {
    /// Begins to connect.
    pub(crate) fn start(conf: &StoreConf, tell: Tell, log: *mut ngx_log_t) -> Rc<Self> {
        let settings = Rc::clone(&conf.settings);
        let locations = &settings.locations;
        let (router, servers) = match &**locations {
            [_] => {
                let (router, server) = Router::one();
                (router, vec![server])
            }
            _ => Router::spread(locations.iter().map(|location| location.word.as_bytes())),
        };
        let store = Rc::new_cyclic(|store: &Weak<Self>| {
            let owner = Weak::clone(store);
            let drivers = Drivers::new(owner, Rc::clone(&settings), conf.resolver.get(), log);
            let settings = Rc::clone(&settings);
            Self { settings, tell, router: RefCell::new(router), drivers }
        });
        for (server, location) in servers.into_iter().zip(locations) {
            store.drivers.add(server, location.clone()).start();
        }
        store
    }

    /// Closes the connections, and ends what waits.
    pub(crate) fn stop(&self) {
        self.drivers.stop();
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
        self.router.borrow_mut().get(&self.drivers, key, deadline, id, now())
    }

    /// Puts a record there, or drops it where that cannot be done.
    pub(crate) fn put(&self, put: Put<'_>) {
        if self.router.borrow_mut().put(&self.drivers, put, now()).is_err() {
            self.drop_record();
        }
    }

    /// Writes what was queued without waiting for the end of the turn: the client of a session that
    /// was put may be back before that, on another machine.
    pub(crate) fn flush(&self) {
        self.drivers.flush();
    }

    /// Counts a record as dropped that could not even be made.
    pub(crate) fn drop_record(&self) {
        self.drivers.drop_record();
    }

    /// Deletes a record, or leaves it to its time to live where that cannot be done.
    pub(crate) fn delete(&self, key: &Key) {
        let _ = self.router.borrow_mut().delete(&self.drivers, key, now());
    }
}

impl Owner for Store {
    fn ended(&self, server: ServerId, routed: Routed<LookupId>, ended: Ended<'_>) {
        let told = self.router.borrow_mut().ended(&self.drivers, server, routed, ended, now());
        if let Some((id, lookup)) = told {
            (self.tell)(id, lookup, now());
        }
    }

    fn lost(&self, server: ServerId) {
        self.router.borrow_mut().lost(server, now());
    }
}
