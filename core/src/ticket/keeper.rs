//! Who asks the store for seeds, and gives it those that it does not have.
//!
//! # What is asked, and when
//!
//! An epoch is looked at by asking for its record under each sealing key. What is found is learned.
//! Where there is none under a key, one is added: with the seed that was found under another key, or
//! that the store has told before, or that seals now; for an epoch that has not begun, with a new one.
//! It is then asked for again, as another may have been first.
//!
//! - At the start, the current epoch and the next are looked at, and the past ones of which the store
//!   has told no seed: before one is added for the current epoch, as it may be derived of one of them.
//! - In each epoch, soon after it has begun, the current one is looked at, and the next: a record there
//!   this early is of a clock that is ahead.
//! - Before its middle, both again. Only then is a seed made for the next.
//! - In its last quarter, the next again, and the current one where it is not confirmed. From a look
//!   before the middle to this one, clocks that are off by half the lead have room: all were told once
//!   before the first is told twice.
//! - Soon after the store was away: it may have lost all. A machine that has only a seed of its own
//!   waits for some seconds then before it adds that.
//! - When an epoch begins of which the store has told no seed, it is looked at.
//! - For other sites, only what the store there has not told is asked for, and nothing is added. The
//!   next epoch's is asked for in the last quarter, when they have it.
//! - Where the current one's record has vanished, those of past ones are looked at as well.
//!
//! The moments are spread by chance. With one sealing key, that is five requests in an epoch, and two
//! more of the machine that makes the next seed. A store that is not available is asked again after a
//! second, then after twice as long each time, up to a 64th of an epoch.
//!
//! The wall clock says which epoch it is, and may jump; how often the store is asked is measured by
//! the other clock: however often the wall clock jumps to another epoch, that is followed at most once
//! in a 64th of an epoch.

use core::time::Duration;
use std::collections::VecDeque;
use std::rc::Rc;

use crate::random::Random;
use crate::session::sealed::{Aead, BlockCipher, OpenError, Sealer, NONCE_LEN};
use crate::session::{Key, Keyspace};
use crate::ticket::epoch::Epoch;
use crate::ticket::keys::{Hmac, Seed};
use crate::ticket::record::Place;
use crate::ticket::ring::{Family, Origin, Ring, Told};
use crate::time::Instant;

/// What the store is asked, one thing at a time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Question {
    /// The record under a key.
    Get {
        /// Under which name.
        key: Key,
        /// The site whose store has it.
        site: u8,
    },
    /// To add a record under a key that has none, at this machine's own site.
    Add {
        /// Under which name.
        key: Key,
        /// What is put there.
        record: Vec<u8>,
        /// For how many seconds.
        ttl: u32,
    },
}

/// What the store has answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer<'a> {
    /// The record.
    Found(&'a [u8]),
    /// There is no record.
    Missing,
    /// The record was added, or there was one before.
    Done,
    /// It could not be asked, or does not say.
    Unavailable,
}

/// So long, at least, a seed of this machine's own is not given to a store that was away: those that
/// know the fleet's put that back first.
const LEAVE: Duration = Duration::from_secs(3);

/// What an operator is to be told. Safe to log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Notice {
    /// What lies under an epoch's name is not to be opened. It is left there.
    Unusable(Epoch, OpenError),
    /// So many seconds is another machine's clock ahead of this one, which is more than the lead.
    ClockBehind(u64),
}

/// Keeps a family's seeds up to date on one machine, for all of its workers.
pub struct Keeper<B, A> {
    family: Rc<Family>,
    sealer: Rc<Sealer<B, A>>,
    keyspace: Keyspace,
    random: Random,
    /// That of the current epoch, once there was a question.
    plan: Option<Plan>,
    /// Another epoch is not begun before.
    rested: Instant,
    /// When the store is looked at that was away, and before when it is not looked at for that again.
    recheck: Option<Instant>,
    rechecked: Instant,
    /// One for each site, in the family's order.
    desks: Vec<Desk>,
    /// The desk whose question is open.
    asked: Option<usize>,
    due: Instant,
}

/// When the epochs are looked at, in Unix seconds.
struct Plan {
    epoch: Epoch,
    early: u64,
    late: u64,
    /// When what was told of the next is confirmed, and other sites have theirs.
    latest: u64,
    /// What comes next of these.
    stage: Stage,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Early,
    Late,
    Latest,
    Done,
}

