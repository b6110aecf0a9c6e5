use std::ops::Add;
use std::time::Duration;

/// A moment on the caller's monotonic clock, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant(u64);

impl Instant {
    /// The moment at which the caller's clock shows `millis`.
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis)
    }

    /// The time from `earlier` until this moment; zero where `earlier` is in fact later.
    pub const fn since(self, earlier: Instant) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

/// Saturates at the end of time. Parts of a millisecond are dropped.
impl Add<Duration> for Instant {
    type Output = Instant;

    fn add(self, span: Duration) -> Instant {
        let millis =
            span.as_secs().saturating_mul(1000).saturating_add(u64::from(span.subsec_millis()));
        Instant(self.0.saturating_add(millis))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn adds_and_subtracts_without_wrapping() {
        let start = Instant::from_millis(1_000);
        let later = start + Duration::from_millis(250);

        assert_eq!(later.since(start), Duration::from_millis(250));
        assert_eq!(start.since(later), Duration::ZERO);
        assert_eq!(start + Duration::MAX, Instant::from_millis(u64::MAX));
    }
}
