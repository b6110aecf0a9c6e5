//! The claim of a handshake on a session: that it is the first in the whole fleet to use it.
//!
//! A claim is a key of its own beside that of the session, which the store adds where there is none:
//! of all who ask for that, it tells one that it was first. It lies there for as long as a session
//! may live, unless its handshake has made no use of it: then it is given back, as until the client
//! has proved that it has the session's secret, anybody can have offered it who has seen its name.

use core::mem;
use core::time::Duration;
use std::rc::Rc;

use ssl_session_cache_core::protocol::Put;
use ssl_session_cache_core::server::Addition;
use ssl_session_cache_core::session::Key;
use ssl_session_cache_core::Instant;

use crate::nginx::unix_time;
use crate::store::{Asker, LookupId, Store};

/// What lies under the key of a claim: that it is there says all.
const RECORD: &[u8] = b"1";

/// So long before its time is over, a claim is not taken for our own any more: the store's time may have
/// begun earlier, and what is to be deleted may wait.
const MARGIN: Duration = Duration::from_secs(60);

/// A claim on one session.
pub(super) struct Claim {
    store: Rc<Store>,
    key: Key,
    /// Until when the claim lies in the store for sure, if that has granted it.
    until: Instant,
    state: State,
}

enum State {
    /// The store was asked.
    UnderWay,
    /// What the store has said, and when.
    Ended(Addition, Instant),
    /// The session was used.
    Used,
}

impl Claim {
    /// Has a store add the claim on a session by the deadline, for so many seconds.
    pub(super) fn begin(
        store: Rc<Store>,
        session: &Key,
        ttl: u32,
        deadline: Instant,
        lookup: LookupId,
    ) -> Self {
        let key = session.claim();
        let put = Put { key: &key, record: RECORD, ttl, unix_now: unix_time() as u64 };
        let until = store.now() + Duration::from_secs(u64::from(ttl)).saturating_sub(MARGIN);
        let state = match store.add(put, deadline, Asker::Handshake(lookup)) {
            Ok(()) => State::UnderWay,
            Err(unavailable) => State::Ended(Addition::Unavailable(unavailable), store.now()),
        };
        Self { store, key, until, state }
    }

    pub(super) fn is_under_way(&self) -> bool {
        matches!(self.state, State::UnderWay)
    }

    /// What the store has said, and when.
    pub(super) fn answer(&self) -> Option<(Addition, Instant)> {
        match self.state {
            State::Ended(addition, at) => Some((addition, at)),
            State::UnderWay | State::Used => None,
        }
    }

    /// The store has answered.
    pub(super) fn end(&mut self, addition: Addition, now: Instant) {
        self.state = State::Ended(addition, now);
    }

    /// The session is used: the claim stays in the store. False where it was told so before.
    pub(super) fn used(&mut self) -> bool {
        !matches!(mem::replace(&mut self.state, State::Used), State::Used)
    }

    /// Has the store forget a claim that it has granted and that no use was made of. Whether one was
    /// granted that the store has not answered is not known, nor whose one is that lies there when the
    /// time of this one is over.
    pub(super) fn give_back(self) {
        let is_ours = self.store.now() < self.until;
        if let (State::Ended(Addition::First, _), true) = (self.state, is_ours) {
            self.store.delete(&self.key);
        }
    }
}
