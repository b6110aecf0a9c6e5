//! Redis and its kin.

use crate::protocol::resp::{read, read_short, Value};
use crate::protocol::text::{printable, Decimal};
use crate::protocol::{
    Asked, Credentials, Decoded, Protocol, ProtocolError, Put, Reason, Redirect, Refusal, Reply,
    Request, Speech,
};
use crate::session::Key;

/// Redis and its kin, over RESP2: <https://redis.io/docs/latest/develop/reference/protocol-spec/>.
///
/// `SETEX` and not `SET ... EX`: Redis 2.0 knows the first, only 2.6.12 the second. To add takes
/// `SET ... EX ... NX`, or `SETNX` and `EXPIRE`, and these Redis 2.2: before that, what has its time to
/// live is deleted by whatever is about to write to it, so that each `SETNX` would be the first
/// (<https://redis.io/docs/latest/commands/expire/>, "Differences in Redis prior 2.1.3"). Such a server
/// does not know `PERSIST` either.
pub struct Redis {
    credentials: Option<Credentials>,
    database: u16,
    is_master_only: bool,
    name: Option<Box<[u8]>>,
}

/// The longest answer to `ROLE`, which lists a master's replicas: room for more than 60. All of it is
/// read again with each part that comes.
const MAX_ROLE: usize = 4 * 1024;

impl Redis {
    /// Authenticates with `credentials` where there are any; a user needs Redis 6 or later. Uses
    /// the database with this number.
    pub fn new(credentials: Option<Credentials>, database: u16) -> Self {
        Self { credentials, database, is_master_only: false, name: None }
    }

    /// The same, and a server that is no master is refused in the greeting; needs Redis 2.8.12 or
    /// later, and a user the right to ROLE.
    pub fn master_only(self) -> Self {
        Self { is_master_only: true, ..self }
    }

    /// The same, and the connection gets this [name](crate::protocol::client_name), where the server
    /// allows it; needs Redis 2.6.9 or later, and a user the right to CLIENT SETNAME.
    pub fn named(self, name: Box<[u8]>) -> Self {
        Self { name: Some(name), ..self }
    }

    /// What an error reply says.
    pub(crate) fn refusal<'a>(&self, message: &'a [u8]) -> Refusal<'a> {
        Refusal { reason: reason(message), message: self.without_arguments(message) }
    }

    /// `message` without what Redis repeats of an unknown command: the arguments may be a password
    /// or a session.
    fn without_arguments<'a>(&self, message: &'a [u8]) -> &'a [u8] {
        const ARGUMENTS: &[u8] = b", with args";

        let message = &message[..position(message, ARGUMENTS).unwrap_or(message.len())];
        let repeats_password = |text: &&[u8]| {
            let password = self.credentials.as_ref().map(|credentials| &credentials.password);
            password.is_some_and(|password| position(text, password).is_some())
        };
        let texts = [message, code(message)];
        texts.into_iter().find(|text| !repeats_password(text)).unwrap_or_default()
    }
}

impl Protocol for Redis {
    fn speech(&self) -> Speech {
        Speech::Redis
    }

