//! What is told of a server: a change at once, but not the same over and over.

use std::mem;
use std::time::Duration;

use crate::time::{earliest, Instant};

/// What goes wrong again and again is told once in this time.
const PERIOD: Duration = Duration::from_secs(1);

/// What stays wrong is told again each time that so long has passed.
const REMINDER: Duration = Duration::from_secs(5 * 60);

/// So many reasons are told of one time that the server is down.
const MAX_REASONS: usize = 8;

/// A line for the log about a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Line<A> {
    /// The server is of use.
    Up {
        /// Where it is.
        address: A,
        /// That it was down was told.
        was_down: bool,
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
    /// It has been down for a long time.
    DownFor {
        /// Where it was looked for.
        address: A,
        /// For so long.
        time: Duration,
        /// Why, the last time.
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
    /// It could not be for a long time.
    UnresolvedFor {
        /// For so long.
        time: Duration,
        /// Why, the last time.
        reason: String,
        /// Whether it has addresses from before.
        has_addresses: bool,
    },
    /// It was looked up again.
    Resolved {
        /// Whether it had addresses when it was told that it could not be.
        had_addresses: bool,
    },
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
    /// That it is down was told, and it was not told since that it is up.
    told_down: Option<Trouble>,
    /// Where it was looked for last that it is down, and why.
    last: Option<(A, String)>,
    /// The reasons that were told since it was up.
    reasons: Vec<String>,
    /// Another reason, of a server that is down still.
    other_reason: Option<(A, String)>,
    /// Requests that the server has refused.
    refusals: Repeated<A>,
    is_of_cluster: bool,
    /// The last line about its name is that it cannot be looked up, with addresses from before or
    /// without.
    told_unresolved: Option<(Trouble, bool)>,
}

/// What was told, and is told again as long as it lasts.
struct Trouble {
    since: Instant,
    again: Instant,
}

impl Trouble {
    fn new(now: Instant) -> Self {
        Self { since: now, again: now + REMINDER }
    }

    /// For how long, where it is time to tell that.
    fn reminder(&mut self, now: Instant) -> Option<Duration> {
        let is_due = self.again <= now;
        if is_due {
            self.again = now + REMINDER;
        }
        is_due.then(|| now.since(self.since))
    }
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
            told_down: None,
            last: None,
            reasons: Vec::new(),
            other_reason: None,
            refusals: Repeated::new(now),
            is_of_cluster: false,
            told_unresolved: None,
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
        self.last = Some((address.clone(), reason.clone()));
        self.downs.add(1, address, reason);
    }

    /// The server is still down. Each reason is told once: two may come in turn, over and over.
    pub(crate) fn still_down(&mut self, address: &A, reason: String) {
        self.other_reason = None;
        self.last = Some((address.clone(), reason.clone()));
        if !self.reasons.contains(&reason) && self.reasons.len() < MAX_REASONS {
            self.other_reason = Some((address.clone(), reason));
        }
    }

    /// The server has refused so many requests; `reason` is what it said to one of them.
    pub(crate) fn refused(&mut self, count: u32, address: &A, reason: String, is_of_cluster: bool) {
        self.refusals.add(count, address, reason);
        self.is_of_cluster = is_of_cluster;
    }

    /// Nothing is told again: the client ends.
    pub(crate) fn end(&mut self) {
        self.told_down = None;
    }

    /// When there is something to tell that waits for its time.
    pub(crate) fn due(&self) -> Option<Instant> {
        let other_reason = self.other_reason.is_some().then_some(self.downs.next);
        let reminder = self.told_down.as_ref().map(|down| down.again);
        earliest([self.downs.due(), other_reason, reminder, self.refusals.due()])
    }

    /// Tells what it is time to tell; `up` is the address of a server that is up now.
    pub(crate) fn tell(&mut self, up: Option<&A>, now: Instant, mut line: impl FnMut(Line<A>)) {
        if let Some((count, address, reason)) = self.downs.take(now) {
            self.reasons.push(reason.clone());
            line(Line::Down { address, count, reason });
            self.told_down.get_or_insert_with(|| Trouble::new(now));
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
            let was_down = self.told_down.take().is_some();
            line(Line::Up { address: address.clone(), was_down });
            self.told_up = true;
        }
        let time = self.told_down.as_mut().and_then(|down| down.reminder(now));
        if let (Some(time), Some((address, reason))) = (time, &self.last) {
            line(Line::DownFor { address: address.clone(), time, reason: reason.clone() });
        }
        if let Some((count, address, reason)) = self.refusals.take(now) {
            let is_of_cluster = self.is_of_cluster;
            line(Line::Refuses { address, count, reason, is_of_cluster });
        }
    }

    /// The server's name could not be looked up.
    pub(crate) fn unresolved(
        &mut self,
        reason: String,
        has_addresses: bool,
        now: Instant,
    ) -> Option<Line<A>> {
        if let Some((trouble, _)) = &mut self.told_unresolved {
            let time = trouble.reminder(now)?;
            return Some(Line::UnresolvedFor { time, reason, has_addresses });
        }
        self.told_unresolved = Some((Trouble::new(now), has_addresses));
        Some(Line::Unresolved { reason, has_addresses })
    }

    /// The server's name was looked up.
    pub(crate) fn resolved(&mut self) -> Option<Line<A>> {
        let (_, had_addresses) = self.told_unresolved.take()?;
        Some(Line::Resolved { had_addresses })
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

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Instant {
        Instant::from_millis(1_000_000 + seconds * 1_000)
    }

    fn told(log: &mut Log<&'static str>, up: Option<&'static str>, seconds: u64) -> Vec<String> {
        let mut lines = Vec::new();
        log.tell(up.as_ref(), at(seconds), |line| lines.push(format!("{line:?}")));
        lines
    }

    fn down_for(minutes: u64, reason: &str) -> String {
        let time = Duration::from_secs(minutes * 60);
        format!("{:?}", Line::DownFor { address: "a", time, reason: reason.into() })
    }

    #[test]
    fn what_is_down_for_long_is_told_again_every_five_minutes() {
        let mut log = Log::new(at(0));
        log.went_down(&"a", "refused".into());
        assert_eq!(told(&mut log, None, 0).len(), 1);
        assert_eq!(log.due(), Some(at(300)));
        log.still_down(&"a", "refused".into());
        assert_eq!(told(&mut log, None, 299), [""; 0]);
        assert_eq!(told(&mut log, None, 300), [down_for(5, "refused")]);
        assert_eq!(told(&mut log, None, 301), [""; 0]);

        log.still_down(&"a", "timed out".into());
        assert_eq!(told(&mut log, None, 400).len(), 1, "another reason");
        assert_eq!(told(&mut log, None, 600), [down_for(10, "timed out")]);

        log.went_up();
        let up = format!("{:?}", Line::Up { address: "a", was_down: true });
        assert_eq!(told(&mut log, Some("a"), 700), [up]);
        assert_eq!(log.due(), None);
    }

    /// Not even once more by a worker that serves its last clients.
    #[test]
    fn a_client_that_ends_is_told_nothing_again() {
        let mut log = Log::new(at(0));
        log.went_down(&"a", "refused".into());
        told(&mut log, None, 0);
        log.end();
        assert_eq!(log.due(), None);
        assert_eq!(told(&mut log, None, 300), [""; 0]);
    }

    #[test]
    fn the_first_time_that_a_server_is_up_ends_nothing() {
        let mut log = Log::new(at(0));
        log.went_up();
        let up = format!("{:?}", Line::Up { address: "a", was_down: false });
        assert_eq!(told(&mut log, Some("a"), 0), [up]);
    }

    #[test]
    fn a_name_that_is_not_known_for_long_is_told_again() {
        let mut log = Log::<&str>::new(at(0));
        let mut unresolved = |seconds| log.unresolved("no".into(), true, at(seconds));
        let (reason, has_addresses) = (String::from("no"), true);
        assert_eq!(unresolved(0), Some(Line::Unresolved { reason: reason.clone(), has_addresses }));
        assert_eq!(unresolved(299), None);
        let time = Duration::from_secs(301);
        assert_eq!(unresolved(301), Some(Line::UnresolvedFor { time, reason, has_addresses }));
        assert_eq!(unresolved(600), None);
        assert_eq!(log.resolved(), Some(Line::Resolved { had_addresses: true }));
        assert_eq!(log.resolved(), None);
    }
}
