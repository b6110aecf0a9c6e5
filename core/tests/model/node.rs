//! The servers' side: a Redis Cluster, or servers that know nothing of each other.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use ssl_session_cache_core::topology::{slot_of_bytes, Endpoint, Host, SLOTS};

/// Nodes 0 to 2 are masters with a third of the slots each, 3 to 5 their replicas, the others masters
/// without slots.
const MASTERS: usize = 3;

/// All nodes, and what they would agree on if they had told each other.
pub struct Fleet {
    pub nodes: Vec<Node>,
    /// Where each of them is.
    places: Vec<Endpoint>,
    pub is_cluster: bool,
    /// For each slot the node that has it.
    pub owners: Vec<usize>,
    /// How often a record was added under each key.
    pub added: HashMap<Vec<u8>, u32>,
    /// So many servers are named that there are not, one after the other.
    pub strangers: u16,
    /// Which of them was named last.
    stranger: u16,
}

pub struct Node {
    pub is_alive: bool,
    /// It accepts connections, and says nothing.
    pub is_silent: bool,
    pub delay: Duration,
    pub lie: Lie,
    pub map_lie: MapLie,
    /// Its part of the cluster is too small.
    pub is_down: bool,
    /// Whose replica it is.
    pub master: Option<usize>,
    pub records: HashMap<Vec<u8>, Vec<u8>>,
    /// Where it believes the slots to be.
    view: Vec<usize>,
    migrating: BTreeMap<u16, usize>,
    importing: BTreeSet<u16>,
}

/// What a node says in place of the truth.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Lie {
    None,
    MovedToNext,
    AskNext,
    MovedNowhere,
    AskNowhere,
    AskItself,
    MovedItself,
    OtherSlot,
    Rubbish,
    TryAgain,
    ClusterDown,
    ReadOnly,
    Loading,
    Noise,
}

impl Lie {
    pub const ALL: [Self; 14] = [
        Self::None,
        Self::MovedToNext,
        Self::AskNext,
        Self::MovedNowhere,
        Self::AskNowhere,
        Self::AskItself,
        Self::MovedItself,
        Self::OtherSlot,
        Self::Rubbish,
        Self::TryAgain,
        Self::ClusterDown,
        Self::ReadOnly,
        Self::Loading,
        Self::Noise,
    ];
}

/// What a node says in place of the map.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum MapLie {
    None,
    Empty,
    Overlap,
    Nowhere,
    AllMine,
    Half,
    Error,
    Noise,
}

impl MapLie {
    pub const ALL: [Self; 8] = [
        Self::None,
        Self::Empty,
        Self::Overlap,
        Self::Nowhere,
        Self::AllMine,
        Self::Half,
        Self::Error,
        Self::Noise,
    ];
}

/// Where a node is.
pub fn endpoint(node: usize) -> Endpoint {
    let host = Host::parse(format!("192.0.2.{}", node + 1).as_bytes()).unwrap();
    Endpoint { host, port: 6379 }
}

fn address(node: usize) -> String {
    endpoint(node).to_string()
}

impl Fleet {
    pub fn new(count: usize, is_cluster: bool) -> Self {
        let third = usize::from(SLOTS).div_ceil(MASTERS);
        let owners: Vec<_> = (0..usize::from(SLOTS)).map(|slot| slot / third).collect();
        let node = |node| Node {
            is_alive: true,
            is_silent: false,
            delay: Duration::from_millis(1),
            lie: Lie::None,
            map_lie: MapLie::None,
            is_down: false,
            master: (MASTERS..2 * MASTERS).contains(&node).then(|| node - MASTERS),
            records: HashMap::new(),
            view: owners.clone(),
            migrating: BTreeMap::new(),
            importing: BTreeSet::new(),
        };
        let (nodes, places) = (0..count).map(|n| (node(n), endpoint(n))).unzip();
        let added = HashMap::new();
        Self { nodes, places, is_cluster, owners, added, strangers: 8, stranger: 0 }
    }

    /// The node at an endpoint, if there is one.
    pub fn at(&self, place: &Endpoint) -> Option<usize> {
        self.places.iter().position(|known| known == place)
    }

    /// The record that a client should find.
    pub fn record(&self, key: &[u8]) -> Option<&Vec<u8>> {
        let slot = slot_of_bytes(key);
        let owner = &self.nodes[self.owners[usize::from(slot)]];
        let importing = owner.migrating.get(&slot).map(|to| &self.nodes[*to]);
        owner.records.get(key).or_else(|| importing?.records.get(key))
    }

    /// Puts a record where it belongs.
    pub fn put(&mut self, key: &[u8], record: &[u8]) {
        let owner = self.owners[usize::from(slot_of_bytes(key))];
        self.write(owner, key, Some(record));
    }

    /// Writes to a node, and its replicas.
    fn write(&mut self, place: usize, key: &[u8], record: Option<&[u8]>) {
        let nodes = self.nodes.iter_mut().enumerate();
        for (_, node) in nodes.filter(|(n, node)| *n == place || node.master == Some(place)) {
            match record {
                Some(record) => node.records.insert(key.into(), record.into()),
                None => node.records.remove(key),
            };
        }
    }

