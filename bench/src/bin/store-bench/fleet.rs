//! The event loop: has all workers go on, and gives them what is to be asked.

use std::collections::BTreeSet;
use std::io;
use std::mem;
use std::rc::Rc;
use std::thread;
use std::time::{Duration, Instant};

use mio::{Events, Poll};
use slab::Slab;
use ssl_session_cache_core::Instant as CoreInstant;

use crate::link::Connections;
use crate::options::Options;
use crate::report::Tally;
use crate::sessions::{Chance, Sessions};
use crate::worker::{Common, Worker};

const EVENTS_PER_TURN: usize = 1024;

/// So many lookups wait at most while connections are made: what is asked first makes one.
const CONNECTING: u64 = 256;

/// So many records wait at most while sessions are put in advance.
const FILLING: usize = 1000;

/// What is made ready in advance takes no longer than this.
const LONGEST_START: Duration = Duration::from_secs(60);

/// As many workers as told, on one thread.
pub struct Fleet<'a> {
    options: &'a Options,
    common: Rc<Common>,
    poll: Poll,
    events: Events,
    begin: Instant,
    connections: Connections,
    workers: Vec<Worker>,
    /// When each worker's time comes next, and that of each by its place.
    timers: BTreeSet<(CoreInstant, usize)>,
    armed: Vec<Option<CoreInstant>>,
    /// The workers to which something has happened.
    touched: Vec<usize>,
    sessions: Sessions,
    chance: Chance,
    tally: Tally,
}

impl<'a> Fleet<'a> {
    /// A fleet without workers yet.
    pub fn new(options: &'a Options) -> io::Result<Self> {
        let poll = Poll::new()?;
        let registry = poll.registry().try_clone()?;
        Ok(Self {
            options,
            common: Common::new(options),
            poll,
            events: Events::with_capacity(EVENTS_PER_TURN),
            begin: Instant::now(),
            connections: Connections { registry, owners: Slab::new() },
            workers: Vec::new(),
            timers: BTreeSet::new(),
            armed: Vec::new(),
            touched: Vec::new(),
            sessions: Sessions::new(options.name.into(), options.record.into()),
            chance: Chance::new(u64::MAX),
            tally: Tally::default(),
        })
    }

    /// Starts the workers, a few at a time, and has each ask each server something.
    pub fn connect(&mut self) -> io::Result<()> {
        let until = Instant::now() + LONGEST_START;
        let (count, servers) = (self.options.workers as usize, self.options.servers.len());
        while self.workers.len() < count || self.tally.waiting() > 0 {
            while self.workers.len() < count && self.tally.waiting() < CONNECTING {
                self.start_one(servers);
            }
            self.turn(Some(until))?;
            if Instant::now() > until {
                return Err(io::Error::other("not all connections could be made"));
            }
        }
        Ok(())
    }

    fn start_one(&mut self, servers: usize) {
        let (place, now) = (self.workers.len(), self.now());
        let mut worker = Worker::start(place, &self.common, now);
        for part in 0..servers {
            let key = self.sessions.stranger(part, servers, &mut self.chance);
            worker.get(&key, &mut self.tally, now);
        }
        self.workers.push(worker);
        self.armed.push(None);
        self.touched.push(place);
    }

    /// Puts sessions that can be looked up.
    pub fn fill(&mut self) -> io::Result<()> {
        let until = Instant::now() + LONGEST_START;
        let count = u64::from(self.options.sessions);
        while self.sessions.count() < count || self.workers[0].waiting() > 0 {
            let now = self.now();
            for _ in self.workers[0].waiting()..FILLING {
                if self.sessions.count() == count {
                    break;
                }
                let key = self.sessions.next();
                self.workers[0].put(&key, self.sessions.record(), &mut self.tally, now);
            }
            self.touched.push(0);
            self.turn(Some(until))?;
            if Instant::now() > until || self.tally.records_failed > 0 {
                return Err(io::Error::other("not all sessions could be put"));
            }
        }
        Ok(())
    }

