//! The names of sessions in a store.

use thiserror::Error;

/// Memcached's limit, which is far below that of Redis.
pub(crate) const MAX_KEY: usize = 250;

/// A session id of TLS, and a stateful ticket of OpenSSL, is at most this long.
const MAX_ID: usize = 32;

const MAX_PREFIX: usize = MAX_KEY - 2 * MAX_ID;

/// The keys under which sessions lie in a store: a prefix, then the session's name in hex. The name
/// is the session id, or stands for it where the store is not to know the id.
///
/// A name is binary; in hex it can be carried by Memcached's text protocol and is readable in both
/// stores.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keyspace {
    /// Printable, without spaces, at most `MAX_PREFIX` bytes.
    prefix: Box<[u8]>,
}

impl Keyspace {
    /// Names that begin with `prefix`.
    pub fn new(prefix: &[u8]) -> Result<Self, PrefixError> {
        if prefix.len() > MAX_PREFIX {
            return Err(PrefixError::TooLong);
        }
        if !prefix.iter().all(u8::is_ascii_graphic) {
            return Err(PrefixError::NotPrintable);
        }
        Ok(Self { prefix: prefix.into() })
    }

    /// What all keys begin with.
    pub fn prefix(&self) -> &[u8] {
        &self.prefix
    }

    /// The key of the session called `name`, or `None` where this is no name: empty, or longer than
    /// a session id, 32 bytes.
    pub fn key(&self, name: &[u8]) -> Option<Key> {
        if name.is_empty() || name.len() > MAX_ID {
            return None;
        }
        let start = self.prefix.len();
        let len = start + 2 * name.len();
        let mut bytes = [0; MAX_KEY];
        bytes[..start].copy_from_slice(&self.prefix);
        for (pair, byte) in bytes[start..len].chunks_exact_mut(2).zip(name) {
            pair[0] = hex_digit(byte >> 4);
            pair[1] = hex_digit(byte & 0xf);
        }
        Some(Key { bytes, len: len as u8 })
    }
}

impl Default for Keyspace {
    fn default() -> Self {
        Self { prefix: (*b"sslsessioncache:").into() }
    }
}

/// Why a prefix cannot be used: what is expected of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum PrefixError {
    /// No room would be left for a session id.
    #[error("at most {MAX_PREFIX} bytes")]
    TooLong,
    /// Memcached ends a key at a space or a control character.
    #[error("printable ASCII without spaces")]
    NotPrintable,
}

/// The key of one session in a store.
///
/// Lies wholly on the stack, which may be the small one of an OpenSSL job.
#[derive(Clone)]
pub struct Key {
    bytes: [u8; MAX_KEY],
    len: u8,
}

impl Key {
    /// The key as it is sent.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }

    /// A key beside this one, with the same prefix, that is no session's.
    pub fn unused(&self) -> Key {
        let mut key = self.clone();
        key.bytes[usize::from(self.len) - 1] = b'-';
        key
    }
}

/// Branchless, so that the loop over an id becomes vector instructions.
const fn hex_digit(nibble: u8) -> u8 {
    nibble + b'0' + (nibble > 9) as u8 * (b'a' - b'9' - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefix_and_lower_case_hex() {
        let key = Keyspace::default().key(&[0x00, 0x9a, 0xf0, 0xff]).unwrap();
        assert_eq!(key.as_bytes(), b"sslsessioncache:009af0ff");
    }

    #[test]
    fn every_byte_in_hex() {
        let keyspace = Keyspace::new(b"").unwrap();
        for byte in 0..=255u8 {
            assert_eq!(keyspace.key(&[byte]).unwrap().as_bytes(), format!("{byte:02x}").as_bytes());
        }
    }

    #[test]
    fn an_unused_key_is_none_in_hex() {
        let key = Keyspace::default().key(&[0x00, 0x9a]).unwrap();
        assert_eq!(key.unused().as_bytes(), b"sslsessioncache:009-");
    }

    #[test]
    fn only_session_ids() {
        let keyspace = Keyspace::default();
        assert!(keyspace.key(&[]).is_none());
        assert!(keyspace.key(&[1; 32]).is_some());
        assert!(keyspace.key(&[1; 33]).is_none());
    }

    #[test]
    fn longest_key_fits_memcached() {
        let keyspace = Keyspace::new(&[b'p'; MAX_PREFIX]).unwrap();
        assert_eq!(keyspace.key(&[7; 32]).unwrap().as_bytes().len(), 250);
        assert_eq!(Keyspace::new(&[b'p'; MAX_PREFIX + 1]).unwrap_err(), PrefixError::TooLong);
    }

    #[test]
    fn prefix_must_be_printable() {
        for prefix in [&b"a b"[..], b"a\r\nflush_all", b"a\0", b"\xc3\xa4", b"\x7f"] {
            assert_eq!(Keyspace::new(prefix).unwrap_err(), PrefixError::NotPrintable);
        }
    }
}
