//! What the module keeps for a whole configuration, which http, stream and mail have parts in.
//!
//! It is that of a core module of nginx's: made before any directive is read, there without http{}
//! as well, and gone with the configuration, also with one that fails.

use core::cell::{Ref, RefCell};
use core::ffi::c_void;
use core::ptr;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use nginx_sys::{ngx_conf_t, ngx_cycle_t, ngx_module_t};
use ngx::core::Pool;
use ssl_session_cache_core::plan::{text, DirectivePlan, PlanError};
use ssl_session_cache_core::report::Frontend;
use ssl_session_cache_core::session::Keyspace;
use ssl_session_cache_core::ticket::Rotation;

use crate::conf::destination::{Destination, Reported};
use crate::conf::line::Line;
use crate::counters::{self, Counted};
use crate::handshake::SessionCache;
use crate::nginx::{current_cycle, log, module, NAME};
use crate::openssl::Sealer;
use crate::store::{Settings, Store, StoreConf};
use crate::tickets::{self, TicketsConf};

/// What is kept for a whole configuration.
#[derive(Default)]
pub(crate) struct CycleConf {
    /// The stores that the configuration names, and where; equal directives share one.
    stores: RefCell<Vec<(Rc<StoreConf>, Line)>>,
    /// What directives have come to.
    made: RefCell<Vec<(DirectivePlan<'static>, Destination)>>,
    /// Files that more than nginx can read, of which a warning has told.
    open_files: RefCell<BTreeSet<PathBuf>>,
    /// The stores as this worker has them.
    running: RefCell<Vec<Rc<Store>>>,
    /// What the callbacks of an SSL_CTX use, which keeps the address: a box would forbid that, as
    /// who moves one claims to have the only pointer.
    caches: RefCell<Vec<Rc<SessionCache>>>,
    /// Those that handshakes begin in.
    default_caches: RefCell<Vec<DefaultCache>>,
    /// Where the sessions of servers with TLS go.
    destinations: RefCell<Vec<Destination>>,
    /// The ticket keys that servers use; equal directives share theirs.
    tickets: RefCell<Vec<Rc<TicketsConf>>>,
    /// The stores that are counted; `None` where nothing is.
    counted: RefCell<Option<Vec<Counted>>>,
}

/// The cache of a server that is the default one of a socket: handshakes begin in no other.
pub(crate) struct DefaultCache {
    /// The server, for messages.
    pub(crate) server: String,
    pub(crate) frontend: Frontend,
    pub(crate) cache: Rc<SessionCache>,
    /// Where its sessions go.
    pub(crate) destination: Destination,
}

/// Called by nginx before it reads a configuration.
pub(crate) unsafe extern "C" fn create(cycle: *mut ngx_cycle_t) -> *mut c_void {
    // SAFETY: nginx passes a cycle with its pool, which drops the value when it goes.
    unsafe { Pool::from_ngx_pool((*cycle).pool) }.allocate(CycleConf::default()).cast()
}

impl CycleConf {
    /// That of a configuration. It lives as long as the configuration does.
    pub(crate) fn of(cycle: &ngx_cycle_t) -> &'static Self {
        // SAFETY: what nginx keeps for the core module is what create() has made.
        unsafe { &*(*cycle.conf_ctx.add(core_module(cycle).index)).cast::<Self>() }
    }

