//! A server as its client sees it, the server itself and the wire between them, driven by a script of
//! bytes in simulated time.
//!
//! The server answers each request that has arrived, in order, and what it answers names the lookup
//! it is meant for. So a reply that ends another lookup is noticed, wherever the script cuts the
//! stream, lets time pass, lets an attempt to connect fail or closes the connection. Noise on the wire
//! is part of a script too; until the next connection only the rules hold that concern any server.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

use ssl_session_cache_core::protocol::{
    Asked, Credentials, Decoded, Memcached, Protocol, Put, Redis, Request, Speech, MAX_RECORD,
};
use ssl_session_cache_core::server::{
    Action, Addition, Ended, Line, Lookup, Loss, Server, Settings, State, Unavailable, MAX_WAITING,
};
use ssl_session_cache_core::session::{Key, Keyspace};
use ssl_session_cache_core::Instant;

const TIMEOUT: Duration = Duration::from_millis(1000);
const INTERVAL: Duration = Duration::from_millis(200);

/// What may happen in a script.
#[derive(Clone, Copy)]
pub enum Happened {
    Found,
    Oversized,
    Missing,
    Added,
    AddedInTwo,
    Present,
    Refused,
    TimedOut,
    Down,
    TurnedAway,
    Full,
    Failed,
    Paused,
    Connected,
    Moved,
    Scouted,
}

/// How often each of these has, to see that scripts reach them all.
pub type Tally = [u32; Happened::Scouted as usize + 1];

/// Plays `script` and checks after each step what must hold.
pub fn run(script: &[u8]) -> Tally {
    let mut script = Script(script);
    let mut simulation = Simulation::new(&mut script);
    while let Some(step) = script.next() {
        simulation.step(step, &mut script);
        simulation.check();
    }
    simulation.end()
}

struct Script<'a>(&'a [u8]);

impl Script<'_> {
    fn next(&mut self) -> Option<u8> {
        let (&first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(first)
    }

    /// Zero where the script is over.
    fn byte(&mut self) -> u8 {
        self.next().unwrap_or(0)
    }

    /// Mostly little, at times much.
    fn size(&mut self) -> usize {
        let byte = usize::from(self.byte());
        if byte < 192 {
            byte
        } else {
            (byte - 191) * 300
        }
    }
}

struct Simulation {
    server: Server<u8, Asker>,
    keyspace: Keyspace,
    max_requests: Option<usize>,
    now: Instant,
    /// An attempt to connect is under way.
    is_connecting: bool,
    connected: bool,
    /// An address is being tried beside the one in use.
    is_scouting: bool,
    /// The server's name is being looked up.
    is_resolving: bool,
    /// What the server has sent and its client has not received.
    wire: VecDeque<u8>,
    /// Bytes of this connection that have reached the server.
    sent: u64,
    store: Rc<RefCell<Store>>,
    was_paused: bool,
    /// The address was just left for another one.
    is_left: bool,
    world: World,
}

impl Simulation {
    fn new(script: &mut Script) -> Self {
        let kind = script.byte();
        let max_requests = (kind & 2 == 0).then_some(1 + usize::from(kind >> 3));
        let credentials = (kind & 4 == 0)
            .then(|| Credentials { user: Some((*b"user").into()), password: (*b"secret").into() });
        let store = Rc::new(RefCell::new(Store {
            is_redis: kind & 1 == 0,
            requests: VecDeque::new(),
            queued: 0,
            questions: 0,
            age: match (kind & 1, kind >> 3 & 3) {
                (0, 0) => Age::Outdated,
                (0, 1) => Age::Ancient,
                _ => Age::Current,
            },
        }));
        let age = store.borrow().age;
        let inner: Box<dyn Protocol> = if kind & 1 == 0 {
            let redis = Redis::new(credentials, 0);
            let redis = if kind & 128 == 0 { redis } else { redis.named((*b"name").into()) };
            Box::new(if kind & 64 == 0 { redis } else { redis.master_only() })
        } else {
            Box::new(Memcached::new(credentials))
        };
        let protocol = Rc::new(Observed { inner, store: store.clone() });
        let settings = Settings { timeout: TIMEOUT, interval: INTERVAL, max_requests };
        let addresses: Vec<u8> = (1..=script.byte() % 4).collect();
        let is_named = addresses.is_empty() || script.byte() % 2 == 0;
        let now = Instant::from_millis(0);
        let server = Server::new(protocol, settings, addresses.into(), is_named, 1, now);
        let mut simulation = Self {
            server: if kind & 64 == 0 { server } else { server.discovered() },
            keyspace: Keyspace::default(),
            max_requests,
            now,
            is_connecting: false,
            connected: false,
            is_scouting: false,
            is_resolving: false,
            wire: VecDeque::new(),
            sent: 0,
            store,
            was_paused: false,
            is_left: false,
            world: World { age, ..World::default() },
        };
        simulation.server.start(now);
        simulation.act();
        simulation
    }

