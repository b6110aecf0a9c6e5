//! What a server seems to be that answers in another protocol.

/// What a server seems to be that answers the greeting with `input`, which is none of what is due; a
/// hint for the log, behind the reason. `own` is what those begin with that are spoken to.
pub(crate) fn hint(own: Speech, input: &[u8]) -> Option<&'static str> {
    const MEMCACHED: [&[u8]; 3] = [b"ERROR", b"CLIENT_ERROR", b"SERVER_ERROR"];

    let begins = |start: &&[u8]| input.starts_with(start);
    match (own, input) {
        (_, [0x15, 0x03, ..]) => Some("is it a TLS port? then turn \"tls\" on"),
        (_, [b'H', b'T', b'T', b'P', b'/', ..]) => {
            Some("it answers like a web server: check its address and port")
        }
        (Speech::Redis, _) if MEMCACHED.iter().any(begins) => {
            Some("it answers like a Memcached: is \"type\" right?")
        }
        (Speech::Memcached, [b'-' | b'+', ..]) => {
            Some("it answers like a Redis: is \"type\" right?")
        }
        _ => None,
    }
}

/// What a server is spoken to in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Speech {
    /// RESP2.
    Redis,
    /// The text protocol of Memcached.
    Memcached,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_answers_tells_what_it_is() {
        use Speech::{Memcached, Redis};

        for (own, input, word) in [
            (Redis, &b"ERROR\r\n"[..], Some("Memcached")),
            (Redis, b"CLIENT_ERROR unauthenticated\r\n", Some("Memcached")),
            (Memcached, b"-ERR unknown command 'version'\r\n", Some("Redis")),
            (Memcached, b"-NOAUTH Authentication required.\r\n", Some("Redis")),
            (Memcached, b"+PONG\r\n", Some("Redis")),
            (Redis, b"HTTP/1.1 400 Bad Request\r\n", Some("web server")),
            (Memcached, b"HTTP/1.0 400 Bad Request\r\n", Some("web server")),
            (Redis, b"\x15\x03\x01\x00\x02\x02\x46", Some("tls")),
            (Memcached, b"\x15\x03\x03", Some("tls")),
            (Redis, b":1\r\n", None),
            (Memcached, b"END\r\n", None),
            (Redis, b"", None),
        ] {
            let hint = hint(own, input);
            assert_eq!(hint.is_some(), word.is_some());
            assert!(hint.unwrap_or_default().contains(word.unwrap_or_default()), "{hint:?}");
        }
    }
}
