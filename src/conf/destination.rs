//! Where a server's sessions go.

use std::rc::Rc;

use ssl_session_cache_core::plan::SingleUse;
use ssl_session_cache_core::session::Keyspace;

use crate::conf::line::Line;
use crate::handshake::Suspension;
use crate::openssl::Sealer;
use crate::store::StoreConf;

/// Where a server's sessions go, and by what means.
#[derive(Clone)]
pub(crate) struct Destination {
    pub(crate) store: Rc<StoreConf>,
    /// The keys of its sessions in the store.
    pub(crate) keyspace: Keyspace,
    /// None where sessions are stored in clear.
    pub(crate) sealer: Option<Rc<Sealer>>,
    /// The time of the file of the key that sessions are sealed with, in Unix seconds.
    pub(crate) key_time: Option<i64>,
    /// How handshakes are to be suspended, if not in whatever way works best.
    pub(crate) suspension: Option<Suspension>,
    /// What of a session is used once in the fleet.
    pub(crate) single_use: SingleUse,
    /// Where that is said, at the innermost level; of equal ones, where the first is.
    pub(crate) line: Line,
}

impl Destination {
    /// Whether the sessions of another lie beside these, under names that begin alike.
    pub(crate) fn is_beside(&self, other: &Self) -> bool {
        self.has_store_of(other) && self.keyspace == other.keyspace
    }

    /// Whether each opens what the other seals.
    pub(crate) fn opens_all_of(&self, other: &Self) -> bool {
        match (&self.sealer, &other.sealer) {
            (Some(one), Some(other)) => one.has_keys_of(other) && other.has_keys_of(one),
            (None, None) => true,
            _ => false,
        }
    }

    /// What keeps the sessions of another apart from these, as messages name it.
    pub(crate) fn differs(&self, other: &Self) -> Option<&'static str> {
        if !self.has_store_of(other) {
            return Some("stores");
        }
        if self.keyspace != other.keyspace {
            return Some("values of \"prefix=\"");
        }
        (self.single_use != other.single_use).then_some("values of \"single_use=\"")
    }

    fn has_store_of(&self, other: &Self) -> bool {
        self.store.settings().identity() == other.store.settings().identity()
    }
}

impl PartialEq for Destination {
    fn eq(&self, other: &Self) -> bool {
        Rc::ptr_eq(&self.store, &other.store)
            && self.keyspace == other.keyspace
            && self.sealer == other.sealer
            && self.suspension == other.suspension
            && self.single_use == other.single_use
    }
}

/// An error that has been written to the log already.
pub(crate) struct Reported;
