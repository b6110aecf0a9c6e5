//! A client: a router and a server's life for each of its servers, put together as a worker does it.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, HashSet, VecDeque};
use std::mem;
use std::rc::Rc;
use std::time::Duration;

use ssl_session_cache_core::protocol::{Put, Reason, Redis};
use ssl_session_cache_core::server::{
    Action, Addition, Ended, Lookup, Loss, Server, Settings, Unavailable,
};
use ssl_session_cache_core::session::Key;
use ssl_session_cache_core::topology::{
    Asking, Endpoint, Host, Map, Routed, Router, ServerId, Servers, Told, Whom, MAX_NODES,
};
use ssl_session_cache_core::Instant;

use super::node::{endpoint, take_command, Fleet};
use super::{id_of, key_of, record_of, Happened, Tally, INTERVAL, MAX_REQUESTS, TIMEOUT};

/// The map is asked for no sooner after the last time.
const GAP: Duration = Duration::from_secs(1);

/// Somebody's question, or record to add, by its number.
type Token = u32;

pub struct Client {
    pub router: Router<Token>,
    pub servers: Drivers,
    survey: Option<Survey>,
    /// When the last round of asking for the map was over.
    surveyed_at: Option<Instant>,
    /// What lookups have come to, in the order of their ends: the key, what was said, after how long.
    pub told: Vec<(u8, Outcome, Duration)>,
    /// And what records to add have come to.
    pub added: Vec<(u8, Addition)>,
    questions: u32,
}

/// How a lookup has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Found,
    Missing,
    Unavailable(Unavailable),
}

/// The servers, each with its connection, and what is known of the requests.
pub struct Drivers {
    drivers: RefCell<BTreeMap<ServerId, Rc<RefCell<Driver>>>>,
    is_cluster: bool,
    now: Cell<Instant>,
    /// The nodes that have slots, and those that redirects have named since.
    named: RefCell<HashSet<Endpoint>>,
    /// Lookups that have not ended, by their keys, each of which has one at a time.
    waiting: RefCell<BTreeMap<u8, Waiting>>,
    /// The same of records to add.
    adding: RefCell<BTreeMap<u8, Waiting>>,
    /// How many puts and deletes were sent, and how many may have been.
    writes: Cell<(u32, u32)>,
    /// Puts that were accepted, done, and counted as failed.
    pub puts: Cell<[u32; 3]>,
    pub opened: Cell<u32>,
    pub tally: Cell<Tally>,
    is_noisy: Cell<bool>,
}

struct Waiting {
    token: Token,
    began: Instant,
    deadline: Instant,
    /// How many requests were sent, and how many may be.
    sent: u32,
    allowed: u32,
}

struct Driver {
    server: Server<Endpoint, Asked>,
    place: Endpoint,
    link: Link,
    /// The requests for keys that are queued, each with whether ASKING goes before it.
    queued: VecDeque<bool>,
}

enum Link {
    Closed,
    /// An attempt is to begin.
    Wanted,
    /// It ends at this time, with a connection or without.
    Connecting {
        at: Instant,
        node: Option<usize>,
    },
    Open(Connection),
}

struct Connection {
    node: usize,
    /// What has arrived and was not looked at.
    input: Vec<u8>,
    is_asking: bool,
    /// What comes back, and when.
    replies: VecDeque<(Instant, Vec<u8>)>,
}

struct Asked {
    routed: Routed<Token>,
    key: u8,
    what: What,
}

#[derive(PartialEq, Eq)]
enum What {
    Get,
    Put,
    Add,
    Delete,
}

/// The way to a map.
struct Survey {
    whom: Whom,
    others: VecDeque<Endpoint>,
    /// Who is asked, until when, and what that comes to.
    due: Instant,
    answer: Option<(Host, Vec<u8>)>,
}

impl Client {
    /// Of a cluster, whose first three nodes are configured.
    pub fn of_cluster(seed: u64, now: Instant) -> Self {
        Self::new(Router::cluster(seed, MAX_NODES, TIMEOUT, now), true, now)
    }

    /// Of so many servers that know nothing of each other.
    pub fn of_servers(count: usize, now: Instant) -> Self {
        let words: Vec<_> = (0..count).map(|node| endpoint(node).to_string()).collect();
        let (router, ids) = Router::spread(words.iter().map(|word| word.as_bytes()));
        let client = Self::new(router, false, now);
        for (node, id) in ids.into_iter().enumerate() {
            client.servers.insert(id, endpoint(node));
        }
        client
    }

