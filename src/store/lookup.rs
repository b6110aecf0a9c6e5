//! Who asks a store, and how it is told what has come of that.

use slotmap::{new_key_type, SecondaryMap};
use ssl_session_cache_core::server::{Addition, Lookup, Unavailable};
use ssl_session_cache_core::session::Key;
use ssl_session_cache_core::Instant;

use crate::store::settings::Settings;

new_key_type! {
    /// What a handshake's question is known by: the handshake draws it, for each.
    pub(crate) struct LookupId;

    /// What a keeper of ticket keys is known by, which has one question at a time.
    pub(crate) struct KeeperId;
}

/// Who asks a store.
#[derive(Clone, Copy)]
pub(crate) enum Asker {
    Handshake(LookupId),
    Keeper(KeeperId),
}

/// How askers are told what has come of their questions: once of each that was accepted. The store may
/// be asked meanwhile.
#[derive(Clone, Copy)]
pub(crate) struct Tell {
    /// Whether somebody still waits: another store need not be asked for nobody.
    pub(crate) is_awaited: fn(Asker) -> bool,
    /// A lookup has ended.
    pub(crate) looked_up: fn(Asker, Lookup<'_>, Instant),
    /// A record to add was put there, or was not.
    pub(crate) added: fn(Asker, Addition, Instant),
    /// One of the store's servers was away, and is connected again: it may have lost what it had.
    pub(crate) reconnected: fn(&Settings),
}

/// What a question is known by among the servers of a store.
#[derive(Clone, Copy)]
pub(super) struct Token {
    pub(super) asker: Asker,
    /// Why the store that was asked first cannot say, where this is its fallback.
    pub(super) first: Option<Unavailable>,
}

/// Lookups that another store may be asked for next, by who asks: under which key, and until when.
#[derive(Default)]
pub(super) struct AskedFirst {
    of_handshakes: SecondaryMap<LookupId, (Key, Instant)>,
    of_keepers: SecondaryMap<KeeperId, (Key, Instant)>,
}

impl AskedFirst {
    pub(super) fn insert(&mut self, asker: Asker, lookup: (Key, Instant)) {
        match asker {
            Asker::Handshake(id) => self.of_handshakes.insert(id, lookup),
            Asker::Keeper(id) => self.of_keepers.insert(id, lookup),
        };
    }

    pub(super) fn remove(&mut self, asker: Asker) -> Option<(Key, Instant)> {
        match asker {
            Asker::Handshake(id) => self.of_handshakes.remove(id),
            Asker::Keeper(id) => self.of_keepers.remove(id),
        }
    }
}
