//! Where a server's sessions go.

use std::rc::Rc;

use ssl_session_cache_core::plan::SingleUse;
use ssl_session_cache_core::report::SealingKey;
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
    /// What sessions that lie in the same store, under names that begin alike, have in common.
    pub(crate) fn place(&self) -> (Vec<u8>, &[u8]) {
        (self.store.settings().identity(), self.keyspace.prefix())
    }

    /// The key that sessions are sealed with, if they are.
    pub(crate) fn key(&self) -> Option<SealingKey> {
        Some(SealingKey { id: self.sealer.as_ref()?.key_id()?, time: self.key_time? })
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
        if self.store.settings().identity() != other.store.settings().identity() {
            return Some("stores");
        }
        if self.keyspace != other.keyspace {
            return Some("values of \"prefix=\"");
        }
        (self.single_use != other.single_use).then_some("values of \"single_use=\"")
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
