//! Which of a store's servers is asked, and which one next where that one cannot say.

use std::time::Duration;

use slotmap::SlotMap;

use crate::protocol::Put;
use crate::server::{Ended, Unavailable};
use crate::session::Key;
use crate::time::Instant;
use crate::topology::cluster::Whom;
use crate::topology::endpoint::Endpoint;
use crate::topology::id::ServerId;
use crate::topology::map::Map;
use crate::topology::redirects::Redirects;
use crate::topology::route::{Asking, Route, Routed, Servers, Told};
use crate::topology::spread::Spread;

/// A store: it has the servers asked, and tells which there are to be.
///
/// It has no connections: whoever has them lends them as [`Servers`], tells how requests have ended
/// and does what [`closed`](Self::closed) and [`inquiry`](Self::inquiry) say. What somebody waits for is
/// known by a token `T`: a lookup, or a record to add.
///
/// | | gets | puts | adds | deletes |
/// |---|---|---|---|---|
/// | one server | there | there | there | there |
/// | several | at the first choice; what that has not, or cannot say, at the second, which is given half of the time | at the first choice; where that is down at the second | at the first choice | at both |
/// | a cluster | at the slot's node, and where two redirects lead | the same with one redirect | as gets | as puts |
pub struct Router<T>(Topology<T>);

enum Topology<T> {
    One(ServerId),
    Spread(Spread),
    Cluster(Box<Redirects<T>>),
}

impl<T: Copy> Router<T> {
    /// A store of one server, and what that is known by.
    pub fn one() -> (Self, ServerId) {
        let server = SlotMap::with_key().insert(());
        (Self(Topology::One(server)), server)
    }

