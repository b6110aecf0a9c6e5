//! Stores, and what a worker has of each: a router, and a driver for each of its servers.

use core::cell::{Cell, RefCell};
use core::hash::{BuildHasher, Hasher};
use core::time::Duration;
use std::collections::hash_map::RandomState;
use std::rc::{Rc, Weak};

use nginx_sys::ngx_log_t;
use ssl_session_cache_core::protocol::Put;
use ssl_session_cache_core::server::{Ended, Lookup, Unavailable};
use ssl_session_cache_core::session::Key;
use ssl_session_cache_core::topology::{Map, Routed, Router, ServerId, Told, Whom};
use ssl_session_cache_core::Instant;

use crate::net::{Location, Resolver};
use crate::nginx::{log, max_connections, now, worker_number, Log, Timer};

use self::driver::Owner;
use self::lookup::{AskedFirst, Token};
use self::servers::Drivers;
use self::survey::{Survey, Surveyor};

pub(crate) use self::lookup::{Asker, KeeperId, LookupId, Tell};
pub(crate) use self::settings::{Settings, Shape};

mod driver;
mod errand;
mod inquiry;
mod log;
mod lookup;
mod news;
mod quota;
mod scout;
mod sentinel;
mod servers;
mod settings;
mod survey;

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

    /// Whether a session that was made at a site may be found, here or in the fallback.
    pub(crate) fn serves(&self, site: u8) -> bool {
        let fallback = self.fallback.as_ref();
        self.settings.serves(site) || fallback.is_some_and(|conf| conf.settings.serves(site))
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
    /// How askers are told.
    tell: Tell,
    /// Borrowed by the methods that handshakes call, and never where a handshake can go on: see
    /// [`driver::Driver`].
    router: RefCell<Router<Token>>,
    drivers: Drivers,
    /// None where the store is no cluster.
    cluster: Option<Cluster>,
    fallback: Option<Fallback>,
    log: *mut ngx_log_t,
}

/// What a cluster's map needs.
struct Cluster {
    survey: Rc<Survey>,
    /// For the router, and the time that it is set for.
    timer: Timer,
    due: Cell<Option<Instant>>,
    /// Whether the configured servers are asked, as no node could be.
    asks_seeds: Cell<bool>,
    /// Whether it was told last that there is no map.
    told_unmapped: Cell<bool>,
    /// Whether it was told that there are more nodes than may be used.
    told_too_many: Cell<bool>,
}

/// The store of another site, which is asked for what this one does not have and never written to.
struct Fallback {
    store: Rc<Store>,
    /// The lookups that it may be asked for next.
    asked_first: RefCell<AskedFirst>,
}

impl Store {
    /// Begins to connect. The fallback is that of the configuration.
    pub(crate) fn start(
        conf: &StoreConf,
        fallback: Option<Rc<Self>>,
        tell: Tell,
        log: *mut ngx_log_t,
    ) -> Rc<Self> {
        let settings = Rc::clone(&conf.settings);
        let resolver = conf.resolver.get();
        let (router, servers) = Self::router(&settings);
        let store = Rc::new_cyclic(|store: &Weak<Self>| {
            let owner = Weak::clone(store);
            let is_cluster = settings.shape == Shape::Cluster;
            Self {
                tell,
                router: RefCell::new(router),
                drivers: Drivers::new(owner, Rc::clone(&settings), resolver, log),
                cluster: is_cluster.then(|| Cluster::new(&settings, resolver, store, log)),
                fallback: fallback.map(Fallback::new),
                log,
                settings,
            }
        });
        for (server, location) in servers {
            store.drivers.add(server, location).start();
        }
        store.plan();
        store
    }

    /// What has the store's requests go to its servers, and those that are known now.
    fn router(settings: &Settings) -> (Router<Token>, Vec<(ServerId, Location)>) {
        let locations = &settings.locations;
        match (&settings.shape, &**locations) {
            (Shape::Cluster, _) => {
                let seed = RandomState::new().build_hasher().finish();
                (Router::cluster(seed, max_nodes(), settings.timeout, now()), Vec::new())
            }
            (Shape::Sentinel { master, .. }, _) => {
                let (router, server) = Router::one();
                (router, vec![(server, Location::master(master))])
            }
            (Shape::Servers, [location]) => {
                let (router, server) = Router::one();
                (router, vec![(server, location.clone())])
            }
            (Shape::Servers, _) => {
                let words = locations.iter().map(|location| location.word.as_bytes());
                let (router, servers) = Router::spread(words);
                (router, servers.into_iter().zip(locations.iter().cloned()).collect())
            }
        }
    }

