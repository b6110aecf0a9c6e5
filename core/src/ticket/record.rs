//! A seed as it lies in the store.
//!
//! Whoever has the seed of an epoch has the keys of all its tickets, and so the sessions in them. The
//! store is not trusted: what it sees of a seed is a name and a record, which tell nothing to whoever
//! has not got a sealing key, and cannot be made or changed without it.
//!
//! # Construction
//!
//! Time is cut into epochs of `rotate` seconds: the number of an epoch is the Unix time, divided by
//! that. A sealing key is that of `core/src/session/sealed.rs`, used in the same way: on single blocks
//! of a label and of 15 bytes that say what for.
//!
//! ```text
//! input           = epoch (8) | rotate (4) | 0 0 0
//! name            = AES(16 * site + 5 | input)
//! record key      = AES(6 | input) | AES(7 | input)
//! ```
//!
//! The labels of sessions are others. Under the name, in hex behind the prefix, lies
//!
//! ```text
//! record          = version (1) | nonce (12) | text (40) | tag (16)
//! text            = AES-256-GCM(seed (32) | made (8))
//! associated data = version | epoch (8) | rotate (4) | site (1) | prefix
//! ```
//!
//! sealed under the record key and a random nonce. The seed is random; `made` is when the record was,
//! in Unix seconds, by the clock of the machine that made it. All numbers are big-endian.
//!
//! A record is added where there is none (`SET ... NX`, Memcached's `add`) and then read back: the
//! first that writes it decides, and all use what the store holds. It stays there until the last
//! ticket of its epoch is over, and the lead longer.
//!
//! All else is derived of the seed by HKDF-Expand (RFC 5869, section 2.3) with HMAC-SHA-256:
//!
//! ```text
//! ticket key      = Expand(seed, "ticket" | len (1) | id context, 80) = name (16) | AES-256 | HMAC
//! the next seed   = Expand(seed, "ratchet", 32)
//! ```
//!
//! The id context of a session is what nginx keeps sessions apart by, client certificates among it: a
//! ticket of another context has a name that is not known. The next seed seals until the store has told
//! one that all have had the time to be told, and opens as well.
//!
//! # Limits and reasons
//!
//! - The store can withhold a record, and can give back another that once lay under the same name:
//!   one more seed of the same epoch, made by this fleet, which opens, and may seal. No
//!   record opens under the name of another epoch, of another length of epochs, another site or
//!   another prefix. So an older key never comes back to seal, and one that is over opens nothing.
//!   What machines are told differently, they seal differently: resumptions are lost, nothing else.
//! - The store sees that there are ticket keys, how often they change, and which machines ask; with
//!   records of 69 bytes at certain times, it can tell these from those of sessions.
//! - Who has a sealing key and a copy of the records, from a backup of the store or from the wire, has
//!   the seeds. With them and with what was recorded on the wire, early data and sessions of TLS 1.2
//!   are read that were resumed by tickets, or have got one; with TLS 1.3, later traffic is not, as
//!   each handshake there has a key exchange of its own. That is as with any tickets, for the time of
//!   the records instead of that of a key in memory: records that are over should not be kept. Who has
//!   a sealing key and writes to the store decides which seeds the fleet uses.
//! - Who has the seed of an epoch from the memory of a machine has those that are derived of it, which
//!   open for the two epochs after, and seal while the store is away; not those before, nor any that
//!   the store tells later.
//! - A clock that is off from those of others by less than the lead, a quarter of an epoch, does no
//!   harm: the next epoch's seed is known so long before it begins, and a past one's is kept until
//!   the last ticket is over by the clock of whoever opens it. A clock that is behind by more seals
//!   with what others have as past, and does not open what they seal; it finds the next epoch's record
//!   before that can have been made, and tells so, unless it is behind by so much that this record is
//!   gone. One that is ahead by more makes seeds that others will use later: they are as good as any.
//!   A clock that jumps ahead has seeds wiped that are over by it; they are asked for again when it is
//!   back.
//! - A nonce repeats under a record key only where two records of one epoch draw the same 96 bits. An
//!   epoch has one record, or a few more after the store has lost it, or where several machines add
//!   one at once. So with the same odds as for sessions.
//! - Machines woken from one snapshot of memory may draw the same seed for the same epoch, and the
//!   same nonce: the records are then the same, except for when they were made, and the store learns
//!   in how many bits these times differ. Their tags then betray GCM's hash key for one record key
//!   (SP 800-38D, appendix A): a store that sees two such can forge the record of that one epoch,
//!   with a seed it does not know, as it learns no key stream that it has not got from those.

