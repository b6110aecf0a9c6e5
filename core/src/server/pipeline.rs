//! One connection to a server, without the connection.

use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

use thiserror::Error;

use crate::protocol::{
    hint, Asked, Protocol, ProtocolError, Reason, Refusal, Reply, Request, Rest, MAX_RECORD,
};
use crate::server::buffer::{Incoming, Outgoing};
use crate::server::completions::{Completions, Ended, Unavailable};
use crate::time::{earliest, Instant};

/// Why a connection must be closed. Safe to log.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(crate) enum PipelineError {
    /// The server broke the protocol, or withdrew its permission.
    #[error(transparent)]
    Protocol(#[from] ProtocolError),
    /// The same, of a greeting whose answer tells what the server may be.
    #[error("{0}; {1}")]
    Foreign(ProtocolError, &'static str),
    /// The server refused the greeting: wrong credentials, or not usable yet.
    #[error("rejected: {0}")]
    Rejected(String),
    /// No reply for as long as `timeout`.
    #[error("timed out")]
    Silent,
    /// Bytes that no request asked for.
    #[error("unsolicited reply")]
    Unsolicited,
}

/// The requests and replies of one connection: requests go out one behind the other, and replies are
/// matched to them in order.
///
/// It begins with the greeting. What is asked for before that is answered waits behind it, and may
/// be asked for before there is a connection at all.
pub(crate) struct Pipeline<T> {
    protocol: Rc<dyn Protocol>,
    /// Whether the connection is given a name, where the protocol has one.
    gives_name: bool,
    outgoing: Outgoing,
    incoming: Incoming,
    /// The position in the outgoing stream behind the greeting.
    greeting_end: u64,
    /// Requests without a reply, in the order in which they were queued.
    requests: VecDeque<Pending<T>>,
    /// The position in the outgoing stream behind the last request that was answered.
    answered: u64,
    /// What is still to come of the reply to the request in front, which is too long to be kept.
    skipping: Option<Rest>,
    /// When the last reply came, or the request in front was queued.
    quiet_since: Instant,
    /// Not later than the deadline of anything that is waited for.
    earliest_deadline: Option<Instant>,
    completions: Completions<T>,
}

/// A request that waits for its reply.
struct Pending<T> {
    asked: Asked,
    /// The position in the outgoing stream behind this request.
    end: u64,
    /// When it was queued.
    since: Instant,
    /// When it is too late for a reply.
    deadline: Instant,
    /// What the request is known by, until it has ended, where somebody is told of that.
    token: Option<T>,
}

/// A reply, as far as it matters beyond the one request that it ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    pub(crate) to: Kind,
    /// How long the request has waited for it.
    pub(crate) waited: Duration,
    /// Whether it has come by the deadline.
    pub(crate) is_in_time: bool,
    pub(crate) refusal: Option<Refused>,
}

/// What a reply answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A step of the greeting.
    Greeting,
    /// A lookup that somebody waited for.
    Lookup,
    /// A record to add, while somebody waited for what becomes of it.
    Add,
    /// One of these that nobody waited for any more.
    Late,
    /// How long a record is to live that was added.
    Expire,
    /// Whether the server can have a record live for good.
    Persist,
    /// A record that was put.
    Put,
    /// A record that was deleted.
    Delete,
    /// A probe.
    Probe,
}

/// What is told of a refusal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refused {
    /// The server's message, safe to log.
    pub(crate) text: String,
    /// The server is a replica, which takes no records.
    pub(crate) is_read_only: bool,
    /// The server is one of a cluster, and has not got what it was asked for.
    pub(crate) is_of_cluster: bool,
    /// It says where that is, or when to ask again.
    pub(crate) is_redirect: bool,
    /// The user lacks a right.
    pub(crate) is_of_right: bool,
    /// The server is too old for what it was asked to add in one request.
    pub(crate) is_outdated: bool,
}

/// What was read off the received bytes.
enum Read {
    /// A whole reply.
    Answer(Answer),
    /// The beginning of one that is skipped.
    Beginning,
    /// Not yet a whole one.
    Part,
}

impl<T> Pipeline<T> {
    /// What is kept of the memory that a burst of requests took.
    const KEPT_REQUESTS: usize = 512;

    pub(crate) fn new(protocol: Rc<dyn Protocol>) -> Self {
        Self {
            protocol,
            gives_name: true,
            outgoing: Outgoing::default(),
            incoming: Incoming::new(),
            greeting_end: 0,
            requests: VecDeque::new(),
            answered: 0,
            skipping: None,
            quiet_since: Instant::from_millis(0),
            earliest_deadline: None,
            completions: Completions::default(),
        }
    }

