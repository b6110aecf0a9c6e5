//! One connection to a server, without the connection.

use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

use thiserror::Error;

use crate::protocol::{Asked, Protocol, ProtocolError, Reason, Reply, Request, Rest, MAX_RECORD};
use crate::server::breaker::Breaker;
use crate::server::buffer::{Incoming, Outgoing};
use crate::server::completions::{Completions, Lookup, Unavailable};
use crate::session::Key;
use crate::time::Instant;

/// No request is accepted while those without a reply take this many bytes or more: room for 5,000
/// sessions of 800 bytes.
pub const MAX_WAITING: u64 = 4 * 1024 * 1024;

/// The limits of a [`Pipeline`].
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// The longest that a lookup waits, and that the store may be silent while it owes a reply.
    pub timeout: Duration,
    /// After this much idleness the store is probed.
    pub interval: Duration,
    /// So many requests may be without a reply, in the queue and on their way; `None` for any
    /// number.
    pub max_requests: Option<usize>,
}

impl Settings {
    /// Whether it is bad to have waited for so long in vain.
    fn is_long(&self, wait: Duration) -> bool {
        wait >= self.timeout / 5
    }
}

/// What became of received bytes, besides the lookups that they completed.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Received {
    /// The greeting is over: lookups are accepted from now on.
    pub became_ready: bool,
    /// How many records were stored.
    pub stored: u32,
    /// How many records were not, though they were sent.
    pub not_stored: u32,
    /// How many requests were refused.
    pub refused: u32,
    /// The store's message to the first of them.
    pub refusal: Option<String>,
    /// A record was neither stored nor deleted as the store is a replica.
    pub is_read_only: bool,
}

/// Why a connection must be closed. Safe to log.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Error {
    /// The store broke the protocol, or withdrew its permission.
    #[error(transparent)]
    Protocol(#[from] ProtocolError),
    /// The store refused the greeting: wrong credentials, or not usable yet.
    #[error("rejected: {0}")]
    Rejected(String),
    /// No reply for as long as `timeout`.
    #[error("timed out")]
    Silent,
    /// Bytes that no request asked for.
    #[error("unsolicited reply")]
    Unsolicited,
}

/// One connection to a store, without the connection: requests go out one behind the other, and
/// replies are matched to them in order.
///
/// The caller reports what happens to its transport with [`connected`](Self::connected) and
/// [`closed`](Self::closed), writes [`unsent`](Self::unsent), reads into [`spare`](Self::spare),
/// and calls [`tick`](Self::tick) when [`deadline`](Self::deadline) has come. On any error it
/// closes the transport and calls [`closed`](Self::closed).
///
/// # Health
///
/// The request in front must be answered within `timeout` of coming to the front; otherwise the
/// connection is [`Error::Silent`]. What counts is a whole reply, not bytes; of a reply that is
/// longer than any record and therefore skipped, as many bytes as the longest record has.
///
/// A store that is silent or late must not cost each handshake that wait, whatever else it answers:
/// what counts is whether lookups are answered in time, from one connection to the next. A lookup is
/// in vain if it has timed out, was refused or was lost with its connection, after a fifth of
/// `timeout` or more; a refusal at once costs nobody a wait, and says nothing. After
/// `timeout / interval` lookups in vain in a row (at least 3, at most 10; 5 by default), or with a
/// connection that is given up while the request in front has waited for so long, lookups are turned
/// away at once as [`Unavailable::Down`].
///
/// They are until a probe, or the greeting of a new connection, is answered within `timeout`. Then
/// they are let through one at a time. If one of those is in vain, or the connection is silent, a
/// probe follows after `interval`, and after twice as long each further time, up to five times
/// `timeout`; a late probe is followed by the next after `interval`. After a `timeout` in which all
/// were answered (twice that after a second failure, four times at most) all lookups are let
/// through. Records are stored and deleted all the while.
///
/// # Drop behaviour
///
/// Nothing is told of what waits.
pub struct Pipeline<T> {
    protocol: Rc<dyn Protocol>,
    settings: Settings,
    phase: Phase,
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
    /// Whether a lookup was queued for this connection, and whether one was answered over it.
    has_asked: bool,
    has_answered: bool,
    /// When the last reply came, or the request in front was queued.
    progress: Instant,
    /// Not later than the deadline of any lookup that waits.
    earliest_deadline: Option<Instant>,
    completions: Completions<T>,
    breaker: Breaker,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// No transport; requests are turned away.
    Closed,
    /// A transport is expected; requests queue up behind the greeting.
    Opening,
    /// The greeting is on its way; requests queue up behind it if they did before.
    Greeting { accepting: bool },
    /// The greeting is answered.
    Ready,
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
    /// What a lookup is known by, until it has ended.
    token: Option<T>,
}

impl<T> Pipeline<T> {
    /// What is kept of the memory that a burst of requests took.
    const KEPT_REQUESTS: usize = 512;

    /// A pipeline without a connection.
    pub fn new(protocol: Rc<dyn Protocol>, settings: Settings) -> Self {
        Self {
            protocol,
            settings,
            phase: Phase::Closed,
            outgoing: Outgoing::default(),
            incoming: Incoming::new(),
            greeting_end: 0,
            requests: VecDeque::new(),
            answered: 0,
            skipping: None,
            has_asked: false,
            has_answered: false,
            progress: Instant::from_millis(0),
            earliest_deadline: None,
            completions: Completions::default(),
            breaker: Breaker::new(settings.timeout, settings.interval),
        }
    }

    /// A transport is on its way, and nothing speaks against its success: requests are accepted
    /// from now on, and wait for the greeting to be answered. Without this call they are turned
    /// away until then.
    pub fn opening(&mut self, now: Instant) {
        self.closed(now);
        self.greet(now);
        self.phase = Phase::Opening;
    }

    /// The transport is up. Queues the greeting, where [`opening`](Self::opening) has not.
    pub fn connected(&mut self, now: Instant) {
        let accepting = self.phase == Phase::Opening;
        if !accepting {
            self.closed(now);
            self.greet(now);
        }
        self.phase = Phase::Greeting { accepting };
        self.progress = now;
    }

    fn greet(&mut self, now: Instant) {
        let protocol = Rc::clone(&self.protocol);
        for request in protocol.greeting() {
            self.ask(request, now + self.settings.timeout, None, now);
        }
        self.greeting_end = self.outgoing.end();
    }

    /// The transport is gone. Everything that waits ends.
    pub fn closed(&mut self, now: Instant) {
        self.count_lost(now);
        self.given_up(now);
    }

