//! A worker's client of one server: joins a connection and a pipeline, reconnects, and follows the
//! server's health.

use core::cell::{Cell, RefCell};
use core::hash::{BuildHasher, Hasher};
use core::mem;
use core::ptr::NonNull;
use core::time::Duration;
use std::collections::hash_map::RandomState;
use std::rc::{Rc, Weak};

use nginx_sys::{ngx_exiting, ngx_log_t};
use ssl_session_cache_core::server::{
    Backoff, Completions, Lookup, Pipeline, Received, Unavailable,
};
use ssl_session_cache_core::session::Key;
use ssl_session_cache_core::Instant;

use crate::counters::{Event, LookupResult, StoreState, StoreStats};
use crate::net::{
    self, Address, Handler, Io, Link, Location, NameHandler, NameLookup, Resolved, Resolver,
};
use crate::nginx::{clients_may_handshake, now, turn_is_long};
use crate::store::scout::{Scout, Sender};
use crate::store::server_log::ServerLog;
use crate::store::{LookupId, Settings, Tell};

/// A name that could not be looked up is tried again after this time.
const RESOLVE_RETRY: Duration = Duration::from_secs(1);

/// A connection that was ready for so long, or for `interval`, is made anew at once when it is lost.
const STEADY: Duration = Duration::from_millis(500);

/// While an address other than the first one is in use, those before it are tried after this time.
/// The time doubles with each return to one that does not last.
const RETURN_AFTER: Duration = Duration::from_secs(2);
const RETURN_AFTER_MAX: Duration = Duration::from_secs(300);

/// They are tried over and over, each time after twice as long, up to this or to the time above.
const PAUSE_MAX: Duration = Duration::from_secs(30);

/// Where all addresses are those of replicas, they are gone through again after this time.
const REPLICAS_AGAIN: Duration = Duration::from_secs(5);

/// A return lasts where the address was in use for so long.
const LASTING: Duration = Duration::from_secs(60);

pub(super) struct Client {
    settings: Rc<Settings>,
    resolver: Option<Resolver>,
    link: Link,
    /// Tries the addresses before the one in use.
    scout: Scout,
    name_lookup: NameLookup,
    /// None in a process that does not count.
    stats: Option<StoreStats>,
    /// Whether something was written in this turn before its end.
    has_flushed: Cell<bool>,
    /// Whether the last turn with something to send was a long one.
    turns_are_long: Cell<bool>,
    /// Borrowed by the methods that handshakes call, which is from within OpenSSL's callbacks. So it
    /// is never borrowed where a handshake can go on: neither while it is told how a lookup has
    /// ended, nor where nginx needs a connection, for a link or a name, and may close others.
    state: RefCell<State>,
    /// Who is told how lookups end, and those that are told of next.
    tell: Tell,
    ended: Cell<Completions<Asked>>,
}

struct State {
    pipeline: Pipeline<Asked>,
    phase: Phase,
    /// The connection takes no more for now.
    is_blocked: bool,
    backoff: Backoff,
    /// The addresses of the one server, sorted. The first one that is up is used, by all machines.
    addresses: Rc<[Address]>,
    /// The address in use, or the next to try.
    address: usize,
    /// Whether the server's name is looked up again, and when it is.
    is_resolved: bool,
    resolve_at: Instant,
    /// Attempts to connect that have failed in a row.
    failures: usize,
    /// Since when the store has answered over this connection.
    ready_since: Option<Instant>,
    homing: Homing,
    /// So many addresses in a row were left as those of replicas, the last one at this time.
    replicas: usize,
    left_replica_at: Instant,
    /// Some key that was used.
    key: Option<Key>,
    health: Health,
    log: ServerLog,
    /// Sessions that were sent, and of which the server has not said yet whether they are stored.
    unconfirmed: usize,
}

/// The way back from a later address to the first one that is up.
struct Homing {
    /// How long after a change to a later address those before it are tried.
    wait: Duration,
    /// How long after the last attempt the next one follows.
    pause: Duration,
    /// When the next attempt is due, if one is.
    scout_at: Option<Instant>,
    /// The address that is being tried.
    address: usize,
    /// That address is usable: it is changed to when nothing is waited for, or at this time.
    switch_at: Option<Instant>,
    /// Whether the address in use was returned to.
    has_returned: bool,
}

