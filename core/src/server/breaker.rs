//! Whether lookups are worth their wait.

use std::time::Duration;

use crate::time::Instant;

/// Stops lookups at a store that answers too late, or not at all. It outlives connections: what
/// counts is whether lookups are answered in time.
///
/// See [`Server`](crate::server::Server) for its rules in the operator's terms.
#[derive(Debug)]
pub(crate) struct Breaker {
    state: State,
    settings: Settings,
    /// Failures in a row: it opened, or a lookup that was let through to try was in vain.
    failures: u32,
    /// When it was closed last.
    closed_at: Option<Instant>,
}

#[derive(Debug)]
struct Settings {
    /// So many lookups in vain in a row open it.
    threshold: u32,
    interval: Duration,
    timeout: Duration,
}

#[derive(Debug)]
enum State {
    /// Lookups go out; so many in a row were in vain.
    Closed { in_vain: u32 },
    /// Lookups are turned away; a probe is due at this time.
    Open { probe_at: Instant },
    /// Lookups are turned away; a probe is on its way.
    Probing,
    /// The probe was answered in time: lookups go out one at a time, the next one when the one
    /// before has ended, with one request to add behind each. They have been answered in time since
    /// `good_since`.
    Trying { good_since: Option<Instant>, is_out: bool, is_followed: bool },
}

impl Breaker {
    /// The wait after a lookup that tried in vain grows to so many timeouts, which is what that
    /// lookup has cost.
    const MAX_WAIT: u32 = 5;

    /// Lookups go out one at a time for a timeout after a first failure, and for at most so many.
    const MAX_TRIAL: u32 = 4;

    /// After so many timeouts without a failure the next one is a first one.
    const FORGIVEN: u32 = 10;

    pub(crate) fn new(timeout: Duration, interval: Duration) -> Self {
        let threshold = timeout.as_millis() / interval.as_millis().max(1);
        let threshold = threshold.clamp(3, 10) as u32;
        Self {
            state: State::Closed { in_vain: 0 },
            settings: Settings { threshold, interval, timeout },
            failures: 0,
            closed_at: None,
        }
    }

    pub(crate) fn is_closed(&self) -> bool {
        matches!(self.state, State::Closed { .. })
    }

    pub(crate) fn is_open(&self) -> bool {
        matches!(self.state, State::Open { .. } | State::Probing)
    }

    /// Whether lookups go out, and the last ones were answered in time.
    pub(crate) fn is_answering(&self) -> bool {
        matches!(self.state, State::Closed { .. } | State::Trying { good_since: Some(_), .. })
    }

    pub(crate) fn admits(&self) -> bool {
        matches!(self.state, State::Closed { .. } | State::Trying { is_out: false, .. })
    }

    /// As [`admits`](Self::admits), for a request to add: one goes out behind a lookup, and takes no time of
    /// its own.
    pub(crate) fn admits_addition(&self) -> bool {
        self.admits() || matches!(self.state, State::Trying { is_followed: false, .. })
    }

    /// When a probe must be sent.
    pub(crate) fn probe_at(&self) -> Option<Instant> {
        match self.state {
            State::Open { probe_at } => Some(probe_at),
            _ => None,
        }
    }

    pub(crate) fn lookup_sent(&mut self) {
        if let State::Trying { is_out, is_followed, .. } = &mut self.state {
            *is_out = true;
            *is_followed = false;
        }
    }

    pub(crate) fn addition_sent(&mut self) {
        if let State::Trying { is_out, is_followed, .. } = &mut self.state {
            *is_followed = *is_out;
            *is_out = true;
        }
    }

    /// A lookup was answered in time.
    pub(crate) fn lookup_answered(&mut self, now: Instant) {
        match &mut self.state {
            State::Closed { in_vain } => *in_vain = 0,
            State::Trying { good_since, is_out, .. } => {
                good_since.get_or_insert(now);
                *is_out = false;
                self.close_if_tried(now);
            }
            State::Open { .. } | State::Probing => {}
        }
    }

    /// A lookup ended without an answer; `in_vain` where it has waited for that.
    pub(crate) fn lookup_unanswered(&mut self, in_vain: bool, now: Instant) {
        match &mut self.state {
            State::Closed { in_vain: count } if in_vain => {
                *count += 1;
                if *count >= self.settings.threshold {
                    self.open(now);
                }
            }
            State::Trying { .. } if in_vain => self.trial_failed(now),
            State::Trying { is_out, .. } => *is_out = false,
            // Asked before the breaker opened, or no harm done.
            State::Closed { .. } | State::Open { .. } | State::Probing => {}
        }
    }

    /// The connection is of no more use, as it was silent.
    pub(crate) fn silent(&mut self, now: Instant) {
        match self.state {
            State::Closed { .. } => self.open(now),
            State::Trying { .. } => self.trial_failed(now),
            State::Open { .. } => {}
            State::Probing => self.state = State::Open { probe_at: now },
        }
    }

    pub(crate) fn probe_sent(&mut self) {
        self.state = State::Probing;
    }

    /// A probe, or the greeting of a new connection, was answered.
    pub(crate) fn probe_answered(&mut self, in_time: bool, now: Instant) {
        match self.state {
            State::Open { probe_at } if probe_at > now => {}
            State::Open { .. } | State::Probing if in_time => {
                self.state = State::Trying { good_since: None, is_out: false, is_followed: false };
            }
            State::Open { .. } | State::Probing => {
                self.state = State::Open { probe_at: now + self.settings.interval };
            }
            State::Trying { .. } if in_time => self.close_if_tried(now),
            State::Trying { .. } | State::Closed { .. } => {}
        }
    }

    /// The connection is gone: the greeting of the next is a probe. Only lookups close the breaker,
    /// or else a store that answers nothing but greetings would pass for a healthy one.
    pub(crate) fn disconnected(&mut self, now: Instant) {
        if let State::Trying { .. } | State::Probing = self.state {
            self.state = State::Open { probe_at: now };
        }
    }

    fn open(&mut self, now: Instant) {
        let span = self.settings.timeout.saturating_mul(Self::FORGIVEN);
        if self.closed_at.is_none_or(|closed_at| now.since(closed_at) >= span) {
            self.failures = 0;
        }
        self.failures += 1;
        self.state = State::Open { probe_at: now };
    }

    fn trial_failed(&mut self, now: Instant) {
        let Settings { interval, timeout, .. } = self.settings;
        let wait = interval.saturating_mul(self.doublings());
        let longest = timeout.saturating_mul(Self::MAX_WAIT).max(interval);
        self.failures = self.failures.saturating_add(1);
        self.state = State::Open { probe_at: now + wait.min(longest) };
    }

    fn close_if_tried(&mut self, now: Instant) {
        let span = self.settings.timeout.saturating_mul(self.doublings().min(Self::MAX_TRIAL));
        let State::Trying { good_since: Some(since), is_out: false, .. } = self.state else {
            return;
        };
        if now.since(since) >= span {
            self.state = State::Closed { in_vain: 0 };
            self.closed_at = Some(now);
        }
    }

    /// One after the first failure, twice as many after each further one.
    fn doublings(&self) -> u32 {
        1 << self.failures.saturating_sub(1).min(20)
    }
}