    /// A replica takes the place of its master, whatever became of that. The others hear of it later.
    pub fn fail_over(&mut self, master: usize) {
        let replica = (0..self.nodes.len())
            .find(|node| self.nodes[*node].master == Some(master) && self.nodes[*node].is_alive);
        let Some(replica) = replica else { return };
        self.owners.iter_mut().filter(|owner| **owner == master).for_each(|owner| *owner = replica);
        self.nodes[replica].master = None;
        self.nodes[master].master = Some(replica);
        let migrating = std::mem::take(&mut self.nodes[master].migrating);
        migrating.iter().for_each(|(slot, to)| {
            self.nodes[*to].importing.remove(slot);
        });
        self.nodes[master].importing.clear();
        for node in &mut self.nodes {
            node.migrating.retain(|_, to| *to != master);
        }
        self.tell(replica);
        self.tell(master);
    }

    /// A node hears what the others agree on.
    pub fn tell(&mut self, node: usize) {
        self.nodes[node].view.clone_from(&self.owners);
    }

    pub fn tell_all(&mut self) {
        (0..self.nodes.len()).for_each(|node| self.tell(node));
    }

    /// Slots begin to move to a master. Where there is no cluster, none do: what a server has stays there.
    pub fn begin_move(&mut self, slots: impl IntoIterator<Item = u16>, to: usize) {
        if !self.is_cluster || self.nodes[to].master.is_some() {
            return;
        }
        for slot in slots {
            let from = self.owners[usize::from(slot)];
            let node = &mut self.nodes[from];
            if from != to && !node.migrating.contains_key(&slot) {
                node.migrating.insert(slot, to);
                self.nodes[to].importing.insert(slot);
            }
        }
    }

    /// So many keys of slots that move do.
    pub fn move_keys(&mut self, mut count: usize) {
        for from in 0..self.nodes.len() {
            let node = &self.nodes[from];
            let moving = node.records.iter().filter_map(|(key, record)| {
                let to = node.migrating.get(&slot_of_bytes(key))?;
                Some((key.clone(), record.clone(), *to))
            });
            let mut moving: Vec<_> = moving.collect();
            moving.sort();
            for (key, record, to) in moving {
                if count == 0 {
                    return;
                }
                count -= 1;
                self.write(to, &key, Some(&record));
                self.write(from, &key, None);
            }
        }
    }

    /// Slots that move have. Those that it is not about hear of it later.
    pub fn end_move(&mut self) {
        self.move_keys(usize::MAX);
        for from in 0..self.nodes.len() {
            for (slot, to) in std::mem::take(&mut self.nodes[from].migrating) {
                self.owners[usize::from(slot)] = to;
                self.nodes[from].view[usize::from(slot)] = to;
                self.nodes[to].view[usize::from(slot)] = to;
                self.nodes[to].importing.remove(&slot);
            }
        }
    }

    /// All trouble ends: everybody lives, and knows what the others know.
    pub fn heal(&mut self) {
        self.end_move();
        self.tell_all();
        for node in &mut self.nodes {
            node.is_alive = true;
            node.is_silent = false;
            node.is_down = false;
            node.delay = Duration::from_millis(1);
            node.lie = Lie::None;
            node.map_lie = MapLie::None;
        }
    }

    fn stranger(&mut self) -> String {
        self.stranger = (self.stranger + 1) % self.strangers;
        // Connections to the odd ones are refused, of the others nothing is heard.
        format!("198.51.100.1:{}", 1 + self.stranger)
    }

    /// What a node answers to a command.
    pub fn answer(&mut self, place: usize, command: &[Vec<u8>], is_asking: &mut bool) -> Vec<u8> {
        let asking = std::mem::take(is_asking);
        let key = match (&*command[0], &command[1..]) {
            (b"PING", []) => return b"+PONG\r\n".to_vec(),
            (b"ASKING", []) if self.is_cluster => {
                *is_asking = true;
                return b"+OK\r\n".to_vec();
            }
            (b"GET" | b"SETEX" | b"SET" | b"DEL", [key, ..]) => key,
            _ => panic!("{:?}", command[0].escape_ascii().to_string()),
        };
        let slot = slot_of_bytes(key);
        if let Some(reply) = self.lie(place, slot) {
            return reply;
        }
        if let Some(reply) = self.redirect(place, slot, key, asking) {
            return reply.into_bytes();
        }
        let record = self.nodes[place].records.get(key);
        match &*command[0] {
            b"GET" => match record {
                Some(record) => {
                    [format!("${}\r\n", record.len()).as_bytes(), record, b"\r\n"].concat()
                }
                None => b"$-1\r\n".to_vec(),
            },
            b"SETEX" => {
                self.write(place, key, Some(&command[3]));
                b"+OK\r\n".to_vec()
            }
            b"SET" if record.is_some() => b"$-1\r\n".to_vec(),
            b"SET" => {
                self.write(place, key, Some(&command[2]));
                *self.added.entry(key.clone()).or_default() += 1;
                b"+OK\r\n".to_vec()
            }
            _ => {
                let count = usize::from(record.is_some());
                self.write(place, key, None);
                format!(":{count}\r\n").into_bytes()
            }
        }
    }

