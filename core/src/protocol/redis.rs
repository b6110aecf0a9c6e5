//! Redis's protocol, RESP2.

use crate::protocol::{
    delimited, line, number, one_of, printable, Command, Credentials, Decimal, Decoded, Protocol,
    ProtocolError, Reply, MAX_SKIPPED,
};

/// Redis and its kin, over RESP2: <https://redis.io/docs/latest/develop/reference/protocol-spec/>.
///
/// `SETEX` and not `SET ... EX`: Redis 2.0 knows the first, only 2.6.12 the second.
pub struct Redis {
    credentials: Option<Credentials>,
    database: u16,
}

impl Redis {
    /// Authenticates with `credentials` where there are any; a user needs Redis 6 or later. Uses
    /// the database with this number.
    pub fn new(credentials: Option<Credentials>, database: u16) -> Self {
        Self { credentials, database }
    }

    /// An error reply; `input` begins with its `-`.
    fn error<'a>(&self, command: Command, input: &'a [u8]) -> Decoded<'a> {
        let Some((line, len)) = line(input)? else {
            return Ok(None);
        };
        let message = self.without_arguments(&line[1..]);
        let of_connection = match code(message) {
            b"NOAUTH" => command != Command::Greeting,
            // A user may lack the right to one command; without that to PING it is of no use.
            b"NOPERM" => command == Command::Ping,
            // What Redis says up to 2.6 in place of NOAUTH.
            _ if message == b"ERR operation not permitted" => command != Command::Greeting,
            _ => false,
        };
        if of_connection {
            return Err(ProtocolError::NotAuthenticated(printable(message)));
        }
        let reply = match code(message) {
            // The first is Redis' answer to a PING too, after a snapshot that could not be written.
            b"MISCONF" | b"NOREPLICAS" | b"OOM" | b"READONLY" => Reply::TakesNoRecords(message),
            _ => Reply::Refused(message),
        };
        Ok(Some((reply, len)))
    }

    /// `message` without what Redis repeats of an unknown command: the arguments may be a password
    /// or a session.
    fn without_arguments<'a>(&self, message: &'a [u8]) -> &'a [u8] {
        const ARGUMENTS: &[u8] = b", with args";

        let message = &message[..position(message, ARGUMENTS).unwrap_or(message.len())];
        let repeats_password =
            |credentials: &Credentials| position(message, &credentials.password).is_some();
        if self.credentials.as_ref().is_some_and(repeats_password) {
            return code(message);
        }
        message
    }
}

