//! What the store holds of a session: its key there, and its record, in clear or sealed.

use core::cell::RefCell;
use std::rc::Rc;

use ssl_session_cache_core::record::{Binding, Minted, ID_LEN};
use ssl_session_cache_core::{clear, Key, Keyspace, MAX_RECORD};

use crate::handshake::id_context::IdContext;
use crate::handshake::openssl::{Session, SessionRef, Ssl};
use crate::handshake::unix_time;
use crate::seal::{Random, Sealer};

/// How sessions become records, and records sessions.
pub(super) struct Records {
    keyspace: Keyspace,
    sealer: Option<Rc<Sealer>>,
    random: Random,
    /// Where a session is written down, kept to spare an allocation each.
    scratch: RefCell<Box<[u8]>>,
}

/// Where a session lies in the store.
pub(super) struct Entry {
    pub(super) key: Key,
    /// What its record is sealed with; none where records are in clear.
    pub(super) minted: Option<Minted>,
}

/// What makes a session of a record.
pub(super) struct Decoder {
    records: Rc<Records>,
    /// What opens the record, and the context that it must be of; none where records are in clear.
    minted: Option<Minted>,
    context: Option<IdContext>,
}

impl Records {
    pub(super) fn new(keyspace: Keyspace, sealer: Option<Rc<Sealer>>) -> Rc<Self> {
        let scratch = RefCell::new(vec![0; MAX_RECORD].into());
        Rc::new(Self { keyspace, sealer, random: Random::new(), scratch })
    }

    /// Whether session ids are minted, and records sealed.
    pub(super) fn are_sealed(&self) -> bool {
        self.sealer.is_some()
    }

    /// A session id of our own, for a handshake of this SSL's.
    pub(super) fn mint(&self, ssl: Ssl) -> Option<[u8; ID_LEN]> {
        self.sealer.as_ref()?.mint(&self.random.draw()?, &ssl.client_random())
    }

    /// The entry of a session id; `None` where there can be none in the store.
    pub(super) fn entry(&self, id: &[u8]) -> Option<Entry> {
        let minted = match &self.sealer {
            Some(sealer) => Some(sealer.recognise(id)?),
            None => None,
        };
        let key = self.keyspace.key(minted.as_ref().map_or(id, Minted::name))?;
        Some(Entry { key, minted })
    }

    /// Writes the record of a session and hands it to `store`; `None` for what cannot be written
    /// down, which is mostly too large.
    pub(super) fn encode(
        &self,
        minted: Option<&Minted>,
        session: SessionRef<'_>,
        store: impl FnOnce(&[u8]),
    ) -> Option<()> {
        let mut scratch = self.scratch.try_borrow_mut().ok()?;
        let encode = |space: &mut [u8]| session.encode(space);
        let record = match &self.sealer {
            Some(sealer) => minted.zip(self.random.draw()).and_then(|(minted, nonce)| {
                let context = session.id_context();
                let binding = Binding { context, prefix: self.keyspace.prefix() };
                let expiry = session.expires().max(0) as u64;
                sealer.seal(minted, binding, expiry, &nonce, &mut scratch, encode)
            }),
            None => clear::write(session.id(), &mut scratch, encode),
        };
        record.map(store)
    }

    /// The decoder of an entry's record for an SSL. `None` where its session id context is not
    /// known: then nothing may be resumed.
    pub(super) fn decoder(self: &Rc<Self>, minted: Option<Minted>, ssl: Ssl) -> Option<Decoder> {
        let context = match minted {
            Some(_) => Some(IdContext::of(ssl)?),
            None => None,
        };
        Some(Decoder { records: Rc::clone(self), minted, context })
    }
}

impl Decoder {
    /// The session of a record, if it is the one with this id, and undamaged or, where records are
    /// sealed, authentic.
    pub(super) fn decode(&self, id: &[u8], record: &[u8]) -> Option<Session> {
        let records = &self.records;
        let session = match &records.sealer {
            Some(sealer) => {
                let (minted, context) = self.minted.as_ref().zip(self.context.as_ref())?;
                let mut scratch = records.scratch.try_borrow_mut().ok()?;
                let context = context.as_bytes();
                let binding = Binding { context, prefix: records.keyspace.prefix() };
                let now = unix_time() as u64;
                sealer.open(minted, binding, now, record, &mut scratch, Session::decode).ok()?
            }
            None => Session::decode(clear::read(id, record)?),
        };
        session.filter(|session| session.as_ref().id() == id)
    }
}