    /// Closes the connections, and ends what waits.
    pub(crate) fn stop(&self) {
        self.drivers.stop();
        if let Some(cluster) = &self.cluster {
            cluster.survey.stop();
            cluster.timer.stop();
        }
        let mut ended = Vec::new();
        self.router.borrow_mut().stop(|told| ended.push(told));
        for told in ended {
            match told {
                // No other store is asked any more.
                Told::Lookup(Token { asker, .. }, lookup) => {
                    (self.tell.looked_up)(asker, lookup, now());
                }
                Told::Add(Token { asker, .. }, addition) => {
                    (self.tell.added)(asker, addition, now());
                }
            }
        }
    }

    /// The time that deadlines are told in.
    pub(crate) fn now(&self) -> Instant {
        now()
    }

    /// The longest that a lookup may take.
    pub(crate) fn timeout(&self) -> Duration {
        self.settings.timeout
    }

    /// Looks up the record of a session that was made at a site, here or at the fallback, whichever
    /// may have it. How that has ended is told by the deadline; on an error it is not.
    ///
    /// Where both may have it, this store has half of the time.
    pub(crate) fn get(
        &self,
        key: &Key,
        site: u8,
        deadline: Instant,
        asker: Asker,
    ) -> Result<(), Unavailable> {
        let fallback = self.fallback.as_ref().filter(|fallback| fallback.store.serves(site));
        let token = Token { asker, first: None };
        match fallback {
            None => self.ask(key, deadline, token),
            Some(fallback) if !self.serves(site) => fallback.store.ask(key, deadline, token),
            Some(fallback) => {
                let half = now() + deadline.since(now()) / 2;
                match self.ask(key, half, token) {
                    Ok(()) => {
                        let asked = (key.clone(), deadline);
                        fallback.asked_first.borrow_mut().insert(asker, asked);
                        Ok(())
                    }
                    Err(reason) => {
                        fallback.store.ask(key, deadline, Token { asker, first: Some(reason) })
                    }
                }
            }
        }
    }

    /// Whether all who use a session that was made at a site, and may claim that, claim it here: none of
    /// the sites that share a fallback does.
    pub(crate) fn knows_all_claims(&self, site: u8) -> bool {
        let fallback = self.fallback.as_ref();
        self.serves(site) && !fallback.is_some_and(|fallback| fallback.store.serves(site))
    }

    /// Whether a session of this site may lie in this store.
    fn serves(&self, site: u8) -> bool {
        self.settings.serves(site)
    }

    fn ask(&self, key: &Key, deadline: Instant, token: Token) -> Result<(), Unavailable> {
        let asked = self.router.borrow_mut().get(&self.drivers, key, deadline, token, now());
        self.plan();
        asked
    }

    /// Puts a record there, or drops it where that cannot be done.
    pub(crate) fn put(&self, put: Put<'_>) {
        let put = self.router.borrow_mut().put(&self.drivers, put, now());
        if put.is_err() {
            self.drop_record();
        }
        self.plan();
    }

    /// Adds a record where there is none, to this store and not to the fallback. How that has ended is told
    /// by the deadline; on an error it is not.
    pub(crate) fn add(
        &self,
        put: Put<'_>,
        deadline: Instant,
        asker: Asker,
    ) -> Result<(), Unavailable> {
        let token = Token { asker, first: None };
        let added = self.router.borrow_mut().add(&self.drivers, put, deadline, token, now());
        self.plan();
        added
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
        self.plan();
    }

    /// Does what the router wants, and what it is time for.
    fn go_on(&self) {
        let Some(cluster) = &self.cluster else { return };
        let mut ended = Vec::new();
        self.router.borrow_mut().tick(&self.drivers, now(), |told| ended.push(told));
        ended.into_iter().for_each(|told| self.told(told));
        loop {
            let closed = self.router.borrow_mut().closed();
            match closed {
                Some(server) => self.drivers.remove(server),
                None => break,
            }
        }
        let whom = self.router.borrow_mut().inquiry(&self.drivers, now());
        if let Some(whom) = whom {
            cluster.asks_seeds.set(whom == Whom::Seeds);
            match whom {
                Whom::Server(server) => cluster.survey.start(self.drivers.location(server)),
                Whom::Seeds => cluster.survey.start(self.settings.locations.iter().cloned()),
            }
        }
        self.plan();
    }

    /// Has [`go_on`](Self::go_on) called when it is time.
    fn plan(&self) {
        let Some(cluster) = &self.cluster else { return };
        let due = self.router.borrow().deadline();
        if cluster.due.replace(due) != due {
            match due {
                Some(due) => cluster.timer.set(due.since(now())),
                None => cluster.timer.stop(),
            }
        }
    }

    /// The time has come.
    fn due(&self) {
        if let Some(cluster) = &self.cluster {
            cluster.due.set(None);
        }
        self.go_on();
    }

