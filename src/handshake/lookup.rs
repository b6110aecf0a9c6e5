//! One question of a handshake to the store, which ends once.

use core::cell::{Cell, RefCell};
use std::rc::Rc;

use ssl_session_cache_core::server::{Lookup as Reply, Unavailable};
use ssl_session_cache_core::Instant;

use crate::counters::Outcome;
use crate::handshake::records::{Decoder, Verdict};
use crate::openssl::{Session, Ssl, MAX_ID};
use crate::store::Waiter;

/// One lookup: asked for by a handshake, answered by the store's client.
pub(super) struct Lookup {
    id: SessionId,
    /// None where the store is not asked.
    decoder: Option<Decoder>,
    /// Whose handshake to wake; none once nobody waits. Whoever frees the SSL cancels the lookup.
    ssl: Cell<Option<Ssl>>,
    /// When the store answered.
    ended: Cell<Option<Instant>>,
    answer: RefCell<Option<Answer>>,
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

pub(super) fn outcome_of(unavailable: Unavailable) -> Outcome {
    match unavailable {
        Unavailable::Full => Outcome::Full,
        Unavailable::Timeout => Outcome::Timeout,
        Unavailable::Down | Unavailable::Refused => Outcome::Down,
    }
}

impl Lookup {
    /// A lookup that the store is asked for.
    pub(super) fn begun(ssl: Ssl, id: &[u8], decoder: Decoder) -> Rc<Self> {
        Rc::new(Self {
            id: SessionId::new(id),
            decoder: Some(decoder),
            ssl: Cell::new(Some(ssl)),
            ended: Cell::new(None),
            answer: RefCell::new(None),
        })
    }

    /// One that was answered without the store.
    pub(super) fn ended(id: &[u8], answer: Answer) -> Rc<Self> {
        Rc::new(Self {
            id: SessionId::new(id),
            decoder: None,
            ssl: Cell::new(None),
            ended: Cell::new(None),
            answer: RefCell::new(Some(answer)),
        })
    }

    /// The session id that was offered.
    pub(super) fn id(&self) -> &[u8] {
        self.id.as_bytes()
    }

    /// Whether the lookup has ended.
    pub(super) fn is_done(&self) -> bool {
        self.answer.borrow().is_some()
    }

    /// How the lookup ended, if it has.
    pub(super) fn answer(&self) -> Option<Answer> {
        self.answer.borrow().clone()
    }

    /// When the store answered, if it was asked and has.
    pub(super) fn ended_at(&self) -> Option<Instant> {
        self.ended.get()
    }

    /// Nobody waits any longer.
    pub(super) fn cancel(&self) {
        self.ssl.set(None);
    }

    fn judge(&self, record: &[u8]) -> Verdict {
        self.decoder
            .as_ref()
            .map_or(Verdict::Elsewhere, |decoder| decoder.decode(self.id(), record))
    }
}

impl Waiter for Lookup {
    /// Records the answer, and has the handshake go on in this turn of the event loop: by its read
    /// event, never from here, where another handshake may be on the stack.
    fn complete(&self, reply: Reply<'_>, now: Instant) {
        let Some(ssl) = self.ssl.take() else { return };
        let answer = match reply {
            Reply::Found(record) => Answer::Record(self.judge(record)),
            Reply::Oversized => Answer::Record(Verdict::Damaged),
            Reply::Missing => Answer::Missing(Outcome::Miss),
            Reply::Unavailable(unavailable) => Answer::Missing(outcome_of(unavailable)),
        };
        self.ended.set(Some(now));
        *self.answer.borrow_mut() = Some(answer);
        ssl.debug("lookup done");
        ssl.post_read_event();
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
