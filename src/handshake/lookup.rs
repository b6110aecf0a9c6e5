//! The questions of handshakes to the store, each of which ends once.

use core::cell::{Cell, RefCell};
use core::mem;

use slotmap::SlotMap;
use ssl_session_cache_core::report::Outcome;
use ssl_session_cache_core::server::{Lookup as Reply, Unavailable};
use ssl_session_cache_core::Instant;

use crate::handshake::records::{Decoder, Verdict};
use crate::handshake::suspend::Waker;
use crate::openssl::{Session, MAX_ID};
use crate::store::LookupId;

/// Lookups for one handshake, whatever the client offers: a ClientHello has room for 1,700
/// identities, and OpenSSL asks for each.
pub(super) const MAX_LOOKUPS: usize = 4;

/// What one handshake looks up, each session once.
///
/// # Drop behaviour
///
/// Nobody waits any longer: an answer that comes later wakes no connection.
#[derive(Default)]
pub(super) struct Lookups([Cell<Option<LookupId>>; MAX_LOOKUPS]);

/// One lookup: what is asked for, and the answer once there is one.
struct Lookup {
    session_id: SessionId,
    state: State,
}

enum State {
    /// The store was asked. What is to be done when it answers.
    UnderWay { waker: Waker, decoder: Decoder },
    /// The answer, and when the store gave it, if that was asked.
    Ended(Answer, Option<Instant>),
}

/// How a lookup ended.
#[derive(Clone, Debug)]
pub(super) enum Answer {
    /// The session, from the tier of this machine.
    Local(Session),
    /// A record, from the store.
    Record(Verdict),
    /// No session, and why.
    Missing(Outcome),
}

thread_local! {
    /// The lookups of this worker's handshakes, as long as these have not come to their end.
    static LOOKUPS: RefCell<SlotMap<LookupId, Lookup>> = RefCell::default();
}

fn outcome_of(unavailable: Unavailable) -> Outcome {
    match unavailable {
        Unavailable::Full => Outcome::Full,
        Unavailable::Timeout => Outcome::Timeout,
        Unavailable::Down | Unavailable::Refused => Outcome::Down,
    }
}

impl Lookups {
    /// Asks the store, where there is room for one more.
    pub(super) fn begin(
        &self,
        session_id: &[u8],
        waker: Waker,
        decoder: Decoder,
        ask: impl FnOnce(LookupId) -> Result<(), Unavailable>,
    ) -> Result<LookupId, Outcome> {
        let slot = self.free().ok_or(Outcome::Miss)?;
        let id = insert(session_id, State::UnderWay { waker, decoder });
        if let Err(unavailable) = ask(id) {
            remove(id);
            return Err(outcome_of(unavailable));
        }
        slot.set(Some(id));
        Ok(id)
    }

    /// Keeps an answer that the store was not asked for, where there is room.
    pub(super) fn keep(&self, session_id: &[u8], answer: Answer) {
        if let Some(slot) = self.free() {
            slot.set(Some(insert(session_id, State::Ended(answer, None))));
        }
    }

    /// Whether there is no room for one more.
    pub(super) fn are_full(&self) -> bool {
        self.free().is_none()
    }

    /// The lookup of a session, if there is one.
    pub(super) fn of(&self, session_id: &[u8]) -> Option<LookupId> {
        let is_it = |lookup: &Lookup| lookup.session_id.as_bytes() == session_id;
        LOOKUPS.with_borrow(|lookups| self.ids().find(|id| lookups.get(*id).is_some_and(is_it)))
    }

    /// Whether one of them has not ended.
    pub(super) fn are_under_way(&self) -> bool {
        self.ids().any(is_awaited)
    }

    /// Cancels those that have not ended, and forgets all.
    pub(super) fn clear(&self) {
        self.0.iter().filter_map(Cell::take).for_each(remove);
    }

    fn ids(&self) -> impl Iterator<Item = LookupId> + '_ {
        self.0.iter().filter_map(Cell::get)
    }

    fn free(&self) -> Option<&Cell<Option<LookupId>>> {
        self.0.iter().find(|slot| slot.get().is_none())
    }
}

impl Drop for Lookups {
    fn drop(&mut self) {
        self.clear();
    }
}

fn insert(session_id: &[u8], state: State) -> LookupId {
    let lookup = Lookup { session_id: SessionId::new(session_id), state };
    LOOKUPS.with_borrow_mut(|lookups| lookups.insert(lookup))
}

fn remove(id: LookupId) {
    // Dropped once nothing is borrowed any more.
    let _lookup = LOOKUPS.with_borrow_mut(|lookups| lookups.remove(id));
}

/// Ends a lookup that nobody waits for any longer, without an answer.
pub(super) fn cancel(id: LookupId) {
    let ended = State::Ended(Answer::Missing(Outcome::Miss), None);
    // Dropped once nothing is borrowed any more.
    let _state = LOOKUPS.with_borrow_mut(|lookups| {
        lookups.get_mut(id).map(|lookup| mem::replace(&mut lookup.state, ended))
    });
}

/// How a lookup has ended, and when the store has said so, if that was asked.
pub(super) fn answer(id: LookupId) -> Option<(Answer, Option<Instant>)> {
    LOOKUPS.with_borrow(|lookups| match &lookups.get(id)?.state {
        State::Ended(answer, at) => Some((answer.clone(), *at)),
        State::UnderWay { .. } => None,
    })
}

/// Whether a handshake waits for a lookup.
pub(crate) fn is_awaited(id: LookupId) -> bool {
    let is_under_way = |lookup: &Lookup| matches!(lookup.state, State::UnderWay { .. });
    LOOKUPS.with_borrow(|lookups| lookups.get(id).is_some_and(is_under_way))
}

/// The store's answer: has the handshake go on.
pub(crate) fn answered(id: LookupId, reply: Reply<'_>, now: Instant) {
    let waker = LOOKUPS.with_borrow_mut(|lookups| lookups.get_mut(id)?.end(reply, now));
    if let Some(waker) = waker {
        waker.wake("lookup done");
    }
}

impl Lookup {
    /// The store has answered. Returns what has the handshake go on; `None` where it had answered before.
    fn end(&mut self, reply: Reply<'_>, now: Instant) -> Option<Waker> {
        let State::UnderWay { decoder, .. } = &self.state else { return None };
        let answer = match reply {
            Reply::Found(record) => {
                Answer::Record(decoder.decode(self.session_id.as_bytes(), record))
            }
            Reply::Oversized => Answer::Record(Verdict::Damaged),
            Reply::Missing => Answer::Missing(Outcome::Miss),
            Reply::Unavailable(unavailable) => Answer::Missing(outcome_of(unavailable)),
        };
        match mem::replace(&mut self.state, State::Ended(answer, Some(now))) {
            State::UnderWay { waker, .. } => Some(waker),
            State::Ended(..) => None,
        }
    }
}

/// A session id, at most 32 bytes.
#[derive(Clone, Copy)]
pub(super) struct SessionId {
    bytes: [u8; MAX_ID],
    len: u8,
}

impl SessionId {
    /// Of a longer one the beginning: TLS and OpenSSL have none.
    pub(super) fn new(id: &[u8]) -> Self {
        let id = &id[..id.len().min(MAX_ID)];
        let mut bytes = [0; MAX_ID];
        bytes[..id.len()].copy_from_slice(id);
        Self { bytes, len: id.len() as u8 }
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }
}
