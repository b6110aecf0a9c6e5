//! How a kind of server is spoken to: what it is asked to bytes, bytes to what it answers.

use thiserror::Error;

mod memcached;
mod redis;

pub use memcached::Memcached;
pub use redis::Redis;

/// The longest record that is stored, and so the longest that can be a store's reply. OpenSSL's
/// serialised sessions are a few hundred bytes, a few thousand with client certificates.
pub const MAX_RECORD: usize = 16 * 1024;

/// The longest value that is skipped where a record was asked for: what is longer than any record
/// is somebody else's, or damaged. Memcached's items are no longer by default.
pub(crate) const MAX_SKIPPED: usize = 1024 * 1024;

/// The longest line accepted in a reply. Error messages are the long ones: the one by which a Redis
/// in protected mode turns clients away has more than 1,000 bytes.
pub(crate) const MAX_LINE: usize = 8 * 1024;

/// Who the client of a store says it is.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// None where the store knows a password alone.
    pub user: Option<Box<[u8]>>,
    /// What proves it.
    pub password: Box<[u8]>,
}

/// How to speak to one kind of store: each command to bytes, bytes to its reply.
///
/// Encoding appends to `out`; nothing is sent here. An implementation keeps no state of a
/// connection: replies come in the order of the commands, and the caller knows which is due.
pub trait Protocol {
    /// Appends what opens a connection and returns the number of its replies. The last is always
    /// that of a [`ping`](Self::ping), to be decoded as [`Command::Ping`]; those before it are
    /// decoded as [`Command::Greeting`].
    fn greeting(&self, out: &mut Vec<u8>) -> usize;

    /// Asks for the record under `key`.
    fn get(&self, key: &[u8], out: &mut Vec<u8>);

    /// Stores `record` under `key` for `ttl` seconds, at least one. `unix_now` is the time of day
    /// in seconds, for a store that takes a long time to live as a date.
    fn put(&self, key: &[u8], record: &[u8], ttl: u32, unix_now: u64, out: &mut Vec<u8>);

    /// Deletes the record under `key`.
    fn delete(&self, key: &[u8], out: &mut Vec<u8>);

    /// Asks whether the store is there, and nothing else.
    fn ping(&self, out: &mut Vec<u8>);

    /// Takes the reply to `command` off the front of `input`: the reply and its length, or `None`
    /// where there is not all of it yet. Of [`Reply::Oversized`] it is the beginning alone, and its
    /// length: the rest is not to be kept.
    ///
    /// Only a reply that fits the command is accepted. An error means that the connection is of no
    /// more use.
    fn decode<'a>(&self, command: Command, input: &'a [u8]) -> Decoded<'a>;
}

/// What [`Protocol::decode`] finds at the front of its input.
pub type Decoded<'a> = Result<Option<(Reply<'a>, usize)>, ProtocolError>;

/// What was asked, as far as its reply needs to know it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// A step of opening the connection, before its probe.
    Greeting,
    /// A lookup of the key with this fingerprint.
    Get(Fingerprint),
    /// A record to store.
    Put,
    /// A record to delete.
    Delete,
    /// A probe: at the end of the greeting, in idleness, after trouble.
    Ping,
}

/// Tells a key from others, to check that a reply is about the key that was asked.
///
/// Sixteen bytes in place of 250 for each command in flight. Its use is to notice a stream out of
/// step, not to resist somebody who chooses keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fingerprint {
    hash: u64,
    len: u8,
}

impl Fingerprint {
    /// The fingerprint of `key`, at most 250 bytes long.
    pub fn of(key: &[u8]) -> Self {
        // As in FxHash: keys that differ in one word only never have the same hash.
        let mix =
            |hash: u64, word: u64| (hash.rotate_left(5) ^ word).wrapping_mul(0x517c_c1b7_2722_0a95);
        let words = key.chunks_exact(8);
        let rest = words.remainder().iter().fold(0, |rest, &byte| rest << 8 | u64::from(byte));
        let hash = words.fold(0, |hash, word| {
            mix(hash, u64::from_le_bytes(word.try_into().expect("chunks of eight")))
        });
        Self { hash: mix(hash, rest), len: key.len() as u8 }
    }

