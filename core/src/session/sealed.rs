//! Sealed records, and the session ids that they belong to.
//!
//! A stored session is the key to a connection, and the store is not trusted. With a key file, all
//! that a store ever sees of a session is a name and a record, which tell nothing to whoever has
//! not got the key, and cannot be made or changed without it.
//!
//! # Construction
//!
//! A key file is the key of AES-256, used as a pseudorandom function on single blocks of a label
//! (one byte) and a seed (15 bytes), as RFC 8452, section 4, derives its keys:
//!
//! ```text
//! mark            = AES(0 | 0...)                         of the key
//! tag             = AES(16 * site + 1 | seed)             of the session
//! name            = AES(16 * site + 2 | seed)
//! record key      = AES(3 | seed) | AES(4 | seed)
//! ```
//!
//! The labels 16 * site + 5, 6 and 7 are those of ticket keys, in `core/src/ticket/record.rs`.
//!
//! A session id is minted as `seed | mark[0] XOR site | tag`: 32 bytes, the only length of a stateful
//! ticket that OpenSSL looks up. The seed is random: 15 bytes of our own, XORed with the last 15 of
//! the ClientHello's random. Whoever has the key can tell an id of its own from any other without
//! asking the store. The first byte of the mark tells at once that an id is not of a key, or else
//! of which of several; what then decides is the tag.
//!
//! The site is a number below 16, 0 where none is configured: it tells which of several stores the
//! session lies in. It is in the label of the tag, so that an id with another site is none of ours.
//!
//! The session lies in the store under `name`. It is sealed with AES-256-GCM (NIST SP 800-38D)
//! under the record key of its id and a random nonce:
//!
//! ```text
//! record          = version (1) | expiry (8, Unix time in seconds) | nonce (12) | text | tag (16)
//! associated data = version | expiry | id (32) | prefix
//! ```
//!
//! The prefix is that of the store's keys. So a record opens only as what it was sealed as: under
//! its own id, in its own store, up to its expiry by the clock of the machine that opens it. What
//! it holds of the session besides, its id context among it, is sealed with it and is judged once
//! it is open: so a record of another context, or one that has expired, is told from a forged one.
//!
//! Version 1 had the context in the associated data. Its records are misses for this version, and
//! those of this version for it.
//!
//! # Limits and reasons
//!
//! - A nonce repeats under a key only where two records of one id draw the same 96 bits. An id has
//!   one record, or a few where it is stored more than once, by one machine or by several at once;
//!   even with 2^10 of them the odds are 2^-77. Under one key for all records, random nonces would
//!   allow 2^32 records over the life of the key (SP 800-38D, section 8.3).
//! - Seeds are 120 bits: two sessions in 2^50 share one with odds of 2^-21. The later record then
//!   replaces the earlier, and who offers the earlier session fails a handshake. AES being a
//!   permutation shows in the outputs only after some 2^64 blocks. Both say: a key is good for 2^50
//!   sessions, a million each second for 35 years.
//! - Machines woken from one snapshot of memory draw the same bytes until OpenSSL takes new
//!   entropy. The ClientHello's random then keeps their ids apart, and so the record keys, which
//!   makes repeated nonces harmless. It does so for honest clients: who sees another's random,
//!   repeats it to a machine that draws the same, and reads the store, learns the other's session.
//! - The tag is 128 bits, where 2^-64 would do: who guesses one wins a lookup that finds nothing.
//! - AES in place of HMAC: in OpenSSL 3.0 an HMAC-SHA-256 of such an input takes 5,800 instructions
//!   without the SHA extensions of the processor, the four blocks 500.
//! - The store sees how many sessions there are, when they come, are asked for and go, about how
//!   long they are, and when they expire. It can withhold a record, or give back an older one of
//!   the same id that has not expired: what is resumed then is a session of that id all the same.
//! - The key files decide over everything: who has one can read what was ever stored under it.

use core::fmt;

use thiserror::Error;
use zeroize::Zeroizing;

use crate::session::key::MAX_KEY;

/// The length of a key file, in bytes.
pub const KEY_LEN: usize = 32;

/// The length of a session id of our own, in bytes.
pub const ID_LEN: usize = 32;

/// The length of the random part of a session id, in bytes.
pub const SEED_LEN: usize = 15;

/// The length of the random of a ClientHello, in bytes.
pub const HELLO_RANDOM_LEN: usize = 32;

/// The length of a record's nonce, in bytes.
pub const NONCE_LEN: usize = 12;

/// The length of the tag that GCM ends a record with, in bytes.
pub const TAG_LEN: usize = 16;

/// The sites that an id can tell: so many, from 0, which is for none.
pub const SITES: u8 = 16;

pub(crate) const BLOCK_LEN: usize = 16;