/// What is to be asked at one site.
struct Desk {
    site: u8,
    /// The epochs to be looked at, each once.
    queue: VecDeque<Epoch>,
    /// How far the first of them is.
    step: Step,
    /// The sealing keys under which it has no record.
    missing: Vec<usize>,
    /// Whether past epochs are looked at of which the store has told: they may have vanished.
    restores: bool,
    failures: u32,
    /// Not available before.
    retry: Instant,
    /// Since when the store answers, in Unix seconds; `None` as long as it does not.
    since: Option<u64>,
    /// The epoch of which it could not be asked last, or did not say.
    failed: Option<Epoch>,
    /// Whether the current epoch was put behind those before, as it may be derived of one of them.
    has_yielded: bool,
    /// Whether the current epoch's seed was left for others to put back.
    has_waited: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Step {
    /// Is asked for under the sealing key with this index.
    Look(usize),
    /// Is added under the one that is there in [`Desk::missing`].
    Add(usize),
    /// Is asked for there again.
    ReadBack(usize),
}

impl<B: BlockCipher, A: Aead> Keeper<B, A> {
    /// For the seeds of a family, under names of a keyspace. `chance` spreads machines out.
    pub fn new(
        family: Rc<Family>,
        sealer: Rc<Sealer<B, A>>,
        keyspace: Keyspace,
        chance: u64,
    ) -> Self {
        let start = Instant::from_millis(0);
        let desk = |site: &u8| Desk {
            site: *site,
            queue: VecDeque::new(),
            step: Step::Look(0),
            missing: Vec::new(),
            restores: false,
            failures: 0,
            retry: start,
            since: Some(0),
            failed: None,
            has_yielded: false,
            has_waited: true,
        };
        let desks = family.sites().iter().map(desk).collect();
        let random = Random::new(chance);
        let (plan, asked) = (None, None);
        Self {
            family,
            sealer,
            keyspace,
            random,
            plan,
            rested: start,
            recheck: None,
            rechecked: start,
            desks,
            asked,
            due: start,
        }
    }

    /// What the store is to be asked now, if anything: [`answered`](Self::answered) follows, once,
    /// before the next question. `draw` fills bytes with random ones, for a seed and a nonce, and says
    /// whether it could.
    pub fn question(
        &mut self,
        ring: &mut Ring,
        hmac: &impl Hmac,
        draw: &mut dyn FnMut(&mut [u8]) -> bool,
        unix: u64,
        now: Instant,
    ) -> Option<Question> {
        if self.asked.is_some() {
            return None;
        }
        // Other workers may have nothing to do: what is to be derived, and wiped, is none the less.
        // Where there is nothing to derive from, this is not the time for a seed of one's own.
        let _ = ring.begin(&self.family, unix, hmac, || None);
        self.look(ring, unix, now);
        for index in 0..self.desks.len() {
            if self.desks[index].retry > now {
                continue;
            }
            let question = self.next(index, ring, hmac, draw, unix, now);
            if question.is_some() {
                self.asked = Some(index);
                return question;
            }
        }
        self.due = self.next_due(unix, now);
        None
    }