    fn greeting(&self) -> Vec<Request<'_>> {
        let mut requests: Vec<_> = self.credentials.iter().map(Request::Authenticate).collect();
        // A connection begins in database 0: a user may do without the right to SELECT.
        if self.database != 0 {
            requests.push(Request::Select(self.database));
        }
        if self.is_master_only {
            requests.push(Request::Role);
        }
        requests.push(Request::Probe);
        // Last: a server that is of no use has said so by then.
        requests.extend(self.name.as_deref().map(Request::Name));
        requests
    }

    fn encode(&self, request: Request<'_>, out: &mut Vec<u8>) {
        match request {
            Request::Authenticate(Credentials { user: Some(user), password }) => {
                out.extend_from_slice(b"*3\r\n$4\r\nAUTH\r\n");
                push_bulk(out, user);
                push_bulk(out, password);
            }
            Request::Authenticate(Credentials { user: None, password }) => {
                out.extend_from_slice(b"*2\r\n$4\r\nAUTH\r\n");
                push_bulk(out, password);
            }
            Request::Select(database) => {
                out.extend_from_slice(b"*2\r\n$6\r\nSELECT\r\n");
                push_bulk(out, Decimal::new(u64::from(database)).as_bytes());
            }
            Request::Role => out.extend_from_slice(b"*1\r\n$4\r\nROLE\r\n"),
            Request::Name(name) => {
                out.extend_from_slice(b"*3\r\n$6\r\nCLIENT\r\n$7\r\nSETNAME\r\n");
                push_bulk(out, name);
            }
            Request::Asking => out.extend_from_slice(b"*1\r\n$6\r\nASKING\r\n"),
            Request::Get(key) => {
                out.extend_from_slice(b"*2\r\n$3\r\nGET\r\n");
                push_key(out, key);
            }
            Request::Put(Put { key, record, ttl, unix_now: _ }) => {
                out.extend_from_slice(b"*4\r\n$5\r\nSETEX\r\n");
                push_key(out, key);
                push_bulk(out, Decimal::new(u64::from(ttl)).as_bytes());
                push_bulk(out, record);
            }
            Request::Add(Put { key, record, ttl, unix_now: _ }) => {
                out.extend_from_slice(b"*6\r\n$3\r\nSET\r\n");
                push_key(out, key);
                push_bulk(out, record);
                out.extend_from_slice(b"$2\r\nEX\r\n");
                push_bulk(out, Decimal::new(u64::from(ttl)).as_bytes());
                out.extend_from_slice(b"$2\r\nNX\r\n");
            }
            Request::AddForGood { key, record } => {
                out.extend_from_slice(b"*3\r\n$5\r\nSETNX\r\n");
                push_key(out, key);
                push_bulk(out, record);
            }
            Request::Expire { key, ttl } => {
                out.extend_from_slice(b"*3\r\n$6\r\nEXPIRE\r\n");
                push_key(out, key);
                push_bulk(out, Decimal::new(u64::from(ttl)).as_bytes());
            }
            Request::Persist(key) => {
                out.extend_from_slice(b"*2\r\n$7\r\nPERSIST\r\n");
                push_key(out, key);
            }
            Request::Delete(key) => {
                out.extend_from_slice(b"*2\r\n$3\r\nDEL\r\n");
                push_key(out, key);
            }
            Request::Probe => out.extend_from_slice(b"*1\r\n$4\r\nPING\r\n"),
        }
    }

    fn decode<'a>(&self, asked: &Asked, input: &'a [u8]) -> Decoded<'a> {
        // At once, and not when all of it has come, which may be never.
        let begins = |start: &&[u8]| input.starts_with(start) || start.starts_with(input);
        if !input.starts_with(b"-") && !starts_of(asked).iter().any(begins) {
            return Err(ProtocolError::Unexpected);
        }
        let value = match asked {
            Asked::Role => read_short(input, MAX_ROLE)?,
            _ => read(input)?,
        };
        let Some((value, len)) = value else { return Ok(None) };
        let reply = match (asked, value) {
            (_, Value::Error(message)) => {
                let mut refusal = self.refusal(message);
                if matches!(asked, Asked::Add(_)) && is_of_arguments(message) {
                    refusal.reason = Reason::Outdated;
                }
                let is_of_connection = match refusal.reason {
                    Reason::NoAuth => !matches!(asked, Asked::Greeting | Asked::Name),
                    // A user may lack the right to one request; without that to PING it is of no
                    // use.
                    Reason::NoPermission => *asked == Asked::Probe,
                    _ => false,
                };
                if is_of_connection {
                    return Err(ProtocolError::NotAuthenticated(printable(refusal.message)));
                }
                Reply::Refused(refusal)
            }
            (Asked::Get(_), Value::Bulk(record)) => Reply::Found(record),
            (Asked::Get(_), Value::Long(rest)) => Reply::Oversized(rest),
            (Asked::Get(_), Value::Null) => Reply::Missing,
            (Asked::Role, Value::Array(role)) => match role.first() {
                Some(Value::Bulk(b"master")) => Reply::Done,
                Some(Value::Bulk(_)) => Reply::Refused(NO_MASTER),
                _ => return Err(ProtocolError::Unexpected),
            },
            (Asked::Add(_), Value::Null) | (Asked::AddForGood(_), Value::Integer(b"0")) => {
                Reply::Present
            }
            (
                Asked::Greeting | Asked::Name | Asked::Asking | Asked::Put(_) | Asked::Add(_),
                Value::Simple(b"OK"),
            )
            | (Asked::AddForGood(_), Value::Integer(b"1"))
            | (
                Asked::Expire(_) | Asked::Persist(_) | Asked::Delete(_),
                Value::Integer(b"0" | b"1"),
            )
            | (Asked::Probe, Value::Simple(b"PONG")) => Reply::Done,
            _ => return Err(ProtocolError::Unexpected),
        };
        Ok(Some((reply, len)))
    }
}