    /// Runs the handshakes that are measured; those under way then end.
    pub fn measure(&mut self) -> io::Result<Tally> {
        self.tally.reset();
        let begin = Instant::now();
        let end = begin + self.options.duration;
        let rate = self.options.rate();
        let (mut started, mut next) = (0_u64, (rate > 0.0).then_some(begin));
        loop {
            let now = Instant::now();
            if now >= end {
                break;
            }
            while next.is_some_and(|next| next <= now) {
                self.start_handshake();
                started += 1;
                next = Some(begin + Duration::from_secs_f64(started as f64 / rate));
            }
            self.turn(Some(next.map_or(end, |next| next.min(end))))?;
        }
        self.tally.elapsed = begin.elapsed();
        let last = Instant::now() + self.options.timeout;
        while self.tally.waiting() > 0 && Instant::now() < last {
            self.turn(Some(last))?;
        }
        Ok(mem::take(&mut self.tally))
    }

    /// A handshake of TLS 1.3 at any worker: a full one puts two tickets, and one that resumes a
    /// session puts one once that is found.
    fn start_handshake(&mut self) {
        let place = self.chance.below(self.workers.len() as u64) as usize;
        let now = self.now();
        let worker = &mut self.workers[place];
        if self.chance.fraction() < self.options.resumed_share() {
            let key = self.sessions.one_of(self.options.sessions, &mut self.chance);
            worker.get(&key, &mut self.tally, now);
        } else {
            for _ in 0..2 {
                let key = self.sessions.next();
                worker.put(&key, self.sessions.record(), &mut self.tally, now);
            }
        }
        self.touched.push(place);
    }

    /// One turn: has workers go on to which something has happened, and waits for more, until this
    /// time at most.
    fn turn(&mut self, until: Option<Instant>) -> io::Result<()> {
        self.go_on();
        let timer = self.timers.first().map(|(at, _)| self.std_time(*at));
        self.wait(timer.into_iter().chain(until).min())?;

        let now = self.now();
        for event in &self.events {
            // Those of a connection that was closed in this turn have no owner.
            let Some(owner) = self.connections.owners.get(event.token().0).copied() else {
                continue;
            };
            let worker = &mut self.workers[owner.worker];
            worker.ready(owner, &mut self.connections, now);
            self.touched.push(owner.worker);
        }
        while let Some((at, place)) = self.timers.pop_first() {
            if at > now {
                self.timers.insert((at, place));
                break;
            }
            self.armed[place] = None;
            self.workers[place].tick(&mut self.connections, now);
            self.touched.push(place);
        }
        self.go_on();
        Ok(())
    }

    /// Waits for something to happen. Below a millisecond, which is what epoll counts in, it is slept:
    /// else what is due next would always come in bursts.
    fn wait(&mut self, until: Option<Instant>) -> io::Result<()> {
        let mut timeout = until.map(|until| until.saturating_duration_since(Instant::now()));
        if let Some(short) = timeout.filter(|timeout| *timeout < Duration::from_millis(1)) {
            thread::sleep(short);
            timeout = Some(Duration::ZERO);
        }
        match self.poll.poll(&mut self.events, timeout) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(()),
            result => result,
        }
    }

    fn go_on(&mut self) {
        let now = self.now();
        for place in mem::take(&mut self.touched) {
            let worker = &mut self.workers[place];
            let found = worker.go_on(&mut self.connections, &mut self.tally, now);
            for _ in 0..found {
                let key = self.sessions.next();
                worker.put(&key, self.sessions.record(), &mut self.tally, now);
            }
            if found > 0 {
                worker.go_on(&mut self.connections, &mut self.tally, now);
            }
            self.arm(place);
        }
    }

    /// Sets a worker's timer, if its time comes earlier than that says.
    fn arm(&mut self, place: usize) {
        let Some(at) = self.workers[place].deadline() else { return };
        match self.armed[place] {
            Some(armed) if armed <= at => return,
            Some(armed) => self.timers.remove(&(armed, place)),
            None => false,
        };
        self.timers.insert((at, place));
        self.armed[place] = Some(at);
    }

    /// The time that deadlines are told in; the first second is over.
    fn now(&self) -> CoreInstant {
        CoreInstant::from_millis(0) + Duration::from_secs(1) + self.begin.elapsed()
    }

    fn std_time(&self, at: CoreInstant) -> Instant {
        // A millisecond's parts are dropped in it: what is due then is due now.
        self.begin + at.since(CoreInstant::from_millis(1000))
    }
}
