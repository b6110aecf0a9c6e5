//! Memcached.

use crate::protocol::frame::{delimited, one_of};
use crate::protocol::text::{line, number, printable, Decimal};
use crate::protocol::{
    Asked, Credentials, Decoded, Protocol, ProtocolError, Put, Reason, Refusal, Reply, Request,
    Speech, MAX_SKIPPED,
};
use crate::session::Key;

/// Memcached 1.4.3 and later, over its text protocol:
/// <https://github.com/memcached/memcached/blob/master/doc/protocol.txt>.
pub struct Memcached {
    credentials: Option<Credentials>,
}

impl Memcached {
    /// Authenticates with `credentials` where there are any. The server must be 1.5.15 or later and
    /// run with `-Y`; it knows no password without a user.
    pub fn new(credentials: Option<Credentials>) -> Self {
        Self { credentials }
    }
}

impl Protocol for Memcached {
    fn speech(&self) -> Speech {
        Speech::Memcached
    }

    fn greeting(&self) -> Vec<Request<'_>> {
        self.credentials.iter().map(Request::Authenticate).chain([Request::Probe]).collect()
    }

    fn encode(&self, request: Request<'_>, out: &mut Vec<u8>) {
        match request {
            // Expired at once: a server that does not authenticate stores it as any other item.
            Request::Authenticate(Credentials { user, password }) => {
                let user = user.as_deref().unwrap_or_default();
                out.extend_from_slice(b"set auth");
                push_data(out, b"-1", &[user, b" ", password].concat());
            }
            Request::Select(_) | Request::Role | Request::Name(_) => {
                unreachable!("not in the greeting")
            }
            Request::Asking => unreachable!("not of a cluster"),
            Request::AddForGood { .. } | Request::Expire { .. } | Request::Persist(_) => {
                unreachable!("all versions can add")
            }
            Request::Get(key) => push_line(out, b"get ", key),
            Request::Put(put) => push_record(out, b"set ", put),
            Request::Add(put) => push_record(out, b"add ", put),
            Request::Delete(key) => push_line(out, b"delete ", key),
            Request::Probe => out.extend_from_slice(b"version\r\n"),
        }
    }

    fn decode<'a>(&self, asked: &Asked, input: &'a [u8]) -> Decoded<'a> {
        let reply = match asked {
            Asked::Get(key) => value(key, input),
            Asked::Greeting => one_of(input, &[b"STORED\r\n"], Reply::Done),
            Asked::Role | Asked::Name | Asked::Asking => unreachable!("not encoded"),
            Asked::AddForGood(_) | Asked::Expire(_) | Asked::Persist(_) => {
                unreachable!("not encoded")
            }
            Asked::Put(_) => stored(input, refused(NOT_STORED)),
            Asked::Add(_) => stored(input, Reply::Present),
            Asked::Delete(_) => one_of(input, &[b"DELETED\r\n", b"NOT_FOUND\r\n"], Reply::Done),
            Asked::Probe => version(input),
        };
        match reply {
            Err(ProtocolError::Unexpected) => error(asked, input),
            other => other,
        }
    }
}

fn push_line(out: &mut Vec<u8>, command: &[u8], key: &Key) {
    out.extend_from_slice(command);
    key.write(out);
    out.extend_from_slice(b"\r\n");
}

fn push_record(out: &mut Vec<u8>, command: &[u8], Put { key, record, ttl, unix_now }: Put<'_>) {
    out.extend_from_slice(command);
    key.write(out);
    push_data(out, Decimal::new(expiry(ttl, unix_now)).as_bytes(), record);
}

/// What follows the key of a `set` or `add`.
fn push_data(out: &mut Vec<u8>, exptime: &[u8], data: &[u8]) {
    out.extend_from_slice(b" 0 ");
    out.extend_from_slice(exptime);
    out.push(b' ');
    out.extend_from_slice(Decimal::new(data.len() as u64).as_bytes());
    out.extend_from_slice(b"\r\n");
    out.extend_from_slice(data);
    out.extend_from_slice(b"\r\n");
}

