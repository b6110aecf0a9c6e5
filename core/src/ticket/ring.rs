//! The seeds that a machine knows, as they lie in memory that its workers share.
//!
//! A family is what one configuration says of ticket keys; the ring has the seeds of all. Each entry
//! says what it is of, so that it is found again by whoever is configured alike, after a reload as
//! well, and after another key file has come in front of the one that it was sealed under.
//!
//! # Which seed seals
//!
//! The store may die when it has told some machines the seed of the next epoch, and others not. So a
//! seed that it has told seals once it was told again, in a later phase of an epoch: by then all have
//! had the time to be told, and open what it seals. In an epoch seals
//!
//! 1. the last confirmed one that the store has told, under the first sealing key, else under another;
//! 2. what is derived of the seed that sealed when the epoch began, which whoever was in step then has
//!    as well;
//! 3. the last that the store has told: a machine without a seed from before takes it at once;
//! 4. what is derived of a seed that was told later; at last, one of this machine's own.
//!
//! All that are known open. Whatever the store has told, seeds are derived of some of the epoch
//! before, as others may have sealed with these: of the one in 2., and of two more that are nearest to
//! the store's. That is so for all epochs that are open, and for the next one when it is near, as
//! another's clock may be ahead.

use core::cmp::Reverse;

use zeroize::Zeroize;

use crate::session::sealed::{Aead, BlockCipher, Sealer, BLOCK_LEN};
use crate::ticket::epoch::{Epoch, Rotation};
use crate::ticket::keys::{Hmac, Seed, SEED_LEN};

/// Of another layout, or of another version of this file: nothing in it is understood.
const LAYOUT: u64 = 0x7469_636b_0000_0003;

/// So many seeds for all families. One with the default rotation has about twelve.
const ENTRIES: usize = 4096;

/// Of so many seeds of an epoch at each site one of the next is derived, besides the main one.
const NEAREST: usize = 2;

/// So many are derived.
const RATCHETS: usize = NEAREST + 1;

/// So many that the store has told are kept for each epoch under each sealing key and at each site:
/// what a store that was flushed, or is hostile, has told last, and what seals.
const TOLD: usize = 4;

/// So many of others are: those that are derived, that which seals, and one of this machine's own.
const UNTOLD: usize = RATCHETS + 2;

/// The seeds of all families of a machine, at most so many. All-zero is an empty ring, any other bytes
/// are a ring as well: plain numbers, which another version of this module may have left.
#[repr(C)]
pub struct Ring {
    layout: u64,
    generation: u64,
    /// Counts what was learned.
    order: u64,
    /// So many entries have seeds; those behind are empty.
    used: u64,
    entries: [Entry; ENTRIES],
}

/// One seed. All-zero is none.
#[derive(Clone, Copy)]
#[repr(C)]
struct Entry {
    /// The later of two of the same origin has the greater.
    order: u64,
    epoch: u64,
    /// From when on it opens nothing, in Unix seconds.
    over: u64,
    /// Since when it is here, in Unix seconds, or what it is derived of.
    known: u64,
    /// When the store has told it first, in Unix seconds.
    told: u64,
    scope: [u8; BLOCK_LEN],
    /// Tells the sealing key.
    mark: [u8; BLOCK_LEN],
    seed: [u8; SEED_LEN],
    /// The length of its epoch, in seconds.
    length: u32,
    /// So many seconds was its maker's clock ahead of this machine's, at least.
    ahead: u32,
    /// So many ratchets lie between it and what the store has told.
    depth: u32,
    site: u8,
    /// An [`Origin`].
    origin: u8,
    /// Not zero: the store has told it again, in a later phase.
    confirmed: u8,
    /// Not zero: it is derived of what sealed when its epoch began.
    main: u8,
}

const NONE: Entry = Entry {
    order: 0,
    epoch: 0,
    over: 0,
    ahead: 0,
    known: 0,
    told: 0,
    scope: [0; BLOCK_LEN],
    mark: [0; BLOCK_LEN],
    seed: [0; SEED_LEN],
    length: 0,
    depth: 0,
    site: 0,
    origin: 0,
    confirmed: 0,
    main: 0,
};

/// The seeds of one configuration: those that one store holds, under these sealing keys.
pub struct Family {
    /// Tells the store and the prefix.
    scope: [u8; BLOCK_LEN],
    /// Tell the sealing keys, in their order.
    marks: Vec<[u8; BLOCK_LEN]>,
    /// The first is this machine's own.
    sites: Vec<u8>,
    rotation: Rotation,
}

/// Where the seed that seals is from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Origin {
    /// This machine alone has it: others do not open what it seals.
    Own = 1,
    /// Derived of that of the epoch before, as the store did not tell: whoever knew that has it too.
    Ratchet,
    /// The store's.
    Store,
}

/// How good a seed is to seal with.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Fitness {
    Own,
    /// Derived of a seed that was not here when the epoch began.
    Derived,
    /// The store has told it, and others may not know yet.
    Told,
    /// Whoever sealed with the same one before has this one too.
    Main,
    /// All have had the time to be told.
    Confirmed,
}

/// What an operator is told of a family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status {
    /// Where the seed that seals is from; `None` where there is none yet.
    pub origin: Option<Origin>,
    /// For how many seconds it seals: since its epoch has begun.
    pub age: u64,
    /// So many epochs have seeds that open, the next one among them.
    pub epochs: usize,
    /// So many seconds is another machine's clock ahead of this one, where that is more than the lead.
    pub clock_behind: Option<u64>,
}

/// A seed that the store has told, or is to be told.
pub(super) struct Told<'a> {
    /// The index of the sealing key that its record is sealed under.
    pub key: usize,
    pub site: u8,
    pub epoch: Epoch,
    pub seed: &'a Seed,
    /// When its record was made, by the maker's clock.
    pub made: u64,
    /// Since when the store answers, in Unix seconds: what it has told before confirms nothing, as
    /// others may not have been told then.
    pub since: u64,
}