impl Protocol for Redis {
    fn greeting(&self, out: &mut Vec<u8>) -> usize {
        let mut replies = 1;
        if let Some(Credentials { user, password }) = &self.credentials {
            match user {
                Some(user) => {
                    out.extend_from_slice(b"*3\r\n$4\r\nAUTH\r\n");
                    push_bulk(out, user);
                }
                None => out.extend_from_slice(b"*2\r\n$4\r\nAUTH\r\n"),
            }
            push_bulk(out, password);
            replies += 1;
        }
        // A connection begins in database 0: a user may do without the right to SELECT.
        if self.database != 0 {
            out.extend_from_slice(b"*2\r\n$6\r\nSELECT\r\n");
            push_bulk(out, Decimal::new(u64::from(self.database)).as_bytes());
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
        [b'$', rest @ ..] => match number(rest, b'\r', MAX_SKIPPED as u64)? {
            Some((len, digits)) => delimited(input, 1 + digits, len, b"\r\n"),
            None => Ok(None),
        },
        _ => Err(ProtocolError::Unexpected),
    }
}

/// The first word of an error, which says what kind it is.
fn code(message: &[u8]) -> &[u8] {
    message.split(|&byte| byte == b' ').next().unwrap_or_default()
}

fn position(text: &[u8], part: &[u8]) -> Option<usize> {
    (0..text.len()).find(|&start| text[start..].starts_with(part))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::tests::{decode_at_every_cut, decode_error};
    use crate::protocol::{Fingerprint, Rest, MAX_LINE, MAX_RECORD};

    fn get() -> Command {
        Command::Get(Fingerprint::of(b"key"))
    }

    fn redis() -> Redis {
        Redis::new(None, 0)
    }

    fn credentials(user: Option<&[u8]>, password: &[u8]) -> Option<Credentials> {
        Some(Credentials { user: user.map(Into::into), password: password.into() })
    }

    fn encoded(encode: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        encode(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn commands() {
        let redis = redis();
        assert_eq!(encoded(|out| redis.get(b"key", out)), "*2\r\n$3\r\nGET\r\n$3\r\nkey\r\n");
        assert_eq!(
            encoded(|out| redis.put(b"key", b"re\r\ncord", 86_400, 0, out)),
            "*4\r\n$5\r\nSETEX\r\n$3\r\nkey\r\n$5\r\n86400\r\n$8\r\nre\r\ncord\r\n"
        );
        assert_eq!(encoded(|out| redis.delete(b"key", out)), "*2\r\n$3\r\nDEL\r\n$3\r\nkey\r\n");
        assert_eq!(encoded(|out| redis.ping(out)), "*1\r\n$4\r\nPING\r\n");
    }

    #[test]
    fn greeting_authenticates_and_probes() {
        assert_eq!(encoded(|out| assert_eq!(redis().greeting(out), 1)), "*1\r\n$4\r\nPING\r\n");

        let password = Redis::new(credentials(None, b"pass word"), 0);
        assert_eq!(
            encoded(|out| assert_eq!(password.greeting(out), 2)),
            "*2\r\n$4\r\nAUTH\r\n$9\r\npass word\r\n*1\r\n$4\r\nPING\r\n"
        );

        let user = Redis::new(credentials(Some(b"nginx"), b"secret"), 0);
        assert_eq!(
            encoded(|out| assert_eq!(user.greeting(out), 2)),
            "*3\r\n$4\r\nAUTH\r\n$5\r\nnginx\r\n$6\r\nsecret\r\n*1\r\n$4\r\nPING\r\n"
        );
    }

    #[test]
    fn greeting_selects_the_database() {
        assert_eq!(
            encoded(|out| assert_eq!(Redis::new(None, 15).greeting(out), 2)),
            "*2\r\n$6\r\nSELECT\r\n$2\r\n15\r\n*1\r\n$4\r\nPING\r\n"
        );
        assert_eq!(
            encoded(|out| {
                let both = Redis::new(credentials(None, b"secret"), 65535);
                assert_eq!(both.greeting(out), 3);
            }),
            "*2\r\n$4\r\nAUTH\r\n$6\r\nsecret\r\n\
             *2\r\n$6\r\nSELECT\r\n$5\r\n65535\r\n\
             *1\r\n$4\r\nPING\r\n"
        );
    }

    #[test]
    fn replies() {
        let record = [&b"$16384\r\n"[..], &[b'\r'; MAX_RECORD], b"\r\n"].concat();
        for (command, input, reply) in [
            (get(), &b"$6\r\nre\r\nco\r\n"[..], Reply::Found(b"re\r\nco")),
            (get(), b"$0\r\n\r\n", Reply::Found(b"")),
            (get(), b"$-1\r\n", Reply::Missing),
            (get(), &record, Reply::Found(&[b'\r'; MAX_RECORD])),
            (Command::Put, b"+OK\r\n", Reply::Done),
            (Command::Greeting, b"+OK\r\n", Reply::Done),
            (Command::Delete, b":1\r\n", Reply::Done),
            (Command::Delete, b":0\r\n", Reply::Done),
            (Command::Ping, b"+PONG\r\n", Reply::Done),
        ] {
            assert_eq!(decode_at_every_cut(&redis(), command, input), reply);
        }
    }

    #[test]
    fn what_is_longer_than_a_record_is_left_to_be_skipped() {
        for (input, len) in [(&b"$16385\r\n"[..], MAX_RECORD + 1), (b"$1048576\r\n", MAX_SKIPPED)] {
            let rest = Rest { len, tail: b"\r\n" };
            assert_eq!(decode_at_every_cut(&redis(), get(), input), Reply::Oversized(rest));
        }
        assert_eq!(decode_error(&redis(), get(), b"$16385\rx"), ProtocolError::Malformed);
    }

    #[test]
    fn errors_of_one_command() {
        for message in [
            "WRONGTYPE Operation against a key holding the wrong kind of value",
            "LOADING Redis is loading the dataset in memory",
            "BUSY Redis is busy running a script.",
            "MASTERDOWN Link with MASTER is down",
            "CLUSTERDOWN Hash slot not served",
            "MOVED 3999 127.0.0.1:6381",
            "ERR max number of clients reached",
            "ERR",
            "",
        ] {
            let input = format!("-{message}\r\n");
            for command in [get(), Command::Put, Command::Delete, Command::Ping] {
                let reply = decode_at_every_cut(&redis(), command, input.as_bytes());
                assert_eq!(reply, Reply::Refused(message.as_bytes()));
            }
        }
    }

    #[test]
    fn errors_of_a_store_that_takes_no_records() {
        for message in [
            "MISCONF Redis is configured to save RDB snapshots, but is unable to persist on disk.",
            "OOM command not allowed when used memory > 'maxmemory'.",
            "READONLY You can't write against a read only replica.",
            "NOREPLICAS Not enough good replicas to write.",
        ] {
            let input = format!("-{message}\r\n");
            for command in [get(), Command::Put, Command::Delete, Command::Ping] {
                let reply = decode_at_every_cut(&redis(), command, input.as_bytes());
                assert_eq!(reply, Reply::TakesNoRecords(message.as_bytes()));
            }
        }
    }

    /// As of a Redis in protected mode, which explains at length what to do.
    #[test]
    fn an_error_may_be_long() {
        let message = [&b"DENIED "[..], &[b'x'; 4_000]].concat();
        let input = [b"-", &message[..], b"\r\n"].concat();
        for command in [get(), Command::Put, Command::Ping] {
            assert_eq!(decode_at_every_cut(&redis(), command, &input), Reply::Refused(&message));
        }
    }

    #[test]
    fn errors_of_the_connection() {
        let noauth = "NOAUTH Authentication required.";
        let noauth_before_2_8 = "ERR operation not permitted";
        let noperm = "NOPERM this user has no permissions to run the 'ping' command";
        for (command, message) in [
            (get(), noauth),
            (Command::Put, noauth),
            (Command::Delete, noauth),
            (Command::Ping, noauth),
            (get(), noauth_before_2_8),
            (Command::Put, noauth_before_2_8),
            (Command::Delete, noauth_before_2_8),
            (Command::Ping, noauth_before_2_8),
            (Command::Ping, noperm),
        ] {
            let input = format!("-{message}\r\n");
            assert_eq!(
                decode_error(&redis(), command, input.as_bytes()),
                ProtocolError::NotAuthenticated(message.into())
            );
        }
    }

    #[test]
    fn a_right_that_is_missing_concerns_its_command() {
        for command in [get(), Command::Put, Command::Delete] {
            assert_eq!(
                decode_at_every_cut(&redis(), command, b"-NOPERM no permissions\r\n"),
                Reply::Refused(b"NOPERM no permissions")
            );
        }
    }

    #[test]
    fn a_rejected_greeting_says_why() {
        let input = b"-WRONGPASS invalid username-password pair or user is disabled.\r\n";
        assert_eq!(
            decode_at_every_cut(&redis(), Command::Greeting, input),
            Reply::Refused(b"WRONGPASS invalid username-password pair or user is disabled.")
        );
    }

    /// Redis repeats the arguments of a command that it does not know, `AUTH` renamed for one.
    #[test]
    fn arguments_are_not_repeated() {
        let input = b"-ERR unknown command 'AUTH', with args beginning with: 'secret' \r\n";
        assert_eq!(
            decode_at_every_cut(&redis(), Command::Greeting, input),
            Reply::Refused(b"ERR unknown command 'AUTH'")
        );
        let redis = Redis::new(credentials(None, b"secret"), 0);
        assert_eq!(
            decode_at_every_cut(&redis, Command::Greeting, input),
            Reply::Refused(b"ERR unknown command 'AUTH'")
        );
        assert_eq!(
            decode_at_every_cut(&redis, Command::Greeting, b"-ERR secret is no password\r\n"),
            Reply::Refused(b"ERR")
        );
    }

    #[test]
    fn replies_that_do_not_fit() {
        let fitting = [
            (get(), &[&b"$3\r\nabc\r\n"[..], b"$-1\r\n"][..]),
            (Command::Put, &[b"+OK\r\n"]),
            (Command::Delete, &[b":1\r\n", b":0\r\n"]),
            (Command::Ping, &[b"+PONG\r\n"]),
        ];
        let others =
            [&b"+QUEUED\r\n"[..], b":2\r\n", b"*0\r\n", b"*-1\r\n", b"_\r\n", b"HTTP/1.1 400"];
        for (command, own) in fitting {
            let foreign = fitting.iter().filter(|(other, _)| *other != command);
            let foreign = foreign.flat_map(|(_, replies)| replies.iter());
            for input in foreign.chain(&others).filter(|input| !own.contains(input)) {
                assert_eq!(decode_error(&redis(), command, input), ProtocolError::Unexpected);
            }
        }
    }

    #[test]
    fn broken_replies() {
        for (input, error) in [
            (&b"$3\r\nabcd\r\n"[..], ProtocolError::Malformed),
            (b"$3\rabc\r\n", ProtocolError::Malformed),
            (b"$\r\n", ProtocolError::Malformed),
            (b"$3 \r\n", ProtocolError::Malformed),
            (b"$00000000003\r\nabc\r\n", ProtocolError::Malformed),
            (b"$-2\r\n", ProtocolError::Unexpected),
            (b"$1048577\r\n", ProtocolError::TooLarge),
            (b"$99999999999999999999\r\n", ProtocolError::TooLarge),
            (b"-ERR\rx", ProtocolError::Malformed),
            (&[b'-'; MAX_LINE], ProtocolError::TooLarge),
            (&[&[b'-'; MAX_LINE - 1][..], b"\r\n"].concat(), ProtocolError::TooLarge),
        ] {
            assert_eq!(decode_error(&redis(), get(), input), error);
        }
    }
}
