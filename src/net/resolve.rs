//! The lookup of the name of whom to connect to.

use core::cell::{Cell, OnceCell};
use core::ptr::NonNull;
use core::time::Duration;
use std::rc::{Rc, Weak};

use nginx_sys::ngx_log_t;
use ssl_session_cache_core::Instant;

use crate::net::address::Address;
use crate::nginx::{now, Asker, Log, NameAddresses, NameQuery, Resolver, Timer};

/// What a name stands for, and until when.
pub(crate) struct Resolved {
    /// Sorted; at least one.
    pub(crate) addresses: Vec<Address>,
    pub(crate) valid_until: Instant,
}

/// Who a lookup tells. It is never called while a method of the lookup runs, but for
/// [`NameLookup::start`].
pub(crate) trait NameHandler {
    /// The lookup has ended: with at least one address, or with the reason why there is none.
    fn resolved(&self, result: Result<Resolved, String>);
}

/// Looks a name up, one lookup at a time.
///
/// # Drop behaviour
///
/// A lookup under way is given up; nobody is told.
pub(crate) struct NameLookup(Rc<Lookup>);

struct Lookup {
    handler: Cell<Option<NonNull<dyn NameHandler>>>,
    query: NameQuery,
    port: Cell<u16>,
    /// For a lookup that may take so long.
    timer: OnceCell<Timer>,
}

impl NameLookup {
    /// A lookup of nothing; [`bind`](Self::bind) it before use.
    pub(crate) fn new() -> Self {
        Self(Rc::new_cyclic(|lookup: &Weak<Lookup>| Lookup {
            handler: Cell::new(None),
            query: NameQuery::new(Weak::clone(lookup) as _),
            port: Cell::new(0),
            timer: OnceCell::new(),
        }))
    }

    /// Sets who is told, and nginx's log.
    ///
    /// # Safety
    ///
    /// The handler may not move from now on, and the handler and the log must live as long as the
    /// lookup.
    pub(crate) unsafe fn bind(&self, handler: NonNull<dyn NameHandler>, log: *mut ngx_log_t) {
        self.0.handler.set(Some(handler));
        // SAFETY: as the caller promises.
        let log = unsafe { Log::new(log) };
        let lookup = Rc::downgrade(&self.0);
        let call = Rc::new(move || {
            if let Some(lookup) = lookup.upgrade() {
                lookup.is_late();
            }
        });
        // A lookup is bound once.
        let _ = self.0.timer.set(Timer::new(log, call));
    }

    /// Begins a lookup, unless one is under way. The handler may be called before this returns,
    /// where nginx knows the answer.
    pub(crate) fn start(&self, resolver: Resolver, name: &str, port: u16) {
        if !self.0.query.is_under_way() {
            self.0.port.set(port);
            self.0.query.ask(resolver, name);
        }
    }

    /// The same, and it ends within this time.
    pub(crate) fn start_within(&self, limit: Duration, resolver: Resolver, name: &str, port: u16) {
        if let Some(timer) = self.0.timer.get() {
            timer.set(limit);
        }
        self.start(resolver, name, port);
    }

    /// Gives the lookup up, if one is under way; nobody is told.
    pub(crate) fn stop(&self) {
        self.0.stop();
    }
}

impl Lookup {
    fn stop(&self) {
        self.query.stop();
        if let Some(timer) = self.timer.get() {
            timer.stop();
        }
    }

    fn is_late(&self) {
        self.stop();
        self.tell(Err("its name was not resolved in time".into()));
    }

    fn tell(&self, result: Result<Resolved, String>) {
        if let Some(handler) = self.handler.get() {
            // SAFETY: the handler lives as long as the lookup, as bind() asks for.
            unsafe { handler.as_ref() }.resolved(result);
        }
    }
}

impl Drop for NameLookup {
    fn drop(&mut self) {
        self.0.handler.set(None);
    }
}

impl Asker for Lookup {
    fn answered(&self, result: Result<NameAddresses, String>) {
        if let Some(timer) = self.timer.get() {
            timer.stop();
        }
        let result = result.map(|NameAddresses { addresses, lifetime }| {
            let new = |address| Address::new(address, self.port.get());
            let addresses = Address::sorted(addresses.into_iter().map(new).collect());
            Resolved { addresses, valid_until: now() + lifetime }
        });
        self.tell(result);
    }
}
