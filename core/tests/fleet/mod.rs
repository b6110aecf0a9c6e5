//! Machines that share ticket keys over a store, in simulated time.
//!
//! A script of bytes says what happens: handshakes, stores that are flushed, that lose a record, are
//! away, take nothing, answer late, give back earlier records or forged ones; machines that are cut
//! off, started anew, configured anew, with clocks that are off or jump.
//!
//! # What must hold
//!
//! A machine comes into step when
//!
//! - its clock is off by less than half the lead, and has been since it has its ring;
//! - by its own clock, an epoch has begun of which it was told a seed: a clock may be set back to
//!   before the first that the fleet ever had, of which nobody has any;
//! - of each epoch that has begun by such a clock and is not over by its own, and of which the store
//!   ever had a seed, it was told the one that the store had last, and no other since;
//! - those that are in step open what it seals, and it opens what they seal.
//!
//! It stays so as long as the first two hold, and the third of all epochs but those of which the store
//! had a single seed, and which began without this machine having been alone with a trouble since the
//! epoch before began: cut off, given what is no record, or with a store that nothing can be put back
//! to.
//!
//! So it makes no difference whether the store is there, for how long it was not, or which records it
//! has lost since: nor when in an epoch that was.
//!
//! A ticket that a machine in step has made opens, until its time is over,
//!
//! - on all machines that were in step then and have kept their ring,
//! - on all that are in step now, where its seed is what the store had last of its epoch,
//!
//! as long as the store had no second seed of that epoch and the two before it: where it is flushed
//! while a machine begins, that one may make another, which the others have to be told first.
//!
//! That is so but for several losses that hit one machine alone, one after the other: some scripts in
//! ten thousand come to such. Those that are played here are always the same.
//!
//! When trouble is over, two epochs later all machines with such clocks are in step, with a seed of
//! the store's, and the same one.

pub mod machine;
mod store;
pub mod toy;

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use ssl_session_cache_core::session::sealed::BlockCipher;
use ssl_session_cache_core::session::{Key, Keyspace};
use ssl_session_cache_core::ticket::{Epoch, Notice, Origin, Question, Seed};

pub use machine::{rotation, Machine};
pub use store::{bytes_of, Store};
pub use toy::Toy;

pub const LENGTH: u64 = 3600;
pub const SESSION_TIMEOUT: u64 = 5400;
const LEAD: u64 = LENGTH / 4;
/// A clock is off by less.
const SOUND: i64 = LEAD as i64 / 2 - 10;

pub const START: u64 = 500_000 * LENGTH * 1000;

/// So many seeds of an epoch does a store have that is not flushed while machines begin.
const SEEDS_OF_EPOCH: usize = 1;

const MACHINES: usize = 4;
pub const KEY: u8 = 1;

/// A machine whose clock jumps asks for so much in the time of an epoch at most: each time, eight
/// epochs are looked at, and a record is asked for, added and asked for again; some attempts are in
/// vain.
const MOST: usize = 64 * 24 + 2 * 64;

/// What may happen in a script.
#[derive(Clone, Copy)]
pub enum Happened {
    Opened,
    OpenedByDerivation,
    OpenedByNewcomer,
    OpenedOutOfStep,
    NotOpened,
    InStep,
    OutOfStep,
    Damaged,
    ClockBehind,
    SeveralSeeds,
}

/// How often each of these has, to see that scripts reach them all.
pub type Tally = [u32; Happened::SeveralSeeds as usize + 1];

struct Ticket {
    epoch: Epoch,
    seed: Seed,
    /// By the clock of the machine that has made it.
    stamp: u64,
    /// When it was made.
    clock: u64,
    /// What the store had last of the latest epoch of which it had any.
    base: Option<(u64, [u8; 32])>,
    /// Whether each machine was in step.
    in_step: Vec<bool>,
    is_in_step: bool,
}

