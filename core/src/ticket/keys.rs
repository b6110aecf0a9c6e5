//! What is derived of a seed.

use zeroize::Zeroizing;

/// The length of a seed, in bytes.
pub const SEED_LEN: usize = 32;

/// The length of the name of a ticket key, by which a ticket tells its key (RFC 5077, section 4).
pub const NAME_LEN: usize = 16;

const HASH_LEN: usize = 32;

/// What is derived is told apart by so many bytes at most.
const MAX_INFO: usize = 80;

/// OpenSSL's limit on a session id context.
const MAX_CONTEXT: usize = 32;

/// What is derived for a ticket key: its name and the keys of the cipher and of the HMAC.
const TICKET_KEY_LEN: usize = NAME_LEN + 32 + 32;

/// HMAC-SHA-256 (RFC 2104).
pub trait Hmac {
    /// The code of `text`; `None` where that failed.
    fn hmac(&self, key: &[u8; 32], text: &[u8]) -> Option<[u8; HASH_LEN]>;
}

/// What the ticket keys of an epoch are derived of.
#[derive(Clone, PartialEq, Eq)]
pub struct Seed(Zeroizing<[u8; SEED_LEN]>);

/// What OpenSSL seals and opens tickets with: AES-256-CBC, and HMAC-SHA-256 over it.
pub struct TicketKey {
    /// Goes with each ticket in clear.
    pub name: [u8; NAME_LEN],
    /// The key of AES-256.
    pub cipher: Zeroizing<[u8; 32]>,
    /// The key of HMAC-SHA-256.
    pub mac: Zeroizing<[u8; 32]>,
}

impl Seed {
    /// A seed that no machine has: `draw` fills bytes with random ones, and says whether it could.
    pub fn random(draw: impl FnOnce(&mut [u8]) -> bool) -> Option<Self> {
        let mut bytes = Zeroizing::new([0; SEED_LEN]);
        draw(&mut bytes[..]).then_some(Self(bytes))
    }