    /// The transport was given up for one to another address of the store: what has waited for it
    /// says nothing of that one. Everything that waits ends.
    pub fn given_up(&mut self, now: Instant) {
        self.breaker.disconnected(now);
        self.end();
    }

    fn count_lost(&mut self, now: Instant) {
        let is_in_use = matches!(self.phase, Phase::Greeting { .. } | Phase::Ready);
        if is_in_use && !self.is_drained() && self.settings.is_long(now.since(self.progress)) {
            self.breaker.silent(now);
        } else {
            // Those as well that have waited for the connection.
            let is_lost = |pending: &&Pending<T>| {
                pending.token.is_some() && self.settings.is_long(now.since(pending.since))
            };
            for _ in self.requests.iter().filter(is_lost) {
                self.breaker.lookup_unanswered(true, now);
            }
        }
    }

    fn end(&mut self) {
        self.phase = Phase::Closed;
        self.outgoing.clear();
        self.incoming.clear();
        self.greeting_end = 0;
        self.answered = 0;
        self.skipping = None;
        self.has_asked = false;
        self.has_answered = false;
        self.earliest_deadline = None;
        for request in std::mem::take(&mut self.requests) {
            if let Some(token) = request.token {
                self.completions.push(token, Lookup::Unavailable(Unavailable::Down));
            }
        }
    }

    /// Whether lookups over this connection were answered, if there were any.
    pub fn has_served(&self) -> bool {
        !self.has_asked || self.has_answered
    }

    /// Whether the store has answered the greeting.
    pub fn is_ready(&self) -> bool {
        self.phase == Phase::Ready
    }

    /// Whether the transport is up, and the store has not answered the greeting yet.
    pub fn is_greeting(&self) -> bool {
        matches!(self.phase, Phase::Greeting { .. })
    }

    /// Whether lookups are turned away because the store answers too late, all or all but one at a
    /// time.
    pub fn is_suspended(&self) -> bool {
        !self.breaker.is_closed()
    }

    /// Whether the store was too late with the last answers, and has not answered a probe since.
    pub fn is_late(&self) -> bool {
        self.breaker.is_open()
    }

    /// Whether lookups are let through, and the last ones were answered in time.
    pub fn is_answering(&self) -> bool {
        self.is_ready() && self.breaker.is_answering()
    }

    /// Whether every request has its reply.
    pub fn is_drained(&self) -> bool {
        self.requests.is_empty()
    }

    /// How many requests have no reply.
    pub fn waiting_requests(&self) -> usize {
        self.requests.len()
    }

    /// How many bytes the requests without a reply take.
    pub fn waiting_bytes(&self) -> u64 {
        self.outgoing.end().saturating_sub(self.answered)
    }

    /// Looks `key` up. The lookup ends once, among the [`completions`](Self::completions), by
    /// `deadline`, or after `timeout` if that is earlier.
    ///
    /// On an error nothing was queued.
    pub fn get(
        &mut self,
        key: &Key,
        deadline: Instant,
        now: Instant,
        token: T,
    ) -> Result<(), Unavailable> {
        if !self.breaker.admits() {
            return Err(Unavailable::Down);
        }
        self.admit()?;
        self.breaker.lookup_sent();
        self.has_asked = true;
        let deadline = deadline.min(now + self.settings.timeout);
        self.earliest_deadline =
            Some(self.earliest_deadline.map_or(deadline, |earliest| earliest.min(deadline)));
        self.ask(Request::Get(key), deadline, Some(token), now);
        Ok(())
    }

    /// Stores `record` under `key` for `ttl` seconds, at least one. `unix_now` is the time of day
    /// in seconds.
    ///
    /// On an error nothing was queued. Whether the store took the record is told by
    /// [`received`](Self::received).
    pub fn put(
        &mut self,
        key: &Key,
        record: &[u8],
        ttl: u32,
        unix_now: u64,
        now: Instant,
    ) -> Result<(), Unavailable> {
        self.admit()?;
        if record.len() > MAX_RECORD {
            return Err(Unavailable::Full);
        }
        let request = Request::Put { key, record, ttl: ttl.max(1), unix_now };
        self.ask(request, now + self.settings.timeout, None, now);
        Ok(())
    }

    /// Deletes what lies under `key`. On an error nothing was queued.
    pub fn delete(&mut self, key: &Key, now: Instant) -> Result<(), Unavailable> {
        self.admit()?;
        self.ask(Request::Delete(key), now + self.settings.timeout, None, now);
        Ok(())
    }

    /// The lookups that have ended since they were last drained.
    pub fn completions(&mut self) -> &mut Completions<T> {
        &mut self.completions
    }

    /// What to write to the transport: the greeting alone, until it is answered.
    pub fn unsent(&self) -> &[u8] {
        let unsent = self.outgoing.unsent();
        match self.phase {
            Phase::Ready => unsent,
            _ => &unsent[..self.greeting_end.saturating_sub(self.outgoing.sent()) as usize],
        }
    }

    /// The first `count` bytes of [`unsent`](Self::unsent) were written.
    pub fn sent(&mut self, count: usize) {
        self.outgoing.advance(count);
    }

    /// Where to read into; never empty.
    pub fn spare(&mut self) -> &mut [u8] {
        self.incoming.spare()
    }

    /// The first `count` bytes of [`spare`](Self::spare) were read: completes the lookups whose
    /// replies they complete.
    pub fn received(&mut self, count: usize, now: Instant) -> Result<Received, Error> {
        let mut received = Received::default();
        self.incoming.filled(count);
        while !self.incoming.bytes().is_empty() {
            let is_taken = match self.skipping {
                Some(rest) => self.skip(rest, now)?,
                None => self.take_reply(now, &mut received)?,
            };
            if !is_taken {
                break;
            }
        }
        if self.requests.is_empty() {
            self.earliest_deadline = None;
            self.requests.shrink_to(Self::KEPT_REQUESTS);
        }
        Ok(received)
    }

    /// When [`tick`](Self::tick) must be called next.
    pub fn deadline(&self) -> Option<Instant> {
        let health = match self.phase {
            Phase::Closed | Phase::Opening => None,
            _ if !self.is_drained() => Some(self.progress + self.settings.timeout),
            Phase::Greeting { .. } => None,
            Phase::Ready => Some(self.progress + self.settings.interval),
        };
        [health, self.earliest_deadline, self.probe_at()].into_iter().flatten().min()
    }