pub struct World {
    pub clock: u64,
    pub machines: Vec<Machine>,
    pub stores: Vec<Store>,
    tickets: Vec<Ticket>,
    tally: Tally,
    /// Those of epochs.
    keys: RefCell<HashMap<u64, Rc<[u8]>>>,
    /// When it was last seen who is in step.
    seen: u64,
}

/// Plays `script` and checks after each step what must hold.
pub fn run(script: &[u8]) -> Tally {
    let mut world = play(script, World::check);
    world.recover();
    world.tally
}

/// Plays `script`: whatever it does, no machine asks for ever, nor more often than it may.
pub fn play(script: &[u8], each_step: impl Fn(&mut World)) -> World {
    let mut script = Script(script);
    let mut world = World::new(MACHINES);
    world.pass(usize::from(script.byte()) * 7_000);
    while let Some(step) = script.next() {
        world.step(step, &mut script);
        each_step(&mut world);
    }
    world
}

struct Script<'a>(&'a [u8]);

impl Script<'_> {
    fn next(&mut self) -> Option<u8> {
        let (&byte, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(byte)
    }

    fn byte(&mut self) -> u8 {
        self.next().unwrap_or_default()
    }

    fn number(&mut self) -> usize {
        self.byte().into()
    }
}

impl World {
    pub fn new(machines: usize) -> Self {
        let rotation = rotation(LENGTH, SESSION_TIMEOUT);
        let machine = |number| Machine::new(&[KEY], &[0], rotation, number, START);
        Self {
            clock: START,
            machines: (1..=machines as u64).map(machine).collect(),
            stores: vec![Store::default()],
            tickets: Vec::new(),
            tally: Tally::default(),
            keys: RefCell::default(),
            seen: START,
        }
    }

    fn step(&mut self, step: u8, script: &mut Script<'_>) {
        let which = script.number();
        let count = self.machines.len();
        let clock = self.clock;
        let store = &mut self.stores[0];
        let machine = &mut self.machines[which % count];
        match step % 32 {
            0..=7 => self.issue(which),
            8..=10 => self.pass(1_000 * which),
            11..=15 => self.pass(20_000 * which),
            16 => store.flush(),
            17 => store.lose(which),
            18 => self.set_down(which % 2 == 0),
            19 => store.is_read_only = which % 2 == 0,
            20 => store.replay(which, script.number(), clock),
            21 => store.forge(which, script.number(), clock),
            22 => {
                let was_cut = std::mem::replace(&mut machine.is_cut, which / 16 % 2 == 0);
                machine.troubled = clock;
                if was_cut && !machine.is_cut {
                    machine.reconnected(clock);
                }
            }
            23 => machine.delay = 1 + 10 * script.byte() as u64,
            24 => machine.restart(&[KEY], &[0], clock),
            25 => machine.reload(&[KEY], &[0]),
            // As time servers set it.
            26 if machine.is_sound() => {
                machine.off =
                    (machine.off + i64::from(script.byte()) - 128).clamp(1 - SOUND, SOUND - 1);
            }
            27 => {
                machine.off =
                    (script.number() as i64 - 128) * [1, 60, 3600, 86_400][which / 16 % 4];
                machine.was_off |= !machine.is_sound();
                machine.forget(clock);
            }
            28 => {
                machine.off = 0;
                machine.forget(clock);
            }
            // Nothing may depend on when a handshake is.
            _ => {
                machine.handshake(which, clock);
            }
        }
    }

    /// The store is down from now on, or is not.
    pub fn set_down(&mut self, is_down: bool) {
        let was_down = std::mem::replace(&mut self.stores[0].is_down, is_down);
        if was_down && !is_down {
            let clock = self.clock;
            self.machines.iter_mut().for_each(|machine| machine.reconnected(clock));
        }
    }

    /// Lets time pass, in milliseconds.
    pub fn pass(&mut self, millis: usize) {
        let end = self.clock + millis as u64;
        let mut turns = 0;
        while let Some(index) = (0..self.machines.len())
            .filter(|&index| self.machines[index].due(self.clock) <= end)
            .min_by_key(|&index| self.machines[index].due(self.clock))
        {
            self.clock = self.machines[index].due(self.clock).max(self.clock);
            self.turn(index);
            turns += 1;
            assert!(turns < 200_000, "asks for ever");
        }
        self.clock = end;
    }

