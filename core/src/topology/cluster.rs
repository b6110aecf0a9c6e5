//! A Redis Cluster as one client sees it: its nodes, and which of them has each slot.

use std::collections::{BTreeMap, VecDeque};
use std::mem;
use std::time::Duration;

use slotmap::SlotMap;

use crate::protocol::Redirect;
use crate::random::Random;
use crate::time::{earliest, Instant};
use crate::topology::endpoint::Endpoint;
use crate::topology::id::ServerId;
use crate::topology::map::{Map, MAX_MASTERS};
use crate::topology::slots::SLOTS;

/// The most nodes that are known at the same time.
pub const MAX_NODES: usize = MAX_MASTERS;

/// So many nodes are used that redirects alone have named. A cluster that gets nodes has them in its
/// map with their first slot.
const MAX_STRANGERS: usize = 16;

/// In peace, the map is asked for again after this time, a quarter more or less.
const PEACE: Duration = Duration::from_secs(60);

/// What asks for the map begins so long after it was last asked for.
const GAP: Duration = Duration::from_secs(1);

/// After so many rounds that have brought nothing new, the gap gets longer by one with each further
/// round, up to this factor: a failover takes some 20 seconds by default, and a cluster that has lost
/// a node for good is not asked for its map each second for ever.
const PATIENT_ROUNDS: u32 = 30;
const MAX_GAPS: u32 = 10;

/// And up to so much later, by chance: all workers hear of the same trouble at the same time.
const SPREAD: Duration = Duration::from_millis(250);

/// So many nodes are asked for the map, before the configured servers are.
const NODES_ASKED: usize = 3;

/// A node without slots is closed when nothing was asked of it for so long.
const IDLE: Duration = Duration::from_secs(60);

/// A Redis Cluster, without connections, a clock or names: whoever has these hands in what has
/// happened and the time, does what [`change`](Self::change) says after each call that takes the
/// time, and asks for the map when [`deadline`](Self::deadline) has come.
///
/// # Nodes
///
/// A node is opened when it is first needed, and is kept open while it has slots, whatever a new map
/// says of others. Without slots it is closed after a minute in which nothing was asked of it, or
/// for one of a new map where there are as many as there may be. Where all of those have slots, no
/// other node is accepted, and the slots of one have none. A node that sends each request on to another
/// server gets no further than to a few of those that no map has named.
///
/// # The map
///
/// It is asked for at the start; when a redirect was of an old map; when a node with slots is lost,
/// says that it is a replica, or that the cluster is down; when a key's slot has no node; and every
/// minute. Then a node is asked: the one that knew better, if one did; up to three one after the
/// other, those that were lost only now left out; and then the servers that the configuration names,
/// resolved again. One is asked at a time, the first a second after the last answer, or the last
/// failure of all, and up to ten where many in a row have brought nothing new.
///
/// A map without any slot is none. What a map leaves open stays as it was: the node that had the slot
/// says whether it still has.
pub struct Cluster {
    nodes: SlotMap<ServerId, Node>,
    /// Each node once.
    ids: BTreeMap<Endpoint, ServerId>,
    /// For each slot the node that has it; all of them are known.
    owners: Box<[Option<ServerId>]>,
    /// No node without slots has been idle for [`IDLE`] before this time.
    idle_at: Option<Instant>,
    inquiry: Inquiry,
    /// No more nodes than this, of which so many are known by redirects alone.
    max_nodes: usize,
    strangers: usize,
    random: Random,
    changes: VecDeque<Change>,
}

struct Node {
    endpoint: Endpoint,
    /// Whether no map has named it yet.
    is_stranger: bool,
    /// How many slots it has.
    slots: u16,
    /// Whether [`Change::Open`] was said of it.
    is_open: bool,
    /// When something was last asked of it.
    used_at: Instant,
    /// Whether it was lost since the map was last asked for.
    is_lost: bool,
}

/// Where the way to a new map is.
struct Inquiry {
    /// When it is asked for; `None` while it is.
    at: Option<Instant>,
    /// It is not asked for anew before this time.
    not_before: Instant,
    /// Whether something asks for it since it was last asked for.
    is_wanted: bool,
    /// The node that knew better.
    knower: Option<ServerId>,
    /// Who is asked.
    asked: Option<Whom>,
    /// The nodes that were asked in vain.
    tried: Vec<ServerId>,
    /// So many rounds in a row have brought nothing new.
    rounds: u32,
}

/// What is to be done about a cluster's nodes, in the order told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// This node, which is new, is to be asked something.
    Open(ServerId, Endpoint),
    /// This node is of no more use, and its id of none.
    Close(ServerId),
}

/// Who is asked for the map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whom {
    /// This node.
    Server(ServerId),
    /// The servers that the configuration names, resolved again; whichever answers.
    Seeds,
}

