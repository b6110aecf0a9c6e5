//! A server's life as one client sees it: addresses, connections one after the other, and whether it
//! is of use.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::mem;
use std::rc::Rc;
use std::time::Duration;

use thiserror::Error;

use crate::protocol::{Protocol, Put, Request, MAX_RECORD};
use crate::server::backoff::Backoff;
use crate::server::breaker::Breaker;
use crate::server::completions::{Completions, Unavailable};
use crate::server::homing::Homing;
use crate::server::log::{Line, Log};
use crate::server::pipeline::{Answer, Kind, Pipeline, PipelineError, Refused};
use crate::session::Key;
use crate::time::{earliest, Instant};

/// No request is accepted while those without a reply take this many bytes or more: room for 5,000
/// sessions of 800 bytes.
pub const MAX_WAITING: u64 = 4 * 1024 * 1024;

/// A name that could not be looked up is tried again after this time.
const RESOLVE_RETRY: Duration = Duration::from_secs(1);

/// A connection that was ready for so long, or for `interval`, is made anew at once when it is lost.
const STEADY: Duration = Duration::from_millis(500);

/// Where all addresses are those of replicas, they are gone through again after this time.
const REPLICAS_AGAIN: Duration = Duration::from_secs(5);

/// The limits of a [`Server`].
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// The longest that a lookup waits, that an attempt to connect takes, and that the server may be
    /// silent while it owes a reply.
    pub timeout: Duration,
    /// The wait between attempts to connect, and the idleness after which the server is probed.
    pub interval: Duration,
    /// So many requests may be without a reply, in the queue and on their way, and as many again to
    /// delete; `None` for any number.
    pub max_requests: Option<usize>,
}

impl Settings {
    /// Whether it is bad to have waited for so long in vain.
    fn is_long(&self, wait: Duration) -> bool {
        wait >= self.timeout / 5
    }
}

/// What is to be done about a server, in the order told.
#[derive(Clone, Debug)]
pub enum Action<A> {
    /// Begin to connect to this address: [`Server::connected`] or [`Server::lost`] follows.
    Connect(A),
    /// Close the connection, or give the attempt to connect up.
    Close,
    /// Look the server's name up: [`Server::resolved`] follows.
    Resolve,
    /// Find out whether the server at this address is usable, with this key:
    /// [`Server::scouted`] follows.
    Scout(A, Option<Key>),
    /// Give that up.
    StopScout,
    /// Tell this.
    Log(Line<A>),
}

/// Why a connection is gone, in the words of who kept it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Loss {
    /// The server closed it, and said no more.
    Closed(String),
    /// Anything else.
    Failed(String),
}

/// How things are between a client and its server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum State {
    /// There is no connection.
    Down,
    /// A connection is being made, or greeted.
    Connecting,
    /// The server has answered the greeting.
    Up,
}

/// What has happened since it was last taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Connections whose greeting was answered.
    pub connected: usize,
    /// Connections, and attempts to connect, that were lost.
    pub failed: usize,
    /// Records that were accepted and are not stored for all that is known.
    pub sessions_failed: usize,
}

/// Why the server is of no use.
#[derive(Debug, Error)]
enum Failure {
    #[error("{0}")]
    Lost(String),
    #[error(transparent)]
    Pipeline(#[from] PipelineError),
    #[error(
        "the connection was closed during the greeting; check \"type\", \"port\" and \"db\", whether it \
         is a TLS port, and whether a proxy there knows PING, AUTH and SELECT, or version"
    )]
    ClosedInGreeting,
    /// The same over TLS.
    #[error(
        "the connection was closed during the greeting; check \"type\", \"port\" and \"db\", and \
         whether a proxy there knows PING, AUTH and SELECT, or version"
    )]
    ClosedInTlsGreeting,
    #[error("it answers too late")]
    Late,
    #[error("it is a replica")]
    Replica,
}

/// A server, without a connection, a clock or a log: whoever has these hands in what has happened
/// and the time, and does what [`action`](Self::action) says.
///
/// The addresses `A` are the one server's, in an order that all machines agree on: the first one
/// that is up is used. A lookup is known by a token `T`.
///
/// What is to be written is [`unsent`](Self::unsent), what is read goes into
/// [`spare`](Self::spare), and [`tick`](Self::tick) is called when [`deadline`](Self::deadline) has
/// come.
///
/// # Health
///
/// The request in front must be answered within `timeout` of coming to the front; otherwise the
/// connection is given up as silent. What counts is a whole reply, not bytes; of a reply that is
/// longer than any record and therefore skipped, as many bytes as the longest record has.
///
/// A server that is silent or late must not cost each handshake that wait, whatever else it answers:
/// what counts is whether lookups are answered in time, from one connection to the next. A lookup is
/// in vain if it has timed out, was refused or was lost with its connection, after a fifth of
/// `timeout` or more; a refusal at once costs nobody a wait, and says nothing. After
/// `timeout / interval` lookups in vain in a row (at least 3, at most 10; 5 by default), or with a
/// connection that is given up while the request in front has waited for so long, lookups are paused:
/// turned away at once as [`Unavailable::Down`].
///
/// They are until a probe, or the greeting of a new connection, is answered within `timeout`. Then
/// they are let through one at a time. If one of those is in vain, or the connection is silent, a
/// probe follows after `interval`, and after twice as long each further time, up to five times
/// `timeout`; a late probe is followed by the next after `interval`. After a `timeout` in which all
/// were answered (twice that after a second failure, four times at most) all lookups are let
/// through. Records are put and deleted all the while; one to [add](Self::add) is waited for, and so
/// counts as a lookup in all of this; but where lookups are let through one at a time, one to add goes
/// with each.
///
/// # Drop behaviour
///
/// Nothing is told of what waits; [`stop`](Self::stop) it before.
pub struct Server<A, T> {
    settings: Settings,
    phase: Phase,
    pipeline: Pipeline<T>,
    breaker: Breaker,
    backoff: Backoff,
    /// Sorted; none where the name is not known yet.
    addresses: Rc<[A]>,
    /// The address in use, or the next to try.
    address: usize,
    /// When the server's name is looked up again, if it is.
    resolve_at: Option<Instant>,
    /// Whether it is looked up by asking who knows which server takes records.
    is_discovered: bool,
    /// Whether the server is one of a cluster, where it is usual that it sends a client to another.
    is_of_cluster: bool,
    /// Whether TLS is spoken to it.
    has_tls: bool,
    /// Whether ASKING goes before the next request.
    is_asking: bool,
    /// Whether the server has refused to add in one request, on this connection, and can in two.
    adds_in_two: bool,
    /// Failures in a row: attempts to connect, and connections that have not lasted.
    failures: usize,
    homing: Homing,
    /// So many addresses in a row were left as those of replicas, the last one at this time.
    replicas: usize,
    left_replica_at: Instant,
    /// When it was last left for an address that is among none of before.
    moved_at: Instant,
    /// Some key that was used.
    key: Option<Key>,
    log: Log<A>,
    /// Why there is no connection, where there was one or an attempt since the last one.
    trouble: String,
    /// Whether a lookup was queued for this connection, and whether one was answered over it.
    has_asked: bool,
    has_answered: bool,
    /// Records that were accepted, and of which the server has not said yet whether they are stored.
    unconfirmed: usize,
    counts: Counts,
    actions: VecDeque<Action<A>>,
}

/// Where a server's connection is. `accepts` says whether requests queue up behind the greeting of
/// one that is likely to come.
#[derive(Clone, Copy, Debug)]
enum Phase {
    /// No address is known. Requests queue up until this time, where the name is looked up for the
    /// first time.
    Unresolved { until: Option<Instant> },
    /// No connection until it is time for the next attempt.
    Closed { retry_at: Instant, accepts: bool },
    /// An attempt is under way.
    Connecting { deadline: Instant, accepts: bool },
    /// The greeting is on its way.
    Greeting { accepts: bool },
    /// The greeting is answered, since this time.
    Ready { since: Instant },
    /// No connection any more.
    Stopped,
}

impl<A: Clone + PartialEq, T> Server<A, T> {
    /// A server at these addresses, sorted; `is_named` where its name is looked up again. `seed`
    /// spreads out what clients do at the same time: it should differ between workers and machines.
    pub fn new(
        protocol: Rc<dyn Protocol>,
        settings: Settings,
        addresses: Rc<[A]>,
        is_named: bool,
        seed: u64,
        now: Instant,
    ) -> Self {
        Self {
            settings,
            phase: Phase::Unresolved { until: None },
            pipeline: Pipeline::new(protocol),
            breaker: Breaker::new(settings.timeout, settings.interval),
            backoff: Backoff::new(settings.interval, seed),
            addresses,
            address: 0,
            resolve_at: is_named.then_some(now),
            is_discovered: false,
            is_of_cluster: false,
            has_tls: false,
            is_asking: false,
            adds_in_two: false,
            failures: 0,
            homing: Homing::new(),
            replicas: 0,
            left_replica_at: now,
            moved_at: Instant::from_millis(0),
            key: None,
            log: Log::new(now),
            trouble: String::new(),
            has_asked: false,
            has_answered: false,
            unconfirmed: 0,
            counts: Counts::default(),
            actions: VecDeque::new(),
        }
    }

    /// The same, and its name is known to who knows which server takes records now: one that does not
    /// is left for whatever the name stands for then, though it is the only one.
    pub fn discovered(self) -> Self {
        Self { is_discovered: true, ..self }
    }

    /// The same, and it is one of a cluster: that it sends a client to another one is no refusal.
    pub fn of_cluster(self) -> Self {
        Self { is_of_cluster: true, ..self }
    }

    /// The same, and TLS is spoken to it, if so.
    pub fn with_tls(self, has_tls: bool) -> Self {
        Self { has_tls, ..self }
    }

    /// Begins to connect, and to look the server's name up.
    pub fn start(&mut self, now: Instant) {
        if !self.addresses.is_empty() {
            // A new worker has clients before a connection: after a reload, they can wait.
            self.expect(now);
            self.connect(now);
        } else if self.resolve_at.is_some() {
            self.pipeline.begin(now + self.settings.timeout, now);
            self.phase = Phase::Unresolved { until: Some(now + self.settings.timeout) };
        }
        self.resolve_if_due(now);
    }

    /// What is to be done next, if anything is. To be asked after each call that lets something
    /// happen.
    pub fn action(&mut self) -> Option<Action<A>> {
        self.actions.pop_front()
    }

    /// The lookups that have ended since they were last drained.
    pub fn completions(&mut self) -> &mut Completions<T> {
        self.pipeline.completions()
    }

    /// What has happened since this was last asked.
    pub fn take_counts(&mut self) -> Counts {
        mem::take(&mut self.counts)
    }

