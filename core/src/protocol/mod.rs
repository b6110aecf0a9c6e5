//! How a kind of server is spoken to: requests to bytes, bytes to replies.

mod error;
mod frame;
mod hint;
mod memcached;
mod name;
mod redis;
mod reply;
mod request;
pub(crate) mod resp;
mod scanner;
mod text;

pub use error::ProtocolError;
pub(crate) use hint::hint;
pub use hint::Speech;
pub use memcached::Memcached;
pub use name::client_name;
pub(crate) use redis::push_bulk;
pub use redis::Redis;
pub use reply::{Reason, Redirect, Refusal, Reply, Rest};
pub use request::{Asked, Put, Request};
pub(crate) use scanner::Scanner;

/// The longest record that is stored, and so the longest that can be a server's reply. OpenSSL's
/// serialised sessions are a few hundred bytes, a few thousand with client certificates.
pub const MAX_RECORD: usize = 16 * 1024;

/// The longest value that is skipped where a record was asked for: what is longer than any record
/// is somebody else's, or damaged. Memcached's items are no longer by default.
pub(crate) const MAX_SKIPPED: usize = 1024 * 1024;

/// The longest line accepted in a reply. Error messages are the long ones: the one by which a Redis
/// in protected mode turns clients away has more than 1,000 bytes.
pub(crate) const MAX_LINE: usize = 8 * 1024;

/// Who the client of a server says it is.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// None where the server knows a password alone.
    pub user: Option<Box<[u8]>>,
    /// What proves it.
    pub password: Box<[u8]>,
}

/// How to speak to one kind of server: each request to bytes, bytes to its reply.
///
/// An implementation keeps no state of a connection: replies come in the order of the requests, and
/// the caller knows which is due.
pub trait Protocol {
    /// What that is.
    fn speech(&self) -> Speech;

    /// What opens a connection. The last is always a [`Request::Probe`], or a [`Request::Name`] behind
    /// one.
    fn greeting(&self) -> Vec<Request<'_>>;

    /// Appends a request to `out`; nothing is sent here.
    fn encode(&self, request: Request<'_>, out: &mut Vec<u8>);

    /// Takes the reply to what was `asked` off the front of `input`: the reply and its length, or
    /// `None` where there is not all of it yet. Of [`Reply::Oversized`] it is the beginning alone,
    /// and its length: the rest is not to be kept.
    ///
    /// Only a reply that fits is accepted. An error means that the connection is of no more use.
    fn decode<'a>(&self, asked: &Asked, input: &'a [u8]) -> Decoded<'a>;
}

/// What [`Protocol::decode`] finds at the front of its input.
pub type Decoded<'a> = Result<Option<(Reply<'a>, usize)>, ProtocolError>;

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::session::{Key, Keyspace};

    /// Decodes `input` whole, after each part of it in turn was found incomplete.
    pub(crate) fn decode_at_every_cut<'a>(
        protocol: &dyn Protocol,
        asked: &Asked,
        input: &'a [u8],
    ) -> Reply<'a> {
        for cut in 0..input.len() {
            assert_eq!(protocol.decode(asked, &input[..cut]), Ok(None), "cut at {cut}");
        }
        let (reply, len) = protocol.decode(asked, input).unwrap().unwrap();
        assert_eq!(len, input.len());

        let followed = [input, b"+"].concat();
        let (_, len) = protocol.decode(asked, &followed).unwrap().unwrap();
        assert_eq!(len, input.len(), "what follows is left alone");
        reply
    }

    /// The error that `input` ends in, whether it comes at once or byte by byte.
    pub(crate) fn decode_error(
        protocol: &dyn Protocol,
        asked: &Asked,
        input: &[u8],
    ) -> ProtocolError {
        for cut in 0..input.len() {
            match protocol.decode(asked, &input[..cut]) {
                Ok(None) => continue,
                Ok(Some(reply)) => panic!("{reply:?} at {cut}"),
                Err(_) => break,
            }
        }
        protocol.decode(asked, input).unwrap_err()
    }

    pub(crate) fn encoded(protocol: &dyn Protocol, requests: &[Request<'_>]) -> String {
        let mut out = Vec::new();
        requests.iter().for_each(|request| protocol.encode(*request, &mut out));
        String::from_utf8(out).unwrap()
    }

    /// `key01`.
    pub(crate) fn key() -> Key {
        Keyspace::new(b"key").unwrap().key(&[1]).unwrap()
    }

    pub(crate) fn get() -> Asked {
        Asked::Get(key())
    }

    pub(crate) fn put() -> Asked {
        Asked::Put(key())
    }

    pub(crate) fn add() -> Asked {
        Asked::Add(key())
    }

    pub(crate) fn delete() -> Asked {
        Asked::Delete(key())
    }
}