impl Family {
    /// The seeds in a `store`, whatever its name is, under keys with a `prefix`. `sites` are those
    /// whose seeds open: the first is this machine's own, with whose seeds it seals. `None` without a
    /// sealing key or a site, or where HMAC failed.
    pub fn new<B: BlockCipher, A: Aead>(
        sealer: &Sealer<B, A>,
        hmac: &impl Hmac,
        store: &[u8],
        prefix: &[u8],
        sites: &[u8],
        rotation: Rotation,
    ) -> Option<Self> {
        let len = (store.len() as u64).to_be_bytes();
        let scope = hmac.hmac(&[0; 32], &[&len, store, prefix].concat())?;
        let family = Self {
            scope: *scope.first_chunk()?,
            marks: sealer.marks().collect(),
            sites: sites.to_vec(),
            rotation,
        };
        (!family.marks.is_empty() && !family.sites.is_empty()).then_some(family)
    }

    /// For how many seeds a ring must have room for it, as long as the store tells one for each epoch.
    pub fn seeds(&self) -> usize {
        let told = self.marks.len() * self.sites.len();
        (self.rotation.past() as usize + 2) * (told + RATCHETS)
    }

    /// Its rotation.
    pub fn rotation(&self) -> Rotation {
        self.rotation
    }

    /// The sites whose seeds open, this machine's own first.
    pub(super) fn sites(&self) -> &[u8] {
        &self.sites
    }

    /// The number of its sealing keys.
    pub(super) fn keys(&self) -> usize {
        self.marks.len()
    }

    /// Whether an entry is one of its seeds.
    fn has(&self, entry: &Entry) -> bool {
        entry.scope == self.scope
            && entry.length == self.rotation.length()
            && self.sites.contains(&entry.site)
            && self.marks.contains(&entry.mark)
    }

    /// How good an entry is to seal with; `None` where it only opens.
    fn rank(&self, entry: &Entry) -> Option<(Fitness, bool, Reverse<u32>, u64)> {
        let is_first = entry.mark == self.marks[0];
        let nearness = Reverse(entry.depth);
        (entry.site == self.sites[0]).then_some((entry.fitness()?, is_first, nearness, entry.order))
    }
}

impl Entry {
    /// `None` where it is of no use.
    fn origin(&self) -> Option<Origin> {
        [Origin::Own, Origin::Ratchet, Origin::Store]
            .into_iter()
            .find(|origin| *origin as u8 == self.origin)
    }

    /// Whether nobody else has it.
    fn is_own(&self) -> bool {
        self.origin == Origin::Own as u8
    }

    fn fitness(&self) -> Option<Fitness> {
        Some(match self.origin()? {
            Origin::Own => Fitness::Own,
            Origin::Store if self.confirmed != 0 => Fitness::Confirmed,
            _ if self.main != 0 => Fitness::Main,
            Origin::Store => Fitness::Told,
            Origin::Ratchet => Fitness::Derived,
        })
    }

    fn seed(&self) -> Seed {
        Seed::new(self.seed)
    }

    /// Whether both are of the same epoch, sealing key and site.
    fn is_beside(&self, other: &Entry) -> bool {
        self.scope == other.scope
            && self.length == other.length
            && self.epoch == other.epoch
            && self.mark == other.mark
            && self.site == other.site
    }

    /// How much is lost with it: least for what is over or far in the future, most for what seals.
    fn worth(&self, unix: u64) -> (u8, u64) {
        let current = unix / u64::from(self.length.max(1));
        let class = match self.epoch {
            epoch if epoch > current.saturating_add(1) || self.over <= unix => 0,
            epoch if epoch < current => 1,
            epoch if epoch > current => 2,
            _ => 3,
        };
        (class, self.over)
    }

    fn wipe(&mut self) {
        self.seed.zeroize();
        *self = NONE;
    }
}

/// An empty one.
impl Default for Ring {
    fn default() -> Self {
        Self { layout: LAYOUT, generation: 0, order: 0, used: 0, entries: [NONE; ENTRIES] }
    }
}

impl Ring {
    /// So many seeds are kept, of all families.
    pub const SEEDS: usize = ENTRIES;

    /// Changes with each change.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// Makes sure that there is a seed to seal with at `unix`: one of the store's, else one derived of
    /// an earlier one, else `fresh`; wipes what is over. `None` where a derivation or `fresh` failed.
    ///
    /// To be called before the first ticket of an epoch is sealed, and again where the generation has
    /// changed.
    pub fn begin(
        &mut self,
        family: &Family,
        unix: u64,
        hmac: &impl Hmac,
        fresh: impl FnOnce() -> Option<Seed>,
    ) -> Option<()> {
        self.clear(family, unix);
        self.derive(family, unix, hmac)?;
        let current = family.rotation.epoch(unix);
        if self.best(family, current).is_none() {
            self.enter(family, entry(family, current, &fresh()?, Origin::Own, unix), unix);
        }
        Some(())
    }

    /// Derives, for all epochs that are open, of what is known of the epoch before: whatever the store
    /// has told, others may not have been told.
    fn derive(&mut self, family: &Family, unix: u64, hmac: &impl Hmac) -> Option<()> {
        let rotation = family.rotation;
        let ahead = unix.saturating_add(rotation.lead().into());
        for epoch in rotation.open(unix).filter(|epoch| rotation.start(*epoch) <= ahead) {
            self.derive_for(family, epoch, unix, hmac)?;
        }
        Some(())
    }