    fn new(router: Router<Token>, is_cluster: bool, now: Instant) -> Self {
        let servers = Drivers {
            drivers: RefCell::default(),
            is_cluster,
            now: Cell::new(now),
            named: RefCell::default(),
            waiting: RefCell::default(),
            adding: RefCell::default(),
            writes: Cell::default(),
            puts: Cell::default(),
            opened: Cell::default(),
            tally: Cell::default(),
            is_noisy: Cell::new(false),
        };
        let (survey, surveyed_at) = (None, None);
        let (told, added) = (Vec::new(), Vec::new());
        Self { router, servers, survey, surveyed_at, told, added, questions: 0 }
    }

    pub fn get(&mut self, id: u8, deadline: Instant) -> Result<(), Unavailable> {
        let now = self.now();
        // A third request is at the second redirect; one more at each end of a wait.
        let allowed = if self.servers.is_cluster { 3 } else { 2 };
        let waiting = self.question(deadline, allowed);
        let token = waiting.token;
        let before = self.servers.waiting.borrow_mut().insert(id, waiting);
        assert!(before.is_none(), "two lookups of a key");
        let begun = self.router.get(&self.servers, &key_of(id), deadline, token, now);
        if begun.is_err() {
            self.servers.waiting.borrow_mut().remove(&id);
            self.servers.count(Happened::TurnedAway);
        }
        begun
    }

    /// Adds a record.
    pub fn add(&mut self, id: u8, deadline: Instant) -> Result<(), Unavailable> {
        let allowed = if self.servers.is_cluster { 3 } else { 1 };
        let adding = self.question(deadline, allowed);
        let token = adding.token;
        let before = self.servers.adding.borrow_mut().insert(id, adding);
        assert!(before.is_none(), "a key is added twice at a time");
        let (key, record) = (key_of(id), record_of(id));
        let put = Put { key: &key, record: &record, ttl: 300, unix_now: 1_700_000_000 };
        let begun = self.router.add(&self.servers, put, deadline, token, self.now());
        if begun.is_err() {
            self.servers.adding.borrow_mut().remove(&id);
            self.servers.count(Happened::TurnedAway);
        }
        begun
    }

    pub fn is_adding(&self, id: u8) -> bool {
        self.servers.adding.borrow().contains_key(&id)
    }

    fn question(&mut self, deadline: Instant, allowed: u32) -> Waiting {
        self.questions += 1;
        Waiting { token: self.questions, began: self.now(), deadline, sent: 0, allowed }
    }

    pub fn is_waiting(&self, id: u8) -> bool {
        self.servers.waiting.borrow().contains_key(&id)
    }

    pub fn put(&mut self, id: u8) -> Result<(), Unavailable> {
        self.allow_write();
        let (key, record) = (key_of(id), record_of(id));
        let put = Put { key: &key, record: &record, ttl: 300, unix_now: 1_700_000_000 };
        let put = self.router.put(&self.servers, put, self.now());
        if put.is_ok() {
            self.servers.count_put(0, 1);
        }
        put
    }

    pub fn delete(&mut self, id: u8) -> Result<(), Unavailable> {
        self.allow_write();
        self.router.delete(&self.servers, &key_of(id), self.now())
    }

    fn allow_write(&self) {
        let (sent, allowed) = self.servers.writes.get();
        self.servers.writes.set((sent, allowed + 2));
    }

    fn now(&self) -> Instant {
        self.servers.now.get()
    }

    /// The time that it knows.
    pub fn time(&self) -> Instant {
        self.now()
    }

    /// Time passes.
    pub fn check(&self) {
        let (waiting, adding) = (self.servers.waiting.borrow(), self.servers.adding.borrow());
        for (id, waiting) in waiting.iter().chain(&*adding) {
            assert!(waiting.deadline > self.now(), "what is asked of {id} outlives its deadline");
        }
    }

    /// How many lookups and records to add have not ended.
    pub fn waiting(&self) -> usize {
        self.servers.waiting.borrow().len() + self.servers.adding.borrow().len()
    }

    /// How many servers there are.
    pub fn count(&self) -> usize {
        self.servers.drivers.borrow().len()
    }