    fn step(&mut self, step: u8, script: &mut Script) {
        match step % 32 {
            0..=5 => self.get(script),
            6..=7 => self.add(script),
            8..=9 => self.put(script),
            10 => self.delete(script),
            11..=13 => self.send(usize::MAX),
            14 => self.send(script.size()),
            15..=17 => self.answer(usize::MAX),
            18 => self.answer(usize::from(script.byte() % 8)),
            19..=20 => self.deliver(usize::MAX),
            21 => self.answer_name(script),
            22 => self.deliver(script.size()),
            23..=24 => self.wait(Duration::from_millis(u64::from(script.byte()))),
            25 => self.wait_for_deadline(),
            26 => self.wait(Duration::from_millis(u64::from(script.byte()) * 20)),
            27 => self.noise(script),
            28 => self.lose(),
            29 if self.is_scouting => self.scouted(script.byte() % 2 == 0),
            31 if self.connected => self.recover(script),
            _ if self.connected => self.answer_all(),
            29 => self.answer_name(script),
            _ => self.connect(),
        }
    }

    /// Does what is to be done, and checks the lookups that have ended.
    fn act(&mut self) {
        let mut is_closed = false;
        self.is_left = false;
        while let Some(action) = self.server.action() {
            match action {
                Action::Connect(address) => {
                    assert!(!self.is_connecting && !self.connected, "two connections");
                    assert!(address > 0);
                    self.is_connecting = true;
                }
                Action::Close => {
                    is_closed = true;
                    self.is_connecting = false;
                    self.connected = false;
                    self.wire.clear();
                    self.sent = 0;
                }
                Action::Resolve => self.is_resolving = true,
                Action::Scout(address, _) => {
                    assert!(address > 0 && self.connected);
                    self.is_scouting = true;
                }
                Action::StopScout => self.is_scouting = false,
                Action::Log(Line::Dropped { .. }) => self.is_left = true,
                Action::Log(_) => {}
            }
        }
        let world = &mut self.world;
        self.server.completions().drain(|asker, ended| world.ended(asker, ended, is_closed));

        let is_paused = self.server.is_paused();
        if is_paused && !self.was_paused {
            self.world.count(Happened::Paused);
        }
        self.was_paused = is_paused;
        assert!(self.connected || self.server.unsent().is_empty());
        assert_eq!(self.connected, self.server.is_connected());
    }

    fn answer_all(&mut self) {
        self.send(usize::MAX);
        self.answer(usize::MAX);
        self.deliver(usize::MAX);
    }

    /// A store that does what it should for long enough to be trusted again.
    fn recover(&mut self, script: &mut Script) {
        for _ in 0..20 {
            self.answer_all();
            self.get(script);
            self.answer_all();
            self.add(script);
            self.answer_all();
            self.wait(TIMEOUT / 2);
        }
    }

    fn connect(&mut self) {
        if self.is_connecting {
            self.is_connecting = false;
            self.connected = true;
            self.world.noisy = false;
            self.world.count(Happened::Connected);
            self.server.connected(self.now);
            self.act();
        } else if !self.connected {
            self.wait_for_deadline();
        }
    }

    fn lose(&mut self) {
        self.server.lost(Loss::Failed("reset".into()), self.now);
        self.act();
        assert_eq!(self.server.state(), State::Down);
    }

