//! A worker: a store's router, and a connection to each of its servers.

use std::cell::{Cell, RefCell};
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;

use slotmap::SecondaryMap;
use ssl_session_cache_core::protocol::{Protocol, Put, Redis};
use ssl_session_cache_core::server::{Settings, Unavailable};
use ssl_session_cache_core::session::Key;
use ssl_session_cache_core::topology::{
    Asking, Endpoint, Host, Routed, Router, ServerId, Servers, Told, Whom, MAX_NODES,
};
use ssl_session_cache_core::Instant;

use crate::link::{Begun, Connections, Link, Owner};
use crate::options::Options;
use crate::report::{Found, Tally};
use crate::sessions::Chance;
use crate::survey::{Outcome, Survey};

/// How long a session is kept, in seconds.
const TTL: u32 = 3600;

/// What all workers have alike.
pub struct Common {
    pub protocol: Rc<dyn Protocol>,
    pub settings: Settings,
    pub servers: Vec<SocketAddr>,
    pub is_cluster: bool,
}

impl Common {
    pub fn new(options: &Options) -> Rc<Self> {
        Rc::new(Self {
            protocol: Rc::new(Redis::new(None, 0)),
            settings: Settings {
                timeout: options.timeout,
                interval: options.interval,
                max_requests: Some(5000),
            },
            servers: options.servers.clone(),
            is_cluster: options.cluster,
        })
    }
}

pub struct Worker {
    place: usize,
    router: Router<Begun>,
    links: Links,
    survey: Option<Survey>,
}

/// The connections to the servers, as the router is lent them.
struct Links {
    common: Rc<Common>,
    links: RefCell<SecondaryMap<ServerId, Link>>,
    chance: RefCell<Chance>,
    now: Cell<Instant>,
    records_failed: Cell<u64>,
}

impl Worker {
    /// Begins to connect, at the next [`go_on`](Self::go_on). `place` is where it stands among all.
    pub fn start(place: usize, common: &Rc<Common>, now: Instant) -> Self {
        let mut chance = Chance::new(place as u64);
        let (router, servers) = if common.is_cluster {
            (Router::cluster(chance.number(), MAX_NODES, common.settings.timeout, now), Vec::new())
        } else if let [server] = common.servers[..] {
            let (router, id) = Router::one();
            (router, vec![(id, server)])
        } else {
            let words: Vec<_> = common.servers.iter().map(SocketAddr::to_string).collect();
            let (router, ids) = Router::spread(words.iter().map(String::as_bytes));
            (router, ids.into_iter().zip(common.servers.iter().copied()).collect())
        };
        let links = Links {
            common: Rc::clone(common),
            links: RefCell::default(),
            chance: RefCell::new(chance),
            now: Cell::new(now),
            records_failed: Cell::new(0),
        };
        for (id, address) in servers {
            links.add(id, address);
        }
        Self { place, router, links, survey: None }
    }

    /// Looks a session up; the end is told by [`go_on`](Self::go_on).
    pub fn get(&mut self, key: &Key, tally: &mut Tally, now: Instant) {
        self.links.now.set(now);
        let deadline = now + self.links.common.settings.timeout;
        tally.begun += 1;
        if self.router.get(&self.links, key, deadline, Begun::now(), now).is_err() {
            tally.ended(None, Found::Unavailable);
        }
    }

    /// Puts a session.
    pub fn put(&mut self, key: &Key, record: &[u8], tally: &mut Tally, now: Instant) {
        self.links.now.set(now);
        let put = Put { key, record, ttl: TTL, unix_now: 0 };
        tally.puts += 1;
        if self.router.put(&self.links, put, now).is_err() {
            tally.records_failed += 1;
        }
    }

    /// How many requests have no reply.
    pub fn waiting(&self) -> usize {
        self.links.links.borrow().values().map(Link::waiting).sum()
    }

    /// Something has happened to a connection.
    pub fn ready(&mut self, owner: Owner, connections: &mut Connections, now: Instant) {
        match (owner.server, &mut self.survey) {
            (Some(server), _) => {
                if let Some(link) = self.links.links.borrow_mut().get_mut(server) {
                    link.ready(now);
                }
            }
            (None, Some(survey)) => {
                let outcome = survey.ready(connections, now);
                self.surveyed(outcome, now);
            }
            (None, None) => {}
        }
    }

    /// When [`tick`](Self::tick) must be called next.
    pub fn deadline(&self) -> Option<Instant> {
        let links = self.links.links.borrow();
        let links = links.values().filter_map(Link::deadline);
        let survey = self.survey.as_ref().and_then(Survey::deadline);
        links.chain(self.router.deadline()).chain(survey).min()
    }

    /// Does what it is time for.
    pub fn tick(&mut self, connections: &mut Connections, now: Instant) {
        self.links.links.borrow_mut().values_mut().for_each(|link| link.tick(now));
        if let Some(survey) = &mut self.survey {
            let outcome = survey.tick(connections, now);
            self.surveyed(outcome, now);
        }
    }

    /// Does what follows from what has happened. Returns how many lookups have found a session.
    pub fn go_on(
        &mut self,
        connections: &mut Connections,
        tally: &mut Tally,
        now: Instant,
    ) -> usize {
        self.links.now.set(now);
        let mut found = 0;
        self.router.tick(&self.links, now, |told| {
            count(told, tally);
        });
        while self.act(connections, tally, &mut found, now) {}
        tally.records_failed += self.links.records_failed.take();
        self.survey(connections, now);
        self.drop_closed(connections, now);
        found
    }