    /// Begins anew, with the greeting. Everything that waits ends.
    pub(crate) fn begin(&mut self, deadline: Instant, now: Instant) {
        self.end();
        let protocol = Rc::clone(&self.protocol);
        for request in protocol.greeting() {
            if self.gives_name || !matches!(request, Request::Name(_)) {
                self.ask(request, deadline, None, now);
            }
        }
        self.greeting_end = self.outgoing.end();
    }

    /// No connection is given a name any more.
    pub(crate) fn give_no_name(&mut self) {
        self.gives_name = false;
    }

    /// Whether the connection was to be given a name, and the server has not answered that.
    pub(crate) fn is_naming(&self) -> bool {
        self.requests.iter().any(|request| request.asked == Asked::Name)
    }

    /// Whether the server has answered everything up to that.
    pub(crate) fn is_down_to_name(&self) -> bool {
        self.requests.front().is_some_and(|request| request.asked == Asked::Name)
    }

    /// There is a connection: silence counts from now on.
    pub(crate) fn connected(&mut self, now: Instant) {
        self.quiet_since = now;
    }

    /// Everything that waits ends, and what was received is forgotten.
    pub(crate) fn end(&mut self) {
        self.outgoing.clear();
        self.incoming.clear();
        self.greeting_end = 0;
        self.answered = 0;
        self.skipping = None;
        self.earliest_deadline = None;
        for request in std::mem::take(&mut self.requests) {
            if let Some(token) = request.token {
                self.completions.push(token, Ended::Unavailable(Unavailable::Down));
            }
        }
    }

    /// Queues a request. With a token, how it ends is told once among the
    /// [`completions`](Self::completions): that of a lookup and of a record to add by `deadline`, if
    /// [`expire`](Self::expire) is called then, any other when it is answered or the connection is lost.
    pub(crate) fn ask(
        &mut self,
        request: Request<'_>,
        deadline: Instant,
        token: Option<T>,
        now: Instant,
    ) {
        if self.requests.is_empty() {
            self.quiet_since = now;
        }
        self.protocol.encode(request, self.outgoing.tail());
        let (asked, end) = (request.into(), self.outgoing.end());
        let pending = Pending { asked, end, since: now, deadline, token };
        if pending.is_waited_for() {
            self.earliest_deadline = earliest([self.earliest_deadline, Some(deadline)]);
        }
        self.requests.push_back(pending);
    }

    /// The requests that have ended since they were last drained.
    pub(crate) fn completions(&mut self) -> &mut Completions<T> {
        &mut self.completions
    }

    /// Whether every request has its reply.
    pub(crate) fn is_drained(&self) -> bool {
        self.requests.is_empty()
    }

    /// How many requests have no reply.
    pub(crate) fn waiting_requests(&self) -> usize {
        self.requests.len()
    }

    /// How many bytes the requests without a reply take.
    pub(crate) fn waiting_bytes(&self) -> u64 {
        self.outgoing.end().saturating_sub(self.answered)
    }