    /// How things are.
    pub fn state(&self) -> State {
        match self.phase {
            Phase::Unresolved { .. } | Phase::Closed { .. } | Phase::Stopped => State::Down,
            Phase::Connecting { .. } | Phase::Greeting { .. } => State::Connecting,
            Phase::Ready { .. } => State::Up,
        }
    }

    /// Whether lookups are turned away because the server answers too late, all or all but one at a
    /// time.
    pub fn is_paused(&self) -> bool {
        !self.breaker.is_closed()
    }

    /// Why the server is not up, or why lookups are paused; empty where neither is so, and where it is
    /// not known yet.
    pub fn reason(&self) -> Cow<'_, str> {
        match self.phase {
            Phase::Ready { .. } if self.is_paused() => Failure::Late.to_string().into(),
            Phase::Ready { .. } => "".into(),
            _ => (&*self.trouble).into(),
        }
    }

    /// Whether there is a connection.
    pub fn is_connected(&self) -> bool {
        matches!(self.phase, Phase::Greeting { .. } | Phase::Ready { .. })
    }

    /// How many requests have no reply.
    pub fn waiting_requests(&self) -> usize {
        self.pipeline.waiting_requests()
    }

    /// How many bytes the requests without a reply take.
    pub fn waiting_bytes(&self) -> u64 {
        self.pipeline.waiting_bytes()
    }

    /// Looks `key` up. The lookup ends once, among the [`completions`](Self::completions), by
    /// `deadline`, or after `timeout` if that is earlier.
    ///
    /// On an error nothing was queued.
    pub fn get(
        &mut self,
        key: &Key,
        deadline: Instant,
        token: T,
        now: Instant,
    ) -> Result<(), Unavailable> {
        let is_asking = mem::take(&mut self.is_asking);
        if !self.breaker.admits() {
            return Err(Unavailable::Down);
        }
        self.admit()?;
        self.breaker.lookup_sent();
        self.has_asked = true;
        self.ask_first(is_asking, now);
        let deadline = deadline.min(now + self.settings.timeout);
        self.pipeline.ask(Request::Get(key), deadline, Some(token), now);
        Ok(())
    }

    /// Has the server, which is one of a cluster, told that the next request is for a key that it is
    /// about to get from another one. It is not told of a request that is not queued: what would come
    /// after it then is for any key.
    pub fn asking(&mut self) {
        self.is_asking = true;
    }

    /// Puts a record, for a second at least. With a token, how that ends is told among the [`completions`](Self::completions).
    ///
    /// On an error nothing was queued. Records that were, and are not stored, are
    /// [counted](Counts::sessions_failed).
    pub fn put(&mut self, put: Put<'_>, token: Option<T>, now: Instant) -> Result<(), Unavailable> {
        let is_asking = mem::take(&mut self.is_asking);
        self.admit()?;
        if put.record.len() > MAX_RECORD {
            return Err(Unavailable::Full);
        }
        self.ask_first(is_asking, now);
        let request = Request::Put(Put { ttl: put.ttl.max(1), ..put });
        self.pipeline.ask(request, now + self.settings.timeout, token, now);
        self.key.get_or_insert_with(|| put.key.clone());
        self.unconfirmed += 1;
        Ok(())
    }

    /// Adds a record, for a second at least, where there is none under its key. It ends once, among the
    /// [`completions`](Self::completions), by `deadline`, or after `timeout` if that is earlier: as
    /// [`Ended::Done`](crate::server::Ended) where it was put there, and of all that add one under a key
    /// only the first is told so. Where the end is none of the server's, it may have been.
    ///
    /// On an error nothing was queued. Somebody waits for the end, as for that of a lookup: it is turned
    /// away like one.
    ///
    /// # Servers that are too old
    ///
    /// A Redis before 2.6.12 refuses that. It is asked then whether it can do it in two requests, and if
    /// it can, has the next ones put and then has them live for `ttl` from then on, whether they are the
    /// first or not: what a connection that was lost between the two has left there for good gets its
    /// time with the next.
    pub fn add(
        &mut self,
        put: Put<'_>,
        deadline: Instant,
        token: T,
        now: Instant,
    ) -> Result<(), Unavailable> {
        let is_asking = mem::take(&mut self.is_asking);
        if !self.breaker.admits_addition() {
            return Err(Unavailable::Down);
        }
        self.admit()?;
        if put.record.len() > MAX_RECORD {
            return Err(Unavailable::Full);
        }
        self.breaker.addition_sent();
        self.has_asked = true;
        self.ask_first(is_asking, now);
        self.key.get_or_insert_with(|| put.key.clone());
        let deadline = deadline.min(now + self.settings.timeout);
        let put = Put { ttl: put.ttl.max(1), ..put };
        if !self.adds_in_two {
            self.pipeline.ask(Request::Add(put), deadline, Some(token), now);
            return Ok(());
        }
        let Put { key, record, ttl, .. } = put;
        self.pipeline.ask(Request::AddForGood { key, record }, deadline, Some(token), now);
        self.pipeline.ask(Request::Expire { key, ttl }, now + self.settings.timeout, None, now);
        Ok(())
    }

    /// Deletes what lies under `key`. With a token, how that ends is told among the
    /// [`completions`](Self::completions). On an error nothing was queued.
    pub fn delete(&mut self, key: &Key, token: Option<T>, now: Instant) -> Result<(), Unavailable> {
        let is_asking = mem::take(&mut self.is_asking);
        self.admit_among(2)?;
        self.ask_first(is_asking, now);
        self.pipeline.ask(Request::Delete(key), now + self.settings.timeout, token, now);
        Ok(())
    }

    /// A request follows that ASKING goes before, if it does.
    fn ask_first(&mut self, is_asking: bool, now: Instant) {
        if is_asking {
            self.pipeline.ask(Request::Asking, now + self.settings.timeout, None, now);
        }
    }

    fn admit(&self) -> Result<(), Unavailable> {
        self.admit_among(1)
    }

    /// Whether a request is accepted, where so many times the requests may wait that are allowed: what is
    /// to be deleted is that of lookups, which may have filled the queue by now.
    fn admit_among(&self, times: usize) -> Result<(), Unavailable> {
        let accepts = match self.phase {
            Phase::Closed { accepts, .. }
            | Phase::Connecting { accepts, .. }
            | Phase::Greeting { accepts } => accepts,
            Phase::Ready { .. } => true,
            Phase::Unresolved { until } => until.is_some(),
            Phase::Stopped => false,
        };
        if !accepts {
            return Err(Unavailable::Down);
        }
        let max = self.settings.max_requests.map(|max| max.saturating_mul(times));
        let is_full = max.is_some_and(|max| self.waiting_requests() >= max);
        if is_full || self.waiting_bytes() >= MAX_WAITING.saturating_mul(times as u64) {
            return Err(Unavailable::Full);
        }
        Ok(())
    }

    /// What to write to the connection; nothing without one.
    pub fn unsent(&self) -> &[u8] {
        if self.is_connected() {
            self.pipeline.unsent()
        } else {
            &[]
        }
    }

    /// The first `count` bytes of [`unsent`](Self::unsent) were written.
    pub fn sent(&mut self, count: usize) {
        self.pipeline.sent(count);
    }

    /// Where to read into; never empty.
    pub fn spare(&mut self) -> &mut [u8] {
        self.pipeline.spare()
    }

    /// The connection is up.
    pub fn connected(&mut self, now: Instant) {
        let Phase::Connecting { accepts, .. } = self.phase else { return };
        if !accepts {
            self.pipeline.begin(now + self.settings.timeout, now);
        }
        self.pipeline.connected(now);
        self.phase = Phase::Greeting { accepts };
    }

    /// The first `count` bytes of [`spare`](Self::spare) were read. When there is no more to read,
    /// [`read_all`](Self::read_all) follows.
    pub fn received(&mut self, count: usize, now: Instant) {
        if self.is_connected() {
            self.pipeline.filled(count);
            if let Err(failure) = self.take_answers(now) {
                self.fail(failure, now);
            }
        }
    }

    /// All that has come was handed in, or the connection is gone: only now is concluded what that
    /// says. A server that greets and closes in one breath is not up meanwhile.
    pub fn read_all(&mut self, now: Instant) {
        self.settle(now);
    }

    /// The connection, or the attempt to make one, is gone.
    pub fn lost(&mut self, loss: Loss, now: Instant) {
        let is_greeting = matches!(self.phase, Phase::Greeting { .. });
        let failure = match loss {
            Loss::Closed(_) if is_greeting && self.has_tls => Failure::ClosedInTlsGreeting,
            Loss::Closed(_) if is_greeting => Failure::ClosedInGreeting,
            // A Redis whose port is for TLS closes before it has read all.
            Loss::Failed(reason) if is_greeting && !self.has_tls => {
                Failure::Lost(format!("{reason}; is it a TLS port? then turn \"tls\" on"))
            }
            Loss::Closed(reason) | Loss::Failed(reason) => Failure::Lost(reason),
        };
        if self.is_connected() || matches!(self.phase, Phase::Connecting { .. }) {
            self.fail(failure, now);
            self.settle(now);
        }
    }

    /// Whether an attempt to connect has lasted for too long: it is [`lost`](Self::lost).
    pub fn is_overdue(&self, now: Instant) -> bool {
        matches!(self.phase, Phase::Connecting { deadline, .. } if deadline <= now)
    }

    /// When [`tick`](Self::tick) must be called next.
    pub fn deadline(&self) -> Option<Instant> {
        let Settings { timeout, interval, .. } = self.settings;
        let next = match self.phase {
            Phase::Unresolved { until } => until,
            Phase::Closed { retry_at, .. } => Some(retry_at),
            Phase::Connecting { deadline, .. } => Some(deadline),
            Phase::Ready { .. } if self.pipeline.is_drained() => {
                Some(self.pipeline.quiet_since() + interval)
            }
            Phase::Greeting { .. } | Phase::Ready { .. } => {
                Some(self.pipeline.quiet_since() + timeout)
            }
            Phase::Stopped => return self.log.due(),
        };
        let [scout_at, switch_at] = self.homing.times();
        earliest([
            next,
            self.pipeline.earliest_deadline(),
            self.probe_at(),
            self.log.due(),
            self.resolve_at,
            scout_at,
            switch_at,
        ])
    }

    /// Does what it is time for.
    pub fn tick(&mut self, now: Instant) {
        let Settings { timeout, interval, .. } = self.settings;
        let (breaker, settings) = (&mut self.breaker, &self.settings);
        self.pipeline.expire(now, |wait| breaker.lookup_unanswered(settings.is_long(wait), now));
        if self.probe_at().is_some_and(|at| at <= now) {
            self.breaker.probe_sent();
            self.probe(now);
        }
        let quiet = now.since(self.pipeline.quiet_since());
        match self.phase {
            Phase::Closed { retry_at, .. } if retry_at <= now => self.connect(now),
            Phase::Unresolved { until: Some(until) } if until <= now => self.wait_for_no_name(now),
            Phase::Greeting { .. } | Phase::Ready { .. }
                if !self.pipeline.is_drained() && quiet >= timeout =>
            {
                self.fail(PipelineError::Silent.into(), now);
            }
            Phase::Ready { .. } if self.pipeline.is_drained() && quiet >= interval => {
                self.probe(now);
            }
            _ => {}
        }
        self.resolve_if_due(now);
        if let Some(address) = self.homing.scout_if_due(now) {
            self.scout(address);
        }
        self.settle(now);
    }

    /// When the breaker wants a probe; the greeting of a new connection is one.
    fn probe_at(&self) -> Option<Instant> {
        self.breaker.probe_at().filter(|_| matches!(self.phase, Phase::Ready { .. }))
    }

    fn probe(&mut self, now: Instant) {
        self.pipeline.ask(Request::Probe, now + self.settings.timeout, None, now);
    }

    /// The server's name was looked up: with its addresses, sorted, and until when they are valid,
    /// or why there are none.
    pub fn resolved(&mut self, result: Result<(Vec<A>, Instant), String>, now: Instant) {
        if matches!(self.phase, Phase::Stopped) {
            return;
        }
        match result {
            Ok((addresses, valid_until)) => {
                self.resolve_at = Some(valid_until);
                let line = self.log.resolved();
                self.tell(line);
                if *self.addresses != *addresses {
                    self.change_addresses(addresses.into(), now);
                }
            }
            Err(reason) => {
                self.resolve_at = Some(now + RESOLVE_RETRY);
                if self.addresses.is_empty() {
                    self.trouble.clone_from(&reason);
                }
                let line = self.log.unresolved(reason, !self.addresses.is_empty(), now);
                self.tell(line);
                self.wait_for_no_name(now);
            }
        }
    }

    fn change_addresses(&mut self, addresses: Rc<[A]>, now: Instant) {
        let former = mem::replace(&mut self.addresses, addresses);
        if former.is_empty() {
            match self.phase {
                Phase::Unresolved { until: Some(_) } => {
                    self.phase = Phase::Closed { retry_at: now, accepts: true };
                }
                _ => self.expect(now),
            }
            return;
        }
        self.homing.forget_switch();
        self.actions.push_back(Action::StopScout);
        let in_use = &former[self.address];
        match self.addresses.iter().position(|address| address == in_use) {
            Some(index) => {
                self.address = index;
                if let Phase::Ready { .. } = self.phase {
                    self.homing.plan(index, now);
                }
            }
            None => {
                let line = self.log.dropped(in_use);
                self.tell(Some(line));
                // At once, but not over and over: who tells of addresses may tell others each time.
                let is_first = now.since(self.moved_at) >= RESOLVE_RETRY;
                let retry_at = match self.phase {
                    Phase::Closed { retry_at, .. } if !is_first => retry_at,
                    _ if !is_first => now + RESOLVE_RETRY,
                    _ => now,
                };
                if is_first {
                    self.moved_at = now;
                }
                self.close(now);
                self.address = 0;
                self.phase = Phase::Closed { retry_at, accepts: false };
            }
        }
    }

    /// Ends what waits for the server's name.
    fn wait_for_no_name(&mut self, now: Instant) {
        if let Phase::Unresolved { until: Some(_) } = self.phase {
            self.close(now);
            self.phase = Phase::Unresolved { until: None };
        }
    }

    /// Looks the server's name up again where it is time to.
    fn resolve_if_due(&mut self, now: Instant) {
        if self.resolve_at.is_some_and(|at| at <= now) && !matches!(self.phase, Phase::Stopped) {
            self.resolve_at = Some(now + RESOLVE_RETRY);
            self.actions.push_back(Action::Resolve);
        }
    }

    /// An address was tried: it is usable or not.
    pub fn scouted(&mut self, is_usable: bool, now: Instant) {
        let timeout = self.settings.timeout;
        if let Some(next) = self.homing.scouted(is_usable, self.address, timeout, now) {
            self.scout(next);
        }
        self.settle(now);
    }

    fn scout(&mut self, address: usize) {
        if let Some(address) = self.addresses.get(address) {
            let key = self.key.as_ref().map(Key::unused);
            self.actions.push_back(Action::Scout(address.clone(), key));
        }
    }

    /// The client is about to end: no connection is made any more. The one that there is goes when
    /// nothing is waited for, and where it is unneeded.
    pub fn exiting(&mut self, is_unneeded: bool, now: Instant) {
        let is_over = match self.phase {
            Phase::Closed { .. } => true,
            Phase::Greeting { .. } | Phase::Ready { .. } => {
                is_unneeded && self.pipeline.is_drained()
            }
            Phase::Unresolved { .. } | Phase::Connecting { .. } | Phase::Stopped => false,
        };
        if is_over {
            self.disconnect(now);
            self.log.end();
            self.phase = Phase::Stopped;
        }
    }

    /// The client ends, and with it everything that waits. Of records that are on their way nothing
    /// is known any more, nor counted.
    pub fn stop(&mut self, now: Instant) {
        self.unconfirmed = 0;
        self.disconnect(now);
        self.log.end();
        self.phase = Phase::Stopped;
    }

    fn connect(&mut self, now: Instant) {
        let accepts = matches!(self.phase, Phase::Closed { accepts: true, .. });
        self.phase = Phase::Connecting { deadline: now + self.settings.timeout, accepts };
        self.actions.push_back(Action::Connect(self.addresses[self.address].clone()));
    }

    /// A connection is likely to come, and is due now: requests queue up behind its greeting.
    fn expect(&mut self, now: Instant) {
        self.pipeline.begin(now + self.settings.timeout, now);
        self.phase = Phase::Closed { retry_at: now, accepts: true };
    }

    /// Makes of the received bytes what they say.
    fn take_answers(&mut self, now: Instant) -> Result<(), Failure> {
        let mut refused: Option<(u32, Refused)> = None;
        let mut is_read_only = false;
        while let Some(mut answer) = self.pipeline.next_answer(now)? {
            if self.is_of_cluster {
                answer.refusal.take_if(|refusal| refusal.is_redirect);
            }
            self.note(&answer, now);
            if answer.refusal.take_if(|refusal| refusal.is_outdated).is_some() {
                self.ask_whether_adds_in_two(now);
            }
            if let Some(refusal) = answer.refusal {
                is_read_only |= refusal.is_read_only
                    && matches!(answer.to, Kind::Put | Kind::Add | Kind::Delete);
                refused.get_or_insert((0, refusal)).0 += 1;
            }
        }
        if matches!(self.phase, Phase::Greeting { .. }) && self.pipeline.is_greeted() {
            self.became_ready(now);
        }
        if let Some((count, Refused { text, is_of_cluster, .. })) = refused {
            self.log.refused(count, &self.addresses[self.address], text, is_of_cluster);
        }
        if is_read_only && self.leaves_replica(now) {
            return Err(Failure::Replica);
        }
        Ok(())
    }

    /// Has an old server asked whether it can add in two requests.
    fn ask_whether_adds_in_two(&mut self, now: Instant) {
        if let Some(key) = self.key.as_ref().map(Key::unused) {
            self.pipeline.ask(Request::Persist(&key), now + self.settings.timeout, None, now);
        }
    }

    /// What an answer says of the server.
    fn note(&mut self, answer: &Answer, now: Instant) {
        let is_refused = answer.refusal.is_some();
        match answer.to {
            Kind::Lookup | Kind::Add if is_refused => {
                let in_vain = self.settings.is_long(answer.waited);
                self.breaker.lookup_unanswered(in_vain, now);
            }
            Kind::Lookup | Kind::Add => {
                self.has_answered = true;
                self.breaker.lookup_answered(now);
            }
            Kind::Put => {
                self.unconfirmed = self.unconfirmed.saturating_sub(1);
                self.counts.sessions_failed += usize::from(is_refused);
            }
            Kind::Probe => self.breaker.probe_answered(answer.is_in_time, now),
            Kind::Persist => self.adds_in_two = !is_refused,
            Kind::Greeting | Kind::Late | Kind::Expire | Kind::Delete => {}
        }
    }

    fn became_ready(&mut self, now: Instant) {
        self.phase = Phase::Ready { since: now };
        self.trouble.clear();
        self.counts.connected += 1;
        self.backoff.succeeded();
        self.homing.arrived(self.address, now);
    }

    /// Whether the server, which is a replica, is left for the next one. Where all of them are, they
    /// are gone through now and then: one may have become the master.
    fn leaves_replica(&mut self, now: Instant) -> bool {
        let (others, again) = match self.is_discovered {
            true => (1, RESOLVE_RETRY),
            false => (self.addresses.len() - 1, REPLICAS_AGAIN),
        };
        if now.since(self.left_replica_at) >= again {
            self.replicas = 0;
        }
        let leaves = self.replicas < others;
        if leaves {
            self.replicas += 1;
            self.left_replica_at = now;
        }
        leaves
    }

    /// Ends what waits, and plans the next attempt: at once to the same address where its connection
    /// has done well, and to the next while there are any that have not been tried, else after a
    /// while.
    fn fail(&mut self, failure: Failure, now: Instant) {
        if let (Phase::Greeting { accepts }, true) = (self.phase, self.is_of_name(&failure)) {
            self.connect_without_name(accepts, now);
            return;
        }
        let ready_for = match self.phase {
            Phase::Ready { since } => Some(now.since(since)),
            _ => None,
        };
        let is_steady = self.is_steady(ready_for, &failure);
        if self.has_lasted(ready_for) {
            self.failures = 0;
        }
        if !is_steady {
            self.failures += 1;
        }
        let all_tried = self.failures >= self.addresses.len();
        if matches!(self.phase, Phase::Connecting { .. }) && !all_tried {
            // What has waited for this address says nothing of the others.
            self.close(now);
        } else {
            self.disconnect(now);
        }
        self.counts.failed += 1;

        let is_unknown = self.log.is_unknown();
        let address = &self.addresses[self.address];
        self.trouble = failure.to_string();
        if self.log.is_up() || (is_unknown && all_tried) {
            self.log.went_down(address, self.trouble.clone());
        } else if !is_unknown {
            self.log.still_down(address, self.trouble.clone());
        }
        self.homing.lost(ready_for, !is_steady);
        if !is_steady {
            self.address = (self.address + 1) % self.addresses.len();
        }
        self.resolve_at = self.resolve_at.map(|_| now);
        let wait = if all_tried { self.backoff.failed() } else { Duration::ZERO };
        let accepts = is_steady || (is_unknown && !all_tried);
        if accepts {
            self.pipeline.begin(now + self.settings.timeout, now);
        }
        self.phase = Phase::Closed { retry_at: now + wait, accepts };
    }

    /// Whether the connection may have been lost in the greeting because it was to be given a name. A proxy
    /// may close a connection at a command that it does not know.
    fn is_of_name(&self, failure: &Failure) -> bool {
        match failure {
            Failure::Lost(_) | Failure::ClosedInGreeting | Failure::ClosedInTlsGreeting => {
                self.pipeline.is_naming()
            }
            _ => self.pipeline.is_down_to_name(),
        }
    }

    /// Tries at once whether the server is of use where no connection is given a name. Nothing else is
    /// made of what has happened: if that was not for the name, it happens again.
    fn connect_without_name(&mut self, accepts: bool, now: Instant) {
        self.pipeline.give_no_name();
        self.close(now);
        if accepts {
            self.pipeline.begin(now + self.settings.timeout, now);
        }
        self.phase = Phase::Closed { retry_at: now, accepts };
    }

    /// Whether the connection has done well before this happened to it: it lasted for some time,
    /// lookups were answered if there were any, and it was simply lost.
    fn is_steady(&self, ready_for: Option<Duration>, failure: &Failure) -> bool {
        matches!(failure, Failure::Lost(_))
            && (self.has_answered || !self.has_asked)
            && self.has_lasted(ready_for)
    }

    /// Whether the connection, ready for so long if it was, was more than a greeting.
    fn has_lasted(&self, ready_for: Option<Duration>) -> bool {
        let span = self.settings.interval.min(STEADY);
        ready_for.is_some_and(|ready_for| ready_for >= span)
    }

    /// Closes the connection. What has waited for it says how the server is.
    fn disconnect(&mut self, now: Instant) {
        let quiet = now.since(self.pipeline.quiet_since());
        let is_owed = self.is_connected() && !self.pipeline.is_drained();
        if is_owed && self.settings.is_long(quiet) {
            self.breaker.silent(now);
        } else {
            // Those as well that have waited for the connection.
            for wait in self.pipeline.waits(now) {
                if self.settings.is_long(wait) {
                    self.breaker.lookup_unanswered(true, now);
                }
            }
        }
        self.close(now);
    }

    /// Closes the connection. What has waited for it says nothing of another address.
    fn close(&mut self, now: Instant) {
        self.homing.pause();
        self.actions.extend([Action::StopScout, Action::Close]);
        self.breaker.disconnected(now);
        self.pipeline.end();
        self.adds_in_two = false;
        self.has_asked = false;
        self.has_answered = false;
        self.counts.sessions_failed += mem::take(&mut self.unconfirmed);
    }

    /// Concludes and tells what follows from what has happened.
    fn settle(&mut self, now: Instant) {
        self.switch_if_due(now);
        let is_ready = matches!(self.phase, Phase::Ready { .. });
        if self.log.is_up() && is_ready && self.breaker.is_open() {
            self.log.went_down(&self.addresses[self.address], Failure::Late.to_string());
        } else if is_ready && self.breaker.is_answering() {
            self.log.went_up();
        }
        let is_up = self.log.is_up() && is_ready;
        let up = is_up.then(|| &self.addresses[self.address]);
        let actions = &mut self.actions;
        self.log.tell(up, now, |line| actions.push_back(Action::Log(line)));
    }

    /// Changes to the address that the scout has found usable.
    fn switch_if_due(&mut self, now: Instant) {
        let is_drained = self.pipeline.is_drained();
        if let Some(address) = self.homing.switch_if_due(is_drained, now) {
            let line = self.log.dropped(&self.addresses[self.address]);
            self.tell(Some(line));
            self.close(now);
            self.address = address;
            self.expect(now);
        }
    }

    fn tell(&mut self, line: Option<Line<A>>) {
        self.actions.extend(line.map(Action::Log));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::Redis;
    use crate::server::completions::{Addition, Lookup};
    use crate::session::Keyspace;

    const TIMEOUT: Duration = Duration::from_secs(1);
    const INTERVAL: Duration = Duration::from_millis(200);

    /// A Redis, as its client sees it, and the client's clock.
    struct Fixture {
        server: Server<&'static str, u8>,
        now: Instant,
        /// Lookups that ended as there was no record.
        missing: Vec<u8>,
    }

    /// The connection was given up.
    #[derive(Debug, PartialEq, Eq)]
    struct Silent;

    impl Fixture {
        fn with(max_requests: Option<usize>, addresses: &[&'static str]) -> Self {
            let settings = Settings { timeout: TIMEOUT, interval: INTERVAL, max_requests };
            let redis = Rc::new(Redis::new(None, 0));
            let now = Instant::from_millis(1_000_000);
            let server = Server::new(redis, settings, addresses.into(), false, 1, now);
            Self { server, now, missing: Vec::new() }
        }

        fn with_limit(max_requests: Option<usize>) -> Self {
            Self::with(max_requests, &["a"])
        }

        fn new() -> Self {
            Self::with_limit(None)
        }

        fn ready() -> Self {
            let mut fixture = Self::new();
            fixture.connect();
            fixture
        }

        /// A connection comes that nothing has waited for.
        fn connected(&mut self) {
            let deadline = self.now + TIMEOUT;
            self.server.phase = Phase::Connecting { deadline, accepts: false };
            self.server.connected(self.now);
        }

        fn connect(&mut self) {
            self.connected();
            self.greet();
        }

        fn greet(&mut self) {
            self.send();
            self.receive(b"+PONG\r\n").unwrap();
            assert_eq!(self.server.state(), State::Up);
            assert_eq!(self.server.reason().is_empty(), !self.server.is_paused());
        }

        /// The connection goes, and no other comes by itself.
        fn lose(&mut self) {
            self.server.disconnect(self.now);
            let retry_at = self.now + Duration::from_secs(1_000_000);
            self.server.phase = Phase::Closed { retry_at, accepts: false };
        }

        fn get(&mut self, id: u8) -> Result<(), Unavailable> {
            self.get_until(id, self.now + TIMEOUT)
        }

        fn get_until(&mut self, id: u8, deadline: Instant) -> Result<(), Unavailable> {
            self.server.get(&key(id), deadline, id, self.now)
        }

        fn put(&mut self, id: u8, record: &[u8]) -> Result<(), Unavailable> {
            let put = Put { key: &key(id), record, ttl: 300, unix_now: 1_700_000_000 };
            self.server.put(put, None, self.now)
        }

        fn add(&mut self, id: u8, record: &[u8]) -> Result<(), Unavailable> {
            let put = Put { key: &key(id), record, ttl: 0, unix_now: 1_700_000_000 };
            self.server.add(put, self.now + TIMEOUT, id, self.now)
        }

        /// The records to add that have ended.
        fn added(&mut self) -> Vec<(u8, Addition)> {
            let mut added = Vec::new();
            self.server.completions().drain(|id, end| added.push((id, end.into())));
            added
        }

        /// Everything that waits to be sent, which is sent.
        fn send(&mut self) -> Vec<u8> {
            let bytes = self.server.unsent().to_vec();
            self.server.sent(bytes.len());
            bytes
        }

        fn receive(&mut self, bytes: &[u8]) -> Result<(), String> {
            self.server.spare()[..bytes.len()].copy_from_slice(bytes);
            self.server.pipeline.filled(bytes.len());
            let result = self.server.take_answers(self.now);
            self.server.settle(self.now);
            result.map_err(|failure| failure.to_string())
        }

        /// A lookup that is answered at once.
        fn answered(&mut self, id: u8) {
            self.get(id).unwrap();
            self.send();
            self.receive(b"$-1\r\n").unwrap();
        }

        fn wait(&mut self, span: Duration) -> Result<(), Silent> {
            self.now = self.now + span;
            let was_connected = self.server.is_connected();
            self.server.tick(self.now);
            if was_connected && !self.server.is_connected() {
                Err(Silent)
            } else {
                Ok(())
            }
        }

        /// The lookups that have ended without an answer.
        fn ended(&mut self) -> Vec<(u8, Unavailable)> {
            let mut ended = Vec::new();
            let missing = &mut self.missing;
            self.server.completions().drain(|id, end| match end.into() {
                Lookup::Unavailable(reason) => ended.push((id, reason)),
                _ => missing.push(id),
            });
            ended
        }

        fn has_served(&self) -> bool {
            self.server.is_steady(Some(TIMEOUT), &Failure::Lost(String::new()))
        }
    }

    fn key(id: u8) -> Key {
        Keyspace::new(b"k").unwrap().key(&[id]).unwrap()
    }

    /// A server whose lookups timed out until they were paused; nothing is answered.
    fn paused() -> Fixture {
        let mut fixture = Fixture::ready();
        let deadline = fixture.now + TIMEOUT / 2;
        for id in 1..=5 {
            assert!(!fixture.server.is_paused());
            fixture.get_until(id, deadline).unwrap();
        }
        fixture.send();
        fixture.wait(TIMEOUT / 2).unwrap();
        assert_eq!(fixture.ended().len(), 5);
        assert!(fixture.server.is_paused());
        assert_eq!(fixture.get(6), Err(Unavailable::Down));
        assert_eq!(fixture.send(), b"*1\r\n$4\r\nPING\r\n");
        fixture
    }

    #[test]
    fn nothing_is_accepted_before_the_greeting_is_answered() {
        let mut fixture = Fixture::new();
        assert_eq!(fixture.get(1), Err(Unavailable::Down));
        fixture.connected();
        assert_eq!(fixture.get(1), Err(Unavailable::Down));
        assert_eq!(fixture.put(1, b"x"), Err(Unavailable::Down));
        assert_eq!(fixture.ended(), []);
    }

    #[test]
    fn at_the_start_requests_wait_for_the_connection() {
        let mut fixture = Fixture::new();
        fixture.server.start(fixture.now);
        fixture.get(1).unwrap();
        fixture.wait(TIMEOUT / 2).unwrap();
        fixture.get(2).unwrap();
        assert_eq!(fixture.send(), b"", "there is none");
        fixture.wait(TIMEOUT / 2).unwrap();
        assert_eq!(fixture.ended(), [(1, Unavailable::Timeout)]);

        fixture.server.connected(fixture.now);
        fixture.send();
        fixture.receive(b"+PONG\r\n").unwrap();
        assert!(fixture.send().ends_with(b"k02\r\n"));
        fixture.receive(b"$-1\r\n$-1\r\n").unwrap();
        assert_eq!(fixture.ended(), []);
        assert_eq!(fixture.missing, [2]);
    }

    #[test]
    fn what_waits_for_a_connection_ends_where_there_is_none() {
        let mut fixture = Fixture::new();
        fixture.server.start(fixture.now);
        fixture.get(1).unwrap();
        fixture.lose();
        assert_eq!(fixture.ended(), [(1, Unavailable::Down)]);
        assert_eq!(fixture.get(2), Err(Unavailable::Down));
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
        assert_eq!(fixture.ended(), [(1, Unavailable::Timeout)]);
        fixture.receive(&[b'x'; 1_000_000 - 61 * MAX_RECORD]).unwrap();
        fixture.receive(b"\r\n").unwrap();
        assert!(fixture.server.pipeline.is_drained());

        fixture.get(2).unwrap();
        fixture.send();
        fixture.receive(b"$1000000\r\n").unwrap();
        for _ in 0..9 {
            fixture.wait(TIMEOUT / 10).unwrap();
            fixture.receive(b"x").unwrap();
        }
        assert_eq!(fixture.wait(TIMEOUT / 10), Err(Silent), "too little of it");
    }

    #[test]
    fn no_lookup_waits_longer_than_the_timeout() {
        let mut fixture = Fixture::ready();
        fixture.get_until(1, fixture.now + 60 * TIMEOUT).unwrap();
        assert_eq!(fixture.server.deadline(), Some(fixture.now + TIMEOUT));
    }

    #[test]
    fn a_silent_store_fails_after_its_lookups_timed_out() {
        let mut fixture = Fixture::ready();
        fixture.get(1).unwrap();
        fixture.send();
        fixture.wait(TIMEOUT / 2).unwrap();
        fixture.get(2).unwrap();
        assert_eq!(fixture.wait(TIMEOUT / 2), Err(Silent));
        assert_eq!(fixture.ended(), [(1, Unavailable::Timeout), (2, Unavailable::Down)]);
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
        assert_eq!(fixture.wait(TIMEOUT / 10), Err(Silent));
    }

    #[test]
    fn a_store_that_never_greets_is_silent() {
        let mut fixture = Fixture::new();
        fixture.connected();
        assert_eq!(fixture.server.deadline(), Some(fixture.now + TIMEOUT));
        assert_eq!(fixture.wait(TIMEOUT), Err(Silent));
    }

    #[test]
    fn an_idle_store_is_probed() {
        let mut fixture = Fixture::ready();
        assert_eq!(fixture.server.deadline(), Some(fixture.now + INTERVAL));
        fixture.wait(INTERVAL).unwrap();
        assert_eq!(fixture.send(), b"*1\r\n$4\r\nPING\r\n");
        fixture.wait(INTERVAL).unwrap();
        assert_eq!(fixture.send(), b"", "one probe at a time");
        fixture.receive(b"+PONG\r\n").unwrap();
        assert_eq!(fixture.server.deadline(), Some(fixture.now + INTERVAL));
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
        for _ in 0..3 {
            fixture.server.delete(&key(4), None, fixture.now).unwrap();
        }
        assert_eq!(fixture.server.delete(&key(4), None, fixture.now), Err(Unavailable::Full));

        fixture.send();
        fixture.receive(b"$-1\r\n+OK\r\n$-1\r\n:1\r\n").unwrap();
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

            fixture.lose();
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
    fn a_record_is_added_within_the_limits_of_a_lookup() {
        let mut fixture = Fixture::with_limit(Some(3));
        assert_eq!(fixture.add(1, b"one"), Err(Unavailable::Down));
        fixture.connect();
        assert_eq!(fixture.add(1, &[0; MAX_RECORD + 1]), Err(Unavailable::Full));
        for id in 1..=3 {
            fixture.add(id, b"one").unwrap();
        }
        assert_eq!(fixture.add(4, b"four"), Err(Unavailable::Full));
        let sent = fixture.send();
        let first =
            b"*6\r\n$3\r\nSET\r\n$3\r\nk01\r\n$3\r\none\r\n$2\r\nEX\r\n$1\r\n1\r\n$2\r\nNX\r\n";
        assert!(sent.starts_with(first), "for a second at least");
        fixture.receive(b"+OK\r\n$-1\r\n").unwrap();
        assert_eq!(fixture.added(), [(1, Addition::First), (2, Addition::Present)]);
        fixture.lose();
        assert_eq!(fixture.added(), [(3, Addition::Unavailable(Unavailable::Down))]);

        let mut fixture = Fixture::ready();
        let put = Put { key: &key(1), record: b"one", ttl: 300, unix_now: 0 };
        fixture.server.add(put, fixture.now + 60 * TIMEOUT, 1, fixture.now).unwrap();
        assert_eq!(fixture.wait(TIMEOUT), Err(Silent));
        assert_eq!(fixture.added(), [(1, Addition::Unavailable(Unavailable::Timeout))]);
        assert_eq!(fixture.server.take_counts().sessions_failed, 0, "it is none of a session");
    }

    /// Somebody waits for it: not many shall for a server that answers too late.
    #[test]
    fn a_record_to_add_counts_as_a_lookup_that_is_late() {
        let mut fixture = Fixture::ready();
        for id in 1..=5 {
            let put = Put { key: &key(id), record: b"one", ttl: 300, unix_now: 0 };
            fixture.server.add(put, fixture.now + TIMEOUT / 2, id, fixture.now).unwrap();
        }
        fixture.wait(TIMEOUT / 2).unwrap();
        assert_eq!(fixture.added().len(), 5);
        assert!(fixture.server.is_paused());
        assert_eq!(fixture.add(6, b"six"), Err(Unavailable::Down));
        assert_eq!(fixture.get(6), Err(Unavailable::Down));

        fixture.send();
        fixture.receive(&b"$-1\r\n".repeat(5)).unwrap();
        fixture.receive(b"+PONG\r\n").unwrap();
        fixture.add(6, b"six").unwrap();
        assert_eq!(fixture.get(7), Err(Unavailable::Down), "one tries");
        fixture.send();
        fixture.receive(b"+OK\r\n").unwrap();
        assert!(fixture.server.breaker.is_answering());

        let mut fixture = Fixture::ready();
        for id in 1..=5 {
            fixture.add(id, b"one").unwrap();
        }
        fixture.send();
        fixture.wait(TIMEOUT / 2).unwrap();
        fixture.receive(&b"-ERR timed out\r\n".repeat(5)).unwrap();
        assert!(fixture.server.is_paused(), "refused after a wait");
    }

    const OUTDATED: &[u8] = b"-ERR wrong number of arguments for 'set' command\r\n";

    /// A Redis before 2.6.12. A connection is as far as what it has told goes: the next one may be to
    /// another server.
    #[test]
    fn an_old_server_adds_in_two_requests() {
        let mut fixture = Fixture::ready();
        done(&mut fixture);
        fixture.add(1, b"one").unwrap();
        fixture.send();
        fixture.receive(OUTDATED).unwrap();
        assert_eq!(fixture.added(), [(1, Addition::Unavailable(Unavailable::Refused))]);
        assert_eq!(fixture.send(), b"*2\r\n$7\r\nPERSIST\r\n$3\r\nk0-\r\n");
        fixture.receive(b":0\r\n").unwrap();
        assert_eq!(done(&mut fixture), [""; 0], "no refusal that an operator is to know of");

        fixture.add(1, b"one").unwrap();
        fixture.add(2, b"two").unwrap();
        assert_eq!(
            fixture.send(),
            b"*3\r\n$5\r\nSETNX\r\n$3\r\nk01\r\n$3\r\none\r\n\
              *3\r\n$6\r\nEXPIRE\r\n$3\r\nk01\r\n$1\r\n1\r\n\
              *3\r\n$5\r\nSETNX\r\n$3\r\nk02\r\n$3\r\ntwo\r\n\
              *3\r\n$6\r\nEXPIRE\r\n$3\r\nk02\r\n$1\r\n1\r\n"
        );
        fixture.receive(b":1\r\n:1\r\n:0\r\n:1\r\n").unwrap();
        assert_eq!(fixture.added(), [(1, Addition::First), (2, Addition::Present)]);
        assert!(fixture.server.pipeline.is_drained());

        fixture.lose();
        fixture.connect();
        fixture.add(3, b"three").unwrap();
        assert!(fixture.send().starts_with(b"*6\r\n$3\r\nSET\r\n"));
    }

    /// A Redis before 2.2 deletes what has a time to live before it adds: each would be the first.
    #[test]
    fn a_server_that_is_too_old_does_not_add() {
        let mut fixture = Fixture::ready();
        done(&mut fixture);
        for round in 0..3 {
            fixture.add(1, b"one").unwrap();
            assert!(fixture.send().starts_with(b"*6\r\n$3\r\nSET\r\n"), "{round}");
            fixture.receive(OUTDATED).unwrap();
            fixture.send();
            fixture.receive(b"-ERR unknown command 'PERSIST'\r\n").unwrap();
            assert_eq!(fixture.added(), [(1, Addition::Unavailable(Unavailable::Refused))]);
        }
        let told = done(&mut fixture);
        assert!(told[0].contains("ERR unknown command 'PERSIST'") && told.len() == 1, "{told:?}");
    }

    #[test]
    fn late_replies_pause_lookups_until_they_are_answered_in_time_again() {
        let mut fixture = paused();
        fixture.put(7, b"seven").unwrap();
        fixture.receive(&b"$-1\r\n".repeat(5)).unwrap();
        assert_eq!(fixture.get(6), Err(Unavailable::Down));
        fixture.receive(b"+PONG\r\n").unwrap();
        assert!(!fixture.server.breaker.is_answering());

        fixture.get(6).unwrap();
        assert_eq!(fixture.get(7), Err(Unavailable::Down), "one lookup tries");
        fixture.send();
        fixture.receive(b"+OK\r\n$-1\r\n").unwrap();
        assert!(fixture.server.breaker.is_answering());
        for _ in 0..4 {
            fixture.get(7).unwrap();
            assert_eq!(fixture.get(8), Err(Unavailable::Down), "one at a time");
            fixture.send();
            fixture.wait(TIMEOUT / 4).unwrap();
            fixture.receive(b"$-1\r\n").unwrap();
        }
        assert!(!fixture.server.is_paused());
        fixture.get(7).unwrap();
        fixture.get(8).unwrap();
    }

    #[test]
    fn a_request_to_add_goes_with_a_lookup_that_tries() {
        let mut fixture = paused();
        fixture.receive(&b"$-1\r\n".repeat(5)).unwrap();
        fixture.receive(b"+PONG\r\n").unwrap();
        fixture.get(6).unwrap();
        fixture.add(7, b"claim").unwrap();
        assert_eq!(fixture.add(8, b"claim"), Err(Unavailable::Down), "one with each");
        assert_eq!(fixture.get(8), Err(Unavailable::Down), "one at a time");
        fixture.send();
        fixture.receive(b"$-1\r\n+OK\r\n").unwrap();
        assert!(fixture.server.breaker.is_answering());
        fixture.add(8, b"claim").unwrap();
        assert_eq!(fixture.get(6), Err(Unavailable::Down), "an addition tries as well");
    }

    #[test]
    fn probes_end_a_trial_without_more_lookups() {
        let mut fixture = paused();
        fixture.receive(&b"$-1\r\n".repeat(5)).unwrap();
        fixture.receive(b"+PONG\r\n").unwrap();
        for _ in 0..5 {
            fixture.wait(INTERVAL).unwrap();
            fixture.send();
            fixture.receive(b"+PONG\r\n").unwrap();
        }
        assert!(!fixture.server.breaker.is_answering(), "no lookup was answered");
        fixture.answered(6);
        for _ in 0..5 {
            assert!(fixture.server.is_paused());
            fixture.wait(INTERVAL).unwrap();
            fixture.send();
            fixture.receive(b"+PONG\r\n").unwrap();
        }
        assert!(!fixture.server.is_paused());
    }

    #[test]
    fn a_silent_connection_pauses_lookups_on_the_next() {
        let mut fixture = Fixture::ready();
        fixture.put(1, b"one").unwrap();
        fixture.wait(TIMEOUT / 2).unwrap();
        fixture.get(2).unwrap();
        fixture.send();
        assert_eq!(fixture.wait(TIMEOUT / 2), Err(Silent));
        fixture.lose();
        assert_eq!(fixture.ended(), [(2, Unavailable::Down)]);

        fixture.connect();
        fixture.answered(3);
        assert!(fixture.server.is_paused());

        // The next trials fail as well: each is followed by a longer wait.
        let mut waits = Vec::new();
        for _ in 0..6 {
            fixture.put(1, b"one").unwrap();
            fixture.get(2).unwrap();
            fixture.send();
            assert_eq!(fixture.wait(TIMEOUT), Err(Silent));
            fixture.lose();
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
            fixture.lose();
            fixture.connect();
            assert_eq!(fixture.server.is_paused(), is_silent, "{wait:?}");
        }
    }

    #[test]
    fn lookups_that_are_lost_after_a_wait_are_in_vain_though_others_were_answered() {
        let mut fixture = Fixture::ready();
        (0..6).for_each(|id| fixture.get(id).unwrap());
        fixture.send();
        fixture.wait(TIMEOUT / 4).unwrap();
        fixture.receive(b"$-1\r\n").unwrap();
        fixture.lose();
        assert!(fixture.server.is_paused());

        let mut fixture = Fixture::ready();
        (0..6).for_each(|id| fixture.get(id).unwrap());
        fixture.send();
        fixture.wait(TIMEOUT / 10).unwrap();
        fixture.receive(b"$-1\r\n").unwrap();
        fixture.lose();
        assert!(!fixture.server.is_paused(), "they have hardly waited");
    }

    #[test]
    fn lookups_that_wait_for_a_connection_that_does_not_come_are_in_vain() {
        let mut fixture = Fixture::new();
        fixture.server.start(fixture.now);
        (0..5).for_each(|id| fixture.get(id).unwrap());
        fixture.wait(TIMEOUT / 4).unwrap();
        fixture.lose();
        assert!(fixture.server.is_paused());
    }

    #[test]
    fn lookups_that_wait_for_an_address_say_nothing_of_another() {
        let mut fixture = Fixture::new();
        fixture.server.start(fixture.now);
        (0..5).for_each(|id| fixture.get(id).unwrap());
        fixture.wait(TIMEOUT / 4).unwrap();
        fixture.server.close(fixture.now);
        assert!(!fixture.server.is_paused());
        assert_eq!(fixture.ended().len(), 5);
    }

    #[test]
    fn a_connection_has_served_where_lookups_were_answered_if_there_were_any() {
        let mut fixture = Fixture::ready();
        fixture.put(1, b"one").unwrap();
        assert!(fixture.has_served());
        fixture.get(2).unwrap();
        assert!(!fixture.has_served());
        fixture.send();
        fixture.receive(b"+OK\r\n-OOM x\r\n").unwrap();
        assert!(!fixture.has_served(), "a refusal is no answer");
        fixture.get(2).unwrap();
        fixture.send();
        fixture.receive(b"$-1\r\n").unwrap();
        assert!(fixture.has_served());

        fixture.lose();
        fixture.connect();
        fixture.get(2).unwrap();
        assert!(!fixture.has_served(), "over the next connection");
    }

    #[test]
    fn late_refusals_are_no_answers_and_prompt_ones_do_no_harm() {
        for (wait, is_paused) in [(Duration::ZERO, false), (TIMEOUT * 2 / 5, true)] {
            let mut fixture = Fixture::ready();
            for id in 0..5 {
                fixture.get(id).unwrap();
            }
            fixture.send();
            fixture.wait(wait).unwrap();
            fixture.receive(&b"-ERR timed out\r\n".repeat(5)).unwrap();
            assert_eq!(fixture.server.is_paused(), is_paused, "{wait:?}");
        }

        // Where one lookup tries, a late refusal fails the trial, a prompt one leaves it open.
        let mut fixture = paused();
        fixture.receive(&b"$-1\r\n".repeat(5)).unwrap();
        fixture.receive(b"+PONG\r\n").unwrap();
        for _ in 0..3 {
            fixture.get(6).unwrap();
            fixture.send();
            fixture.receive(b"-ERR x\r\n").unwrap();
            assert!(!fixture.server.breaker.is_answering());
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
        assert!(!fixture.server.is_paused());
    }

    #[test]
    fn a_lookup_that_tries_and_times_out_is_followed_by_a_probe() {
        let mut fixture = paused();
        fixture.receive(&b"$-1\r\n".repeat(5)).unwrap();
        fixture.receive(b"+PONG\r\n").unwrap();
        fixture.get_until(6, fixture.now + TIMEOUT / 2).unwrap();
        fixture.send();
        fixture.wait(TIMEOUT / 2).unwrap();
        assert_eq!(fixture.ended(), [(6, Unavailable::Timeout)]);
        assert_eq!(fixture.get(7), Err(Unavailable::Down));
        assert_eq!(fixture.send(), b"");
        fixture.wait(INTERVAL).unwrap();
        assert_eq!(fixture.send(), b"*1\r\n$4\r\nPING\r\n");
    }

    #[test]
    fn a_late_probe_is_followed_by_another() {
        let mut fixture = paused();
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
        let mut fixture = paused();
        assert_eq!(fixture.wait(TIMEOUT / 2), Err(Silent));
        fixture.lose();

        fixture.connect();
        fixture.get(6).unwrap();
        assert_eq!(fixture.get(7), Err(Unavailable::Down));
        fixture.send();
        assert_eq!(fixture.wait(TIMEOUT), Err(Silent));
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
            assert!(!fixture.server.is_paused());
        }
    }

    /// Does what is to be done, in the fixture's terms, and tells of it.
    fn done(fixture: &mut Fixture) -> Vec<String> {
        let actions = std::iter::from_fn(|| fixture.server.action());
        let told = actions.filter_map(|action| match action {
            Action::Connect(address) => Some(format!("connect {address}")),
            Action::Close | Action::StopScout => None,
            Action::Resolve => Some("resolve".into()),
            Action::Scout(address, key) => Some(format!("scout {address} {key:?}")),
            Action::Log(Line::Up { address, .. }) => Some(format!("{address} is up")),
            Action::Log(Line::Down { address, count, reason }) => {
                Some(format!("{address} is down, {count}: {reason}"))
            }
            Action::Log(line) => Some(format!("{line:?}")),
        });
        told.collect()
    }

    fn lost() -> Loss {
        Loss::Failed("reset".into())
    }

    /// Lets the time come for what is planned next.
    fn tick(fixture: &mut Fixture) {
        fixture.now = fixture.now.max(fixture.server.deadline().unwrap());
        fixture.server.tick(fixture.now);
    }

    /// Two addresses, of which the second is in use, as the first was not up.
    fn at_the_second() -> Fixture {
        let mut fixture = Fixture::with(None, &["a", "b"]);
        fixture.server.start(fixture.now);
        assert_eq!(done(&mut fixture), ["connect a"]);
        fixture.server.lost(lost(), fixture.now);
        assert_eq!(done(&mut fixture), [""; 0], "not all are tried");
        tick(&mut fixture);
        assert_eq!(done(&mut fixture), ["connect b"]);
        fixture.server.connected(fixture.now);
        fixture.greet();
        assert_eq!(done(&mut fixture), ["b is up"]);
        fixture
    }

    #[test]
    fn all_addresses_are_tried_before_the_server_is_down() {
        let mut fixture = Fixture::with(None, &["a", "b"]);
        fixture.server.start(fixture.now);
        fixture.get(1).unwrap();
        fixture.server.lost(lost(), fixture.now);
        assert_eq!(fixture.ended(), [(1, Unavailable::Down)]);
        fixture.get(2).unwrap();
        tick(&mut fixture);
        fixture.server.lost(lost(), fixture.now);
        assert_eq!(done(&mut fixture), ["connect a", "connect b", "b is down, 1: reset"]);
        assert_eq!(fixture.get(3), Err(Unavailable::Down));
        assert_eq!(fixture.server.reason(), "reset");

        let before = fixture.now;
        tick(&mut fixture);
        assert!(fixture.now.since(before) >= INTERVAL / 2);
        assert_eq!(done(&mut fixture), ["connect a"]);
        assert_eq!(fixture.server.state(), State::Connecting);
        assert_eq!(fixture.get(3), Err(Unavailable::Down), "until it is up");
        assert_eq!(fixture.server.take_counts().failed, 2);
    }

    #[test]
    fn an_attempt_to_connect_that_lasts_too_long_is_overdue() {
        let mut fixture = Fixture::new();
        fixture.server.start(fixture.now);
        assert_eq!(fixture.server.deadline(), Some(fixture.now + TIMEOUT));
        assert!(!fixture.server.is_overdue(fixture.now));
        assert!(fixture.server.is_overdue(fixture.now + TIMEOUT));
    }

    #[test]
    fn a_steady_connection_that_is_lost_is_made_anew_at_once() {
        let mut fixture = Fixture::ready();
        done(&mut fixture);
        fixture.wait(INTERVAL).unwrap();
        fixture.server.lost(Loss::Closed("closed".into()), fixture.now);
        fixture.get(1).unwrap();
        fixture.server.tick(fixture.now);
        assert_eq!(done(&mut fixture), ["a is down, 1: closed", "connect a"]);
        fixture.server.connected(fixture.now);
        fixture.greet();
        assert_eq!(done(&mut fixture), ["a is up"]);

        // One that has hardly lasted is not, and goes down within the second.
        fixture.server.lost(Loss::Closed("closed".into()), fixture.now);
        assert_eq!(fixture.get(2), Err(Unavailable::Down));
        fixture.server.tick(fixture.now);
        assert_eq!(done(&mut fixture), [""; 0]);
    }

    /// As a proxy whose server is away may do.
    #[test]
    fn a_server_that_greets_and_closes_at_once_is_not_up() {
        let mut fixture = Fixture::new();
        fixture.server.start(fixture.now);
        for _ in 0..50 {
            if done(&mut fixture).contains(&"connect a".into()) {
                fixture.server.connected(fixture.now);
                fixture.send();
                fixture.server.spare()[..7].copy_from_slice(b"+PONG\r\n");
                fixture.server.received(7, fixture.now);
                fixture.server.lost(Loss::Closed("closed".into()), fixture.now);
                assert!(!fixture.server.log.is_up());
            }
            tick(&mut fixture);
        }
    }

    /// Else two such addresses would be connected to in turn without a pause.
    #[test]
    fn a_greeting_that_ends_in_noise_is_a_failure() {
        let mut fixture = Fixture::with(None, &["a", "b"]);
        fixture.server.start(fixture.now);
        let start = fixture.now;
        for _ in 0..20 {
            fixture.server.connected(fixture.now);
            if fixture.server.is_connected() {
                fixture.send();
                fixture.server.spare()[..8].copy_from_slice(b"+PONG\r\nx");
                fixture.server.received(8, fixture.now);
                assert!(!fixture.server.is_connected());
            }
            tick(&mut fixture);
        }
        assert!(fixture.now.since(start) > INTERVAL);
        assert_eq!(fixture.server.take_counts().connected, 0);
    }

    /// As by proxies that greet in the name of a server that is away.
    #[test]
    fn addresses_that_greet_and_close_are_not_connected_to_without_a_pause() {
        for addresses in [&["a"][..], &["a", "b"], &["a", "b", "c"]] {
            let mut fixture = Fixture::with(None, addresses);
            fixture.server.start(fixture.now);
            let end = fixture.now + Duration::from_secs(2);
            let most = addresses.len() + 20;
            let mut connections = 0;
            while fixture.now < end && connections <= most {
                if done(&mut fixture).iter().any(|told| told.starts_with("connect")) {
                    fixture.server.connected(fixture.now);
                    fixture.greet();
                    fixture.server.lost(Loss::Closed("closed".into()), fixture.now);
                    connections += 1;
                }
                tick(&mut fixture);
            }
            assert!(connections <= most, "{connections} to {addresses:?}");
        }
    }

    #[test]
    fn a_connection_that_is_closed_in_the_greeting_says_what_to_check() {
        let mut fixture = Fixture::new();
        fixture.connected();
        fixture.server.lost(Loss::Closed("closed".into()), fixture.now);
        assert!(done(&mut fixture)[0].contains("closed during the greeting; check \"type\""));
    }

    #[test]
    fn whether_it_is_a_tls_port_is_asked_where_tls_is_not_spoken() {
        for (has_tls, count) in [(false, 1), (true, 0)] {
            for loss in [Loss::Closed("closed".into()), lost()] {
                let mut fixture = Fixture::new();
                fixture.server.has_tls = has_tls;
                fixture.connected();
                fixture.server.lost(loss, fixture.now);
                assert_eq!(done(&mut fixture)[0].matches("TLS port").count(), count);
            }
        }
    }

    /// A Redis that is given a name for each connection, in its greeting; what waits for that is told
    /// apart by what it is answered with, if anything.
    fn naming() -> Fixture {
        let mut fixture = Fixture::new();
        let redis = Redis::new(None, 0).named((*b"nginx-a-0").into());
        let settings = fixture.server.settings;
        let addresses = Rc::clone(&fixture.server.addresses);
        fixture.server = Server::new(Rc::new(redis), settings, addresses, false, 1, fixture.now);
        fixture.server.start(fixture.now);
        tick(&mut fixture);
        assert_eq!(done(&mut fixture), ["connect a"]);
        fixture.server.connected(fixture.now);
        assert!(fixture.send().ends_with(b"SETNAME\r\n$9\r\nnginx-a-0\r\n"));
        fixture
    }

    #[test]
    fn a_name_is_answered_before_the_server_is_up() {
        for reply in
            ["+OK\r\n", "-NOPERM no\r\n", "-ERR unknown command 'CLIENT'\r\n", "-NOAUTH x\r\n"]
        {
            let mut fixture = naming();
            fixture.get(1).unwrap();
            fixture.receive(b"+PONG\r\n").unwrap();
            assert_eq!((fixture.server.state(), fixture.send()), (State::Connecting, Vec::new()));
            fixture.receive(reply.as_bytes()).unwrap();
            assert_eq!(fixture.server.state(), State::Up);
            assert_eq!(done(&mut fixture), ["a is up"], "nothing is told of {reply}");
            assert!(!fixture.send().is_empty(), "the lookup");
        }
    }

    #[test]
    fn a_connection_that_is_lost_at_its_name_is_made_again_without_one() {
        let lose: [fn(&mut Fixture); 5] = [
            |fixture| fixture.server.lost(Loss::Closed("closed".into()), fixture.now),
            |fixture| fixture.server.lost(lost(), fixture.now),
            |fixture| {
                fixture.receive(b"+PONG\r\n").unwrap();
                fixture.server.lost(lost(), fixture.now);
            },
            |fixture| {
                fixture.server.spare()[..8].copy_from_slice(b"+PONG\r\n:");
                fixture.server.received(8, fixture.now);
            },
            |fixture| {
                fixture.receive(b"+PONG\r\n").unwrap();
                fixture.wait(TIMEOUT).unwrap_err();
            },
        ];
        for lose in lose {
            let mut fixture = naming();
            lose(&mut fixture);
            tick(&mut fixture);
            assert_eq!(done(&mut fixture), ["connect a"], "at once, and nothing is told");
            assert_eq!(fixture.server.take_counts().failed, 0);
            fixture.server.connected(fixture.now);
            assert_eq!(fixture.send(), b"*1\r\n$4\r\nPING\r\n");
            fixture.receive(b"+PONG\r\n").unwrap();
            assert_eq!(done(&mut fixture), ["a is up"]);

            fixture.lose();
            fixture.connected();
            assert_eq!(fixture.send(), b"*1\r\n$4\r\nPING\r\n", "and from then on");
        }
    }

    #[test]
    fn a_server_that_closes_without_a_name_as_well_is_down() {
        let mut fixture = naming();
        fixture.server.lost(Loss::Closed("closed".into()), fixture.now);
        tick(&mut fixture);
        assert_eq!(done(&mut fixture), ["connect a"]);
        fixture.server.connected(fixture.now);
        fixture.server.lost(Loss::Closed("closed".into()), fixture.now);
        assert!(done(&mut fixture)[0].contains("closed during the greeting"));
        assert_eq!(fixture.server.take_counts().failed, 1);
    }

    #[test]
    fn a_server_that_says_why_is_not_tried_without_a_name() {
        let mut fixture = naming();
        fixture.server.spare()[..12].copy_from_slice(b"-LOADING x\r\n");
        fixture.server.received(12, fixture.now);
        fixture.server.read_all(fixture.now);
        assert!(done(&mut fixture)[0].contains("rejected: LOADING x"));
    }

    #[test]
    fn what_a_flapping_server_does_is_told_once_a_second() {
        let mut fixture = Fixture::ready();
        done(&mut fixture);
        fixture.server.lost(lost(), fixture.now);
        assert_eq!(done(&mut fixture), ["a is down, 1: reset"]);
        for _ in 0..4 {
            fixture.connect();
            fixture.server.lost(lost(), fixture.now);
        }
        assert_eq!(done(&mut fixture), ["a is up"]);
        fixture.now = fixture.now + Duration::from_secs(1);
        fixture.connect();
        assert_eq!(done(&mut fixture), ["a is down, 4: reset", "a is up"]);
    }

    #[test]
    fn a_server_that_answers_late_is_down_until_lookups_are_answered() {
        let mut fixture = paused();
        assert_eq!(done(&mut fixture), ["a is up", "a is down, 1: it answers too late"]);
        assert_eq!(fixture.server.reason(), "it answers too late");
        fixture.receive(&b"$-1\r\n".repeat(5)).unwrap();
        fixture.receive(b"+PONG\r\n").unwrap();
        assert_eq!(done(&mut fixture), [""; 0]);
        fixture.answered(6);
        assert_eq!(done(&mut fixture), ["a is up"]);
    }

    #[test]
    fn an_earlier_address_is_returned_to_when_it_is_usable_and_nothing_is_waited_for() {
        let mut fixture = at_the_second();
        fixture.put(1, b"one").unwrap();
        fixture.send();
        fixture.receive(b"+OK\r\n").unwrap();
        let arrived = fixture.now;
        while done(&mut fixture) != ["scout a Some(k0-)"] {
            assert!(fixture.now.since(arrived) < Duration::from_secs(3));
            tick(&mut fixture);
            if !fixture.send().is_empty() {
                fixture.receive(b"+PONG\r\n").unwrap();
            }
        }
        assert!(fixture.now.since(arrived) >= Duration::from_secs(2));
        fixture.get(2).unwrap();
        fixture.send();
        fixture.server.scouted(true, fixture.now);
        assert_eq!(done(&mut fixture), [""; 0], "a lookup waits");
        fixture.receive(b"$-1\r\n").unwrap();
        assert_eq!(done(&mut fixture), [r#"Dropped { address: "b" }"#]);
        fixture.get(3).unwrap();
        fixture.server.tick(fixture.now);
        assert_eq!(done(&mut fixture), ["connect a"]);
    }

    #[test]
    fn an_earlier_address_that_is_not_usable_is_tried_again_after_longer_and_longer() {
        let mut fixture = at_the_second();
        let mut waits = Vec::new();
        let mut last = fixture.now;
        while waits.len() < 6 {
            tick(&mut fixture);
            if !fixture.send().is_empty() {
                fixture.receive(b"+PONG\r\n").unwrap();
            }
            if done(&mut fixture) == ["scout a None"] {
                waits.push(fixture.now.since(last).as_secs());
                last = fixture.now;
                fixture.server.scouted(false, fixture.now);
            }
        }
        assert_eq!(waits, [2, 4, 8, 16, 30, 30]);
    }

    #[test]
    fn a_replica_is_left_but_not_the_last_of_them() {
        let mut fixture = Fixture::with(None, &["a", "b"]);
        fixture.server.start(fixture.now);
        fixture.server.connected(fixture.now);
        fixture.greet();
        done(&mut fixture);
        for (address, leaves) in [("a", true), ("b", false)] {
            fixture.put(1, b"one").unwrap();
            let bytes = fixture.send();
            assert!(!bytes.is_empty());
            fixture.server.spare()[..13].copy_from_slice(b"-READONLY x\r\n");
            fixture.server.received(13, fixture.now);
            fixture.server.read_all(fixture.now);
            assert_eq!(!fixture.server.is_connected(), leaves, "{address}");
            if leaves {
                tick(&mut fixture);
                fixture.server.connected(fixture.now);
                fixture.greet();
            }
        }
        let told = done(&mut fixture);
        assert!(told.contains(&"a is down, 1: it is a replica".into()), "{told:?}");
        assert!(told.contains(&"b is up".into()), "{told:?}");
        assert_eq!(fixture.server.take_counts().sessions_failed, 2);
    }

    #[test]
    fn a_replica_is_left_that_is_asked_to_add() {
        let mut fixture = Fixture::with(None, &["a", "b"]);
        fixture.server.start(fixture.now);
        fixture.server.connected(fixture.now);
        fixture.greet();
        fixture.add(1, b"one").unwrap();
        fixture.send();
        assert_eq!(fixture.receive(b"-READONLY x\r\n"), Err("it is a replica".into()));
        assert_eq!(fixture.added(), [(1, Addition::Unavailable(Unavailable::Refused))]);
    }

    /// Of a node of a cluster it is usual, and of any other server worth a word.
    #[test]
    fn a_redirect_of_a_node_is_no_refusal() {
        let told = |is_node: bool| {
            let mut fixture = Fixture::ready();
            done(&mut fixture);
            if is_node {
                fixture.server = fixture.server.of_cluster();
            }
            fixture.put(1, b"one").unwrap();
            fixture.get(2).unwrap();
            fixture.send();
            fixture.receive(b"-MOVED 1 b:1\r\n-TRYAGAIN x\r\n").unwrap();
            (done(&mut fixture).len(), fixture.server.take_counts().sessions_failed)
        };
        assert_eq!(told(true), (0, 0));
        assert_eq!(told(false), (1, 1));
    }

    /// As Sentinels know the master: they are asked again, and by then it is another one.
    #[test]
    fn a_replica_that_was_discovered_is_left_though_it_is_the_last() {
        let mut fixture = Fixture::with(None, &["a"]);
        let now = fixture.now;
        let settings = fixture.server.settings;
        let redis = Rc::new(Redis::new(None, 0).master_only());
        fixture.server = Server::new(redis, settings, ["a"].into(), true, 1, now).discovered();
        let master = "*3\r\n$6\r\nmaster\r\n:0\r\n*0\r\n+PONG\r\n";
        let refuse = |fixture: &mut Fixture| {
            fixture.put(1, b"one").unwrap();
            fixture.send();
            fixture.server.spare()[..13].copy_from_slice(b"-READONLY x\r\n");
            fixture.server.received(13, fixture.now);
            fixture.server.read_all(fixture.now);
            fixture.server.is_connected()
        };
        fixture.server.start(now);
        fixture.server.connected(now);
        fixture.send();
        fixture.receive(master.as_bytes()).unwrap();
        done(&mut fixture);
        assert!(!refuse(&mut fixture));
        let told = done(&mut fixture);
        assert!(told.contains(&"a is down, 1: it is a replica".into()), "{told:?}");
        tick(&mut fixture);
        assert_eq!(done(&mut fixture), ["resolve"], "at once");
        assert_eq!(fixture.now, now);

        let valid_until = now + Duration::from_secs(10);
        fixture.server.resolved(Ok((vec!["b"], valid_until)), now);
        tick(&mut fixture);
        fixture.server.connected(fixture.now);
        fixture.send();
        fixture.receive(master.as_bytes()).unwrap();
        assert!(refuse(&mut fixture), "once a second");
        fixture.now = now + RESOLVE_RETRY;
        assert!(!refuse(&mut fixture));
    }

    /// A master that has become a replica is no master where it must be one.
    #[test]
    fn a_replica_is_rejected_where_a_master_was_discovered() {
        let mut fixture = Fixture::new();
        let settings = fixture.server.settings;
        let redis = Rc::new(Redis::new(None, 0).master_only());
        fixture.server = Server::new(redis, settings, ["a"].into(), true, 1, fixture.now);
        fixture.server.start(fixture.now);
        done(&mut fixture);
        fixture.server.connected(fixture.now);
        fixture.send();
        let reply = b"*5\r\n$5\r\nslave\r\n$1\r\nb\r\n:6379\r\n$9\r\nconnected\r\n:0\r\n";
        fixture.server.spare()[..reply.len()].copy_from_slice(reply);
        fixture.server.received(reply.len(), fixture.now);
        fixture.server.read_all(fixture.now);
        let told = done(&mut fixture);
        assert!(told.contains(&"a is down, 1: rejected: it is a replica".into()), "{told:?}");
        tick(&mut fixture);
        assert_eq!(done(&mut fixture), ["resolve"]);
    }

    /// As of Sentinels that disagree, when all of the masters that they name are dead.
    #[test]
    fn ever_other_addresses_are_tried_no_more_often_than_one() {
        let mut fixture = Fixture::with(None, &["a"]);
        let (settings, start) = (fixture.server.settings, fixture.now);
        let redis = Rc::new(Redis::new(None, 0));
        fixture.server = Server::new(redis, settings, ["a"].into(), true, 1, start).discovered();
        fixture.server.start(start);
        let (mut attempts, mut questions) = (0, 0);
        for round in 0.. {
            for action in std::iter::from_fn(|| fixture.server.action()).collect::<Vec<_>>() {
                match action {
                    Action::Connect(_) => {
                        attempts += 1;
                        fixture.server.lost(lost(), fixture.now);
                    }
                    Action::Resolve => {
                        questions += 1;
                        let other = ["a", "b"][questions % 2];
                        let valid_until = fixture.now + Duration::from_secs(10);
                        fixture.server.resolved(Ok((vec![other], valid_until)), fixture.now);
                    }
                    _ => {}
                }
            }
            if fixture.now >= start + Duration::from_secs(10) {
                break;
            }
            assert!(round < 10_000, "time stands still");
            if let Some(at) = fixture.server.deadline() {
                fixture.now = fixture.now.max(at);
            }
            fixture.server.tick(fixture.now);
        }
        // About every 450 ms with this interval, and once a second at once.
        assert!((15..=60).contains(&attempts), "{attempts}");
        assert!((15..=60).contains(&questions), "{questions}");
    }

    /// A server whose name is not known yet, and the lookup of which has just begun.
    fn unresolved() -> Fixture {
        let mut fixture = Fixture::with(None, &["a"]);
        let (settings, now) = (fixture.server.settings, fixture.now);
        let redis = Rc::new(Redis::new(None, 0));
        fixture.server = Server::new(redis, settings, [].into(), true, 1, now);
        fixture.server.start(now);
        assert_eq!(done(&mut fixture), ["resolve"]);
        fixture
    }

    #[test]
    fn what_is_asked_for_before_the_name_is_known_waits_for_it() {
        let mut fixture = unresolved();
        let now = fixture.now;
        fixture.get(1).unwrap();
        fixture.put(2, b"two").unwrap();
        fixture.server.resolved(Ok((vec!["a"], now + TIMEOUT * 9)), now);
        tick(&mut fixture);
        assert_eq!(done(&mut fixture), ["connect a"]);
        fixture.server.connected(now);
        fixture.greet();
        assert_eq!(fixture.send().iter().filter(|byte| **byte == b'*').count(), 2);
        fixture.receive(b"$-1\r\n+OK\r\n").unwrap();
        fixture.ended();
        assert_eq!(fixture.missing, [1]);
    }

    #[test]
    fn a_name_that_is_not_found_is_waited_for_no_longer() {
        let mut fixture = unresolved();
        fixture.get(1).unwrap();
        fixture.server.resolved(Err("no such name".into()), fixture.now);
        assert_eq!(fixture.server.reason(), "no such name");
        assert_eq!(fixture.ended(), [(1, Unavailable::Down)]);
        assert_eq!(fixture.get(2), Err(Unavailable::Down));

        let mut fixture = unresolved();
        fixture.get(1).unwrap();
        fixture.now = fixture.now + TIMEOUT;
        assert_eq!(fixture.server.deadline(), Some(fixture.now));
        tick(&mut fixture);
        assert_eq!(fixture.ended(), [(1, Unavailable::Timeout)]);
        assert_eq!(fixture.get(2), Err(Unavailable::Down));
    }

    #[test]
    fn a_name_is_looked_up_until_it_is_known_and_again_when_its_time_is_over() {
        let mut fixture = unresolved();
        let now = fixture.now;
        fixture.server.resolved(Err("no such host".into()), now);
        assert_eq!(fixture.get(1), Err(Unavailable::Down));
        fixture.server.resolved(Err("no such host".into()), now);
        assert_eq!(done(&mut fixture).len(), 1, "told once");
        tick(&mut fixture);
        assert_eq!(done(&mut fixture), ["resolve"]);
        assert_eq!(fixture.now.since(now), RESOLVE_RETRY);

        let valid_until = fixture.now + Duration::from_secs(60);
        fixture.server.resolved(Ok((vec!["a", "b"], valid_until)), fixture.now);
        assert_eq!(done(&mut fixture), ["Resolved { had_addresses: false }"]);
        fixture.get(2).unwrap();
        tick(&mut fixture);
        fixture.server.connected(fixture.now);
        fixture.greet();
        assert_eq!(done(&mut fixture), ["connect a", "a is up"]);

        // Another address in front is tried; one that is gone is left.
        fixture.server.resolved(Ok((vec!["0", "a"], valid_until)), fixture.now);
        assert!(fixture.server.is_connected());
        assert_eq!(fixture.server.homing.times()[0], Some(fixture.now + Duration::from_secs(2)));
        fixture.server.resolved(Ok((vec!["c"], valid_until)), fixture.now);
        assert!(!fixture.server.is_connected());
        tick(&mut fixture);
        assert_eq!(done(&mut fixture), [r#"Dropped { address: "a" }"#, "connect c"]);
    }

    #[test]
    fn a_client_that_ends_lets_replies_come_and_connects_no_more() {
        let mut fixture = Fixture::ready();
        fixture.put(1, b"one").unwrap();
        fixture.send();
        fixture.server.exiting(true, fixture.now);
        assert!(fixture.server.is_connected(), "a reply is to come");
        fixture.receive(b"+OK\r\n").unwrap();
        fixture.server.exiting(false, fixture.now);
        assert!(fixture.server.is_connected(), "it may be needed");
        fixture.server.exiting(true, fixture.now);
        assert_eq!(fixture.server.state(), State::Down);
        assert_eq!(fixture.get(2), Err(Unavailable::Down));

        let mut fixture = Fixture::ready();
        fixture.wait(INTERVAL).unwrap();
        fixture.server.lost(lost(), fixture.now);
        fixture.put(1, b"one").unwrap();
        fixture.server.exiting(false, fixture.now);
        assert_eq!(fixture.server.take_counts().sessions_failed, 1);
        assert_eq!(fixture.server.deadline(), None);
        fixture.server.tick(fixture.now + TIMEOUT);
        assert!(!done(&mut fixture).contains(&"connect a".into()));
    }

    #[test]
    fn records_that_are_not_stored_for_all_that_is_known_are_counted() {
        let mut fixture = Fixture::ready();
        for id in 0..5 {
            fixture.put(id, b"record").unwrap();
        }
        fixture.send();
        fixture.receive(b"+OK\r\n-OOM x\r\n+OK\r\n").unwrap();
        assert_eq!(fixture.server.take_counts().sessions_failed, 1);
        fixture.server.lost(lost(), fixture.now);
        assert_eq!(fixture.server.take_counts().sessions_failed, 2);
    }
}