    fn redirect(&self, place: usize, slot: u16, key: &[u8], asking: bool) -> Option<String> {
        if !self.is_cluster {
            return None;
        }
        let node = &self.nodes[place];
        if node.is_down {
            return Some("-CLUSTERDOWN The cluster is down\r\n".into());
        }
        let owner = node.view[usize::from(slot)];
        if owner == place {
            let to = node.migrating.get(&slot).filter(|_| !node.records.contains_key(key))?;
            return Some(format!("-ASK {slot} {}\r\n", address(*to)));
        }
        if asking && node.importing.contains(&slot) {
            return None;
        }
        Some(format!("-MOVED {slot} {}\r\n", address(owner)))
    }

    fn lie(&mut self, place: usize, slot: u16) -> Option<Vec<u8>> {
        let next = address((place + 1) % self.nodes.len());
        let reply = match self.nodes[place].lie {
            Lie::None => return None,
            Lie::MovedToNext => format!("-MOVED {slot} {next}\r\n"),
            Lie::AskNext => format!("-ASK {slot} {next}\r\n"),
            Lie::MovedNowhere => format!("-MOVED {slot} {}\r\n", self.stranger()),
            Lie::AskNowhere => format!("-ASK {slot} {}\r\n", self.stranger()),
            Lie::AskItself => format!("-ASK {slot} {}\r\n", address(place)),
            Lie::MovedItself => format!("-MOVED {slot} :6379\r\n"),
            Lie::OtherSlot => format!("-MOVED {} {next}\r\n", SLOTS - 1 - slot),
            Lie::Rubbish => "-MOVED x\r\n".into(),
            Lie::TryAgain => "-TRYAGAIN\r\n".into(),
            Lie::ClusterDown => "-CLUSTERDOWN Hash slot not served\r\n".into(),
            Lie::ReadOnly => "-READONLY\r\n".into(),
            Lie::Loading => "-LOADING\r\n".into(),
            Lie::Noise => "$3\r\nabc\r\n+OK\r\n".into(),
        };
        Some(reply.into_bytes())
    }

    /// What a node answers to `CLUSTER SLOTS`.
    pub fn map(&mut self, place: usize) -> Vec<u8> {
        let range = |first: usize, last: usize, host: &str, port: u16| {
            format!("*3\r\n:{first}\r\n:{last}\r\n*2\r\n${}\r\n{host}\r\n:{port}\r\n", host.len())
        };
        let of =
            |first, last, node: usize| range(first, last, &format!("192.0.2.{}", node + 1), 6379);
        let last = usize::from(SLOTS) - 1;
        let ranges = match self.nodes[place].map_lie {
            MapLie::None => {
                let view = &self.nodes[place].view;
                let mut ranges = Vec::new();
                let mut first = 0;
                for slot in 0..=last {
                    if slot == last || view[slot + 1] != view[first] {
                        ranges.push(of(first, slot, view[first]));
                        first = slot + 1;
                    }
                }
                ranges
            }
            MapLie::Empty => Vec::new(),
            MapLie::Overlap => vec![of(0, last, place), of(7, 7, place)],
            MapLie::Nowhere => vec![range(0, last, "198.51.100.2", 1 + self.stranger)],
            MapLie::AllMine => vec![of(0, last, place)],
            MapLie::Half => vec![of(0, last / 2, place), range(last / 2 + 1, last, "?", 1)],
            MapLie::Error => {
                return b"-ERR This instance has cluster support disabled\r\n".to_vec()
            }
            MapLie::Noise => return b"*1\r\n*2\r\n:0\r\n:1\r\n".to_vec(),
        };
        format!("*{}\r\n{}", ranges.len(), ranges.concat()).into_bytes()
    }
}

/// Takes a whole command off the front of what was sent.
pub fn take_command(input: &mut Vec<u8>) -> Option<Vec<Vec<u8>>> {
    fn number(input: &[u8], kind: u8) -> Option<(usize, &[u8])> {
        let len = input.windows(2).position(|end| end == b"\r\n")?;
        assert_eq!(input[0], kind, "no command");
        let number = std::str::from_utf8(&input[1..len]).unwrap().parse().unwrap();
        Some((number, &input[len + 2..]))
    }

    let (count, mut rest) = number(input, b'*')?;
    let mut words = Vec::new();
    for _ in 0..count {
        let (len, behind) = number(rest, b'$')?;
        words.push(behind.get(..len)?.to_vec());
        rest = behind.get(len + 2..)?;
    }
    let len = input.len() - rest.len();
    input.drain(..len);
    Some(words)
}