    /// What somebody waits for has ended here.
    fn told(&self, told: Told<'_, Token>) {
        match told {
            Told::Lookup(token, lookup) => self.looked_up(token, lookup),
            Told::Add(Token { asker, .. }, addition) => (self.tell.added)(asker, addition, now()),
        }
    }

    /// A lookup has ended here: the fallback is asked next, or this is the end.
    fn looked_up(&self, Token { asker, first }: Token, lookup: Lookup<'_>) {
        let next = self.fallback.as_ref().and_then(|fallback| fallback.next(asker));
        let reason = match lookup {
            Lookup::Found(_) | Lookup::Oversized => {
                return (self.tell.looked_up)(asker, lookup, now());
            }
            Lookup::Missing => first,
            Lookup::Unavailable(reason) => Some(reason),
        };
        let token = Token { asker, first: reason };
        let is_asked = |(store, key, deadline): (Rc<Self>, Key, Instant)| {
            store.ask(&key, deadline, token).is_ok()
        };
        if !next.filter(|_| (self.tell.is_awaited)(asker)).is_some_and(is_asked) {
            // That one store does not have it says nothing of one that could not say.
            let lookup = reason.map_or(Lookup::Missing, Lookup::Unavailable);
            (self.tell.looked_up)(asker, lookup, now());
        }
    }
}

impl Fallback {
    fn new(store: Rc<Store>) -> Self {
        Self { store, asked_first: RefCell::default() }
    }

    /// The store, and what it is to be asked now that the first one has ended this lookup; none where
    /// time is up.
    fn next(&self, asker: Asker) -> Option<(Rc<Store>, Key, Instant)> {
        let (key, deadline) = self.asked_first.borrow_mut().remove(asker)?;
        (now() < deadline).then(|| (Rc::clone(&self.store), key, deadline))
    }
}

/// So many nodes of a cluster may be connected to: the clients of a worker need connections too.
fn max_nodes() -> usize {
    (max_connections() / 4).max(1)
}

impl Cluster {
    fn new(
        settings: &Rc<Settings>,
        resolver: Option<Resolver>,
        store: &Weak<Store>,
        log: *mut ngx_log_t,
    ) -> Self {
        let due = Weak::clone(store);
        let call = Rc::new(move || {
            if let Some(store) = due.upgrade() {
                store.due();
            }
        });
        Self {
            survey: Survey::new(Rc::clone(settings), resolver, Weak::clone(store) as _, log),
            // SAFETY: the log is the worker's, which outlives what it has of a store.
            timer: Timer::new(unsafe { Log::new(log) }, call),
            due: Cell::new(None),
            asks_seeds: Cell::new(false),
            told_unmapped: Cell::new(false),
            told_too_many: Cell::new(false),
        }
    }
}

impl Store {
    /// Writes to nginx's log what is new about a cluster's map.
    fn tell_of_map(&self, cluster: &Cluster, map: Result<&Map, &String>) {
        let (name, stats) = (self.settings.name(), self.drivers.stats());
        let masters = map.map_or(0, |map| map.masters().len());
        match map {
            Ok(_) if cluster.told_unmapped.replace(false) && news::is_map_found(stats) => {
                log!(NGX_LOG_ERR, self.log, "cluster \"{name}\" tells its map again");
            }
            Err(reason)
                if cluster.asks_seeds.get()
                    && !cluster.told_unmapped.replace(true)
                    && news::is_map_lost(stats, reason) =>
            {
                log!(NGX_LOG_ERR, self.log, "cluster \"{name}\" does not tell its map: {reason}");
            }
            Ok(_) | Err(_) => {}
        }
        let are_too_many = masters > max_nodes() && !cluster.told_too_many.replace(true);
        // All workers find the same.
        if are_too_many && worker_number() == 0 {
            log!(
                NGX_LOG_WARN,
                self.log,
                "cluster \"{name}\" has {masters} masters, of which {} are used at most, a quarter of \
                 \"worker_connections\"",
                max_nodes()
            );
        }
    }
}

impl Owner for Store {
    fn ended(&self, server: ServerId, routed: Routed<Token>, ended: Ended<'_>) {
        let told = self.router.borrow_mut().ended(&self.drivers, server, routed, ended, now());
        if let Some(told) = told {
            self.told(told);
        }
        self.plan();
    }

    fn lost(&self, server: ServerId) {
        self.router.borrow_mut().lost(server, now());
        self.plan();
    }

    fn reconnected(&self) {
        (self.tell.reconnected)(&self.settings);
    }
}

impl Surveyor for Store {
    fn mapped(&self, map: Result<Map, String>) {
        if let Some(cluster) = &self.cluster {
            self.tell_of_map(cluster, map.as_ref());
        }
        self.router.borrow_mut().mapped(map.as_ref().ok(), now());
        self.go_on();
    }
}
