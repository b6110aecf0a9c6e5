//! What follows from where a server is.

use core::net::SocketAddr;

use crate::plan::error::text;
use crate::plan::types::{Peer, Place};
use crate::plan::value::{ip_address, peer_of};

impl Place<'_> {
    /// The place in the one form that all machines have in common, however it is configured:
    /// `127.0.0.1:6379`, `[::1]:6379`, `redis.example.net:6379`, `unix:/path`. Which of several
    /// servers has a session follows from it.
    pub fn word(&self) -> String {
        match *self {
            Self::Host(host, port) => match ip_address(host) {
                Some(address) => SocketAddr::new(address, port).to_string(),
                None => {
                    let name = host.strip_suffix(b".").unwrap_or(host);
                    format!("{}:{port}", text(name).to_ascii_lowercase())
                }
            },
            Self::Unix(path) => format!("unix:{}", text(path)),
        }
    }

    /// Whom the certificate of a server there is for; not known of a unix socket.
    pub fn peer(&self) -> Option<Peer> {
        match self {
            Self::Host(host, _) => peer_of(host),
            Self::Unix(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_word_for_each_place() {
        for (host, word) in [
            ("127.0.0.1", "127.0.0.1:6379"),
            ("::1", "[::1]:6379"),
            ("[::1]", "[::1]:6379"),
            ("[0:0::0001]", "[::1]:6379"),
            ("Redis-1.Example.NET", "redis-1.example.net:6379"),
            ("redis.example.", "redis.example:6379"),
        ] {
            assert_eq!(Place::Host(host.as_bytes(), 6379).word(), word);
        }
        assert_eq!(Place::Unix(b"/run/Redis").word(), "unix:/run/Redis");
    }
}