    /// A machine does what is to be done, and is watched.
    pub fn turn(&mut self, index: usize) {
        let clock = self.clock;
        let answered = self.machines[index].way.as_ref().and_then(|way| {
            let record = match way.reply.as_ref()? {
                store::Reply::Found(record) => record.clone(),
                _ => return None,
            };
            Some((way.question.clone(), record))
        });
        let machine = &mut self.machines[index];
        let notices = machine.notices.len();
        machine.turn(&mut self.stores, clock);
        for notice in &machine.notices[notices..] {
            self.tally[match notice {
                Notice::Unusable(..) => Happened::Damaged,
                _ => Happened::ClockBehind,
            } as usize] += 1;
        }
        let is_damaged =
            machine.notices[notices..].iter().any(|notice| matches!(notice, Notice::Unusable(..)));
        if let Some((Question::Get { key, .. }, record)) = answered.filter(|_| !is_damaged) {
            let current = self.machines[index].epoch(clock);
            let near = current.saturating_sub(4)..=current + 2;
            let key = bytes_of(&key);
            if let Some(epoch) = near.into_iter().find(|epoch| *self.key(*epoch) == key[..]) {
                self.machines[index].heard.insert(epoch, toy::seed_in(&record));
            }
        }
        if is_damaged || self.machines[index].is_cut || self.stores[0].is_read_only {
            self.machines[index].troubled = clock;
        }
        if self.machines[index].way.is_none() || self.clock > self.seen + 60_000 {
            self.see();
        }
        let asked = &mut self.machines[index].asked;
        let lately = asked.iter().filter(|at| **at + 1000 * LENGTH > clock).count();
        assert!(lately <= MOST, "{lately} requests in an epoch");
    }

    /// Under which key the seed of an epoch lies.
    fn key(&self, epoch: u64) -> Rc<[u8]> {
        let mut keys = self.keys.borrow_mut();
        Rc::clone(keys.entry(epoch).or_insert_with(|| bytes_of(&key(epoch)).into()))
    }

    /// What the store had last of an epoch.
    fn last(&self, epoch: u64) -> Option<[u8; 32]> {
        self.stores[0].last(&self.key(epoch))
    }

    fn is_over(&self, index: usize, epoch: u64) -> bool {
        self.machines[index].unix(self.clock) >= (epoch + 1) * LENGTH + SESSION_TIMEOUT
    }

    /// What the store had last of the latest of an epoch and those before it of which it had any, as
    /// long as that is not over at a machine.
    fn base(&self, index: usize, epoch: u64) -> Option<(u64, [u8; 32])> {
        (epoch.saturating_sub(4)..=epoch)
            .rev()
            .filter(|epoch| !self.is_over(index, *epoch))
            .find_map(|epoch| Some((epoch, self.last(epoch)?)))
    }

    /// Sees who is in step now.
    fn see(&mut self) {
        self.seen = self.clock;
        let clock = self.clock;
        for index in 0..self.machines.len() {
            let is = self.stays_in_step(index);
            self.machines[index].is_in_step &= is;
        }
        let known: Vec<_> =
            self.machines.iter_mut().map(|machine| machine.handshake(0, clock).to_vec()).collect();
        for index in 0..self.machines.len() {
            let is_met = |other: usize| {
                !self.machines[other].is_in_step
                    || known[index].contains(&known[other][0])
                        && known[other].contains(&known[index][0])
            };
            if self.comes_into_step(index) && (0..self.machines.len()).all(is_met) {
                self.machines[index].is_in_step = true;
            }
        }
    }

    /// See the top of this file, which is about a fleet with one store.
    fn is_in_step(&self, index: usize) -> bool {
        self.machines[index].is_in_step && self.stays_in_step(index)
    }

    fn comes_into_step(&self, index: usize) -> bool {
        self.is_told(index, |_| false)
    }