/// What the role of a server says that is no master.
const NO_MASTER: Refusal<'static> =
    Refusal { reason: Reason::ReadOnly, message: b"it is a replica" };

fn push_key(out: &mut Vec<u8>, key: &Key) {
    out.push(b'$');
    out.extend_from_slice(Decimal::new(key.len() as u64).as_bytes());
    out.extend_from_slice(b"\r\n");
    key.write(out);
    out.extend_from_slice(b"\r\n");
}

pub(crate) fn push_bulk(out: &mut Vec<u8>, bytes: &[u8]) {
    out.push(b'$');
    out.extend_from_slice(Decimal::new(bytes.len() as u64).as_bytes());
    out.extend_from_slice(b"\r\n");
    out.extend_from_slice(bytes);
    out.extend_from_slice(b"\r\n");
}

/// What a reply begins with that is no error.
fn starts_of(asked: &Asked) -> &'static [&'static [u8]] {
    match asked {
        Asked::Greeting | Asked::Name | Asked::Asking | Asked::Put(_) | Asked::Probe => &[b"+"],
        Asked::Role => &[b"*"],
        Asked::Get(_) => &[b"$"],
        Asked::Add(_) => &[b"+", b"$-"],
        Asked::AddForGood(_) | Asked::Expire(_) | Asked::Persist(_) | Asked::Delete(_) => &[b":"],
    }
}

/// Whether an error says that the arguments of a command are none that it knows: those of a SET with
/// EX and NX, as Redis knows them since 2.6.12.
fn is_of_arguments(message: &[u8]) -> bool {
    message.starts_with(b"ERR wrong number of arguments") || message == b"ERR syntax error"
}