/// The label of a tag; that of the name is the next. Each site has its own, [`SITES`] apart.
const TAG: u8 = 1;
/// The label of the first half of a record key; that of the second is the next.
const RECORD_KEY: u8 = 3;

/// No ASN.1 form of a session begins with it: a sealed record cannot be taken for one in clear.
const VERSION: u8 = 2;

const EXPIRY_LEN: usize = 8;
const HEADER_LEN: usize = 1 + EXPIRY_LEN + NONCE_LEN;

const MAX_AAD: usize = 1 + EXPIRY_LEN + ID_LEN + MAX_KEY;

/// AES-256 under one key, on single blocks (FIPS 197).
pub trait BlockCipher {
    /// Encrypts each 16 bytes of `blocks` by themselves; false where that failed.
    #[must_use]
    fn encrypt(&self, blocks: &mut [u8]) -> bool;
}

/// AES-256-GCM (NIST SP 800-38D).
pub trait Aead {
    /// Encrypts `text` in place and returns the tag; `None` where that failed.
    fn seal(
        &self,
        key: &[u8; KEY_LEN],
        nonce: &[u8; NONCE_LEN],
        aad: &[u8],
        text: &mut [u8],
    ) -> Option<[u8; TAG_LEN]>;

    /// Decrypts `sealed` into `text`, of the same length; false where the tag does not fit. What
    /// `text` holds then is not to be looked at.
    #[must_use]
    fn open(
        &self,
        key: &[u8; KEY_LEN],
        nonce: &[u8; NONCE_LEN],
        aad: &[u8],
        sealed: &[u8],
        tag: &[u8; TAG_LEN],
        text: &mut [u8],
    ) -> bool;
}

/// Mints session ids, and seals and opens the records of the sessions that have them.
///
/// The construction is described at the top of `core/src/session/sealed.rs`.
pub struct Sealer<B, A> {
    /// The first mints; all recognise.
    keys: Vec<Key<B>>,
    aead: A,
}

struct Key<B> {
    cipher: B,
    mark: [u8; BLOCK_LEN],
}

/// Tells a key from others, to people: the first four bytes of its mark, in hex. It is what the key
/// makes of a block of zeros, and so a key check value as of ANSI X9.24-1. It tells nothing else of the
/// key, and ids have a part of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct KeyId([u8; 4]);

impl KeyId {
    /// Of the key that a cipher has; `None` where that failed.
    pub fn of(cipher: &impl BlockCipher) -> Option<Self> {
        Some(Self::of_mark(&mark(cipher)?))
    }

    fn of_mark(mark: &[u8; BLOCK_LEN]) -> Self {
        let [first, second, third, fourth, ..] = *mark;
        Self([first, second, third, fourth])
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

fn mark(cipher: &impl BlockCipher) -> Option<[u8; BLOCK_LEN]> {
    let mut mark = [0; BLOCK_LEN];
    cipher.encrypt(&mut mark).then_some(mark)
}

/// Why a key cannot be added.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum KeyError {
    /// It is there already.
    #[error("the same key twice")]
    Duplicate,
    /// The cipher failed.
    #[error("AES-256 failed")]
    Cipher,
}

/// A session whose id was minted under one of the keys, and its name. Nothing here is secret: the
/// key of its record is derived where it is used, and wiped there.
pub struct Minted {
    id: [u8; ID_LEN],
    name: [u8; BLOCK_LEN],
    site: u8,
    /// The index of the key in its sealer.
    key: usize,
}

/// Why a record was not opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum OpenError {
    /// No record, or only the beginning of one.
    #[error("record is too short")]
    TooShort,
    /// No record that is sealed in this way: an earlier or a later format.
    #[error("record is of another format")]
    Version,
    /// It is authentic, and its time is over.
    #[error("record has expired")]
    Expired,
    /// It was not sealed under this id, key and prefix, or was changed since.
    #[error("record is not authentic")]
    Forged,
}

impl OpenError {
    /// Whether the record was damaged or forged. Otherwise it is sound, as far as can be told, and
    /// of use to another machine, or at another time.
    pub fn is_damage(self) -> bool {
        match self {
            Self::TooShort | Self::Forged => true,
            Self::Version | Self::Expired => false,
        }
    }
}

impl<B: BlockCipher, A: Aead> Sealer<B, A> {
    /// A sealer without keys: it mints and recognises nothing.
    pub fn new(aead: A) -> Self {
        Self { keys: Vec::new(), aead }
    }

    /// Adds a key, behind those added before.
    pub fn add(&mut self, cipher: B) -> Result<(), KeyError> {
        let mark = mark(&cipher).ok_or(KeyError::Cipher)?;
        if self.keys.iter().any(|key| key.mark == mark) {
            return Err(KeyError::Duplicate);
        }
        self.keys.push(Key { cipher, mark });
        Ok(())
    }

