//! Asks a server of a cluster, or a Sentinel, where others are.

use std::str;

use thiserror::Error;

use crate::protocol::resp::{self, Value};
use crate::protocol::{
    push_bulk, Asked, Credentials, Protocol, ProtocolError, Reason, Redis, Reply, Request, Scanner,
};
use crate::server::talk::Talk;
use crate::time::Instant;

/// The longest answer, with all that comes before it. The map of a cluster of 1,000 servers has
/// some 200 KB.
const MAX_ANSWER: usize = 1024 * 1024;

/// What is read at first.
const FIRST_READ: usize = 16 * 1024;

/// What a server is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Question {
    /// Which servers of the cluster have which slots.
    Slots,
    /// Where the master of this name is; asked of a Sentinel.
    Master(Box<[u8]>),
}

/// What it answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The reply, whole: an array, of which nothing more is known.
    Slots(Box<[u8]>),
    /// The host and the port, as the Sentinel tells them; `None` where it does not know the name.
    Master(Option<(Box<[u8]>, u16)>),
}

/// Why there is no answer. Safe to log.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum InquiryError {
    /// The server broke the protocol, or wants other credentials.
    #[error(transparent)]
    Protocol(#[from] ProtocolError),
    /// The server refused the credentials.
    #[error("rejected: {0}")]
    Rejected(String),
    /// The server refused the question.
    #[error("refused: {0}")]
    Refused(String),
}

/// One question to one server, over a connection of its own, which is then closed: what follows the
/// answer is not looked at.
pub struct Inquiry {
    redis: Redis,
    question: Question,
    deadline: Instant,
    outgoing: Vec<u8>,
    /// How many bytes of it are sent.
    sent: usize,
    /// Room for what comes, up to [`MAX_ANSWER`].
    incoming: Vec<u8>,
    /// Where the reply that is due begins, and up to where there is something.
    start: usize,
    end: usize,
    /// Where that reply ends.
    scanner: Scanner,
    /// Whether the reply that is due is the one to the credentials.
    is_greeting: bool,
}

impl Inquiry {
    /// Asks as the user with these `credentials` where there are any. The answer is of no use after
    /// `deadline`.
    pub fn new(credentials: Option<&Credentials>, question: Question, deadline: Instant) -> Self {
        let redis = Redis::new(credentials.cloned(), 0);
        let mut outgoing = Vec::new();
        if let Some(credentials) = credentials {
            redis.encode(Request::Authenticate(credentials), &mut outgoing);
        }
        question.encode(&mut outgoing);
        Self {
            redis,
            question,
            deadline,
            outgoing,
            sent: 0,
            incoming: Vec::new(),
            start: 0,
            end: 0,
            scanner: Scanner::default(),
            is_greeting: credentials.is_some(),
        }
    }

    /// What does not fit is refused at once, and not when all of it has come, which may be never.
    fn check_kind(&self) -> Result<(), InquiryError> {
        let kinds = if self.is_greeting { "+-" } else { "*-" };
        if kinds.as_bytes().contains(&self.incoming[self.start]) {
            return Ok(());
        }
        Err(ProtocolError::Unexpected.into())
    }

    /// Reads the reply to the credentials.
    fn greeted(&self, reply: &[u8]) -> Result<(), InquiryError> {
        match self.redis.decode(&Asked::Greeting, reply)? {
            Some((Reply::Done, _)) => Ok(()),
            Some((Reply::Refused(refusal), _)) => Err(InquiryError::Rejected(refusal.text())),
            _ => Err(ProtocolError::Unexpected.into()),
        }
    }

    /// Reads the reply to the question.
    fn answer(&self, reply: &[u8]) -> Result<Answer, InquiryError> {
        if let [b'-', message @ .., b'\r', b'\n'] = reply {
            let refusal = self.redis.refusal(message);
            return Err(match refusal.reason {
                Reason::NoAuth => ProtocolError::NotAuthenticated(refusal.text()).into(),
                _ => InquiryError::Refused(refusal.text()),
            });
        }
        let unexpected = || ProtocolError::Unexpected.into();
        match &self.question {
            Question::Slots if reply.starts_with(b"*-") => Err(unexpected()),
            Question::Slots => Ok(Answer::Slots(reply.into())),
            Question::Master(_) => Ok(Answer::Master(master(reply).ok_or_else(unexpected)?)),
        }
    }
}

impl Talk for Inquiry {
    type Found = Answer;
    type Failure = InquiryError;

    fn deadline(&self) -> Instant {
        self.deadline
    }

