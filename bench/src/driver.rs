//! The event loop: starts clients, moves them on, and counts how they end.

use std::collections::BTreeSet;
use std::io;
use std::iter::Cycle;
use std::net::SocketAddr;
use std::rc::Rc;
use std::slice;
use std::task::Poll;
use std::time::Instant;

use mio::{Events, Interest, Token};
use openssl::ssl::SslSession;
use slab::Slab;

use crate::client::Client;
use crate::connection::{Cause, Connection, Failure, Plan};
use crate::options::{Departure, Options};
use crate::progress::Progress;
use crate::report::Tally;
use crate::schedule::{Due, Schedule};
use crate::sessions::Sessions;

const EVENTS_PER_TURN: usize = 1024;

/// Runs clients, a number of them at a time.
pub struct Driver<'a> {
    options: &'a Options,
    client: Client,
    request: Rc<[u8]>,
    poll: mio::Poll,
    running: Slab<Running>,
    /// The deadline of each running client, with its key.
    timers: BTreeSet<(Instant, usize)>,
    sessions: Sessions,
    offers: Cycle<slice::Iter<'a, SocketAddr>>,
    departures: Cycle<slice::Iter<'a, Departure>>,
    /// Clients that might have been told to leave early.
    abort_candidates: u64,
    /// Clients that were.
    aborted: u64,
}

struct Running {
    connection: Connection,
    job: Job,
    timer: Instant,
}

/// What a client is there for.
enum Job {
    /// To make a session that can be offered later.
    Make,
    /// To measure a full handshake.
    Full,
    /// To measure the resumption of a session.
    Offer(SslSession),
}

/// How a client ended.
enum End {
    Closed,
    Left,
    Failed(Failure),
}

/// One part of a run, with what came of it so far.
struct Part {
    phase: Phase,
    schedule: Schedule,
    tally: Tally,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    Prepare,
    Measure,
}

impl<'a> Driver<'a> {
    /// A driver with no client yet.
    pub fn new(options: &'a Options) -> io::Result<Self> {
        Ok(Self {
            options,
            client: Client::new(options)?,
            request: request(options).into(),
            poll: mio::Poll::new()?,
            running: Slab::with_capacity(options.concurrency),
            timers: BTreeSet::new(),
            sessions: Sessions::new(options.reuses_sessions()),
            offers: options.offer.iter().cycle(),
            departures: options.abort_by.iter().cycle(),
            abort_candidates: 0,
            aborted: 0,
        })
    }

    /// Makes the sessions that are to be offered; stops at the first failure.
    pub fn prepare(&mut self) -> io::Result<Tally> {
        let count = self.options.sessions_to_make() as u64;
        self.run(Phase::Prepare, Schedule::count(Instant::now(), count))
    }

    /// Runs the handshakes that are measured.
    pub fn measure(&mut self) -> io::Result<Tally> {
        let Options { duration, rate, .. } = *self.options;
        let count = self.options.count_limit();
        self.run(Phase::Measure, Schedule::new(Instant::now(), count, duration, rate))
    }

    fn run(&mut self, phase: Phase, schedule: Schedule) -> io::Result<Tally> {
        let begin = Instant::now();
        let mut part = Part { phase, schedule, tally: Tally::default() };
        let mut progress = Progress::new(phase.title());
        let mut events = Events::with_capacity(EVENTS_PER_TURN);

        loop {
            let next_start = self.start_due(&mut part)?;
            if self.running.is_empty() && next_start.is_none() {
                break;
            }
            self.wait(&mut events, next_start)?;
            for event in &events {
                self.advance(event.token().0, &mut part);
            }
            self.expire(&mut part);
            progress
                .update(part.schedule.fraction(Instant::now(), part.tally.ended()), &part.tally);
        }

        part.tally.elapsed = begin.elapsed();
        Ok(part.tally)
    }