#[derive(Clone, Copy)]
enum Phase {
    /// No address is known.
    Unresolved,
    /// No connection until it is time for the next attempt.
    Closed {
        retry_at: Instant,
    },
    Connecting {
        deadline: Instant,
    },
    Open,
    /// No connection any more: the worker exits.
    Stopped,
}

#[derive(PartialEq, Eq)]
enum Health {
    Unknown,
    Up,
    Down,
}

/// Why the server is of no use.
#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Link(#[from] net::Error),
    #[error(transparent)]
    Pipeline(#[from] ssl_session_cache_core::server::Error),
    #[error(
        "the connection was closed during the greeting; check \"type\", \"port\" and \"db\", and \
         whether a proxy there knows PING, AUTH and SELECT, or version"
    )]
    ClosedInGreeting,
    #[error("it answers too late")]
    Late,
    #[error("it is a replica")]
    Replica,
}

/// A lookup that the store was asked for.
struct Asked {
    id: LookupId,
    /// By a clock finer than that of deadlines, which is kept for each turn of the event loop.
    began: std::time::Instant,
}

impl From<Lookup<'_>> for LookupResult {
    fn from(lookup: Lookup<'_>) -> Self {
        match lookup {
            // Something was found; that it is no session, the outcome of the handshake tells.
            Lookup::Found(_) | Lookup::Oversized => Self::Found,
            Lookup::Missing => Self::Missing,
            Lookup::Unavailable(unavailable) => unavailable.into(),
        }
    }
}

impl From<Unavailable> for LookupResult {
    fn from(unavailable: Unavailable) -> Self {
        match unavailable {
            Unavailable::Down => Self::Down,
            Unavailable::Full => Self::Full,
            Unavailable::Timeout => Self::Timeout,
            Unavailable::Refused => Self::Refused,
        }
    }
}

impl Client {
    pub(super) fn new(
        settings: Rc<Settings>,
        resolver: Option<Resolver>,
        tell: Tell,
        log: *mut ngx_log_t,
    ) -> Rc<Self> {
        let state = State {
            pipeline: Pipeline::new(settings.protocol(), settings.limits()),
            phase: Phase::Closed { retry_at: now() },
            is_blocked: false,
            backoff: Backoff::new(settings.interval, RandomState::new().build_hasher().finish()),
            addresses: settings.location.addresses.as_slice().into(),
            address: 0,
            is_resolved: resolver.is_some() && settings.location.name.is_some(),
            resolve_at: now(),
            failures: 0,
            ready_since: None,
            homing: Homing {
                wait: RETURN_AFTER,
                pause: RETURN_AFTER,
                scout_at: None,
                address: 0,
                switch_at: None,
                has_returned: false,
            },
            replicas: 0,
            left_replica_at: now(),
            key: None,
            health: Health::Unknown,
            log: ServerLog::new(log, settings.kind),
            unconfirmed: 0,
        };
        let link = Link::new(settings.tls.clone());
        let stats = StoreStats::of(&settings.name());
        let client = Rc::new_cyclic(|client: &Weak<Self>| Self {
            scout: Scout::new(Rc::clone(&settings), Weak::clone(client) as _),
            settings,
            resolver,
            link,
            name_lookup: NameLookup::new(),
            stats,
            has_flushed: Cell::new(false),
            turns_are_long: Cell::new(false),
            state: RefCell::new(state),
            tell,
            ended: Cell::default(),
        });
        // SAFETY: the client, and the link, the scout and the lookup in it, stay where they are in
        // the Rc, and go together.
        unsafe {
            client.link.bind(NonNull::from(&*client), log);
            client.scout.bind(log);
            client.name_lookup.bind(NonNull::from(&*client));
        }
        client
    }

    pub(super) fn get(
        &self,
        key: &Key,
        deadline: Instant,
        id: LookupId,
    ) -> Result<(), Unavailable> {
        let asked = Asked { id, began: std::time::Instant::now() };
        let begun = self.state.borrow_mut().pipeline.get(key, deadline, now(), asked);
        if let Some(stats) = self.stats {
            match begun {
                Ok(()) => stats.lookup_begun(),
                Err(unavailable) => stats.lookup_turned_away(unavailable.into()),
            }
        }
        if begun.is_ok() {
            self.link.at_turn_end();
        }
        begun
    }

    pub(super) fn put(&self, key: &Key, record: &[u8], ttl: u32, unix_now: u64) {
        let state = &mut *self.state.borrow_mut();
        if state.pipeline.put(key, record, ttl, unix_now, now()).is_ok() {
            state.unconfirmed += 1;
            state.key.get_or_insert_with(|| key.clone());
            self.count(Event::SessionSent, 1);
            self.link.at_turn_end();
            if self.turns_are_long.get() || turn_is_long() {
                self.send_now(state);
            }
        } else {
            self.drop_record();
        }
    }