    fn scouted(&mut self, is_usable: bool) {
        self.is_scouting = false;
        self.world.count(Happened::Scouted);
        self.server.scouted(is_usable, self.now);
        self.act();
    }

    /// The server's name stands for other addresses, or for none.
    fn answer_name(&mut self, script: &mut Script) {
        if !self.is_resolving {
            return;
        }
        self.is_resolving = false;
        let was_connected = self.connected;
        let addresses: Vec<u8> = (1..=5).filter(|bit| script.byte() & (1 << bit) != 0).collect();
        let result = match addresses.is_empty() {
            true => Err("no such host".into()),
            false => Ok((addresses, self.now + Duration::from_secs(script.byte().into()))),
        };
        self.server.resolved(result, self.now);
        self.act();
        if was_connected && !self.connected {
            self.world.count(Happened::Moved);
        }
    }

    fn get(&mut self, script: &mut Script) {
        let key = self.keyspace.key(&[script.byte() % 8; 32]).unwrap();
        let deadline = self.now + Duration::from_millis(u64::from(script.byte()) * 8);
        let id = self.store.borrow().questions;
        let asker = Asker { id, deadline, adds: false };
        let asked = self.server.get(&key, deadline, asker, self.now);
        self.asked(asked, id, deadline);
    }

    fn add(&mut self, script: &mut Script) {
        let key = self.keyspace.key(&[script.byte() % 8; 32]).unwrap();
        let record = vec![b'r'; script.size().min(MAX_RECORD)];
        let put = Put { key: &key, record: &record, ttl: 300, unix_now: 1_700_000_000 };
        let deadline = self.now + Duration::from_millis(u64::from(script.byte()) * 8);
        let id = self.store.borrow().questions;
        let asker = Asker { id, deadline, adds: true };
        let asked = self.server.add(put, deadline, asker, self.now);
        self.asked(asked, id, deadline);
    }

    fn asked(&mut self, asked: Result<(), Unavailable>, id: u32, deadline: Instant) {
        match asked {
            Ok(()) => {
                assert_eq!(self.store.borrow().questions, id + 1);
                self.world.waiting.push((id, deadline.min(self.now + TIMEOUT)));
            }
            Err(reason) => self.turned_away(reason),
        }
    }

    fn put(&mut self, script: &mut Script) {
        let key = self.keyspace.key(&[script.byte() % 8; 32]).unwrap();
        let record = vec![b'r'; script.size().min(MAX_RECORD)];
        let put = Put { key: &key, record: &record, ttl: 300, unix_now: 1_700_000_000 };
        if let Err(reason) = self.server.put(put, None, self.now) {
            self.turned_away(reason);
        }
    }

    fn delete(&mut self, script: &mut Script) {
        let key = self.keyspace.key(&[script.byte() % 8; 32]).unwrap();
        if let Err(reason) = self.server.delete(&key, None, self.now) {
            self.turned_away(reason);
        }
    }

    fn turned_away(&mut self, reason: Unavailable) {
        match reason {
            Unavailable::Down => self.world.count(Happened::TurnedAway),
            Unavailable::Full => self.world.count(Happened::Full),
            Unavailable::Timeout | Unavailable::Refused => panic!("{reason:?} without an answer"),
        }
    }

    fn send(&mut self, count: usize) {
        if !self.connected {
            return;
        }
        let count = count.min(self.server.unsent().len());
        self.server.sent(count);
        self.sent += count as u64;
    }

    fn answer(&mut self, count: usize) {
        let replies = self.store.borrow_mut().answer(self.sent, count);
        self.wire.extend(replies);
    }

    fn deliver(&mut self, count: usize) {
        let count = count.min(self.wire.len());
        let bytes: Vec<u8> = self.wire.drain(..count).collect();
        self.receive(&bytes);
    }

    fn noise(&mut self, script: &mut Script) {
        const NOISE: [&[u8]; 8] = [
            b"\r\n",
            b"+OK\r\n",
            b"$-1\r\n",
            b"$3\r\nabc\r\n",
            b"END\r\n",
            b"STORED\r\n",
            b"-ERR x\r\n",
            b"SERVER_ERROR x\r\n",
        ];
        if !self.connected {
            return;
        }
        self.world.noisy = true;
        let choice = script.byte();
        match NOISE.get(usize::from(choice)) {
            Some(noise) => self.receive(noise),
            None => self.receive(&[choice]),
        }
    }