    /// A seed of random bytes.
    pub fn new(bytes: [u8; SEED_LEN]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// The key of tickets of sessions of a session id context, of at most 32 bytes; `None` where
    /// it is longer, or HMAC failed.
    pub fn ticket_key(&self, hmac: &impl Hmac, context: &[u8]) -> Option<TicketKey> {
        let len = u8::try_from(context.len()).ok().filter(|len| *len as usize <= MAX_CONTEXT)?;
        let mut derived = Zeroizing::new([0; TICKET_KEY_LEN]);
        self.expand(hmac, &[b"ticket", &[len], context], &mut derived[..])?;
        let (name, keys) = derived.split_first_chunk()?;
        let (cipher, keys) = keys.split_first_chunk()?;
        let (mac, _) = keys.split_first_chunk()?;
        Some(TicketKey { name: *name, cipher: Zeroizing::new(*cipher), mac: Zeroizing::new(*mac) })
    }

    /// The seed of the epoch that follows, where the store does not tell. Nobody gets back from it
    /// to this one.
    pub(super) fn ratchet(&self, hmac: &impl Hmac) -> Option<Self> {
        let mut next = Self::new([0; SEED_LEN]);
        self.expand(hmac, &[b"ratchet"], &mut next.0[..])?;
        Some(next)
    }

    pub(super) fn as_bytes(&self) -> &[u8; SEED_LEN] {
        &self.0
    }

    /// HKDF-Expand (RFC 5869, section 2.3) with HMAC-SHA-256: the seed is random, and needs no
    /// extraction before it.
    fn expand(&self, hmac: &impl Hmac, info: &[&[u8]], out: &mut [u8]) -> Option<()> {
        let mut text = Zeroizing::new([0; HASH_LEN + MAX_INFO + 1]);
        // The first block has none before it.
        let mut start = HASH_LEN;
        let mut end = HASH_LEN;
        for info in info {
            text.get_mut(end..end + info.len())?.copy_from_slice(info);
            end += info.len();
        }
        for (counter, part) in (1..=u8::MAX).zip(out.chunks_mut(HASH_LEN)) {
            *text.get_mut(end)? = counter;
            let block = Zeroizing::new(hmac.hmac(&self.0, &text[start..=end])?);
            part.copy_from_slice(&block[..part.len()]);
            text[..HASH_LEN].copy_from_slice(&block[..]);
            start = 0;
        }
        Some(())
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    const INITIAL: [u32; 8] = [
        0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab,
        0x5be0cd19,
    ];

    /// HMAC-SHA-256, written down from RFC 6234. RFC 5869's test vectors check it as well.
    pub(in super::super) struct Sha256;

    impl Hmac for Sha256 {
        fn hmac(&self, key: &[u8; 32], text: &[u8]) -> Option<[u8; HASH_LEN]> {
            let pad = |byte: u8| {
                let mut block = [byte; 64];
                block.iter_mut().zip(key).for_each(|(pad, key)| *pad ^= key);
                block
            };
            let inner = sha256(&[&pad(0x36)[..], text].concat());
            Some(sha256(&[&pad(0x5c)[..], &inner].concat()))
        }
    }

    /// The constants are fractions of the cube roots of the first 64 primes.
    fn constants() -> Vec<u32> {
        let is_prime = |n: &u64| (2..*n).all(|d| n % d != 0);
        let cube_root = |n: u64| {
            let n = u128::from(n) << 96;
            (0..36).rev().fold(0, |root: u128, bit| {
                let more = root | 1 << bit;
                if more * more * more <= n {
                    more
                } else {
                    root
                }
            }) as u32
        };
        (2..).filter(is_prime).take(64).map(cube_root).collect()
    }

    fn sha256(text: &[u8]) -> [u8; HASH_LEN] {
        let constants = constants();
        let mut padded = [text, &[0x80]].concat();
        padded.resize(padded.len().next_multiple_of(64), 0);
        if padded.len() < text.len() + 9 {
            padded.resize(padded.len() + 64, 0);
        }
        let len = padded.len();
        padded[len - 8..].copy_from_slice(&(8 * text.len() as u64).to_be_bytes());

        let mut state = INITIAL;
        for block in padded.chunks(64) {
            let word = |bytes: &[u8]| u32::from_be_bytes(bytes.try_into().unwrap());
            let mut w: Vec<u32> = block.chunks(4).map(word).collect();
            for i in 16..64 {
                let (a, b) = (w[i - 15], w[i - 2]);
                let a = a.rotate_right(7) ^ a.rotate_right(18) ^ (a >> 3);
                let b = b.rotate_right(17) ^ b.rotate_right(19) ^ (b >> 10);
                w.push(w[i - 16].wrapping_add(a).wrapping_add(w[i - 7]).wrapping_add(b));
            }
            let [mut a, mut b, mut c, mut d, mut e, mut f, mut g, mut h] = state;
            for i in 0..64 {
                let s = e.rotate_right(6) ^ e.rotate_right(11) ^ e.rotate_right(25);
                let choice = (e & f) ^ (!e & g);
                let t = [s, choice, constants[i], w[i]].into_iter().fold(h, u32::wrapping_add);
                let s = a.rotate_right(2) ^ a.rotate_right(13) ^ a.rotate_right(22);
                let majority = (a & b) ^ (a & c) ^ (b & c);
                let first = t.wrapping_add(s).wrapping_add(majority);
                [a, b, c, d, e, f, g, h] = [first, a, b, c, d.wrapping_add(t), e, f, g];
            }
            for (state, word) in state.iter_mut().zip([a, b, c, d, e, f, g, h]) {
                *state = state.wrapping_add(word);
            }
        }
        let mut hash = [0; HASH_LEN];
        hash.chunks_mut(4).zip(state).for_each(|(out, word)| {
            out.copy_from_slice(&word.to_be_bytes());
        });
        hash
    }

    fn bytes(hex: &str) -> Vec<u8> {
        let digit = |i| u8::from_str_radix(&hex[i..i + 2], 16).unwrap();
        (0..hex.len()).step_by(2).map(digit).collect()
    }

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// RFC 5869, appendices A.1 to A.3.
    #[test]
    fn expands_as_the_rfc_does() {
        let long: Vec<u8> = (0xb0..=0xff).collect();
        for (seed, info, okm) in [
            (
                "077709362c2e32df0ddc3f0dc47bba6390b6c73bb50f9c3122ec844ad7c2b3e5",
                &bytes("f0f1f2f3f4f5f6f7f8f9")[..],
                "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865",
            ),
            (
                "06a6b88c5853361a06104c9ceb35b45cef760014904671014a193f40c15fc244",
                &long,
                "b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c\
                 59045a99cac7827271cb41c65e590e09da3275600c2f09b8367793a9aca3db71\
                 cc30c58179ec3e87c14c01d5c1f3434f1d87",
            ),
            (
                "19ef24a32c717b167f33a91d6f648bdf96596776afdb6377ac434c1c293ccb04",
                b"",
                "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d\
                 9d201395faa4b61a96c8",
            ),
        ] {
            let seed = Seed::new(bytes(seed).try_into().unwrap());
            let mut out = vec![0; okm.len() / 2];
            seed.expand(&Sha256, &[info], &mut out).unwrap();
            assert_eq!(hex(&out), okm);
        }
    }

    /// Computed with Python's hmac and hashlib from the description in `record.rs`.
    #[test]
    fn known_answers() {
        let seed = Seed::new(core::array::from_fn(|i| i as u8));
        for (context, name, cipher, mac) in [
            (
                &b"an id context"[..],
                "431c2c84cb34442cfbbdb5d9f07f058b",
                "a468804fbba0aad39caca893dc26e191f3f3442e862918894d76026e4bbd1326",
                "5537b46eeb5f6d073713b835dc0dd0f500c371526d217e3737eaaeb70ba1a5f4",
            ),
            (
                b"",
                "189194f89765fdc9ef37f2d0a780bd08",
                "ebd2ae9f2a4446f74975ec52bf3893bed6c4438f3b3df3dcb40f1193b8ebe678",
                "f9382d75bb9a80079f7a5b5318682263d5738a08907d271586bfe1c98f9c7fd2",
            ),
        ] {
            let key = seed.ticket_key(&Sha256, context).unwrap();
            assert_eq!(hex(&key.name), name);
            assert_eq!(hex(&key.cipher[..]), cipher);
            assert_eq!(hex(&key.mac[..]), mac);
        }
        assert_eq!(
            hex(seed.ratchet(&Sha256).unwrap().as_bytes()),
            "a476aac6688172893e3ef60f999b54396d25f389156e79f9bf7007d321762d6d"
        );
    }

    #[test]
    fn no_key_where_there_can_be_none() {
        struct Fails;

        impl Hmac for Fails {
            fn hmac(&self, _key: &[u8; 32], _text: &[u8]) -> Option<[u8; HASH_LEN]> {
                None
            }
        }

        let seed = Seed::new([1; SEED_LEN]);
        assert!(seed.ticket_key(&Sha256, &[2; MAX_CONTEXT]).is_some());
        assert!(seed.ticket_key(&Sha256, &[2; MAX_CONTEXT + 1]).is_none());
        assert!(seed.ticket_key(&Fails, b"").is_none());
        assert!(seed.ratchet(&Fails).is_none());
    }
}
