use std::time::Duration;

use crate::time::Instant;

/// Stops lookups at a store that answers too late, or not at all.
///
/// See [`Pipeline`](crate::Pipeline) for its rules in the operator's terms.
#[derive(Debug)]
pub(crate) struct Breaker {
    state: State,
    /// So many timeouts in a row open it.
    threshold: u32,
    interval: Duration,
}

#[derive(Debug)]
enum State {
    /// Lookups go out; so many in a row have timed out.
    Closed { timeouts: u32 },
    /// Lookups are turned away; a probe is due at this time.
    Open { probe_at: Instant },
    /// Lookups are turned away; a probe is on its way.
    Probing,
    /// The probe was answered in time: one lookup may go out.
    HalfOpen,
    /// That lookup is on its way; others are turned away.
    Trying,
}

impl Breaker {
    pub(crate) fn new(timeout: Duration, interval: Duration) -> Self {
        let threshold = timeout.as_millis() / interval.as_millis().max(1);
        let threshold = threshold.clamp(3, 10) as u32;
        Self { state: State::Closed { timeouts: 0 }, threshold, interval }
    }

    pub(crate) fn is_closed(&self) -> bool {
        matches!(self.state, State::Closed { .. })
    }

    pub(crate) fn is_open(&self) -> bool {
        matches!(self.state, State::Open { .. } | State::Probing)
    }

    pub(crate) fn admits(&self) -> bool {
        matches!(self.state, State::Closed { .. } | State::HalfOpen)
    }

    /// When a probe must be sent.
    pub(crate) fn probe_at(&self) -> Option<Instant> {
        match self.state {
            State::Open { probe_at } => Some(probe_at),
            _ => None,
        }
    }

    pub(crate) fn lookup_sent(&mut self) {
        if let State::HalfOpen = self.state {
            self.state = State::Trying;
        }
    }

    pub(crate) fn lookup_answered(&mut self) {
        if let State::Closed { .. } | State::Trying = self.state {
            self.state = State::Closed { timeouts: 0 };
        }
    }

    pub(crate) fn lookup_timed_out(&mut self, now: Instant) {
        match &mut self.state {
            State::Closed { timeouts } => {
                *timeouts += 1;
                if *timeouts >= self.threshold {
                    self.state = State::Open { probe_at: now };
                }
            }
            State::Trying => self.state = State::Open { probe_at: now + self.interval },
            // Asked before the breaker opened.
            State::Open { .. } | State::Probing | State::HalfOpen => {}
        }
    }

    pub(crate) fn probe_sent(&mut self) {
        self.state = State::Probing;
    }

    pub(crate) fn ping_answered(&mut self, in_time: bool, now: Instant) {
        if let State::Open { .. } | State::Probing = self.state {
            self.state = if in_time {
                State::HalfOpen
            } else {
                State::Open { probe_at: now + self.interval }
            };
        }
    }

    /// The connection is gone: the greeting of the next is the probe. Only answers close the
    /// breaker, or else a store that answers nothing but greetings would pass for a healthy one.
    pub(crate) fn disconnected(&mut self) {
        if !self.is_closed() {
            self.state = State::Probing;
        }
    }
}