/// What the first word of an error says.
fn reason(message: &[u8]) -> Reason<'_> {
    let code = code(message);
    let redirect = || Redirect::parse(message.get(code.len() + 1..)?);
    match code {
        b"MOVED" => Reason::Moved(redirect()),
        b"ASK" => Reason::Ask(redirect()),
        b"TRYAGAIN" => Reason::TryAgain,
        b"CLUSTERDOWN" => Reason::ClusterDown,
        b"READONLY" => Reason::ReadOnly,
        // The first is Redis' answer to a PING too, after a snapshot that could not be written.
        b"MISCONF" | b"NOREPLICAS" | b"OOM" => Reason::TakesNoRecords,
        b"MASTERDOWN" => Reason::MasterDown,
        b"LOADING" => Reason::Loading,
        b"NOAUTH" => Reason::NoAuth,
        b"NOPERM" => Reason::NoPermission,
        b"BUSY" => Reason::Busy,
        // What Redis says up to 2.6 in place of NOAUTH.
        _ if message == b"ERR operation not permitted" => Reason::NoAuth,
        _ => Reason::Other,
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
    use crate::protocol::tests::{
        add, decode_at_every_cut, decode_error, delete, encoded, get, key, put,
    };
    use crate::protocol::{Rest, MAX_LINE, MAX_RECORD, MAX_SKIPPED};

    fn redis() -> Redis {
        Redis::new(None, 0)
    }

    fn refused<'a>(reason: Reason<'a>, message: &'a [u8]) -> Reply<'a> {
        Reply::Refused(Refusal { reason, message })
    }

    fn credentials(user: Option<&[u8]>, password: &[u8]) -> Option<Credentials> {
        Some(Credentials { user: user.map(Into::into), password: password.into() })
    }

    #[test]
    fn requests() {
        let key = &key();
        let put = Put { key, record: b"re\r\ncord", ttl: 86_400, unix_now: 0 };
        for (request, bytes) in [
            (Request::Get(key), "*2\r\n$3\r\nGET\r\n$5\r\nkey01\r\n"),
            (
                Request::Put(put),
                "*4\r\n$5\r\nSETEX\r\n$5\r\nkey01\r\n$5\r\n86400\r\n$8\r\nre\r\ncord\r\n",
            ),
            (
                Request::Add(put),
                "*6\r\n$3\r\nSET\r\n$5\r\nkey01\r\n$8\r\nre\r\ncord\r\n\
                 $2\r\nEX\r\n$5\r\n86400\r\n$2\r\nNX\r\n",
            ),
            (
                Request::AddForGood { key, record: b"re\r\ncord" },
                "*3\r\n$5\r\nSETNX\r\n$5\r\nkey01\r\n$8\r\nre\r\ncord\r\n",
            ),
            (
                Request::Expire { key, ttl: 86_400 },
                "*3\r\n$6\r\nEXPIRE\r\n$5\r\nkey01\r\n$5\r\n86400\r\n",
            ),
            (Request::Persist(key), "*2\r\n$7\r\nPERSIST\r\n$5\r\nkey01\r\n"),
            (Request::Delete(key), "*2\r\n$3\r\nDEL\r\n$5\r\nkey01\r\n"),
            (Request::Asking, "*1\r\n$6\r\nASKING\r\n"),
            (Request::Probe, "*1\r\n$4\r\nPING\r\n"),
        ] {
            assert_eq!(encoded(&redis(), &[request]), bytes);
        }
    }

    #[test]
    fn greeting_authenticates_selects_the_database_and_probes() {
        for (redis, bytes) in [
            (redis(), "*1\r\n$4\r\nPING\r\n"),
            (
                Redis::new(credentials(None, b"pass word"), 0),
                "*2\r\n$4\r\nAUTH\r\n$9\r\npass word\r\n*1\r\n$4\r\nPING\r\n",
            ),
            (
                Redis::new(credentials(Some(b"nginx"), b"secret"), 0),
                "*3\r\n$4\r\nAUTH\r\n$5\r\nnginx\r\n$6\r\nsecret\r\n*1\r\n$4\r\nPING\r\n",
            ),
            (Redis::new(None, 15), "*2\r\n$6\r\nSELECT\r\n$2\r\n15\r\n*1\r\n$4\r\nPING\r\n"),
            (
                Redis::new(credentials(None, b"secret"), 65535),
                "*2\r\n$4\r\nAUTH\r\n$6\r\nsecret\r\n\
                 *2\r\n$6\r\nSELECT\r\n$5\r\n65535\r\n\
                 *1\r\n$4\r\nPING\r\n",
            ),
            (
                Redis::new(credentials(None, b"secret"), 1).master_only(),
                "*2\r\n$4\r\nAUTH\r\n$6\r\nsecret\r\n\
                 *2\r\n$6\r\nSELECT\r\n$1\r\n1\r\n\
                 *1\r\n$4\r\nROLE\r\n\
                 *1\r\n$4\r\nPING\r\n",
            ),
            (
                Redis::new(credentials(None, b"secret"), 0).named((*b"nginx-a-0").into()),
                "*2\r\n$4\r\nAUTH\r\n$6\r\nsecret\r\n\
                 *1\r\n$4\r\nPING\r\n\
                 *3\r\n$6\r\nCLIENT\r\n$7\r\nSETNAME\r\n$9\r\nnginx-a-0\r\n",
            ),
        ] {
            assert_eq!(encoded(&redis, &redis.greeting()), bytes);
        }
    }

    #[test]
    fn replies() {
        let record = [&b"$16384\r\n"[..], &[b'\r'; MAX_RECORD], b"\r\n"].concat();
        for (asked, input, reply) in [
            (get(), &b"$6\r\nre\r\nco\r\n"[..], Reply::Found(b"re\r\nco")),
            (get(), b"$0\r\n\r\n", Reply::Found(b"")),
            (get(), b"$-1\r\n", Reply::Missing),
            (get(), &record, Reply::Found(&[b'\r'; MAX_RECORD])),
            (put(), b"+OK\r\n", Reply::Done),
            (add(), b"+OK\r\n", Reply::Done),
            (add(), b"$-1\r\n", Reply::Present),
            (Asked::AddForGood(key()), b":1\r\n", Reply::Done),
            (Asked::AddForGood(key()), b":0\r\n", Reply::Present),
            (Asked::Expire(key()), b":1\r\n", Reply::Done),
            (Asked::Expire(key()), b":0\r\n", Reply::Done),
            (Asked::Persist(key()), b":0\r\n", Reply::Done),
            (Asked::Greeting, b"+OK\r\n", Reply::Done),
            (Asked::Asking, b"+OK\r\n", Reply::Done),
            (Asked::Name, b"+OK\r\n", Reply::Done),
            (delete(), b":1\r\n", Reply::Done),
            (delete(), b":0\r\n", Reply::Done),
            (Asked::Probe, b"+PONG\r\n", Reply::Done),
        ] {
            assert_eq!(decode_at_every_cut(&redis(), &asked, input), reply);
        }
    }

    #[test]
    fn what_is_longer_than_a_record_is_left_to_be_skipped() {
        for (input, len) in [(&b"$16385\r\n"[..], MAX_RECORD + 1), (b"$1048576\r\n", MAX_SKIPPED)] {
            let rest = Rest { len, tail: b"\r\n" };
            assert_eq!(decode_at_every_cut(&redis(), &get(), input), Reply::Oversized(rest));
        }
        assert_eq!(decode_error(&redis(), &get(), b"$16385\rx"), ProtocolError::Malformed);
    }

    #[test]
    fn only_a_master_is_accepted_as_one() {
        let address = "*3\r\n$9\r\n127.0.0.1\r\n$4\r\n6380\r\n$3\r\n312\r\n";
        let master = format!("*3\r\n$6\r\nmaster\r\n:312\r\n*2\r\n{address}{address}");
        let replica =
            "*5\r\n$5\r\nslave\r\n$9\r\n127.0.0.1\r\n:6379\r\n$9\r\nconnected\r\n:312\r\n";
        let sentinel = "*2\r\n$8\r\nsentinel\r\n*1\r\n$8\r\nmymaster\r\n";
        for (input, reply) in [
            (&*master, Reply::Done),
            (replica, refused(Reason::ReadOnly, b"it is a replica")),
            (sentinel, refused(Reason::ReadOnly, b"it is a replica")),
            ("-ERR unknown command\r\n", refused(Reason::Other, b"ERR unknown command")),
        ] {
            assert_eq!(decode_at_every_cut(&redis(), &Asked::Role, input.as_bytes()), reply);
        }
        for input in ["*0\r\n", "*1\r\n:1\r\n", "*-1\r\n", "+master\r\n", "$6\r\nmaster\r\n"] {
            assert_eq!(
                decode_error(&redis(), &Asked::Role, input.as_bytes()),
                ProtocolError::Unexpected
            );
        }
    }

    #[test]
    fn a_role_is_not_read_for_ever() {
        let role = |len: usize| format!("*2\r\n$6\r\nmaster\r\n+{}\r\n", "x".repeat(len - 19));
        let (fits, is_long) = (role(MAX_ROLE), role(MAX_ROLE + 1));
        let reply = decode_at_every_cut(&redis(), &Asked::Role, fits.as_bytes());
        assert_eq!(reply, Reply::Done);
        assert_eq!(
            decode_error(&redis(), &Asked::Role, is_long.as_bytes()),
            ProtocolError::TooLarge
        );
        let many = ":1\r\n".repeat(MAX_ROLE);
        assert_eq!(
            decode_error(&redis(), &Asked::Role, format!("*16384\r\n{many}").as_bytes()),
            ProtocolError::TooLarge
        );
    }

    /// What an error reply to any request is taken for.
    fn reason_of(message: &str) -> Reason<'static> {
        let input = format!("-{message}\r\n").leak();
        let all = [get(), put(), add(), delete(), Asked::Role, Asked::Asking, Asked::Probe];
        let reasons = all.map(|asked| {
            let reply = decode_at_every_cut(&redis(), &asked, input.as_bytes());
            let Reply::Refused(refusal) = reply else { panic!("{reply:?}") };
            assert_eq!(refusal.message, message.as_bytes());
            refusal.reason
        });
        assert!(reasons.iter().all(|reason| *reason == reasons[0]));
        reasons[0]
    }

    #[test]
    fn refusals() {
        let redirect = |address| Redirect { slot: 3999, address };
        for (message, reason) in [
            ("MOVED 3999 127.0.0.1:6381", Reason::Moved(Some(redirect(b"127.0.0.1:6381")))),
            ("ASK 3999 :6381", Reason::Ask(Some(redirect(b":6381")))),
            ("TRYAGAIN Multiple keys request during rehashing of slot", Reason::TryAgain),
            ("CLUSTERDOWN Hash slot not served", Reason::ClusterDown),
            ("READONLY You can't write against a read only replica.", Reason::ReadOnly),
            ("READONLY", Reason::ReadOnly),
            (
                "MISCONF Redis is configured to save RDB snapshots, but is unable to persist on disk.",
                Reason::TakesNoRecords,
            ),
            ("OOM command not allowed when used memory > 'maxmemory'.", Reason::TakesNoRecords),
            ("NOREPLICAS Not enough good replicas to write.", Reason::TakesNoRecords),
            ("MASTERDOWN Link with MASTER is down", Reason::MasterDown),
            ("LOADING Redis is loading the dataset in memory", Reason::Loading),
            ("BUSY Redis is busy running a script.", Reason::Busy),
            ("WRONGTYPE Operation against a key holding the wrong kind of value", Reason::Other),
            ("ERR max number of clients reached", Reason::Other),
            ("ERR", Reason::Other),
            ("", Reason::Other),
            // It does not say where to: there is no such slot, or no address.
            ("MOVED 16384 127.0.0.1:6381", Reason::Moved(None)),
            ("MOVED 3999 ", Reason::Moved(None)),
            ("MOVED 3999", Reason::Moved(None)),
            ("ASK x 127.0.0.1:6381", Reason::Ask(None)),
            ("MOVED", Reason::Moved(None)),
        ] {
            assert_eq!(reason_of(message), reason, "{message}");
        }
    }

    /// Of a record to add alone: nothing else has arguments that an old server does not know.
    #[test]
    fn an_old_server_says_so() {
        for (message, is_outdated) in [
            ("ERR wrong number of arguments for 'set' command", true),
            ("ERR syntax error", true),
            ("ERR syntax", false),
            ("ERR unknown command 'SET'", false),
            ("OOM command not allowed", false),
        ] {
            let input = format!("-{message}\r\n");
            for asked in [add(), put(), Asked::AddForGood(key())] {
                let reply = decode_at_every_cut(&redis(), &asked, input.as_bytes());
                let Reply::Refused(refusal) = reply else { panic!("{reply:?}") };
                let is_expected = is_outdated && asked == add();
                assert_eq!(refusal.reason == Reason::Outdated, is_expected, "{message}");
            }
        }
    }

    /// As of a Redis in protected mode, which explains at length what to do.
    #[test]
    fn an_error_may_be_long() {
        let message = [&b"DENIED "[..], &[b'x'; 4_000]].concat();
        let input = [b"-", &message[..], b"\r\n"].concat();
        for asked in [get(), put(), Asked::Probe] {
            let reply = decode_at_every_cut(&redis(), &asked, &input);
            assert_eq!(reply, refused(Reason::Other, &message));
        }
    }

    #[test]
    fn errors_of_the_connection() {
        let noauth = "NOAUTH Authentication required.";
        let noauth_before_2_8 = "ERR operation not permitted";
        let noperm = "NOPERM this user has no permissions to run the 'ping' command";
        for (asked, message) in [
            (get(), noauth),
            (put(), noauth),
            (delete(), noauth),
            (Asked::Role, noauth),
            (Asked::Asking, noauth),
            (Asked::Probe, noauth),
            (get(), noauth_before_2_8),
            (put(), noauth_before_2_8),
            (delete(), noauth_before_2_8),
            (Asked::Probe, noauth_before_2_8),
            (Asked::Probe, noperm),
        ] {
            let input = format!("-{message}\r\n");
            assert_eq!(
                decode_error(&redis(), &asked, input.as_bytes()),
                ProtocolError::NotAuthenticated(message.into())
            );
        }
    }

    #[test]
    fn a_right_that_is_missing_concerns_its_command() {
        for asked in [get(), put(), delete(), Asked::Role, Asked::Asking] {
            assert_eq!(
                decode_at_every_cut(&redis(), &asked, b"-NOPERM no permissions\r\n"),
                refused(Reason::NoPermission, b"NOPERM no permissions")
            );
        }
    }

    #[test]
    fn a_rejected_greeting_says_why() {
        let input = b"-WRONGPASS invalid username-password pair or user is disabled.\r\n";
        assert_eq!(
            decode_at_every_cut(&redis(), &Asked::Greeting, input),
            refused(
                Reason::Other,
                b"WRONGPASS invalid username-password pair or user is disabled."
            )
        );
    }

    /// Redis repeats the arguments of a command that it does not know, `AUTH` renamed for one.
    #[test]
    fn arguments_are_not_repeated() {
        let input = b"-ERR unknown command 'AUTH', with args beginning with: 'secret' \r\n";
        assert_eq!(
            decode_at_every_cut(&redis(), &Asked::Greeting, input),
            refused(Reason::Other, b"ERR unknown command 'AUTH'")
        );
        let redis = Redis::new(credentials(None, b"secret"), 0);
        assert_eq!(
            decode_at_every_cut(&redis, &Asked::Greeting, input),
            refused(Reason::Other, b"ERR unknown command 'AUTH'")
        );
        assert_eq!(
            decode_at_every_cut(&redis, &Asked::Greeting, b"-ERR secret is no password\r\n"),
            refused(Reason::Other, b"ERR")
        );
        assert_eq!(
            decode_at_every_cut(&redis, &Asked::Greeting, b"-ERR:secret is no password\r\n"),
            refused(Reason::Other, b"")
        );
    }

    /// Of a redirect as well, which may name a server as its password.
    #[test]
    fn a_password_is_not_repeated() {
        let redis = Redis::new(credentials(None, b"redis"), 0);
        let input = b"-MOVED 866 redis-1:6379\r\n";
        let Reply::Refused(refusal) = decode_at_every_cut(&redis, &get(), input) else { panic!() };
        assert_eq!(refusal.message, b"MOVED");
        assert!(matches!(refusal.reason, Reason::Moved(Some(_))));
    }

    /// What does not fit may never come to its end.
    #[test]
    fn replies_that_do_not_fit_are_refused_at_their_first_byte() {
        for (asked, kinds) in [
            (get(), "+:*"),
            (put(), "$:*"),
            (add(), ":*"),
            (delete(), "$+*"),
            (Asked::AddForGood(key()), "$+*"),
            (Asked::Probe, "$:*"),
            (Asked::Role, "+:$"),
        ] {
            for kind in kinds.bytes() {
                assert_eq!(redis().decode(&asked, &[kind]), Err(ProtocolError::Unexpected));
            }
        }
    }

    /// Nothing but a null: what lies there was not asked for.
    #[test]
    fn what_is_added_is_not_answered_with_a_record() {
        for input in ["$3", "*-1\r\n", "_\r\n", "$-2\r\n", "$-1x", "+OKAY\r\n", "+QUEUED\r\n"] {
            assert_eq!(
                decode_error(&redis(), &add(), input.as_bytes()),
                ProtocolError::Unexpected,
                "{input}"
            );
        }
    }

    #[test]
    fn replies_that_do_not_fit() {
        let fitting = [
            (get(), &[&b"$3\r\nabc\r\n"[..], b"$-1\r\n"][..]),
            (put(), &[b"+OK\r\n"]),
            (add(), &[b"+OK\r\n", b"$-1\r\n"]),
            (Asked::AddForGood(key()), &[b":1\r\n", b":0\r\n"]),
            (delete(), &[b":1\r\n", b":0\r\n"]),
            (Asked::Probe, &[b"+PONG\r\n"]),
        ];
        let others = [&b"+QUEUED\r\n"[..], b":2\r\n", b"*0\r\n", b"_\r\n", b"HTTP/1.1 400"];
        for (asked, own) in &fitting {
            let foreign = fitting.iter().filter(|(other, _)| other != asked);
            let foreign = foreign.flat_map(|(_, replies)| replies.iter());
            for input in foreign.chain(&others).filter(|input| !own.contains(input)) {
                assert_eq!(decode_error(&redis(), asked, input), ProtocolError::Unexpected);
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
            assert_eq!(decode_error(&redis(), &get(), input), error);
        }
    }
}