    fn stays_in_step(&self, index: usize) -> bool {
        let troubled = self.machines[index].troubled;
        self.is_told(index, |epoch| {
            let since = 1000 * ((epoch - 1) * LENGTH - LEAD);
            self.stores[0].seeds(&self.key(epoch)) == 1 && troubled < since
        })
    }

    /// Whether a machine was told what the store had last of all epochs but some.
    fn is_told(&self, index: usize, is_excused: impl Fn(u64) -> bool) -> bool {
        let machine = &self.machines[index];
        if machine.was_off {
            return false;
        }
        let begun = self
            .machines
            .iter()
            .filter(|machine| machine.is_sound())
            .map(|machine| machine.epoch(self.clock));
        let Some(begun) = begun.max() else { return false };
        let is_told = (begun.saturating_sub(4)..=begun)
            .filter(|epoch| !self.is_over(index, *epoch))
            .all(|epoch| match self.last(epoch) {
                Some(last) => machine.heard.get(&epoch) == Some(&last) || is_excused(epoch),
                None => true,
            });
        let own = machine.epoch(self.clock);
        let has_seed = machine.heard.keys().any(|epoch| *epoch <= own);
        machine.site == 0 && machine.is_sound() && has_seed && is_told
    }

    /// A machine makes a ticket.
    fn issue(&mut self, which: usize) {
        self.see();
        let count = self.machines.len();
        let in_step: Vec<_> = (0..count).map(|index| self.is_in_step(index)).collect();
        let index = which % count;
        let clock = self.clock;
        let machine = &mut self.machines[index];
        let (epoch, seed) = machine.handshake(which / count, clock)[0].clone();
        let stamp = machine.unix(clock);
        let is_in_step = in_step[index];
        self.tally[if is_in_step { Happened::InStep } else { Happened::OutOfStep } as usize] += 1;
        let base = self.base(index, epoch.0);
        self.tickets.push(Ticket { epoch, seed, stamp, clock, base, in_step, is_in_step });
    }

    /// All tickets open where they must.
    pub fn check(&mut self) {
        let clock = self.clock;
        let machines = &self.machines;
        self.tickets.retain(|ticket| {
            machines.iter().any(|machine| machine.unix(clock) < ticket.stamp + SESSION_TIMEOUT)
        });
        if self.tickets.len() > 64 {
            self.tickets.remove(0);
        }
        let tickets = std::mem::take(&mut self.tickets);
        for index in 0..self.machines.len() {
            let is_in_step = self.is_in_step(index);
            let unix = self.machines[index].unix(clock);
            for ticket in tickets.iter().filter(|t| unix <= t.stamp + SESSION_TIMEOUT) {
                let last = self.last(ticket.epoch.0);
                let open = ticket.epoch.0.saturating_sub(2)..=ticket.epoch.0;
                let seeds = open.map(|epoch| self.stores[0].seeds(&self.key(epoch))).max();
                let seeds = seeds.unwrap_or_default();
                let base = self.base(index, ticket.epoch.0);
                let machine = &mut self.machines[index];
                let is_kept = machine.since < ticket.clock;
                let known = machine.handshake(index + ticket.stamp as usize, clock);
                let opens = known.contains(&(ticket.epoch, ticket.seed.clone()));
                let was = ticket.is_in_step
                    && ticket.in_step[index]
                    && is_kept
                    && seeds <= SEEDS_OF_EPOCH;
                let is_last = last.is_some_and(|last| ticket.seed == Seed::new(last));
                let is_derived = last.is_none() && base.is_some() && base == ticket.base;
                let is = ticket.is_in_step && is_in_step && is_last && seeds <= SEEDS_OF_EPOCH;
                let happened = match (opens, was, is) {
                    (true, true, _) if is_derived => Happened::OpenedByDerivation,
                    (true, true, _) => Happened::Opened,
                    (true, _, true) => Happened::OpenedByNewcomer,
                    (true, ..) => Happened::OpenedOutOfStep,
                    (false, ..) => Happened::NotOpened,
                };
                self.tally[happened as usize] += 1;
                if seeds > 1 {
                    self.tally[Happened::SeveralSeeds as usize] += 1;
                }
                assert!(opens || !was, "{index} was in step and does not open {:?}", ticket.epoch);
                assert!(opens || !is, "{index} is in step and does not open {:?}", ticket.epoch);
            }
        }
        self.tickets = tickets;
    }