    /// Derives the seeds of an epoch of some of those of the one before: of that which seals there, of
    /// the main one, which seals on those that were not told in time, and of those that are nearest to
    /// the store's. The first is the main one for good, once the epoch has begun, if it was known before.
    fn derive_for(
        &mut self,
        family: &Family,
        epoch: Epoch,
        unix: u64,
        hmac: &impl Hmac,
    ) -> Option<()> {
        let start = family.rotation.start(epoch);
        let Some(before) = epoch.0.checked_sub(1).map(Epoch) else { return Some(()) };
        let has_main = self.of(family, epoch).any(|entry| entry.main != 0);
        let was_known = |entry: &Entry| entry.known < start && !has_main;
        let sealed = self.best_of(family, before, was_known).map(Entry::seed);

        let known = || self.of(family, before).filter(|entry| family.rank(entry).is_some());
        // With room for all: where they moved to make some, they would be left behind unwiped.
        let mut bases: Vec<(_, u64, Seed)> = Vec::with_capacity(known().count());
        bases.extend(known().map(|entry| {
            let nearness = (entry.main == 0, entry.is_own(), entry.depth, Reverse(entry.order));
            (nearness, entry.known, entry.seed())
        }));
        bases.sort_unstable_by_key(|(nearness, ..)| *nearness);
        let mut nearer: Vec<Seed> = Vec::with_capacity(bases.len());
        let mut others = 0;
        for ((is_other, is_own, depth, _), known, base) in bases {
            // The same may be there under another sealing key. Nobody else has one of its own early.
            if nearer.contains(&base) || (is_own && start > unix) {
                continue;
            }
            let has_sealed = sealed.as_ref() == Some(&base);
            if !is_other || others < NEAREST || has_sealed {
                let seed = base.ratchet(hmac)?;
                let origin = if is_own { Origin::Own } else { Origin::Ratchet };
                let derived = Entry {
                    depth: depth.saturating_add(1),
                    // It might have been derived at once: what is main later does not depend on when.
                    // The clock may have been ahead when that was told.
                    known: known.min(unix),
                    ..entry(family, epoch, &seed, origin, unix)
                };
                self.enter_derived(family, derived, has_sealed && start <= unix, unix);
            }
            others += usize::from(is_other);
            nearer.push(base);
        }
        Some(())
    }

    /// Enters what was derived, if it is not known.
    fn enter_derived(&mut self, family: &Family, derived: Entry, is_main: bool, unix: u64) {
        let is_same = |known: &Entry| {
            family.has(known)
                && family.rank(known).is_some()
                && known.epoch == derived.epoch
                && known.seed == derived.seed
        };
        if !self.used().iter().any(|known| is_same(known) && known.origin >= derived.origin) {
            self.enter(family, derived, unix);
        }
        let used = self.used().len();
        for known in self.entries[..used].iter_mut().filter(|known| is_main && is_same(known)) {
            known.main = 1;
            self.generation = self.generation.wrapping_add(1);
        }
    }

    /// The seeds that open at `unix`. The first is the one that seals if it is of the current epoch:
    /// otherwise there is none to seal with.
    pub fn seeds(&self, family: &Family, unix: u64) -> Vec<(Epoch, Seed)> {
        let current = family.rotation.epoch(unix);
        let mut entries: Vec<_> = self.open(family, unix).collect();
        // Without a buffer: this may be the stack of an OpenSSL job.
        entries.sort_unstable_by_key(|entry| {
            let is_current = entry.epoch == current.0;
            Reverse((is_current, family.rank(entry).filter(|_| is_current), entry.order))
        });
        let mut seeds: Vec<(Epoch, Seed)> = Vec::with_capacity(entries.len());
        for entry in entries {
            let seed = (Epoch(entry.epoch), entry.seed());
            if !seeds.contains(&seed) {
                seeds.push(seed);
            }
        }
        seeds
    }

    /// What an operator is told.
    pub fn status(&self, family: &Family, unix: u64) -> Status {
        let rotation = family.rotation;
        let current = rotation.epoch(unix);
        let mut epochs: Vec<_> = self.open(family, unix).map(|entry| entry.epoch).collect();
        epochs.sort_unstable();
        epochs.dedup();
        Status {
            origin: self.best(family, current).and_then(Entry::origin),
            age: unix - rotation.start(current),
            epochs: epochs.len(),
            clock_behind: self
                .open(family, unix)
                .filter(|entry| entry.epoch >= current.0)
                .map(|entry| entry.ahead.into())
                .max()
                .filter(|ahead| *ahead > rotation.lead().into()),
        }
    }

    /// The store has told a seed.
    pub(super) fn learn(&mut self, family: &Family, told: Told<'_>, unix: u64) {
        self.clear(family, unix);
        let Some(mark) = family.marks.get(told.key) else { return };
        self.enter(
            family,
            Entry {
                mark: *mark,
                site: told.site,
                ahead: u32::try_from(told.made.saturating_sub(unix)).unwrap_or(u32::MAX),
                told: unix,
                ..entry(family, told.epoch, told.seed, Origin::Store, unix)
            },
            unix,
        );
        self.confirm(family, &told, unix);
    }

    /// Confirms what the store has told again in a later phase.
    fn confirm(&mut self, family: &Family, told: &Told<'_>, unix: u64) {
        let rotation = family.rotation;
        let used = self.used().len();
        let Some(entry) = self.entries[..used].iter_mut().find(|entry| {
            family.has(entry)
                && entry.epoch == told.epoch.0
                && entry.site == told.site
                && family.marks.get(told.key) == Some(&entry.mark)
                && entry.seed == *told.seed.as_bytes()
        }) else {
            return;
        };
        if entry.confirmed != 0 {
            return;
        }
        if entry.told < told.since || entry.told > unix {
            entry.told = unix;
        } else if rotation.is_later(told.epoch, entry.told, unix) {
            entry.confirmed = 1;
            self.changed();
        }
    }