    /// Which key ids are minted under, and records sealed; `None` without a key.
    pub fn key_id(&self) -> Option<KeyId> {
        self.keys.first().map(|key| KeyId::of_mark(&key.mark))
    }

    /// What tells each of the keys, in their order.
    pub(crate) fn marks(&self) -> impl Iterator<Item = [u8; BLOCK_LEN]> + '_ {
        self.keys.iter().map(|key| key.mark)
    }

    /// Fills the blocks with what `input` makes under the key with this index, with this label and
    /// those that follow it; `None` without such a key, or where the cipher failed.
    pub(crate) fn derive(
        &self,
        key: usize,
        label: u8,
        input: &[u8; SEED_LEN],
        blocks: &mut [u8],
    ) -> Option<()> {
        self.keys.get(key)?.derive(label, input, blocks)
    }

    /// What seals records.
    pub(crate) fn aead(&self) -> &A {
        &self.aead
    }

    /// The session id made of `random`, which must be that, and of the ClientHello's random, at a
    /// `site` below [`SITES`]; `None` without a key, or where the cipher failed.
    pub fn mint(
        &self,
        random: &[u8; SEED_LEN],
        hello: &[u8; HELLO_RANDOM_LEN],
        site: u8,
    ) -> Option<[u8; ID_LEN]> {
        let key = self.keys.first()?;
        let hello = hello.last_chunk::<SEED_LEN>()?;
        let seed = core::array::from_fn(|i| random[i] ^ hello[i]);
        let mut id = [0; ID_LEN];
        id[..SEED_LEN].copy_from_slice(&seed);
        id[SEED_LEN] = key.mark[0] ^ site;
        key.derive(tag_of(site), &seed, &mut id[SEED_LEN + 1..])?;
        Some(id)
    }

    /// The session with this id; `None` where the id was minted under none of the keys, or the
    /// cipher failed.
    pub fn recognise(&self, id: &[u8]) -> Option<Minted> {
        let id: &[u8; ID_LEN] = id.try_into().ok()?;
        let (seed, rest) = id.split_first_chunk::<SEED_LEN>()?;
        let (&mark, tag) = rest.split_first()?;
        self.keys.iter().enumerate().find_map(|(index, key)| {
            let site = Some(key.mark[0] ^ mark).filter(|site| *site < SITES)?;
            let mut derived = [[0; BLOCK_LEN]; 2];
            key.derive(tag_of(site), seed, derived.as_flattened_mut())?;
            let [our_tag, name] = derived;
            (word(&our_tag) == word(tag)).then_some(Minted { id: *id, name, site, key: index })
        })
    }

    /// Writes down the key of a session's record.
    fn record_key(&self, session: &Minted, key: &mut [u8; KEY_LEN]) -> Option<()> {
        self.derive(session.key, RECORD_KEY, session.id.first_chunk()?, key)
    }

    /// Writes the record of a session to the front of `buffer`; `None` where it does not fit, or
    /// `encode` has none.
    ///
    /// `encode` writes the session's text to the front of what it is given, and returns the length.
    /// `nonce` must be random.
    pub fn seal<'b>(
        &self,
        session: &Minted,
        prefix: &[u8],
        expiry: u64,
        nonce: &[u8; NONCE_LEN],
        buffer: &'b mut [u8],
        encode: impl FnOnce(&mut [u8]) -> Option<usize>,
    ) -> Option<&'b [u8]> {
        let aad = AssociatedData::new(session, prefix, expiry)?;
        let mut key = Zeroizing::new([0; KEY_LEN]);
        self.record_key(session, &mut key)?;
        let (header, rest) = buffer.split_at_mut_checked(HEADER_LEN)?;
        let room = rest.len().checked_sub(TAG_LEN)?;
        let len = encode(&mut rest[..room])?;
        let (text, rest) = rest.split_at_mut_checked(len)?;

        header[0] = VERSION;
        header[1..1 + EXPIRY_LEN].copy_from_slice(&expiry.to_be_bytes());
        header[1 + EXPIRY_LEN..].copy_from_slice(nonce);
        let Some(tag) = self.aead.seal(&key, nonce, aad.as_bytes(), text) else {
            wipe(text);
            return None;
        };
        rest[..TAG_LEN].copy_from_slice(&tag);
        Some(&buffer[..HEADER_LEN + len + TAG_LEN])
    }

    /// Opens the record of a session at the Unix time `now`, in seconds, and hands its text to
    /// `decode`.
    ///
    /// The text is in `buffer` only as long as that.
    pub fn open<T>(
        &self,
        session: &Minted,
        prefix: &[u8],
        now: u64,
        record: &[u8],
        buffer: &mut [u8],
        decode: impl FnOnce(&[u8]) -> T,
    ) -> Result<T, OpenError> {
        let (&version, rest) = record.split_first().ok_or(OpenError::TooShort)?;
        if version != VERSION {
            return Err(OpenError::Version);
        }
        let (expiry, rest) = rest.split_first_chunk().ok_or(OpenError::TooShort)?;
        let (nonce, rest) = rest.split_first_chunk().ok_or(OpenError::TooShort)?;
        let (sealed, tag) = rest.split_last_chunk().ok_or(OpenError::TooShort)?;
        let expiry = u64::from_be_bytes(*expiry);

        // What is too long for the buffer was not sealed here.
        let text = buffer.get_mut(..sealed.len()).ok_or(OpenError::Forged)?;
        let aad = AssociatedData::new(session, prefix, expiry).ok_or(OpenError::Forged)?;
        let mut key = Zeroizing::new([0; KEY_LEN]);
        self.record_key(session, &mut key).ok_or(OpenError::Forged)?;
        let authentic = self.aead.open(&key, nonce, aad.as_bytes(), sealed, tag, text);
        let decoded = match authentic {
            false => Err(OpenError::Forged),
            true if expiry < now => Err(OpenError::Expired),
            true => Ok(decode(text)),
        };
        wipe(text);
        decoded
    }
}