    /// The store has answered the question. Returns what an operator is to be told, if anything.
    pub fn answered(
        &mut self,
        ring: &mut Ring,
        answer: Answer<'_>,
        unix: u64,
        now: Instant,
    ) -> Option<Notice> {
        let index = self.asked.take()?;
        self.due = now;
        let epoch = *self.desks[index].queue.front()?;
        let rest = self.rest();
        let desk = &mut self.desks[index];
        if !matches!(answer, Answer::Unavailable) {
            // The wall clock may have been set back.
            desk.since = Some(desk.since.map_or(unix, |since| since.min(unix)));
        }
        let step = desk.step;
        let notice = match (step, answer) {
            (Step::Look(_) | Step::ReadBack(_), Answer::Found(record)) => {
                let key = desk.looked_at()?;
                let has_failed = desk.failed.take_if(|failed| *failed == epoch).is_some();
                let since = desk.since.filter(|_| !has_failed).unwrap_or(unix);
                self.found(ring, self.place(index, key, epoch), record, since, unix)
            }
            (Step::Look(key), Answer::Missing) => {
                desk.missing.push(key);
                let is_current = index == 0 && epoch == self.family.rotation().epoch(unix);
                if is_current && ring.is_told(&self.family, key, desk.site, epoch) {
                    desk.restores = true;
                    let open = self.family.rotation().open(unix).rev();
                    open.filter(|past| *past < epoch).for_each(|past| desk.add(past));
                }
                None
            }
            // That it is there, and then that it is not: the next look will tell.
            (Step::Add(_), Answer::Done) | (Step::ReadBack(_), Answer::Missing) => None,
            _ => {
                let wait = Duration::from_secs(1 << desk.failures.min(30)).min(rest);
                desk.failures = desk.failures.saturating_add(1);
                // It may be this record alone that is refused.
                let is_other = desk.failed.is_some_and(|failed| failed != epoch);
                if is_other {
                    desk.was_away();
                }
                desk.failed = Some(epoch);
                desk.retry = now + wait / 2 + (wait / 2).mul_f64(self.random.fraction());
                desk.begin();
                // A store may refuse one record alone, and one of several servers may be down.
                desk.queue.rotate_left(1);
                return None;
            }
        };
        self.desks[index].step = match step {
            Step::Look(key) => Step::Look(key + 1),
            Step::Add(at) => Step::ReadBack(at),
            Step::ReadBack(at) => Step::Add(at + 1),
        };
        notice
    }

    /// The store was away, and is connected again: it may have lost all. What seals is looked at soon.
    pub fn reconnected(&mut self, now: Instant) {
        let wait = Duration::from_secs(1).mul_f64(self.random.fraction());
        let at = (now + wait).max(self.rechecked);
        self.recheck = Some(self.recheck.map_or(at, |before| before.min(at)));
        self.due = self.due.min(at);
        self.desks[0].has_waited = false;
    }

    /// When there may be a question again, while none is open.
    pub fn due(&self) -> Instant {
        self.due
    }

    /// Learns what was found in a place.
    fn found(
        &self,
        ring: &mut Ring,
        place: Place,
        record: &[u8],
        since: u64,
        unix: u64,
    ) -> Option<Notice> {
        let (seed, made) = match place.open(&self.sealer, self.keyspace.prefix(), record) {
            Ok(opened) => opened,
            Err(error) => return Some(Notice::Unusable(place.epoch, error)),
        };
        let Place { key, site, epoch, .. } = place;
        ring.learn(&self.family, Told { key, site, epoch, seed: &seed, made, since }, unix);
        let ahead = made.saturating_sub(unix);
        (ahead > self.family.rotation().lead().into()).then_some(Notice::ClockBehind(ahead))
    }

    /// Has epochs looked at whose time for that has come.
    fn look(&mut self, ring: &Ring, unix: u64, now: Instant) {
        let current = self.family.rotation().epoch(unix);
        let next = Epoch(current.0.saturating_add(1));
        let last = self.plan.as_ref().map(|plan| plan.epoch);
        if self.recheck.is_some_and(|at| at <= now) {
            self.recheck = None;
            self.rechecked = now + self.rest();
            let own = &mut self.desks[0];
            own.retry = own.retry.min(now);
            own.add(current);
            own.add(next);
        }
        if last != Some(current) {
            if now < self.rested {
                return;
            }
            let plan = self.new_plan(current, unix);
            // The first, and behind a jump, which may have cost seeds.
            let is_start = last.map(|last| last.0.checked_add(1)) != Some(Some(current.0));
            let open = self.family.rotation().open(unix).rev();
            let past = open.filter(|epoch| *epoch < current && is_start);
            let epochs: Vec<_> =
                [current].into_iter().chain(is_start.then_some(next)).chain(past).collect();
            for desk in &mut self.desks {
                desk.has_yielded = false;
                for epoch in &epochs {
                    let is_told = |key| ring.is_told(&self.family, key, desk.site, *epoch);
                    // At a start, what it was told may be of before the store has lost it.
                    let is_again = is_start && *epoch >= current;
                    if is_again || !(0..self.family.keys()).all(is_told) {
                        desk.add(*epoch);
                    }
                }
            }
            self.plan = Some(plan);
            self.rested = now + self.rest();
            return;
        }
        let Some(plan) = &mut self.plan else { return };
        let Some((own, others)) = self.desks.split_first_mut() else { return };
        match plan.stage {
            Stage::Early if unix >= plan.early => {
                own.add(current);
                own.add(next);
                others.iter_mut().for_each(|desk| desk.add(current));
                plan.stage = Stage::Late;
            }
            Stage::Late if unix >= plan.late => {
                own.add(current);
                own.add(next);
                others.iter_mut().for_each(|desk| desk.add(current));
                plan.stage = Stage::Latest;
            }
            Stage::Latest if unix >= plan.latest => {
                own.add(next);
                if !matches!(ring.told(&self.family, current), Some((_, true))) {
                    own.add(current);
                }
                others.iter_mut().for_each(|desk| desk.add(next));
                plan.stage = Stage::Done;
            }
            _ => {}
        }
    }

