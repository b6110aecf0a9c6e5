//! Any interleaving of requests, bytes, time, names and closed connections: each lookup that was accepted
//! ends exactly once and never with another's reply, and the limits hold.

mod simulation;

use std::array;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{RngAlgorithm, TestRng};

use simulation::{run, Tally};

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 2_000,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn any_interleaving(script in vec(any::<u8>(), 0..1_500)) {
        run(&script);
    }
}

/// What the scripts never reach, they do not test.
#[test]
fn scripts_reach_every_end() {
    let mut random = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let tally = (0..500)
        .map(|_| {
            let mut script = [0; 1_500];
            random.fill_bytes(&mut script);
            run(&script)
        })
        .fold(Tally::default(), |sum, tally| array::from_fn(|i| sum[i] + tally[i]));

    for count in tally {
        assert!(count > 100, "{tally:?}");
    }
}