/// Two sealers with the same keys are equal.
impl<B, A> Sealer<B, A> {
    /// Whether this one has all keys of another: it opens what that one seals.
    pub fn has_keys_of(&self, other: &Self) -> bool {
        other.keys.iter().all(|key| self.keys.iter().any(|own| own.mark == key.mark))
    }
}

impl<B, A> PartialEq for Sealer<B, A> {
    fn eq(&self, other: &Self) -> bool {
        self.keys.iter().map(|key| key.mark).eq(other.keys.iter().map(|key| key.mark))
    }
}

impl<B: BlockCipher> Key<B> {
    /// Fills the blocks with what a seed makes with this label and those that follow it.
    fn derive(&self, label: u8, seed: &[u8; SEED_LEN], blocks: &mut [u8]) -> Option<()> {
        for (label, block) in (label..).zip(blocks.chunks_exact_mut(BLOCK_LEN)) {
            block[0] = label;
            block[1..].copy_from_slice(seed);
        }
        self.cipher.encrypt(blocks).then_some(())
    }
}

impl Minted {
    /// The session id.
    pub fn id(&self) -> &[u8] {
        &self.id
    }

    /// What the session is called in the store.
    pub fn name(&self) -> &[u8] {
        &self.name
    }

    /// The site that the session was made at, 0 where that has no number.
    pub fn site(&self) -> u8 {
        self.site
    }
}

/// The label of the tag of an id that was minted at a site.
fn tag_of(site: u8) -> u8 {
    SITES * site + TAG
}

/// What GCM authenticates with a record. On the stack, which may be the small one of an OpenSSL
/// job.
struct AssociatedData {
    bytes: [u8; MAX_AAD],
    len: usize,
}

impl AssociatedData {
    /// `None` where the prefix is too long.
    fn new(session: &Minted, prefix: &[u8], expiry: u64) -> Option<Self> {
        let mut aad = Self { bytes: [0; MAX_AAD], len: 0 };
        aad.push(&[VERSION])?;
        aad.push(&expiry.to_be_bytes())?;
        aad.push(&session.id)?;
        aad.push(prefix)?;
        Some(aad)
    }

    fn push(&mut self, part: &[u8]) -> Option<()> {
        let end = self.len + part.len();
        self.bytes.get_mut(self.len..end)?.copy_from_slice(part);
        self.len = end;
        Some(())
    }

    fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

/// A block as one number: compared as a whole, so that the time tells nothing of where two differ.
fn word(block: &[u8]) -> u128 {
    u128::from_ne_bytes(block.try_into().expect("a block"))
}

/// As zeroize does it, but not byte by byte.
fn wipe(text: &mut [u8]) {
    text.fill(0);
    zeroize::optimization_barrier(text);
}

#[cfg(test)]
pub(crate) mod tests {
    use aes::cipher::{BlockEncrypt, KeyInit};
    use aes::Aes256;
    use aes_gcm::{AeadInPlace, Aes256Gcm};
    use proptest::prelude::*;

    use super::*;

    const KEY: [u8; KEY_LEN] = *b"0123456789abcdef0123456789abcdef";
    const SEED: [u8; SEED_LEN] = *b"fifteen bytes!!";
    const HELLO: [u8; HELLO_RANDOM_LEN] = [0; HELLO_RANDOM_LEN];
    const NONCE: [u8; NONCE_LEN] = *b"twelve bytes";
    const PREFIX: &[u8] = b"prefix:";
    const NOW: u64 = 1_800_000_000;
    const EXPIRY: u64 = NOW + 300;
    const TEXT: &[u8] = b"what a session is written down as";

    impl BlockCipher for Aes256 {
        fn encrypt(&self, blocks: &mut [u8]) -> bool {
            blocks.chunks_exact_mut(BLOCK_LEN).for_each(|block| self.encrypt_block(block.into()));
            true
        }
    }