    fn wait(&mut self, events: &mut Events, next_start: Option<Instant>) -> io::Result<()> {
        let deadline = self.timers.first().map(|&(deadline, _)| deadline);
        let wake = deadline.into_iter().chain(next_start).min();
        let timeout = wake.map(|wake| wake.saturating_duration_since(Instant::now()));
        match self.poll.poll(events, timeout) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(()),
            result => result,
        }
    }

    /// Starts the clients that are due. Gives the time of the next one, if it waits for that only.
    fn start_due(&mut self, part: &mut Part) -> io::Result<Option<Instant>> {
        while self.running.len() < self.options.concurrency {
            match part.schedule.due(Instant::now()) {
                Due::Now => self.start(part)?,
                Due::At(time) => return Ok(Some(time)),
                Due::Never => break,
            }
        }
        Ok(None)
    }

    fn start(&mut self, part: &mut Part) -> io::Result<()> {
        let job = self.next_job(part.phase);
        if part.measures(&job) {
            part.schedule.start_one();
        }
        let plan = self.plan(&job);
        let started = Connection::start(&self.client, plan, job.session(), Instant::now());
        let mut connection = match started {
            Ok(connection) => connection,
            Err(failure) => {
                self.count_failure(job, &failure, part);
                return Ok(());
            }
        };

        let entry = self.running.vacant_entry();
        let interest = Interest::READABLE | Interest::WRITABLE;
        self.poll.registry().register(connection.socket(), Token(entry.key()), interest)?;
        let timer = connection.deadline();
        self.timers.insert((timer, entry.key()));
        entry.insert(Running { connection, job, timer });
        Ok(())
    }

    fn next_job(&mut self, phase: Phase) -> Job {
        if phase == Phase::Measure && self.options.offer.is_empty() {
            return Job::Full;
        }
        let session = if phase == Phase::Measure { self.sessions.take() } else { None };
        session.map_or(Job::Make, Job::Offer)
    }

    fn plan(&mut self, job: &Job) -> Plan {
        let Options { make, requests, abort_delay, timeout, .. } = *self.options;
        let address = match job {
            Job::Make => {
                let request = Rc::default();
                return Plan { address: make, request, requests: 0, abort: None, timeout };
            }
            Job::Full => make,
            Job::Offer(_) => *self.offers.next().expect("a session is offered somewhere"),
        };
        let request = Rc::clone(&self.request);
        let abort = self.next_departure().map(|departure| (departure, abort_delay));
        Plan { address, request, requests, abort, timeout }
    }

    fn next_departure(&mut self) -> Option<Departure> {
        self.abort_candidates += 1;
        if self.aborted >= (self.abort_candidates as f64 * self.options.abort) as u64 {
            return None;
        }
        self.aborted += 1;
        self.departures.next().copied()
    }

    fn advance(&mut self, key: usize, part: &mut Part) {
        // The client may have ended earlier in this turn.
        let Some(running) = self.running.get_mut(key) else { return };
        match running.connection.advance() {
            Poll::Ready(Ok(())) => self.end(key, End::Closed, part),
            Poll::Ready(Err(failure)) => self.end(key, End::Failed(failure), part),
            Poll::Pending => {
                let deadline = running.connection.deadline();
                if deadline != running.timer {
                    self.timers.remove(&(running.timer, key));
                    self.timers.insert((deadline, key));
                    running.timer = deadline;
                }
            }
        }
    }

    fn expire(&mut self, part: &mut Part) {
        let now = Instant::now();
        while let Some(&(deadline, key)) = self.timers.first() {
            if deadline > now {
                break;
            }
            let end = match self.running[key].connection.expire() {
                Ok(()) => End::Left,
                Err(failure) => End::Failed(failure),
            };
            self.end(key, end, part);
        }
    }

    fn end(&mut self, key: usize, end: End, part: &mut Part) {
        let Running { connection, job, timer } = self.running.remove(key);
        self.timers.remove(&(timer, key));
        match end {
            End::Closed => self.count_closed(connection, job, part),
            End::Left => part.tally.aborted += 1,
            End::Failed(failure) => self.count_failure(job, &failure, part),
        }
    }

    fn count_closed(&mut self, connection: Connection, job: Job, part: &mut Part) {
        let given = self.client.given_session(connection.ssl(), job.session());
        let reused = connection.ssl().session_reused();
        match (&job, given) {
            (Job::Make, Some(session)) => self.sessions.add(session),
            (Job::Make, None) => {
                let failure = connection.failure(Cause::NoSession);
                return self.count_failure(job, &failure, part);
            }
            // What a server gives in place of a refused session was not made where it should be.
            (Job::Offer(_), Some(session)) if reused => self.sessions.replace(session),
            (Job::Offer(_) | Job::Full, _) => {}
        }
        if let Job::Make = job {
            part.tally.made += 1;
        } else {
            part.tally.complete(reused, connection.into_timings());
        }
    }

    fn count_failure(&mut self, job: Job, failure: &Failure, part: &mut Part) {
        part.tally.fail(failure);
        match job {
            Job::Offer(session) if failure.spends_session() => self.sessions.forget(&session),
            Job::Offer(session) => self.sessions.replace(session),
            // Counts as a start, or a server that is down would be asked for ever.
            Job::Make if part.phase == Phase::Measure => part.schedule.start_one(),
            Job::Make => part.schedule.stop(),
            Job::Full => {}
        }
    }
}

impl Job {
    fn session(&self) -> Option<&SslSession> {
        match self {
            Job::Offer(session) => Some(session),
            Job::Make | Job::Full => None,
        }
    }
}

impl Part {
    /// Whether `job` is one of those that the schedule counts: a session that is missing in the
    /// measured part is made beside them.
    fn measures(&self, job: &Job) -> bool {
        self.phase == Phase::Prepare || !matches!(job, Job::Make)
    }
}

impl Phase {
    fn title(self) -> &'static str {
        match self {
            Phase::Prepare => "making sessions",
            Phase::Measure => "measuring",
        }
    }
}

/// HTTP/1.0 has no chunked responses, and nginx keeps its connections alive as well.
fn request(options: &Options) -> Vec<u8> {
    let Some(path) = &options.get else { return Vec::new() };
    let host = options.host();
    format!("GET {path} HTTP/1.0\r\nHost: {host}\r\nConnection: keep-alive\r\n\r\n").into_bytes()
}
