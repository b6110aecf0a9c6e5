//! When handshakes are started, and when no more are.

use std::time::{Duration, Instant};

/// The limits of one part of a run.
pub struct Schedule {
    begin: Instant,
    started: u64,
    count: Option<u64>,
    duration: Option<Duration>,
    rate: Option<f64>,
}

/// When the next handshake is due.
#[derive(Debug, PartialEq, Eq)]
pub enum Due {
    /// At once.
    Now,
    /// Not before this time.
    At(Instant),
    /// No more are started.
    Never,
}

impl Schedule {
    /// As many as `count`, as fast as they go.
    pub fn count(begin: Instant, count: u64) -> Self {
        Self { begin, started: 0, count: Some(count), duration: None, rate: None }
    }

    /// Within all the given limits; `rate` is per second.
    pub fn new(
        begin: Instant,
        count: Option<u64>,
        duration: Option<Duration>,
        rate: Option<f64>,
    ) -> Self {
        Self { begin, started: 0, count, duration, rate }
    }

    /// When the next handshake is due.
    pub fn due(&self, now: Instant) -> Due {
        let over = self.duration.is_some_and(|duration| now >= self.begin + duration)
            || self.count.is_some_and(|count| self.started >= count);
        if over {
            return Due::Never;
        }
        match self.rate.map(|rate| Duration::from_secs_f64(self.started as f64 / rate)) {
            Some(offset) if now < self.begin + offset => Due::At(self.begin + offset),
            _ => Due::Now,
        }
    }

    /// Counts a handshake that has started.
    pub fn start_one(&mut self) {
        self.started += 1;
    }

    /// Starts no more.
    pub fn stop(&mut self) {
        self.count = Some(self.started);
    }

    /// How much of the run is behind, from 0 to 1, when `ended` of its handshakes have ended.
    pub fn fraction(&self, now: Instant, ended: u64) -> f64 {
        let by_count = self.count.map_or(0.0, |count| ended as f64 / count.max(1) as f64);
        let by_time = self.duration.map_or(0.0, |duration| {
            (now - self.begin).as_secs_f64() / duration.as_secs_f64().max(f64::MIN_POSITIVE)
        });
        by_count.max(by_time).min(1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_count_ends_the_run() {
        let begin = Instant::now();
        let mut schedule = Schedule::count(begin, 1);
        assert_eq!(schedule.due(begin), Due::Now);
        schedule.start_one();
        assert_eq!(schedule.due(begin), Due::Never);
    }

    #[test]
    fn a_duration_ends_the_run() {
        let begin = Instant::now();
        let schedule = Schedule::new(begin, None, Some(SECOND), None);
        assert_eq!(schedule.due(begin + SECOND / 2), Due::Now);
        assert_eq!(schedule.due(begin + SECOND), Due::Never);
        assert_eq!(schedule.fraction(begin + SECOND / 2, 0), 0.5);
    }

    #[test]
    fn a_rate_spaces_the_starts() {
        let begin = Instant::now();
        let mut schedule = Schedule::new(begin, None, None, Some(2.0));
        assert_eq!(schedule.due(begin), Due::Now);
        schedule.start_one();
        assert_eq!(schedule.due(begin), Due::At(begin + SECOND / 2));
        assert_eq!(schedule.due(begin + SECOND / 2), Due::Now);
    }
}