    pub(crate) struct Gcm;

    impl Aead for Gcm {
        fn seal(
            &self,
            key: &[u8; KEY_LEN],
            nonce: &[u8; NONCE_LEN],
            aad: &[u8],
            text: &mut [u8],
        ) -> Option<[u8; TAG_LEN]> {
            let gcm = Aes256Gcm::new(key.into());
            gcm.encrypt_in_place_detached(nonce.into(), aad, text).ok().map(Into::into)
        }

        fn open(
            &self,
            key: &[u8; KEY_LEN],
            nonce: &[u8; NONCE_LEN],
            aad: &[u8],
            sealed: &[u8],
            tag: &[u8; TAG_LEN],
            text: &mut [u8],
        ) -> bool {
            let gcm = Aes256Gcm::new(key.into());
            text.copy_from_slice(sealed);
            gcm.decrypt_in_place_detached(nonce.into(), aad, text, tag.into()).is_ok()
        }
    }

    pub(crate) fn sealer(keys: &[[u8; KEY_LEN]]) -> Sealer<Aes256, Gcm> {
        let mut sealer = Sealer::new(Gcm);
        keys.iter().for_each(|key| sealer.add(Aes256::new(key.into())).unwrap());
        sealer
    }

    fn minted(sealer: &Sealer<Aes256, Gcm>, seed: &[u8; SEED_LEN]) -> Minted {
        sealer.recognise(&sealer.mint(seed, &HELLO, 0).unwrap()).unwrap()
    }

    fn seal(sealer: &Sealer<Aes256, Gcm>, session: &Minted, text: &[u8]) -> Vec<u8> {
        let mut buffer = [0; 1024];
        let encode = |space: &mut [u8]| {
            space[..text.len()].copy_from_slice(text);
            Some(text.len())
        };
        sealer.seal(session, PREFIX, EXPIRY, &NONCE, &mut buffer, encode).unwrap().to_vec()
    }

    fn open(
        sealer: &Sealer<Aes256, Gcm>,
        session: &Minted,
        prefix: &[u8],
        now: u64,
        record: &[u8],
    ) -> Result<Vec<u8>, OpenError> {
        let mut buffer = [0xff; 1024];
        let opened = sealer.open(session, prefix, now, record, &mut buffer, <[u8]>::to_vec);
        let untouched = buffer.iter().rev().take_while(|byte| **byte == 0xff).count();
        assert!(
            buffer[..buffer.len() - untouched].iter().all(|byte| *byte == 0),
            "the text is wiped"
        );
        opened
    }

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Computed with pyca/cryptography from the description at the top of this file.
    #[test]
    fn known_answers() {
        let sealer = sealer(&[core::array::from_fn(|i| i as u8)]);
        let mut hello = [0xff; HELLO_RANDOM_LEN];
        hello[HELLO_RANDOM_LEN - SEED_LEN..].fill(0x10);
        let id = sealer.mint(&core::array::from_fn(|i| 0x50 + i as u8), &hello, 0).unwrap();
        let session = sealer.recognise(&id).unwrap();
        let nonce = core::array::from_fn(|i| 0x60 + i as u8);
        let mut buffer = [0; 64];
        let record = sealer
            .seal(&session, PREFIX, NOW, &nonce, &mut buffer, |space| {
                space[..9].copy_from_slice(b"a session");
                Some(9)
            })
            .unwrap();

        assert_eq!(
            hex(session.id()),
            "404142434445464748494a4b4c4d4ef2137a9653689ba0cef63882f4f3f8805a"
        );
        assert_eq!(hex(session.name()), "8197aa3870090338657a60bf828aba1f");
        assert_eq!(
            hex(record),
            "02000000006b49d200606162636465666768696a6b\
             0f44f4ebe4b63d333d06c9c196ce2a3bd98754b7bcd1751794"
        );
    }

    #[test]
    fn opens_what_was_sealed() {
        let sealer = sealer(&[KEY]);
        let session = minted(&sealer, &SEED);
        for text in [TEXT, b"", &[0; 900]] {
            let record = seal(&sealer, &session, text);
            assert_eq!(open(&sealer, &session, PREFIX, NOW, &record).unwrap(), text);
            assert!(text.is_empty() || !record.windows(text.len()).any(|part| part == text));
        }
    }

    #[test]
    fn no_changed_bit_opens() {
        let sealer = sealer(&[KEY]);
        let session = minted(&sealer, &SEED);
        let record = seal(&sealer, &session, TEXT);
        for bit in 0..8 * record.len() {
            let mut changed = record.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            let error = open(&sealer, &session, PREFIX, NOW, &changed).unwrap_err();
            match bit / 8 {
                0 => assert_eq!(error, OpenError::Version),
                _ => assert_eq!(error, OpenError::Forged),
            }
        }
    }

