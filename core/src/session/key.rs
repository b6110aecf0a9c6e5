//! The names of sessions in a store.

use std::fmt;
use std::rc::Rc;

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
    prefix: Rc<[u8]>,
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
        let mut bytes = [0; MAX_ID];
        bytes[..name.len()].copy_from_slice(name);
        let prefix = Rc::clone(&self.prefix);
        Some(Key { prefix, name: bytes, len: name.len() as u8, mark: None })
    }
}

impl Default for Keyspace {
    fn default() -> Self {
        Self { prefix: Rc::from(*b"sslsessioncache:") }
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
#[derive(Clone, PartialEq, Eq)]
pub struct Key {
    prefix: Rc<[u8]>,
    /// The name, in the front of as many bytes as the longest has.
    name: [u8; MAX_ID],
    len: u8,
    /// What stands in place of the last digit, if that is none: no session has such a key.
    mark: Option<u8>,
}

impl Key {
    /// How many bytes are sent.
    pub(crate) fn len(&self) -> usize {
        self.prefix.len() + 2 * usize::from(self.len)
    }

    /// Appends the key as it is sent.
    pub fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.prefix);
        out.extend_from_slice(&self.digits()[..2 * usize::from(self.len)]);
    }

    /// What `f` makes of the key as it is sent.
    pub(crate) fn with_bytes<T>(&self, f: impl FnOnce(&[u8]) -> T) -> T {
        let mut bytes = [0; MAX_KEY];
        let (prefix, digits) = bytes[..self.len()].split_at_mut(self.prefix.len());
        prefix.copy_from_slice(&self.prefix);
        digits.copy_from_slice(&self.digits()[..2 * usize::from(self.len)]);
        f(&bytes[..self.len()])
    }

    /// Whether the key is sent as these bytes.
    pub(crate) fn is(&self, bytes: &[u8]) -> bool {
        bytes.strip_prefix(&*self.prefix) == Some(&self.digits()[..2 * usize::from(self.len)])
    }

    /// The name in hex.
    fn digits(&self) -> [u8; 2 * MAX_ID] {
        let mut digits = [0; 2 * MAX_ID];
        for (pair, byte) in digits.chunks_exact_mut(2).zip(self.name) {
            pair[0] = hex_digit(byte >> 4);
            pair[1] = hex_digit(byte & 0xf);
        }
        if let Some(mark) = self.mark {
            digits[2 * usize::from(self.len) - 1] = mark;
        }
        digits
    }

    /// A key beside this one, with the same prefix, that nobody uses.
    pub fn unused(&self) -> Key {
        Key { mark: Some(b'-'), ..self.clone() }
    }

    /// The key under which the use of the session is claimed.
    pub fn claim(&self) -> Key {
        Key { mark: Some(b'+'), ..self.clone() }
    }
}

/// As it is sent.
impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = Vec::new();
        self.write(&mut bytes);
        f.write_str(&String::from_utf8_lossy(&bytes))
    }
}

/// Branchless, so that the loop over an id becomes vector instructions.
const fn hex_digit(nibble: u8) -> u8 {
    nibble + b'0' + (nibble > 9) as u8 * (b'a' - b'9' - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(key: &Key) -> String {
        format!("{key:?}")
    }

    #[test]
    fn prefix_and_lower_case_hex() {
        let key = Keyspace::default().key(&[0x00, 0x9a, 0xf0, 0xff]).unwrap();
        assert_eq!(text(&key), "sslsessioncache:009af0ff");
        assert_eq!(key.len(), 24);
    }

    #[test]
    fn every_byte_in_hex() {
        let keyspace = Keyspace::new(b"").unwrap();
        for byte in 0..=255u8 {
            assert_eq!(text(&keyspace.key(&[byte]).unwrap()), format!("{byte:02x}"));
        }
    }

    #[test]
    fn keys_beside_that_of_a_session_are_not_in_hex() {
        let key = Keyspace::default().key(&[0x00, 0x9a]).unwrap();
        assert_eq!(text(&key.unused()), "sslsessioncache:009-");
        assert_eq!(text(&key.claim()), "sslsessioncache:009+");
        assert_eq!(key.claim().len(), key.len());
    }

    #[test]
    fn a_key_is_what_is_sent_and_nothing_else() {
        let key = Keyspace::default().key(&[0x00, 0x9a]).unwrap();
        assert!(key.is(b"sslsessioncache:009a"));
        for other in
            ["sslsessioncache:009", "sslsessioncache:009a0", "sslsessioncache:009b", "009a", ""]
        {
            assert!(!key.is(other.as_bytes()), "{other}");
        }
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
        let key = keyspace.key(&[7; 32]).unwrap();
        assert_eq!((key.len(), text(&key).len()), (250, 250));
        assert!(key.with_bytes(|bytes| key.is(bytes)));
        assert_eq!(Keyspace::new(&[b'p'; MAX_PREFIX + 1]).unwrap_err(), PrefixError::TooLong);
    }

    #[test]
    fn prefix_must_be_printable() {
        for prefix in [&b"a b"[..], b"a\r\nflush_all", b"a\0", b"\xc3\xa4", b"\x7f"] {
            assert_eq!(Keyspace::new(prefix).unwrap_err(), PrefixError::NotPrintable);
        }
    }
}
