//! How many lines of the log a cluster may take: it names as many nodes as it likes.

use core::cell::Cell;

use ssl_session_cache_core::Instant;

/// So many lines at once, and one more each second.
const LINES: u64 = 100;

/// The lines that are left.
pub(super) struct Quota {
    /// Those that were taken count from here: a line each second.
    since: Cell<Instant>,
    taken: Cell<u64>,
    left_out: Cell<u64>,
}

impl Quota {
    pub(super) fn new(now: Instant) -> Self {
        Self { since: Cell::new(now), taken: Cell::new(0), left_out: Cell::new(0) }
    }

    /// Takes a line, and tells how many were left out since the last one; `None` where this one is.
    pub(super) fn take(&self, now: Instant) -> Option<u64> {
        let regained = now.since(self.since.get()).as_secs();
        if regained > 0 {
            self.since.set(now);
            self.taken.set(self.taken.get().saturating_sub(regained));
        }
        if self.taken.get() >= LINES {
            self.left_out.set(self.left_out.get() + 1);
            return None;
        }
        self.taken.set(self.taken.get() + 1);
        Some(self.left_out.take())
    }
}