    /// What the store has told of an epoch: a confirmed seed, else the last, and whether the last is
    /// confirmed.
    pub(super) fn told(&self, family: &Family, epoch: Epoch) -> Option<(Seed, bool)> {
        let is_told = |entry: &Entry| entry.origin == Origin::Store as u8;
        let told = || self.of(family, epoch).filter(|entry| is_told(entry));
        let (_, best) = told()
            .filter_map(|entry| Some((family.rank(entry)?, entry)))
            .max_by_key(|((_, is_first, _, order), entry)| (entry.confirmed, *is_first, *order))?;
        let own = told().filter(|entry| family.rank(entry).is_some());
        let is_confirmed = own.max_by_key(|entry| entry.order)?.confirmed != 0;
        Some((best.seed(), is_confirmed))
    }

    /// The seed that seals in an epoch, or would, and where it is from.
    pub(super) fn sealing(&self, family: &Family, epoch: Epoch) -> Option<(Seed, Origin)> {
        let entry = self.best(family, epoch)?;
        Some((entry.seed(), entry.origin()?))
    }

    /// Whether the store has told a seed of an epoch, under the sealing key with this index.
    pub(super) fn is_told(&self, family: &Family, key: usize, site: u8, epoch: Epoch) -> bool {
        self.of(family, epoch).any(|entry| {
            entry.site == site
                && entry.origin == Origin::Store as u8
                && family.marks.get(key) == Some(&entry.mark)
        })
    }

    fn used(&self) -> &[Entry] {
        let used = if self.layout == LAYOUT { self.used as usize } else { 0 };
        &self.entries[..used.min(ENTRIES)]
    }

    /// The seeds of a family.
    fn all<'a>(&'a self, family: &'a Family) -> impl Iterator<Item = &'a Entry> {
        self.used().iter().filter(move |entry| family.has(entry))
    }

    /// Those of an epoch.
    fn of<'a>(&'a self, family: &'a Family, epoch: Epoch) -> impl Iterator<Item = &'a Entry> {
        self.all(family).filter(move |entry| entry.epoch == epoch.0)
    }

    /// Those that open at `unix`.
    fn open<'a>(&'a self, family: &'a Family, unix: u64) -> impl Iterator<Item = &'a Entry> {
        let next = family.rotation.epoch(unix).0.saturating_add(1);
        self.all(family).filter(move |entry| {
            entry.origin().is_some()
                && entry.epoch <= next
                && unix < family.rotation.over(Epoch(entry.epoch))
        })
    }

    fn best<'a>(&'a self, family: &'a Family, epoch: Epoch) -> Option<&'a Entry> {
        self.best_of(family, epoch, |_| true)
    }

    fn best_of<'a>(
        &'a self,
        family: &'a Family,
        epoch: Epoch,
        is_meant: impl Fn(&Entry) -> bool,
    ) -> Option<&'a Entry> {
        self.of(family, epoch)
            .filter(|entry| is_meant(entry))
            .filter_map(|entry| Some((family.rank(entry)?, entry)))
            .max_by_key(|(rank, _)| *rank)
            .map(|(_, entry)| entry)
    }

    /// Enters a seed, as the last of its origin.
    fn enter(&mut self, family: &Family, new: Entry, unix: u64) {
        if new.over <= unix {
            return;
        }
        self.order = self.order.saturating_add(1);
        let new = Entry { order: self.order, ..new };
        let epoch = Epoch(new.epoch);
        let known = |entry: &Entry| family.has(entry) && entry.is_beside(&new);

        if let Some(i) = self.used().iter().position(|e| known(e) && e.seed == new.seed) {
            let known = self.entries[i];
            let origin = known.origin.max(new.origin);
            let ahead = known.ahead.max(new.ahead);
            let best = self.best(family, epoch).map(|best| best.seed);
            self.entries[i] = Entry {
                origin,
                ahead,
                over: known.over.max(new.over),
                depth: known.depth.min(new.depth),
                known: known.known.min(new.known),
                // What it was told first counts.
                told: if known.told != 0 { known.told } else { new.told },
                confirmed: known.confirmed,
                main: known.main,
                ..new
            };
            let is_best = best == self.best(family, epoch).map(|best| best.seed);
            // What seals goes on to, and opens whatever it did: nothing to be done by who has it.
            if !is_best || origin != known.origin {
                self.changed();
            }
            return;
        }

        let used = self.used().len();
        let beside: Vec<usize> = (0..used).filter(|&i| known(&self.entries[i])).collect();
        let place = match self.spare(family, &new, &beside) {
            Some(spare) => spare,
            _ if used < ENTRIES => {
                self.used += 1;
                used
            }
            _ => (0..ENTRIES).min_by_key(|&i| self.entries[i].worth(unix)).expect("entries"),
        };
        self.entries[place].wipe();
        self.entries[place] = new;
        self.changed();
    }

    /// Which of those beside a new one makes room for it, where there are enough of its kind.
    fn spare(&self, family: &Family, new: &Entry, beside: &[usize]) -> Option<usize> {
        let is_told = |entry: &Entry| entry.origin == Origin::Store as u8;
        let alike = |i: &&usize| is_told(&self.entries[**i]) == is_told(new);
        let alike: Vec<usize> = beside.iter().filter(alike).copied().collect();
        if alike.len() < if is_told(new) { TOLD } else { UNTOLD } {
            return None;
        }
        let best = self.best(family, Epoch(new.epoch)).map(|entry| entry.order);
        alike.into_iter().min_by_key(|&i| {
            let entry = &self.entries[i];
            (entry.main != 0 || Some(entry.order) == best, entry.order)
        })
    }

    /// Wipes what is over, and all of it where another version has left it.
    fn clear(&mut self, family: &Family, unix: u64) {
        if self.layout != LAYOUT {
            self.entries.iter_mut().for_each(Entry::wipe);
            self.layout = LAYOUT;
            self.order = 0;
            self.used = 0;
            self.changed();
        }
        let mut i = 0;
        while i < self.used().len() {
            let last = self.used().len() - 1;
            let entry = &mut self.entries[i];
            if family.has(entry) {
                // Of two that share it, one may have sessions that last longer.
                entry.over = entry.over.max(family.rotation.over(Epoch(entry.epoch)));
            }
            if entry.over > unix {
                i += 1;
                continue;
            }
            entry.wipe();
            self.entries[i] = self.entries[last];
            self.entries[last].wipe();
            self.used = last as u64;
            self.changed();
        }
    }

    fn changed(&mut self) {
        self.generation = self.generation.wrapping_add(1);
    }
}

