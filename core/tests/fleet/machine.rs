//! A machine: a ring that its workers share, and a keeper in one of them.

use std::collections::HashMap;
use std::rc::Rc;
use std::time::Duration;

use ssl_session_cache_core::session::Keyspace;
use ssl_session_cache_core::ticket::{
    Answer, Epoch, Family, Keeper, Notice, Origin, Question, Ring, Rotation, Seed,
};
use ssl_session_cache_core::Instant;

use super::store::{Reply, Store};
use super::toy::{self, Toy};
use super::SOUND;

/// A question on its way, and then the answer.
pub struct Way {
    pub question: Question,
    /// When the store has it, and when the machine has the answer.
    pub there: u64,
    pub back: u64,
    pub reply: Option<Reply>,
}

/// What a worker knows of the ring.
#[derive(Default)]
pub struct Worker {
    seen: Option<(u64, u64)>,
    seeds: Vec<(Epoch, Seed)>,
}

pub struct Machine {
    pub ring: Box<Ring>,
    pub family: Rc<Family>,
    keeper: Keeper<Toy, Toy>,
    workers: [Worker; 2],
    pub site: u8,
    /// How many seconds its clock is ahead of time.
    pub off: i64,
    pub way: Option<Way>,
    pub is_cut: bool,
    pub delay: u64,
    draws: u64,
    /// Since when it has its ring.
    pub since: u64,
    /// When it was last alone with a trouble: cut off from the store, or given what is no record.
    pub troubled: u64,
    /// The seed that it was told last of each epoch.
    pub heard: HashMap<u64, [u8; 32]>,
    /// Whether its clock was off by so much that it is in step no more, since it has its ring.
    pub was_off: bool,
    /// Whether it was in step when that was last seen.
    pub is_in_step: bool,
    /// When it has asked, and under which keys.
    pub asked: Vec<u64>,
    pub notices: Vec<Notice>,
}

pub fn family(keys: &[u8], sites: &[u8], rotation: Rotation) -> Rc<Family> {
    let sealer = toy::sealer(keys);
    Rc::new(Family::new(&sealer, &Toy(0), b"store", b"prefix:", sites, rotation).unwrap())
}

fn keeper(family: &Rc<Family>, keys: &[u8], chance: u64) -> Keeper<Toy, Toy> {
    let keyspace = Keyspace::new(b"prefix:").unwrap();
    Keeper::new(Rc::clone(family), Rc::new(toy::sealer(keys)), keyspace, chance)
}

impl Machine {
    pub fn new(keys: &[u8], sites: &[u8], rotation: Rotation, number: u64, clock: u64) -> Self {
        let family = family(keys, sites, rotation);
        Self {
            ring: Box::default(),
            keeper: keeper(&family, keys, number),
            family,
            workers: Default::default(),
            site: sites[0],
            off: 0,
            way: None,
            is_cut: false,
            delay: 1,
            draws: number << 32,
            since: clock,
            heard: HashMap::new(),
            troubled: 0,
            was_off: false,
            is_in_step: false,
            asked: Vec::new(),
            notices: Vec::new(),
        }
    }

    /// Its configuration is read again: the ring stays.
    pub fn reload(&mut self, keys: &[u8], sites: &[u8]) {
        self.draws += 1;
        self.site = sites[0];
        self.family = family(keys, sites, self.family.rotation());
        self.keeper = keeper(&self.family, keys, self.draws);
        self.workers = Default::default();
        self.way = None;
    }

    /// It is started anew.
    pub fn restart(&mut self, keys: &[u8], sites: &[u8], clock: u64) {
        *self.ring = Ring::default();
        self.reload(keys, sites);
        self.forget(clock);
        self.was_off = !self.is_sound();
    }

    /// Whether its clock is right enough.
    pub fn is_sound(&self) -> bool {
        self.off.abs() < SOUND
    }

    /// What it has heard counts no more.
    pub fn forget(&mut self, clock: u64) {
        self.since = clock;
        self.heard.clear();
        self.is_in_step = false;
    }