    fn receive(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() && self.connected {
            let spare = self.server.spare();
            let count = spare.len().min(bytes.len());
            assert!(count > 0, "no room to read");
            spare[..count].copy_from_slice(&bytes[..count]);
            bytes = &bytes[count..];
            self.server.received(count, self.now);
            self.server.read_all(self.now);
            self.act();
            if !self.connected {
                assert!(self.world.noisy || self.is_left, "an error without noise");
                self.world.count(Happened::Failed);
            }
        }
    }

    fn wait(&mut self, span: Duration) {
        self.now = self.now + span;
        self.world.now = Some(self.now);
        let is_owed = self.server.waiting_requests() > 0;
        let was_connected = self.connected;
        if self.server.is_overdue(self.now) {
            self.server.lost(Loss::Failed("timed out".into()), self.now);
            self.act();
        }
        self.server.tick(self.now);
        self.act();
        let overdue = |&(_, deadline): &(u32, Instant)| deadline <= self.now;
        assert!(!self.world.waiting.iter().any(overdue), "a lookup outlives its deadline");
        if was_connected && !self.connected {
            assert!(is_owed || self.is_left, "silent, but nothing is owed");
            self.world.count(Happened::Failed);
        }
    }

    fn wait_for_deadline(&mut self) {
        // What fails at its time may be followed by something at once, and that by a wait.
        for _ in 0..3 {
            let Some(deadline) = self.server.deadline() else { return };
            self.wait(deadline.since(self.now));
            if self.server.deadline().is_none_or(|deadline| deadline > self.now) {
                return;
            }
        }
        panic!("the same deadline again and again");
    }

    fn check(&self) {
        let deadline = self.server.deadline();
        let waiting = &self.world.waiting;
        for (_, lookup) in waiting.iter() {
            assert!(deadline.is_some_and(|deadline| deadline <= *lookup), "a late wake-up");
        }
        assert!(self.server.waiting_requests() > 0 || waiting.is_empty());
        if let Some(max) = self.max_requests {
            // What is to be deleted has as much room again, and a probe goes out over the limit.
            let requests = self.store.borrow().requests.len();
            assert!(waiting.len() <= max);
            assert!(requests <= 2 * max + 2 || self.world.noisy || !self.connected);
        }
        let limit = 2 * MAX_WAITING as usize + MAX_RECORD + 400;
        assert!(self.server.unsent().len() <= limit);
    }

    fn end(mut self) -> Tally {
        self.server.stop(self.now);
        self.act();
        assert!(self.world.waiting.is_empty(), "a lookup never ends");
        self.world.tally
    }
}

/// What is known of the lookups, and of the records to add.
#[derive(Default)]
struct World {
    age: Age,
    /// Those that have not ended, with their deadlines.
    waiting: Vec<(u32, Instant)>,
    now: Option<Instant>,
    /// There was noise on this connection's wire.
    noisy: bool,
    tally: Tally,
}

/// What a lookup is known by, or a record to add.
struct Asker {
    id: u32,
    deadline: Instant,
    adds: bool,
}

impl World {
    fn count(&mut self, happened: Happened) {
        self.tally[happened as usize] += 1;
    }

    fn ended(&mut self, asker: Asker, ended: Ended<'_>, is_closed: bool) {
        let Asker { id, deadline: latest, adds } = asker;
        let index = self.waiting.iter().position(|(other, _)| *other == id).expect("ended twice");
        let (_, deadline) = self.waiting.swap_remove(index);
        assert!(deadline <= latest);
        let unavailable =
            if adds { self.added(id, ended.into()) } else { self.looked_up(id, ended.into()) };
        match unavailable {
            None => {}
            Some(Unavailable::Refused) => {
                let is_old = adds && self.age != Age::Current;
                assert!(self.noisy || is_old || fate(id) == Fate::Refused, "another's reply");
                self.count(Happened::Refused);
            }
            Some(Unavailable::Timeout) => {
                assert!(self.now.is_some_and(|now| deadline <= now), "before its deadline");
                self.count(Happened::TimedOut);
            }
            Some(Unavailable::Down) => {
                assert!(is_closed, "down while connected");
                self.count(Happened::Down);
            }
            Some(Unavailable::Full) => panic!("full after it was accepted"),
        }
    }