    /// When the current epoch and the next are looked at.
    fn new_plan(&mut self, current: Epoch, unix: u64) -> Plan {
        let rotation = self.family.rotation();
        let start = rotation.start(current);
        let mut at = |from: f64, to: f64| {
            let part = from + (to - from) * self.random.fraction();
            start.saturating_add((f64::from(rotation.length()) * part) as u64)
        };
        // What is late by a rest is still in time.
        let (early, late, latest) = (at(0.03, 0.11), at(0.375, 0.484), at(0.75, 0.97));
        let stage = match unix {
            _ if unix >= latest => Stage::Done,
            _ if unix >= late => Stage::Latest,
            _ if unix >= early => Stage::Late,
            _ => Stage::Early,
        };
        Plan { epoch: current, early, late, latest, stage }
    }

    /// What is to be asked at a desk, if there is anything.
    fn next(
        &mut self,
        index: usize,
        ring: &mut Ring,
        hmac: &impl Hmac,
        draw: &mut dyn FnMut(&mut [u8]) -> bool,
        unix: u64,
        now: Instant,
    ) -> Option<Question> {
        let rotation = self.family.rotation();
        let current = rotation.epoch(unix);
        let is_own = index == 0;
        loop {
            let desk = &mut self.desks[index];
            let epoch = *desk.queue.front()?;
            let (site, missing) = (desk.site, desk.missing.len());
            match desk.step {
                _ if !rotation.open(unix).any(|open| open == epoch) => desk.done(),
                Step::Look(key) if key < self.family.keys() => {
                    // What was told may have vanished.
                    let is_again = is_own && (epoch >= current || desk.restores);
                    if is_again || !ring.is_told(&self.family, key, site, epoch) {
                        return self.get(index, key, epoch);
                    }
                    desk.step = Step::Look(key + 1);
                }
                Step::Look(_) if is_own && missing > 0 => {
                    let is_known = ring.told(&self.family, epoch).is_some();
                    let is_past_first = desk.queue.iter().any(|other| *other < epoch);
                    let is_ours =
                        matches!(ring.sealing(&self.family, epoch), None | Some((_, Origin::Own)));
                    if epoch == current && !is_known && is_past_first && !desk.has_yielded {
                        // Once: what is before may be refused.
                        desk.has_yielded = true;
                        desk.done();
                        desk.add(epoch);
                    } else if epoch == current && is_ours && !desk.has_waited {
                        desk.has_waited = true;
                        desk.begin();
                        let wait = LEAVE.mul_f64(1.0 + self.random.fraction() * 2.0 / 3.0);
                        desk.retry = now + wait;
                        return None;
                    } else {
                        desk.step = Step::Add(0);
                    }
                }
                Step::Look(_) => desk.done(),
                Step::Add(at) if at < missing => {
                    let key = desk.missing[at];
                    let seed = self.seed(ring, hmac, draw, epoch, unix);
                    let add = seed.and_then(|seed| self.add(key, epoch, &seed, draw, unix));
                    if add.is_some() {
                        return add;
                    }
                    self.desks[index].done();
                }
                Step::Add(_) => desk.done(),
                Step::ReadBack(at) => {
                    let key = desk.missing[at];
                    return self.get(index, key, epoch);
                }
            }
        }
    }