    /// Its store was away, and is back.
    pub fn reconnected(&mut self, clock: u64) {
        self.keeper.reconnected(Instant::from_millis(clock));
    }

    pub fn unix(&self, clock: u64) -> u64 {
        (clock / 1000).saturating_add_signed(self.off)
    }

    pub fn epoch(&self, clock: u64) -> u64 {
        self.family.rotation().epoch(self.unix(clock)).0
    }

    /// Where the seed that seals is from.
    pub fn origin(&self, clock: u64) -> Option<Origin> {
        self.ring.status(&self.family, self.unix(clock)).origin
    }

    /// When something is to be done.
    pub fn due(&self, clock: u64) -> u64 {
        match &self.way {
            Some(way) if way.reply.is_none() => way.there,
            Some(way) => way.back,
            None => {
                let wait = self.keeper.due().since(Instant::from_millis(clock));
                clock + wait.as_millis() as u64
            }
        }
    }

    /// Does what is to be done. `store_of` has that of each site.
    pub fn turn(&mut self, stores: &mut [Store], clock: u64) {
        let unix = self.unix(clock);
        let now = Instant::from_millis(clock);
        match self.way.take() {
            Some(mut way) if way.reply.is_none() => {
                let site = match &way.question {
                    Question::Get { site, .. } => usize::from(*site),
                    Question::Add { .. } => self.site.into(),
                };
                way.reply = Some(match self.is_cut {
                    true => Reply::Unavailable,
                    false => stores[site].ask(&way.question, clock),
                });
                self.way = Some(way);
            }
            Some(way) => {
                let reply = way.reply.unwrap();
                let answer = match &reply {
                    Reply::Found(record) => Answer::Found(record),
                    Reply::Missing => Answer::Missing,
                    Reply::Done => Answer::Done,
                    Reply::Unavailable => Answer::Unavailable,
                };
                let notice = self.keeper.answered(&mut self.ring, answer, unix, now);
                self.notices.extend(notice);
            }
            None => {
                let draws = &mut self.draws;
                let mut draw = |bytes: &mut [u8]| {
                    draw(draws, bytes);
                    true
                };
                let question = self.keeper.question(&mut self.ring, &Toy(0), &mut draw, unix, now);
                match question {
                    Some(question) => {
                        let (there, back) = (clock + self.delay, clock + 2 * self.delay);
                        self.asked.push(clock);
                        self.way = Some(Way { question, there, back, reply: None });
                    }
                    None => assert!(self.keeper.due() > now, "asks for ever"),
                }
            }
        }
    }

    /// The seeds as a worker of it knows them, in a handshake.
    pub fn handshake(&mut self, worker: usize, clock: u64) -> &[(Epoch, Seed)] {
        let unix = self.unix(clock);
        let epoch = self.family.rotation().epoch(unix).0;
        let worker = &mut self.workers[worker % 2];
        if worker.seen != Some((epoch, self.ring.generation())) {
            let draws = &mut self.draws;
            let fresh = || {
                let mut bytes = [0; 32];
                draw(draws, &mut bytes);
                Some(Seed::new(bytes))
            };
            self.ring.begin(&self.family, unix, &Toy(0), fresh).unwrap();
            worker.seen = Some((epoch, self.ring.generation()));
            worker.seeds = self.ring.seeds(&self.family, unix);
        }
        assert_eq!(worker.seeds[0].0, Epoch(epoch), "there is always a seed to seal with");
        &worker.seeds
    }
}

/// Never the same twice.
fn draw(draws: &mut u64, bytes: &mut [u8]) {
    *draws += 1;
    bytes.fill(0x5a);
    bytes[..8].copy_from_slice(&draws.to_be_bytes());
}

pub fn rotation(length: u64, session_timeout: u64) -> Rotation {
    Rotation::new(Duration::from_secs(length), Duration::from_secs(session_timeout)).unwrap()
}