    /// Has all connections go on; returns whether there may be more to do.
    fn act(
        &mut self,
        connections: &mut Connections,
        tally: &mut Tally,
        found: &mut usize,
        now: Instant,
    ) -> bool {
        let servers: Vec<_> = self.links.links.borrow().keys().collect();
        let mut again = false;
        for server in servers {
            let (happened, mut ended) = {
                let mut links = self.links.links.borrow_mut();
                let Some(link) = links.get_mut(server) else { continue };
                let owner = Owner { worker: self.place, server: Some(server) };
                (link.go_on(owner, connections, now), link.take_ended())
            };
            again |= !ended.is_empty() || happened.lost > 0;
            if happened.lost > 0 {
                self.router.lost(server, now);
            }
            if let Some(is_up) = happened.is_up {
                tally.changed(is_up);
            }
            self.links.count_failed(happened.records_failed);
            let (router, links) = (&mut self.router, &self.links);
            ended.drain(|routed, end| {
                if let Some(told) = router.ended(links, server, routed, end, now) {
                    *found += usize::from(count(told, tally) == Found::Yes);
                }
            });
            if let Some(link) = self.links.links.borrow_mut().get_mut(server) {
                link.give_back(ended);
            }
        }
        again
    }

    /// Asks for the cluster's map where it is time to.
    fn survey(&mut self, connections: &mut Connections, now: Instant) {
        let Some(whom) = self.router.inquiry(&self.links, now) else { return };
        let servers = match whom {
            Whom::Server(server) => {
                self.router.endpoint(server).and_then(address_of).into_iter().collect()
            }
            Whom::Seeds => self.links.common.servers.iter().copied().collect(),
        };
        let owner = Owner { worker: self.place, server: None };
        let timeout = self.links.common.settings.timeout;
        let (survey, outcome) = Survey::start(owner, servers, timeout, connections, now);
        self.survey = Some(survey);
        self.surveyed(outcome, now);
    }

    fn surveyed(&mut self, outcome: Outcome, now: Instant) {
        if let Outcome::Told(map) = outcome {
            self.survey = None;
            self.router.mapped(map.as_ref(), now);
        }
    }

    /// Closes the connections to nodes that are of no more use.
    fn drop_closed(&mut self, connections: &mut Connections, now: Instant) {
        while let Some(server) = self.router.closed() {
            if let Some(mut link) = self.links.links.borrow_mut().remove(server) {
                link.stop(now);
                let owner = Owner { worker: self.place, server: Some(server) };
                link.go_on(owner, connections, now);
            }
        }
    }
}

impl Links {
    fn add(&self, server: ServerId, address: SocketAddr) {
        let common = &self.common;
        let link = Link::start(
            address,
            Rc::clone(&common.protocol),
            common.settings,
            common.is_cluster,
            self.chance.borrow_mut().number(),
            self.now.get(),
        );
        self.links.borrow_mut().insert(server, link);
    }

    fn count_failed(&self, count: usize) {
        self.records_failed.set(self.records_failed.get() + count as u64);
    }

    fn ask(
        &self,
        server: ServerId,
        request: impl FnOnce(&mut Link, Instant) -> Result<(), Unavailable>,
    ) -> Result<(), Unavailable> {
        let mut links = self.links.borrow_mut();
        links.get_mut(server).map_or(Err(Unavailable::Down), |link| request(link, self.now.get()))
    }
}

impl Servers<Begun> for Links {
    fn get(
        &self,
        server: ServerId,
        key: &Key,
        deadline: Instant,
        asking: Asking,
        routed: Routed<Begun>,
    ) -> Result<(), Unavailable> {
        self.ask(server, |link, now| link.get(key, deadline, asking, routed, now))
    }

    fn put(
        &self,
        server: ServerId,
        put: Put<'_>,
        asking: Asking,
        routed: Option<Routed<Begun>>,
    ) -> Result<(), Unavailable> {
        self.ask(server, |link, now| link.put(put, asking, routed, now))
    }

    fn add(
        &self,
        server: ServerId,
        put: Put<'_>,
        deadline: Instant,
        asking: Asking,
        routed: Routed<Begun>,
    ) -> Result<(), Unavailable> {
        self.ask(server, |link, now| link.add(put, deadline, asking, routed, now))
    }

    fn delete(
        &self,
        server: ServerId,
        key: &Key,
        asking: Asking,
        routed: Option<Routed<Begun>>,
    ) -> Result<(), Unavailable> {
        self.ask(server, |link, now| link.delete(key, asking, routed, now))
    }

    fn open(&self, server: ServerId, endpoint: &Endpoint) {
        if let Some(address) = address_of(endpoint) {
            self.add(server, address);
        }
    }

    fn record_failed(&self) {
        self.count_failed(1);
    }

    fn close(&self, _server: ServerId) {}

    fn turned_away(&self) {}
}

/// Counts a lookup that has ended, which is all that a worker waits for.
fn count(told: Told<'_, Begun>, tally: &mut Tally) -> Found {
    let Told::Lookup(begun, lookup) = told else { unreachable!("nothing is added") };
    let end = Found::of(lookup);
    tally.ended(Some(begun), end);
    end
}

/// Where a node is: on this machine, or nowhere.
fn address_of(endpoint: &Endpoint) -> Option<SocketAddr> {
    match endpoint.host {
        Host::Address(ip) if IpAddr::is_loopback(&ip) => Some(SocketAddr::new(ip, endpoint.port)),
        Host::Address(_) | Host::Name(_) => None,
    }
}