    /// A record was added, or was not.
    fn added(&mut self, id: u32, addition: Addition) -> Option<Unavailable> {
        match addition {
            Addition::First => {
                assert!(self.noisy || matches!(fate(id), Fate::Found | Fate::Oversized));
                assert!(self.noisy || self.age != Age::Ancient, "it may delete what is there");
                self.count(match self.age {
                    Age::Outdated => Happened::AddedInTwo,
                    Age::Current | Age::Ancient => Happened::Added,
                });
                None
            }
            Addition::Present => {
                assert!(self.noisy || fate(id) == Fate::Missing, "another's reply");
                self.count(Happened::Present);
                None
            }
            Addition::Unavailable(reason) => Some(reason),
        }
    }

    fn looked_up(&mut self, id: u32, lookup: Lookup<'_>) -> Option<Unavailable> {
        match lookup {
            Lookup::Found(record) => {
                assert!(self.noisy || fate(id) == Fate::Found, "another's reply");
                assert!(self.noisy || record == record_of(id), "another's record");
                self.count(Happened::Found);
            }
            Lookup::Oversized => {
                assert!(self.noisy || fate(id) == Fate::Oversized, "another's reply");
                self.count(Happened::Oversized);
            }
            Lookup::Missing => {
                assert!(self.noisy || fate(id) == Fate::Missing, "another's reply");
                self.count(Happened::Missing);
            }
            Lookup::Unavailable(reason) => return Some(reason),
        }
        None
    }
}

#[derive(PartialEq, Eq)]
enum Fate {
    Found,
    Oversized,
    Missing,
    Refused,
}

/// How the store ends the lookup `id`.
fn fate(id: u32) -> Fate {
    match id % 8 {
        0 => Fate::Missing,
        1 => Fate::Refused,
        2 if id % 16 == 2 => Fate::Oversized,
        _ => Fate::Found,
    }
}

/// The record that the store has for the lookup `id`.
fn record_of(id: u32) -> Vec<u8> {
    let len = match fate(id) {
        Fate::Oversized => MAX_RECORD + 1 + id as usize * 997 % (2 * MAX_RECORD),
        _ if id % 64 == 63 => MAX_RECORD,
        _ => 4 + id as usize * 37 % 500,
    };
    let mut record = id.to_be_bytes().to_vec();
    record.resize(len, b'\r');
    record
}

/// The store's end: the requests that were encoded, from which it knows what to answer.
struct Store {
    is_redis: bool,
    requests: VecDeque<Arriving>,
    /// Bytes that were encoded for this connection.
    queued: u64,
    /// Lookups, and records to add, that were encoded at all.
    questions: u32,
    age: Age,
}

/// How a Redis adds.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Age {
    #[default]
    Current,
    /// In two requests.
    Outdated,
    /// Not at all as it should.
    Ancient,
}

struct Arriving {
    reply: Vec<u8>,
    /// The position in the stream at which the request has wholly arrived.
    end: u64,
}

impl Store {
    fn disconnect(&mut self) {
        self.requests.clear();
        self.queued = 0;
    }

    /// The replies to the next `count` requests, as far as they have arrived.
    fn answer(&mut self, arrived: u64, count: usize) -> Vec<u8> {
        let mut replies = Vec::new();
        for _ in 0..count {
            match self.requests.front() {
                Some(request) if request.end <= arrived => replies.extend(&request.reply),
                _ => break,
            }
            self.requests.pop_front();
        }
        replies
    }

    fn arriving(&mut self, len: usize, reply: Vec<u8>) {
        self.queued += len as u64;
        self.requests.push_back(Arriving { reply, end: self.queued });
    }

    fn one_of(&self, redis: &str, memcached: &str) -> Vec<u8> {
        if self.is_redis { redis } else { memcached }.into()
    }