    fn unsent(&self) -> &[u8] {
        &self.outgoing[self.sent..]
    }

    fn sent(&mut self, count: usize) {
        assert!(count <= self.unsent().len(), "more sent than there was to send");
        self.sent += count;
    }

    fn spare(&mut self) -> &mut [u8] {
        if self.end == self.incoming.len() {
            let len = (2 * self.end).clamp(FIRST_READ, MAX_ANSWER);
            self.incoming.reserve_exact(len - self.end);
            self.incoming.resize(len, 0);
        }
        &mut self.incoming[self.end..]
    }

    fn received(&mut self, count: usize, _now: Instant) -> Result<Option<Answer>, InquiryError> {
        assert!(count <= self.incoming.len() - self.end, "more received than there was room for");
        let mut scanned = self.end;
        self.end += count;
        while scanned < self.end {
            self.check_kind()?;
            let Some(len) = self.scanner.scan(&self.incoming[scanned..self.end])? else { break };
            scanned += len;
            let reply = &self.incoming[self.start..scanned];
            if !self.is_greeting {
                return self.answer(reply).map(Some);
            }
            self.greeted(reply)?;
            self.is_greeting = false;
            self.start = scanned;
            self.scanner = Scanner::default();
        }
        if self.end == MAX_ANSWER {
            return Err(ProtocolError::TooLarge.into());
        }
        Ok(None)
    }
}

impl Question {
    fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Slots => out.extend_from_slice(b"*2\r\n$7\r\nCLUSTER\r\n$5\r\nSLOTS\r\n"),
            Self::Master(name) => {
                out.extend_from_slice(
                    b"*3\r\n$8\r\nSENTINEL\r\n$23\r\nget-master-addr-by-name\r\n",
                );
                push_bulk(out, name);
            }
        }
    }
}

