//! The way back from a later address of a server to the first one that is up.

use std::mem;
use std::time::Duration;

use crate::time::Instant;

/// While an address other than the first one is in use, those before it are tried after this time.
/// The time doubles with each return to one that does not last.
const RETURN_AFTER: Duration = Duration::from_secs(2);
const RETURN_AFTER_MAX: Duration = Duration::from_secs(300);

/// They are tried over and over, each time after twice as long, up to this or to the time above.
const PAUSE_MAX: Duration = Duration::from_secs(30);

/// A return lasts where the address was in use for so long.
const LASTING: Duration = Duration::from_secs(60);

/// When the addresses before the one in use are tried, and when one of them is changed to.
pub(crate) struct Homing {
    /// How long after a change to a later address those before it are tried.
    wait: Duration,
    /// How long after the last attempt the next one follows.
    pause: Duration,
    /// When the next attempt is due, if one is.
    scout_at: Option<Instant>,
    /// The address that is being tried.
    address: usize,
    /// That address is usable: it is changed to when nothing is waited for, or at this time.
    switch_at: Option<Instant>,
    /// Whether the address in use was returned to.
    has_returned: bool,
}

impl Homing {
    pub(crate) fn new() -> Self {
        Self {
            wait: RETURN_AFTER,
            pause: RETURN_AFTER,
            scout_at: None,
            address: 0,
            switch_at: None,
            has_returned: false,
        }
    }

    /// When an attempt is due, and when a change is.
    pub(crate) fn times(&self) -> [Option<Instant>; 2] {
        [self.scout_at, self.switch_at]
    }

    /// This address is in use from now on.
    pub(crate) fn arrived(&mut self, address: usize, now: Instant) {
        self.pause = self.wait;
        self.plan(address, now);
    }

    /// Plans when the addresses before the one in use are tried next.
    pub(crate) fn plan(&mut self, address: usize, now: Instant) {
        self.scout_at = (address > 0).then(|| now + self.pause);
    }

    /// The first address to try, where it is time to.
    pub(crate) fn scout_if_due(&mut self, now: Instant) -> Option<usize> {
        self.scout_at.take_if(|at| *at <= now)?;
        self.address = 0;
        Some(self.address)
    }

    /// An address was tried, of those before the one in use; returns the next one to try.
    pub(crate) fn scouted(
        &mut self,
        is_usable: bool,
        in_use: usize,
        patience: Duration,
        now: Instant,
    ) -> Option<usize> {
        if is_usable {
            self.switch_at = Some(now + patience);
            return None;
        }
        self.address += 1;
        if self.address < in_use {
            return Some(self.address);
        }
        self.pause = (self.pause * 2).min(self.wait.max(PAUSE_MAX));
        self.plan(in_use, now);
        None
    }

    /// The address to change to, where it is time to: at once where nothing is waited for.
    pub(crate) fn switch_if_due(&mut self, is_drained: bool, now: Instant) -> Option<usize> {
        self.switch_at.take_if(|at| is_drained || *at <= now)?;
        self.has_returned = true;
        Some(self.address)
    }

    /// What was found is of no more use: there is another connection, or none, or other addresses.
    pub(crate) fn forget_switch(&mut self) {
        self.switch_at = None;
    }

    /// Nothing is tried for now.
    pub(crate) fn pause(&mut self) {
        self.scout_at = None;
        self.switch_at = None;
    }

    /// The connection to the address in use is lost, which was ready for so long; the address is
    /// left or not.
    pub(crate) fn lost(&mut self, ready_for: Option<Duration>, is_left: bool) {
        if ready_for.is_some_and(|span| span >= LASTING) {
            self.wait = RETURN_AFTER;
            self.has_returned = false;
        } else if is_left && mem::take(&mut self.has_returned) {
            self.wait = (self.wait * 2).min(RETURN_AFTER_MAX);
        }
    }
}