    /// A handshake is over whose sessions may wait for the end of the turn: they are written, once in
    /// a turn.
    pub(super) fn flush(&self) {
        if !self.has_flushed.get() {
            let count = self.send_now(&mut self.state.borrow_mut());
            self.has_flushed.set(count > 0);
        }
    }

    /// Writes at once what has waited for the end of the turn, and returns how much that was.
    fn send_now(&self, state: &mut State) -> usize {
        if !matches!(state.phase, Phase::Open) || state.is_blocked {
            return 0;
        }
        let count = self.link.send_now(state.pipeline.unsent());
        self.count(Event::ByteSent, count);
        state.pipeline.sent(count);
        count
    }

    pub(super) fn drop_record(&self) {
        self.count(Event::SessionDropped, 1);
    }

    pub(super) fn delete(&self, key: &Key) {
        if self.state.borrow_mut().pipeline.delete(key, now()).is_ok() {
            self.count(Event::DeleteSent, 1);
            self.link.at_turn_end();
        }
    }

    fn count(&self, event: Event, times: usize) {
        if let Some(stats) = self.stats {
            stats.count(event, times);
        }
    }

    /// Shows how things are now.
    fn show(&self, state: &State) {
        let Some(stats) = self.stats else { return };
        let pipeline = &state.pipeline;
        let connection = match state.phase {
            Phase::Unresolved | Phase::Closed { .. } | Phase::Stopped => StoreState::Down,
            Phase::Open if pipeline.is_ready() => StoreState::Up,
            Phase::Connecting { .. } | Phase::Open => StoreState::Connecting,
        };
        let (requests, bytes) = (pipeline.waiting_requests(), pipeline.waiting_bytes());
        stats.show(connection, pipeline.is_suspended(), requests, bytes);
    }

    /// Begins to connect, and to look the server's name up.
    pub(super) fn start(&self) {
        if self.settings.location.addresses.is_empty() {
            self.step(|_, state| {
                state.phase = Phase::Unresolved;
                Ok(())
            });
        } else {
            // A new worker has clients before a connection: after a reload, they can wait.
            self.state.borrow_mut().pipeline.opening(now());
            self.connect();
        }
        self.resolve_if_due();
    }

    /// Looks the server's name up again where it is time to.
    fn resolve_if_due(&self) {
        let Some(resolver) = self.resolver else { return };
        let Location { name: Some(name), port, .. } = &self.settings.location else { return };
        if self.state.borrow().resolve_at <= now() {
            self.state.borrow_mut().resolve_at = now() + RESOLVE_RETRY;
            self.name_lookup.start(resolver, name, *port);
        }
    }

    /// Begins to connect to the next address.
    fn connect(&self) {
        let (addresses, index) = {
            let state = self.state.borrow();
            (Rc::clone(&state.addresses), state.address)
        };
        let address = &addresses[index];
        if let Some(stats) = self.stats {
            stats.show_address(address.name());
        }
        let begun = self.link.connect(address.sockaddr(), address.name());
        self.step(|client, state| {
            state.phase = Phase::Connecting { deadline: now() + client.settings.timeout };
            Ok(begun?)
        });
    }

    /// Goes on with the attempt to connect.
    fn connecting(&self, state: &mut State) -> Result<(), Failure> {
        if !self.link.established()? {
            return Ok(());
        }
        state.phase = Phase::Open;
        state.pipeline.connected(now());
        self.send(state)
    }

    /// Writes what waits to be sent, once there is a connection.
    fn send(&self, state: &mut State) -> Result<(), Failure> {
        if !matches!(state.phase, Phase::Open) {
            return Ok(());
        }
        state.is_blocked = false;
        while !state.is_blocked && !state.pipeline.unsent().is_empty() {
            match self.link.send(state.pipeline.unsent())? {
                Io::Done(count) => {
                    self.count(Event::ByteSent, count);
                    state.pipeline.sent(count);
                }
                Io::Again => state.is_blocked = true,
            }
        }
        Ok(())
    }

    /// Reads what has come, and ends the lookups that it answers.
    fn receive(&self, state: &mut State) -> Result<(), Failure> {
        while let Io::Done(count) = self.link.receive(state.pipeline.spare())? {
            self.count(Event::ByteReceived, count);
            let received = state.pipeline.received(count, now())?;
            self.note(state, received)?;
            if !self.link.is_readable() {
                break;
            }
        }
        Ok(())
    }

