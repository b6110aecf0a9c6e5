//! Clients of a store that is many servers, and these servers, in simulated time: a Redis Cluster that
//! moves slots, fails over, dies, lies and comes back, or three servers that know nothing of each other.
//!
//! A script of bytes says what happens. Whatever that is, each lookup and each record to add ends once and
//! in time, and is not sent on for ever. At its end all trouble is over, and what lies in the store is found again.

mod client;
mod node;

use std::ops::Range;
use std::time::Duration;

use ssl_session_cache_core::server::Addition;
use ssl_session_cache_core::session::{Key, Keyspace};
use ssl_session_cache_core::topology::{slot_of, SLOTS};
use ssl_session_cache_core::Instant;

pub use client::{Client, Outcome};
pub use node::{Fleet, Lie, MapLie};

pub const TIMEOUT: Duration = Duration::from_millis(1000);
/// So many requests wait for a server.
const MAX_REQUESTS: usize = 64;

const INTERVAL: Duration = Duration::from_millis(200);

/// However bad it was, after so long what lies in the store is found again: the wait of a breaker
/// after lookups that were in vain, its trial, and the way to a map.
const RECOVERY: Duration = Duration::from_secs(15);

/// The sessions whose records are added, and neither put nor deleted.
const ADDED: Range<u8> = 64..68;

/// What may happen in a script.
#[derive(Clone, Copy)]
pub enum Happened {
    Found,
    Missing,
    Added,
    Present,
    Refused,
    TimedOut,
    Down,
    TurnedAway,
    Redirected,
    Asking,
    Mapped,
    AskedSeeds,
    Closed,
}

/// How often each of these has, to see that scripts reach them all.
pub type Tally = [u32; Happened::Closed as usize + 1];

/// Plays `script` and checks after each step what must hold.
pub fn run(script: &[u8]) -> Tally {
    let mut script = Script(script);
    let kind = script.byte();
    let mut world = match kind % 4 {
        0 => World::of_servers(3, 2),
        _ => World::of_cluster(6 + usize::from(kind / 4 % 4)),
    };
    while let Some(step) = script.next() {
        world.step(step, &mut script);
    }
    world.recover();
    world.end()
}

/// The name of a session.
pub fn key_of(id: u8) -> Key {
    Keyspace::default().key(&[id; 32]).unwrap()
}

pub fn bytes_of(id: u8) -> Vec<u8> {
    let mut bytes = Vec::new();
    key_of(id).write(&mut bytes);
    bytes
}

fn id_of(key: &Key) -> u8 {
    let mut bytes = Vec::new();
    key.write(&mut bytes);
    u8::from_str_radix(std::str::from_utf8(&bytes[bytes.len() - 2..]).unwrap(), 16).unwrap()
}

/// The record of a session.
pub fn record_of(id: u8) -> Vec<u8> {
    vec![id; 20 + usize::from(id)]
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

    fn below(&mut self, count: usize) -> usize {
        usize::from(self.byte()) % count
    }
}

/// Clients and servers.
pub struct World {
    pub now: Instant,
    pub fleet: Fleet,
    pub clients: Vec<Client>,
}

impl World {
    /// A cluster of six nodes at least, and its client.
    pub fn of_cluster(count: usize) -> Self {
        let now = Instant::from_millis(1_000_000);
        Self::new(Fleet::new(count, true), vec![Client::of_cluster(1, now)], now)
    }

    /// So many servers, and so many clients.
    pub fn of_servers(count: usize, clients: usize) -> Self {
        let now = Instant::from_millis(1_000_000);
        let client = |_| Client::of_servers(count, now);
        Self::new(Fleet::new(count, false), (0..clients).map(client).collect(), now)
    }

    fn new(fleet: Fleet, clients: Vec<Client>, now: Instant) -> Self {
        Self { now, fleet, clients }
    }

    /// Lets time pass.
    pub fn pass(&mut self, span: Duration) {
        let end = self.now + span;
        while self.now < end {
            self.pass_to_event(end);
        }
    }

