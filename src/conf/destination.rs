//! Where a server's sessions go.

use std::rc::Rc;

use ssl_session_cache_core::plan::SingleUse;
use ssl_session_cache_core::session::Keyspace;

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
