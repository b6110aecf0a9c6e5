//! A worker's client of one server: joins a connection and a pipeline, reconnects, and follows the
//! server's health.

use core::cell::RefCell;
use core::hash::{BuildHasher, Hasher};
use core::mem;
use core::ptr::NonNull;
use core::time::Duration;
use std::collections::hash_map::RandomState;
use std::rc::Rc;

use nginx_sys::{ngx_exiting, ngx_log_t};
use ssl_session_cache_core::{
    Backoff, Instant, Key, Lookup, Pipeline, Received, Settings as Limits, Unavailable,
    Waiter as PipelineWaiter,
};

use crate::conf::address::{Address, Location};
use crate::net::{self, now, Handler, Io, Link, NameHandler, NameLookup, Resolved, Resolver};
use crate::status::{Event, LookupResult, StoreState, StoreStats};
use crate::store::server_log::ServerLog;
use crate::store::{Settings, Waiter};

/// A name that could not be looked up is tried again after this time.
const RESOLVE_RETRY: Duration = Duration::from_secs(1);

pub(super) struct Client {
    settings: Rc<Settings>,
    resolver: Option<Resolver>,
    link: Link,
    name_lookup: NameLookup,
    /// None in a process that does not count.
    stats: Option<StoreStats>,
    state: RefCell<State>,
}

struct State {
    pipeline: Pipeline<Waiting>,
    phase: Phase,
    /// The connection takes no more for now.
    is_blocked: bool,
    backoff: Backoff,
    /// The addresses of the one server, tried in turn.
    addresses: Rc<[Address]>,
    /// The address in use, or the next to try.
    address: usize,
    /// When the server's name is to be looked up again.
    resolve_at: Instant,
    /// Attempts to connect that have failed in a row.
    failures: usize,
    health: Health,
    log: ServerLog,
    /// Sessions that were sent, and of which the server has not said yet whether they are stored.
    unconfirmed: usize,
}

#[derive(Clone, Copy)]
enum Phase {
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
    Pipeline(#[from] ssl_session_cache_core::Error),
    #[error("it answers too late")]
    Late,
}

/// A waiter as the pipeline holds it.
struct Waiting {
    waiter: Rc<dyn Waiter>,
    /// By a clock finer than that of deadlines, which is kept for each turn of the event loop.
    began: std::time::Instant,
    stats: Option<StoreStats>,
}

impl PipelineWaiter for Waiting {
    fn complete(self, lookup: Lookup<'_>) {
        if let Some(stats) = self.stats {
            stats.lookup_ended(lookup.into(), self.began.elapsed());
        }
        self.waiter.complete(lookup, now());
    }
}

impl From<Lookup<'_>> for LookupResult {
    fn from(lookup: Lookup<'_>) -> Self {
        match lookup {
            Lookup::Found(_) => Self::Found,
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
        log: *mut ngx_log_t,
    ) -> Rc<Self> {
        let limits = Limits {
            timeout: settings.timeout,
            interval: settings.interval,
            max_commands: settings.count,
        };
        let state = State {
            pipeline: Pipeline::new(settings.protocol(), limits),
            phase: Phase::Closed { retry_at: now() },
            is_blocked: false,
            backoff: Backoff::new(settings.interval, RandomState::new().build_hasher().finish()),
            addresses: settings.location.addresses.as_slice().into(),
            address: 0,
            resolve_at: now(),
            failures: 0,
            health: Health::Unknown,
            log: ServerLog::new(log, settings.kind),
            unconfirmed: 0,
        };
        let link = Link::new(settings.tls.clone());
        let stats = StoreStats::of(&settings.name());
        let client = Rc::new(Self {
            settings,
            resolver,
            link,
            name_lookup: NameLookup::new(),
            stats,
            state: RefCell::new(state),
        });
        // SAFETY: the client, the link and the lookup in it stay where they are in the Rc, and go
        // together.
        unsafe {
            client.link.bind(NonNull::from(&*client), log);
            client.name_lookup.bind(NonNull::from(&*client));
        }
        client
    }

    pub(super) fn get(
        &self,
        key: &Key,
        deadline: Instant,
        waiter: Rc<dyn Waiter>,
    ) -> Result<(), Unavailable> {
        let mut state = self.state.try_borrow_mut().map_err(|_| Unavailable::Down)?;
        let waiting = Waiting { waiter, began: std::time::Instant::now(), stats: self.stats };
        let begun = state.pipeline.get(key, deadline, now(), waiting);
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
        let Ok(mut state) = self.state.try_borrow_mut() else { return };
        if state.pipeline.put(key, record, ttl, unix_now, now()).is_ok() {
            state.unconfirmed += 1;
            self.count(Event::SessionSent, 1);
            self.link.at_turn_end();
        } else {
            self.drop_record();
        }
    }

    pub(super) fn drop_record(&self) {
        self.count(Event::SessionDropped, 1);
    }

    pub(super) fn delete(&self, key: &Key) {
        let Ok(mut state) = self.state.try_borrow_mut() else { return };
        if state.pipeline.delete(key, now()).is_ok() {
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
            Phase::Closed { .. } | Phase::Stopped => StoreState::Down,
            Phase::Open if pipeline.is_ready() => StoreState::Up,
            Phase::Connecting { .. } | Phase::Open => StoreState::Connecting,
        };
        let (commands, bytes) = (pipeline.waiting_commands(), pipeline.waiting_bytes());
        stats.show(connection, pipeline.is_suspended(), commands, bytes);
    }

    /// Begins to connect, and to look the server's name up.
    pub(super) fn start(&self) {
        self.connect();
        self.resolve_if_due();
    }

    /// Looks the server's name up again where it is time to.
    fn resolve_if_due(&self) {
        let Some(resolver) = self.resolver else { return };
        let Location { name: Some(name), port, .. } = &self.settings.location else { return };
        if self.state.borrow().resolve_at <= now() {
            self.name_lookup.start(resolver, name, *port);
        }
    }

    /// Begins to connect to the next address.
    fn connect(&self) {
        let mut state = self.state.borrow_mut();
        let address = &state.addresses[state.address];
        match self.link.connect(address.sockaddr(), address.name()) {
            Ok(()) => {
                state.phase = Phase::Connecting { deadline: now() + self.settings.timeout };
                // A new worker has clients before a connection: after a reload, they can wait.
                if state.health == Health::Unknown {
                    state.pipeline.opening(now());
                }
            }
            Err(error) => self.fail(&mut state, &error.into()),
        }
        self.settle(&mut state);
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
            self.note(state, received);
            if !self.link.is_readable() {
                break;
            }
        }
        Ok(())
    }

