//! The questions of handshakes to the store, each of which ends once.

use core::cell::{Cell, RefCell};
use core::mem;

use slotmap::SlotMap;
use ssl_session_cache_core::report::Outcome;
use ssl_session_cache_core::server::{Addition, Lookup as Reply, Unavailable};
use ssl_session_cache_core::Instant;

use crate::handshake::claim::Claim;
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
    /// What has the handshake go on that waits.
    waker: Option<Waker>,
    /// The claim on the session, if there is one.
    claim: Option<Box<Claim>>,
    /// Whether the handshake is over: what is left is to give the claim back.
    is_over: bool,
}

enum State {
    /// The store was asked. What makes a session of the record.
    UnderWay(Decoder),
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

pub(super) fn outcome_of(unavailable: Unavailable) -> Outcome {
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
        let id = insert(session_id, State::UnderWay(decoder), Some(waker));
        if let Err(unavailable) = ask(id) {
            remove(id);
            return Err(outcome_of(unavailable));
        }
        slot.set(Some(id));
        Ok(id)
    }

    /// Keeps an answer that the store was not asked for, where there is room.
    pub(super) fn keep(&self, session_id: &[u8], answer: Answer) -> Option<LookupId> {
        let slot = self.free()?;
        let id = insert(session_id, State::Ended(answer, None), None);
        slot.set(Some(id));
        Some(id)
    }

    /// Whether there are none.
    pub(super) fn are_empty(&self) -> bool {
        self.ids().next().is_none()
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

    /// Cancels those that have not ended, forgets all, and gives claims back.
    pub(super) fn clear(&self) {
        self.0.iter().filter_map(Cell::take).for_each(end);
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

fn insert(session_id: &[u8], state: State, waker: Option<Waker>) -> LookupId {
    let session_id = SessionId::new(session_id);
    let lookup = Lookup { session_id, state, waker, claim: None, is_over: false };
    LOOKUPS.with_borrow_mut(|lookups| lookups.insert(lookup))
}

fn remove(id: LookupId) {
    // Dropped once nothing is borrowed any more.
    let _lookup = LOOKUPS.with_borrow_mut(|lookups| lookups.remove(id));
}

/// The handshake of a lookup is over. A claim that the store has not answered is given back then.
fn end(id: LookupId) {
    let lookup = LOOKUPS.with_borrow_mut(|lookups| {
        let lookup = lookups.get_mut(id)?;
        if lookup.claim.as_ref().is_some_and(|claim| claim.is_under_way()) {
            lookup.waker = None;
            lookup.is_over = true;
            return None;
        }
        lookups.remove(id)
    });
    // Nothing is borrowed any more.
    if let Some(claim) = lookup.and_then(|lookup| lookup.claim) {
        claim.give_back();
    }
}

/// Claims the use of the session that is looked up.
pub(super) fn claim(id: LookupId, claim: Claim, waker: Waker) {
    LOOKUPS.with_borrow_mut(|lookups| {
        if let Some(lookup) = lookups.get_mut(id) {
            lookup.claim = Some(Box::new(claim));
            lookup.waker = Some(waker);
        }
    });
}

/// What the store has said to the claim on a session, if it was claimed, and if the store has said
/// something.
pub(super) fn claimed(id: LookupId) -> Option<Addition> {
    LOOKUPS.with_borrow(|lookups| Some(lookups.get(id)?.claim.as_ref()?.answer()?.0))
}

/// The session is used that was claimed. False where there is no claim, or it was told so before.
pub(super) fn used(id: LookupId) -> bool {
    LOOKUPS.with_borrow_mut(|lookups| {
        let claim = lookups.get_mut(id).and_then(|lookup| lookup.claim.as_mut());
        claim.is_some_and(|claim| claim.used())
    })
}

/// Ends a lookup that nobody waits for any longer: without an answer, if it has none.
pub(super) fn cancel(id: LookupId) {
    let ended = State::Ended(Answer::Missing(Outcome::Miss), None);
    // Dropped once nothing is borrowed any more.
    let _state = LOOKUPS.with_borrow_mut(|lookups| {
        let is_under_way = |lookup: &&mut Lookup| matches!(lookup.state, State::UnderWay(_));
        let lookup = lookups.get_mut(id).filter(is_under_way)?;
        Some(mem::replace(&mut lookup.state, ended))
    });
}

/// How a lookup has ended, and when the store has said what was waited for, if that was asked.
pub(super) fn answer(id: LookupId) -> Option<(Answer, Option<Instant>)> {
    LOOKUPS.with_borrow(|lookups| {
        let lookup = lookups.get(id)?;
        let claimed_at = lookup.claim.as_ref().and_then(|claim| Some(claim.answer()?.1));
        match &lookup.state {
            State::Ended(answer, at) => Some((answer.clone(), (*at).max(claimed_at))),
            State::UnderWay(_) => None,
        }
    })
}

/// Whether a handshake waits for a lookup, or for the claim on the session that was found.
pub(crate) fn is_awaited(id: LookupId) -> bool {
    LOOKUPS.with_borrow(|lookups| lookups.get(id).is_some_and(Lookup::is_awaited))
}

/// The store's answer: has the handshake go on.
pub(crate) fn answered(id: LookupId, reply: Reply<'_>, now: Instant) {
    let waker = LOOKUPS.with_borrow_mut(|lookups| lookups.get_mut(id)?.end(reply, now));
    if let Some(waker) = waker {
        waker.wake("lookup done");
    }
}

/// The store's answer to a claim: has the handshake go on, or gives the claim back where that is over.
pub(crate) fn claim_answered(id: LookupId, addition: Addition, now: Instant) {
    let (is_over, waker) = LOOKUPS.with_borrow_mut(|lookups| {
        let lookup = lookups.get_mut(id);
        lookup.map_or((false, None), |lookup| lookup.end_claim(addition, now))
    });
    if let Some(waker) = waker {
        waker.wake("claim done");
    }
    if is_over {
        end(id);
    }
}

impl Lookup {
    /// Whether the handshake has to wait for the session, or for the claim on it.
    fn is_awaited(&self) -> bool {
        match &self.state {
            State::UnderWay(_) => true,
            State::Ended(Answer::Local(_) | Answer::Record(Verdict::Usable(_)), _) => {
                self.claim.as_ref().is_some_and(|claim| claim.is_under_way())
            }
            State::Ended(..) => false,
        }
    }

    /// The store has answered. Returns what has the handshake go on, if it is to.
    fn end(&mut self, reply: Reply<'_>, now: Instant) -> Option<Waker> {
        let State::UnderWay(decoder) = &self.state else { return None };
        let answer = match reply {
            Reply::Found(record) => {
                Answer::Record(decoder.decode(self.session_id.as_bytes(), record))
            }
            Reply::Oversized => Answer::Record(Verdict::Damaged),
            Reply::Missing => Answer::Missing(Outcome::Miss),
            Reply::Unavailable(unavailable) => Answer::Missing(outcome_of(unavailable)),
        };
        self.state = State::Ended(answer, Some(now));
        self.waker_if_done()
    }

    /// The store has answered to the claim. Returns whether the handshake is over, and what has it go on,
    /// if it is to.
    fn end_claim(&mut self, addition: Addition, now: Instant) -> (bool, Option<Waker>) {
        if let Some(claim) = &mut self.claim {
            claim.end(addition, now);
        }
        (self.is_over, self.waker_if_done())
    }

    /// What has the handshake go on, once, where there is nothing more to wait for.
    fn waker_if_done(&mut self) -> Option<Waker> {
        if self.is_awaited() {
            return None;
        }
        self.waker.take()
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