    /// Tells of what was received, where it is worth telling.
    fn note(&self, state: &mut State, received: Received) -> Result<(), Failure> {
        state.unconfirmed -= (received.stored + received.not_stored) as usize;
        self.count(Event::SessionFailed, received.not_stored as usize);
        if received.became_ready {
            self.count(Event::Connected, 1);
            state.failures = 0;
            state.backoff.succeeded();
            state.ready_since = Some(now());
            state.homing.arrived(state.address);
            // What has waited for this.
            self.link.at_turn_end();
        }
        if let Some(refusal) = received.refusal {
            state.log.refused(received.refused, &state.addresses[state.address], refusal);
        }
        if received.is_read_only && state.leaves_replica() {
            return Err(Failure::Replica);
        }
        Ok(())
    }

    /// Does what it is time for.
    fn on_time(&self, state: &mut State) -> Result<(), Failure> {
        match state.phase {
            Phase::Connecting { deadline } if deadline <= now() => {
                Err(self.link.timed_out().into())
            }
            Phase::Open
                if self.link.is_close_requested()
                    && state.pipeline.is_drained()
                    && !clients_may_handshake() =>
            {
                self.disconnect(state);
                state.phase = Phase::Stopped;
                Ok(())
            }
            Phase::Connecting { .. } | Phase::Open => {
                state.pipeline.tick(now())?;
                self.send(state)
            }
            Phase::Unresolved | Phase::Closed { .. } | Phase::Stopped => Ok(()),
        }
    }

    /// Ends what waits, and plans the next attempt: at once to the same address where its connection
    /// has done well, and to the next while there are any that have not been tried, else after a
    /// while.
    fn fail(&self, state: &mut State, failure: &Failure) {
        let failure = match failure {
            Failure::Link(net::Error::Closed) if state.pipeline.is_greeting() => {
                &Failure::ClosedInGreeting
            }
            other => other,
        };
        let ready_since = state.ready_since;
        let is_steady = state.is_steady(self.settings.interval.min(STEADY), failure);
        if !is_steady {
            state.failures += 1;
        }
        let all_tried = state.failures >= state.addresses.len();
        if matches!(state.phase, Phase::Connecting { .. }) && !all_tried {
            self.leave(state);
        } else {
            self.disconnect(state);
        }
        self.count(Event::Failed, 1);

        let is_unknown = state.health == Health::Unknown;
        if state.health == Health::Up || (is_unknown && all_tried) {
            state.went_down(failure);
        } else if state.health == Health::Down {
            let address = &state.addresses[state.address];
            state.log.still_down(address, failure.to_string());
        }
        state.homing.lost(ready_since, !is_steady);
        if !is_steady {
            state.address = (state.address + 1) % state.addresses.len();
        }
        state.resolve_at = now();
        let wait = if all_tried { state.backoff.failed() } else { Duration::ZERO };
        state.phase = Phase::Closed { retry_at: now() + wait };
        // Lookups wait for a connection that is likely to come.
        if is_steady || (is_unknown && !all_tried) {
            state.pipeline.opening(now());
        }
    }

    /// Closes the connection, and ends what waits for it.
    fn disconnect(&self, state: &mut State) {
        self.close(state);
        state.pipeline.closed(now());
    }

    /// The same, for another address of the store.
    fn leave(&self, state: &mut State) {
        self.close(state);
        state.pipeline.given_up(now());
    }

    fn close(&self, state: &mut State) {
        self.scout.stop();
        state.homing.scout_at = None;
        state.homing.switch_at = None;
        state.ready_since = None;
        self.link.close();
        self.count(Event::SessionFailed, mem::take(&mut state.unconfirmed));
    }

    /// Runs a step of an event handler, and what follows from its failure.
    fn step(&self, step: impl FnOnce(&Self, &mut State) -> Result<(), Failure>) {
        {
            let state = &mut *self.state.borrow_mut();
            if let Err(failure) = step(self, state) {
                self.fail(state, &failure);
            }
            self.settle(state);
        }
        self.tell();
    }

    /// Tells of the lookups that have ended.
    fn tell(&self) {
        let mut ended = self.ended.take();
        mem::swap(&mut ended, self.state.borrow_mut().pipeline.completions());
        ended.drain(|Asked { id, began }, lookup| {
            if let Some(stats) = self.stats {
                stats.lookup_ended(lookup.into(), began.elapsed());
            }
            (self.tell)(id, lookup, now());
        });
        self.ended.set(ended);
    }