impl Cluster {
    /// A cluster of which nothing is known. No more nodes are used than `max_nodes`, and no more than
    /// [`MAX_NODES`]. `seed` spreads out what clients do at the same time: it should differ between
    /// workers and machines.
    pub fn new(seed: u64, max_nodes: usize, now: Instant) -> Self {
        Self {
            nodes: SlotMap::with_key(),
            ids: BTreeMap::new(),
            owners: vec![None; SLOTS.into()].into_boxed_slice(),
            idle_at: None,
            inquiry: Inquiry {
                at: Some(now),
                not_before: now,
                is_wanted: true,
                knower: None,
                asked: None,
                tried: Vec::new(),
                rounds: 0,
            },
            max_nodes: max_nodes.min(MAX_NODES),
            strangers: 0,
            random: Random::new(seed),
            changes: VecDeque::new(),
        }
    }

    /// What is to be done next, if anything is. It comes before the use of any id that was told.
    pub fn change(&mut self) -> Option<Change> {
        self.changes.pop_front()
    }

    /// When [`inquiry`](Self::inquiry) is to be called.
    pub fn deadline(&self) -> Option<Instant> {
        earliest([self.inquiry.at, self.idle_at])
    }

    /// Where a node is.
    pub fn endpoint(&self, server: ServerId) -> Option<&Endpoint> {
        self.nodes.get(server).map(|node| &node.endpoint)
    }

    /// The nodes that have slots, with how many.
    #[cfg(test)]
    fn masters(&self) -> impl Iterator<Item = (ServerId, &Endpoint, u16)> {
        let masters = self.nodes.iter().filter(|(_, node)| node.slots > 0);
        masters.map(|(id, node)| (id, &node.endpoint, node.slots))
    }

    /// The node that has `slot`, to be asked something now. `None` where none is known to.
    pub fn server_of(&mut self, slot: u16, now: Instant) -> Option<ServerId> {
        let owner = self.owner(slot);
        match owner {
            Some(owner) => self.use_node(owner, now),
            None => self.want(now),
        }
        owner
    }

    /// A node says that another one has a slot, from now on. Returns that one, to be asked instead;
    /// `None` where it says nothing of use.
    pub fn moved(
        &mut self,
        from: ServerId,
        redirect: Redirect<'_>,
        now: Instant,
    ) -> Option<ServerId> {
        let target = self.redirected(from, redirect, now);
        let owner = self.owner(redirect.slot);
        if target.is_some() && target == owner {
            // The map knows it by now.
            return target;
        }
        // A node that does not have the slot in this map was asked before the map was new.
        if target.is_some() && owner.is_none_or(|owner| owner == from) {
            self.set_owner(redirect.slot, target);
        }
        if self.nodes.contains_key(from) {
            self.inquiry.knower = Some(from);
        }
        self.want(now);
        target
    }

    /// A node says that another one has a slot, this time. Returns that one, to be asked instead, with
    /// ASKING; `None` where it says nothing of use.
    pub fn asked(
        &mut self,
        from: ServerId,
        redirect: Redirect<'_>,
        now: Instant,
    ) -> Option<ServerId> {
        self.redirected(from, redirect, now)
    }

    /// The connection to a node is gone, or could not be made, or it turns requests away.
    pub fn lost(&mut self, server: ServerId, now: Instant) {
        let Some(node) = self.nodes.get_mut(server) else { return };
        node.is_lost = true;
        if node.slots > 0 {
            self.want(now);
        }
    }

    /// A node says that it is a replica.
    pub fn read_only(&mut self, server: ServerId, now: Instant) {
        if self.nodes.get(server).is_some_and(|node| node.slots > 0) {
            self.inquiry.knower = Some(server);
            self.want(now);
        }
    }

    /// A node says that the cluster is down.
    pub fn cluster_down(&mut self, now: Instant) {
        self.want(now);
    }

    /// Who is to be asked for the map, where it is time to: [`answered`](Self::answered) follows, once.
    /// Nodes that have been idle for too long are closed.
    pub fn inquiry(&mut self, now: Instant) -> Option<Whom> {
        self.close_idle(now);
        self.inquiry.at.take_if(|at| *at <= now)?;
        if self.inquiry.tried.is_empty() {
            self.inquiry.is_wanted = false;
            if now.since(self.inquiry.not_before) >= PEACE / 2 {
                self.inquiry.rounds = 0;
            }
        }
        let whom = match self.next_to_ask() {
            Some(server) => {
                self.inquiry.tried.push(server);
                self.use_node(server, now);
                Whom::Server(server)
            }
            None => Whom::Seeds,
        };
        self.inquiry.asked = Some(whom);
        Some(whom)
    }

    /// The answer of who was asked for the map; `None` where there is none, or none of use.
    pub fn answered(&mut self, map: Option<&Map>, now: Instant) {
        let Some(whom) = self.inquiry.asked.take() else { return };
        let wait = match map.filter(|map| !map.is_empty()) {
            Some(map) => {
                self.adopt(map, now);
                // What it leaves open may be told soon, as while a cluster is made.
                self.inquiry.is_wanted |= self.owners.contains(&None);
                PEACE.mul_f64(0.75 + self.random.fraction() / 2.0)
            }
            None if whom == Whom::Seeds => self.gap() + SPREAD.mul_f64(self.random.fraction()),
            None => {
                self.inquiry.at = Some(now);
                return;
            }
        };
        let gap = self.gap();
        self.inquiry.rounds += 1;
        self.inquiry.tried.clear();
        self.inquiry.not_before = now + gap;
        self.inquiry.at = Some(now + if self.inquiry.is_wanted { gap } else { wait });
        for node in self.nodes.values_mut() {
            node.is_lost = false;
        }
    }