    /// How long each request has waited that is waited for.
    pub(crate) fn waits(&self, now: Instant) -> impl Iterator<Item = Duration> + '_ {
        let requests = self.requests.iter().filter(|request| request.is_waited_for());
        requests.map(move |request| now.since(request.since))
    }

    /// When the last reply came, or the request in front was queued.
    pub(crate) fn quiet_since(&self) -> Instant {
        self.quiet_since
    }

    /// When [`expire`](Self::expire) must be called next.
    pub(crate) fn earliest_deadline(&self) -> Option<Instant> {
        self.earliest_deadline
    }

    /// Ends what is waited for and has passed its deadline, and tells how long each has waited. The
    /// requests stay, to match their replies.
    pub(crate) fn expire(&mut self, now: Instant, mut tell: impl FnMut(Duration)) {
        if self.earliest_deadline.is_none_or(|deadline| deadline > now) {
            return;
        }
        self.earliest_deadline = None;
        for pending in &mut self.requests {
            if !pending.is_waited_for() {
                continue;
            }
            if pending.deadline > now {
                self.earliest_deadline = earliest([self.earliest_deadline, Some(pending.deadline)]);
            } else if let Some(token) = pending.token.take() {
                tell(now.since(pending.since));
                self.completions.push(token, Ended::Unavailable(Unavailable::Timeout));
            }
        }
    }

    /// What to write to the connection: the greeting alone, until it is answered.
    pub(crate) fn unsent(&self) -> &[u8] {
        let unsent = self.outgoing.unsent();
        if self.is_greeted() {
            return unsent;
        }
        &unsent[..self.greeting_end.saturating_sub(self.outgoing.sent()) as usize]
    }

    /// Whether the greeting is answered.
    pub(crate) fn is_greeted(&self) -> bool {
        self.answered >= self.greeting_end
    }

    /// The first `count` bytes of [`unsent`](Self::unsent) were written.
    pub(crate) fn sent(&mut self, count: usize) {
        self.outgoing.advance(count);
    }

    /// Where to read into; never empty.
    pub(crate) fn spare(&mut self) -> &mut [u8] {
        self.incoming.spare()
    }

    /// The first `count` bytes of [`spare`](Self::spare) were read.
    pub(crate) fn filled(&mut self, count: usize) {
        self.incoming.filled(count);
    }

    /// The next reply among the bytes that were read; `None` where there is no whole one left.
    /// Where it answers a request that somebody is told of, that has ended.
    pub(crate) fn next_answer(&mut self, now: Instant) -> Result<Option<Answer>, PipelineError> {
        while !self.incoming.bytes().is_empty() {
            let read = match self.skipping {
                Some(rest) => self.skip(rest, now)?,
                None => self.read(now)?,
            };
            match read {
                Read::Answer(answer) => return Ok(Some(answer)),
                Read::Beginning => {}
                Read::Part => break,
            }
        }
        if self.requests.is_empty() {
            self.earliest_deadline = None;
            self.requests.shrink_to(Self::KEPT_REQUESTS);
        }
        Ok(None)
    }

    /// Reads one reply off the received bytes, of which there are some.
    fn read(&mut self, now: Instant) -> Result<Read, PipelineError> {
        let sent = self.outgoing.sent();
        let is_greeted = self.is_greeted();
        let Some(front) = self.requests.front_mut() else {
            return Err(PipelineError::Unsolicited);
        };
        let is_unsent = sent < front.end;
        if is_unsent && sent <= self.answered {
            return Err(PipelineError::Unsolicited);
        }
        let input = self.incoming.bytes();
        let hint = || hint(self.protocol.speech(), input).filter(|_| !is_greeted);
        let (reply, len) = match (self.protocol.decode(&front.asked, input), hint()) {
            (Ok(Some(found)), _) => found,
            (Ok(None), _) => return Ok(Read::Part),
            (Err(error), Some(hint)) => return Err(PipelineError::Foreign(error, hint)),
            (Err(error), None) => return Err(error.into()),
        };
        let refusal = match reply {
            Reply::Refused(refusal) => Some(refusal),
            _ => None,
        };
        // Memcached refuses a record that is too large before it has read all of it.
        if is_unsent && refusal.is_none() {
            return Err(PipelineError::Unsolicited);
        }
        if let Reply::Oversized(rest) = reply {
            self.skipping = Some(rest);
            self.incoming.consume(len);
            return Ok(Read::Beginning);
        }
        // A name is for whoever looks at the server's clients: it does as well without.
        let refusal = refusal.filter(|_| front.asked != Asked::Name);
        if let Some(refusal) = refusal {
            let answers_probe = front.asked == Asked::Probe && refusal.is_of_records();
            if !is_greeted && !answers_probe {
                return Err(PipelineError::Rejected(refusal.text()));
            }
        }
        let answer = front.answered(refusal.map(Refused::from), now);
        if let Some(token) = front.token.take() {
            self.completions.push(token, reply.into());
        }
        self.incoming.consume(len);
        self.pop_front(now);
        Ok(Read::Answer(answer))
    }

    /// Takes received bytes, of which there are some, of a reply that is too long to be kept.
    fn skip(&mut self, rest: Rest, now: Instant) -> Result<Read, PipelineError> {
        let input = self.incoming.bytes();
        if rest.len > 0 {
            let len = rest.len - rest.len.min(input.len());
            if len / MAX_RECORD < rest.len / MAX_RECORD {
                self.quiet_since = now;
            }
            self.skipping = Some(Rest { len, ..rest });
            self.incoming.consume(rest.len - len);
            return Ok(Read::Beginning);
        }
        if !input.starts_with(rest.tail) {
            let is_partial = rest.tail.starts_with(input);
            return if is_partial { Ok(Read::Part) } else { Err(ProtocolError::Malformed.into()) };
        }
        self.skipping = None;
        self.incoming.consume(rest.tail.len());
        let Some(front) = self.requests.front_mut() else {
            return Err(PipelineError::Unsolicited);
        };
        let answer = front.answered(None, now);
        if let Some(token) = front.token.take() {
            self.completions.push(token, Ended::Oversized);
        }
        self.pop_front(now);
        Ok(Read::Answer(answer))
    }

    /// The request in front has its reply.
    fn pop_front(&mut self, now: Instant) {
        if let Some(front) = self.requests.pop_front() {
            self.answered = front.end;
        }
        self.quiet_since = now;
    }
}

impl<T> Pending<T> {
    /// Whether somebody waits for it to end: it is a lookup or a record to add, and has not.
    fn is_waited_for(&self) -> bool {
        let is_question =
            matches!(self.asked, Asked::Get(_) | Asked::Add(_) | Asked::AddForGood(_));
        self.token.is_some() && is_question
    }

