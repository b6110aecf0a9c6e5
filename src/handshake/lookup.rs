//! The lookups of one handshake.

use core::cell::{Cell, RefCell};
use core::ffi::{c_int, c_long, c_void};
use core::ptr::{self, NonNull};
use core::time::Duration;
use std::rc::Rc;

use nginx_sys::{
    ngx_connection_t, ngx_post_event, ngx_posted_events, SSL_get_ex_data, SSL_set_ex_data,
    CRYPTO_EX_DATA,
};
use ssl_session_cache_core::{Instant, Key, Lookup as Reply, Unavailable};

use crate::handshake::openssl::{non_null, Session, Ssl, MAX_ID};
use crate::handshake::records::Decoder;
use crate::handshake::{ssl_index, SessionCache};
use crate::log::debug;
use crate::status::Outcome;
use crate::store::Waiter;

/// Lookups for one handshake, whatever the client offers: a ClientHello has room for 1,700
/// identities, and OpenSSL asks for each.
pub(super) const MAX_LOOKUPS: usize = 4;

/// What a handshake has looked up: kept with its SSL until the handshake ends, as a
/// HelloRetryRequest makes OpenSSL ask once more for what has been answered already.
#[derive(Default)]
pub(super) struct Handshake {
    lookups: RefCell<[Option<Rc<Lookup>>; MAX_LOOKUPS]>,
    /// When the first of them began: all must end within the store's timeout from then.
    began: Cell<Option<Instant>>,
}

impl Handshake {
    /// The state of an SSL's handshake, made where there is none yet; `None` without memory.
    pub(super) fn of<'a>(ssl: Ssl) -> Option<&'a Self> {
        if let Some(state) = Self::existing(ssl) {
            return Some(state);
        }
        let state = Box::into_raw(Box::<Self>::default());
        // SAFETY: the SSL is valid, and the index ours: free_handshake() frees what it holds.
        unsafe {
            if SSL_set_ex_data(ssl.as_ptr(), ssl_index(), state.cast()) == 0 {
                drop(Box::from_raw(state));
                return None;
            }
            Some(&*state)
        }
    }

    fn existing<'a>(ssl: Ssl) -> Option<&'a Self> {
        // SAFETY: the index is ours: what it holds is null or what of() set, which lives until the
        // handshake ends or the SSL is freed. Both are outside of what this is called from.
        unsafe {
            non_null::<Self>(SSL_get_ex_data(ssl.as_ptr(), ssl_index())).map(|state| state.as_ref())
        }
    }

    /// Frees the state: the handshake is done.
    pub(super) fn end(ssl: Ssl) {
        // SAFETY: the index is ours, and nothing refers to the state once the handshake is done.
        unsafe {
            if let Some(state) = non_null::<Self>(SSL_get_ex_data(ssl.as_ptr(), ssl_index())) {
                SSL_set_ex_data(ssl.as_ptr(), ssl_index(), ptr::null_mut());
                drop(Box::from_raw(state.as_ptr()));
            }
        }
    }

    /// The lookup of an id, if this handshake has begun it.
    pub(super) fn lookup(ssl: Ssl, id: &[u8]) -> Option<Rc<Lookup>> {
        let lookups = Self::existing(ssl)?.lookups.try_borrow().ok()?;
        lookups.iter().flatten().find(|lookup| lookup.id.as_bytes() == id).cloned()
    }

    /// Whether a lookup of this handshake is under way.
    pub(super) fn waits(ssl: Ssl) -> bool {
        let Some(state) = Self::existing(ssl) else { return false };
        state.lookups.borrow().iter().flatten().any(|lookup| !lookup.is_done())
    }

    /// Begins the lookup of an id in the store, where one can be begun. Without a decoder, what is
    /// found is kept as it is.
    pub(super) fn begin(
        &self,
        cache: &SessionCache,
        ssl: Ssl,
        id: &[u8],
        key: &Key,
        decoder: Option<Decoder>,
    ) -> Result<Rc<Lookup>, Outcome> {
        let mut lookups = self.lookups.try_borrow_mut().map_err(|_| Outcome::Miss)?;
        if ssl.is_shut_down() {
            return Err(Outcome::Miss);
        }
        let slot = lookups.iter_mut().find(|slot| slot.is_none()).ok_or(Outcome::Miss)?;
        let now = cache.store.now();
        let began = self.began.get().unwrap_or(now);
        let deadline = began + cache.store.timeout();
        if deadline <= now {
            return Err(Outcome::Timeout);
        }
        let connection = ssl.connection().ok_or(Outcome::Miss)?;
        let lookup = Rc::new(Lookup {
            id: SessionId::new(id).ok_or(Outcome::Miss)?,
            decoder,
            connection: Cell::new(Some(connection)),
            began,
            ended: Cell::new(None),
            answer: RefCell::new(None),
        });
        cache.store.get(key, deadline, Rc::clone(&lookup) as Rc<dyn Waiter>).map_err(outcome_of)?;
        // SAFETY: the connection is valid.
        unsafe { debug!(Some(connection), "lookup begun") };
        self.began.set(Some(began));
        *slot = Some(Rc::clone(&lookup));
        Ok(lookup)
    }

