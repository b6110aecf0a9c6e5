//! What the store holds of a session: its key there, and its record, in clear or sealed.

use core::cell::RefCell;
use std::rc::Rc;

use ssl_session_cache_core::session::sealed::{Minted, ID_LEN};
use zeroize::Zeroize;

use ssl_session_cache_core::protocol::MAX_RECORD;
use ssl_session_cache_core::session::{asn1, clear, Key, Keyspace};

use crate::nginx::{process_id, unix_time};
use crate::openssl::{Random, Sealer};
use crate::openssl::{Session, SessionRef, Ssl};

/// How sessions become records, and records sessions.
pub(super) struct Records {
    keyspace: Keyspace,
    sealer: Option<Rc<Sealer>>,
    /// The number of the site that sessions are made at, 0 where that has none.
    site: u8,
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
    /// What opens the record; none where records are in clear.
    minted: Option<Minted>,
}

/// What a record comes to.
#[derive(Clone, Debug)]
pub(super) enum Verdict {
    /// The session that was asked for.
    Usable(Session),
    /// It is sound, and of use to another machine or at another time: it has expired by the clock
    /// of this one, or this OpenSSL or this module cannot read it.
    Elsewhere,
    /// It was damaged, or forged.
    Damaged,
}

impl Records {
    pub(super) fn new(keyspace: Keyspace, sealer: Option<Rc<Sealer>>, site: u8) -> Rc<Self> {
        let scratch = RefCell::new(vec![0; MAX_RECORD].into());
        Rc::new(Self { keyspace, sealer, site, random: Random::new(), scratch })
    }

    /// Whether session ids are minted, and records sealed.
    pub(super) fn are_sealed(&self) -> bool {
        self.sealer.is_some()
    }

    /// A session id of our own, for a handshake of this SSL's.
    pub(super) fn mint(&self, ssl: Ssl<'_>) -> Option<[u8; ID_LEN]> {
        let random = self.random.draw(process_id())?;
        self.sealer.as_ref()?.mint(&random, &ssl.client_random(), self.site)
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
        // What writes a session down does not come back here.
        let mut scratch = self.scratch.borrow_mut();
        let encode = |space: &mut [u8]| session.encode(space);
        let record = match &self.sealer {
            Some(sealer) => {
                minted.zip(self.random.draw(process_id())).and_then(|(minted, nonce)| {
                    let expiry = session.expires().max(0) as u64;
                    let prefix = self.keyspace.prefix();
                    sealer.seal(minted, prefix, expiry, &nonce, &mut scratch, encode)
                })
            }
            None => clear::write(session.id(), &mut scratch, encode),
        };
        record.map(store)
    }

    /// Whether a session was made with an extended master secret (RFC 7627).
    pub(super) fn has_extended_master_secret(&self, session: SessionRef<'_>) -> bool {
        // What writes a session down does not come back here.
        let mut scratch = self.scratch.borrow_mut();
        let text = session.encode(&mut scratch).map(|len| &mut scratch[..len]);
        text.is_some_and(|text| {
            let has = asn1::has_extended_master_secret(text);
            text.zeroize();
            has
        })
    }

    /// The decoder of an entry's record.
    pub(super) fn decoder(self: &Rc<Self>, minted: Option<Minted>) -> Decoder {
        Decoder { records: Rc::clone(self), minted }
    }
}

impl Entry {
    /// The number of the site that the session was made at, 0 where its id does not tell.
    pub(super) fn site(&self) -> u8 {
        self.minted.as_ref().map_or(0, Minted::site)
    }
}

impl Decoder {
    /// What a record comes to that lies under the name of the session with this id.
    pub(super) fn decode(&self, id: &[u8], record: &[u8]) -> Verdict {
        let session = match self.minted.as_ref().zip(self.records.sealer.as_ref()) {
            Some((minted, sealer)) => {
                let prefix = self.records.keyspace.prefix();
                let now = unix_time() as u64;
                // What reads a session does not come back here.
                let mut scratch = self.records.scratch.borrow_mut();
                match sealer.open(minted, prefix, now, record, &mut scratch, Session::decode) {
                    Ok(session) => session,
                    Err(error) if error.is_damage() => return Verdict::Damaged,
                    Err(_) => None,
                }
            }
            None => match clear::read(id, record) {
                Some(text) => Session::decode(text),
                None => return Verdict::Damaged,
            },
        };
        match session {
            Some(session) if session.as_ref().id() == id => Verdict::Usable(session),
            Some(_) => Verdict::Damaged,
            None => Verdict::Elsewhere,
        }
    }
}
