//! One question of a handshake to the store, which ends once.

use core::cell::RefCell;
use std::rc::Rc;

use slotmap::SlotMap;
use ssl_session_cache_core::report::Outcome;
use ssl_session_cache_core::server::{Lookup as Reply, Unavailable};
use ssl_session_cache_core::Instant;

use crate::handshake::records::{Decoder, Verdict};
use crate::handshake::suspend::Waker;
use crate::openssl::{Session, MAX_ID};
use crate::store::LookupId;

/// One lookup: what a handshake asks for, and the answer once there is one.
pub(super) struct Lookup {
    session_id: SessionId,
    state: RefCell<State>,
}

enum State {
    /// The store was asked.
    UnderWay(LookupId),
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

/// What is to be done when a lookup ends.
struct UnderWay {
    lookup: Rc<Lookup>,
    waker: Waker,
    decoder: Decoder,
}

thread_local! {
    /// This worker's lookups that have not ended, and that somebody waits for.
    static UNDER_WAY: RefCell<SlotMap<LookupId, UnderWay>> = RefCell::default();
}

pub(super) fn outcome_of(unavailable: Unavailable) -> Outcome {
    match unavailable {
        Unavailable::Full => Outcome::Full,
        Unavailable::Timeout => Outcome::Timeout,
        Unavailable::Down | Unavailable::Refused => Outcome::Down,
    }
}

impl Lookup {
    /// A lookup that the store is asked for.
    pub(super) fn begin(
        waker: Waker,
        session_id: &[u8],
        decoder: Decoder,
        ask: impl FnOnce(LookupId) -> Result<(), Unavailable>,
    ) -> Result<Rc<Self>, Unavailable> {
        let (id, lookup) = UNDER_WAY.with_borrow_mut(|lookups| {
            let id = lookups.insert_with_key(|id| {
                let state = RefCell::new(State::UnderWay(id));
                let lookup = Rc::new(Self { session_id: SessionId::new(session_id), state });
                UnderWay { lookup, waker, decoder }
            });
            (id, Rc::clone(&lookups[id].lookup))
        });
        ask(id).inspect_err(|_| lookup.cancel())?;
        Ok(lookup)
    }

    /// One that was answered without the store.
    pub(super) fn ended(session_id: &[u8], answer: Answer) -> Rc<Self> {
        Rc::new(Self {
            session_id: SessionId::new(session_id),
            state: RefCell::new(State::Ended(answer, None)),
        })
    }

    /// The session id that was offered.
    pub(super) fn session_id(&self) -> &[u8] {
        self.session_id.as_bytes()
    }

    /// Whether the lookup has ended.
    pub(super) fn is_done(&self) -> bool {
        matches!(*self.state.borrow(), State::Ended(..))
    }

    /// How the lookup ended, if it has.
    pub(super) fn answer(&self) -> Option<Answer> {
        match &*self.state.borrow() {
            State::Ended(answer, _) => Some(answer.clone()),
            State::UnderWay(_) => None,
        }
    }

    /// When the store answered, if it was asked and has.
    pub(super) fn ended_at(&self) -> Option<Instant> {
        match *self.state.borrow() {
            State::Ended(_, at) => at,
            State::UnderWay(_) => None,
        }
    }

    /// Nobody waits any longer.
    pub(super) fn cancel(&self) {
        if let State::UnderWay(id) = *self.state.borrow() {
            UNDER_WAY.with_borrow_mut(|lookups| lookups.remove(id));
        }
    }
}

/// Whether a handshake waits for a lookup.
pub(crate) fn is_awaited(id: LookupId) -> bool {
    UNDER_WAY.with_borrow(|lookups| lookups.contains_key(id))
}

/// The store's answer: has the handshake go on.
pub(crate) fn answered(id: LookupId, reply: Reply<'_>, now: Instant) {
    let under_way = UNDER_WAY.with_borrow_mut(|lookups| lookups.remove(id));
    let Some(UnderWay { lookup, waker, decoder }) = under_way else { return };
    let answer = match reply {
        Reply::Found(record) => Answer::Record(decoder.decode(lookup.session_id(), record)),
        Reply::Oversized => Answer::Record(Verdict::Damaged),
        Reply::Missing => Answer::Missing(Outcome::Miss),
        Reply::Unavailable(unavailable) => Answer::Missing(outcome_of(unavailable)),
    };
    lookup.state.replace(State::Ended(answer, Some(now)));
    waker.wake("lookup done");
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