/// A Sentinel's answer: a host and a port, both as text, or null.
fn master(reply: &[u8]) -> Option<Option<(Box<[u8]>, u16)>> {
    match resp::read(reply).ok()?? {
        (Value::Null, _) => Some(None),
        (Value::Array(address), _) => {
            let [Value::Bulk(host), Value::Bulk(port)] = address[..] else { return None };
            let port = str::from_utf8(port).ok()?;
            let is_number = port.bytes().all(|byte| byte.is_ascii_digit());
            let port = is_number.then(|| port.parse().ok())??;
            Some(Some((host.into(), port)))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEADLINE: Instant = Instant::from_millis(1_000);

    fn credentials(password: &[u8]) -> Credentials {
        Credentials { user: Some((*b"nginx").into()), password: password.into() }
    }

    fn master() -> Question {
        Question::Master((*b"mymaster").into())
    }

    fn inquiry(question: Question) -> Inquiry {
        Inquiry::new(None, question, DEADLINE)
    }

    /// Hands `bytes` in, as much at a time as there is room for.
    fn receive(inquiry: &mut Inquiry, mut bytes: &[u8]) -> Result<Option<Answer>, InquiryError> {
        while !bytes.is_empty() {
            let spare = inquiry.spare();
            let count = spare.len().min(bytes.len());
            spare[..count].copy_from_slice(&bytes[..count]);
            if let Some(answer) = inquiry.received(count, DEADLINE)? {
                return Ok(Some(answer));
            }
            bytes = &bytes[count..];
        }
        Ok(None)
    }

    /// The answer in `reply`, which comes whole, in two parts cut anywhere, and byte by byte.
    fn answer(
        new: impl Fn() -> Inquiry,
        reply: impl AsRef<[u8]>,
    ) -> Result<Option<Answer>, InquiryError> {
        let reply = reply.as_ref();
        let whole = receive(&mut new(), reply);
        for cut in 1..reply.len() {
            let mut inquiry = new();
            let parts = match receive(&mut inquiry, &reply[..cut]) {
                Ok(None) => receive(&mut inquiry, &reply[cut..]),
                early => early,
            };
            assert_eq!(parts, whole, "cut at {cut}");
        }
        let mut inquiry = new();
        let mut bytes = reply.chunks(1).map(|byte| receive(&mut inquiry, byte));
        assert_eq!(bytes.find(|found| *found != Ok(None)).unwrap_or(Ok(None)), whole);
        whole
    }

    fn told(host: &str, port: u16) -> Result<Option<Answer>, InquiryError> {
        Ok(Some(Answer::Master(Some((host.as_bytes().into(), port)))))
    }

    fn protocol_error(error: ProtocolError) -> Result<Option<Answer>, InquiryError> {
        Err(error.into())
    }

    fn refused(message: &str) -> Result<Option<Answer>, InquiryError> {
        Err(InquiryError::Refused(message.into()))
    }

    #[test]
    fn questions() {
        let password = credentials(b"secret");
        for (question, credentials, bytes) in [
            (Question::Slots, None, "*2\r\n$7\r\nCLUSTER\r\n$5\r\nSLOTS\r\n"),
            (
                master(),
                None,
                "*3\r\n$8\r\nSENTINEL\r\n$23\r\nget-master-addr-by-name\r\n$8\r\nmymaster\r\n",
            ),
            (
                Question::Slots,
                Some(&password),
                "*3\r\n$4\r\nAUTH\r\n$5\r\nnginx\r\n$6\r\nsecret\r\n\
                 *2\r\n$7\r\nCLUSTER\r\n$5\r\nSLOTS\r\n",
            ),
        ] {
            let mut inquiry = Inquiry::new(credentials, question, DEADLINE);
            assert_eq!(inquiry.unsent(), bytes.as_bytes());
            inquiry.sent(5);
            assert_eq!(inquiry.unsent(), &bytes.as_bytes()[5..]);
        }
    }

    #[test]
    fn a_map_is_left_as_it_came() {
        let map = b"*1\r\n*3\r\n:0\r\n:16383\r\n*3\r\n$9\r\n127.0.0.1\r\n:6379\r\n$2\r\nid\r\n";
        let found = answer(|| inquiry(Question::Slots), map);
        assert_eq!(found, Ok(Some(Answer::Slots((*map).into()))));
        let found = answer(|| inquiry(Question::Slots), b"*0\r\n");
        assert_eq!(found, Ok(Some(Answer::Slots((*b"*0\r\n").into()))));
    }

    #[test]
    fn a_master_has_a_host_and_a_port() {
        for (reply, host, port) in [
            ("*2\r\n$9\r\n192.0.2.1\r\n$4\r\n6379\r\n", "192.0.2.1", 6379),
            ("*2\r\n$3\r\n::1\r\n$1\r\n0\r\n", "::1", 0),
            ("*2\r\n$7\r\nredis-1\r\n$5\r\n65535\r\n", "redis-1", 65535),
        ] {
            assert_eq!(answer(|| inquiry(master()), reply), told(host, port));
        }
        for reply in [
            "*2\r\n$9\r\n192.0.2.1\r\n$5\r\n65536\r\n",
            "*2\r\n$9\r\n192.0.2.1\r\n$2\r\n-1\r\n",
            "*2\r\n$9\r\n192.0.2.1\r\n$5\r\n6379\r\r\n",
            "*2\r\n$9\r\n192.0.2.1\r\n$0\r\n\r\n",
            "*2\r\n$9\r\n192.0.2.1\r\n:6379\r\n",
            "*1\r\n$9\r\n192.0.2.1\r\n",
            "*3\r\n$1\r\na\r\n$1\r\n1\r\n$1\r\n1\r\n",
            "*0\r\n",
        ] {
            let found = answer(|| inquiry(master()), reply);
            assert_eq!(found, protocol_error(ProtocolError::Unexpected), "{reply}");
        }
    }

    #[test]
    fn a_master_may_not_be_known() {
        assert_eq!(answer(|| inquiry(master()), b"*-1\r\n"), Ok(Some(Answer::Master(None))));
        let found = answer(|| inquiry(Question::Slots), b"*-1\r\n");
        assert_eq!(found, protocol_error(ProtocolError::Unexpected));
    }

    #[test]
    fn a_refused_question_says_why() {
        let message = "ERR This instance has cluster support disabled";
        let found = answer(|| inquiry(Question::Slots), format!("-{message}\r\n"));
        assert_eq!(found, refused(message));
        let noperm = "NOPERM this user has no permissions to run the 'cluster|slots' command";
        let found = answer(|| inquiry(Question::Slots), format!("-{noperm}\r\n"));
        assert_eq!(found, refused(noperm));
        let found = answer(
            || inquiry(master()),
            "-ERR unknown command 'SENTINEL', with args beginning with: 'get-master-addr-by-name' \r\n",
        );
        assert_eq!(found, refused("ERR unknown command 'SENTINEL'"));
    }

    #[test]
    fn credentials_come_first() {
        let nginx = credentials(b"secret");
        let new = || Inquiry::new(Some(&nginx), master(), DEADLINE);
        let found = answer(new, "+OK\r\n*2\r\n$9\r\n192.0.2.1\r\n$4\r\n6379\r\n");
        assert_eq!(found, told("192.0.2.1", 6379));

        let noauth = "NOAUTH Authentication required.";
        let found = answer(|| inquiry(master()), format!("-{noauth}\r\n"));
        assert_eq!(found, protocol_error(ProtocolError::NotAuthenticated(noauth.into())));

        let found = answer(new, "-WRONGPASS invalid username-password pair\r\n-NOAUTH x\r\n");
        let rejected = InquiryError::Rejected("WRONGPASS invalid username-password pair".into());
        assert_eq!(found, Err(rejected));

        for reply in ["*2\r\n", "+QUEUED\r\n", "$2\r\nOK\r\n", ":1\r\n"] {
            let found = answer(new, reply);
            assert_eq!(found, protocol_error(ProtocolError::Unexpected), "{reply}");
        }
    }

    #[test]
    fn a_password_is_not_repeated() {
        let nginx = credentials(b"secret");
        let new = || Inquiry::new(Some(&nginx), master(), DEADLINE);
        let rejected = InquiryError::Rejected("ERR".into());
        assert_eq!(answer(new, "-ERR secret is no password\r\n"), Err(rejected));
        assert_eq!(answer(new, "+OK\r\n-ERR unknown user secret\r\n"), refused("ERR"));
    }

    #[test]
    fn what_follows_the_answer_is_not_looked_at() {
        let mut inquiry = inquiry(master());
        let answer = receive(&mut inquiry, b"*2\r\n$9\r\n192.0.2.1\r\n$4\r\n6379\r\n!");
        assert_eq!(answer, told("192.0.2.1", 6379));
    }

    /// What does not fit may never come to its end.
    #[test]
    fn what_does_not_fit_is_refused_at_its_first_byte() {
        for byte in "+:$!_%H".bytes() {
            let found = receive(&mut inquiry(master()), &[byte]);
            assert_eq!(found, protocol_error(ProtocolError::Unexpected));
        }
    }

    #[test]
    fn hostile_answers() {
        for (reply, error) in [
            ("*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n", ProtocolError::TooLarge),
            ("*16385\r\n", ProtocolError::TooLarge),
            ("*99999999999999999999\r\n", ProtocolError::TooLarge),
            ("*1\r\n$16385\r\n", ProtocolError::TooLarge),
            ("*1\r\n$-2\r\n", ProtocolError::Unexpected),
            ("*00000000001\r\n", ProtocolError::Malformed),
            ("*1\n", ProtocolError::Malformed),
            ("-\rx", ProtocolError::Malformed),
        ] {
            let found = answer(|| inquiry(Question::Slots), reply);
            assert_eq!(found, protocol_error(error), "{reply}");
        }
    }

    /// An array of `len` bytes, as many as can be of the longest lines.
    fn large(len: usize) -> Vec<u8> {
        const LINE: usize = 4096;
        let head = b"*256\r\n";
        let first = len - head.len() - 255 * LINE;
        let line = |len: usize| [&b"+"[..], &vec![b'x'; len - 3], b"\r\n"].concat();
        let lines: Vec<_> = (0..255).flat_map(|_| line(LINE)).collect();
        [head, &line(first)[..], &lines].concat()
    }

    #[test]
    fn an_answer_has_at_most_a_megabyte() {
        let fits = large(MAX_ANSWER);
        let found = receive(&mut inquiry(Question::Slots), &fits);
        assert_eq!(found, Ok(Some(Answer::Slots(fits.into()))));
        let found = receive(&mut inquiry(Question::Slots), &large(MAX_ANSWER + 1));
        assert_eq!(found, protocol_error(ProtocolError::TooLarge));
    }

    /// The scanner is given each byte once. What else is done for a byte must not grow with those
    /// that have come before.
    #[test]
    fn a_megabyte_byte_by_byte() {
        let reply = large(MAX_ANSWER);
        let mut inquiry = inquiry(Question::Slots);
        let (mut grown, mut moved) = (0, 0);
        for byte in &reply[..MAX_ANSWER - 1] {
            let before = inquiry.incoming.len();
            inquiry.spare()[0] = *byte;
            if inquiry.incoming.len() > before {
                (grown, moved) = (grown + 1, moved + before);
            }
            assert_eq!(inquiry.received(1, DEADLINE), Ok(None));
        }
        assert!(grown <= 7 && moved <= MAX_ANSWER, "{grown} times, {moved} bytes");
        assert_eq!(inquiry.incoming.capacity(), MAX_ANSWER);
        inquiry.spare()[0] = b'\n';
        assert_eq!(inquiry.received(1, DEADLINE), Ok(Some(Answer::Slots(reply.into()))));
    }
}