    /// When something is to be done.
    pub fn deadline(&self) -> Option<Instant> {
        let drivers = self.servers.drivers.borrow();
        let of_drivers = drivers.values().filter_map(|driver| driver.borrow().deadline());
        let survey = self.survey.as_ref().map(|survey| survey.due);
        of_drivers.chain(self.router.deadline()).chain(survey).min()
    }

    /// Does what it is time for.
    pub fn tick(&mut self, fleet: &mut Fleet, now: Instant) {
        self.servers.now.set(now);
        for (_, driver) in self.servers.list() {
            let driver = &mut *driver.borrow_mut();
            if driver.deadline().is_none_or(|due| due > now) {
                continue;
            }
            driver.receive(now);
            if driver.server.is_overdue(now) {
                driver.server.lost(Loss::Failed("timed out".into()), now);
            }
            driver.server.tick(now);
        }
        self.pump(fleet);
        if self.router.deadline().is_some_and(|due| due <= now) {
            self.go_on();
        }
        while self.survey.as_ref().is_some_and(|survey| survey.due <= now) {
            self.surveyed(fleet);
        }
        self.pump(fleet);
        assert!(self.count() <= MAX_NODES, "too many nodes are open");
    }

    /// Has what was queued go to the nodes, and tells of what has ended.
    pub fn pump(&mut self, fleet: &mut Fleet) {
        let now = self.now();
        loop {
            let mut is_over = true;
            for (id, driver) in self.servers.list() {
                driver.borrow_mut().go_on(fleet, now);
                is_over &= !self.tell_ended(id, &driver);
                let counts = driver.borrow_mut().server.take_counts();
                self.servers.count_put(2, counts.sessions_failed as u32);
                if counts.failed > 0 {
                    self.router.lost(id, now);
                }
            }
            if is_over {
                return;
            }
        }
    }

    /// Returns whether anything has ended.
    fn tell_ended(&mut self, id: ServerId, driver: &RefCell<Driver>) -> bool {
        let mut ended = mem::take(driver.borrow_mut().server.completions());
        let is_any = !ended.is_empty();
        let from = driver.borrow().place.clone();
        ended.drain(|asked, ended| self.ended(id, &from, asked, ended));
        is_any
    }

    fn ended(&mut self, id: ServerId, from: &Endpoint, asked: Asked, ended: Ended<'_>) {
        let servers = &self.servers;
        match ended {
            Ended::Refused(Reason::Moved(Some(to)) | Reason::Ask(Some(to))) => {
                let named = Endpoint::redirected(to.address, &from.host);
                servers.named.borrow_mut().extend(named);
                servers.count(Happened::Redirected);
            }
            Ended::Refused(Reason::TryAgain | Reason::ClusterDown) => {
                let waiting = match asked.what {
                    What::Get => Some(&servers.waiting),
                    What::Add => Some(&servers.adding),
                    What::Put | What::Delete => None,
                };
                let mut waiting = waiting.map(|waiting| waiting.borrow_mut());
                if let Some(waiting) = waiting.as_mut().and_then(|all| all.get_mut(&asked.key)) {
                    waiting.allowed += 1;
                    assert!(waiting.allowed < 12, "tries again and again");
                }
            }
            Ended::Done if asked.what == What::Put => servers.count_put(1, 1),
            _ => {}
        }
        let told = self.router.ended(servers, id, asked.routed, ended, servers.now.get());
        told.into_iter().for_each(|told| self.told(told));
    }

    fn told(&mut self, told: Told<'_, Token>) {
        match told {
            Told::Lookup(token, lookup) => self.looked_up(token, lookup),
            Told::Add(token, addition) => self.added(token, addition),
        }
    }

    fn added(&mut self, token: Token, addition: Addition) {
        let adding = &mut *self.servers.adding.borrow_mut();
        let id = adding.iter().find(|(_, adding)| adding.token == token).map(|(id, _)| *id);
        let id = id.expect("a record is added twice");
        adding.remove(&id);
        self.servers.count(match addition {
            Addition::First => Happened::Added,
            Addition::Present => Happened::Present,
            Addition::Unavailable(reason) => happened(reason),
        });
        self.added.push((id, addition));
    }