/// A time to live as Memcached reads it: beyond 30 days it is a date, and a number that does not
/// fit its 32 bits breaks the command.
fn expiry(ttl: u32, unix_now: u64) -> u64 {
    const LONGEST_SPAN: u32 = 30 * 24 * 60 * 60;

    if ttl <= LONGEST_SPAN {
        return u64::from(ttl);
    }
    unix_now.saturating_add(u64::from(ttl)).min(i32::MAX as u64)
}

/// `VALUE <key> <flags> <bytes>`, the data, `END`; or `END` alone.
fn value<'a>(asked: &Key, input: &'a [u8]) -> Decoded<'a> {
    const VALUE: &[u8] = b"VALUE ";

    let Some(rest) = input.strip_prefix(VALUE) else {
        return match one_of(input, &[b"END\r\n"], Reply::Missing) {
            Err(_) if VALUE.starts_with(input) => Ok(None),
            other => other,
        };
    };
    let Some((key, rest)) = rest.split_at_checked(asked.len()) else {
        return Ok(None);
    };
    if !asked.is(key) {
        return Err(ProtocolError::Unexpected);
    }
    let rest = match rest {
        [b' ', rest @ ..] => rest,
        [] => return Ok(None),
        _ => return Err(ProtocolError::Unexpected),
    };
    let Some((_flags, digits)) = number(rest, b' ', u64::from(u32::MAX))? else {
        return Ok(None);
    };
    let rest = &rest[digits + 1..];
    let Some((len, digits)) = number(rest, b'\r', MAX_SKIPPED as u64)? else {
        return Ok(None);
    };
    delimited(input, input.len() - rest.len() + digits, len, b"\r\nEND\r\n")
}

const NOT_STORED: &[u8] = b"NOT_STORED";

/// What was put or added is stored or not. Memcached itself stores what is put, or errs; a proxy may also
/// say that nothing was stored.
fn stored<'a>(input: &'a [u8], or_not: Reply<'a>) -> Decoded<'a> {
    match input {
        [b'N', ..] => one_of(input, &[b"NOT_STORED\r\n"], or_not),
        _ => one_of(input, &[b"STORED\r\n"], Reply::Done),
    }
}

fn version(input: &[u8]) -> Decoded<'_> {
    const VERSION: &[u8] = b"VERSION ";

    if !input.starts_with(VERSION) {
        return one_of(input, &[VERSION], Reply::Done);
    }
    Ok(line(input)?.map(|(_, len)| (Reply::Done, len)))
}

/// The errors, and what Memcached does after each.
///
/// A `set` or `add` that ends in `SERVER_ERROR` has its data swallowed, also where it is too large for an
/// item. After `ERROR` and `CLIENT_ERROR` the data is read as commands.
fn error<'a>(asked: &Asked, input: &'a [u8]) -> Decoded<'a> {
    const KINDS: [&[u8]; 3] = [b"ERROR", b"CLIENT_ERROR ", b"SERVER_ERROR "];

    if !KINDS.iter().any(|kind| input.starts_with(kind) || kind.starts_with(input)) {
        return Err(ProtocolError::Unexpected);
    }
    let Some((message, len)) = line(input)? else {
        return Ok(None);
    };
    match message {
        _ if *asked == Asked::Greeting => {}
        b"CLIENT_ERROR unauthenticated" | b"CLIENT_ERROR authentication failure" => {
            return Err(ProtocolError::NotAuthenticated(printable(message)));
        }
        [b'E' | b'C', ..] if matches!(asked, Asked::Put(_) | Asked::Add(_)) => {
            return Err(ProtocolError::OutOfStep(printable(message)));
        }
        _ => {}
    }
    Ok(Some((refused(message), len)))
}