    #[test]
    fn nothing_cut_or_longer_opens() {
        let sealer = sealer(&[KEY]);
        let session = minted(&sealer, &SEED);
        let record = seal(&sealer, &session, TEXT);
        for len in 0..record.len() {
            let error = open(&sealer, &session, PREFIX, NOW, &record[..len]).unwrap_err();
            let short = len < HEADER_LEN + TAG_LEN;
            assert_eq!(error, if short { OpenError::TooShort } else { OpenError::Forged }, "{len}");
            let error = open(&sealer, &session, PREFIX, NOW, &record[record.len() - len..]);
            assert!(error.is_err(), "the last {len}");
        }
        for more in [1, 16, 5000] {
            let longer = [&record[..], &vec![0; more]].concat();
            let opened = open(&sealer, &session, PREFIX, NOW, &longer);
            assert_eq!(opened.unwrap_err(), OpenError::Forged);
        }
    }

    #[test]
    fn no_record_of_another_session_opens() {
        let sealer = sealer(&[KEY]);
        let sessions = [minted(&sealer, &SEED), minted(&sealer, b"fifteen others!")];
        let records = sessions.each_ref().map(|session| seal(&sealer, session, TEXT));
        for (session, record) in [(&sessions[0], &records[1]), (&sessions[1], &records[0])] {
            let opened = open(&sealer, session, PREFIX, NOW, record);
            assert_eq!(opened.unwrap_err(), OpenError::Forged);
        }
        assert_ne!(sessions[0].name(), sessions[1].name());
    }

    /// The id itself is authenticated: not only by way of the record key.
    #[test]
    fn no_record_of_another_id_opens() {
        let sealer = sealer(&[KEY]);
        let mut session = minted(&sealer, &SEED);
        let record = seal(&sealer, &session, TEXT);
        session.id[ID_LEN - 1] ^= 1;
        let opened = open(&sealer, &session, PREFIX, NOW, &record);
        assert_eq!(opened.unwrap_err(), OpenError::Forged);
    }

    #[test]
    fn no_record_of_another_prefix_opens() {
        let sealer = sealer(&[KEY]);
        let session = minted(&sealer, &SEED);
        let record = seal(&sealer, &session, TEXT);
        for prefix in [&b""[..], b"prefix", b"prefix::", b"Prefix:", &[b'p'; 300]] {
            let opened = open(&sealer, &session, prefix, NOW, &record);
            assert_eq!(opened.unwrap_err(), OpenError::Forged);
        }
    }

    #[test]
    fn opens_up_to_its_expiry() {
        let sealer = sealer(&[KEY]);
        let session = minted(&sealer, &SEED);
        let record = seal(&sealer, &session, TEXT);
        for now in [0, NOW, EXPIRY] {
            assert!(open(&sealer, &session, PREFIX, now, &record).is_ok());
        }
        for now in [EXPIRY + 1, u64::MAX] {
            let opened = open(&sealer, &session, PREFIX, now, &record);
            assert_eq!(opened.unwrap_err(), OpenError::Expired);
            let mut changed = record.clone();
            changed[HEADER_LEN] ^= 1;
            let opened = open(&sealer, &session, PREFIX, now, &changed);
            assert_eq!(opened.unwrap_err(), OpenError::Forged, "whatever its time");
        }
    }

    #[test]
    fn only_what_is_not_authentic_is_damage() {
        for (error, is_damage) in [
            (OpenError::TooShort, true),
            (OpenError::Forged, true),
            (OpenError::Version, false),
            (OpenError::Expired, false),
        ] {
            assert_eq!(error.is_damage(), is_damage, "{error}");
        }
    }

    #[test]
    fn no_session_in_clear_opens() {
        let sealer = sealer(&[KEY]);
        let session = minted(&sealer, &SEED);
        let opened = open(&sealer, &session, PREFIX, NOW, b"\x30\x81\x90\x02\x01\x01");
        assert_eq!(opened.unwrap_err(), OpenError::Version);
    }

    #[test]
    fn another_key_recognises_nothing_and_opens_nothing() {
        let (ours, other) = (sealer(&[KEY]), sealer(&[[7; KEY_LEN]]));
        let session = minted(&ours, &SEED);
        let record = seal(&ours, &session, TEXT);
        assert!(other.recognise(session.id()).is_none());

        let mut guessed = minted(&other, &SEED);
        guessed.id = session.id;
        let opened = open(&other, &guessed, PREFIX, NOW, &record);
        assert_eq!(opened.unwrap_err(), OpenError::Forged);
    }

