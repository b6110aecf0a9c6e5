//! Stands for AES, GCM and HMAC: what is tested is what is made of them. A record is readable.

use std::hash::{DefaultHasher, Hash, Hasher};

use ssl_session_cache_core::session::sealed::{
    Aead, BlockCipher, Sealer, KEY_LEN, NONCE_LEN, TAG_LEN,
};
use ssl_session_cache_core::ticket::Hmac;

/// Under a key of one byte.
pub struct Toy(pub u8);

impl BlockCipher for Toy {
    fn encrypt(&self, blocks: &mut [u8]) -> bool {
        for block in blocks.chunks_exact_mut(16) {
            let hashes = [hash(&(self.0, 0, &*block)), hash(&(self.0, 1, &*block))];
            block.copy_from_slice(hashes.as_flattened());
        }
        true
    }
}

impl Aead for Toy {
    fn seal(
        &self,
        key: &[u8; KEY_LEN],
        nonce: &[u8; NONCE_LEN],
        aad: &[u8],
        text: &mut [u8],
    ) -> Option<[u8; TAG_LEN]> {
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
        tag(key, nonce, aad, sealed) == *expected
    }
}

impl Hmac for Toy {
    fn hmac(&self, key: &[u8; 32], text: &[u8]) -> Option<[u8; 32]> {
        let hashes = [0, 1, 2, 3].map(|part| hash(&(part, key, text)));
        hashes.as_flattened().try_into().ok()
    }
}

fn tag(key: &[u8; KEY_LEN], nonce: &[u8; NONCE_LEN], aad: &[u8], sealed: &[u8]) -> [u8; TAG_LEN] {
    let hashes = [0, 1].map(|part| hash(&(part, key, nonce, aad, sealed)));
    hashes.as_flattened().try_into().unwrap()
}

fn hash(value: &impl Hash) -> [u8; 8] {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish().to_le_bytes()
}

pub fn sealer(keys: &[u8]) -> Sealer<Toy, Toy> {
    let mut sealer = Sealer::new(Toy(0));
    keys.iter().for_each(|key| sealer.add(Toy(*key)).unwrap());
    sealer
}

/// The seed in a record.
pub fn seed_in(record: &[u8]) -> [u8; 32] {
    record[13..45].try_into().unwrap()
}