fn refused(message: &[u8]) -> Reply<'_> {
    Reply::Refused(Refusal { reason: Reason::Other, message })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::tests::{
        add, decode_at_every_cut, decode_error, delete, encoded, get, key, put,
    };
    use crate::protocol::{Rest, MAX_LINE, MAX_RECORD};

    fn memcached() -> Memcached {
        Memcached::new(None)
    }

    #[test]
    fn requests() {
        let key = &key();
        let put = Put { key, record: b"re\r\ncord", ttl: 300, unix_now: 0 };
        for (request, bytes) in [
            (Request::Get(key), "get key01\r\n"),
            (Request::Put(put), "set key01 0 300 8\r\nre\r\ncord\r\n"),
            (Request::Add(put), "add key01 0 300 8\r\nre\r\ncord\r\n"),
            (Request::Delete(key), "delete key01\r\n"),
            (Request::Probe, "version\r\n"),
        ] {
            assert_eq!(encoded(&memcached(), &[request]), bytes);
        }
    }

    #[test]
    fn greeting_authenticates_and_probes() {
        assert_eq!(encoded(&memcached(), &memcached().greeting()), "version\r\n");

        let memcached = Memcached::new(Some(Credentials {
            user: Some((*b"user").into()),
            password: (*b"password").into(),
        }));
        assert_eq!(
            encoded(&memcached, &memcached.greeting()),
            "set auth 0 -1 13\r\nuser password\r\nversion\r\n"
        );
    }

    #[test]
    fn beyond_thirty_days_a_time_to_live_is_a_date() {
        let month = 30 * 24 * 60 * 60;
        assert_eq!(expiry(month, 1_700_000_000), 2_592_000);
        assert_eq!(expiry(month + 1, 1_700_000_000), 1_702_592_001);
        assert_eq!(expiry(u32::MAX, 1_700_000_000), 2_147_483_647);
        assert_eq!(expiry(u32::MAX, u64::MAX), 2_147_483_647);
    }

    #[test]
    fn replies() {
        let record =
            [&b"VALUE key01 0 16384\r\n"[..], &[b'\r'; MAX_RECORD], b"\r\nEND\r\n"].concat();
        for (asked, input, reply) in [
            (get(), &b"VALUE key01 0 6\r\nre\r\nco\r\nEND\r\n"[..], Reply::Found(b"re\r\nco")),
            (get(), b"VALUE key01 4294967295 0\r\n\r\nEND\r\n", Reply::Found(b"")),
            (get(), &record, Reply::Found(&[b'\r'; MAX_RECORD])),
            (get(), b"END\r\n", Reply::Missing),
            (put(), b"STORED\r\n", Reply::Done),
            (put(), b"NOT_STORED\r\n", refused(b"NOT_STORED")),
            (add(), b"STORED\r\n", Reply::Done),
            (add(), b"NOT_STORED\r\n", Reply::Present),
            (Asked::Greeting, b"STORED\r\n", Reply::Done),
            (delete(), b"DELETED\r\n", Reply::Done),
            (delete(), b"NOT_FOUND\r\n", Reply::Done),
            (Asked::Probe, b"VERSION 1.6.18\r\n", Reply::Done),
        ] {
            assert_eq!(decode_at_every_cut(&memcached(), &asked, input), reply);
        }
    }

    #[test]
    fn what_is_longer_than_a_record_is_left_to_be_skipped() {
        for len in [MAX_RECORD + 1, MAX_SKIPPED] {
            let input = format!("VALUE key01 0 {len}\r\n");
            let rest = Rest { len, tail: b"\r\nEND\r\n" };
            let reply = decode_at_every_cut(&memcached(), &get(), input.as_bytes());
            assert_eq!(reply, Reply::Oversized(rest));
        }
    }

    #[test]
    fn errors_of_one_command() {
        let object = "SERVER_ERROR object too large for cache";
        let memory = "SERVER_ERROR out of memory storing object";
        let format = "CLIENT_ERROR bad command line format";
        let many = "ERROR Too many open connections";
        for (asked, message) in [
            (put(), object),
            (put(), memory),
            (add(), object),
            (add(), memory),
            (get(), memory),
            (get(), format),
            (get(), "ERROR"),
            (delete(), format),
            (Asked::Probe, many),
            (Asked::Greeting, many),
            (Asked::Greeting, "CLIENT_ERROR authentication failure"),
        ] {
            let input = format!("{message}\r\n");
            let reply = decode_at_every_cut(&memcached(), &asked, input.as_bytes());
            assert_eq!(reply, refused(message.as_bytes()));
        }
    }

    /// Seen with Memcached 1.6: after each of these, the data of a `set` is read as commands.
    #[test]
    fn a_refused_set_leaves_its_data_behind() {
        for message in
            ["ERROR", "CLIENT_ERROR bad command line format", "CLIENT_ERROR bad data chunk"]
        {
            let input = format!("{message}\r\n");
            for asked in [put(), add()] {
                assert_eq!(
                    decode_error(&memcached(), &asked, input.as_bytes()),
                    ProtocolError::OutOfStep(message.into())
                );
            }
        }
    }

    #[test]
    fn errors_of_the_connection() {
        for asked in [get(), put(), add(), delete(), Asked::Probe] {
            assert_eq!(
                decode_error(&memcached(), &asked, b"CLIENT_ERROR unauthenticated\r\n"),
                ProtocolError::NotAuthenticated("CLIENT_ERROR unauthenticated".into())
            );
        }
    }

    #[test]
    fn replies_that_do_not_fit() {
        let fitting = [
            (get(), &[&b"VALUE key01 0 1\r\nx\r\nEND\r\n"[..], b"END\r\n"][..]),
            (put(), &[b"STORED\r\n", b"NOT_STORED\r\n"]),
            (add(), &[b"STORED\r\n", b"NOT_STORED\r\n"]),
            (delete(), &[b"DELETED\r\n", b"NOT_FOUND\r\n"]),
            (Asked::Probe, &[b"VERSION 1.4.3\r\n"]),
        ];
        let others = [&b"EXISTS\r\n"[..], b"OK\r\n", b"VERSION\r\n", b"\r\n", b"HD\r\n", b"\x81\0"];
        for (asked, own) in &fitting {
            let foreign = fitting.iter().filter(|(other, _)| other != asked);
            let foreign = foreign.flat_map(|(_, replies)| replies.iter());
            for input in foreign.chain(&others).filter(|input| !own.contains(input)) {
                assert_eq!(decode_error(&memcached(), asked, input), ProtocolError::Unexpected);
            }
        }
    }

    #[test]
    fn another_keys_record() {
        for key in ["key02", "key0", "key011", "key0 ", ""] {
            let input = format!("VALUE {key} 0 3\r\nabc\r\nEND\r\n");
            assert_eq!(
                decode_error(&memcached(), &get(), input.as_bytes()),
                ProtocolError::Unexpected
            );
        }
    }

    #[test]
    fn broken_replies() {
        for (input, error) in [
            (&b"VALUE key01 0 3\r\nabcd\r\nEND\r\n"[..], ProtocolError::Malformed),
            (
                b"VALUE key01 0 3\r\nabc\r\nVALUE key01 0 3\r\nabc\r\nEND\r\n",
                ProtocolError::Malformed,
            ),
            (b"VALUE key01 0 3\r\nabc\r\nSERVER_ERROR out of memory\r\n", ProtocolError::Malformed),
            (b"VALUE key01 0 3\rabc\r\nEND\r\n", ProtocolError::Malformed),
            (b"VALUE key01 0 3 17\r\nabc\r\nEND\r\n", ProtocolError::Malformed),
            (b"VALUE key01 -1 3\r\nabc\r\nEND\r\n", ProtocolError::Malformed),
            (b"VALUE key01 0 -3\r\n", ProtocolError::Malformed),
            (b"VALUE key01 0 1048577\r\n", ProtocolError::TooLarge),
            (b"VALUE key01 4294967296 3\r\n", ProtocolError::TooLarge),
            (b"VALUE key01 0 99999999999999999999\r\n", ProtocolError::TooLarge),
            (b"SERVER_ERROR \rx", ProtocolError::Malformed),
            (&[&b"SERVER_ERROR "[..], &[b'x'; MAX_LINE]].concat(), ProtocolError::TooLarge),
        ] {
            assert_eq!(decode_error(&memcached(), &get(), input), error);
        }
    }
}