    /// The seed to add for an epoch, if there is to be one.
    fn seed(
        &self,
        ring: &mut Ring,
        hmac: &impl Hmac,
        draw: &mut dyn FnMut(&mut [u8]) -> bool,
        epoch: Epoch,
        unix: u64,
    ) -> Option<Seed> {
        let current = self.family.rotation().epoch(unix);
        if epoch == current {
            ring.begin(&self.family, unix, hmac, || Seed::random(&mut *draw))?;
        }
        if let Some((seed, _)) = ring.told(&self.family, epoch) {
            return Some(seed);
        }
        if epoch == current {
            return Some(ring.sealing(&self.family, epoch)?.0);
        }
        // Behind a clock that jumps, the plan may be of an epoch before.
        let plan = self.plan.as_ref().filter(|plan| plan.epoch == current)?;
        let is_time = epoch > current && plan.late <= unix;
        is_time.then(|| Seed::random(&mut *draw)).flatten()
    }

    fn get(&self, index: usize, key: usize, epoch: Epoch) -> Option<Question> {
        let place = self.place(index, key, epoch);
        let key = self.keyspace.key(&place.name(&self.sealer)?)?;
        Some(Question::Get { key, site: place.site })
    }

    fn add(
        &self,
        key: usize,
        epoch: Epoch,
        seed: &Seed,
        draw: &mut dyn FnMut(&mut [u8]) -> bool,
        unix: u64,
    ) -> Option<Question> {
        let rotation = self.family.rotation();
        let place = self.place(0, key, epoch);
        let mut nonce = [0; NONCE_LEN];
        if !draw(&mut nonce) {
            return None;
        }
        let prefix = self.keyspace.prefix();
        let record = place.seal(&self.sealer, prefix, &nonce, seed, unix)?.to_vec();
        let over = rotation.over(epoch).saturating_add(rotation.lead().into());
        let ttl = u32::try_from(over.saturating_sub(unix)).unwrap_or(u32::MAX);
        let key = self.keyspace.key(&place.name(&self.sealer)?)?;
        Some(Question::Add { key, record, ttl })
    }

    fn place(&self, index: usize, key: usize, epoch: Epoch) -> Place {
        let length = self.family.rotation().length();
        Place { key, site: self.desks[index].site, epoch, length }
    }

    /// When there may be something to ask, or to derive, after there was nothing at `now`.
    fn next_due(&self, unix: u64, now: Instant) -> Instant {
        let rotation = self.family.rotation();
        let current = rotation.epoch(unix);
        let end = rotation.end(current);
        let mut moments = vec![end, end.saturating_sub(rotation.lead().into())];
        if let Some(plan) = &self.plan {
            moments.extend([plan.early, plan.late, plan.latest]);
        }
        let moments = moments.into_iter().filter(|moment| *moment > unix);
        let moments = moments.map(|moment| now + Duration::from_secs(moment - unix));
        let busy = self.desks.iter().filter(|desk| !desk.queue.is_empty());
        let moments =
            moments.chain(busy.map(|desk| desk.retry)).chain([self.rested]).chain(self.recheck);
        // Soon enough for a clock that jumps.
        let longest = now + 4 * self.rest();
        moments.filter(|moment| *moment > now).fold(longest, Instant::min)
    }

    /// The shortest time from one epoch to another, and the longest between two attempts.
    fn rest(&self) -> Duration {
        Duration::from_secs(self.family.rotation().length().into()) / 64
    }
}

impl Desk {
    fn add(&mut self, epoch: Epoch) {
        if !self.queue.contains(&epoch) {
            self.queue.push_back(epoch);
        }
    }

    /// The store was not there: what it told before may be known to few, and lost.
    fn was_away(&mut self) {
        self.since = None;
        self.has_waited = false;
    }

    /// Nothing more is to be done about the first epoch.
    fn done(&mut self) {
        self.queue.pop_front();
        if self.queue.is_empty() {
            self.restores = false;
            // Not before: what is refused may be one record of several.
            self.failures = 0;
        }
        self.begin();
    }

    /// Begins with the first epoch.
    fn begin(&mut self) {
        self.step = Step::Look(0);
        self.missing.clear();
    }

    /// The sealing key under which it was asked for what is there.
    fn looked_at(&self) -> Option<usize> {
        match self.step {
            Step::Look(key) => Some(key),
            Step::ReadBack(at) => self.missing.get(at).copied(),
            Step::Add(_) => None,
        }
    }
}
