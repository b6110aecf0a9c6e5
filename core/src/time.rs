//! Time as the caller measures it.

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

    /// The moment near this one, at most 24 days from it, at which a clock of 32 bits shows `millis`.
    pub const fn nearest(self, millis: u32) -> Self {
        let change = millis.wrapping_sub(self.0 as u32) as i32;
        Self(self.0.saturating_add_signed(change as i64))
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

/// The earliest of some times, if there are any.
pub(crate) fn earliest<const N: usize>(times: [Option<Instant>; N]) -> Option<Instant> {
    // What the compiler makes of flatten() and min() here compares the time of a None before it
    // looks at whether there is one: right, and an error to memcheck.
    times.into_iter().fold(None, |earliest: Option<Instant>, time| match (earliest, time) {
        (Some(earliest), Some(time)) => Some(earliest.min(time)),
        (earliest, time) => earliest.or(time),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_of_32_bits_goes_on_where_it_wraps() {
        let mut now = Instant::from_millis(u64::from(u32::MAX) - 2);
        for (shown, millis) in [
            (u32::MAX - 1, 0xffff_fffe),
            (1, 0x1_0000_0001),
            (0, 0x1_0000_0000),
            (5, 0x1_0000_0005),
        ] {
            now = now.nearest(shown);
            assert_eq!(now, Instant::from_millis(millis));
        }
        for _ in 0..10 {
            let later = now + Duration::from_secs(20 * 24 * 3600);
            now = now.nearest(later.0 as u32);
            assert_eq!(now, later);
        }
        assert_eq!(Instant::from_millis(0).nearest(u32::MAX), Instant::from_millis(0));
    }

    #[test]
    fn adds_and_subtracts_without_wrapping() {
        let start = Instant::from_millis(1_000);
        let later = start + Duration::from_millis(250);

        assert_eq!(later.since(start), Duration::from_millis(250));
        assert_eq!(start.since(later), Duration::ZERO);
        assert_eq!(start + Duration::MAX, Instant::from_millis(u64::MAX));
    }
}