    fn answered(&self, refusal: Option<Refused>, now: Instant) -> Answer {
        let to = match self.asked {
            Asked::Greeting | Asked::Role | Asked::Name | Asked::Asking => Kind::Greeting,
            Asked::Get(_) if self.is_waited_for() => Kind::Lookup,
            Asked::Add(_) | Asked::AddForGood(_) if self.is_waited_for() => Kind::Add,
            Asked::Get(_) | Asked::Add(_) | Asked::AddForGood(_) => Kind::Late,
            Asked::Expire(_) => Kind::Expire,
            Asked::Persist(_) => Kind::Persist,
            Asked::Put(_) => Kind::Put,
            Asked::Delete(_) => Kind::Delete,
            Asked::Probe => Kind::Probe,
        };
        Answer { to, waited: now.since(self.since), is_in_time: now <= self.deadline, refusal }
    }
}

impl From<Refusal<'_>> for Refused {
    fn from(refusal: Refusal<'_>) -> Self {
        let is_redirect =
            matches!(refusal.reason, Reason::Moved(_) | Reason::Ask(_) | Reason::TryAgain);
        Self {
            text: refusal.text(),
            is_read_only: refusal.reason == Reason::ReadOnly,
            is_of_cluster: is_redirect || refusal.reason == Reason::ClusterDown,
            is_redirect,
            is_of_right: refusal.reason == Reason::NoPermission,
            is_outdated: refusal.reason == Reason::Outdated,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::{Credentials, Put, Redirect, Redis};
    use crate::server::completions::Lookup;
    use crate::session::{Key, Keyspace};

    const TIMEOUT: Duration = Duration::from_secs(1);

    #[derive(Debug, PartialEq, Eq)]
    enum Outcome {
        Found(Vec<u8>),
        Oversized,
        Missing,
        Unavailable(Unavailable),
    }

    impl From<Ended<'_>> for Outcome {
        fn from(ended: Ended<'_>) -> Self {
            match ended.into() {
                Lookup::Found(record) => Outcome::Found(record.to_vec()),
                Lookup::Oversized => Outcome::Oversized,
                Lookup::Missing => Outcome::Missing,
                Lookup::Unavailable(reason) => Outcome::Unavailable(reason),
            }
        }
    }

    /// A pipeline to Redis, and its clock.
    struct Fixture {
        pipeline: Pipeline<u8>,
        now: Instant,
    }

    impl Fixture {
        fn of(redis: Redis) -> Self {
            let now = Instant::from_millis(1_000_000);
            let mut pipeline = Pipeline::new(Rc::new(redis));
            pipeline.begin(now + TIMEOUT, now);
            Self { pipeline, now }
        }

        fn new() -> Self {
            Self::of(Redis::new(None, 0))
        }

        fn ready() -> Self {
            let mut fixture = Self::new();
            fixture.greet();
            fixture
        }

        fn greet(&mut self) {
            self.pipeline.begin(self.now + TIMEOUT, self.now);
            self.send();
            self.receive(b"+PONG\r\n").unwrap();
        }

        fn get(&mut self, id: u8) {
            self.get_until(id, self.now + TIMEOUT);
        }

        fn get_until(&mut self, id: u8, deadline: Instant) {
            self.pipeline.ask(Request::Get(&key(id)), deadline, Some(id), self.now);
        }

        fn put(&mut self, id: u8, record: &[u8]) {
            let key = &key(id);
            let put = Put { key, record, ttl: 300, unix_now: 1_700_000_000 };
            self.pipeline.ask(Request::Put(put), self.now + TIMEOUT, None, self.now);
        }

        fn delete(&mut self, id: u8) {
            self.pipeline.ask(Request::Delete(&key(id)), self.now + TIMEOUT, None, self.now);
        }

        /// Everything that waits to be sent, which is sent.
        fn send(&mut self) -> Vec<u8> {
            let bytes = self.pipeline.unsent().to_vec();
            self.pipeline.sent(bytes.len());
            bytes
        }

        fn receive(&mut self, bytes: &[u8]) -> Result<Vec<Answer>, PipelineError> {
            self.pipeline.spare()[..bytes.len()].copy_from_slice(bytes);
            self.pipeline.filled(bytes.len());
            let mut answers = Vec::new();
            while let Some(answer) = self.pipeline.next_answer(self.now)? {
                answers.push(answer);
            }
            Ok(answers)
        }

        fn wait(&mut self, span: Duration) {
            self.now = self.now + span;
            self.pipeline.expire(self.now, |_| {});
        }

        fn ended(&mut self) -> Vec<(u8, Outcome)> {
            let mut ended = Vec::new();
            self.pipeline.completions().drain(|id, lookup| ended.push((id, lookup.into())));
            assert!(self.pipeline.completions().is_empty());
            ended
        }
    }

    fn key(id: u8) -> Key {
        Keyspace::new(b"k").unwrap().key(&[id]).unwrap()
    }

    fn down() -> Outcome {
        Outcome::Unavailable(Unavailable::Down)
    }

    /// Fills the pipeline's buffer with `replies`, again and again.
    fn receive_in_full_buffers(fixture: &mut Fixture, mut replies: &[u8]) {
        while !replies.is_empty() {
            let len = fixture.pipeline.spare().len().min(replies.len());
            assert!(len > 0, "no room to read");
            let (part, rest) = replies.split_at(len);
            fixture.receive(part).unwrap();
            replies = rest;
        }
    }

    /// A put and a delete end once among the completions where they have a token, with what the
    /// server says or with the connection; not by their deadline, as nobody waits for them.
    #[test]
    fn writes_end_where_they_are_told_of() {
        let mut fixture = Fixture::new();
        fixture.greet();
        let (one, now) = (key(1), fixture.now);
        let put = Request::Put(Put { key: &one, record: b"one", ttl: 300, unix_now: 0 });
        for (token, request) in [(1, put), (2, Request::Delete(&one)), (3, put), (4, put)] {
            fixture.pipeline.ask(request, now + TIMEOUT, Some(token), now);
        }
        assert_eq!(fixture.pipeline.earliest_deadline(), None);
        fixture.send();
        fixture.receive(b"+OK\r\n:1\r\n-MOVED 3999 :6381\r\n").unwrap();
        fixture.pipeline.expire(now + TIMEOUT, |_| panic!("nobody waits"));
        fixture.pipeline.end();

        let mut ended = Vec::new();
        fixture.pipeline.completions().drain(|token, end| ended.push((token, format!("{end:?}"))));
        let moved = Redirect { slot: 3999, address: b":6381" };
        let ends = [
            Ended::Done,
            Ended::Done,
            Ended::Refused(Reason::Moved(Some(moved))),
            Ended::Unavailable(Unavailable::Down),
        ];
        let expected: Vec<_> =
            (1..).zip(ends).map(|(token, end)| (token, format!("{end:?}"))).collect();
        assert_eq!(ended, expected);
    }

    /// Somebody waits for it: for its end, as for a lookup's, no longer than until the deadline.
    #[test]
    fn a_record_to_add_ends_once_by_its_deadline() {
        let mut fixture = Fixture::ready();
        let (one, now) = (key(1), fixture.now);
        let add = Request::Add(Put { key: &one, record: b"one", ttl: 300, unix_now: 0 });
        let for_good = Request::AddForGood { key: &one, record: b"one" };
        let half = now + TIMEOUT / 2;
        for (token, request, deadline) in [
            (1, add, now + TIMEOUT),
            (2, add, half),
            (3, for_good, half),
            (4, add, now + TIMEOUT),
            (5, for_good, now + TIMEOUT),
            (6, add, now + TIMEOUT),
            (7, add, now + TIMEOUT),
        ] {
            fixture.pipeline.ask(request, deadline, Some(token), now);
        }
        assert_eq!(fixture.pipeline.earliest_deadline(), Some(half));
        fixture.send();
        fixture.receive(b"$-1\r\n").unwrap();
        fixture.wait(TIMEOUT / 2);
        let answers = fixture.receive(b"+OK\r\n:1\r\n+OK\r\n:0\r\n-ERR syntax error\r\n").unwrap();
        let kinds: Vec<_> = answers.iter().map(|answer| answer.to).collect();
        assert_eq!(kinds, [Kind::Late, Kind::Late, Kind::Add, Kind::Add, Kind::Add]);
        assert!(answers[4].refusal.as_ref().unwrap().is_outdated);
        fixture.pipeline.end();

        let mut ended = Vec::new();
        fixture.pipeline.completions().drain(|token, end| ended.push((token, format!("{end:?}"))));
        let ends = [
            (1, Ended::Present),
            (2, Ended::Unavailable(Unavailable::Timeout)),
            (3, Ended::Unavailable(Unavailable::Timeout)),
            (4, Ended::Done),
            (5, Ended::Present),
            (6, Ended::Refused(Reason::Outdated)),
            (7, Ended::Unavailable(Unavailable::Down)),
        ];
        assert_eq!(ended, ends.map(|(token, end)| (token, format!("{end:?}"))));
    }

    #[test]
    fn requests_of_a_turn_leave_together_and_replies_match_in_order() {
        let mut fixture = Fixture::ready();
        fixture.get(1);
        fixture.put(2, b"two");
        fixture.get(3);
        fixture.delete(4);
        assert_eq!(
            fixture.send(),
            b"*2\r\n$3\r\nGET\r\n$3\r\nk01\r\n\
              *4\r\n$5\r\nSETEX\r\n$3\r\nk02\r\n$3\r\n300\r\n$3\r\ntwo\r\n\
              *2\r\n$3\r\nGET\r\n$3\r\nk03\r\n\
              *2\r\n$3\r\nDEL\r\n$3\r\nk04\r\n"
        );

        let answers = fixture.receive(b"$3\r\none\r\n+OK\r\n$-1\r\n:1\r\n").unwrap();
        let kinds: Vec<_> = answers.iter().map(|answer| answer.to).collect();
        assert_eq!(kinds, [Kind::Lookup, Kind::Put, Kind::Lookup, Kind::Delete]);
        assert!(answers.iter().all(|answer| answer.refusal.is_none()));
        assert_eq!(fixture.ended(), [(1, Outcome::Found(b"one".to_vec())), (3, Outcome::Missing)]);
        assert!(fixture.pipeline.is_drained());
    }

    #[test]
    fn what_is_asked_for_before_the_greeting_is_answered_waits_behind_it() {
        let mut fixture = Fixture::new();
        fixture.get(1);
        fixture.wait(TIMEOUT / 2);
        fixture.get(2);
        fixture.wait(TIMEOUT / 2);
        assert_eq!(fixture.ended(), [(1, Outcome::Unavailable(Unavailable::Timeout))]);

        fixture.pipeline.connected(fixture.now);
        assert_eq!(fixture.send(), b"*1\r\n$4\r\nPING\r\n");
        assert_eq!(fixture.receive(b"+PONG\r\n").unwrap()[0].to, Kind::Probe);
        assert!(fixture.send().starts_with(b"*2\r\n$3\r\nGET\r\n"));
        let answers = fixture.receive(b"$1\r\nx\r\n$1\r\ny\r\n").unwrap();
        assert_eq!((answers[0].to, answers[1].to), (Kind::Late, Kind::Lookup));
        assert_eq!(answers[1].waited, TIMEOUT / 2);
        assert_eq!(fixture.ended(), [(2, Outcome::Found(b"y".to_vec()))]);
    }

    #[test]
    fn the_greeting_is_over_with_its_last_reply() {
        let credentials = Credentials { user: None, password: (*b"secret").into() };
        let mut fixture = Fixture::of(Redis::new(Some(credentials), 0));
        fixture.get(1);
        fixture.send();
        assert_eq!(fixture.receive(b"+OK\r\n").unwrap()[0].to, Kind::Greeting);
        assert_eq!(fixture.send(), b"");
        fixture.receive(b"+PONG\r\n").unwrap();
        assert_ne!(fixture.send(), b"");
    }

    #[test]
    fn closing_ends_what_waits() {
        let mut fixture = Fixture::ready();
        fixture.get(1);
        fixture.send();
        fixture.get(2);
        fixture.pipeline.end();
        assert_eq!(fixture.ended(), [(1, down()), (2, down())]);
        assert_eq!(fixture.pipeline.unsent(), b"");
        assert_eq!(fixture.pipeline.earliest_deadline(), None);
    }

    #[test]
    fn replies_may_come_byte_by_byte() {
        let mut fixture = Fixture::ready();
        fixture.get(1);
        fixture.get(2);
        fixture.send();
        for byte in b"$3\r\none\r\n$3\r\ntwo\r\n" {
            fixture.receive(&[*byte]).unwrap();
        }
        let record = |text: &str| Outcome::Found(text.into());
        assert_eq!(fixture.ended(), [(1, record("one")), (2, record("two"))]);
    }

    #[test]
    fn longest_records_pass_through() {
        let mut fixture = Fixture::ready();
        let record = vec![b'r'; MAX_RECORD];
        let reply = [b"$16384\r\n", &record[..], b"\r\n"].concat();
        for id in 0..5 {
            fixture.get(id);
        }
        fixture.send();
        receive_in_full_buffers(&mut fixture, &reply.repeat(5));
        let ended = fixture.ended();
        assert_eq!(ended.len(), 5);
        assert!(ended.into_iter().all(|(_, outcome)| outcome == Outcome::Found(record.clone())));
    }

    #[test]
    fn what_is_longer_than_a_record_is_skipped() {
        // Whatever the buffer ends with: a part of the value, all of it, or a part of its end.
        let around = |len: usize| len - 20..len + 20;
        let lengths = around(MAX_RECORD + 21).chain(around(2 * MAX_RECORD)).chain([1024 * 1024]);
        for len in lengths {
            let mut fixture = Fixture::ready();
            fixture.get(1);
            fixture.get(2);
            fixture.send();
            let head = format!("${len}\r\n");
            let value = vec![b'\r'; len];
            let reply = [head.as_bytes(), &value, b"\r\n$3\r\ntwo\r\n"].concat();
            receive_in_full_buffers(&mut fixture, &reply);
            assert_eq!(
                fixture.ended(),
                [(1, Outcome::Oversized), (2, Outcome::Found(b"two".to_vec()))],
                "{len} bytes"
            );
            assert!(fixture.pipeline.is_drained());
        }
    }

    #[test]
    fn what_is_skipped_must_end_as_it_should() {
        for end in [&b"x"[..], b"\rx", b"\n", b"\r\r", b"-ERR x\r\n"] {
            let mut fixture = Fixture::ready();
            fixture.get(1);
            fixture.send();
            receive_in_full_buffers(&mut fixture, b"$20000\r\n");
            receive_in_full_buffers(&mut fixture, &[b'x'; 20_000]);
            assert_eq!(fixture.ended(), []);
            assert_eq!(fixture.receive(end), Err(ProtocolError::Malformed.into()));
        }
    }

    #[test]
    fn what_is_skipped_is_forgotten_with_its_connection() {
        let mut fixture = Fixture::ready();
        fixture.get(1);
        fixture.send();
        fixture.receive(b"$20000\r\nxxx").unwrap();
        fixture.pipeline.end();
        assert_eq!(fixture.ended(), [(1, down())]);

        fixture.greet();
        fixture.get(2);
        fixture.send();
        fixture.receive(b"$-1\r\n").unwrap();
        assert_eq!(fixture.ended(), [(2, Outcome::Missing)]);
    }

    #[test]
    fn an_error_concerns_its_request_alone() {
        let mut fixture = Fixture::ready();
        fixture.put(1, b"one");
        fixture.get(2);
        fixture.get(3);
        fixture.send();
        let answers = fixture.receive(b"-OOM no memory\r\n-WRONGTYPE x\r\n$-1\r\n").unwrap();
        let texts = answers.iter().map(|one| Some(&*one.refusal.as_ref()?.text));
        assert!(texts.eq([Some("OOM no memory"), Some("WRONGTYPE x"), None]));
        let refused = Outcome::Unavailable(Unavailable::Refused);
        assert_eq!(fixture.ended(), [(2, refused), (3, Outcome::Missing)]);
    }

    #[test]
    fn what_a_refusal_means() {
        for (message, is_read_only, is_of_cluster, is_redirect, is_of_right) in [
            ("READONLY x", true, false, false, false),
            ("READONLY", true, false, false, false),
            ("OOM x", false, false, false, false),
            ("MOVED 1 a:1", false, true, true, false),
            ("ASK 1 a:1", false, true, true, false),
            ("TRYAGAIN x", false, true, true, false),
            ("CLUSTERDOWN x", false, true, false, false),
            ("NOPERM x", false, false, false, true),
        ] {
            let mut fixture = Fixture::ready();
            fixture.put(1, b"one");
            fixture.send();
            let answers = fixture.receive(format!("-{message}\r\n").as_bytes()).unwrap();
            let text = message.to_owned();
            let refused = Refused {
                text,
                is_read_only,
                is_of_cluster,
                is_redirect,
                is_of_right,
                is_outdated: false,
            };
            assert_eq!(answers[0].refusal, Some(refused));
        }
    }

    #[test]
    fn a_rejected_greeting_fails() {
        for reply in [
            "LOADING Redis is loading the dataset in memory",
            "MASTERDOWN x",
            "BUSY x",
            "CLUSTERDOWN x",
            "ERR max number of clients reached",
        ] {
            let mut fixture = Fixture::new();
            fixture.send();
            let input = format!("-{reply}\r\n");
            assert_eq!(
                fixture.receive(input.as_bytes()),
                Err(PipelineError::Rejected(reply.into()))
            );
        }
    }

    /// A Redis whose snapshot has failed refuses a PING, and answers lookups.
    #[test]
    fn a_server_that_takes_no_records_is_ready_for_lookups() {
        let mut fixture = Fixture::new();
        fixture.send();
        let answers = fixture.receive(b"-MISCONF no snapshot\r\n").unwrap();
        assert_eq!(answers[0].to, Kind::Probe);
        assert_eq!(answers[0].refusal.as_ref().unwrap().text, "MISCONF no snapshot");
        fixture.get(1);
        fixture.send();
        fixture.receive(b"$3\r\none\r\n").unwrap();
        assert_eq!(fixture.ended(), [(1, Outcome::Found(b"one".to_vec()))]);
    }

    #[test]
    fn only_the_probe_of_a_greeting_may_be_refused() {
        let mut fixture = Fixture::of(Redis::new(None, 1));
        fixture.send();
        let rejected = Err(PipelineError::Rejected("READONLY x".into()));
        assert_eq!(fixture.receive(b"-READONLY x\r\n"), rejected);
    }

    #[test]
    fn bytes_that_nobody_asked_for_fail() {
        let mut fixture = Fixture::ready();
        assert_eq!(fixture.receive(b"$"), Err(PipelineError::Unsolicited), "nothing in flight");

        let mut fixture = Fixture::ready();
        fixture.get(1);
        assert_eq!(fixture.receive(b"$"), Err(PipelineError::Unsolicited), "nothing sent");

        let mut fixture = Fixture::ready();
        fixture.get(1);
        fixture.pipeline.sent(5);
        assert_eq!(fixture.receive(b"$-1\r\n"), Err(PipelineError::Unsolicited), "not all sent");

        let mut fixture = Fixture::ready();
        fixture.get(1);
        fixture.send();
        assert_eq!(
            fixture.receive(b"$-1\r\n$-1\r\n"),
            Err(PipelineError::Unsolicited),
            "duplicated"
        );
        assert_eq!(fixture.ended(), [(1, Outcome::Missing)]);
    }

    #[test]
    fn a_record_may_be_refused_before_it_is_sent() {
        let mut fixture = Fixture::ready();
        fixture.put(1, &[0; 1000]);
        fixture.get(2);
        fixture.pipeline.sent(30);
        assert!(fixture.receive(b"-ERR too large\r\n").unwrap()[0].refusal.is_some());
        assert_eq!(
            fixture.receive(b"$-1\r\n"),
            Err(PipelineError::Unsolicited),
            "the get is not sent"
        );
    }

    #[test]
    fn the_wrong_kind_of_reply_fails() {
        let mut fixture = Fixture::ready();
        fixture.get(1);
        fixture.send();
        assert_eq!(
            fixture.receive(b"+OK\r\n"),
            Err(PipelineError::Protocol(ProtocolError::Unexpected))
        );
        fixture.pipeline.end();
        assert_eq!(fixture.ended(), [(1, down())]);
    }

    #[test]
    fn nothing_is_left_of_a_closed_connection() {
        let mut fixture = Fixture::ready();
        fixture.get(1);
        fixture.send();
        fixture.receive(b"$3\r\non").unwrap();
        fixture.get(2);
        fixture.pipeline.sent(3);
        fixture.pipeline.end();
        fixture.ended();

        fixture.greet();
        fixture.get(3);
        assert_eq!(fixture.send(), b"*2\r\n$3\r\nGET\r\n$3\r\nk03\r\n");
        fixture.receive(b"$5\r\nthree\r\n").unwrap();
        assert_eq!(fixture.ended(), [(3, Outcome::Found(b"three".to_vec()))]);
    }

    #[test]
    fn a_lookup_ends_at_its_deadline_and_its_reply_answers_no_other() {
        let mut fixture = Fixture::ready();
        let span = Duration::from_millis(100);
        fixture.get(1);
        fixture.get_until(2, fixture.now + span);
        fixture.send();
        assert_eq!(fixture.pipeline.earliest_deadline(), Some(fixture.now + span));

        fixture.wait(span - Duration::from_millis(1));
        assert_eq!(fixture.ended(), []);
        fixture.wait(Duration::from_millis(1));
        assert_eq!(fixture.ended(), [(2, Outcome::Unavailable(Unavailable::Timeout))]);
        assert_eq!(fixture.pipeline.earliest_deadline(), Some(fixture.now + (TIMEOUT - span)));

        fixture.get(3);
        fixture.send();
        fixture.receive(b"$3\r\none\r\n$3\r\ntwo\r\n$-1\r\n").unwrap();
        assert_eq!(fixture.ended(), [(1, Outcome::Found(b"one".to_vec())), (3, Outcome::Missing)]);
    }

    #[test]
    fn a_reply_counts_until_the_deadline_is_noticed() {
        let mut fixture = Fixture::ready();
        let span = Duration::from_millis(100);
        fixture.get_until(1, fixture.now + span);
        fixture.send();
        fixture.now = fixture.now + 2 * span;
        fixture.receive(b"$-1\r\n").unwrap();
        assert_eq!(fixture.ended(), [(1, Outcome::Missing)]);
        assert_eq!(fixture.pipeline.earliest_deadline(), None);
    }

    #[test]
    fn memory_of_a_burst_is_given_back() {
        let mut fixture = Fixture::ready();
        for _ in 0..100 {
            fixture.put(1, &[0; MAX_RECORD]);
            fixture.get(2);
        }
        for id in 0..=255 {
            for _ in 0..8 {
                fixture.get(id);
            }
        }
        fixture.send();
        assert!(fixture.pipeline.outgoing.tail().capacity() <= 64 * 1024);
        for _ in 0..100 {
            fixture.receive(b"+OK\r\n$-1\r\n").unwrap();
        }
        for _ in 0..8 {
            fixture.receive(&b"$-1\r\n".repeat(256)).unwrap();
        }
        assert!(fixture.pipeline.is_drained());
        assert!(fixture.pipeline.requests.capacity() <= 1024);
    }

    #[test]
    fn a_queue_that_is_never_empty_does_not_grow() {
        let mut fixture = Fixture::ready();
        fixture.get(1);
        let len = fixture.pipeline.unsent().len();
        for _ in 0..10_000 {
            fixture.get(1);
            fixture.pipeline.sent(len);
            fixture.receive(b"$-1\r\n").unwrap();
            assert_eq!(fixture.pipeline.unsent().len(), len);
            assert!(fixture.pipeline.outgoing.tail().capacity() < 1024);
        }
    }
}