    /// To the next time at which something happens, or to this one if that is earlier.
    fn pass_to_event(&mut self, end: Instant) {
        let due = self.clients.iter().filter_map(Client::deadline).min();
        self.now = due.map_or(end, |due| due.clamp(self.now, end));
        self.tick();
        self.settle();
    }

    /// Does all that it is time for.
    fn settle(&mut self) {
        let is_due = |client: &Client| client.deadline().is_some_and(|due| due <= self.now);
        for _ in 0..50 {
            if !self.clients.iter().any(is_due) {
                return self.clients.iter().for_each(Client::check);
            }
            for client in &mut self.clients {
                client.tick(&mut self.fleet, self.now);
            }
        }
        panic!("the same time again and again");
    }

    fn tick(&mut self) {
        for client in &mut self.clients {
            client.tick(&mut self.fleet, self.now);
        }
    }

    /// Looks a session up and waits for what comes of it.
    pub fn lookup(&mut self, client: usize, id: u8) -> (Outcome, Duration) {
        let deadline = self.now + TIMEOUT;
        if let Err(reason) = self.clients[client].get(id, deadline) {
            return (Outcome::Unavailable(reason), Duration::ZERO);
        }
        self.pump(client);
        while self.clients[client].is_waiting(id) {
            self.pass_to_event(deadline);
        }
        let told = self.clients[client].told.pop().expect("it has ended");
        (told.1, told.2)
    }

    /// Adds a record and waits for what comes of it.
    #[allow(dead_code)] // Whoever plays scripts alone has no use for it.
    pub fn add(&mut self, client: usize, id: u8) -> Addition {
        let deadline = self.now + TIMEOUT;
        if let Err(reason) = self.clients[client].add(id, deadline) {
            return Addition::Unavailable(reason);
        }
        self.pump(client);
        while self.clients[client].is_adding(id) {
            self.pass_to_event(deadline);
        }
        self.clients[client].added.last().expect("it has ended").1
    }

    pub fn put(&mut self, client: usize, id: u8) -> bool {
        let put = self.clients[client].put(id);
        self.pump(client);
        put.is_ok()
    }

    pub fn pump(&mut self, client: usize) {
        self.clients[client].pump(&mut self.fleet);
    }

    /// A node dies, and leaves its clients' connections closed.
    pub fn kill(&mut self, node: usize) {
        self.fleet.nodes[node].is_alive = false;
        self.disconnect(node);
    }

    pub fn disconnect(&mut self, node: usize) {
        for client in &mut self.clients {
            client.disconnected(node);
            client.pump(&mut self.fleet);
        }
    }

    fn step(&mut self, step: u8, script: &mut Script<'_>) {
        let client = usize::from(step / 32) % self.clients.len();
        match step % 32 {
            0..=7 => {
                let id = script.byte() % 64;
                let deadline = self.now + Duration::from_millis(u64::from(script.byte()) * 6);
                if !self.clients[client].is_waiting(id) {
                    let _ = self.clients[client].get(id, deadline);
                }
            }
            8 => {
                let id = ADDED.start + script.byte() % ADDED.len() as u8;
                let deadline = self.now + Duration::from_millis(u64::from(script.byte()) * 6);
                if !self.clients[client].is_adding(id) {
                    let _ = self.clients[client].add(id, deadline);
                }
            }
            9..=10 => {
                self.put(client, script.byte() % 64);
            }
            // Another machine.
            11 => {
                let id = script.byte() % 64;
                self.fleet.put(&bytes_of(id), &record_of(id));
            }
            12 => {
                let _ = self.clients[client].delete(script.byte() % 64);
            }
            13..=17 => self.pass(Duration::from_millis(u64::from(script.byte() % 16))),
            18 => self.pass(Duration::from_millis(u64::from(script.byte()) * 10)),
            19 => {
                // At times for longer than anything lasts.
                let seconds = script.byte();
                self.pass(Duration::from_secs(if seconds < 220 { 2 } else { 62 }));
            }
            // All stand still meanwhile.
            20 => self.now = self.now + Duration::from_millis(u64::from(script.byte()) * 8),
            _ => self.trouble(step % 32, script),
        }
        (0..self.clients.len()).for_each(|client| self.pump(client));
        if self.now > self.clients[client].time() {
            self.tick();
        }
    }

