use crate::protocol::{
    delimited, line, number, one_of, printable, Command, Decimal, Decoded, Protocol, ProtocolError,
    Reply, MAX_RECORD,
};

/// Redis and its kin, over RESP2: <https://redis.io/docs/latest/develop/reference/protocol-spec/>.
///
/// `SETEX` and not `SET ... EX`: Redis 2.0 knows the first, only 2.6.12 the second.
pub struct Redis {
    password: Option<Vec<u8>>,
}

impl Redis {
    /// Authenticates with `password` where there is one.
    pub fn new(password: Option<Vec<u8>>) -> Self {
        Self { password }
    }

    /// An error reply; `input` begins with its `-`.
    fn error<'a>(&self, command: Command, input: &'a [u8]) -> Decoded<'a> {
        let Some((line, len)) = line(input)? else {
            return Ok(None);
        };
        let message = self.without_arguments(&line[1..]);
        let of_connection = [&b"NOAUTH"[..], b"NOPERM", b"WRONGPASS"].contains(&code(message));
        if of_connection && command != Command::Greeting {
            return Err(ProtocolError::NotAuthenticated(printable(message)));
        }
        Ok(Some((Reply::Refused(message), len)))
    }

    /// `message` without what Redis repeats of an unknown command: the arguments may be a password
    /// or a session.
    fn without_arguments<'a>(&self, message: &'a [u8]) -> &'a [u8] {
        const ARGUMENTS: &[u8] = b", with args";

        let repeats_password = |password: &Vec<u8>| contains(message, password).is_some();
        if self.password.as_ref().is_some_and(repeats_password) {
            return code(message);
        }
        &message[..contains(message, ARGUMENTS).unwrap_or(message.len())]
    }
}

impl Protocol for Redis {
    fn greeting(&self, out: &mut Vec<u8>) -> usize {
        let mut replies = 1;
        if let Some(password) = &self.password {
            out.extend_from_slice(b"*2\r\n$4\r\nAUTH\r\n");
            push_bulk(out, password);
            replies += 1;
        }
        self.ping(out);
        replies
    }

    fn get(&self, key: &[u8], out: &mut Vec<u8>) {
        out.extend_from_slice(b"*2\r\n$3\r\nGET\r\n");
        push_bulk(out, key);
    }

    fn put(&self, key: &[u8], record: &[u8], ttl: u32, _unix_now: u64, out: &mut Vec<u8>) {
        out.extend_from_slice(b"*4\r\n$5\r\nSETEX\r\n");
        push_bulk(out, key);
        push_bulk(out, Decimal::new(u64::from(ttl)).as_bytes());
        push_bulk(out, record);
    }

    fn delete(&self, key: &[u8], out: &mut Vec<u8>) {
        out.extend_from_slice(b"*2\r\n$3\r\nDEL\r\n");
        push_bulk(out, key);
    }

    fn ping(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"*1\r\n$4\r\nPING\r\n");
    }

    fn decode<'a>(&self, command: Command, input: &'a [u8]) -> Decoded<'a> {
        if input.first() == Some(&b'-') {
            return self.error(command, input);
        }
        match command {
            Command::Get(_) => bulk(input),
            Command::Greeting | Command::Put => one_of(input, &[b"+OK\r\n"], Reply::Done),
            Command::Delete => one_of(input, &[b":1\r\n", b":0\r\n"], Reply::Done),
            Command::Ping => one_of(input, &[b"+PONG\r\n"], Reply::Done),
        }
    }
}

fn push_bulk(out: &mut Vec<u8>, bytes: &[u8]) {
    out.push(b'$');
    out.extend_from_slice(Decimal::new(bytes.len() as u64).as_bytes());
    out.extend_from_slice(b"\r\n");
    out.extend_from_slice(bytes);
    out.extend_from_slice(b"\r\n");
}

/// A bulk string, or the null that stands for none.
fn bulk(input: &[u8]) -> Decoded<'_> {
    match input {
        [] | [b'$'] => Ok(None),
        [b'$', b'-', ..] => one_of(input, &[b"$-1\r\n"], Reply::Missing),
        [b'$', rest @ ..] => match number(rest, b'\r', MAX_RECORD)? {
            // `number` has seen the CR: the LF is delimited as a string of no length would be.
            Some((len, digits)) => match input.get(digits + 2) {
                None => Ok(None),
                Some(b'\n') => delimited(input, digits + 3, len, b"\r\n"),
                Some(_) => Err(ProtocolError::Malformed),
            },
            None => Ok(None),
        },
        _ => Err(ProtocolError::Unexpected),
    }
}

/// The first word of an error, which says what kind it is.
fn code(message: &[u8]) -> &[u8] {
    message.split(|&byte| byte == b' ').next().unwrap_or_default()
}

fn contains(text: &[u8], part: &[u8]) -> Option<usize> {
    text.windows(part.len()).position(|window| window == part)
}