    /// How long after the last round the next one may begin: longer where many in a row have brought
    /// nothing new, though something asks for a map.
    fn gap(&self) -> Duration {
        let excess = self.inquiry.rounds.saturating_sub(PATIENT_ROUNDS);
        GAP * (1 + excess).min(MAX_GAPS)
    }

    fn owner(&self, slot: u16) -> Option<ServerId> {
        self.owners.get(usize::from(slot)).copied().flatten()
    }

    /// Something asks for the map.
    fn want(&mut self, now: Instant) {
        let inquiry = &mut self.inquiry;
        if mem::replace(&mut inquiry.is_wanted, true) {
            return;
        }
        if let Some(at) = inquiry.at.filter(|_| inquiry.tried.is_empty()) {
            let soon = now + SPREAD.mul_f64(self.random.fraction());
            inquiry.at = Some(at.min(soon.max(inquiry.not_before)));
        }
    }

    /// The node that is asked for the map next; `None` where it is the turn of the seeds.
    fn next_to_ask(&mut self) -> Option<ServerId> {
        let tried = &self.inquiry.tried;
        if tried.len() == NODES_ASKED {
            return None;
        }
        let is_of_use = |id: ServerId, node: &Node| !node.is_lost && !tried.contains(&id);
        if let Some(knower) = self.inquiry.knower.take() {
            if self.nodes.get(knower).is_some_and(|node| is_of_use(knower, node)) {
                return Some(knower);
            }
        }
        let masters = self.nodes.iter().filter(|(id, node)| node.slots > 0 && is_of_use(*id, node));
        let (mut open, others): (Vec<_>, Vec<_>) = masters.partition(|(_, node)| node.is_open);
        if open.is_empty() {
            open = others;
        }
        let place = (self.random.fraction() * open.len() as f64) as usize;
        open.get(place).map(|(id, _)| *id)
    }

    fn adopt(&mut self, map: &Map, now: Instant) {
        let ids = map.masters().iter().map(|master| self.ids.get(master).copied());
        let mut ids: Vec<_> = ids.collect();
        // First those that keep slots, so that room is made of those that do not.
        self.assign(map, &ids);
        self.make_room(ids.iter().filter(|id| id.is_none()).count());
        for (id, master) in ids.iter_mut().zip(map.masters()) {
            *id = id.or_else(|| self.insert(master.clone(), now));
            if let Some(node) = id.and_then(|id| self.nodes.get_mut(id)) {
                self.strangers -= usize::from(mem::take(&mut node.is_stranger));
            }
        }
        self.assign(map, &ids);
    }

    /// Gives slots to the nodes with these ids, in the order of the map's masters.
    fn assign(&mut self, map: &Map, ids: &[Option<ServerId>]) {
        for (slot, master) in (0..).zip(map.owners()) {
            if let Some(master) = master {
                self.set_owner(slot, ids[master]);
            }
        }
    }

    fn set_owner(&mut self, slot: u16, owner: Option<ServerId>) {
        let Some(place) = self.owners.get_mut(usize::from(slot)) else { return };
        if *place == owner {
            return;
        }
        self.inquiry.rounds = 0;
        if let Some(before) = mem::replace(place, owner) {
            let node = &mut self.nodes[before];
            node.slots -= 1;
            if node.slots == 0 {
                self.idle_at = earliest([self.idle_at, Some(node.used_at + IDLE)]);
            }
        }
        if let Some(owner) = owner {
            self.nodes[owner].slots += 1;
        }
    }

    /// The node that `from` says is to be asked.
    fn redirected(
        &mut self,
        from: ServerId,
        redirect: Redirect<'_>,
        now: Instant,
    ) -> Option<ServerId> {
        let asked = self.endpoint(from)?;
        let endpoint = Endpoint::redirected(redirect.address, &asked.host)?;
        if endpoint == *asked {
            return None;
        }
        let id = match self.ids.get(&endpoint) {
            Some(id) => *id,
            None if self.strangers >= MAX_STRANGERS => return None,
            None => self.insert(endpoint, now)?,
        };
        self.use_node(id, now);
        Some(id)
    }

    /// Something is asked of a node.
    fn use_node(&mut self, id: ServerId, now: Instant) {
        let node = &mut self.nodes[id];
        node.used_at = now;
        if node.slots == 0 {
            self.idle_at = earliest([self.idle_at, Some(now + IDLE)]);
        }
        if !mem::replace(&mut node.is_open, true) {
            self.changes.push_back(Change::Open(id, node.endpoint.clone()));
        }
    }

    /// A new node; `None` where there is no room for it.
    fn insert(&mut self, endpoint: Endpoint, now: Instant) -> Option<ServerId> {
        if self.nodes.len() >= self.max_nodes {
            return None;
        }
        let node = Node {
            endpoint: endpoint.clone(),
            is_stranger: true,
            slots: 0,
            is_open: false,
            used_at: now,
            is_lost: false,
        };
        let id = self.nodes.insert(node);
        self.ids.insert(endpoint, id);
        self.strangers += 1;
        Some(id)
    }