    /// The length of the key.
    pub(crate) fn len(self) -> usize {
        usize::from(self.len)
    }
}

/// The store's reply to one command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reply<'a> {
    /// The record that was asked for.
    Found(&'a [u8]),
    /// What lies there is longer than any record. This is still to come of it.
    Oversized(Rest),
    /// There is no such record.
    Missing,
    /// The command was carried out.
    Done,
    /// An error that concerns this command alone: the store's message, without anything it may
    /// repeat of the command.
    Refused(&'a [u8]),
    /// The same, where the error is that the store takes no records now. It says so to a probe as
    /// well, and answers lookups all the while.
    TakesNoRecords(&'a [u8]),
}

/// What follows the beginning of a reply that is too long to be kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rest {
    /// So many bytes, whatever they are.
    pub len: usize,
    /// And behind them these.
    pub tail: &'static [u8],
}

/// Why a connection is of no more use. Never carries anything but the store's own message.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ProtocolError {
    /// A reply that does not fit the command.
    #[error("unexpected reply")]
    Unexpected,
    /// A reply that breaks the protocol's format.
    #[error("malformed reply")]
    Malformed,
    /// A reply longer than any that is due.
    #[error("reply is too large")]
    TooLarge,
    /// The store wants credentials, others, or ones with more rights.
    #[error("not authenticated: {0}")]
    NotAuthenticated(String),
    /// The store refused a command and may read the record that follows it as commands.
    #[error("out of step: {0}")]
    OutOfStep(String),
}

/// A store's message as text for a log: on one line and of bounded length.
pub(crate) fn printable(message: &[u8]) -> String {
    const MAX_MESSAGE: usize = 200;

    let message = &message[..message.len().min(MAX_MESSAGE)];
    message
        .iter()
        .map(|&b| if b == b' ' || b.is_ascii_graphic() { b as char } else { '?' })
        .collect()
}

/// The line at the front of `input` without its CRLF, and its length with it.
pub(crate) fn line(input: &[u8]) -> Result<Option<(&[u8], usize)>, ProtocolError> {
    let input = &input[..input.len().min(MAX_LINE)];
    let Some(end) = input.iter().position(|&byte| byte == b'\r') else {
        return if input.len() < MAX_LINE { Ok(None) } else { Err(ProtocolError::TooLarge) };
    };
    match input.get(end + 1) {
        Some(b'\n') => Ok(Some((&input[..end], end + 2))),
        Some(_) => Err(ProtocolError::Malformed),
        None if input.len() < MAX_LINE => Ok(None),
        None => Err(ProtocolError::TooLarge),
    }
}

/// `reply` if one of `replies` is at the front of `input`.
pub(crate) fn one_of<'a>(input: &[u8], replies: &[&[u8]], reply: Reply<'a>) -> Decoded<'a> {
    if let Some(found) = replies.iter().find(|expected| input.starts_with(expected)) {
        return Ok(Some((reply, found.len())));
    }
    if replies.iter().any(|expected| expected.starts_with(input)) {
        return Ok(None);
    }
    Err(ProtocolError::Unexpected)
}

/// The decimal number at the front of `input` up to the byte `end`, and the number of its digits.
pub(crate) fn number(
    input: &[u8],
    end: u8,
    max: u64,
) -> Result<Option<(u64, usize)>, ProtocolError> {
    const MAX_DIGITS: usize = 10;

    let mut value = 0;
    for (digits, &byte) in input.iter().enumerate() {
        match byte {
            b'0'..=b'9' if digits < MAX_DIGITS => {
                value = value * 10 + u64::from(byte - b'0');
                if value > max {
                    return Err(ProtocolError::TooLarge);
                }
            }
            _ if byte == end && digits > 0 => return Ok(Some((value, digits))),
            _ => return Err(ProtocolError::Malformed),
        }
    }
    Ok(None)
}