/// An entry of a family's own site, under its first sealing key.
fn entry(family: &Family, epoch: Epoch, seed: &Seed, origin: Origin, unix: u64) -> Entry {
    Entry {
        order: 0,
        epoch: epoch.0,
        over: family.rotation.over(epoch),
        ahead: 0,
        known: unix,
        told: 0,
        scope: family.scope,
        mark: family.marks[0],
        seed: *seed.as_bytes(),
        length: family.rotation.length(),
        depth: 0,
        site: family.sites[0],
        origin: origin as u8,
        confirmed: 0,
        main: 0,
    }
}

#[cfg(test)]
mod tests {
    use core::time::Duration;

    use super::*;
    use crate::session::sealed::tests::sealer;
    use crate::ticket::keys::tests::Sha256;

    const LENGTH: u64 = 3600;
    const NOW: u64 = 500_000 * LENGTH;
    const EPOCH: Epoch = Epoch(500_000);
    const OLD: u8 = 1;
    const NEW: u8 = 2;

    fn family_of(store: &[u8], keys: &[u8], sites: &[u8], session_timeout: u64) -> Family {
        let keys: Vec<_> = keys.iter().map(|key| [*key; 32]).collect();
        let [length, timeout] = [LENGTH, session_timeout].map(Duration::from_secs);
        let rotation = Rotation::new(length, timeout).unwrap();
        Family::new(&sealer(&keys), &Sha256, store, b"prefix:", sites, rotation).unwrap()
    }

    fn family(keys: &[u8]) -> Family {
        family_of(b"store", keys, &[0], 2 * LENGTH)
    }

    fn seed(byte: u8) -> Seed {
        Seed::new([byte; SEED_LEN])
    }

    fn begin(ring: &mut Ring, family: &Family, unix: u64, fresh: u8) {
        ring.begin(family, unix, &Sha256, || Some(seed(fresh))).unwrap();
    }

    fn learn(ring: &mut Ring, family: &Family, key: usize, epoch: u64, byte: u8) {
        let unix = NOW;
        let seed = &seed(byte);
        let told =
            Told { key, site: family.sites[0], epoch: Epoch(epoch), seed, made: unix, since: 0 };
        ring.learn(family, told, unix);
    }

    fn ratchets(byte: u8, times: usize) -> Seed {
        (0..times).fold(seed(byte), |seed, _| seed.ratchet(&Sha256).unwrap())
    }

    /// The seed that seals, if there is one.
    fn seals(ring: &Ring, family: &Family, unix: u64) -> Option<Seed> {
        let seeds = ring.seeds(family, unix);
        let (epoch, seed) = seeds.first()?;
        (*epoch == family.rotation.epoch(unix)).then(|| seed.clone())
    }

    fn opens(ring: &Ring, family: &Family, unix: u64, seed: &Seed) -> bool {
        ring.seeds(family, unix).iter().any(|(_, known)| known == seed)
    }

    fn is_wiped(ring: &Ring, byte: u8) -> bool {
        ring.entries.iter().all(|entry| entry.seed != [byte; SEED_LEN])
    }

    #[test]
    fn a_machine_without_any_has_one_of_its_own() {
        let (mut ring, family) = (Box::<Ring>::default(), family(&[OLD]));
        assert!(ring.seeds(&family, NOW).is_empty());
        assert_eq!(ring.status(&family, NOW).origin, None);

        begin(&mut ring, &family, NOW, 7);
        let generation = ring.generation();
        begin(&mut ring, &family, NOW + LENGTH - 1, 8);
        assert!(ring.seeds(&family, NOW) == [(EPOCH, seed(7))]);
        assert_eq!(ring.generation(), generation, "nothing changes while an epoch lasts");
        let status = Status { origin: Some(Origin::Own), age: 9, epochs: 1, clock_behind: None };
        assert_eq!(ring.status(&family, NOW + 9), status);

        // Its next is one way from it, and still its own.
        begin(&mut ring, &family, NOW + LENGTH, 8);
        assert!(seals(&ring, &family, NOW + LENGTH).unwrap() == ratchets(7, 1));
        assert_eq!(ring.status(&family, NOW + LENGTH).origin, Some(Origin::Own));
    }

    #[test]
    fn no_seed_where_none_could_be_made() {
        let (mut ring, family) = (Box::<Ring>::default(), family(&[OLD]));
        assert!(ring.begin(&family, NOW, &Sha256, || None).is_none());
        learn(&mut ring, &family, 0, EPOCH.0 - 1, 7);
        assert!(seals(&ring, &family, NOW).is_none());
        assert_eq!(ring.seeds(&family, NOW).len(), 1);
    }