    /// A store of several servers that know nothing of each other, by their configured words, and
    /// what they are known by. One server at least.
    pub fn spread<'a>(words: impl IntoIterator<Item = &'a [u8]>) -> (Self, Vec<ServerId>) {
        let spread = Spread::new(words);
        let servers = spread.servers().to_vec();
        (Self(Topology::Spread(spread)), servers)
    }

    /// A Redis Cluster, of which no more nodes are used than `max_nodes`. `seed` spreads out what
    /// clients do at the same time; nothing waits for longer than `timeout`.
    pub fn cluster(seed: u64, max_nodes: usize, timeout: Duration, now: Instant) -> Self {
        Self(Topology::Cluster(Box::new(Redirects::new(seed, max_nodes, timeout, now))))
    }

    /// Looks `key` up by `deadline`. On an error the lookup has ended, else its end is told by
    /// [`ended`](Self::ended) or [`tick`](Self::tick), once.
    pub fn get(
        &mut self,
        servers: &impl Servers<T>,
        key: &Key,
        deadline: Instant,
        token: T,
        now: Instant,
    ) -> Result<(), Unavailable> {
        match &mut self.0 {
            Topology::One(server) => {
                servers.get(*server, key, deadline, Asking::No, Routed(Route::Only(token)))
            }
            Topology::Spread(spread) => spread.get(servers, key, deadline, token, now),
            Topology::Cluster(cluster) => cluster.get(servers, key, deadline, token, now),
        }
    }

    /// Puts a record; on an error it is dropped.
    pub fn put(
        &mut self,
        servers: &impl Servers<T>,
        put: Put<'_>,
        now: Instant,
    ) -> Result<(), Unavailable> {
        match &mut self.0 {
            Topology::One(server) => servers.put(*server, put, Asking::No, None),
            Topology::Spread(spread) => spread.put(servers, put),
            Topology::Cluster(cluster) => cluster.put(servers, put, now),
        }
    }

    /// Adds a record by `deadline`, where there is none. On an error that has ended, else its end is told
    /// by [`ended`](Self::ended) or [`tick`](Self::tick), once.
    pub fn add(
        &mut self,
        servers: &impl Servers<T>,
        put: Put<'_>,
        deadline: Instant,
        token: T,
        now: Instant,
    ) -> Result<(), Unavailable> {
        match &mut self.0 {
            Topology::One(server) => {
                servers.add(*server, put, deadline, Asking::No, Routed(Route::Add(token)))
            }
            Topology::Spread(spread) => spread.add(servers, put, deadline, token),
            Topology::Cluster(cluster) => cluster.add(servers, put, deadline, token, now),
        }
    }

    /// Deletes what lies under `key`, wherever it may be; on an error it is left to its time to live.
    pub fn delete(
        &mut self,
        servers: &impl Servers<T>,
        key: &Key,
        now: Instant,
    ) -> Result<(), Unavailable> {
        match &mut self.0 {
            Topology::One(server) => servers.delete(*server, key, Asking::No, None),
            Topology::Spread(spread) => spread.delete(servers, key),
            Topology::Cluster(cluster) => cluster.delete(servers, key, now),
        }
    }

    /// A request has ended at a server. Returns what has ended with that of what somebody waits for, if
    /// no other server is asked next.
    pub fn ended<'a>(
        &mut self,
        servers: &impl Servers<T>,
        server: ServerId,
        Routed(route): Routed<T>,
        ended: Ended<'a>,
        now: Instant,
    ) -> Option<Told<'a, T>> {
        match (route, &mut self.0) {
            (Route::Only(token), _) => Some(Told::Lookup(token, ended.into())),
            (Route::Add(token), _) => Some(Told::Add(token, ended.into())),
            (Route::Many(attempt), Topology::Spread(spread)) => {
                spread.ended(servers, *attempt, ended, now)
            }
            (Route::Many(attempt), Topology::Cluster(cluster)) => {
                cluster.ended(servers, server, *attempt, ended, now)
            }
            (Route::Many(_), Topology::One(_)) => unreachable!("one server is asked once"),
        }
    }

    /// When [`tick`](Self::tick) must be called next.
    pub fn deadline(&self) -> Option<Instant> {
        match &self.0 {
            Topology::One(_) | Topology::Spread(_) => None,
            Topology::Cluster(cluster) => cluster.deadline(),
        }
    }

    /// Does what it is time for, and tells of what has ended with that.
    pub fn tick(
        &mut self,
        servers: &impl Servers<T>,
        now: Instant,
        tell: impl FnMut(Told<'static, T>),
    ) {
        if let Topology::Cluster(cluster) = &mut self.0 {
            cluster.tick(servers, now, tell);
        }
    }

    /// The store is of no more use: tells of what waits for none of its servers.
    pub fn stop(&mut self, tell: impl FnMut(Told<'static, T>)) {
        if let Topology::Cluster(cluster) = &mut self.0 {
            cluster.stop(tell);
        }
    }

    /// The connection to a server is lost, or cannot be made.
    pub fn lost(&mut self, server: ServerId, now: Instant) {
        if let Topology::Cluster(cluster) = &mut self.0 {
            cluster.lost(server, now);
        }
    }

    /// A node of a cluster that is among the servers no more, if there is one.
    pub fn closed(&mut self) -> Option<ServerId> {
        match &mut self.0 {
            Topology::One(_) | Topology::Spread(_) => None,
            Topology::Cluster(cluster) => cluster.closed(),
        }
    }

    /// Who is to be asked for the cluster's map now, if it is time: [`mapped`](Self::mapped) follows.
    pub fn inquiry(&mut self, servers: &impl Servers<T>, now: Instant) -> Option<Whom> {
        match &mut self.0 {
            Topology::One(_) | Topology::Spread(_) => None,
            Topology::Cluster(cluster) => cluster.inquiry(servers, now),
        }
    }

    /// The map that was told, if one was. [`tick`](Self::tick) is to be called then.
    pub fn mapped(&mut self, map: Option<&Map>, now: Instant) {
        if let Topology::Cluster(cluster) = &mut self.0 {
            cluster.mapped(map, now);
        }
    }

    /// Where a cluster's node is.
    pub fn endpoint(&self, server: ServerId) -> Option<&Endpoint> {
        match &self.0 {
            Topology::One(_) | Topology::Spread(_) => None,
            Topology::Cluster(cluster) => cluster.endpoint(server),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::collections::HashSet;

    use super::*;
    use crate::protocol::{Reason, Redirect};
    use crate::server::{Addition, Lookup};
    use crate::session::Keyspace;
    use crate::topology::{slot_of, Host, MAX_NODES, SLOTS};

    const TIMEOUT: Duration = Duration::from_secs(1);

    /// A store and its servers: what these were asked, each as a word with what it is known by.
    struct Fixture {
        router: Router<u8>,
        servers: Fakes,
        now: Instant,
    }

    #[derive(Default)]
    struct Fakes {
        names: RefCell<Vec<(ServerId, String)>>,
        down: RefCell<HashSet<String>>,
        asked: RefCell<Vec<Asked>>,
        failed: RefCell<u32>,
    }

    struct Asked {
        server: ServerId,
        text: String,
        routed: Option<Routed<u8>>,
    }

    impl Fakes {
        fn name(&self, id: ServerId) -> String {
            let names = self.names.borrow();
            names.iter().find(|(known, _)| *known == id).expect("opened before").1.clone()
        }

        fn ask(
            &self,
            server: ServerId,
            what: &str,
            asking: Asking,
            routed: Option<Routed<u8>>,
        ) -> Result<(), Unavailable> {
            let name = self.name(server);
            if self.down.borrow().contains(&name) {
                return Err(Unavailable::Down);
            }
            let asking = if asking == Asking::Yes { "ASKING " } else { "" };
            let text = format!("{name}: {asking}{what}");
            self.asked.borrow_mut().push(Asked { server, text, routed });
            Ok(())
        }
    }

    impl Servers<u8> for Fakes {
        fn get(
            &self,
            server: ServerId,
            _key: &Key,
            deadline: Instant,
            asking: Asking,
            routed: Routed<u8>,
        ) -> Result<(), Unavailable> {
            let wait = deadline.since(start()).as_millis();
            self.ask(server, &format!("get by {wait}"), asking, Some(routed))
        }

        fn put(
            &self,
            server: ServerId,
            put: Put<'_>,
            asking: Asking,
            routed: Option<Routed<u8>>,
        ) -> Result<(), Unavailable> {
            self.ask(server, &format!("put {}", put.record.escape_ascii()), asking, routed)
        }

        fn add(
            &self,
            server: ServerId,
            put: Put<'_>,
            deadline: Instant,
            asking: Asking,
            routed: Routed<u8>,
        ) -> Result<(), Unavailable> {
            let wait = deadline.since(start()).as_millis();
            let text = format!("add {} by {wait}", put.record.escape_ascii());
            self.ask(server, &text, asking, Some(routed))
        }

        fn delete(
            &self,
            server: ServerId,
            _key: &Key,
            asking: Asking,
            routed: Option<Routed<u8>>,
        ) -> Result<(), Unavailable> {
            self.ask(server, "delete", asking, routed)
        }

        fn open(&self, server: ServerId, endpoint: &Endpoint) {
            self.names.borrow_mut().push((server, endpoint.port.to_string()));
        }

        fn record_failed(&self) {
            *self.failed.borrow_mut() += 1;
        }

        fn close(&self, _server: ServerId) {}

        fn turned_away(&self) {}
    }

    fn start() -> Instant {
        Instant::from_millis(1_000_000)
    }

    fn key(id: u8) -> Key {
        Keyspace::default().key(&[id; 32]).unwrap()
    }

    fn moved<'a>(key: &Key, address: &'a [u8]) -> Ended<'a> {
        Ended::Refused(Reason::Moved(Some(Redirect { slot: slot_of(key), address })))
    }

    fn ask<'a>(key: &Key, address: &'a [u8]) -> Ended<'a> {
        Ended::Refused(Reason::Ask(Some(Redirect { slot: slot_of(key), address })))
    }

    impl Fixture {
        fn spread(words: &[&str]) -> Self {
            let (router, ids) = Router::spread(words.iter().map(|word| word.as_bytes()));
            let names = ids.into_iter().zip(words.iter().map(|word| (*word).to_owned()));
            let servers = Fakes { names: RefCell::new(names.collect()), ..Fakes::default() };
            Self { router, servers, now: start() }
        }

        /// A cluster without a map yet.
        fn unmapped() -> Self {
            let router = Router::cluster(1, MAX_NODES, TIMEOUT, start());
            Self { router, servers: Fakes::default(), now: start() }
        }

        /// A cluster with a node at port 1 that has all slots.
        fn cluster() -> Self {
            let mut fixture = Self::unmapped();
            fixture.map();
            fixture
        }

        fn map(&mut self) {
            assert_eq!(self.router.inquiry(&self.servers, self.now), Some(Whom::Seeds));
            let reply =
                format!("*1\r\n*3\r\n:0\r\n:{}\r\n*2\r\n$9\r\n192.0.2.1\r\n:1\r\n", SLOTS - 1);
            let map = Map::read(reply.as_bytes(), &Host::parse(b"192.0.2.1").unwrap()).unwrap();
            self.router.mapped(Some(&map), self.now);
        }

        fn get(&mut self, key: &Key, token: u8) -> Result<(), Unavailable> {
            let deadline = self.now + TIMEOUT;
            self.router.get(&self.servers, key, deadline, token, self.now)
        }

        fn put(&mut self, key: &Key) -> Result<(), Unavailable> {
            let put = Put { key, record: b"record", ttl: 300, unix_now: 0 };
            self.router.put(&self.servers, put, self.now)
        }

        fn add(&mut self, key: &Key, token: u8) -> Result<(), Unavailable> {
            let put = Put { key, record: b"record", ttl: 300, unix_now: 0 };
            let deadline = self.now + TIMEOUT;
            self.router.add(&self.servers, put, deadline, token, self.now)
        }

        /// What was asked since this was last asked, in words.
        fn asked(&mut self) -> Vec<String> {
            self.servers.asked.borrow().iter().map(|asked| asked.text.clone()).collect()
        }

        /// The first request that is under way ends so; returns the lookup that is told of.
        fn end<'a>(&mut self, ended: Ended<'a>) -> Option<Told<'a, u8>> {
            let Asked { server, routed, .. } = self.servers.asked.borrow_mut().remove(0);
            let routed = routed.expect("it is told of");
            self.router.ended(&self.servers, server, routed, ended, self.now)
        }

        fn tick(&mut self) -> Vec<Told<'static, u8>> {
            let mut told = Vec::new();
            self.router.tick(&self.servers, self.now, |end| told.push(end));
            told
        }

        fn is_down(&mut self, name: &str) {
            self.servers.down.borrow_mut().insert(name.to_owned());
        }
    }

    fn lookup_down(token: u8) -> Told<'static, u8> {
        Told::Lookup(token, Lookup::Unavailable(Unavailable::Down))
    }

    fn add_unavailable(token: u8, reason: Unavailable) -> Told<'static, u8> {
        Told::Add(token, Addition::Unavailable(reason))
    }

    /// Two servers of three, the first and the second choice of a key.
    fn two(key: &Key) -> (Fixture, String, String) {
        let mut fixture = Fixture::spread(&["a", "b", "c"]);
        fixture.get(key, 0).unwrap();
        fixture.end(Ended::Missing);
        let first_and_second = {
            let mut again = Fixture::spread(&["a", "b", "c"]);
            again.get(key, 0).unwrap();
            let first = again.asked()[0][..1].to_owned();
            again.end(Ended::Missing);
            (first, again.asked()[0][..1].to_owned())
        };
        fixture.servers.asked.borrow_mut().clear();
        (fixture, first_and_second.0, first_and_second.1)
    }

    #[test]
    fn one_server_has_all() {
        let (router, id) = Router::one();
        let servers =
            Fakes { names: RefCell::new(vec![(id, "one".to_owned())]), ..Fakes::default() };
        let mut fixture = Fixture { router, servers, now: start() };
        fixture.get(&key(1), 7).unwrap();
        fixture.put(&key(1)).unwrap();
        fixture.router.delete(&fixture.servers, &key(1), start()).unwrap();
        assert_eq!(fixture.asked(), ["one: get by 1000", "one: put record", "one: delete"]);
        assert_eq!(fixture.end(Ended::Missing), Some(Told::Lookup(7, Lookup::Missing)));
        fixture.servers.asked.borrow_mut().clear();

        for (ended, addition) in [
            (Ended::Done, Addition::First),
            (Ended::Present, Addition::Present),
            (Ended::Refused(Reason::TakesNoRecords), Addition::Unavailable(Unavailable::Refused)),
            (Ended::Unavailable(Unavailable::Timeout), Addition::Unavailable(Unavailable::Timeout)),
        ] {
            fixture.add(&key(1), 8).unwrap();
            assert_eq!(fixture.asked(), ["one: add record by 1000"]);
            assert_eq!(fixture.end(ended), Some(Told::Add(8, addition)));
        }
    }

    #[test]
    fn what_the_first_choice_has_is_found_there() {
        let (mut fixture, first, _) = two(&key(1));
        fixture.get(&key(1), 7).unwrap();
        assert_eq!(fixture.asked(), [format!("{first}: get by 500")]);
        assert_eq!(
            fixture.end(Ended::Found(b"record")),
            Some(Told::Lookup(7, Lookup::Found(b"record")))
        );
        assert_eq!(fixture.asked(), [""; 0]);
    }

    #[test]
    fn what_the_first_choice_has_not_is_looked_for_at_the_second() {
        let (mut fixture, _, second) = two(&key(1));
        for (ended, told) in [
            (Ended::Missing, Lookup::Missing),
            (Ended::Unavailable(Unavailable::Timeout), Lookup::Unavailable(Unavailable::Timeout)),
            (Ended::Refused(Reason::Loading), Lookup::Unavailable(Unavailable::Refused)),
        ] {
            fixture.get(&key(1), 7).unwrap();
            assert_eq!(fixture.end(ended), None);
            assert_eq!(fixture.asked(), [format!("{second}: get by 1000")]);
            // Nothing there says nothing of the first choice.
            assert_eq!(fixture.end(Ended::Missing), Some(Told::Lookup(7, told)));

            fixture.get(&key(1), 8).unwrap();
            fixture.end(ended);
            assert_eq!(fixture.end(Ended::Found(b"r")), Some(Told::Lookup(8, Lookup::Found(b"r"))));
        }
    }

    #[test]
    fn where_the_first_choice_is_down_the_second_serves() {
        let (mut fixture, first, second) = two(&key(1));
        fixture.is_down(&first);
        fixture.get(&key(1), 7).unwrap();
        fixture.put(&key(1)).unwrap();
        let asked = ["get by 1000", "put record"].map(|what| format!("{second}: {what}"));
        assert_eq!(fixture.asked(), asked);
        let down = Lookup::Unavailable(Unavailable::Down);
        assert_eq!(
            fixture.end(Ended::Missing),
            Some(Told::Lookup(7, down)),
            "the first may have it"
        );

        fixture.is_down(&second);
        assert_eq!(fixture.get(&key(1), 7), Err(Unavailable::Down));
        assert_eq!(fixture.put(&key(1)), Err(Unavailable::Down));
    }

    /// Two machines that see different failures would both be told that they are the first.
    #[test]
    fn a_record_is_added_at_the_first_choice_or_not_at_all() {
        let (mut fixture, first, _) = two(&key(1));
        fixture.add(&key(1), 7).unwrap();
        assert_eq!(fixture.asked(), [format!("{first}: add record by 1000")]);
        let timeout = Ended::Unavailable(Unavailable::Timeout);
        assert_eq!(fixture.end(timeout), Some(add_unavailable(7, Unavailable::Timeout)));
        assert_eq!(fixture.asked(), [""; 0]);

        fixture.is_down(&first);
        assert_eq!(fixture.add(&key(1), 7), Err(Unavailable::Down));
        assert_eq!(fixture.asked(), [""; 0]);
    }

    #[test]
    fn where_the_second_choice_is_down_the_first_has_said_it() {
        let (mut fixture, _, second) = two(&key(1));
        fixture.is_down(&second);
        fixture.get(&key(1), 7).unwrap();
        assert_eq!(fixture.end(Ended::Missing), Some(Told::Lookup(7, Lookup::Missing)));
    }

    #[test]
    fn the_second_choice_is_not_asked_when_time_is_up() {
        let (mut fixture, ..) = two(&key(1));
        fixture.get(&key(1), 7).unwrap();
        fixture.now = fixture.now + TIMEOUT;
        assert_eq!(fixture.end(Ended::Missing), Some(Told::Lookup(7, Lookup::Missing)));
    }

    #[test]
    fn a_record_is_deleted_at_both_choices() {
        let (mut fixture, first, second) = two(&key(1));
        fixture.router.delete(&fixture.servers, &key(1), start()).unwrap();
        assert_eq!(fixture.asked(), [first, second].map(|name| format!("{name}: delete")));
    }

    #[test]
    fn redirects_are_followed() {
        let mut fixture = Fixture::cluster();
        let key = key(1);
        fixture.get(&key, 7).unwrap();
        assert_eq!(fixture.end(moved(&key, b":2")), None);
        assert_eq!(fixture.end(ask(&key, b":3")), None);
        assert_eq!(fixture.asked(), ["3: ASKING get by 1000"]);
        assert_eq!(fixture.end(Ended::Found(b"r")), Some(Told::Lookup(7, Lookup::Found(b"r"))));

        // The one that moved is known from now on, the other was for once.
        fixture.get(&key, 8).unwrap();
        assert_eq!(fixture.asked(), ["2: get by 1000"]);
    }

    #[test]
    fn two_redirects_for_a_lookup_and_one_for_a_record() {
        let mut fixture = Fixture::cluster();
        let key = key(1);
        fixture.get(&key, 7).unwrap();
        assert_eq!(fixture.end(moved(&key, b":2")), None);
        assert_eq!(fixture.end(moved(&key, b":3")), None);
        let refused = Lookup::Unavailable(Unavailable::Refused);
        assert_eq!(fixture.end(moved(&key, b":1")), Some(Told::Lookup(7, refused)));

        fixture.put(&key).unwrap();
        assert_eq!(fixture.end(moved(&key, b":4")), None);
        assert_eq!(fixture.asked(), ["4: put record"]);
        assert_eq!(*fixture.servers.failed.borrow(), 0);
        assert_eq!(fixture.end(moved(&key, b":5")), None);
        assert_eq!(fixture.asked(), [""; 0]);
        assert_eq!(*fixture.servers.failed.borrow(), 1);

        fixture.router.delete(&fixture.servers, &key, start()).unwrap();
        assert_eq!(fixture.end(ask(&key, b":2")), None);
        assert_eq!(fixture.asked(), ["2: ASKING delete"]);
        assert_eq!(fixture.end(ask(&key, b":3")), None);
        assert_eq!(fixture.asked(), [""; 0]);
    }

    #[test]
    fn a_record_to_add_follows_two_redirects() {
        let mut fixture = Fixture::cluster();
        let key = key(1);
        fixture.add(&key, 7).unwrap();
        assert_eq!(fixture.asked(), ["1: add record by 1000"]);
        assert_eq!(fixture.end(moved(&key, b":2")), None);
        assert_eq!(fixture.asked(), ["2: add record by 1000"]);
        assert_eq!(fixture.end(ask(&key, b":3")), None);
        assert_eq!(fixture.asked(), ["3: ASKING add record by 1000"]);
        assert_eq!(fixture.end(Ended::Present), Some(Told::Add(7, Addition::Present)));

        for (last, addition) in [
            (Ended::Done, Addition::First),
            (moved(&key, b":6"), Addition::Unavailable(Unavailable::Refused)),
            (Ended::Refused(Reason::ReadOnly), Addition::Unavailable(Unavailable::Refused)),
        ] {
            fixture.add(&key, 8).unwrap();
            assert_eq!(fixture.end(moved(&key, b":1")), None);
            assert_eq!(fixture.end(moved(&key, b":2")), None);
            assert_eq!(fixture.end(last), Some(Told::Add(8, addition)));
        }
        assert_eq!(*fixture.servers.failed.borrow(), 0, "it is none that is put");
    }

    /// What it does not know is not sent again: it may have been the first.
    #[test]
    fn a_record_to_add_is_sent_again_only_where_it_was_refused() {
        let mut fixture = Fixture::cluster();
        for reason in [Unavailable::Down, Unavailable::Timeout] {
            fixture.add(&key(1), 7).unwrap();
            let told = fixture.end(Ended::Unavailable(reason));
            assert_eq!(told, Some(add_unavailable(7, reason)));
            assert_eq!(fixture.asked(), [""; 0]);
        }
        for reason in [Reason::ClusterDown, Reason::TryAgain] {
            fixture.add(&key(1), 8).unwrap();
            assert_eq!(fixture.end(Ended::Refused(reason)), None);
            fixture.now = fixture.now + TRY;
            assert_eq!(fixture.tick(), []);
            assert_eq!(fixture.asked().len(), 1);
            assert_eq!(fixture.end(Ended::Done), Some(Told::Add(8, Addition::First)));
        }
    }

    /// It says so itself, where it answers at all.
    #[test]
    fn a_record_that_is_refused_is_counted_where_its_server_is() {
        let mut fixture = Fixture::cluster();
        fixture.put(&key(1)).unwrap();
        assert_eq!(fixture.end(Ended::Refused(Reason::TakesNoRecords)), None);
        fixture.put(&key(1)).unwrap();
        assert_eq!(fixture.end(Ended::Refused(Reason::ReadOnly)), None);
        assert_eq!(*fixture.servers.failed.borrow(), 0);
    }

    /// It knows its master, and so where its slots are now.
    #[test]
    fn a_replica_is_asked_for_the_map() {
        let mut fixture = Fixture::cluster();
        let refuse = |fixture: &mut Fixture, reason| {
            fixture.put(&key(1)).unwrap();
            fixture.end(Ended::Refused(reason));
            fixture.now = fixture.router.deadline().unwrap();
            fixture.router.inquiry(&fixture.servers, fixture.now)
        };
        assert!(matches!(refuse(&mut fixture, Reason::ReadOnly), Some(Whom::Server(_))));
        fixture.router.mapped(None, fixture.now);
        assert_eq!(fixture.router.inquiry(&fixture.servers, fixture.now), Some(Whom::Seeds));
        fixture.router.mapped(None, fixture.now);

        assert_eq!(refuse(&mut fixture, Reason::Loading), Some(Whom::Seeds));
    }

    #[test]
    fn a_redirect_that_says_nothing_of_use_ends_a_lookup() {
        let mut fixture = Fixture::cluster();
        for reason in [Reason::Moved(None), Reason::Ask(None)] {
            fixture.get(&key(1), 7).unwrap();
            let refused = Lookup::Unavailable(Unavailable::Refused);
            assert_eq!(fixture.end(Ended::Refused(reason)), Some(Told::Lookup(7, refused)));
        }
    }

    #[test]
    fn a_cluster_that_is_down_for_long_costs_no_waits() {
        let mut fixture = Fixture::cluster();
        let down = || Ended::Refused(Reason::ClusterDown);
        fixture.get(&key(1), 7).unwrap();
        assert_eq!(fixture.end(down()), None);
        assert_eq!(fixture.tick(), []);
        assert_eq!(fixture.asked(), [""; 0], "not yet");
        fixture.now = fixture.now + TRY;
        assert_eq!(fixture.tick(), []);
        assert_eq!(fixture.asked(), ["1: get by 1000"]);
        assert_eq!(fixture.end(Ended::Missing), Some(Told::Lookup(7, Lookup::Missing)));

        // It has been down since this one.
        fixture.get(&key(1), 8).unwrap();
        assert_eq!(fixture.end(down()), None);
        for _ in 0..50 {
            fixture.now = fixture.now + TRY;
            assert_eq!(fixture.tick(), []);
            if !fixture.asked().is_empty() && fixture.end(down()).is_some() {
                break;
            }
        }
        fixture.now = fixture.now + TIMEOUT;
        fixture.get(&key(1), 9).unwrap();
        let refused = Lookup::Unavailable(Unavailable::Refused);
        assert_eq!(fixture.end(down()), Some(Told::Lookup(9, refused)));
    }

    const TRY: Duration = Duration::from_millis(20);

    #[test]
    fn a_lookup_waits_for_the_first_map() {
        let mut fixture = Fixture::unmapped();
        fixture.get(&key(1), 7).unwrap();
        fixture.put(&key(2)).unwrap();
        assert_eq!(fixture.asked(), [""; 0]);
        fixture.map();
        assert_eq!(fixture.router.deadline(), Some(fixture.now));
        assert_eq!(fixture.tick(), []);
        assert_eq!(fixture.asked(), ["1: get by 1000", "1: put record"]);
    }

    #[test]
    fn what_waits_is_bounded_and_ends_with_the_store() {
        let mut fixture = Fixture::unmapped();
        fixture.get(&key(1), 7).unwrap();
        let put = Put { key: &key(1), record: &[0; 16 * 1024], ttl: 300, unix_now: 0 };
        fixture.add(&key(1), 9).unwrap();
        for _ in 0..255 {
            fixture.router.put(&fixture.servers, put, fixture.now).unwrap();
        }
        let deadline = fixture.now + TIMEOUT;
        assert!(fixture.router.put(&fixture.servers, put, fixture.now).is_err());
        assert!(fixture.router.add(&fixture.servers, put, deadline, 9, fixture.now).is_err());
        fixture.get(&key(2), 8).unwrap();
        let mut told = Vec::new();
        fixture.router.stop(|end| told.push(end));
        assert_eq!(told, [lookup_down(7), add_unavailable(9, Unavailable::Down), lookup_down(8)]);
        assert_eq!(fixture.tick(), []);
    }

    #[test]
    fn a_redirect_of_another_slot_says_nothing() {
        let mut fixture = Fixture::cluster();
        fixture.get(&key(1), 7).unwrap();
        let refused = Lookup::Unavailable(Unavailable::Refused);
        assert_eq!(fixture.end(moved(&key(2), b":2")), Some(Told::Lookup(7, refused)));
        fixture.get(&key(2), 7).unwrap();
        assert_eq!(fixture.asked(), ["1: get by 1000"]);
    }

    #[test]
    fn a_late_lookup_has_no_map_asked_for() {
        let mut fixture = Fixture::cluster();
        let peace = fixture.router.deadline();
        fixture.get(&key(1), 7).unwrap();
        fixture.end(Ended::Unavailable(Unavailable::Timeout));
        assert_eq!(fixture.router.deadline(), peace);
        fixture.get(&key(1), 7).unwrap();
        fixture.end(Ended::Unavailable(Unavailable::Down));
        assert!(fixture.router.deadline() < peace);
    }

    #[test]
    fn where_no_map_comes_nobody_waits_for_long() {
        let mut fixture = Fixture::unmapped();
        fixture.get(&key(1), 7).unwrap();
        fixture.add(&key(1), 9).unwrap();
        fixture.put(&key(1)).unwrap();
        let mut told = Vec::new();
        while fixture.now < start() + TIMEOUT {
            fixture.now = fixture.now + TRY;
            told.extend(fixture.tick());
        }
        assert_eq!(told, [lookup_down(7), add_unavailable(9, Unavailable::Down)]);
        assert_eq!(*fixture.servers.failed.borrow(), 1);
        assert_eq!(fixture.get(&key(1), 8), Err(Unavailable::Down));
        assert_eq!(fixture.add(&key(1), 8), Err(Unavailable::Down));
    }

    #[test]
    fn a_node_that_is_down_has_the_map_asked_for() {
        let mut fixture = Fixture::cluster();
        fixture.get(&key(1), 7).unwrap();
        fixture.end(Ended::Missing);
        fixture.now = fixture.now + TIMEOUT * 2;
        assert_eq!(fixture.router.inquiry(&fixture.servers, fixture.now), None);
        fixture.is_down("1");
        assert_eq!(fixture.get(&key(1), 7), Err(Unavailable::Down));
        fixture.now = fixture.router.deadline().unwrap();
        assert!(fixture.now < start() + TIMEOUT * 3);
        assert!(fixture.router.inquiry(&fixture.servers, fixture.now).is_some());
    }
}