    fn looked_up(&mut self, token: Token, lookup: Lookup<'_>) {
        let now = self.now();
        let waiting = &mut *self.servers.waiting.borrow_mut();
        let id = waiting.iter().find(|(_, waiting)| waiting.token == token).map(|(id, _)| *id);
        let id = id.expect("a lookup ends twice");
        let waiting = waiting.remove(&id).expect("it waits");
        let (happened, outcome) = match lookup {
            Lookup::Found(record) => {
                let is_right = record == record_of(id);
                assert!(is_right || self.servers.is_noisy.get(), "another's record");
                (Happened::Found, Outcome::Found)
            }
            Lookup::Missing => (Happened::Missing, Outcome::Missing),
            Lookup::Oversized => panic!("there are none"),
            Lookup::Unavailable(reason) => (happened(reason), Outcome::Unavailable(reason)),
        };
        self.servers.count(happened);
        self.told.push((id, outcome, now.since(waiting.began)));
    }

    /// Does what the router wants.
    fn go_on(&mut self) {
        let now = self.now();
        let mut ended = Vec::new();
        self.router.tick(&self.servers, now, |told| ended.push(told));
        ended.into_iter().for_each(|told| self.told(told));
        while let Some(id) = self.router.closed() {
            self.close(id);
        }
        let Some(whom) = self.router.inquiry(&self.servers, now) else { return };
        assert!(self.survey.is_none(), "two are asked for the map");
        if let Some(at) = self.surveyed_at.take() {
            assert!(now.since(at) >= GAP, "the map is asked for too often");
        }
        let others = match whom {
            Whom::Server(id) => {
                let place = self.servers.drivers.borrow()[&id].borrow().place.clone();
                VecDeque::from([place])
            }
            Whom::Seeds => {
                self.servers.count(Happened::AskedSeeds);
                (0..3).map(endpoint).collect()
            }
        };
        self.survey = Some(Survey { whom, others, due: now, answer: None });
    }

    fn close(&mut self, id: ServerId) {
        let driver = self.servers.drivers.borrow_mut().remove(&id).expect("open");
        driver.borrow_mut().server.stop(self.now());
        driver.borrow_mut().link = Link::Closed;
        self.tell_ended(id, &driver);
        let counts = driver.borrow_mut().server.take_counts();
        self.servers.count_put(2, counts.sessions_failed as u32);
        self.servers.count(Happened::Closed);
    }

    /// A server has told its map, or has not: the next is asked, or that is all.
    fn surveyed(&mut self, fleet: &mut Fleet) {
        let now = self.now();
        let Some(mut survey) = self.survey.take() else { return };
        let map = survey.answer.take().and_then(|(asked, reply)| Map::read(&reply, &asked).ok());
        let map = map.filter(|map| !map.is_empty());
        if map.is_none() {
            if let Some(place) = survey.others.pop_front() {
                survey.ask(fleet, &place, now);
                self.survey = Some(survey);
                return;
            }
        }
        if let Some(map) = &map {
            let named = &mut *self.servers.named.borrow_mut();
            if map.owners().all(|owner| owner.is_some()) {
                named.clear();
            }
            named.extend(map.masters().iter().cloned());
            self.servers.count(Happened::Mapped);
        }
        if map.is_some() || survey.whom == Whom::Seeds {
            self.surveyed_at = Some(now);
        }
        self.router.mapped(map.as_ref(), now);
        self.go_on();
    }

    /// Connections to a node are gone.
    pub fn disconnected(&mut self, node: usize) {
        let now = self.now();
        for (_, driver) in self.servers.list() {
            let driver = &mut *driver.borrow_mut();
            if matches!(&driver.link, Link::Open(connection) if connection.node == node) {
                driver.server.lost(Loss::Closed("closed".into()), now);
            }
        }
    }

    /// Ends all.
    pub fn stop(&mut self) {
        let now = self.now();
        for (id, driver) in self.servers.list() {
            driver.borrow_mut().server.stop(now);
            self.tell_ended(id, &driver);
        }
    }
}

fn happened(reason: Unavailable) -> Happened {
    match reason {
        Unavailable::Down => Happened::Down,
        Unavailable::Full => Happened::TurnedAway,
        Unavailable::Timeout => Happened::TimedOut,
        Unavailable::Refused => Happened::Refused,
    }
}

impl Survey {
    fn ask(&mut self, fleet: &mut Fleet, place: &Endpoint, now: Instant) {
        let node = fleet.at(place).filter(|node| fleet.nodes[*node].is_alive);
        let Some(node) = node else {
            self.due = now + Duration::from_millis(1);
            return;
        };
        let delay = fleet.nodes[node].delay;
        self.due = now + delay.min(TIMEOUT);
        if fleet.nodes[node].is_silent || delay >= TIMEOUT {
            self.due = now + TIMEOUT;
        } else {
            self.answer = Some((place.host.clone(), fleet.map(node)));
        }
    }
}

