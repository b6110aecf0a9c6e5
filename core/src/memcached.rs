use crate::protocol::{
    delimited, line, number, one_of, printable, Command, Decimal, Decoded, Fingerprint, Protocol,
    ProtocolError, Reply, MAX_RECORD,
};

/// Memcached 1.4.3 and later, over its text protocol:
/// <https://github.com/memcached/memcached/blob/master/doc/protocol.txt>.
pub struct Memcached {
    /// User and password, separated by a space, as they are sent.
    credentials: Option<Vec<u8>>,
}

impl Memcached {
    /// Authenticates with `credentials`, a user and a password, where there are any. The server
    /// must be 1.5.15 or later and run with `-Y`.
    pub fn new(credentials: Option<(Vec<u8>, Vec<u8>)>) -> Self {
        let join = |(user, password): (Vec<u8>, Vec<u8>)| [user, password].join(&b' ');
        Self { credentials: credentials.map(join) }
    }
}

impl Protocol for Memcached {
    fn greeting(&self, out: &mut Vec<u8>) -> usize {
        let mut replies = 1;
        if let Some(credentials) = &self.credentials {
            // Expired at once: a server that does not authenticate stores it as any other item.
            push_set(out, b"auth", b"-1", credentials);
            replies += 1;
        }
        self.ping(out);
        replies
    }

    fn get(&self, key: &[u8], out: &mut Vec<u8>) {
        out.extend_from_slice(b"get ");
        out.extend_from_slice(key);
        out.extend_from_slice(b"\r\n");
    }

    fn put(&self, key: &[u8], record: &[u8], ttl: u32, unix_now: u64, out: &mut Vec<u8>) {
        push_set(out, key, Decimal::new(expiry(ttl, unix_now)).as_bytes(), record);
    }

    fn delete(&self, key: &[u8], out: &mut Vec<u8>) {
        out.extend_from_slice(b"delete ");
        out.extend_from_slice(key);
        out.extend_from_slice(b"\r\n");
    }

    fn ping(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"version\r\n");
    }

    fn decode<'a>(&self, command: Command, input: &'a [u8]) -> Decoded<'a> {
        let reply = match command {
            Command::Get(asked) => value(asked, input),
            Command::Greeting | Command::Put => one_of(input, &[b"STORED\r\n"], Reply::Done),
            Command::Delete => one_of(input, &[b"DELETED\r\n", b"NOT_FOUND\r\n"], Reply::Done),
            Command::Ping => version(input),
        };
        match reply {
            Err(ProtocolError::Unexpected) => error(command, input),
            other => other,
        }
    }
}

fn push_set(out: &mut Vec<u8>, key: &[u8], exptime: &[u8], data: &[u8]) {
    out.extend_from_slice(b"set ");
    out.extend_from_slice(key);
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
fn value(asked: Fingerprint, input: &[u8]) -> Decoded<'_> {
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
    if Fingerprint::of(key) != asked {
        return Err(ProtocolError::Unexpected);
    }
    let rest = match rest {
        [b' ', rest @ ..] => rest,
        [] => return Ok(None),
        _ => return Err(ProtocolError::Unexpected),
    };
    let Some((_flags, digits)) = number(rest, b' ', u32::MAX as usize)? else {
        return Ok(None);
    };
    let rest = &rest[digits + 1..];
    let Some((len, digits)) = number(rest, b'\r', MAX_RECORD)? else {
        return Ok(None);
    };
    let rest = &rest[digits + 1..];
    let start = input.len() - rest.len() + 1;
    match rest.first() {
        None => Ok(None),
        Some(b'\n') => delimited(input, start, len, b"\r\nEND\r\n"),
        Some(_) => Err(ProtocolError::Malformed),
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
/// A `set` that ends in `SERVER_ERROR` has its data swallowed, also where it is too large for an
/// item. After `ERROR` and `CLIENT_ERROR` the data is read as commands.
fn error(command: Command, input: &[u8]) -> Decoded<'_> {
    const KINDS: [&[u8]; 4] = [b"ERROR", b"CLIENT_ERROR ", b"SERVER_ERROR ", b"NOT_STORED\r"];

    if !KINDS.iter().any(|kind| input.starts_with(kind) || kind.starts_with(input)) {
        return Err(ProtocolError::Unexpected);
    }
    let Some((message, len)) = line(input)? else {
        return Ok(None);
    };
    match message {
        _ if command == Command::Greeting => {}
        b"CLIENT_ERROR unauthenticated" | b"CLIENT_ERROR authentication failure" => {
            return Err(ProtocolError::NotAuthenticated(printable(message)));
        }
        [b'E' | b'C', ..] if command == Command::Put => {
            return Err(ProtocolError::OutOfStep(printable(message)));
        }
        b"NOT_STORED" if command != Command::Put => return Err(ProtocolError::Unexpected),
        _ => {}
    }
    Ok(Some((Reply::Refused(message), len)))
}