    /// All trouble is over.
    fn recover(&mut self) {
        let clock = self.clock;
        self.set_down(false);
        self.stores[0].is_read_only = false;
        for machine in &mut self.machines {
            (machine.is_cut, machine.delay) = (false, 1);
            if machine.was_off {
                machine.off = 0;
                machine.restart(&[KEY], &[0], clock);
            }
        }
        // What was forged may be that of the next epoch.
        self.pass(3 * 1000 * LENGTH as usize);
        self.settled();
        for machine in &mut self.machines {
            machine.asked.clear();
        }
        // An epoch has two looks at two records, and one at one; one machine adds one and reads it back.
        // Where a machine's epochs begin between two looks, there is one look more.
        self.pass(4 * 1000 * LENGTH as usize - 1);
        self.check();
        let asked: Vec<_> = self.machines.iter().map(|machine| machine.asked.len()).collect();
        assert!(asked.iter().all(|asked| *asked <= 4 * 7 + 4), "more than a handful: {asked:?}");
    }

    /// All machines are in step, with a seed of the store's.
    pub fn settled(&mut self) {
        for index in 0..self.machines.len() {
            self.issue(index);
            assert!(self.is_in_step(index), "{index} is not in step");
            assert_eq!(self.machines[index].origin(self.clock), Some(Origin::Store));
        }
        let mut epochs: Vec<_> = self.sealing().into_iter().map(|(epoch, _)| epoch).collect();
        epochs.sort_unstable();
        assert!(epochs.windows(2).all(|pair| pair[0] != pair[1]), "two seeds seal");
        self.check();
    }

    /// All machines make a ticket.
    pub fn issue_all(&mut self) {
        (0..self.machines.len()).for_each(|index| self.issue(index));
    }

    /// All tickets open on all machines.
    pub fn check_all(&mut self) {
        let clock = self.clock;
        for machine in &mut self.machines {
            let unix = machine.unix(clock);
            let known = machine.handshake(0, clock);
            for ticket in self.tickets.iter().filter(|t| unix <= t.stamp + SESSION_TIMEOUT) {
                let ticket = (ticket.epoch, ticket.seed.clone());
                assert!(known.contains(&ticket), "a ticket of {:?} does not open", ticket.0);
            }
        }
        self.tickets.retain(|ticket| clock / 1000 <= ticket.stamp + SESSION_TIMEOUT);
    }

    /// Has the store say nothing more of the current epoch.
    #[allow(dead_code)] // Whoever plays scripts alone has no use for it.
    pub fn refuse(&mut self) {
        let key = key(self.clock / 1000 / LENGTH);
        self.stores[0].refused = Some(bytes_of(&key));
    }

    /// The seeds that seal, without those that are the same.
    pub fn sealing(&mut self) -> Vec<(Epoch, Seed)> {
        let clock = self.clock;
        let mut seeds: Vec<(Epoch, Seed)> = Vec::new();
        for machine in &mut self.machines {
            let seed = &machine.handshake(0, clock)[0];
            if !seeds.contains(seed) {
                seeds.push(seed.clone());
            }
        }
        seeds
    }
}

/// Under which key the seed of an epoch lies.
fn key(epoch: u64) -> Key {
    let mut name = [0; 16];
    name[0] = 5;
    name[1..9].copy_from_slice(&epoch.to_be_bytes());
    name[9..13].copy_from_slice(&(LENGTH as u32).to_be_bytes());
    assert!(Toy(KEY).encrypt(&mut name));
    Keyspace::new(b"prefix:").unwrap().key(&name).unwrap()
}