    /// Ends the lookups whose deadline has passed, probes the store where that is due, and fails
    /// where the store has been silent for too long.
    pub fn tick(&mut self, now: Instant) -> Result<(), Error> {
        if self.earliest_deadline.is_some_and(|deadline| deadline <= now) {
            self.expire(now);
        }
        if self.probe_at().is_some_and(|at| at <= now) {
            self.breaker.probe_sent();
            self.probe(now);
        }
        let quiet = now.since(self.progress);
        match self.phase {
            Phase::Closed | Phase::Opening => {}
            _ if !self.is_drained() && quiet >= self.settings.timeout => return Err(Error::Silent),
            Phase::Ready if self.is_drained() && quiet >= self.settings.interval => self.probe(now),
            Phase::Greeting { .. } | Phase::Ready => {}
        }
        Ok(())
    }

    /// When the breaker wants a probe; the greeting of a new connection is one.
    fn probe_at(&self) -> Option<Instant> {
        self.breaker.probe_at().filter(|_| self.is_ready())
    }

    fn admit(&self) -> Result<(), Unavailable> {
        if matches!(self.phase, Phase::Closed | Phase::Greeting { accepting: false }) {
            return Err(Unavailable::Down);
        }
        let full = self.settings.max_requests.is_some_and(|max| self.waiting_requests() >= max);
        if full || self.waiting_bytes() >= MAX_WAITING {
            return Err(Unavailable::Full);
        }
        Ok(())
    }

    fn probe(&mut self, now: Instant) {
        self.ask(Request::Probe, now + self.settings.timeout, None, now);
    }

    /// Queues a request.
    fn ask(&mut self, request: Request<'_>, deadline: Instant, token: Option<T>, now: Instant) {
        if self.requests.is_empty() {
            self.progress = now;
        }
        self.protocol.encode(request, self.outgoing.tail());
        let end = self.outgoing.end();
        self.requests.push_back(Pending {
            asked: request.into(),
            end,
            since: now,
            deadline,
            token,
        });
    }

    /// Takes one reply off the received bytes, of which there are some; false where it is not
    /// complete.
    fn take_reply(&mut self, now: Instant, received: &mut Received) -> Result<bool, Error> {
        let sent = self.outgoing.sent();
        let Some(front) = self.requests.front_mut() else {
            return Err(Error::Unsolicited);
        };
        let unsent = sent < front.end;
        if unsent && sent <= self.answered {
            return Err(Error::Unsolicited);
        }
        let Some((reply, len)) = self.protocol.decode(&front.asked, self.incoming.bytes())? else {
            return Ok(false);
        };
        let refusal = match reply {
            Reply::Refused(refusal) => Some(refusal),
            _ => None,
        };
        // Memcached refuses a record that is too large before it has read all of it.
        if unsent && refusal.is_none() {
            return Err(Error::Unsolicited);
        }
        if let Reply::Oversized(rest) = reply {
            self.skipping = Some(rest);
            self.incoming.consume(len);
            return Ok(true);
        }
        if let Some(refusal) = refusal {
            let answers_probe = front.asked == Asked::Probe && refusal.is_of_records();
            if self.phase != Phase::Ready && !answers_probe {
                return Err(Error::Rejected(refusal.text()));
            }
            received.refused += 1;
            let is_write = matches!(front.asked, Asked::Put(_) | Asked::Delete(_));
            received.is_read_only |= is_write && refusal.reason == Reason::ReadOnly;
            received.refusal.get_or_insert_with(|| refusal.text());
        }
        match front.asked {
            Asked::Get(_) => {
                if let Some(token) = front.token.take() {
                    if refusal.is_some() {
                        let in_vain = self.settings.is_long(now.since(front.since));
                        self.breaker.lookup_unanswered(in_vain, now);
                    } else {
                        self.breaker.lookup_answered(now);
                        self.has_answered = true;
                    }
                    self.completions.push(token, reply.into());
                }
            }
            Asked::Put(_) if reply == Reply::Done => received.stored += 1,
            Asked::Probe => {
                self.breaker.ping_answered(now <= front.deadline, now);
                received.became_ready |= self.phase != Phase::Ready;
                self.phase = Phase::Ready;
            }
            Asked::Put(_) => received.not_stored += 1,
            Asked::Delete(_) | Asked::Greeting => {}
        }
        self.incoming.consume(len);
        self.front_answered(now);
        Ok(true)
    }

    /// Takes received bytes, of which there are some, of a reply that is too long to be kept; false
    /// where none can be taken.
    fn skip(&mut self, rest: Rest, now: Instant) -> Result<bool, Error> {
        let input = self.incoming.bytes();
        if rest.len > 0 {
            let len = rest.len - rest.len.min(input.len());
            if len / MAX_RECORD < rest.len / MAX_RECORD {
                self.progress = now;
            }
            self.skipping = Some(Rest { len, ..rest });
            self.incoming.consume(rest.len - len);
            return Ok(true);
        }
        if !input.starts_with(rest.tail) {
            let is_partial = rest.tail.starts_with(input);
            return if is_partial { Ok(false) } else { Err(ProtocolError::Malformed.into()) };
        }
        self.skipping = None;
        self.incoming.consume(rest.tail.len());
        if let Some(token) = self.requests.front_mut().and_then(|front| front.token.take()) {
            self.breaker.lookup_answered(now);
            self.has_answered = true;
            self.completions.push(token, Lookup::Oversized);
        }
        self.front_answered(now);
        Ok(true)
    }

    /// The request in front has its reply.
    fn front_answered(&mut self, now: Instant) {
        if let Some(front) = self.requests.pop_front() {
            self.answered = front.end;
        }
        self.progress = now;
    }

    /// Ends the lookups whose deadline has passed. Their requests stay, to match their replies.
    fn expire(&mut self, now: Instant) {
        self.earliest_deadline = None;
        for pending in &mut self.requests {
            if pending.token.is_none() {
                continue;
            }
            if pending.deadline > now {
                let earliest = self.earliest_deadline.unwrap_or(pending.deadline);
                self.earliest_deadline = Some(earliest.min(pending.deadline));
            } else if let Some(token) = pending.token.take() {
                let in_vain = self.settings.is_long(now.since(pending.since));
                self.breaker.lookup_unanswered(in_vain, now);
                self.completions.push(token, Lookup::Unavailable(Unavailable::Timeout));
            }
        }
    }
}

