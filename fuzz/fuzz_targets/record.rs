//! Sealed records, and the ids that they belong to.

#![no_main]

use std::hash::{DefaultHasher, Hash, Hasher};

use libfuzzer_sys::fuzz_target;
use ssl_session_cache_core::session::sealed::{
    Aead, BlockCipher, Minted, OpenError, Sealer, HELLO_RANDOM_LEN, ID_LEN, KEY_LEN, NONCE_LEN,
    TAG_LEN,
};

const PREFIX: &[u8] = b"prefix:";
const NOW: u64 = 1_800_000_000;
const TEXT: &[u8] = b"what a session is written down as";

/// Stands for AES: what is fuzzed is the format, not the ciphers.
struct Hashed;

impl BlockCipher for Hashed {
    fn encrypt(&self, blocks: &mut [u8]) -> bool {
        for block in blocks.chunks_exact_mut(16) {
            let hashes = [hash(&(0, &*block)), hash(&(1, &*block))];
            block.copy_from_slice(hashes.as_flattened());
        }
        true
    }
}

impl Aead for Hashed {
    fn seal(
        &self,
        key: &[u8; KEY_LEN],
        nonce: &[u8; NONCE_LEN],
        aad: &[u8],
        text: &mut [u8],
    ) -> Option<[u8; TAG_LEN]> {
        text.iter_mut().for_each(|byte| *byte ^= 0x55);
        Some(tag(key, nonce, aad, text))
    }

    fn open(
        &self,
        key: &[u8; KEY_LEN],
        nonce: &[u8; NONCE_LEN],
        aad: &[u8],
        sealed: &[u8],
        expected: &[u8; TAG_LEN],
        text: &mut [u8],
    ) -> bool {
        text.copy_from_slice(sealed);
        text.iter_mut().for_each(|byte| *byte ^= 0x55);
        tag(key, nonce, aad, sealed) == *expected
    }
}

fn tag(key: &[u8; KEY_LEN], nonce: &[u8; NONCE_LEN], aad: &[u8], sealed: &[u8]) -> [u8; TAG_LEN] {
    let mut tag = [0; TAG_LEN];
    tag[..8].copy_from_slice(&hash(&(0, key, nonce, aad, sealed)));
    tag[8..].copy_from_slice(&hash(&(1, key, nonce, aad, sealed)));
    tag
}

fn hash(value: &impl Hash) -> [u8; 8] {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish().to_le_bytes()
}

type ToySealer = Sealer<Hashed, Hashed>;

fn seal(sealer: &ToySealer, session: &Minted) -> Vec<u8> {
    let mut buffer = [0; 256];
    let encode = |space: &mut [u8]| {
        space[..TEXT.len()].copy_from_slice(TEXT);
        Some(TEXT.len())
    };
    sealer.seal(session, PREFIX, NOW, &[7; NONCE_LEN], &mut buffer, encode).unwrap().to_vec()
}

fn open(sealer: &ToySealer, session: &Minted, record: &[u8]) -> Result<Vec<u8>, OpenError> {
    sealer.open(session, PREFIX, NOW, record, &mut [0; 256], <[u8]>::to_vec)
}

/// The first byte chooses: a record, an id, or what is changed of a record that was sealed.
fn check(data: &[u8]) {
    let mut sealer = Sealer::new(Hashed);
    sealer.add(Hashed).unwrap();
    let id: [u8; ID_LEN] = sealer.mint(b"fifteen bytes!!", &[0; HELLO_RANDOM_LEN], 0).unwrap();
    let session = sealer.recognise(&id).unwrap();
    let record = seal(&sealer, &session);

    let Some((&choice, data)) = data.split_first() else { return };
    match choice % 3 {
        0 => assert_eq!(open(&sealer, &session, data).is_ok(), data == record),
        1 => assert_eq!(sealer.recognise(data).is_some(), data == id),
        _ => {
            let mut changed = record.clone();
            changed.iter_mut().zip(data).for_each(|(byte, change)| *byte ^= change);
            changed.extend(data.iter().skip(record.len()));
            let opened = open(&sealer, &session, &changed);
            if changed == record {
                assert_eq!(opened.unwrap(), TEXT);
            } else {
                assert!(opened.is_err());
            }
        }
    }
}

fuzz_target!(|data: &[u8]| check(data));
