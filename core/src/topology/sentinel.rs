//! Which Sentinel is asked for the master, and when again.

use std::collections::VecDeque;
use std::mem;
use std::time::Duration;

use crate::random::Random;
use crate::time::Instant;

/// A failover that closes no connection is seen after this time, more or less by a quarter.
const VALID: Duration = Duration::from_secs(10);

/// The Sentinels that know where a master is: each is asked until one says so, beginning with the
/// one that has said so last.
///
/// One that is of no use goes to the back. So does one whose word was asked for again before its time
/// was over, as what it said was of no use: it may be cut off from the others.
pub struct Sentinels {
    /// The master's name.
    master: Box<str>,
    /// By their places in the configuration; the one that is asked first is in front.
    order: VecDeque<usize>,
    /// How many of them are of no use in this attempt.
    failed: usize,
    /// Why, of the last one that knows the master or has not said.
    reason: Option<String>,
    /// Until when the last answer is valid.
    valid_until: Option<Instant>,
    random: Random,
}

/// What follows where a Sentinel was asked in vain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Next {
    /// This one is asked.
    Ask(usize),
    /// All were, and the attempt has failed, for this reason.
    GiveUp(String),
}

impl Sentinels {
    /// So many Sentinels, one at least, which know a master by this name. `seed` should differ between
    /// workers and machines: each asks another one first.
    pub fn new(master: &str, count: usize, seed: u64) -> Self {
        let mut random = Random::new(seed);
        let mut order: VecDeque<_> = (0..count).collect();
        for end in (1..count).rev() {
            order.swap(end, (random.fraction() * (end + 1) as f64) as usize);
        }
        Self { master: master.into(), order, failed: 0, reason: None, valid_until: None, random }
    }

    /// An attempt begins: returns who is asked first.
    pub fn begin(&mut self, now: Instant) -> usize {
        self.failed = 0;
        self.reason = None;
        if self.valid_until.take().is_some_and(|until| now < until) {
            self.order.rotate_left(1);
        }
        self.order[0]
    }

    /// The one that was asked does not know the master.
    pub fn unknown(&mut self) -> Next {
        self.next()
    }

    /// It has not answered, or with nothing of use.
    pub fn unusable(&mut self, reason: String) -> Next {
        self.reason = Some(reason);
        self.next()
    }

    fn next(&mut self) -> Next {
        self.order.rotate_left(1);
        self.failed += 1;
        if self.failed < self.order.len() {
            return Next::Ask(self.order[0]);
        }
        let is_unknown = || format!("no Sentinel knows master \"{}\"", self.master);
        Next::GiveUp(mem::take(&mut self.reason).unwrap_or_else(is_unknown))
    }

    /// It has said where the master is. Returns until when that is valid.
    pub fn answered(&mut self, now: Instant) -> Instant {
        let valid_until = now + VALID.mul_f64(0.75 + self.random.fraction() / 2.0);
        self.valid_until = Some(valid_until);
        valid_until
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Instant = Instant::from_millis(1_000_000);

    /// Three Sentinels, in this order.
    fn sentinels() -> (Sentinels, [usize; 3]) {
        let sentinels = Sentinels::new("mymaster", 3, 1);
        let order = [0, 1, 2].map(|place| sentinels.order[place]);
        (sentinels, order)
    }

    #[test]
    fn each_worker_has_another_order() {
        let mut firsts = [0; 5];
        for seed in 0..1000 {
            let sentinels = Sentinels::new("mymaster", 5, seed);
            firsts[sentinels.order[0]] += 1;
            let mut order: Vec<_> = sentinels.order.into();
            order.sort_unstable();
            assert_eq!(order, [0, 1, 2, 3, 4]);
        }
        assert!(firsts.iter().all(|count| (150..250).contains(count)), "{firsts:?}");
        let mut one = Sentinels::new("mymaster", 1, 1);
        assert_eq!(one.begin(NOW), 0);
        assert_eq!(one.unusable("x".into()), Next::GiveUp("x".into()));
    }

    #[test]
    fn one_that_is_of_no_use_goes_to_the_back() {
        let (mut sentinels, [a, b, c]) = sentinels();
        assert_eq!(sentinels.begin(NOW), a);
        assert_eq!(sentinels.unusable("timed out".into()), Next::Ask(b));
        let valid_until = sentinels.answered(NOW);

        assert_eq!(sentinels.begin(valid_until), b, "it has answered");
        assert_eq!(sentinels.unknown(), Next::Ask(c));
        assert_eq!(sentinels.unusable("refused".into()), Next::Ask(a));
        assert_eq!(sentinels.unknown(), Next::GiveUp("refused".into()));

        assert_eq!(sentinels.begin(valid_until), b, "each was asked once");
    }

    #[test]
    fn the_reason_is_that_of_the_last_one_unless_none_knows_the_master() {
        let (mut sentinels, _) = sentinels();
        sentinels.begin(NOW);
        sentinels.unusable("one".into());
        sentinels.unusable("two".into());
        assert_eq!(sentinels.unusable("three".into()), Next::GiveUp("three".into()));

        sentinels.begin(NOW);
        sentinels.unknown();
        sentinels.unknown();
        let reason = "no Sentinel knows master \"mymaster\"".into();
        assert_eq!(sentinels.unknown(), Next::GiveUp(reason));
    }

    #[test]
    fn one_whose_word_was_of_no_use_is_asked_last() {
        let (mut sentinels, [a, b, _]) = sentinels();
        assert_eq!(sentinels.begin(NOW), a);
        let valid_until = sentinels.answered(NOW);
        assert_eq!(sentinels.begin(valid_until), a, "in time");

        sentinels.answered(NOW);
        assert_eq!(sentinels.begin(NOW + Duration::from_secs(1)), b);
        assert_eq!(sentinels.begin(NOW + Duration::from_secs(1)), b, "it has not answered");
    }

    #[test]
    fn workers_ask_again_at_different_times() {
        let spans: Vec<_> = (0..100)
            .map(|seed| Sentinels::new("mymaster", 3, seed).answered(NOW).since(NOW))
            .collect();
        let [least, most] = [spans.iter().min().unwrap(), spans.iter().max().unwrap()];
        assert!(*least >= VALID * 3 / 4 && *most < VALID * 5 / 4);
        assert!(*most - *least > VALID * 2 / 5);
    }
}