impl<'a> From<Reply<'a>> for Lookup<'a> {
    fn from(reply: Reply<'a>) -> Self {
        match reply {
            Reply::Found(record) => Lookup::Found(record),
            Reply::Oversized(_) => Lookup::Oversized,
            Reply::Missing => Lookup::Missing,
            Reply::Done | Reply::Refused(_) => Lookup::Unavailable(Unavailable::Refused),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::Credentials;
    use crate::protocol::Redis;
    use crate::session::Keyspace;

    const TIMEOUT: Duration = Duration::from_secs(1);
    const INTERVAL: Duration = Duration::from_millis(200);

    #[derive(Debug, PartialEq, Eq)]
    enum Outcome {
        Found(Vec<u8>),
        Oversized,
        Missing,
        Unavailable(Unavailable),
    }

    impl From<Lookup<'_>> for Outcome {
        fn from(lookup: Lookup<'_>) -> Self {
            match lookup {
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
        fn new() -> Self {
            Self::with_limit(None)
        }

        fn with_limit(max_requests: Option<usize>) -> Self {
            let settings = Settings { timeout: TIMEOUT, interval: INTERVAL, max_requests };
            Self {
                pipeline: Pipeline::new(Rc::new(Redis::new(None, 0)), settings),
                now: Instant::from_millis(1_000_000),
            }
        }

        fn ready() -> Self {
            let mut fixture = Self::new();
            fixture.connect();
            fixture
        }

        fn connect(&mut self) {
            self.pipeline.connected(self.now);
            self.send();
            assert!(self.receive(b"+PONG\r\n").unwrap().became_ready);
        }

        fn get(&mut self, id: u8) -> Result<(), Unavailable> {
            self.get_until(id, self.now + TIMEOUT)
        }

        fn get_until(&mut self, id: u8, deadline: Instant) -> Result<(), Unavailable> {
            self.pipeline.get(&key(id), deadline, self.now, id)
        }

        fn put(&mut self, id: u8, record: &[u8]) -> Result<(), Unavailable> {
            self.pipeline.put(&key(id), record, 300, 1_700_000_000, self.now)
        }

        /// Everything that waits to be sent, which is sent.
        fn send(&mut self) -> Vec<u8> {
            let bytes = self.pipeline.unsent().to_vec();
            self.pipeline.sent(bytes.len());
            bytes
        }

        fn receive(&mut self, bytes: &[u8]) -> Result<Received, Error> {
            self.pipeline.spare()[..bytes.len()].copy_from_slice(bytes);
            self.pipeline.received(bytes.len(), self.now)
        }

        /// A lookup that is answered at once.
        fn answered(&mut self, id: u8) {
            self.get(id).unwrap();
            self.send();
            self.receive(b"$-1\r\n").unwrap();
        }

        fn wait(&mut self, span: Duration) -> Result<(), Error> {
            self.now = self.now + span;
            self.pipeline.tick(self.now)
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

    #[test]
    fn requests_of_a_turn_leave_together_and_replies_match_in_order() {
        let mut fixture = Fixture::ready();
        fixture.get(1).unwrap();
        fixture.put(2, b"two").unwrap();
        fixture.get(3).unwrap();
        fixture.pipeline.delete(&key(4), fixture.now).unwrap();
        assert_eq!(
            fixture.send(),
            b"*2\r\n$3\r\nGET\r\n$3\r\nk01\r\n\
              *4\r\n$5\r\nSETEX\r\n$3\r\nk02\r\n$3\r\n300\r\n$3\r\ntwo\r\n\
              *2\r\n$3\r\nGET\r\n$3\r\nk03\r\n\
              *2\r\n$3\r\nDEL\r\n$3\r\nk04\r\n"
        );

        let received = fixture.receive(b"$3\r\none\r\n+OK\r\n$-1\r\n:1\r\n").unwrap();
        assert_eq!(received, Received { stored: 1, ..Received::default() });
        assert_eq!(fixture.ended(), [(1, Outcome::Found(b"one".to_vec())), (3, Outcome::Missing)]);
        assert!(fixture.pipeline.is_drained());
    }

    #[test]
    fn nothing_is_accepted_before_the_greeting_is_answered() {
        let mut fixture = Fixture::new();
        assert_eq!(fixture.get(1), Err(Unavailable::Down));
        fixture.pipeline.connected(fixture.now);
        assert_eq!(fixture.get(1), Err(Unavailable::Down));
        assert_eq!(fixture.put(1, b"x"), Err(Unavailable::Down));
        assert_eq!(fixture.ended(), []);
    }

    #[test]
    fn while_a_connection_opens_requests_wait_for_the_greeting() {
        let mut fixture = Fixture::new();
        fixture.pipeline.opening(fixture.now);
        fixture.get(1).unwrap();
        fixture.wait(TIMEOUT / 2).unwrap();
        fixture.get(2).unwrap();
        // Only the lookups are late: whether there is a connection is for the caller to know.
        fixture.wait(TIMEOUT / 2).unwrap();
        assert_eq!(fixture.ended(), [(1, Outcome::Unavailable(Unavailable::Timeout))]);

        fixture.pipeline.connected(fixture.now);
        assert_eq!(fixture.send(), b"*1\r\n$4\r\nPING\r\n");
        assert!(fixture.receive(b"+PONG\r\n").unwrap().became_ready);
        assert!(fixture.send().starts_with(b"*2\r\n$3\r\nGET\r\n"));
        fixture.receive(b"$1\r\nx\r\n$1\r\ny\r\n").unwrap();
        assert_eq!(fixture.ended(), [(2, Outcome::Found(b"y".to_vec()))]);
    }

    #[test]
    fn what_waits_for_a_connection_ends_where_there_is_none() {
        let mut fixture = Fixture::new();
        fixture.pipeline.opening(fixture.now);
        fixture.get(1).unwrap();
        fixture.pipeline.closed(fixture.now);
        assert_eq!(fixture.ended(), [(1, down())]);
        assert_eq!(fixture.get(2), Err(Unavailable::Down));
    }

    #[test]
    fn the_greeting_is_over_with_its_last_reply() {
        let mut fixture = Fixture::new();
        let credentials = Credentials { user: None, password: (*b"secret").into() };
        let redis = Redis::new(Some(credentials), 0);
        fixture.pipeline = Pipeline::new(Rc::new(redis), fixture.pipeline.settings);
        assert!(!fixture.pipeline.is_greeting());
        fixture.pipeline.connected(fixture.now);
        fixture.send();
        assert!(!fixture.receive(b"+OK\r\n").unwrap().became_ready);
        assert!(fixture.pipeline.is_greeting() && !fixture.pipeline.is_ready());
        assert!(fixture.receive(b"+PONG\r\n").unwrap().became_ready);
        assert!(!fixture.pipeline.is_greeting());
        fixture.get(1).unwrap();
    }

    #[test]
    fn closing_ends_what_waits() {
        let mut fixture = Fixture::ready();
        fixture.get(1).unwrap();
        fixture.send();
        fixture.get(2).unwrap();
        fixture.pipeline.closed(fixture.now);
        assert_eq!(fixture.ended(), [(1, down()), (2, down())]);
        assert_eq!(fixture.pipeline.unsent(), b"");
        assert_eq!(fixture.pipeline.deadline(), None);
    }

    #[test]
    fn replies_may_come_byte_by_byte() {
        let mut fixture = Fixture::ready();
        fixture.get(1).unwrap();
        fixture.get(2).unwrap();
        fixture.send();
        for byte in b"$3\r\none\r\n$3\r\ntwo\r\n" {
            fixture.receive(&[*byte]).unwrap();
        }
        let record = |text: &str| Outcome::Found(text.into());
        assert_eq!(fixture.ended(), [(1, record("one")), (2, record("two"))]);
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

    #[test]
    fn longest_records_pass_through() {
        let mut fixture = Fixture::ready();
        let record = vec![b'r'; MAX_RECORD];
        let reply = [b"$16384\r\n", &record[..], b"\r\n"].concat();
        for id in 0..5 {
            fixture.get(id).unwrap();
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
            fixture.get(1).unwrap();
            fixture.get(2).unwrap();
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
            fixture.get(1).unwrap();
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
        fixture.get(1).unwrap();
        fixture.send();
        fixture.receive(b"$20000\r\nxxx").unwrap();
        fixture.pipeline.closed(fixture.now);
        assert_eq!(fixture.ended(), [(1, down())]);

        fixture.connect();
        fixture.get(2).unwrap();
        fixture.send();
        fixture.receive(b"$-1\r\n").unwrap();
        assert_eq!(fixture.ended(), [(2, Outcome::Missing)]);
    }

    #[test]
    fn what_is_skipped_is_answered_while_it_comes() {
        let mut fixture = Fixture::ready();
        fixture.get(1).unwrap();
        fixture.send();
        fixture.receive(b"$1000000\r\n").unwrap();
        for _ in 0..61 {
            fixture.wait(TIMEOUT * 9 / 10).unwrap();
            fixture.receive(&[b'x'; MAX_RECORD]).unwrap();
        }
        assert_eq!(fixture.ended(), [(1, Outcome::Unavailable(Unavailable::Timeout))]);
        fixture.receive(&[b'x'; 1_000_000 - 61 * MAX_RECORD]).unwrap();
        fixture.receive(b"\r\n").unwrap();
        assert!(fixture.pipeline.is_drained());

        fixture.get(2).unwrap();
        fixture.send();
        fixture.receive(b"$1000000\r\n").unwrap();
        for _ in 0..9 {
            fixture.wait(TIMEOUT / 10).unwrap();
            fixture.receive(b"x").unwrap();
        }
        assert_eq!(fixture.wait(TIMEOUT / 10), Err(Error::Silent), "too little of it");
    }

    #[test]
    fn an_error_concerns_its_request_alone() {
        let mut fixture = Fixture::ready();
        fixture.put(1, b"one").unwrap();
        fixture.get(2).unwrap();
        fixture.get(3).unwrap();
        fixture.send();
        let received = fixture.receive(b"-OOM no memory\r\n-WRONGTYPE x\r\n$-1\r\n").unwrap();
        assert_eq!(
            received,
            Received {
                not_stored: 1,
                refused: 2,
                refusal: Some("OOM no memory".into()),
                ..Received::default()
            }
        );
        let refused = Outcome::Unavailable(Unavailable::Refused);
        assert_eq!(fixture.ended(), [(2, refused), (3, Outcome::Missing)]);
    }

    #[test]
    fn a_replica_is_read_only() {
        let mut fixture = Fixture::ready();
        fixture.put(1, b"one").unwrap();
        fixture.get(2).unwrap();
        fixture.send();
        assert!(fixture.receive(b"-READONLY x\r\n").unwrap().is_read_only);
        assert!(!fixture.receive(b"-READONLY x\r\n").unwrap().is_read_only, "a lookup");
        fixture.put(1, b"one").unwrap();
        fixture.send();
        assert!(!fixture.receive(b"-OOM x\r\n").unwrap().is_read_only);
        fixture.put(1, b"one").unwrap();
        fixture.send();
        assert!(fixture.receive(b"-READONLY\r\n").unwrap().is_read_only, "without a reason");
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
            fixture.pipeline.connected(fixture.now);
            fixture.send();
            let input = format!("-{reply}\r\n");
            assert_eq!(fixture.receive(input.as_bytes()), Err(Error::Rejected(reply.into())));
            assert!(!fixture.pipeline.is_ready());
        }
    }

    /// A Redis whose snapshot has failed refuses a PING, and answers lookups.
    #[test]
    fn a_store_that_takes_no_records_is_ready_for_lookups() {
        let mut fixture = Fixture::new();
        fixture.pipeline.connected(fixture.now);
        fixture.send();
        let received = fixture.receive(b"-MISCONF no snapshot\r\n").unwrap();
        assert!(received.became_ready);
        assert_eq!(received.refusal.as_deref(), Some("MISCONF no snapshot"));
        fixture.get(1).unwrap();
        fixture.send();
        fixture.receive(b"$3\r\none\r\n").unwrap();
        assert_eq!(fixture.ended(), [(1, Outcome::Found(b"one".to_vec()))]);

        fixture.wait(INTERVAL).unwrap();
        assert_eq!(fixture.send(), b"*1\r\n$4\r\nPING\r\n");
        assert_eq!(fixture.receive(b"-MISCONF no snapshot\r\n").unwrap().refused, 1);
        assert_eq!(fixture.wait(TIMEOUT), Ok(()));
    }

    #[test]
    fn only_the_probe_of_a_greeting_may_be_refused() {
        let mut fixture = Fixture::new();
        fixture.pipeline = Pipeline::new(Rc::new(Redis::new(None, 1)), fixture.pipeline.settings);
        fixture.pipeline.connected(fixture.now);
        fixture.send();
        let rejected = Err(Error::Rejected("READONLY x".into()));
        assert_eq!(fixture.receive(b"-READONLY x\r\n"), rejected);
    }

    #[test]
    fn bytes_that_nobody_asked_for_fail() {
        let mut fixture = Fixture::ready();
        assert_eq!(fixture.receive(b"$"), Err(Error::Unsolicited), "nothing in flight");

        let mut fixture = Fixture::ready();
        fixture.get(1).unwrap();
        assert_eq!(fixture.receive(b"$"), Err(Error::Unsolicited), "nothing sent");

        let mut fixture = Fixture::ready();
        fixture.get(1).unwrap();
        fixture.pipeline.sent(5);
        assert_eq!(fixture.receive(b"$-1\r\n"), Err(Error::Unsolicited), "not all sent");

        let mut fixture = Fixture::ready();
        fixture.get(1).unwrap();
        fixture.send();
        assert_eq!(fixture.receive(b"$-1\r\n$-1\r\n"), Err(Error::Unsolicited), "duplicated");
        assert_eq!(fixture.ended(), [(1, Outcome::Missing)]);
    }

    #[test]
    fn a_record_may_be_refused_before_it_is_sent() {
        let mut fixture = Fixture::ready();
        fixture.put(1, &[0; 1000]).unwrap();
        fixture.get(2).unwrap();
        fixture.pipeline.sent(30);
        assert_eq!(fixture.receive(b"-ERR too large\r\n").unwrap().refused, 1);
        assert_eq!(fixture.receive(b"$-1\r\n"), Err(Error::Unsolicited), "the get is not sent");
    }

    #[test]
    fn the_wrong_kind_of_reply_fails() {
        let mut fixture = Fixture::ready();
        fixture.get(1).unwrap();
        fixture.send();
        assert_eq!(fixture.receive(b"+OK\r\n"), Err(Error::Protocol(ProtocolError::Unexpected)));
        fixture.pipeline.closed(fixture.now);
        assert_eq!(fixture.ended(), [(1, down())]);
    }

    #[test]
    fn nothing_is_left_of_a_closed_connection() {
        let mut fixture = Fixture::ready();
        fixture.get(1).unwrap();
        fixture.send();
        fixture.receive(b"$3\r\non").unwrap();
        fixture.get(2).unwrap();
        fixture.pipeline.sent(3);
        fixture.pipeline.closed(fixture.now);
        fixture.ended();

        fixture.connect();
        fixture.get(3).unwrap();
        assert_eq!(fixture.send(), b"*2\r\n$3\r\nGET\r\n$3\r\nk03\r\n");
        fixture.receive(b"$5\r\nthree\r\n").unwrap();
        assert_eq!(fixture.ended(), [(3, Outcome::Found(b"three".to_vec()))]);
    }

    #[test]
    fn a_lookup_ends_at_its_deadline_and_its_reply_answers_no_other() {
        let mut fixture = Fixture::ready();
        let span = Duration::from_millis(100);
        fixture.get(1).unwrap();
        fixture.get_until(2, fixture.now + span).unwrap();
        fixture.send();
        assert_eq!(fixture.pipeline.deadline(), Some(fixture.now + span));

        fixture.wait(span - Duration::from_millis(1)).unwrap();
        assert_eq!(fixture.ended(), []);
        fixture.wait(Duration::from_millis(1)).unwrap();
        assert_eq!(fixture.ended(), [(2, Outcome::Unavailable(Unavailable::Timeout))]);
        assert_eq!(fixture.pipeline.deadline(), Some(fixture.now + (TIMEOUT - span)));

        fixture.get(3).unwrap();
        fixture.send();
        fixture.receive(b"$3\r\none\r\n$3\r\ntwo\r\n$-1\r\n").unwrap();
        assert_eq!(fixture.ended(), [(1, Outcome::Found(b"one".to_vec())), (3, Outcome::Missing)]);
    }

    #[test]
    fn a_reply_counts_until_the_deadline_is_noticed() {
        let mut fixture = Fixture::ready();
        let span = Duration::from_millis(100);
        fixture.get_until(1, fixture.now + span).unwrap();
        fixture.send();
        fixture.now = fixture.now + 2 * span;
        fixture.receive(b"$-1\r\n").unwrap();
        assert_eq!(fixture.ended(), [(1, Outcome::Missing)]);
        assert_eq!(fixture.pipeline.deadline(), Some(fixture.now + INTERVAL));
    }

    #[test]
    fn no_lookup_waits_longer_than_the_timeout() {
        let mut fixture = Fixture::ready();
        fixture.get_until(1, fixture.now + 60 * TIMEOUT).unwrap();
        assert_eq!(fixture.pipeline.deadline(), Some(fixture.now + TIMEOUT));
    }

    #[test]
    fn a_silent_store_fails_after_its_lookups_timed_out() {
        let mut fixture = Fixture::ready();
        fixture.get(1).unwrap();
        fixture.send();
        fixture.wait(TIMEOUT / 2).unwrap();
        fixture.get(2).unwrap();
        assert_eq!(fixture.wait(TIMEOUT / 2), Err(Error::Silent));
        assert_eq!(fixture.ended(), [(1, Outcome::Unavailable(Unavailable::Timeout))]);
        fixture.pipeline.closed(fixture.now);
        assert_eq!(fixture.ended(), [(2, down())]);
    }

    #[test]
    fn bytes_without_a_reply_are_silence() {
        let mut fixture = Fixture::ready();
        fixture.get(1).unwrap();
        fixture.send();
        fixture.receive(b"$100\r\n").unwrap();
        for _ in 0..9 {
            fixture.wait(TIMEOUT / 10).unwrap();
            fixture.receive(b"x").unwrap();
        }
        assert_eq!(fixture.wait(TIMEOUT / 10), Err(Error::Silent));
    }

    #[test]
    fn a_store_that_never_greets_is_silent() {
        let mut fixture = Fixture::new();
        fixture.pipeline.connected(fixture.now);
        assert_eq!(fixture.pipeline.deadline(), Some(fixture.now + TIMEOUT));
        assert_eq!(fixture.wait(TIMEOUT), Err(Error::Silent));
    }

    #[test]
    fn an_idle_store_is_probed() {
        let mut fixture = Fixture::ready();
        assert_eq!(fixture.pipeline.deadline(), Some(fixture.now + INTERVAL));
        fixture.wait(INTERVAL).unwrap();
        assert_eq!(fixture.send(), b"*1\r\n$4\r\nPING\r\n");
        fixture.wait(INTERVAL).unwrap();
        assert_eq!(fixture.send(), b"", "one probe at a time");
        assert!(!fixture.receive(b"+PONG\r\n").unwrap().became_ready);
        assert_eq!(fixture.pipeline.deadline(), Some(fixture.now + INTERVAL));
    }

    #[test]
    fn requests_are_bounded_in_number() {
        let mut fixture = Fixture::with_limit(Some(3));
        fixture.connect();
        fixture.get(1).unwrap();
        fixture.put(2, b"two").unwrap();
        fixture.send();
        fixture.get(3).unwrap();
        assert_eq!(fixture.get(4), Err(Unavailable::Full));
        assert_eq!(fixture.put(4, b"four"), Err(Unavailable::Full));
        assert_eq!(fixture.pipeline.delete(&key(4), fixture.now), Err(Unavailable::Full));

        fixture.receive(b"$-1\r\n").unwrap();
        fixture.get(4).unwrap();
    }

    #[test]
    fn requests_are_bounded_in_bytes() {
        let mut fixture = Fixture::ready();
        let expected = MAX_WAITING.div_ceil(MAX_RECORD as u64 + 49);
        for _ in 0..2 {
            let mut accepted = 0;
            while fixture.put(1, &[0; MAX_RECORD]).is_ok() {
                accepted += 1;
                fixture.send();
            }
            assert_eq!(accepted, expected);
            assert_eq!(fixture.get(1), Err(Unavailable::Full));
            fixture.receive(b"+OK\r\n").unwrap();
            fixture.get(1).unwrap();

            fixture.pipeline.closed(fixture.now);
            fixture.connect();
        }
    }

    #[test]
    fn no_record_is_stored_that_could_not_be_read() {
        let mut fixture = Fixture::ready();
        fixture.put(1, &[0; MAX_RECORD]).unwrap();
        assert_eq!(fixture.put(1, &[0; MAX_RECORD + 1]), Err(Unavailable::Full));
    }

    #[test]
    fn memory_of_a_burst_is_given_back() {
        let mut fixture = Fixture::ready();
        for _ in 0..100 {
            fixture.put(1, &[0; MAX_RECORD]).unwrap();
            fixture.get(2).unwrap();
        }
        for id in 0..=255 {
            for _ in 0..8 {
                fixture.get(id).unwrap();
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
        fixture.get(1).unwrap();
        let len = fixture.pipeline.unsent().len();
        for _ in 0..10_000 {
            fixture.get(1).unwrap();
            fixture.pipeline.sent(len);
            fixture.receive(b"$-1\r\n").unwrap();
            assert_eq!(fixture.pipeline.unsent().len(), len);
            assert!(fixture.pipeline.outgoing.tail().capacity() < 1024);
        }
    }

    /// A ready pipeline whose lookups timed out until they were suspended; nothing is answered.
    fn suspended() -> Fixture {
        let mut fixture = Fixture::ready();
        let deadline = fixture.now + TIMEOUT / 2;
        for id in 1..=5 {
            assert!(!fixture.pipeline.is_suspended());
            fixture.get_until(id, deadline).unwrap();
        }
        fixture.send();
        fixture.wait(TIMEOUT / 2).unwrap();
        assert_eq!(fixture.ended().len(), 5);
        assert!(fixture.pipeline.is_suspended());
        assert_eq!(fixture.get(6), Err(Unavailable::Down));
        assert_eq!(fixture.send(), b"*1\r\n$4\r\nPING\r\n");
        fixture
    }

    #[test]
    fn late_replies_suspend_lookups_until_they_are_answered_in_time_again() {
        let mut fixture = suspended();
        fixture.put(7, b"seven").unwrap();
        fixture.receive(&b"$-1\r\n".repeat(5)).unwrap();
        assert_eq!(fixture.get(6), Err(Unavailable::Down));
        fixture.receive(b"+PONG\r\n").unwrap();
        assert!(!fixture.pipeline.is_answering());

        fixture.get(6).unwrap();
        assert_eq!(fixture.get(7), Err(Unavailable::Down), "one lookup tries");
        fixture.send();
        fixture.receive(b"+OK\r\n$-1\r\n").unwrap();
        assert!(fixture.pipeline.is_answering());
        for _ in 0..4 {
            fixture.get(7).unwrap();
            assert_eq!(fixture.get(8), Err(Unavailable::Down), "one at a time");
            fixture.send();
            fixture.wait(TIMEOUT / 4).unwrap();
            fixture.receive(b"$-1\r\n").unwrap();
        }
        assert!(!fixture.pipeline.is_suspended());
        fixture.get(7).unwrap();
        fixture.get(8).unwrap();
    }

    #[test]
    fn probes_end_a_trial_without_more_lookups() {
        let mut fixture = suspended();
        fixture.receive(&b"$-1\r\n".repeat(5)).unwrap();
        fixture.receive(b"+PONG\r\n").unwrap();
        for _ in 0..5 {
            fixture.wait(INTERVAL).unwrap();
            fixture.send();
            fixture.receive(b"+PONG\r\n").unwrap();
        }
        assert!(!fixture.pipeline.is_answering(), "no lookup was answered");
        fixture.answered(6);
        for _ in 0..5 {
            assert!(fixture.pipeline.is_suspended());
            fixture.wait(INTERVAL).unwrap();
            fixture.send();
            fixture.receive(b"+PONG\r\n").unwrap();
        }
        assert!(!fixture.pipeline.is_suspended());
    }

    #[test]
    fn a_silent_connection_suspends_lookups_on_the_next() {
        let mut fixture = Fixture::ready();
        fixture.put(1, b"one").unwrap();
        fixture.wait(TIMEOUT / 2).unwrap();
        fixture.get(2).unwrap();
        fixture.send();
        assert_eq!(fixture.wait(TIMEOUT / 2), Err(Error::Silent));
        fixture.pipeline.closed(fixture.now);
        assert_eq!(fixture.ended(), [(2, down())]);

        fixture.connect();
        fixture.answered(3);
        assert!(fixture.pipeline.is_suspended());

        // The next trials fail as well: each is followed by a longer wait.
        let mut waits = Vec::new();
        for _ in 0..6 {
            fixture.put(1, b"one").unwrap();
            fixture.get(2).unwrap();
            fixture.send();
            assert_eq!(fixture.wait(TIMEOUT), Err(Error::Silent));
            fixture.pipeline.closed(fixture.now);
            fixture.connect();
            let mut wait = Duration::ZERO;
            while fixture.get(3) == Err(Unavailable::Down) {
                wait += INTERVAL;
                fixture.wait(INTERVAL).unwrap();
                fixture.send();
                fixture.receive(b"+PONG\r\n").unwrap();
            }
            fixture.send();
            fixture.receive(b"$-1\r\n").unwrap();
            waits.push(wait.as_millis());
        }
        assert_eq!(waits, [200, 400, 800, 1600, 3200, 5000]);
    }

    #[test]
    fn a_connection_that_is_lost_while_it_is_late_is_silent() {
        for (wait, is_silent) in [(TIMEOUT / 10, false), (TIMEOUT / 4, true)] {
            let mut fixture = Fixture::ready();
            fixture.get(1).unwrap();
            fixture.send();
            fixture.wait(wait).unwrap();
            fixture.pipeline.closed(fixture.now);
            fixture.connect();
            assert_eq!(fixture.pipeline.is_suspended(), is_silent, "{wait:?}");
        }
    }

    #[test]
    fn lookups_that_are_lost_after_a_wait_are_in_vain_though_others_were_answered() {
        let mut fixture = Fixture::ready();
        (0..6).for_each(|id| fixture.get(id).unwrap());
        fixture.send();
        fixture.wait(TIMEOUT / 4).unwrap();
        fixture.receive(b"$-1\r\n").unwrap();
        fixture.pipeline.closed(fixture.now);
        assert!(fixture.pipeline.is_suspended());

        let mut fixture = Fixture::ready();
        (0..6).for_each(|id| fixture.get(id).unwrap());
        fixture.send();
        fixture.wait(TIMEOUT / 10).unwrap();
        fixture.receive(b"$-1\r\n").unwrap();
        fixture.pipeline.closed(fixture.now);
        assert!(!fixture.pipeline.is_suspended(), "they have hardly waited");
    }

    #[test]
    fn lookups_that_wait_for_a_connection_that_does_not_come_are_in_vain() {
        let mut fixture = Fixture::new();
        fixture.pipeline.opening(fixture.now);
        (0..5).for_each(|id| fixture.get(id).unwrap());
        fixture.wait(TIMEOUT / 4).unwrap();
        fixture.pipeline.closed(fixture.now);
        assert!(fixture.pipeline.is_suspended());
    }

    #[test]
    fn lookups_that_wait_for_an_address_say_nothing_of_another() {
        let mut fixture = Fixture::new();
        fixture.pipeline.opening(fixture.now);
        (0..5).for_each(|id| fixture.get(id).unwrap());
        fixture.wait(TIMEOUT / 4).unwrap();
        fixture.pipeline.given_up(fixture.now);
        assert!(!fixture.pipeline.is_suspended());
        assert_eq!(fixture.ended().len(), 5);
    }

    #[test]
    fn a_connection_has_served_where_lookups_were_answered_if_there_were_any() {
        let mut fixture = Fixture::ready();
        fixture.put(1, b"one").unwrap();
        assert!(fixture.pipeline.has_served());
        fixture.get(2).unwrap();
        assert!(!fixture.pipeline.has_served());
        fixture.send();
        fixture.receive(b"+OK\r\n-OOM x\r\n").unwrap();
        assert!(!fixture.pipeline.has_served(), "a refusal is no answer");
        fixture.get(2).unwrap();
        fixture.send();
        fixture.receive(b"$-1\r\n").unwrap();
        assert!(fixture.pipeline.has_served());

        fixture.connect();
        fixture.get(2).unwrap();
        assert!(!fixture.pipeline.has_served(), "over the next connection");
    }

    #[test]
    fn late_refusals_are_no_answers_and_prompt_ones_do_no_harm() {
        for (wait, is_suspended) in [(Duration::ZERO, false), (TIMEOUT * 2 / 5, true)] {
            let mut fixture = Fixture::ready();
            for id in 0..5 {
                fixture.get(id).unwrap();
            }
            fixture.send();
            fixture.wait(wait).unwrap();
            fixture.receive(&b"-ERR timed out\r\n".repeat(5)).unwrap();
            assert_eq!(fixture.pipeline.is_suspended(), is_suspended, "{wait:?}");
        }

        // Where one lookup tries, a late refusal fails the trial, a prompt one leaves it open.
        let mut fixture = suspended();
        fixture.receive(&b"$-1\r\n".repeat(5)).unwrap();
        fixture.receive(b"+PONG\r\n").unwrap();
        for _ in 0..3 {
            fixture.get(6).unwrap();
            fixture.send();
            fixture.receive(b"-ERR x\r\n").unwrap();
            assert!(!fixture.pipeline.is_answering());
        }
        fixture.get(6).unwrap();
        fixture.send();
        fixture.wait(TIMEOUT * 2 / 5).unwrap();
        fixture.receive(b"-ERR x\r\n").unwrap();
        assert_eq!(fixture.get(6), Err(Unavailable::Down));
    }

    #[test]
    fn a_lookup_that_could_hardly_wait_is_not_in_vain() {
        let mut fixture = Fixture::ready();
        for id in 0..20 {
            fixture.get_until(id, fixture.now + TIMEOUT / 10).unwrap();
        }
        fixture.send();
        fixture.wait(TIMEOUT / 10).unwrap();
        assert_eq!(fixture.ended().len(), 20);
        assert!(!fixture.pipeline.is_suspended());
    }

    #[test]
    fn a_lookup_that_tries_and_times_out_is_followed_by_a_probe() {
        let mut fixture = suspended();
        fixture.receive(&b"$-1\r\n".repeat(5)).unwrap();
        fixture.receive(b"+PONG\r\n").unwrap();
        fixture.get_until(6, fixture.now + TIMEOUT / 2).unwrap();
        fixture.send();
        fixture.wait(TIMEOUT / 2).unwrap();
        assert_eq!(fixture.ended(), [(6, Outcome::Unavailable(Unavailable::Timeout))]);
        assert_eq!(fixture.get(7), Err(Unavailable::Down));
        assert_eq!(fixture.send(), b"");
        fixture.wait(INTERVAL).unwrap();
        assert_eq!(fixture.send(), b"*1\r\n$4\r\nPING\r\n");
    }

    #[test]
    fn a_late_probe_is_followed_by_another() {
        let mut fixture = suspended();
        fixture.receive(b"$-1\r\n").unwrap();
        for _ in 0..4 {
            fixture.wait(TIMEOUT / 3).unwrap();
            fixture.receive(b"$-1\r\n").unwrap();
        }
        fixture.receive(b"+PONG\r\n").unwrap();
        assert_eq!(fixture.get(6), Err(Unavailable::Down));
        fixture.wait(INTERVAL).unwrap();
        fixture.send();
        fixture.receive(b"+PONG\r\n").unwrap();
        fixture.get(6).unwrap();
    }

    /// A proxy may greet in the name of a store that is not there.
    #[test]
    fn a_greeting_alone_does_not_resume_lookups() {
        let mut fixture = suspended();
        assert_eq!(fixture.wait(TIMEOUT / 2), Err(Error::Silent));
        fixture.pipeline.closed(fixture.now);
        assert_eq!(fixture.pipeline.deadline(), None);

        fixture.connect();
        fixture.get(6).unwrap();
        assert_eq!(fixture.get(7), Err(Unavailable::Down));
        fixture.send();
        assert_eq!(fixture.wait(TIMEOUT), Err(Error::Silent));
    }

    #[test]
    fn one_lookup_in_time_forgives_the_late_ones() {
        let mut fixture = Fixture::ready();
        for _ in 0..10 {
            for id in 1..=4 {
                fixture.get_until(id, fixture.now + TIMEOUT / 2).unwrap();
            }
            fixture.get(5).unwrap();
            fixture.send();
            fixture.wait(TIMEOUT / 2).unwrap();
            fixture.receive(&b"$-1\r\n".repeat(5)).unwrap();
            assert!(!fixture.pipeline.is_suspended());
        }
    }
}