    /// That of the configuration in use.
    pub(crate) fn in_use() -> &'static Self {
        Self::of(current_cycle())
    }

    /// That of the configuration that is being read.
    pub(crate) fn being_read(cf: &ngx_conf_t) -> &'static Self {
        // SAFETY: a configuration is read for a cycle.
        Self::of(unsafe { &*cf.cycle })
    }

    /// What an equal directive has come to.
    pub(super) fn made(&self, plan: &DirectivePlan<'_>) -> Option<Destination> {
        let made = self.made.borrow();
        made.iter().find(|(other, _)| other == plan).map(|(_, destination)| destination.clone())
    }

    /// Keeps what a directive has come to. Its words lie in the pool of this configuration.
    pub(super) fn add_made(&self, plan: DirectivePlan<'static>, destination: Destination) {
        self.made.borrow_mut().push((plan, destination));
    }

    /// Whether a file that more than nginx can read is to be warned of: several directives may name it.
    pub(super) fn warns_of(&self, file: &Path) -> bool {
        self.open_files.borrow_mut().insert(file.to_owned())
    }

    /// The store for these settings: the one that an equal directive made, or a new one.
    pub(super) fn store(&self, settings: Settings, line: Line) -> Rc<StoreConf> {
        let mut stores = self.stores.borrow_mut();
        if let Some((store, _)) = stores.iter().find(|(store, _)| *store.settings() == settings) {
            return Rc::clone(store);
        }
        let store = Rc::new(StoreConf::new(settings, None, None));
        stores.push((Rc::clone(&store), line));
        store
    }

    /// The store of a block.
    pub(super) fn named(&self, name: &[u8]) -> Option<Rc<StoreConf>> {
        let is_meant = |store: &Rc<StoreConf>| {
            store.settings().name.as_ref().is_some_and(|other| other.as_bytes() == name)
        };
        let stores = self.stores.borrow();
        stores.iter().find(|(store, _)| is_meant(store)).map(|(store, _)| Rc::clone(store))
    }

    /// The store of a block that a parameter names.
    pub(super) fn defined(
        &self,
        parameter: &'static str,
        name: &[u8],
    ) -> Result<Rc<StoreConf>, PlanError> {
        let unknown = || PlanError::NoStore { name: parameter, value: text(name) };
        self.named(name).ok_or_else(unknown)
    }

    /// Keeps the store of a block.
    pub(super) fn define(&self, store: StoreConf, line: Line) {
        self.stores.borrow_mut().push((Rc::new(store), line));
    }

    /// The ticket keys that are kept so: those that an equal directive asked for, or new ones. `None`
    /// where OpenSSL fails.
    pub(crate) fn tickets(
        &self,
        store: &Rc<StoreConf>,
        keyspace: &Keyspace,
        sealer: &Rc<Sealer>,
        rotation: Rotation,
    ) -> Option<Rc<TicketsConf>> {
        let mut tickets = self.tickets.borrow_mut();
        let is_it = |conf: &&Rc<TicketsConf>| conf.is_of(store, keyspace, sealer, rotation);
        if let Some(known) = tickets.iter().find(is_it) {
            return Some(Rc::clone(known));
        }
        let (store, keyspace, sealer) = (Rc::clone(store), keyspace.clone(), Rc::clone(sealer));
        let new = Rc::new(TicketsConf::new(store, keyspace, sealer, rotation)?);
        tickets.push(Rc::clone(&new));
        Some(new)
    }

    /// The ticket keys that servers use.
    pub(crate) fn all_tickets(&self) -> Ref<'_, Vec<Rc<TicketsConf>>> {
        self.tickets.borrow()
    }

    /// The stores that some server uses, and those that these fall back to. A store stands behind its
    /// fallback.
    pub(crate) fn stores(&self) -> Vec<Rc<StoreConf>> {
        self.used_stores().into_iter().map(|(store, _)| store).collect()
    }

    /// The same, with where the configuration names them.
    pub(crate) fn used_stores(&self) -> Vec<(Rc<StoreConf>, Line)> {
        let caches = self.caches();
        let used = || caches.iter().map(|cache| cache.store_conf());
        let is_used = |(store, _): &&(Rc<StoreConf>, Line)| {
            let is_it = |other: &StoreConf| ptr::eq(other, store.as_ref());
            used().any(is_it) || used().filter_map(StoreConf::fallback).any(is_it)
        };
        self.stores.borrow().iter().filter(is_used).cloned().collect()
    }

    /// The caches of all SSL_CTXs.
    pub(crate) fn caches(&self) -> Ref<'_, Vec<Rc<SessionCache>>> {
        self.caches.borrow()
    }

    /// Keeps the cache of an SSL_CTX.
    pub(crate) fn add_cache(&self, cache: Rc<SessionCache>) {
        self.caches.borrow_mut().push(cache);
    }

    /// The caches that handshakes begin in.
    pub(crate) fn default_caches(&self) -> Ref<'_, Vec<DefaultCache>> {
        self.default_caches.borrow()
    }

    /// Keeps one.
    pub(crate) fn add_default_cache(&self, cache: DefaultCache) {
        self.default_caches.borrow_mut().push(cache);
    }

    /// Gives the callbacks, and those that keep ticket keys, the stores as this worker has them; each is in
    /// place of the one of its configuration.
    pub(crate) fn use_stores(
        &'static self,
        stores: Vec<(Rc<StoreConf>, Rc<Store>)>,
        cycle: &ngx_cycle_t,
    ) {
        let store_of = |wanted: &StoreConf| {
            let store = stores.iter().find(|(conf, _)| ptr::eq(wanted, &**conf));
            store.map(|(_, store)| Rc::clone(store))
        };
        for cache in &*self.caches() {
            cache.use_store(store_of(cache.store_conf()));
        }
        tickets::start(&self.all_tickets(), store_of, cycle.log);
        self.running.replace(stores.into_iter().map(|(_, store)| store).collect());
        // SAFETY: a cycle has a pool, which drops the value when it goes.
        unsafe { Pool::from_ngx_pool(cycle.pool) }.allocate(Running(self));
    }

    /// Takes the stores away from the callbacks, and closes their connections.
    pub(crate) fn stop_stores(&self) {
        tickets::stop();
        self.caches().iter().for_each(|cache| cache.use_store(None));
        self.running.take().iter().for_each(|store| store.stop());
    }

    /// Where the sessions of servers with TLS go.
    pub(crate) fn destinations(&self) -> Ref<'_, Vec<Destination>> {
        self.destinations.borrow()
    }

    /// Tells where those of more servers go.
    pub(crate) fn add_destinations<'a>(&self, more: impl Iterator<Item = &'a Destination>) {
        self.destinations.borrow_mut().extend(more.cloned());
    }

    /// Checks the stores, once all of the configuration has been read, and what servers use is known.
    ///
    /// That nobody uses one is not an error: while the cache is switched off for an incident, its stores
    /// stay where they are.
    pub(crate) fn check_stores(&self, cycle: &ngx_cycle_t) -> Result<(), Reported> {
        let used = self.stores();
        for (store, line) in &*self.stores.borrow() {
            let is_used = used.iter().any(|used| Rc::ptr_eq(used, store));
            if let (Some(name), false) = (&store.settings().name, is_used) {
                log!(
                    NGX_LOG_WARN,
                    cycle.log,
                    "store \"{name}\" is used by no \"{NAME}\" in {line}"
                );
            }
        }
        let servers: usize = used.iter().map(|store| store.settings().max_servers()).sum();
        if servers > cycle.connection_n / 2 {
            log!(
                NGX_LOG_EMERG,
                cycle.log,
                "each worker connects to {servers} servers of stores, more than half of its {} \
                 \"worker_connections\": raise these, or name fewer servers",
                cycle.connection_n
            );
            return Err(Reported);
        }
        Ok(())
    }

    /// Has the machine's workers share the seeds of the ticket keys that servers use; `None` where nginx has
    /// no memory, which it has told of.
    pub(crate) fn share_tickets(&self, cycle: &mut ngx_cycle_t) -> Option<()> {
        // With `master_process off`, this process goes on with connections of the configuration before,
        // whose zone nginx unmaps where the new one has none.
        if self.all_tickets().is_empty() && !tickets::is_used() {
            return Some(());
        }
        let module = core_module(cycle);
        tickets::add_zone(cycle, module)
    }

    /// Has the workers count what they do with these stores; `None` where nginx has no memory, which it
    /// has told of.
    pub(crate) fn count(&self, cycle: &mut ngx_cycle_t, stores: Vec<Counted>) -> Option<()> {
        // With `master_process off`, this process counts on for the configuration before, whose zone
        // nginx unmaps where the new one has none.
        if stores.is_empty() && !counters::is_counting() {
            return Some(());
        }
        // Some may have the same name, and are one to an operator.
        let mut counted: Vec<Counted> = Vec::new();
        for store in stores {
            match counted.iter_mut().find(|other| other.name == store.name) {
                Some(known) => known.add(store),
                None => counted.push(store),
            }
        }
        self.counted.replace(Some(counted));
        let module = core_module(cycle);
        counters::add_zone(cycle, module)
    }

    /// The stores that are counted.
    pub(crate) fn counted(&self) -> Ref<'_, [Counted]> {
        Ref::map(self.counted.borrow(), |counted| counted.as_deref().unwrap_or(&[]))
    }

    /// The configuration is in use from now on.
    pub(crate) fn start_counting(&self, cycle: &ngx_cycle_t) {
        if let Some(stores) = &*self.counted.borrow() {
            counters::configure(cycle, stores);
        }
    }
}

/// The stores that run, which stop before what they use goes: nginx's pool drops the last first, and
/// resolvers are made while the configuration is read.
///
/// With `master_process off`, the process goes on with another configuration.
struct Running(&'static CycleConf);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.stop_stores();
    }
}

/// The core module.
fn core_module(cycle: &ngx_cycle_t) -> &'static ngx_module_t {
    module(cycle, c"ngx_ssl_session_cache_module").expect("nginx has this module")
}