    /// Looks for a usable one of the addresses before the one in use, where it is time to.
    fn scout_if_due(&self) {
        let is_due = {
            let homing = &mut self.state.borrow_mut().homing;
            let is_due = homing.scout_at.is_some_and(|at| at <= now());
            if is_due {
                homing.scout_at = None;
                homing.address = 0;
            }
            is_due
        };
        if is_due {
            self.scout();
        }
    }

    /// Sends the scout to an address.
    fn scout(&self) {
        let (addresses, index, key) = {
            let state = self.state.borrow();
            let key = state.key.as_ref().map(Key::unused);
            (Rc::clone(&state.addresses), state.homing.address, key)
        };
        self.scout.start(&addresses[index], key);
    }

    /// Changes to the address that the scout has found usable.
    fn switch_if_due(&self, state: &mut State) {
        let is_due = |at: Instant| at <= now() || state.pipeline.is_drained();
        if state.homing.switch_at.is_some_and(is_due) {
            state.log.dropped(&state.addresses[state.address]);
            self.leave(state);
            state.address = state.homing.address;
            state.homing.has_returned = true;
            state.phase = Phase::Closed { retry_at: now() };
            state.pipeline.opening(now());
        }
    }

    /// Shows, tells and plans what follows from a step.
    fn settle(&self, state: &mut State) {
        self.switch_if_due(state);
        match state.health {
            Health::Up if state.pipeline.is_ready() && state.pipeline.is_late() => {
                state.went_down(&Failure::Late);
            }
            Health::Down | Health::Unknown if state.pipeline.is_answering() => {
                state.health = Health::Up;
            }
            _ => {}
        }
        self.show(state);
        let is_up = state.health == Health::Up && state.pipeline.is_ready();
        state.log.tell(is_up.then(|| &state.addresses[state.address]));
        self.link.wake_at(state.wake_at());
    }
}

impl State {
    /// The server was up, or nothing was known of it.
    fn went_down(&mut self, failure: &Failure) {
        self.health = Health::Down;
        self.log.went_down(&self.addresses[self.address], failure.to_string());
    }

    /// Whether the connection has done well before this happened to it: it lasted so long, lookups
    /// were answered if there were any, and it was simply lost.
    fn is_steady(&self, span: Duration, failure: &Failure) -> bool {
        matches!(failure, Failure::Link(_))
            && self.pipeline.has_served()
            && self.ready_since.is_some_and(|since| now().since(since) >= span)
    }

    /// Whether the server, which is a replica, is left for the next one. Where all of them are, they
    /// are gone through now and then: one may have become the master.
    fn leaves_replica(&mut self) -> bool {
        if now().since(self.left_replica_at) >= REPLICAS_AGAIN {
            self.replicas = 0;
        }
        let leaves = self.replicas + 1 < self.addresses.len();
        if leaves {
            self.replicas += 1;
            self.left_replica_at = now();
        }
        leaves
    }

    /// When there is something to do next.
    fn wake_at(&self) -> Option<Instant> {
        let next = match self.phase {
            Phase::Closed { retry_at } => Some(retry_at),
            Phase::Connecting { deadline } => {
                Some(self.pipeline.deadline().map_or(deadline, |lookup| lookup.min(deadline)))
            }
            Phase::Open => self.pipeline.deadline(),
            Phase::Unresolved => None,
            Phase::Stopped => return self.log.due(),
        };
        let Homing { scout_at, switch_at, .. } = self.homing;
        let resolve_at = self.is_resolved.then_some(self.resolve_at);
        let times = [next, self.log.due(), scout_at, switch_at, resolve_at];
        // What the compiler makes of flatten() and min() here compares the time of a None before it
        // looks at whether there is one: right, and an error to memcheck.
        times.into_iter().fold(None, |earliest: Option<Instant>, time| match (earliest, time) {
            (Some(earliest), Some(time)) => Some(earliest.min(time)),
            (earliest, time) => earliest.or(time),
        })
    }
}

impl Homing {
    /// This address is in use from now on.
    fn arrived(&mut self, address: usize) {
        self.pause = self.wait;
        self.plan(address);
    }

    /// None of the addresses before this one, which is in use, is usable.
    fn found_none(&mut self, address: usize) {
        self.pause = (self.pause * 2).min(self.wait.max(PAUSE_MAX));
        self.plan(address);
    }