    fn trouble(&mut self, step: u8, script: &mut Script<'_>) {
        let place = script.below(self.fleet.nodes.len());
        match step {
            21 => self.kill(place),
            22 => self.fleet.nodes[place].is_alive = true,
            23 => self.disconnect(place),
            24 => {
                let delays = [1, 5, 100, 600, 1_500];
                let delay = delays[script.below(delays.len())];
                self.fleet.nodes[place].delay = Duration::from_millis(delay);
            }
            25 => self.fleet.nodes[place].is_silent ^= true,
            26 => self.fleet.fail_over(place),
            27 => {
                let first = u16::from(script.byte()) * 64;
                let last = (first + u16::from(script.byte()) * 16).min(SLOTS - 1);
                self.fleet.begin_move(first..=last, place);
            }
            28 => self.fleet.move_keys(script.below(16)),
            29 if script.byte() % 2 == 0 => self.fleet.end_move(),
            29 => self.fleet.tell(place),
            30 => {
                let lie = Lie::ALL[script.below(Lie::ALL.len())];
                if lie == Lie::Noise {
                    self.clients.iter().for_each(|client| client.servers.hear_noise());
                }
                self.fleet.nodes[place].lie = lie;
            }
            _ if script.byte() % 4 == 0 => self.fleet.nodes[place].is_down ^= true,
            _ => self.fleet.nodes[place].map_lie = MapLie::ALL[script.below(MapLie::ALL.len())],
        }
    }

    /// All trouble ends, and is soon forgotten.
    fn recover(&mut self) {
        self.fleet.heal();
        (0..self.fleet.nodes.len()).for_each(|node| self.disconnect(node));
        let end = self.now + RECOVERY;
        let mut id = 0;
        while self.now < end {
            for client in 0..self.clients.len() {
                if !self.clients[client].is_waiting(id) {
                    self.lookup(client, id);
                }
                id = (id + 7) % 64;
            }
            self.pass(Duration::from_millis(250));
        }
        for id in 0..64 {
            let (outcome, _) = self.lookup(0, id);
            let is_found = match outcome {
                Outcome::Found => true,
                Outcome::Missing => false,
                Outcome::Unavailable(reason) => panic!("{id} after all: {reason:?}"),
            };
            if self.fleet.is_cluster {
                let is_there = self.fleet.record(&bytes_of(id)).is_some();
                assert_eq!(is_found, is_there, "{id} of slot {}", slot_of(&key_of(id)));
            }
        }
    }

    /// No more are told that they are the first than servers have said so, and that is one where none of
    /// them loses what it has.
    fn check_added(&self) {
        for id in ADDED {
            let added = self.clients.iter().flat_map(|client| &client.added);
            let firsts = added.filter(|added| **added == (id, Addition::First)).count() as u32;
            let said = self.fleet.added.get(&bytes_of(id)).copied().unwrap_or(0);
            let is_noisy = self.clients.iter().any(|client| client.servers.is_noisy());
            assert!(
                firsts <= said || is_noisy,
                "{firsts} are told that they are the first, of {said}"
            );
            assert!(said <= 1 || self.fleet.is_cluster, "two are the first");
        }
    }

    fn end(mut self) -> Tally {
        self.check_added();
        let mut sum = Tally::default();
        for client in &mut self.clients {
            assert_eq!(client.waiting(), 0, "a lookup or an add never ends");
            let [accepted, done, failed] = client.servers.puts.get();
            if self.fleet.is_cluster {
                assert_eq!(accepted, done + failed, "a put is counted twice or never");
            }
            client.stop();
            sum.iter_mut().zip(client.servers.tally.get()).for_each(|(sum, count)| *sum += count);
        }
        sum
    }
}