impl Driver {
    fn deadline(&self) -> Option<Instant> {
        let of_link = match &self.link {
            Link::Closed | Link::Wanted => None,
            Link::Connecting { at, .. } => Some(*at),
            Link::Open(connection) => connection.replies.front().map(|(at, _)| *at),
        };
        self.server.deadline().into_iter().chain(of_link).min()
    }

    /// Takes what has come by now.
    fn receive(&mut self, now: Instant) {
        match self.link {
            Link::Connecting { at, node: Some(node) } if at <= now => {
                self.server.connected(now);
                let (input, replies) = (Vec::new(), VecDeque::new());
                self.link = Link::Open(Connection { node, input, is_asking: false, replies });
            }
            Link::Connecting { at, node: None } if at <= now => {
                self.server.lost(Loss::Failed("refused".into()), now);
                self.act();
            }
            _ => {}
        }
        while let Link::Open(connection) = &mut self.link {
            if connection.replies.front().is_none_or(|(at, _)| *at > now) {
                return;
            }
            let (_, reply) = connection.replies.pop_front().expect("there is one");
            let mut reply = &reply[..];
            while !reply.is_empty() && self.server.is_connected() {
                let spare = self.server.spare();
                let count = spare.len().min(reply.len());
                spare[..count].copy_from_slice(&reply[..count]);
                reply = &reply[count..];
                self.server.received(count, now);
            }
            self.server.read_all(now);
            self.act();
        }
    }

    /// Does what is to be done.
    fn act(&mut self) {
        while let Some(action) = self.server.action() {
            match action {
                Action::Connect(_) => self.link = Link::Wanted,
                Action::Close => {
                    self.link = Link::Closed;
                    self.queued.clear();
                }
                Action::Resolve => panic!("addresses have no names"),
                Action::Scout(..) | Action::StopScout | Action::Log(_) => {}
            }
        }
    }

    /// The same, and sends what is to be sent.
    fn go_on(&mut self, fleet: &mut Fleet, now: Instant) {
        self.act();
        if let Link::Wanted = self.link {
            let at = now + Duration::from_millis(1);
            self.link = match fleet.at(&self.place) {
                Some(node) if fleet.nodes[node].is_alive => {
                    Link::Connecting { at, node: Some(node) }
                }
                // Of some nothing is ever heard.
                None if self.place.port % 2 == 0 => Link::Closed,
                _ => Link::Connecting { at, node: None },
            };
        }
        let Link::Open(connection) = &mut self.link else { return };
        let unsent = self.server.unsent();
        connection.input.extend_from_slice(unsent);
        let count = unsent.len();
        self.server.sent(count);
        let node = connection.node;
        while !fleet.nodes[node].is_silent {
            let Some(command) = take_command(&mut connection.input) else { return };
            if command.len() > 1 {
                let is_asking = self.queued.pop_front();
                assert_eq!(is_asking, Some(connection.is_asking), "ASKING for another request");
            }
            let reply = fleet.answer(node, &command, &mut connection.is_asking);
            // One after the other, whatever the delay was before.
            let last = connection.replies.back().map(|(at, _)| *at);
            let at = last.into_iter().chain([now + fleet.nodes[node].delay]).max();
            connection.replies.extend(at.map(|at| (at, reply)));
        }
    }
}

impl Drivers {
    fn list(&self) -> Vec<(ServerId, Rc<RefCell<Driver>>)> {
        self.drivers.borrow().iter().map(|(id, driver)| (*id, Rc::clone(driver))).collect()
    }

    fn insert(&self, id: ServerId, place: Endpoint) {
        let settings =
            Settings { timeout: TIMEOUT, interval: INTERVAL, max_requests: Some(MAX_REQUESTS) };
        let addresses = Rc::new([place.clone()]);
        let (redis, now) = (Rc::new(Redis::new(None, 0)), self.now.get());
        let seed = u64::from(self.opened.get());
        let server = Server::new(redis, settings, addresses, false, seed, now);
        let mut server = if self.is_cluster { server.of_cluster() } else { server };
        server.start(now);
        let driver = Driver { server, place, link: Link::Closed, queued: VecDeque::new() };
        let before = self.drivers.borrow_mut().insert(id, Rc::new(RefCell::new(driver)));
        assert!(before.is_none(), "opened twice");
        self.opened.set(self.opened.get() + 1);
    }