    /// Plans when the addresses before the one in use are tried next.
    fn plan(&mut self, address: usize) {
        self.scout_at = (address > 0).then(|| now() + self.pause);
    }

    /// The connection to the address in use is lost, and the address is left or not.
    fn lost(&mut self, ready_since: Option<Instant>, is_left: bool) {
        if ready_since.is_some_and(|since| now().since(since) >= LASTING) {
            self.wait = RETURN_AFTER;
            self.has_returned = false;
        } else if is_left && mem::take(&mut self.has_returned) {
            self.wait = (self.wait * 2).min(RETURN_AFTER_MAX);
        }
    }
}

impl Handler for Client {
    fn readable(&self) {
        self.step(|client, state| match state.phase {
            Phase::Connecting { .. } => client.connecting(state),
            Phase::Open => client.receive(state),
            Phase::Unresolved | Phase::Closed { .. } | Phase::Stopped => Ok(()),
        });
    }

    fn writable(&self) {
        let (phase, is_blocked) = {
            let state = self.state.borrow();
            (state.phase, state.is_blocked)
        };
        match phase {
            Phase::Connecting { .. } => self.step(Self::connecting),
            Phase::Open if is_blocked => self.step(Self::send),
            // epoll says so with every reply: what is queued goes out at the end of the turn.
            Phase::Open | Phase::Unresolved | Phase::Closed { .. } | Phase::Stopped => {}
        }
    }

    fn timer(&self) {
        let phase = self.state.borrow().phase;
        match phase {
            // SAFETY: nginx writes to the flag on this one thread.
            Phase::Closed { .. } if unsafe { ngx_exiting } != 0 => {
                self.step(|client, state| {
                    client.disconnect(state);
                    state.phase = Phase::Stopped;
                    Ok(())
                });
            }
            Phase::Closed { retry_at } if retry_at <= now() => self.connect(),
            _ => self.step(Self::on_time),
        }
        self.resolve_if_due();
        self.scout_if_due();
    }

    /// What was queued in this turn goes out together.
    fn turn_end(&self) {
        self.has_flushed.set(false);
        self.turns_are_long.set(turn_is_long());
        self.step(Self::send);
    }
}

impl Sender for Client {
    /// The scout is back from an address.
    fn scouted(&self, is_usable: bool) {
        let goes_on = {
            let state = &mut *self.state.borrow_mut();
            if is_usable {
                state.homing.switch_at = Some(now() + self.settings.timeout);
            } else {
                state.homing.address += 1;
            }
            let goes_on = !is_usable && state.homing.address < state.address;
            if !is_usable && !goes_on {
                state.homing.found_none(state.address);
            }
            self.settle(state);
            goes_on
        };
        self.tell();
        if goes_on {
            self.scout();
        }
    }
}

impl NameHandler for Client {
    fn resolved(&self, result: Result<Resolved, String>) {
        self.resolved_to(&mut self.state.borrow_mut(), result);
        self.tell();
    }
}

impl Client {
    fn resolved_to(&self, state: &mut State, result: Result<Resolved, String>) {
        let name = self.settings.name();
        let Resolved { addresses, valid_until } = match result {
            Ok(resolved) => resolved,
            Err(reason) => {
                state.log.unresolved(&name, &reason, !state.addresses.is_empty());
                state.resolve_at = now() + RESOLVE_RETRY;
                self.link.wake_at(state.wake_at());
                return;
            }
        };
        state.log.resolved(&name);
        state.resolve_at = valid_until;
        if *state.addresses == *addresses {
            self.link.wake_at(state.wake_at());
            return;
        }
        if state.addresses.is_empty() {
            state.addresses = addresses.into();
            state.phase = Phase::Closed { retry_at: now() };
            state.pipeline.opening(now());
            self.link.wake_at(state.wake_at());
            return;
        }
        self.scout.stop();
        state.homing.switch_at = None;
        let in_use = &state.addresses[state.address];
        match addresses.iter().position(|address| address == in_use) {
            Some(index) => {
                state.address = index;
                if state.ready_since.is_some() {
                    state.homing.plan(index);
                }
            }
            None => {
                state.log.dropped(in_use);
                self.leave(state);
                state.address = 0;
                state.phase = Phase::Closed { retry_at: now() };
            }
        }
        state.addresses = addresses.into();
        self.link.wake_at(state.wake_at());
    }
}
