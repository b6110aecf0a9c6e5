//! How long to wait before the next attempt to connect.

use std::time::Duration;

use crate::random::Random;

/// How long to wait before the next attempt to connect.
///
/// The wait grows by `interval` with each failure, to three times `interval`, and is drawn evenly
/// from the upper half of that: workers and machines spread out, and with the default of 200 ms a
/// store that returns is asked again after at most 600 ms.
#[derive(Clone, Debug)]
pub struct Backoff {
    interval: Duration,
    failures: u32,
    random: Random,
}

impl Backoff {
    const MAX_INTERVALS: u32 = 3;

    /// `seed` should differ between workers and machines.
    pub fn new(interval: Duration, seed: u64) -> Self {
        Self { interval, failures: 0, random: Random::new(seed) }
    }

    /// The wait after one more failure.
    pub fn failed(&mut self) -> Duration {
        self.failures = (self.failures + 1).min(Self::MAX_INTERVALS);
        let half = self.interval.saturating_mul(self.failures) / 2;
        half + half.mul_f64(self.random.fraction())
    }

    /// The store is usable: the next failure is a first one.
    pub fn succeeded(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INTERVAL: Duration = Duration::from_millis(200);

    #[test]
    fn grows_to_three_intervals_and_starts_again() {
        let mut backoff = Backoff::new(INTERVAL, 1);
        for failures in [1, 2, 3, 3, 3] {
            let wait = backoff.failed();
            assert!(wait >= INTERVAL * failures / 2 && wait < INTERVAL * failures, "{wait:?}");
        }
        backoff.succeeded();
        assert!(backoff.failed() < INTERVAL);
    }

    #[test]
    fn seeds_spread_out() {
        let mut tenths = [0; 10];
        for seed in 0..1000 {
            let wait = Backoff::new(INTERVAL, seed).failed() - INTERVAL / 2;
            tenths[wait.as_millis() as usize / 10] += 1;
        }
        assert!(tenths.iter().all(|&count| count > 50), "{tenths:?}");
    }
}