    /// Keeps what was found without the store.
    pub(super) fn keep(&self, cache: &SessionCache, id: &[u8], session: Session) {
        let Ok(mut lookups) = self.lookups.try_borrow_mut() else { return };
        let (Some(slot), Some(id)) =
            (lookups.iter_mut().find(|slot| slot.is_none()), SessionId::new(id))
        else {
            return;
        };
        *slot = Some(Rc::new(Lookup {
            id,
            decoder: None,
            connection: Cell::new(None),
            began: cache.store.now(),
            ended: Cell::new(None),
            answer: RefCell::new(Some(Answer::Local(session))),
        }));
    }
}

impl Drop for Handshake {
    /// Nobody waits any longer: an answer that comes later wakes no connection.
    fn drop(&mut self) {
        self.lookups.get_mut().iter().flatten().for_each(|lookup| lookup.cancel());
    }
}

/// Frees the state of a handshake with its SSL.
pub(super) unsafe extern "C" fn free_handshake(
    _ssl: *mut c_void,
    state: *mut c_void,
    _data: *mut CRYPTO_EX_DATA,
    _index: c_int,
    _argl: c_long,
    _argp: *mut c_void,
) {
    if let Some(state) = non_null::<Handshake>(state) {
        // SAFETY: what the index holds was made by Handshake::of().
        drop(unsafe { Box::from_raw(state.as_ptr()) });
    }
}

/// One lookup: asked for by a handshake, answered by the store's client.
pub(super) struct Lookup {
    id: SessionId,
    decoder: Option<Decoder>,
    /// The connection to wake; none once nobody waits for it.
    connection: Cell<Option<NonNull<ngx_connection_t>>>,
    /// When the first lookup of the handshake began.
    began: Instant,
    /// When this one was answered by the store.
    ended: Cell<Option<Instant>>,
    answer: RefCell<Option<Answer>>,
}

/// How a lookup ended.
#[derive(Clone, Debug)]
pub(super) enum Answer {
    /// The session, from the tier of this machine.
    Local(Session),
    /// The session, from the store.
    Found(Session),
    /// A record, from the store, that was not decoded.
    Record(Rc<[u8]>),
    /// No session, and why.
    Missing(Outcome),
    /// Something that is not the session asked for.
    Invalid,
}

fn outcome_of(unavailable: Unavailable) -> Outcome {
    match unavailable {
        Unavailable::Full => Outcome::Full,
        Unavailable::Timeout => Outcome::Timeout,
        Unavailable::Down | Unavailable::Refused => Outcome::Down,
    }
}

impl Lookup {
    /// Whether the lookup has ended.
    pub(super) fn is_done(&self) -> bool {
        self.answer.borrow().is_some()
    }

    /// How the lookup ended, if it has.
    pub(super) fn answer(&self) -> Option<Answer> {
        self.answer.borrow().clone()
    }

    /// The time from the first lookup of the handshake to the answer of this one, if the store was
    /// asked.
    pub(super) fn waited(&self) -> Option<Duration> {
        self.ended.get().map(|ended| ended.since(self.began))
    }

    /// Nobody waits any longer.
    pub(super) fn cancel(&self) {
        self.connection.set(None);
    }

    fn found(&self, record: &[u8]) -> Answer {
        match &self.decoder {
            Some(decoder) => {
                decoder.decode(self.id.as_bytes(), record).map_or(Answer::Invalid, Answer::Found)
            }
            None => Answer::Record(record.into()),
        }
    }
}

impl Waiter for Lookup {
    /// Records the answer, and has the handshake go on in this turn of the event loop: by its read
    /// event, never from here, where another handshake may be on the stack.
    fn complete(&self, reply: Reply<'_>, now: Instant) {
        let Some(connection) = self.connection.take() else { return };
        let answer = match reply {
            Reply::Found(record) => self.found(record),
            Reply::Oversized => Answer::Invalid,
            Reply::Missing => Answer::Missing(Outcome::Miss),
            Reply::Unavailable(unavailable) => Answer::Missing(outcome_of(unavailable)),
        };
        self.ended.set(Some(now));
        *self.answer.borrow_mut() = Some(answer);
        // SAFETY: whoever closes the connection frees its SSL first, which cancels the lookup.
        unsafe {
            debug!(Some(connection), "lookup done");
            ngx_post_event(connection.as_ref().read, &raw mut ngx_posted_events);
        }
    }
}

/// A session id, 1 to 32 bytes.
struct SessionId {
    bytes: [u8; MAX_ID],
    len: u8,
}

impl SessionId {
    fn new(id: &[u8]) -> Option<Self> {
        let mut bytes = [0; MAX_ID];
        bytes.get_mut(..id.len())?.copy_from_slice(id);
        Some(Self { bytes, len: id.len() as u8 })
    }

    fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }
}