    /// Tells of what was received, where it is worth telling.
    fn note(&self, state: &mut State, received: Received) {
        state.unconfirmed -= (received.stored + received.not_stored) as usize;
        self.count(Event::SessionFailed, received.not_stored as usize);
        if received.became_ready {
            self.count(Event::Connected, 1);
            state.failures = 0;
            state.backoff.succeeded();
            // What has waited for this.
            self.link.at_turn_end();
        }
        if let Some(refusal) = received.refusal {
            state.log.refused(received.refused, &state.addresses[state.address], refusal);
        }
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
                    && !net::clients_may_handshake() =>
            {
                self.disconnect(state);
                state.phase = Phase::Stopped;
                Ok(())
            }
            Phase::Connecting { .. } | Phase::Open => {
                state.pipeline.tick(now())?;
                self.send(state)
            }
            Phase::Closed { .. } | Phase::Stopped => Ok(()),
        }
    }

    /// Ends what waits, and plans the next attempt: at once while there are addresses that have not
    /// been tried, else after a while.
    fn fail(&self, state: &mut State, failure: &Failure) {
        self.disconnect(state);
        self.count(Event::Failed, 1);

        state.failures += 1;
        let all_tried = state.failures >= state.addresses.len();
        if state.health == Health::Up || (state.health == Health::Unknown && all_tried) {
            state.went_down(failure);
        }
        state.address = (state.address + 1) % state.addresses.len();
        state.resolve_at = now();
        let wait = if all_tried { state.backoff.failed() } else { Duration::ZERO };
        state.phase = Phase::Closed { retry_at: now() + wait };
    }

    /// Closes the connection, and ends what waits for it.
    fn disconnect(&self, state: &mut State) {
        self.link.close();
        state.pipeline.closed(now());
        self.count(Event::SessionFailed, mem::take(&mut state.unconfirmed));
    }

    /// Runs a step of an event handler, and what follows from its failure.
    fn step(&self, step: impl FnOnce(&Self, &mut State) -> Result<(), Failure>) {
        let mut state = self.state.borrow_mut();
        if let Err(failure) = step(self, &mut state) {
            self.fail(&mut state, &failure);
        }
        self.settle(&mut state);
    }

    /// Shows, tells and plans what follows from a step.
    fn settle(&self, state: &mut State) {
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

    /// When there is something to do next.
    fn wake_at(&self) -> Option<Instant> {
        let next = match self.phase {
            Phase::Closed { retry_at } => Some(retry_at),
            Phase::Connecting { deadline } => {
                Some(self.pipeline.deadline().map_or(deadline, |lookup| lookup.min(deadline)))
            }
            Phase::Open => self.pipeline.deadline(),
            Phase::Stopped => None,
        };
        [next, self.log.due()].into_iter().flatten().min()
    }
}

impl Handler for Client {
    fn readable(&self) {
        self.step(|client, state| match state.phase {
            Phase::Connecting { .. } => client.connecting(state),
            Phase::Open => client.receive(state),
            Phase::Closed { .. } | Phase::Stopped => Ok(()),
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
            Phase::Open | Phase::Closed { .. } | Phase::Stopped => {}
        }
    }

    fn timer(&self) {
        let phase = self.state.borrow().phase;
        match phase {
            // SAFETY: nginx writes to the flag on this one thread.
            Phase::Closed { .. } if unsafe { ngx_exiting } != 0 => {
                self.state.borrow_mut().phase = Phase::Stopped;
            }
            Phase::Closed { retry_at } if retry_at <= now() => self.connect(),
            _ => self.step(Self::on_time),
        }
        self.resolve_if_due();
    }

    /// What was queued in this turn goes out together.
    fn turn_end(&self) {
        self.step(Self::send);
    }
}

impl NameHandler for Client {
    fn resolved(&self, result: Result<Resolved, String>) {
        let state = &mut *self.state.borrow_mut();
        let name = self.settings.name();
        let Resolved { addresses, valid_until } = match result {
            Ok(resolved) => resolved,
            Err(reason) => {
                state.log.unresolved(&name, &reason);
                state.resolve_at = now() + RESOLVE_RETRY;
                return;
            }
        };
        state.log.resolved(&name);
        state.resolve_at = valid_until;
        let in_use = &state.addresses[state.address];
        match addresses.iter().position(|address| address == in_use) {
            Some(index) => state.address = index,
            None => {
                state.log.dropped(in_use);
                self.disconnect(state);
                state.address = 0;
                state.phase = Phase::Closed { retry_at: now() };
            }
        }
        state.addresses = addresses.into();
        self.link.wake_at(state.wake_at());
    }
}
