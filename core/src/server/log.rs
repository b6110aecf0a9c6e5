//! What is told of a server: a change at once, but not the same over and over.

use std::mem;
use std::time::Duration;

use crate::time::{earliest, Instant};

/// What goes wrong again and again is told once in this time.
const PERIOD: Duration = Duration::from_secs(1);

/// So many reasons are told of one time that the server is down.
const MAX_REASONS: usize = 8;

/// A line for the log about a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Line<A> {
    /// The server is of use.
    Up {
        /// Where it is.
        address: A,
    },
    /// It is not any more, so many times since the last such line.
    Down {
        /// Where it was.
        address: A,
        /// How often.
        count: u32,
        /// Why, the last time.
        reason: String,
    },
    /// It still is not, for another reason.
    StillDown {
        /// Where it was looked for.
        address: A,
        /// Why.
        reason: String,
    },
    /// It has refused so many requests since the last such line.
    Refuses {
        /// Where it is.
        address: A,
        /// How many.
        count: u32,
        /// What it said to one of them.
        reason: String,
        /// It is one of a cluster, and has not got what it was asked for.
        is_of_cluster: bool,
    },
    /// The server's name could not be looked up.
    Unresolved {
        /// Why.
        reason: String,
        /// Whether it has addresses from before.
        has_addresses: bool,
    },
    /// It was looked up again.
    Resolved,
    /// This address is not used any more, for another one or as it is none of the server's.
    Dropped {
        /// Which.
        address: A,
    },
}

/// What is known of a server, and what of that was told.
pub(crate) struct Log<A> {
    health: Health,
    /// Whether the last line told is that it is up.
    told_up: bool,
    /// How often the server has gone down.
    downs: Repeated<A>,
    /// The reasons that were told since it was up.
    reasons: Vec<String>,
    /// Another reason, of a server that is down still.
    other_reason: Option<(A, String)>,
    /// Requests that the server has refused.
    refusals: Repeated<A>,
    is_of_cluster: bool,
    /// Whether the last line about its name is that it cannot be looked up.
    told_unresolved: bool,
}

/// What was last concluded of a server.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Health {
    Unknown,
    Up,
    Down,
}

/// What happens again and again, counted until it is told.
struct Repeated<A> {
    count: u32,
    /// Of the last time: where, and why.
    last: Option<(A, String)>,
    /// Not told before.
    next: Instant,
}

impl<A: Clone> Log<A> {
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            health: Health::Unknown,
            told_up: false,
            downs: Repeated::new(now),
            reasons: Vec::new(),
            other_reason: None,
            refusals: Repeated::new(now),
            is_of_cluster: false,
            told_unresolved: false,
        }
    }

    pub(crate) fn is_unknown(&self) -> bool {
        self.health == Health::Unknown
    }

    pub(crate) fn is_up(&self) -> bool {
        self.health == Health::Up
    }

    pub(crate) fn went_up(&mut self) {
        self.health = Health::Up;
    }

    /// The server was up, or nothing was known of it.
    pub(crate) fn went_down(&mut self, address: &A, reason: String) {
        self.health = Health::Down;
        self.downs.add(1, address, reason);
    }

    /// The server is still down. Each reason is told once: two may come in turn, over and over.
    pub(crate) fn still_down(&mut self, address: &A, reason: String) {
        self.other_reason = None;
        if !self.reasons.contains(&reason) && self.reasons.len() < MAX_REASONS {
            self.other_reason = Some((address.clone(), reason));
        }
    }

    /// The server has refused so many requests; `reason` is what it said to one of them.
    pub(crate) fn refused(&mut self, count: u32, address: &A, reason: String, is_of_cluster: bool) {
        self.refusals.add(count, address, reason);
        self.is_of_cluster = is_of_cluster;
    }

    /// When there is something to tell that waits for its time.
    pub(crate) fn due(&self) -> Option<Instant> {
        let other_reason = self.other_reason.is_some().then_some(self.downs.next);
        earliest([self.downs.due(), other_reason, self.refusals.due()])
    }

    /// Tells what it is time to tell; `up` is the address of a server that is up now.
    pub(crate) fn tell(&mut self, up: Option<&A>, now: Instant, mut line: impl FnMut(Line<A>)) {
        if let Some((count, address, reason)) = self.downs.take(now) {
            self.reasons.push(reason.clone());
            line(Line::Down { address, count, reason });
            self.told_up = false;
        }
        if up.is_some() {
            self.other_reason = None;
        }
        if self.downs.next <= now {
            if let Some((address, reason)) = self.other_reason.take() {
                self.downs.next = now + PERIOD;
                self.reasons.push(reason.clone());
                line(Line::StillDown { address, reason });
            }
        }
        if let (Some(address), false) = (up, self.told_up) {
            self.reasons.clear();
            line(Line::Up { address: address.clone() });
            self.told_up = true;
        }
        if let Some((count, address, reason)) = self.refusals.take(now) {
            let is_of_cluster = self.is_of_cluster;
            line(Line::Refuses { address, count, reason, is_of_cluster });
        }
    }

    /// The server's name could not be looked up.
    pub(crate) fn unresolved(&mut self, reason: String, has_addresses: bool) -> Option<Line<A>> {
        let is_told = mem::replace(&mut self.told_unresolved, true);
        (!is_told).then_some(Line::Unresolved { reason, has_addresses })
    }

    /// The server's name was looked up.
    pub(crate) fn resolved(&mut self) -> Option<Line<A>> {
        mem::take(&mut self.told_unresolved).then_some(Line::Resolved)
    }

    /// The address is not used any more.
    pub(crate) fn dropped(&mut self, address: &A) -> Line<A> {
        self.told_up = false;
        Line::Dropped { address: address.clone() }
    }
}

impl<A: Clone> Repeated<A> {
    fn new(now: Instant) -> Self {
        Self { count: 0, last: None, next: now }
    }

    fn add(&mut self, count: u32, address: &A, reason: String) {
        self.count = self.count.saturating_add(count);
        self.last = Some((address.clone(), reason));
    }

    /// When there is something to tell.
    fn due(&self) -> Option<Instant> {
        self.last.is_some().then_some(self.next)
    }

    /// What there is to tell, where it is time to.
    fn take(&mut self, now: Instant) -> Option<(u32, A, String)> {
        if self.next > now {
            return None;
        }
        let (address, reason) = self.last.take()?;
        self.next = now + PERIOD;
        Some((mem::take(&mut self.count), address, reason))
    }
}