use zeroize::Zeroizing;

use crate::session::sealed::{
    Aead, BlockCipher, OpenError, Sealer, BLOCK_LEN, KEY_LEN, NONCE_LEN, SITES, TAG_LEN,
};
use crate::ticket::epoch::Epoch;
use crate::ticket::keys::{Seed, SEED_LEN};

/// The label of a name; each site has its own, [`SITES`] apart.
const NAME: u8 = 5;
/// The label of the first half of a record key; that of the second is the next.
const RECORD_KEY: u8 = 6;

/// No session's record begins with it, sealed or in clear.
const VERSION: u8 = 0x81;

const MADE_LEN: usize = 8;
const TEXT_LEN: usize = SEED_LEN + MADE_LEN;

/// The length of a record, in bytes.
pub const RECORD_LEN: usize = 1 + NONCE_LEN + TEXT_LEN + TAG_LEN;

/// Where a seed lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// The index of the sealing key.
    pub key: usize,
    pub site: u8,
    pub epoch: Epoch,
    /// The length of the epoch, in seconds.
    pub length: u32,
}

impl Place {
    /// What the record is called in the store; `None` without such a key, or where the cipher failed.
    pub(super) fn name<B: BlockCipher, A: Aead>(
        &self,
        sealer: &Sealer<B, A>,
    ) -> Option<[u8; BLOCK_LEN]> {
        let mut name = [0; BLOCK_LEN];
        let label = SITES.checked_mul(self.site)?.checked_add(NAME)?;
        sealer.derive(self.key, label, &self.input(), &mut name)?;
        Some(name)
    }

    /// The record of a seed that is made at the Unix time `made`, in seconds. `nonce` must be random.
    pub(super) fn seal<B: BlockCipher, A: Aead>(
        &self,
        sealer: &Sealer<B, A>,
        prefix: &[u8],
        nonce: &[u8; NONCE_LEN],
        seed: &Seed,
        made: u64,
    ) -> Option<[u8; RECORD_LEN]> {
        let mut text = Zeroizing::new([0; TEXT_LEN]);
        text[..SEED_LEN].copy_from_slice(seed.as_bytes());
        text[SEED_LEN..].copy_from_slice(&made.to_be_bytes());
        let key = self.record_key(sealer)?;
        let tag = sealer.aead().seal(&key, nonce, &self.associated(prefix), &mut text[..])?;

        let mut record = [VERSION; RECORD_LEN];
        let parts = [&nonce[..], &text[..], &tag[..]];
        record[1..].copy_from_slice(&parts.concat());
        Some(record)
    }

    /// The seed in a record, and when that was made.
    pub(super) fn open<B: BlockCipher, A: Aead>(
        &self,
        sealer: &Sealer<B, A>,
        prefix: &[u8],
        record: &[u8],
    ) -> Result<(Seed, u64), OpenError> {
        let (&version, rest) = record.split_first().ok_or(OpenError::TooShort)?;
        if version != VERSION {
            return Err(OpenError::Version);
        }
        let (nonce, rest) = rest.split_first_chunk().ok_or(OpenError::TooShort)?;
        let (sealed, rest) = rest.split_first_chunk::<TEXT_LEN>().ok_or(OpenError::TooShort)?;
        let (tag, rest) = rest.split_first_chunk().ok_or(OpenError::TooShort)?;
        let key = self.record_key(sealer).ok_or(OpenError::Forged)?;
        let mut text = Zeroizing::new([0; TEXT_LEN]);
        let aad = self.associated(prefix);
        if !rest.is_empty() || !sealer.aead().open(&key, nonce, &aad, sealed, tag, &mut text[..]) {
            return Err(OpenError::Forged);
        }
        let (seed, made) = text.split_first_chunk().expect("a seed");
        let made = made.try_into().expect("a time");
        Ok((Seed::new(*seed), u64::from_be_bytes(made)))
    }

    fn record_key<B: BlockCipher, A: Aead>(
        &self,
        sealer: &Sealer<B, A>,
    ) -> Option<Zeroizing<[u8; KEY_LEN]>> {
        let mut key = Zeroizing::new([0; KEY_LEN]);
        sealer.derive(self.key, RECORD_KEY, &self.input(), &mut key[..])?;
        Some(key)
    }

    /// What the blocks are made of.
    fn input(&self) -> [u8; BLOCK_LEN - 1] {
        let mut input = [0; BLOCK_LEN - 1];
        input[..8].copy_from_slice(&self.epoch.0.to_be_bytes());
        input[8..12].copy_from_slice(&self.length.to_be_bytes());
        input
    }