    /// Sends a request to a server.
    fn ask(
        &self,
        id: ServerId,
        asking: Asking,
        request: impl FnOnce(&mut Server<Endpoint, Asked>, Instant) -> Result<(), Unavailable>,
    ) -> Result<(), Unavailable> {
        let driver = self.drivers.borrow().get(&id).map(Rc::clone).expect("opened before");
        let driver = &mut *driver.borrow_mut();
        if self.is_cluster {
            let is_named = self.named.borrow().contains(&driver.place);
            assert!(is_named, "{} is asked, which nobody has named", driver.place);
        }
        driver.act();
        let now = self.now.get();
        if asking == Asking::Yes {
            driver.server.asking();
            self.count(Happened::Asking);
        }
        request(&mut driver.server, now)?;
        driver.queued.push_back(asking == Asking::Yes);
        Ok(())
    }

    fn wrote(&self) {
        let (sent, allowed) = self.writes.get();
        assert!(sent < allowed, "a put or a delete is sent on and on");
        self.writes.set((sent + 1, allowed));
    }

    pub fn count(&self, happened: Happened) {
        let mut tally = self.tally.get();
        tally[happened as usize] += 1;
        self.tally.set(tally);
    }

    fn count_put(&self, what: usize, count: u32) {
        let mut puts = self.puts.get();
        puts[what] += count;
        self.puts.set(puts);
    }

    /// From now on, what is found may be anything.
    pub fn hear_noise(&self) {
        self.is_noisy.set(true);
    }

    pub fn is_noisy(&self) -> bool {
        self.is_noisy.get()
    }
}

/// A request that somebody waits for is sent.
fn sent(waiting: &RefCell<BTreeMap<u8, Waiting>>, id: u8, deadline: Instant) {
    let waiting = &mut *waiting.borrow_mut();
    let waiting = waiting.get_mut(&id).expect("it goes on after its end");
    assert!(deadline <= waiting.deadline);
    assert!(waiting.sent < waiting.allowed, "it is sent on and on");
    waiting.sent += 1;
}

impl Servers<Token> for Drivers {
    fn get(
        &self,
        id: ServerId,
        key: &Key,
        deadline: Instant,
        asking: Asking,
        routed: Routed<Token>,
    ) -> Result<(), Unavailable> {
        let key_id = id_of(key);
        let asked = Asked { routed, key: key_id, what: What::Get };
        self.ask(id, asking, |server, now| server.get(key, deadline, asked, now))?;
        sent(&self.waiting, key_id, deadline);
        Ok(())
    }

    fn put(
        &self,
        id: ServerId,
        put: Put<'_>,
        asking: Asking,
        routed: Option<Routed<Token>>,
    ) -> Result<(), Unavailable> {
        let asked = routed.map(|routed| Asked { routed, key: id_of(put.key), what: What::Put });
        self.ask(id, asking, |server, now| server.put(put, asked, now))?;
        self.wrote();
        Ok(())
    }

    fn add(
        &self,
        id: ServerId,
        put: Put<'_>,
        deadline: Instant,
        asking: Asking,
        routed: Routed<Token>,
    ) -> Result<(), Unavailable> {
        let key_id = id_of(put.key);
        let asked = Asked { routed, key: key_id, what: What::Add };
        self.ask(id, asking, |server, now| server.add(put, deadline, asked, now))?;
        sent(&self.adding, key_id, deadline);
        Ok(())
    }

    fn delete(
        &self,
        id: ServerId,
        key: &Key,
        asking: Asking,
        routed: Option<Routed<Token>>,
    ) -> Result<(), Unavailable> {
        let asked = routed.map(|routed| Asked { routed, key: id_of(key), what: What::Delete });
        self.ask(id, asking, |server, now| server.delete(key, asked, now))?;
        self.wrote();
        Ok(())
    }

    fn open(&self, id: ServerId, place: &Endpoint) {
        self.insert(id, place.clone());
    }

    fn record_failed(&self) {
        self.count_put(2, 1);
    }

    fn close(&self, _server: ServerId) {}

    fn turned_away(&self) {}
}
