//! What lookups are known by, between who asks and who answers.

use slotmap::new_key_type;
use ssl_session_cache_core::server::{Lookup, Unavailable};
use ssl_session_cache_core::Instant;

new_key_type! {
    /// What a lookup is known by: its asker draws it, and is told by it how the lookup has ended.
    pub(crate) struct LookupId;
}

/// Who asks a store.
#[derive(Clone, Copy)]
pub(super) struct Asker {
    pub(super) id: LookupId,
    /// Why the store that was asked first cannot say, where this is its fallback.
    pub(super) first: Option<Unavailable>,
}

/// Whether somebody waits for a lookup: another store need not be asked for nobody.
pub(crate) type IsAwaited = fn(LookupId) -> bool;

/// Who is told how a lookup has ended: once, if it was accepted. The store may be asked meanwhile.
pub(crate) type Tell = fn(LookupId, Lookup<'_>, Instant);