    /// Whoever had the seed of an epoch stays in step with those that had it, whether or not it had
    /// handshakes since, and opens what they have sealed.
    #[test]
    fn what_the_store_does_not_tell_is_derived_alike() {
        let family = family(&[OLD]);
        let mut rings = [Box::<Ring>::default(), Box::<Ring>::default()];
        rings.iter_mut().for_each(|ring| learn(ring, &family, 0, EPOCH.0, 7));
        let [busy, idle] = &mut rings;
        begin(busy, &family, NOW + LENGTH, 8);
        for ring in [&mut *busy, idle] {
            begin(ring, &family, NOW + 2 * LENGTH, 9);
            let unix = NOW + 2 * LENGTH;
            assert!(seals(ring, &family, unix).unwrap() == ratchets(7, 2));
            assert!(opens(ring, &family, unix, &ratchets(7, 1)));
            assert_eq!(ring.status(&family, unix).origin, Some(Origin::Ratchet));
        }
        // Longer than the seed lasts that all began with.
        begin(busy, &family, NOW + 3 * LENGTH, 8);
        begin(busy, &family, NOW + 4 * LENGTH, 8);
        begin(busy, &family, NOW + 5 * LENGTH, 8);
        assert!(seals(busy, &family, NOW + 5 * LENGTH).unwrap() == ratchets(7, 5));
        assert_eq!(busy.status(&family, NOW + 5 * LENGTH).origin, Some(Origin::Ratchet));
    }

    /// A process that was held still has what others derived meanwhile, whatever it was told besides.
    #[test]
    fn what_is_derived_late_is_what_was_derived_in_time() {
        let family = family(&[OLD]);
        let mut rings = [Box::<Ring>::default(), Box::<Ring>::default()];
        for ring in &mut rings {
            learn(ring, &family, 0, EPOCH.0, 7);
            begin(ring, &family, NOW + LENGTH, 9);
        }
        let [busy, held] = &mut rings;
        let (epoch, unix) = (Epoch(EPOCH.0 + 1), NOW + LENGTH + 1);
        let told = Told { key: 0, site: 0, epoch, seed: &seed(8), made: unix, since: 0 };
        held.learn(&family, told, unix);
        begin(busy, &family, NOW + 2 * LENGTH, 9);
        for ring in [busy, held] {
            begin(ring, &family, NOW + 3 * LENGTH, 9);
            assert!(seals(ring, &family, NOW + 3 * LENGTH).unwrap() == ratchets(7, 3));
        }
    }

    /// The machine that was told it then is in step by the beginning of the next epoch.
    #[test]
    fn what_was_told_while_the_clock_was_ahead_is_known_by_now() {
        let (mut ring, family) =
            (Box::<Ring>::default(), family_of(b"store", &[OLD], &[0], 9 * LENGTH));
        let tell = |ring: &mut Ring, epoch, byte, unix| {
            let seed = &seed(byte);
            ring.learn(&family, Told { key: 0, site: 0, epoch, seed, made: NOW, since: 0 }, unix);
        };
        tell(&mut ring, EPOCH, 7, NOW + 8 * LENGTH);
        begin(&mut ring, &family, NOW + LENGTH, 9);
        begin(&mut ring, &family, NOW + 2 * LENGTH, 9);
        tell(&mut ring, Epoch(EPOCH.0 + 2), 8, NOW + 2 * LENGTH + 1);
        assert!(seals(&ring, &family, NOW + 2 * LENGTH + 1).unwrap() == ratchets(7, 2));
    }

    /// One machine was told the store's twice, and another once. Then the store is gone.
    #[test]
    fn what_seals_on_those_not_told_in_time_is_derived_of_first() {
        let (mut ring, family) = (Box::<Ring>::default(), family(&[OLD]));
        let tell = |ring: &mut Ring, epoch, byte, unix| {
            let seed = &seed(byte);
            let told = Told { key: 0, site: 0, epoch, seed, made: unix, since: 0 };
            ring.learn(&family, told, unix);
            begin(ring, &family, unix, 9);
        };
        let next = Epoch(EPOCH.0 + 1);
        tell(&mut ring, EPOCH, 6, NOW);
        tell(&mut ring, EPOCH, 7, NOW + LENGTH / 2);
        // What is here now seals later on: the store's others are as near, and come after it.
        begin(&mut ring, &family, NOW + LENGTH, 9);
        let main = ring.best(&family, next).unwrap().seed();
        for byte in [8, 5] {
            tell(&mut ring, next, byte, NOW + LENGTH + 1);
            tell(&mut ring, next, byte, NOW + 2 * LENGTH - 1);
        }
        begin(&mut ring, &family, NOW + 2 * LENGTH, 9);
        assert!(seals(&ring, &family, NOW + 2 * LENGTH).unwrap() == ratchets(5, 1));
        for seed in [ratchets(8, 1), main.ratchet(&Sha256).unwrap()] {
            assert!(opens(&ring, &family, NOW + 2 * LENGTH, &seed));
        }
    }

    /// Another's clock may be ahead.
    #[test]
    fn the_next_is_derived_when_it_is_near() {
        let (mut ring, family) = (Box::<Ring>::default(), family(&[OLD]));
        learn(&mut ring, &family, 0, EPOCH.0, 7);
        let lead = u64::from(family.rotation.lead());
        begin(&mut ring, &family, NOW + LENGTH - lead - 1, 8);
        assert!(!opens(&ring, &family, NOW, &ratchets(7, 1)));
        begin(&mut ring, &family, NOW + LENGTH - lead, 8);
        assert!(opens(&ring, &family, NOW, &ratchets(7, 1)));
        assert!(seals(&ring, &family, NOW).unwrap() == seed(7));

        // It is another where another was told since.
        learn(&mut ring, &family, 0, EPOCH.0, 6);
        begin(&mut ring, &family, NOW + LENGTH, 8);
        assert!(seals(&ring, &family, NOW + LENGTH).unwrap() == ratchets(6, 1));
        assert!(opens(&ring, &family, NOW + LENGTH, &ratchets(7, 1)));
    }

