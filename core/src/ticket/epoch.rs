//! Time, cut into epochs.

use core::time::Duration;

use thiserror::Error;

/// So many epochs may have keys that still open, besides the current one and the next.
pub(super) const MAX_PAST: u32 = 32;

/// The number of an epoch: so many of the same length have ended since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Epoch(pub u64);

/// How long a key seals, and how long it opens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Rotation {
    /// The length of an epoch, in seconds. Not zero.
    length: u32,
    /// How long a session can be resumed, in seconds.
    session_timeout: u32,
}

/// Why there is no such rotation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum RotationError {
    /// Sessions are resumed for so long that too many keys would have to be kept.
    #[error("expected at least {0} seconds")]
    TooShort(u64),
}

impl Rotation {
    /// A new key with each `length`, for sessions that last for `session_timeout`. Both are whole
    /// seconds; what is left of one is dropped.
    pub fn new(length: Duration, session_timeout: Duration) -> Result<Self, RotationError> {
        let [length, session_timeout] =
            [length, session_timeout].map(|time| u32::try_from(time.as_secs()).unwrap_or(u32::MAX));
        let least = session_timeout.div_ceil(MAX_PAST).max(1);
        if length < least {
            return Err(RotationError::TooShort(least.into()));
        }
        Ok(Self { length, session_timeout })
    }

    /// The length of an epoch, in seconds.
    pub fn length(&self) -> u32 {
        self.length
    }

    /// The epoch of a Unix time, in seconds.
    pub fn epoch(&self, unix: u64) -> Epoch {
        Epoch(unix / u64::from(self.length))
    }

    /// When an epoch begins, in Unix seconds.
    pub fn start(&self, epoch: Epoch) -> u64 {
        epoch.0.saturating_mul(self.length.into())
    }

    /// When an epoch ends and the next one begins, in Unix seconds.
    pub(super) fn end(&self, epoch: Epoch) -> u64 {
        self.start(Epoch(epoch.0.saturating_add(1)))
    }

    /// From when on there is nothing left that a key of this epoch opens, in Unix seconds. A ticket
    /// carries the time of the clock by which it was made, and whoever opens it goes by its own: a
    /// clock that is off makes no difference here.
    pub(super) fn over(&self, epoch: Epoch) -> u64 {
        self.end(epoch).saturating_add(self.session_timeout.into())
    }

    /// The epochs whose keys open at a Unix time, in order: the next is the last of them.
    pub(super) fn open(&self, unix: u64) -> impl DoubleEndedIterator<Item = Epoch> {
        let current = self.epoch(unix).0;
        (current.saturating_sub(self.past().into())..=current.saturating_add(1)).map(Epoch)
    }

    /// So many epochs before the current one have keys that open.
    pub(super) fn past(&self) -> u32 {
        self.session_timeout.div_ceil(self.length)
    }

    /// Whether what was told of an epoch at `first` is told at `unix` in a later phase, so that all
    /// others have been told meanwhile, if only their clocks are off by less than half the lead.
    ///
    /// An epoch has three phases. What is told of the next one in the first two is not confirmed
    /// before the third, which is the lead. Where all are told at once, as the store is back, it takes
    /// some time besides until the last of them has asked.
    pub(super) fn is_later(&self, epoch: Epoch, first: u64, unix: u64) -> bool {
        let soonest = first.saturating_add(u64::from(self.length / 32));
        self.phase(unix) > self.phase(first)
            && unix >= soonest
            && unix >= self.start(epoch).saturating_sub(self.lead().into())
    }

    /// The phases that have ended since 1970.
    fn phase(&self, unix: u64) -> u64 {
        let within = unix % u64::from(self.length) * 8 / u64::from(self.length);
        let phase = match within {
            0..=2 => 0,
            3..=5 => 1,
            _ => 2,
        };
        self.epoch(unix).0.saturating_mul(3).saturating_add(phase)
    }

    /// A clock that is off by less, in seconds, does no harm: so long before an epoch begins its
    /// seed is known to all.
    pub fn lead(&self) -> u32 {
        self.length / 4
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rotation(length: u64, session_timeout: u64) -> Result<Rotation, RotationError> {
        Rotation::new(Duration::from_secs(length), Duration::from_secs(session_timeout))
    }

    #[test]
    fn a_key_opens_for_as_long_as_a_session_lasts() {
        for (length, session_timeout, past) in
            [(3600, 300, 1), (3600, 3600, 1), (3600, 3601, 2), (3600, 32 * 3600, 32), (1, 0, 0)]
        {
            let rotation = rotation(length, session_timeout).unwrap();
            let unix = 500_000 * length;
            let open: Vec<_> = rotation.open(unix).map(|epoch| epoch.0).collect();
            assert_eq!(open, (500_000 - past..=500_001).collect::<Vec<_>>());
            assert_eq!(rotation.open(unix + length - 1).next().unwrap().0, 500_000 - past);

            // What is sealed in the last second can be resumed in all of the last one.
            let last = unix + length - 1 + session_timeout;
            assert_eq!(rotation.over(Epoch(500_000)), last + 1);
            assert!(rotation.open(last).any(|epoch| epoch.0 == 500_000), "{length}");
        }
    }

    #[test]
    fn not_more_keys_than_there_is_room_for() {
        assert_eq!(rotation(3600, 32 * 3600 + 1), Err(RotationError::TooShort(3601)));
        assert_eq!(rotation(0, 0), Err(RotationError::TooShort(1)));
        let error = rotation(3600, 7 * 24 * 3600).unwrap_err();
        assert_eq!(error.to_string(), "expected at least 18900 seconds");
        assert!(rotation(18900, 7 * 24 * 3600).is_ok());
    }

    #[test]
    fn what_is_told_again_in_a_later_phase_is_known_to_all() {
        let rotation = rotation(3200, 3200).unwrap();
        let start: u64 = 500_000 * 3200;
        for (first, again, is_later) in [
            // Of the next one.
            (-3000, -2000, false),
            (-2000, -801, false),
            (-2000, -800, true),
            (-3000, -800, true),
            (-800, -1, false),
            (-50, 49, false),
            (-100, 0, true),
            // Of the current one.
            (0, 1199, false),
            (0, 1200, true),
            (1150, 1249, false),
            (1150, 1250, true),
            (1200, 2399, false),
            (1200, 2400, true),
            (1200, 1200, false),
            (1200, 300, false),
        ] {
            let [at, again_at] = [first, again].map(|at| start.wrapping_add_signed(at));
            let is = rotation.is_later(Epoch(500_000), at, again_at);
            assert_eq!(is, is_later, "{first} and {again}");
        }
    }

    #[test]
    fn any_time_has_an_epoch() {
        for length in [1, 7, 3600, u64::MAX] {
            let rotation = rotation(length, 1).unwrap();
            for unix in [0, 1, 1_800_000_000, u64::MAX] {
                let epoch = rotation.epoch(unix);
                assert!(rotation.start(epoch) <= unix && unix <= rotation.end(epoch));
                assert!(rotation.open(unix).count() <= MAX_PAST as usize + 2);
                assert!(!rotation.is_later(epoch, unix, unix));
            }
        }
    }
}