/// The record of `len` bytes in `input`, between the CRLF at `crlf` and `tail`.
pub(crate) fn delimited<'a>(
    input: &'a [u8],
    crlf: usize,
    len: u64,
    tail: &'static [u8],
) -> Decoded<'a> {
    let len = len as usize;
    let start = crlf + 2;
    let end = start + len;
    let head = &input[crlf..input.len().min(start)];
    if head != b"\r\n" {
        return if b"\r\n".starts_with(head) { Ok(None) } else { Err(ProtocolError::Malformed) };
    }
    if len > MAX_RECORD {
        return Ok(Some((Reply::Oversized(Rest { len, tail }), start)));
    }
    let rest = input.get(end..).unwrap_or_default();
    if rest.starts_with(tail) {
        return Ok(Some((Reply::Found(&input[start..end]), end + tail.len())));
    }
    if tail.starts_with(rest) {
        return Ok(None);
    }
    Err(ProtocolError::Malformed)
}

/// A number in decimal, on the stack.
pub(crate) struct Decimal {
    digits: [u8; 20],
    start: usize,
}

impl Decimal {
    pub(crate) fn new(mut number: u64) -> Self {
        let mut digits = [0; 20];
        let mut start = digits.len();
        loop {
            start -= 1;
            digits[start] = b'0' + (number % 10) as u8;
            number /= 10;
            if number == 0 {
                return Self { digits, start };
            }
        }
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.digits[self.start..]
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Decodes `input` whole, after each part of it in turn was found incomplete.
    pub(crate) fn decode_at_every_cut<'a>(
        protocol: &dyn Protocol,
        command: Command,
        input: &'a [u8],
    ) -> Reply<'a> {
        for cut in 0..input.len() {
            assert_eq!(protocol.decode(command, &input[..cut]), Ok(None), "cut at {cut}");
        }
        let (reply, len) = protocol.decode(command, input).unwrap().unwrap();
        assert_eq!(len, input.len());

        let followed = [input, b"+"].concat();
        let (_, len) = protocol.decode(command, &followed).unwrap().unwrap();
        assert_eq!(len, input.len(), "what follows is left alone");
        reply
    }

    /// The error that `input` ends in, whether it comes at once or byte by byte.
    pub(crate) fn decode_error(
        protocol: &dyn Protocol,
        command: Command,
        input: &[u8],
    ) -> ProtocolError {
        for cut in 0..input.len() {
            match protocol.decode(command, &input[..cut]) {
                Ok(None) => continue,
                Ok(Some(reply)) => panic!("{reply:?} at {cut}"),
                Err(_) => break,
            }
        }
        protocol.decode(command, input).unwrap_err()
    }

    #[test]
    fn decimals() {
        for number in [0, 9, 10, 99, 100, 2_592_000, u64::MAX] {
            assert_eq!(Decimal::new(number).as_bytes(), number.to_string().as_bytes());
        }
    }

    #[test]
    fn fingerprints_differ_with_every_bit_and_length() {
        let key = [b'0'; 80];
        let other = |index: usize, bit: u32| {
            let mut key = key;
            key[index] ^= 1 << bit;
            Fingerprint::of(&key)
        };
        for index in 0..80 {
            for bit in 0..8 {
                assert_ne!(other(index, bit), Fingerprint::of(&key));
            }
        }
        assert_ne!(Fingerprint::of(&key[..79]), Fingerprint::of(&key));
        assert_eq!(Fingerprint::of(&key.clone()), Fingerprint::of(&key));
    }

    #[test]
    fn messages_are_safe_to_log() {
        assert_eq!(printable(b"ERR no\r\nsuch \xff"), "ERR no??such ?");
        assert_eq!(printable(&[b'x'; 5000]).len(), 200);
    }
}