    /// A machine that sealed with a seed of its own before it heard of the fleet's.
    #[test]
    fn what_others_derive_as_well_is_better_than_ones_own() {
        let (mut ring, family) = (Box::<Ring>::default(), family(&[OLD]));
        begin(&mut ring, &family, NOW, 9);
        learn(&mut ring, &family, 0, EPOCH.0 - 1, 7);
        begin(&mut ring, &family, NOW, 8);
        assert!(seals(&ring, &family, NOW).unwrap() == ratchets(7, 1));
        assert!(opens(&ring, &family, NOW, &seed(9)));
    }

    #[test]
    fn what_the_store_told_last_seals() {
        let (mut ring, family) = (Box::<Ring>::default(), family(&[NEW, OLD]));
        begin(&mut ring, &family, NOW, 1);
        for (key, byte, sealing) in
            [(1, 2, 2), (1, 3, 3), (0, 4, 4), (1, 5, 4), (0, 6, 6), (0, 4, 4), (0, 6, 6)]
        {
            let before = (ring.generation(), seals(&ring, &family, NOW));
            learn(&mut ring, &family, key, EPOCH.0, byte);
            assert!(seals(&ring, &family, NOW).unwrap() == seed(sealing), "{byte}");
            if seals(&ring, &family, NOW) != before.1 {
                assert_ne!(ring.generation(), before.0);
            }
        }
        for byte in 1..=6 {
            assert!(opens(&ring, &family, NOW, &seed(byte)), "{byte}");
        }
        let generation = ring.generation();
        learn(&mut ring, &family, 0, EPOCH.0, 6);
        assert_eq!(ring.generation(), generation, "nothing new");
    }

    /// What seals goes on by what all others have, until all can have been told the store's.
    #[test]
    fn the_stores_seals_once_it_was_told_again() {
        let (mut ring, family) = (Box::<Ring>::default(), family(&[OLD]));
        let tell = |ring: &mut Ring, epoch, byte, unix, since| {
            let seed = &seed(byte);
            ring.learn(&family, Told { key: 0, site: 0, epoch, seed, made: unix, since }, unix);
            begin(ring, &family, unix, 9);
        };
        tell(&mut ring, EPOCH, 7, NOW, 0);
        assert!(seals(&ring, &family, NOW).unwrap() == seed(7), "there is no other");
        let (next, start) = (Epoch(EPOCH.0 + 1), NOW + LENGTH);
        tell(&mut ring, next, 8, NOW + LENGTH / 2, 0);
        begin(&mut ring, &family, start, 9);
        for (unix, since, byte) in [
            // Others may not have been told before the store was back.
            (start + 10, start + 5, None),
            (start + 60, start + 5, None),
            (start + LENGTH / 2, start + 5, Some(8)),
        ] {
            tell(&mut ring, next, 8, unix, since);
            let expected = byte.map_or_else(|| ratchets(7, 1), seed);
            assert!(seals(&ring, &family, unix).unwrap() == expected, "{since}");
            assert!(opens(&ring, &family, unix, &ratchets(7, 1)));
        }
    }

    #[test]
    fn what_was_derived_and_is_then_told_is_one_seed() {
        let (mut ring, family) = (Box::<Ring>::default(), family(&[OLD]));
        begin(&mut ring, &family, NOW, 7);
        learn(&mut ring, &family, 0, EPOCH.0, 7);
        assert_eq!(ring.seeds(&family, NOW).len(), 1);
        assert_eq!(ring.status(&family, NOW).origin, Some(Origin::Store));
    }

    #[test]
    fn opens_until_its_time_and_is_then_wiped() {
        let (mut ring, family) = (Box::<Ring>::default(), family(&[OLD]));
        learn(&mut ring, &family, 0, EPOCH.0, 7);
        let over = NOW + 3 * LENGTH;
        begin(&mut ring, &family, over - 1, 8);
        assert!(opens(&ring, &family, over - 1, &seed(7)) && !is_wiped(&ring, 7));
        assert!(!opens(&ring, &family, over, &seed(7)));
        let generation = ring.generation();
        begin(&mut ring, &family, over, 8);
        assert!(is_wiped(&ring, 7));
        assert_ne!(ring.generation(), generation);
    }

    /// Two servers with one store, one of which resumes sessions for longer.
    #[test]
    fn kept_for_the_longer_of_two_that_share_it() {
        let (mut ring, short) = (Box::<Ring>::default(), family(&[OLD]));
        let long = family_of(b"store", &[OLD], &[0], 5 * LENGTH);
        learn(&mut ring, &short, 0, EPOCH.0, 7);
        begin(&mut ring, &long, NOW, 8);
        begin(&mut ring, &short, NOW + 5 * LENGTH, 8);
        assert!(!opens(&ring, &short, NOW + 5 * LENGTH, &seed(7)));
        assert!(opens(&ring, &long, NOW + 5 * LENGTH, &seed(7)));
    }

    #[test]
    fn the_next_opens_and_what_is_later_does_not() {
        let (mut ring, family) = (Box::<Ring>::default(), family(&[OLD]));
        begin(&mut ring, &family, NOW, 9);
        learn(&mut ring, &family, 0, EPOCH.0 + 1, 7);
        learn(&mut ring, &family, 0, EPOCH.0 + 2, 8);
        assert!(opens(&ring, &family, NOW, &seed(7)) && !opens(&ring, &family, NOW, &seed(8)));
        assert!(seals(&ring, &family, NOW).unwrap() == seed(9));
        assert_eq!(ring.status(&family, NOW).epochs, 2);
        assert!(seals(&ring, &family, NOW + LENGTH).unwrap() == seed(7));
    }

