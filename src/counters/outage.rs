//! What the workers of one nginx have told of a server: what all of them find is told once.
//!
//! The first worker that an outage concerns tells it, and the last one that is rid of it tells the end: the
//! two lines have the time between them in which any worker was concerned. Where two workers meet at the
//! same moment a line may be there twice, and none is left out.

use core::hash::{Hash, Hasher};
use std::collections::hash_map::DefaultHasher;
use std::sync::atomic::{
    AtomicI64, AtomicU32, AtomicU64,
    Ordering::{Relaxed, SeqCst},
};

/// So many different reasons of an outage are known as told; some of them may share a place.
const PLACES: usize = 3;

/// Reminders of several workers that are so close together are one, in seconds: each is due five minutes
/// after the one before, or after the beginning.
const REMINDER: i64 = 4 * 60;

/// What lasts until it has ended.
#[derive(Clone, Copy, Hash)]
#[repr(u8)]
pub(crate) enum Outage {
    /// The server is down; or, of all of a cluster, it does not tell its map.
    Down,
    /// Its name cannot be looked up.
    Unresolved,
}

impl Outage {
    const COUNT: usize = 2;

    /// The bit of a worker that it concerns.
    pub(super) fn bit(self) -> u8 {
        1 << self as u8
    }
}

/// How an outage of a worker has begun.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Begin {
    /// It is the first one that it concerns.
    First,
    /// It concerns others, and nobody has told this reason.
    OtherReason,
    /// That was told.
    Known,
}

/// How an outage of a worker has ended.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// It goes on for other workers.
    Partial,
    /// Of all of them, and it was told.
    Told,
    /// There is none that was told.
    Untold,
}

/// What was told of a server by any worker. Valid when all-zero.
#[repr(C)]
pub(super) struct Told {
    /// By the numbers of [`Outage`]: reasons, each as a number that stands for it; 0 for none.
    reasons: [[AtomicU64; PLACES]; Outage::COUNT],
    /// By the numbers of [`Outage`]: that one was told, by the number of the configuration that the workers
    /// began with; 0 for none.
    told: [AtomicU32; Outage::COUNT],
    /// A number that stands for the address that was last told to be up; 0 for none.
    up: AtomicU64,
    /// The same of the address that was last told not to be in use any more, until it is again.
    dropped: AtomicU64,
    /// By the numbers of [`Outage`]: when one was last told once more, in Unix seconds.
    reminded: [AtomicI64; Outage::COUNT],
    /// A number that stands for the refusal that was last told, and its second.
    refused: AtomicU64,
    /// Refusals that were not told yet.
    refusals: AtomicU32,
}

impl Told {
    pub(super) fn reset(&self) {
        self.forget(Outage::Down);
        self.forget(Outage::Unresolved);
        self.up.store(0, Relaxed);
        self.dropped.store(0, Relaxed);
        self.reminded.iter().for_each(|reminded| reminded.store(0, Relaxed));
        self.refused.store(0, Relaxed);
        self.refusals.store(0, Relaxed);
    }

    /// Notes a reason as told; whether it was already. Of workers that ask at once, one gets no.
    pub(super) fn note(&self, outage: Outage, reason: u64) -> bool {
        let place = &self.reasons[outage as usize][reason as usize % PLACES];
        place.swap(reason, SeqCst) == reason
    }

    /// Notes that an address is told to be up; whether it was already. Of workers that ask at once, one gets
    /// no.
    pub(super) fn note_up(&self, address: u64) -> bool {
        self.up.swap(address, SeqCst) == address
    }

    /// An address is in use.
    pub(super) fn used(&self, address: u64) {
        let _ = self.dropped.compare_exchange(address, 0, SeqCst, SeqCst);
    }

    /// Notes that an address is told not to be in use any more; whether it was already. Of workers that ask
    /// at once, one gets no.
    pub(super) fn note_dropped(&self, address: u64) -> bool {
        self.dropped.swap(address, SeqCst) == address
    }

    /// Notes that an outage is told; whether it was already. Of workers that ask at once, one gets no.
    pub(super) fn begin(&self, outage: Outage, generation: u32) -> bool {
        self.up.store(0, SeqCst);
        self.told[outage as usize].swap(generation, SeqCst) == generation
    }

    /// Forgets all of an outage; whether it was told.
    pub(super) fn forget(&self, outage: Outage) -> bool {
        for place in &self.reasons[outage as usize] {
            place.store(0, SeqCst);
        }
        self.told[outage as usize].swap(0, SeqCst) != 0
    }

    /// Whether it is time to tell of an outage once more. Of workers that ask at once, one gets yes.
    pub(super) fn may_remind(&self, outage: Outage, now: i64) -> bool {
        let reminded = &self.reminded[outage as usize];
        let last = reminded.load(SeqCst);
        let is_due = !(0..REMINDER).contains(&(now - last));
        is_due && reminded.compare_exchange(last, now, SeqCst, SeqCst).is_ok()
    }

    /// Adds refusals that are to be told; how many all workers have added, where this one is to tell them:
    /// the same is told once in a second.
    pub(super) fn refuse(&self, count: u32, refusal: u64) -> Option<u32> {
        self.refusals.fetch_add(count, SeqCst);
        let is_new = self.refused.swap(refusal, SeqCst) != refusal;
        is_new.then(|| self.refusals.swap(0, SeqCst))
    }
}

/// A number that stands for what is told; never 0.
pub(super) fn number(told: impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    told.hash(&mut hasher);
    hasher.finish().max(1)
}