    fn reply_to(&self, request: Request<'_>) -> Vec<u8> {
        match request {
            Request::Authenticate(_) | Request::Select(_) => self.one_of("+OK\r\n", "STORED\r\n"),
            Request::Role => b"*3\r\n$6\r\nmaster\r\n:312\r\n*0\r\n".into(),
            Request::Name(_) if self.age != Age::Current => {
                b"-ERR unknown command 'CLIENT'\r\n".into()
            }
            Request::Name(_) | Request::Asking => b"+OK\r\n".into(),
            Request::Get(key) => self.reply_to_get(key),
            Request::Put(Put { record, .. }) if record.len() % 4 == 3 => {
                self.one_of("-OOM x\r\n", "SERVER_ERROR object too large for cache\r\n")
            }
            Request::Put(_) => self.one_of("+OK\r\n", "STORED\r\n"),
            Request::Add(_) if self.age != Age::Current => {
                b"-ERR wrong number of arguments for 'set' command\r\n".into()
            }
            Request::Add(_) => self.reply_to_add(["+OK\r\n", "$-1\r\n"]),
            Request::AddForGood { .. } => self.reply_to_add([":1\r\n", ":0\r\n"]),
            Request::Expire { .. } => b":1\r\n".into(),
            Request::Persist(_) if self.age == Age::Ancient => {
                b"-ERR unknown command 'PERSIST'\r\n".into()
            }
            Request::Persist(_) => b":0\r\n".into(),
            Request::Delete(_) => self.one_of(":1\r\n", "NOT_FOUND\r\n"),
            Request::Probe => self.reply_to_probe(),
        }
    }

    /// A Redis whose snapshot has failed refuses a probe, and is no worse for lookups.
    fn reply_to_probe(&self) -> Vec<u8> {
        let redis = if self.questions % 4 == 3 { "-MISCONF x\r\n" } else { "+PONG\r\n" };
        self.one_of(redis, "VERSION 1.6.18\r\n")
    }

    fn reply_to_add(&self, [added, present]: [&str; 2]) -> Vec<u8> {
        match fate(self.questions) {
            Fate::Found | Fate::Oversized => self.one_of(added, "STORED\r\n"),
            Fate::Missing => self.one_of(present, "NOT_STORED\r\n"),
            Fate::Refused => self.one_of("-OOM x\r\n", "SERVER_ERROR out of memory\r\n"),
        }
    }

    fn reply_to_get(&self, key: &Key) -> Vec<u8> {
        let record = record_of(self.questions);
        match fate(self.questions) {
            Fate::Missing => self.one_of("$-1\r\n", "END\r\n"),
            Fate::Refused => self.one_of("-LOADING x\r\n", "SERVER_ERROR out of memory\r\n"),
            Fate::Found | Fate::Oversized if self.is_redis => {
                [format!("${}\r\n", record.len()).as_bytes(), &record, b"\r\n"].concat()
            }
            Fate::Found | Fate::Oversized => {
                let size = format!(" 0 {}\r\n", record.len());
                [format!("VALUE {key:?}{size}").as_bytes(), &record, b"\r\nEND\r\n"].concat()
            }
        }
    }
}

/// A protocol whose requests the store is told of.
struct Observed {
    inner: Box<dyn Protocol>,
    store: Rc<RefCell<Store>>,
}

impl Protocol for Observed {
    fn speech(&self) -> Speech {
        self.inner.speech()
    }

    fn greeting(&self) -> Vec<Request<'_>> {
        // What was asked for before was for another connection.
        self.store.borrow_mut().disconnect();
        self.inner.greeting()
    }

    fn encode(&self, request: Request<'_>, out: &mut Vec<u8>) {
        let start = out.len();
        self.inner.encode(request, out);
        let mut store = self.store.borrow_mut();
        let reply = store.reply_to(request);
        store.arriving(out.len() - start, reply);
        if let Request::Get(_) | Request::Add(_) | Request::AddForGood { .. } = request {
            store.questions += 1;
        }
    }

    fn decode<'a>(&self, asked: &Asked, input: &'a [u8]) -> Decoded<'a> {
        self.inner.decode(asked, input)
    }
}
