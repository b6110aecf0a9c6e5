//! The lookup of the name of whom to connect to.

use core::cell::Cell;
use core::ptr::NonNull;
use std::rc::{Rc, Weak};

use ssl_session_cache_core::Instant;

use crate::net::address::Address;
use crate::nginx::{now, Asker, NameAddresses, NameQuery, Resolver};

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
}

impl NameLookup {
    /// A lookup of nothing; [`bind`](Self::bind) it before use.
    pub(crate) fn new() -> Self {
        Self(Rc::new_cyclic(|lookup: &Weak<Lookup>| Lookup {
            handler: Cell::new(None),
            query: NameQuery::new(Weak::clone(lookup) as _),
            port: Cell::new(0),
        }))
    }

    /// Sets who is told.
    ///
    /// # Safety
    ///
    /// The handler may not move from now on, and must live as long as the lookup.
    pub(crate) unsafe fn bind(&self, handler: NonNull<dyn NameHandler>) {
        self.0.handler.set(Some(handler));
    }

    /// Begins a lookup, unless one is under way. The handler may be called before this returns,
    /// where nginx knows the answer.
    pub(crate) fn start(&self, resolver: Resolver, name: &str, port: u16) {
        if !self.0.query.is_under_way() {
            self.0.port.set(port);
            self.0.query.ask(resolver, name);
        }
    }

    /// Gives the lookup up, if one is under way; nobody is told.
    pub(crate) fn stop(&self) {
        self.0.query.stop();
    }
}

impl Drop for NameLookup {
    fn drop(&mut self) {
        self.0.handler.set(None);
    }
}

impl Asker for Lookup {
    fn answered(&self, result: Result<NameAddresses, String>) {
        let Some(handler) = self.handler.get() else { return };
        let result = result.map(|NameAddresses { addresses, lifetime }| {
            let new = |address| Address::new(address, self.port.get());
            let addresses = Address::sorted(addresses.into_iter().map(new).collect());
            Resolved { addresses, valid_until: now() + lifetime }
        });
        // SAFETY: the handler lives as long as the lookup, as bind() asks for.
        unsafe { handler.as_ref() }.resolved(result);
    }
}