    /// A key is added behind, swapped to the front, and the other dropped; at each step there are
    /// machines that have not taken it yet.
    #[test]
    fn rotation_loses_nothing() {
        let (old, new) = (KEY, [7; KEY_LEN]);
        let steps = [sealer(&[old]), sealer(&[old, new]), sealer(&[new, old]), sealer(&[new])];
        for (step, next) in steps.iter().zip(&steps[1..]) {
            for (maker, taker) in [(step, step), (step, next), (next, step)] {
                let session = minted(maker, &SEED);
                let record = seal(maker, &session, TEXT);
                let found = taker.recognise(session.id()).unwrap();
                assert_eq!(found.name(), session.name());
                assert_eq!(open(taker, &found, PREFIX, NOW, &record).unwrap(), TEXT);
            }
        }
        let session = minted(&steps[0], &SEED);
        assert!(steps[3].recognise(session.id()).is_none(), "minted under a key that is gone");
    }

    #[test]
    fn has_the_keys_of_another() {
        let (one, two) = (sealer(&[[1; 32]]), sealer(&[[2; 32], [1; 32]]));
        assert!(two.has_keys_of(&one) && two.has_keys_of(&two));
        assert!(!one.has_keys_of(&two));
        assert!(two.has_keys_of(&sealer(&[[1; 32], [2; 32]])));
    }

    /// One id in 256 has another key's mark.
    #[test]
    fn recognises_ids_of_keys_with_the_same_mark() {
        let first = sealer(&[KEY]);
        let mark = |sealer: &Sealer<Aes256, Gcm>| sealer.keys[0].mark[0];
        let like = |key: &[u8; KEY_LEN]| mark(&sealer(&[*key])) == mark(&first) && *key != KEY;
        let twin = (0..).map(|n: u32| {
            let mut key = [0; KEY_LEN];
            key[..4].copy_from_slice(&n.to_be_bytes());
            key
        });
        let twin = twin.into_iter().find(like).unwrap();

        let both = sealer(&[twin, KEY]);
        let session = minted(&first, &SEED);
        assert_eq!(both.recognise(session.id()).unwrap().name(), session.name());
        assert!(sealer(&[twin]).recognise(session.id()).is_none());
    }

    #[test]
    fn recognises_no_changed_id() {
        let sealer = sealer(&[KEY]);
        let id = sealer.mint(&SEED, &HELLO, 0).unwrap();
        for bit in 0..8 * ID_LEN {
            let mut changed = id;
            changed[bit / 8] ^= 1 << (bit % 8);
            assert!(sealer.recognise(&changed).is_none(), "bit {bit}");
        }
        for len in 0..ID_LEN {
            assert!(sealer.recognise(&id[..len]).is_none());
        }
        assert!(sealer.recognise(&[&id[..], b"\0"].concat()).is_none());
    }

    #[test]
    fn an_id_tells_its_site_and_no_other() {
        let sealer = sealer(&[KEY]);
        let ids: Vec<_> =
            (0..SITES).map(|site| sealer.mint(&SEED, &HELLO, site).unwrap()).collect();
        for (site, id) in (0..).zip(&ids) {
            let session = sealer.recognise(id).unwrap();
            assert_eq!(session.site(), site);
            let others = ids.iter().filter(|other| *other != id);
            for other in others.map(|other| sealer.recognise(other).unwrap()) {
                assert_ne!(other.name(), session.name());
            }
            for other in 1..SITES {
                let mut changed = *id;
                changed[SEED_LEN] ^= other;
                assert!(sealer.recognise(&changed).is_none());
            }
            let record = seal(&sealer, &session, TEXT);
            assert_eq!(open(&sealer, &session, PREFIX, NOW, &record).unwrap(), TEXT);
        }
    }

    #[test]
    fn random_bytes_that_repeat_make_another_id_for_another_client() {
        let sealer = sealer(&[KEY]);
        assert_ne!(sealer.mint(&SEED, &HELLO, 0), sealer.mint(&SEED, &[1; HELLO_RANDOM_LEN], 0));
    }

    #[test]
    fn keys_are_told_apart() {
        let mut sealer = sealer(&[KEY]);
        assert_eq!(sealer.add(Aes256::new(&KEY.into())), Err(KeyError::Duplicate));
        sealer.add(Aes256::new(&[7; KEY_LEN].into())).unwrap();

        assert!(sealer == self::sealer(&[KEY, [7; KEY_LEN]]));
        assert!(sealer != self::sealer(&[[7; KEY_LEN], KEY]));
        assert!(sealer != self::sealer(&[KEY]));
    }

    /// Computed with `openssl enc -aes-256-ecb -nopad` from a block of zeros.
    #[test]
    fn a_key_is_known_by_its_id() {
        let key = core::array::from_fn(|i| i as u8);
        let sealer = sealer(&[key, KEY]);
        assert_eq!(sealer.key_id().unwrap().to_string(), "f29000b6");
        assert_eq!(KeyId::of(&Aes256::new(&key.into())), sealer.key_id());
        assert_ne!(KeyId::of(&Aes256::new(&KEY.into())), sealer.key_id());
    }