    fn associated(&self, prefix: &[u8]) -> Vec<u8> {
        let (epoch, length) = (self.epoch.0.to_be_bytes(), self.length.to_be_bytes());
        [&[VERSION][..], &epoch, &length, &[self.site], prefix].concat()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::session::sealed::tests::sealer;

    const PREFIX: &[u8] = b"prefix:";
    const NONCE: [u8; NONCE_LEN] = *b"twelve bytes";
    const MADE: u64 = 1_800_000_000;
    const PLACE: Place = Place { key: 0, site: 3, epoch: Epoch(500_000), length: 3600 };

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Computed with pyca/cryptography from the description at the top of this file.
    #[test]
    fn known_answers() {
        let sealer = sealer(&[core::array::from_fn(|i| i as u8)]);
        let seed = Seed::new(core::array::from_fn(|i| 0x50 + i as u8));
        let record = PLACE.seal(&sealer, PREFIX, &NONCE, &seed, MADE).unwrap();
        assert_eq!(hex(&PLACE.name(&sealer).unwrap()), "5504bf5e8e979df4fbb3a825ff8e72ea");
        assert_eq!(
            hex(&record),
            "817477656c76652062797465731c2a61f1e123506480675737a998a1b4a82877bc38eb\
             0d7d5873a59144d1de611e2a1d27023a51cb88a023a1b4fb3af2d1bcd8b176763ca1"
        );
    }

    #[test]
    fn no_site_without_a_name() {
        let sealer = sealer(&[[1; KEY_LEN]]);
        let names: Vec<_> =
            (0..SITES).map(|site| Place { site, ..PLACE }.name(&sealer).unwrap()).collect();
        assert!((1..names.len()).all(|i| !names[..i].contains(&names[i])));
        assert!(Place { site: u8::MAX, ..PLACE }.name(&sealer).is_none());
        assert!(Place { key: 1, ..PLACE }.name(&sealer).is_none());
    }

    #[test]
    fn no_changed_bit_opens() {
        let sealer = sealer(&[[1; KEY_LEN]]);
        let record = PLACE.seal(&sealer, PREFIX, &NONCE, &Seed::new([7; 32]), MADE).unwrap();
        for bit in 0..8 * record.len() {
            let mut changed = record;
            changed[bit / 8] ^= 1 << (bit % 8);
            let error = PLACE.open(&sealer, PREFIX, &changed).err().unwrap();
            assert_eq!(error, if bit < 8 { OpenError::Version } else { OpenError::Forged });
        }
        for len in 0..record.len() {
            let error = PLACE.open(&sealer, PREFIX, &record[..len]).err();
            assert_eq!(error, Some(OpenError::TooShort), "{len}");
        }
        let longer = [&record[..], b"x"].concat();
        assert_eq!(PLACE.open(&sealer, PREFIX, &longer).err(), Some(OpenError::Forged));
    }

    proptest! {
        #[test]
        fn opens_where_it_was_sealed_and_nowhere_else(
            keys in any::<[[u8; KEY_LEN]; 2]>(),
            sites in [0..SITES, 0..SITES],
            epochs in any::<[u64; 2]>(),
            lengths in any::<[u32; 2]>(),
            prefixes in ["[!-~]{0,9}", "[!-~]{0,9}"],
            seed in any::<[u8; 32]>(),
            nonce in any::<[u8; NONCE_LEN]>(),
            made in any::<u64>(),
        ) {
            prop_assume!(keys[0] != keys[1]);
            let sealer = sealer(&keys);
            let place = |n: usize| Place {
                key: n & 1,
                site: sites[n >> 1 & 1],
                epoch: Epoch(epochs[n >> 2 & 1]),
                length: lengths[n >> 3 & 1],
            };
            let prefix = |n: usize| prefixes[n >> 4].as_bytes();
            let seed = Seed::new(seed);
            let record = place(0).seal(&sealer, prefix(0), &nonce, &seed, made).unwrap();
            for n in 0..32 {
                let is_same = (place(n), prefix(n)) == (place(0), prefix(0));
                let opened = place(n).open(&sealer, prefix(n), &record);
                prop_assert_eq!(opened.is_ok(), is_same);
                if let Ok(opened) = opened {
                    prop_assert!(opened == (seed.clone(), made));
                }
                let is_name = place(n).name(&sealer) == place(0).name(&sealer);
                prop_assert_eq!(is_name, place(n) == place(0));
            }
        }
    }
}