    /// Closes nodes without slots, those first that were not used for longest, so that there is room
    /// for so many others.
    fn make_room(&mut self, count: usize) {
        let excess = (self.nodes.len() + count).saturating_sub(self.max_nodes);
        if excess == 0 {
            return;
        }
        let idle = self.nodes.iter().filter(|(_, node)| node.slots == 0);
        let mut idle: Vec<_> = idle.map(|(id, node)| (node.used_at, id)).collect();
        idle.sort_unstable();
        idle.into_iter().take(excess).for_each(|(_, id)| self.close(id));
    }

    fn close_idle(&mut self, now: Instant) {
        if self.idle_at.is_none_or(|at| at > now) {
            return;
        }
        let idle = self.nodes.iter().filter(|(_, node)| node.slots == 0);
        let (over, others): (Vec<_>, Vec<_>) =
            idle.map(|(id, node)| (node.used_at + IDLE, id)).partition(|(at, _)| *at <= now);
        self.idle_at = others.into_iter().map(|(at, _)| at).min();
        over.into_iter().for_each(|(_, id)| self.close(id));
    }

    fn close(&mut self, id: ServerId) {
        let Some(node) = self.nodes.remove(id) else { return };
        self.ids.remove(&node.endpoint);
        self.strangers -= usize::from(node.is_stranger);
        if node.is_open {
            self.changes.push_back(Change::Close(id));
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;
    use crate::topology::endpoint::Host;
    use crate::topology::map::tests::reply;

    /// A cluster, and what is told of it.
    struct Play {
        cluster: Cluster,
        now: Instant,
        opened: Vec<(ServerId, String)>,
        closed: Vec<ServerId>,
    }

    /// Ranges of slots, each with the last byte of its master's address.
    fn map(ranges: &[(u16, u16, u16)]) -> Map {
        let range = |(first, last, node)| format!(r#"[ {first} {last} [ "{}" 1 ] ] "#, host(node));
        let ranges: String = ranges.iter().copied().map(range).collect();
        Map::read(&reply(&format!("[ {ranges} ]")), &Host::parse(b"192.0.2.1").unwrap()).unwrap()
    }

    fn host(node: u16) -> String {
        let [high, low] = node.to_be_bytes();
        format!("192.0.{}.{low}", 2 + high)
    }

    const LAST: u16 = SLOTS - 1;

    fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    impl Play {
        fn new(seed: u64) -> Self {
            let now = Instant::from_millis(1_000_000);
            let cluster = Cluster::new(seed, MAX_NODES, now);
            Self { cluster, now, opened: Vec::new(), closed: Vec::new() }
        }

        /// With this map, in peace.
        fn with(ranges: &[(u16, u16, u16)]) -> Self {
            let mut play = Self::new(1);
            assert_eq!(play.ask(), Some(Whom::Seeds));
            play.answer(ranges);
            play
        }

        /// Two nodes, 11 and 12, each with half of the slots and open.
        fn with_two() -> (Self, ServerId, ServerId) {
            let mut play = Self::with(&[(0, 8191, 11), (8192, LAST, 12)]);
            let nodes = (play.server_of(0), play.server_of(LAST));
            play.pass(GAP);
            (play, nodes.0.unwrap(), nodes.1.unwrap())
        }

        fn pass(&mut self, span: Duration) {
            self.now = self.now + span;
        }

        /// Passes to when something asks for the map, and says how long that took.
        fn pass_to_inquiry(&mut self) -> (Option<Whom>, Duration) {
            let before = self.now;
            loop {
                self.now = self.cluster.deadline().expect("nothing is to come").max(self.now);
                if let Some(whom) = self.ask() {
                    return (Some(whom), self.now.since(before));
                }
            }
        }

        fn ask(&mut self) -> Option<Whom> {
            let whom = self.cluster.inquiry(self.now);
            self.take_changes();
            whom
        }

        fn answer(&mut self, ranges: &[(u16, u16, u16)]) {
            self.cluster.answered(Some(&map(ranges)), self.now);
            self.take_changes();
        }

        fn fail(&mut self) {
            self.cluster.answered(None, self.now);
        }

        fn server_of(&mut self, slot: u16) -> Option<ServerId> {
            let server = self.cluster.server_of(slot, self.now);
            self.take_changes();
            server
        }

        fn moved(&mut self, from: ServerId, slot: u16, to: &str) -> Option<ServerId> {
            let redirect = Redirect { slot, address: to.as_bytes() };
            let server = self.cluster.moved(from, redirect, self.now);
            self.take_changes();
            server
        }

        fn asked(&mut self, from: ServerId, to: &str) -> Option<ServerId> {
            let redirect = Redirect { slot: 0, address: to.as_bytes() };
            let server = self.cluster.asked(from, redirect, self.now);
            self.take_changes();
            server
        }

        fn take_changes(&mut self) {
            while let Some(change) = self.cluster.change() {
                match change {
                    Change::Open(id, endpoint) => self.opened.push((id, endpoint.to_string())),
                    Change::Close(id) => self.closed.push(id),
                }
            }
        }

        fn is_wanted(&self) -> bool {
            self.cluster.inquiry.is_wanted
        }

        fn assert_invariants(&self) {
            let Cluster { nodes, ids, owners, idle_at, inquiry, .. } = &self.cluster;
            assert!(nodes.len() <= MAX_NODES);
            assert_eq!(
                self.cluster.strangers,
                nodes.values().filter(|node| node.is_stranger).count()
            );
            assert!(self.cluster.strangers <= MAX_STRANGERS);
            assert_eq!(nodes.len(), ids.len());
            for (id, node) in nodes {
                assert_eq!(ids[&node.endpoint], id);
                assert!(node.slots > 0 || idle_at.is_some_and(|at| at <= node.used_at + IDLE));
                assert_eq!(node.is_open, self.is_open(id));
            }
            let mut slots = BTreeMap::new();
            owners.iter().flatten().for_each(|owner| *slots.entry(*owner).or_insert(0) += 1);
            let with_slots = nodes.iter().filter(|(_, node)| node.slots > 0);
            assert_eq!(slots, with_slots.map(|(id, node)| (id, node.slots)).collect());
            assert_eq!(inquiry.at.is_none(), inquiry.asked.is_some());
            assert!(inquiry.tried.len() <= NODES_ASKED);
        }

        fn is_open(&self, id: ServerId) -> bool {
            self.opened.iter().any(|(open, _)| *open == id) && !self.closed.contains(&id)
        }
    }

    #[test]
    fn the_seeds_are_asked_at_the_start_and_a_second_after_they_failed() {
        let mut play = Play::new(1);
        assert_eq!(play.server_of(0), None);
        assert_eq!(play.ask(), Some(Whom::Seeds));
        // One at a time.
        assert_eq!((play.ask(), play.cluster.deadline()), (None, None));
        play.pass(ms(5000));
        play.fail();
        let (whom, wait) = play.pass_to_inquiry();
        assert_eq!(whom, Some(Whom::Seeds));
        assert!(wait >= GAP && wait <= GAP + SPREAD, "{wait:?}");
    }

    #[test]
    fn a_node_is_opened_when_it_is_first_needed() {
        let mut play = Play::with(&[(0, 8191, 11), (8192, LAST, 12)]);
        assert_eq!(play.opened, []);
        let node = play.server_of(5).unwrap();
        assert_eq!(play.opened, [(node, "192.0.2.11:1".into())]);
        assert_eq!(play.server_of(8191), Some(node));
        assert_eq!(play.opened.len(), 1);
        assert_ne!(play.server_of(8192), Some(node));
        assert_eq!(play.opened[1].1, "192.0.2.12:1");
        assert_eq!(play.cluster.endpoint(node).unwrap().to_string(), "192.0.2.11:1");
        assert_eq!(play.server_of(SLOTS), None);
    }

    #[test]
    fn a_slot_without_a_node_asks_for_the_map() {
        let mut play = Play::with(&[(0, 9, 11), (11, LAST, 11)]);
        play.pass(GAP);
        assert_eq!(play.server_of(10), None);
        let (whom, wait) = play.pass_to_inquiry();
        assert!(matches!(whom, Some(Whom::Server(_))));
        assert!(wait <= SPREAD, "{wait:?}");
        play.answer(&[(10, 10, 12)]);
        assert!(play.server_of(10).is_some());
    }

    #[test]
    fn trouble_is_spread_over_workers() {
        let waits = (0..1000).map(|seed| {
            let mut play = Play::new(seed);
            play.ask();
            play.answer(&[(0, LAST, 11)]);
            play.pass(GAP);
            // Those who hear of it more often are not earlier.
            for _ in 0..100 {
                play.cluster.cluster_down(play.now);
            }
            play.pass_to_inquiry().1
        });
        let mut fifths = [0; 5];
        waits.for_each(|wait| fifths[wait.as_millis() as usize / 50] += 1);
        assert!(fifths.iter().all(|count| *count > 150), "{fifths:?}");
    }

    #[test]
    fn in_peace_the_map_is_asked_for_every_minute() {
        let mut waits: Vec<_> = (0..1000)
            .map(|seed| {
                let mut play = Play::new(seed);
                play.ask();
                play.answer(&[(0, LAST, 11)]);
                let (whom, wait) = play.pass_to_inquiry();
                assert!(matches!(whom, Some(Whom::Server(_))));
                wait
            })
            .collect();
        waits.sort_unstable();
        assert!(waits[0] >= ms(45_000) && waits[999] < ms(75_000));
        assert!(waits[100] < ms(50_000) && waits[900] > ms(70_000));
    }

    #[test]
    fn a_redirect_changes_the_slot_and_asks_the_node_that_knew_better() {
        let (mut play, first, second) = Play::with_two();
        assert_eq!(play.moved(first, 5, "192.0.2.12:1"), Some(second));
        let third = play.moved(first, 6, "192.0.2.13:1").unwrap();
        assert_eq!(play.opened.last().unwrap(), &(third, "192.0.2.13:1".into()));
        assert_eq!(play.server_of(5), Some(second));
        assert_eq!(play.server_of(6), Some(third));
        assert_eq!(play.server_of(7), Some(first));

        let (whom, wait) = play.pass_to_inquiry();
        assert_eq!(whom, Some(Whom::Server(first)));
        assert!(wait <= SPREAD, "{wait:?}");
        play.answer(&[(0, LAST, 12)]);
        assert_eq!(play.server_of(6), Some(second));
        assert!(!play.is_wanted());
    }

    /// A pipeline of lookups for the slot comes back from the node that had it.
    #[test]
    fn a_redirect_that_the_map_knows_asks_for_nothing() {
        let (mut play, first, second) = Play::with_two();
        play.moved(first, 5, "192.0.2.12:1");
        play.pass_to_inquiry();
        play.answer(&[(0, 4, 11), (5, 5, 12), (6, 8191, 11)]);
        assert_eq!(play.moved(first, 5, "192.0.2.12:1"), Some(second));
        assert!(!play.is_wanted());
    }

    #[test]
    fn a_redirect_older_than_the_map_changes_nothing() {
        let (mut play, first, second) = Play::with_two();
        let third = play.moved(second, 5, "192.0.2.13:1");
        assert!(third.is_some() && play.is_wanted());
        assert_eq!(play.server_of(5), Some(first));
    }

    #[test]
    fn a_redirect_of_no_use_asks_for_the_map() {
        for address in ["", "?:1", "192.0.2.12:0", "192.0.2.11:1", ":1", "127.0.0.1:1"] {
            let (mut play, first, _) = Play::with_two();
            assert_eq!(play.moved(first, 5, address), None, "{address}");
            assert_eq!(play.server_of(5), Some(first), "{address}");
            assert_eq!(play.pass_to_inquiry().0, Some(Whom::Server(first)), "{address}");
        }
    }

    #[test]
    fn asked_once_nothing_changes() {
        let (mut play, first, second) = Play::with_two();
        assert_eq!(play.asked(first, "192.0.2.12:1"), Some(second));
        let third = play.asked(first, "192.0.2.13:1").unwrap();
        assert_eq!(play.opened.last().unwrap(), &(third, "192.0.2.13:1".into()));
        assert_eq!(play.asked(first, "?:1"), None);
        assert_eq!(play.server_of(0), Some(first));
        assert!(!play.is_wanted());
    }

    #[test]
    fn a_lost_node_is_not_the_one_that_is_asked() {
        let (mut play, first, second) = Play::with_two();
        play.moved(first, 5, "192.0.2.12:1");
        play.cluster.lost(first, play.now);
        assert_eq!(play.pass_to_inquiry().0, Some(Whom::Server(second)));
        play.fail();
        assert_eq!(play.ask(), Some(Whom::Seeds));
        play.answer(&[(0, LAST, 12)]);
        // It has no slots any more.
        play.cluster.lost(first, play.now);
        assert!(!play.is_wanted());
    }

    #[test]
    fn where_all_nodes_are_lost_the_seeds_are_asked() {
        let (mut play, first, second) = Play::with_two();
        play.cluster.lost(first, play.now);
        play.cluster.lost(second, play.now);
        assert_eq!(play.pass_to_inquiry().0, Some(Whom::Seeds));
        play.fail();
        // They may be back.
        assert!(matches!(play.pass_to_inquiry().0, Some(Whom::Server(_))));
    }

    #[test]
    fn a_replica_knows_its_master() {
        let (mut play, _, second) = Play::with_two();
        play.cluster.read_only(second, play.now);
        assert_eq!(play.pass_to_inquiry().0, Some(Whom::Server(second)));
    }

    #[test]
    fn few_nodes_are_asked_one_after_the_other_and_then_the_seeds() {
        let mut play = Play::with(&[(0, 0, 11), (1, 1, 12), (2, 2, 13), (3, 3, 14), (4, 4, 15)]);
        play.pass(GAP);
        play.cluster.cluster_down(play.now);
        let mut asked = vec![play.pass_to_inquiry().0];
        for _ in 0..NODES_ASKED {
            play.fail();
            assert_eq!(play.cluster.deadline(), Some(play.now));
            asked.push(play.ask());
        }
        assert_eq!(asked.pop(), Some(Some(Whom::Seeds)));
        asked.sort_unstable_by_key(|whom| format!("{whom:?}"));
        asked.dedup();
        assert_eq!(asked.len(), NODES_ASKED);
        assert!(!asked.contains(&Some(Whom::Seeds)));
        play.fail();
        let (_, wait) = play.pass_to_inquiry();
        assert!(wait >= GAP && wait <= GAP + SPREAD, "{wait:?}");
    }

    #[test]
    fn a_node_with_a_connection_is_preferred() {
        for seed in 0..20 {
            let mut play = Play::new(seed);
            play.ask();
            play.answer(&[(0, 0, 11), (1, 1, 12), (2, 2, 13), (3, LAST, 14)]);
            let node = play.server_of(2).unwrap();
            assert_eq!(play.pass_to_inquiry().0, Some(Whom::Server(node)));
            play.fail();
            assert!(matches!(play.ask(), Some(Whom::Server(other)) if other != node));
            assert_eq!(play.opened.len(), 2);
        }
    }

    #[test]
    fn what_happens_while_the_map_is_asked_for_asks_again_a_second_later() {
        let (mut play, first, second) = Play::with_two();
        play.moved(first, 5, "192.0.2.12:1");
        play.pass_to_inquiry();
        play.moved(second, 8192, "192.0.2.11:1");
        play.pass(ms(20));
        play.answer(&[(0, 8191, 11), (8192, LAST, 12)]);
        assert_eq!(play.pass_to_inquiry(), (Some(Whom::Server(second)), GAP));
        play.answer(&[(0, LAST, 12)]);
        // So does what happens just after.
        play.pass(ms(100));
        play.cluster.cluster_down(play.now);
        assert_eq!(play.pass_to_inquiry().1, ms(900));
    }

    #[test]
    fn an_empty_map_is_none_and_another_is_asked() {
        let (mut play, first, second) = Play::with_two();
        play.cluster.read_only(second, play.now);
        play.pass_to_inquiry();
        play.answer(&[]);
        assert_eq!(play.ask(), Some(Whom::Server(first)));
        assert_eq!(play.server_of(LAST), Some(second));
    }

    #[test]
    fn what_a_map_leaves_open_stays() {
        let (mut play, first, second) = Play::with_two();
        play.cluster.cluster_down(play.now);
        play.pass_to_inquiry();
        play.answer(&[(0, 5, 12)]);
        assert_eq!(play.server_of(5), Some(second));
        assert_eq!(play.server_of(6), Some(first));
        assert_eq!(play.server_of(LAST), Some(second));
        let slots: Vec<_> = play.cluster.masters().map(|(id, _, slots)| (id, slots)).collect();
        assert_eq!(slots, [(first, 8192 - 6), (second, 8192 + 6)]);
    }

    #[test]
    fn an_answer_that_nobody_asked_for_is_none() {
        let (mut play, first, _) = Play::with_two();
        play.answer(&[(0, LAST, 12)]);
        assert_eq!(play.server_of(0), Some(first));
    }

    #[test]
    fn a_node_without_slots_is_closed_after_a_minute_without_use() {
        let (mut play, first, second) = Play::with_two();
        let third = play.asked(first, "192.0.2.13:1").unwrap();
        play.pass(ms(30_000));
        play.cluster.cluster_down(play.now);
        play.pass_to_inquiry();
        play.answer(&[(0, LAST, 12)]);
        let asked_at = play.now;
        assert_eq!(play.asked(second, "192.0.2.13:1"), Some(third));
        assert_eq!(play.closed, []);
        while play.closed.len() < 2 {
            play.now = play.cluster.deadline().unwrap();
            if play.ask().is_some() {
                play.answer(&[(0, LAST, 12)]);
            }
        }
        assert_eq!(play.closed, [first, third]);
        assert_eq!(play.now.since(asked_at), IDLE);
        assert_eq!(play.cluster.endpoint(first), None);
        // One with slots is kept, however long nothing is asked of it.
        play.pass(IDLE * 10);
        play.ask();
        assert_eq!(play.server_of(0), Some(second));
        assert_eq!(play.closed.len(), 2);
        // What is left of the other's requests changes nothing.
        assert_eq!(play.moved(first, 0, "192.0.2.13:1"), None);
        play.cluster.lost(first, play.now);
        play.cluster.read_only(first, play.now);
    }

    #[test]
    fn a_map_of_one_slot_more_touches_no_connection() {
        let (mut play, first, second) = Play::with_two();
        play.cluster.cluster_down(play.now);
        play.pass_to_inquiry();
        play.answer(&[(0, 8192, 11), (8193, 16000, 12), (16001, LAST, 13)]);
        assert_eq!((play.server_of(8192), play.server_of(8193)), (Some(first), Some(second)));
        assert_eq!((play.opened.len(), play.closed.len()), (2, 0));
    }

    #[test]
    fn a_map_that_brings_nothing_new_is_asked_for_less_and_less_often() {
        let (mut play, first, _) = Play::with_two();
        let again = |play: &mut Play| {
            play.cluster.lost(first, play.now);
            let (_, wait) = play.pass_to_inquiry();
            play.answer(&[(0, 8191, 11), (8192, LAST, 12)]);
            wait
        };
        play.pass(PEACE / 4);
        let waits: Vec<_> = (0..60).map(|_| again(&mut play)).collect();
        assert!(waits[..25].iter().all(|wait| *wait <= GAP + SPREAD), "{waits:?}");
        assert!(waits[50..].iter().all(|wait| (GAP * 9..=GAP * 11).contains(wait)), "{waits:?}");

        // What is new is worth a second look.
        play.moved(first, 0, "192.0.2.12:1");
        assert_eq!(play.cluster.gap(), GAP);
    }

    #[test]
    fn redirects_to_ever_new_nodes_are_bounded() {
        let (mut play, first, second) = Play::with_two();
        for word in [Play::asked as fn(&mut Play, ServerId, &str) -> _, |play, from, address| {
            play.moved(from, 0, address)
        }] {
            for port in 1..=3000 {
                play.pass(ms(1));
                word(&mut play, first, &format!("198.51.100.1:{port}"));
                play.server_of(LAST);
            }
            play.assert_invariants();
            assert_eq!(play.cluster.strangers, MAX_STRANGERS);
        }
        assert_eq!(play.closed, []);
        assert!([first, second].iter().all(|id| play.is_open(*id)));

        // They make room when nothing was asked of them for a while, and a map knows better.
        play.pass_to_inquiry();
        play.answer(&[(0, 8191, 11), (8192, LAST, 12)]);
        play.pass(IDLE);
        play.cluster.inquiry(play.now);
        assert_eq!(play.cluster.strangers, 0);
        assert!(play.asked(first, "198.51.100.1:9000").is_some());
    }

    #[test]
    fn where_all_nodes_have_slots_no_other_is_accepted() {
        let (mut play, first, second) = Play::with_two();
        play.cluster.max_nodes = 3;
        assert!(play.moved(first, 1, "192.0.2.13:1").is_some());
        assert!(play.moved(first, 2, "192.0.2.14:1").is_none());
        play.pass_to_inquiry();
        play.answer(&[(0, 1, 11), (2, 8191, 14), (8192, LAST, 12)]);
        assert_eq!(play.server_of(1), Some(first));
        assert!(play.server_of(2).is_some(), "there is room");
        play.cluster.cluster_down(play.now);
        play.pass_to_inquiry();
        play.answer(&[(0, 1, 11), (2, 8191, 14), (8192, 9000, 12), (9001, LAST, 15)]);
        assert_eq!(play.server_of(9000), Some(second));
        assert_eq!(play.server_of(LAST), None, "and none for this one");
        play.assert_invariants();
    }

    #[test]
    fn all_nodes_of_the_largest_cluster_are_replaced() {
        let nodes = |first: u16| -> Vec<_> {
            (0..MAX_NODES as u16).map(|n| (16 * n, 16 * n + 15, first + n)).collect()
        };
        let mut play = Play::with(&nodes(0));
        let kept: Vec<_> = (0..100).map(|n| play.server_of(16 * n).unwrap()).collect();
        play.pass(GAP);
        play.cluster.cluster_down(play.now);
        play.pass_to_inquiry();
        let mut others = nodes(2000);
        others[..50].copy_from_slice(&nodes(0)[..50]);
        play.answer(&others);
        play.assert_invariants();
        assert_eq!(play.cluster.masters().count(), MAX_NODES);
        assert!(kept[..50].iter().all(|id| play.is_open(*id)));
        assert!(!kept[50..].iter().any(|id| play.is_open(*id)));
    }

    /// What may happen to a cluster. Returns a node that is to be asked something.
    fn happen(
        play: &mut Play,
        (event, slot, node): (u8, u16, u16),
        last_at: &mut Option<Instant>,
    ) -> Option<ServerId> {
        let address = format!("{}:1", host(node));
        let open = play.opened.iter().map(|(id, _)| *id).filter(|id| play.is_open(*id));
        let open: Vec<_> = open.collect();
        let Some(from) = open.get(usize::from(node) % open.len().max(1)).copied() else {
            play.answer(&[(0, slot, node)]);
            play.ask();
            return play.server_of(slot);
        };
        match event {
            0 => return play.server_of(slot),
            1 => return play.moved(from, slot, &address),
            2 => return play.asked(from, &address),
            3 => play.cluster.lost(from, play.now),
            4 => play.cluster.read_only(from, play.now),
            5 => play.cluster.cluster_down(play.now),
            6 => play.fail(),
            7 if slot < LAST => play.answer(&[(slot / 2, slot, node), (slot + 1, LAST, node + 1)]),
            7 => play.answer(&[(slot, slot, node)]),
            _ => {
                let is_under_way = play.cluster.inquiry.asked.is_some();
                let is_first = play.cluster.inquiry.tried.is_empty();
                let whom = play.ask()?;
                assert!(!is_under_way);
                if is_first {
                    assert!(last_at.is_none_or(|at| play.now.since(at) >= GAP));
                    *last_at = Some(play.now);
                }
                if let Whom::Server(id) = whom {
                    return Some(id);
                }
            }
        }
        None
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn whatever_happens(
            seed in any::<u64>(),
            events in vec((0..12u8, 0..SLOTS, 0..40u16, 0..3usize), 1..100),
        ) {
            let mut play = Play::new(seed);
            let mut last_at = None;
            for (event, slot, node, span) in events {
                play.pass([ms(0), ms(300), ms(40_000)][span]);
                let told = happen(&mut play, (event, slot, node), &mut last_at);
                prop_assert!(told.is_none_or(|id| play.is_open(id)));
                let mut masters = play.cluster.masters();
                prop_assert!(!masters.any(|(id, ..)| play.closed.contains(&id)));
                drop(masters);
                play.assert_invariants();
            }
        }
    }
}