    #[test]
    fn families_are_kept_apart() {
        let mut ring = Box::<Ring>::default();
        let first = family(&[OLD]);
        learn(&mut ring, &first, 0, EPOCH.0, 7);
        let shorter = Rotation::new(Duration::from_secs(60), Duration::from_secs(60)).unwrap();
        let stores =
            [(&b"store"[..], &b"other"[..]), (b"storep", b"refix:"), (b"storeprefix:", b"")];
        let others = stores
            .map(|(store, prefix)| (store, prefix, first.rotation))
            .into_iter()
            .chain([(&b"store"[..], &b"prefix:"[..], shorter)]);
        for (store, prefix, rotation) in others {
            let sealer = sealer(&[[OLD; 32]]);
            let other = Family::new(&sealer, &Sha256, store, prefix, &[0], rotation).unwrap();
            assert!(ring.seeds(&other, NOW).is_empty());
        }
        assert!(ring.seeds(&family(&[NEW]), NOW).is_empty());
        assert!(opens(&ring, &family(&[NEW, OLD]), NOW, &seed(7)));
        assert!(opens(&ring, &family(&[OLD]), NOW, &seed(7)));
        assert!(!opens(&ring, &family_of(b"store", &[OLD], &[1], LENGTH), NOW, &seed(7)));
    }

    #[test]
    fn seeds_of_other_sites_only_open() {
        let (mut ring, family) =
            (Box::<Ring>::default(), family_of(b"store", &[OLD], &[1, 2], LENGTH));
        let theirs = &seed(7);
        let told = Told { key: 0, site: 2, epoch: EPOCH, seed: theirs, made: NOW, since: 0 };
        ring.learn(&family, told, NOW);
        begin(&mut ring, &family, NOW, 9);
        assert!(seals(&ring, &family, NOW).unwrap() == seed(9));
        assert!(opens(&ring, &family, NOW, theirs));
        assert!(ring.is_told(&family, 0, 2, EPOCH) && !ring.is_told(&family, 0, 1, EPOCH));
        // Neither is anything derived of it.
        begin(&mut ring, &family, NOW + LENGTH, 9);
        assert!(!opens(&ring, &family, NOW + LENGTH, &ratchets(7, 1)));
    }

    /// A hostile store has what was ever added for an epoch.
    #[test]
    fn only_the_last_few_of_an_epoch_are_kept() {
        let (mut ring, family) = (Box::<Ring>::default(), family(&[OLD]));
        for byte in 1..=200 {
            learn(&mut ring, &family, 0, EPOCH.0, byte);
        }
        let seeds: Vec<_> = (197..=200).rev().map(|byte| (EPOCH, seed(byte))).collect();
        assert!(ring.seeds(&family, NOW) == seeds);
        assert!(is_wiped(&ring, 196));
    }

    #[test]
    fn a_full_ring_keeps_what_seals() {
        let mut ring = Box::<Ring>::default();
        let family = family(&[OLD]);
        learn(&mut ring, &family, 0, EPOCH.0, 7);
        for number in 0..2 * ENTRIES as u64 {
            let other = family_of(&number.to_be_bytes(), &[OLD], &[0], 30 * LENGTH);
            learn(&mut ring, &other, 0, EPOCH.0 + 9, 8);
            learn(&mut ring, &other, 0, EPOCH.0 - 1, 8);
            assert!(opens(&ring, &family, NOW, &seed(7)), "{number}");
        }
        begin(&mut ring, &family, NOW, 9);
        assert!(seals(&ring, &family, NOW).unwrap() == seed(7));
    }

    #[test]
    fn another_clock_that_is_ahead_is_told_of() {
        let (mut ring, family) = (Box::<Ring>::default(), family(&[OLD]));
        let lead = u64::from(family.rotation.lead());
        for (ahead, told) in [(0, None), (lead, None), (lead + 1, Some(lead + 1))] {
            let seed = &seed(7);
            let told_of = Told { key: 0, site: 0, epoch: EPOCH, seed, made: NOW + ahead, since: 0 };
            ring.learn(&family, told_of, NOW);
            assert_eq!(ring.status(&family, NOW).clock_behind, told);
        }
        assert_eq!(ring.status(&family, NOW + LENGTH).clock_behind, None);
    }

    #[test]
    fn what_another_version_left_is_no_seed() {
        let (mut ring, family) = (Box::<Ring>::default(), family(&[OLD]));
        learn(&mut ring, &family, 0, EPOCH.0, 7);
        ring.layout += 1;
        assert!(ring.seeds(&family, NOW).is_empty());
        begin(&mut ring, &family, NOW, 9);
        assert!(seals(&ring, &family, NOW).unwrap() == seed(9) && is_wiped(&ring, 7));

        // Whatever the bytes are.
        let full = Entry { order: u64::MAX, over: u64::MAX, origin: 9, ..ring.entries[0] };
        ring.entries = [full; ENTRIES];
        ring.order = u64::MAX;
        ring.generation = u64::MAX;
        assert!(ring.seeds(&family, NOW).is_empty());
        begin(&mut ring, &family, NOW, 9);
        learn(&mut ring, &family, 0, EPOCH.0, 7);
        assert!(seals(&ring, &family, NOW).is_some());
    }

    #[test]
    fn any_time_is_taken() {
        let family = family(&[OLD]);
        let mut ring = Box::<Ring>::default();
        for unix in [u64::MAX, 0, NOW, u64::MAX - LENGTH, 1, NOW + 1000 * LENGTH, NOW] {
            begin(&mut ring, &family, unix, 9);
            ring.seeds(&family, unix);
            ring.status(&family, unix);
        }
        assert!(seals(&ring, &family, NOW).is_some());
    }
}