    #[test]
    fn without_a_key_nothing_is_minted() {
        let sealer = sealer(&[]);
        assert!(sealer.key_id().is_none());
        assert!(sealer.mint(&SEED, &HELLO, 0).is_none());
        assert!(sealer.recognise(&[0; ID_LEN]).is_none());
    }

    #[test]
    fn what_does_not_fit_is_not_sealed() {
        let sealer = sealer(&[KEY]);
        let session = minted(&sealer, &SEED);
        let overhead = HEADER_LEN + TAG_LEN;
        for len in 0..overhead + TEXT.len() {
            let mut buffer = vec![0; len];
            let sealed = sealer.seal(&session, PREFIX, EXPIRY, &NONCE, &mut buffer, |space| {
                space.get_mut(..TEXT.len())?.copy_from_slice(TEXT);
                Some(TEXT.len())
            });
            assert!(sealed.is_none());
        }
    }

    /// A cipher that has run out of memory.
    struct Broken;

    impl BlockCipher for Broken {
        fn encrypt(&self, _blocks: &mut [u8]) -> bool {
            false
        }
    }

    impl Aead for Broken {
        fn seal(
            &self,
            _key: &[u8; KEY_LEN],
            _nonce: &[u8; NONCE_LEN],
            _aad: &[u8],
            _text: &mut [u8],
        ) -> Option<[u8; TAG_LEN]> {
            None
        }

        fn open(
            &self,
            _key: &[u8; KEY_LEN],
            _nonce: &[u8; NONCE_LEN],
            _aad: &[u8],
            _sealed: &[u8],
            _tag: &[u8; TAG_LEN],
            _text: &mut [u8],
        ) -> bool {
            false
        }
    }

    #[test]
    fn a_failing_cipher_leaves_no_text() {
        assert_eq!(Sealer::new(Gcm).add(Broken), Err(KeyError::Cipher));

        let mut sealer = Sealer::new(Broken);
        sealer.add(Aes256::new(&KEY.into())).unwrap();
        let session = sealer.recognise(&sealer.mint(&SEED, &HELLO, 0).unwrap()).unwrap();
        let mut buffer = [0; 256];
        let sealed = sealer.seal(&session, PREFIX, EXPIRY, &NONCE, &mut buffer, |space| {
            space[..TEXT.len()].copy_from_slice(TEXT);
            Some(TEXT.len())
        });
        assert!(sealed.is_none());
        assert!(!buffer.windows(4).any(|part| part == &TEXT[..4]));
    }

    proptest! {
        #[test]
        fn opens_as_what_it_was_sealed_as_and_as_nothing_else(
            keys in any::<[[u8; KEY_LEN]; 2]>(),
            seeds in any::<[[u8; SEED_LEN]; 2]>(),
            nonce in any::<[u8; NONCE_LEN]>(),
            expiry in any::<u64>(),
            now in any::<u64>(),
            prefixes in ["[!-~]{0,186}", "[!-~]{0,186}"],
            text in prop::collection::vec(any::<u8>(), 0..600),
        ) {
            let sealers = keys.map(|key| sealer(&[key]));
            let session = minted(&sealers[0], &seeds[0]);
            let mut buffer = [0; 1024];
            let record = sealers[0]
                .seal(&session, prefixes[0].as_bytes(), expiry, &nonce, &mut buffer, |space| {
                    space[..text.len()].copy_from_slice(&text);
                    Some(text.len())
                })
                .unwrap();

            for n in 0..8 {
                let (key, seed, prefix) = (n & 1, n >> 1 & 1, n >> 2);
                let same = keys[key] == keys[0]
                    && seeds[seed] == seeds[0]
                    && prefixes[prefix] == prefixes[0];
                let session = minted(&sealers[key], &seeds[seed]);
                let prefix = prefixes[prefix].as_bytes();
                let opened = open(&sealers[key], &session, prefix, now, record);
                if !same {
                    prop_assert_eq!(opened, Err(OpenError::Forged));
                } else if now > expiry {
                    prop_assert_eq!(opened, Err(OpenError::Expired));
                } else {
                    prop_assert_eq!(opened.unwrap(), &text[..]);
                }
            }
        }

        #[test]
        fn nothing_made_without_the_key_opens(
            mut record in prop::collection::vec(any::<u8>(), 0..2000),
            later in any::<bool>(),
            id in any::<[u8; ID_LEN]>(),
        ) {
            let sealer = sealer(&[KEY]);
            prop_assert!(sealer.recognise(&id).is_none());
            if let (true, [version, expiry, ..]) = (later, &mut record[..]) {
                (*version, *expiry) = (VERSION, 0xff);
            }
            let session = minted(&sealer, &SEED);
            prop_assert!(open(&sealer, &session, PREFIX, NOW, &record).is_err());
        }
    }
}
