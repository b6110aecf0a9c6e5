//! Ticket keys of a fleet, whatever happens to its store, its machines and their clocks.

mod fleet;

use std::array;

use proptest::prelude::Rng;
use proptest::test_runner::{RngAlgorithm, TestRng};

use ssl_session_cache_core::ticket::Origin;

use fleet::{run, Machine, Store, Tally, World, KEY, LENGTH};

/// An epoch, in milliseconds.
const HOUR: usize = 1000 * LENGTH as usize;
const MINUTE: usize = HOUR / 60;

/// What the scripts never reach, they do not test.
#[test]
fn any_trouble() {
    let mut random = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let tally = (0..80)
        .map(|_| {
            let mut script = [0; 200];
            random.fill_bytes(&mut script);
            run(&script)
        })
        .fold(Tally::default(), |sum, tally| array::from_fn(|i| sum[i] + tally[i]));

    for count in tally {
        assert!(count > 5, "{tally:?}");
    }
}

/// Whatever a machine did before it could ask.
#[test]
fn twenty_machines_at_the_first_second_of_an_epoch_end_on_one_seed() {
    for delay in [0, 1, 300] {
        let mut world = World::new(20);
        let clock = world.clock;
        for (number, machine) in world.machines.iter_mut().enumerate() {
            machine.delay = 1 + delay * (number as u64 % 3);
            machine.handshake(0, clock);
        }
        assert_eq!(world.sealing().len(), 20);
        world.pass(10_000);
        assert_eq!(world.sealing().len(), 1);
        world.settled();
    }
}

#[test]
fn one_seed_behind_an_outage() {
    let mut world = World::new(6);
    world.pass(HOUR);
    world.settled();
    let before = world.sealing();
    world.stores[0].is_down = true;
    world.stores[0].flush();
    // The last machine has nothing.
    let clock = world.clock;
    world.machines[5].restart(&[KEY], &[0], clock);
    for _ in 0..5 {
        world.pass(HOUR);
        assert_eq!(world.sealing().len(), 2, "the last, and all others");
        assert!(world.sealing() != before);
        world.check();
    }
    world.stores[0].is_down = false;
    world.pass(2 * HOUR);
    assert_eq!(world.sealing().len(), 1);
    world.settled();
}

/// A machine that comes in an outage's epoch, when the store is back: what it makes of the seed of the
/// epoch before is what the others have.
#[test]
fn a_newcomer_derives_what_the_others_have() {
    let mut world = World::new(3);
    world.pass(HOUR);
    world.stores[0].is_down = true;
    // The next epoch's seed is lost while nobody can ask.
    world.stores[0].lose(0);
    world.pass(HOUR);
    world.machines[0].is_cut = true;
    world.machines[1].is_cut = true;
    let clock = world.clock;
    world.machines[2].restart(&[KEY], &[0], clock);
    world.stores[0].is_down = false;
    world.pass(10_000);
    assert_eq!(world.sealing().len(), 1);
}

/// A key file is exchanged: behind the old one on all machines, then before it, then alone. Machines
/// are configured anew one after the other, and make tickets all the time.
#[test]
fn a_sealing_key_is_exchanged_without_losing_a_ticket() {
    const NEW: u8 = 2;
    let mut world = World::new(3);
    world.pass(HOUR + HOUR / 2);
    for (phase, keys) in [&[KEY, NEW][..], &[NEW, KEY], &[NEW]].into_iter().enumerate() {
        for index in 0..3 {
            world.machines[index].reload(keys, &[0]);
            for _ in 0..15 {
                world.pass(60_000);
                world.issue_all();
                world.check_all();
            }
        }
        // Until what was sealed under the old one alone is over.
        for _ in 0..[2, 180, 60][phase] {
            world.pass(60_000);
            world.issue_all();
            world.check_all();
        }
        assert_eq!(world.sealing().len(), 1);
    }
}

/// Two sites with a store each: each seals with its own seeds and opens the other's.
#[test]
fn tickets_of_another_site_open() {
    let mut world = World::new(4);
    world.stores.push(Store::default());
    for index in [2, 3] {
        world.machines[index].reload(&[KEY], &[1, 0]);
    }
    for index in [0, 1] {
        world.machines[index].reload(&[KEY], &[0, 1]);
    }
    world.pass(HOUR);
    for _ in 0..60 {
        world.pass(300_000);
        world.issue_all();
        world.check_all();
        assert_eq!(world.sealing().len(), 2);
    }
    // The other store being away makes no difference to one's own.
    world.stores[1].is_down = true;
    world.pass(3 * HOUR);
    let clock = world.clock;
    let [here, there] = [0, 2].map(|index| world.machines[index].origin(clock).unwrap());
    assert_eq!((here, there), (Origin::Store, Origin::Ratchet));
}

#[test]
fn a_clock_that_is_behind_is_told_of() {
    for (off, is_told) in [(0, false), (-800, false), (-2700, true), (-6000, true)] {
        let mut world = World::new(5);
        world.pass(HOUR);
        world.machines[0].off = off;
        world.pass(2 * HOUR);
        let status = |index: usize| {
            let machine: &Machine = &world.machines[index];
            machine.ring.status(&machine.family, machine.unix(world.clock)).clock_behind
        };
        assert!((1..5).all(|index| status(index).is_none()));
        assert_eq!(!world.machines[0].notices.is_empty(), is_told, "{off}");
    }
}

/// A clock that jumps each time that it is looked at.
#[test]
fn a_clock_gone_mad_does_not_ask_for_ever() {
    let mut world = World::new(2);
    for turn in 0..20_000u64 {
        let jump = (turn * 7919 % 400_000) as i64 - 200_000;
        world.machines[0].off = if turn % 2 == 0 { 0 } else { jump };
        world.pass(333);
        // Asks again although it is not due.
        world.turn(0);
    }
    let asked = world.machines[0].asked.len();
    assert!(asked < 1500, "{asked} in less than two epochs");
}

/// By the next look, with the seed that seals: nothing changes for those who have it.
#[test]
fn a_record_that_vanished_is_put_back() {
    for (lost, back) in [(5, 16), (18, 46)] {
        let mut world = World::new(2);
        world.pass(2 * HOUR + lost * MINUTE);
        let before = world.sealing();
        world.stores[0].flush();
        world.pass((back - lost) * MINUTE);
        let clock = world.clock;
        world.machines[1].restart(&[KEY], &[0], clock);
        world.pass(10_000);
        assert!(world.sealing() == before);
        world.settled();
    }
}

/// What lies under the old key is added under the new one at once, also that of past epochs.
#[test]
fn seeds_are_copied_to_another_sealing_key() {
    let mut world = World::new(2);
    world.pass(2 * HOUR + HOUR / 2);
    world.issue_all();
    world.pass(HOUR);
    for keys in [&[KEY, 2][..], &[2]] {
        let clock = world.clock;
        world.machines[0].reload(keys, &[0]);
        world.machines[1].restart(keys, &[0], clock);
        world.pass(10_000);
        world.issue_all();
        world.check_all();
    }
}

impl World {
    /// Time passes, in which all make tickets, and all open them.
    fn go_on(&mut self, millis: usize) {
        for _ in 0..millis / (3 * MINUTE) {
            self.pass(3 * MINUTE);
            self.issue_all();
            self.check_all();
        }
    }
}

/// Some have been told the next seed by then, or twice, and others have not.
#[test]
fn machines_in_step_stay_so_whenever_the_store_dies() {
    for part in 0..20 {
        for epochs in [1, 3] {
            for off in [0, 400] {
                let mut world = World::new(5);
                world.machines[1].off = off;
                world.machines[2].off = -off;
                world.pass(2 * HOUR);
                world.go_on(part * 3 * MINUTE);
                world.set_down(true);
                world.go_on(epochs * HOUR + (part * 7 % 20) * 3 * MINUTE);
                world.set_down(false);
                world.go_on(2 * HOUR);
                world.settled();
            }
        }
    }
}

/// What it has lost is put back, or another is made, which some have not been told.
#[test]
fn machines_in_step_stay_so_whenever_the_store_is_flushed() {
    for part in 0..20 {
        for outage in [0, 1] {
            let mut world = World::new(5);
            world.go_on(2 * HOUR);
            world.go_on(part * 3 * MINUTE);
            world.stores[0].flush();
            world.go_on(6 * MINUTE);
            world.set_down(true);
            world.go_on(outage * HOUR);
            world.set_down(false);
            world.go_on(2 * HOUR);
            world.settled();
        }
    }
}

/// A store without a disk is started anew, and a machine at the same time: those that know the seeds
/// put them back first.
#[test]
fn a_store_that_has_lost_all_gets_back_what_seals() {
    for part in 0..20 {
        let mut world = World::new(5);
        world.go_on(2 * HOUR + part * 3 * MINUTE);
        let before = world.sealing();
        world.set_down(true);
        world.stores[0].flush();
        let clock = world.clock;
        world.machines[4].restart(&[KEY], &[0], clock);
        world.machines[4].handshake(0, clock);
        world.pass(5_000);
        world.set_down(false);
        world.pass(MINUTE);
        assert!(world.sealing() == before, "{part}");
        world.issue_all();
        world.check_all();
        world.go_on(2 * HOUR);
        world.settled();
    }
}

/// One of several servers may be down, or have something else under that name.
#[test]
fn a_record_that_the_store_refuses_is_in_the_way_of_no_other() {
    let mut world = World::new(3);
    world.pass(HOUR + HOUR / 8);
    world.refuse();
    let clock = world.clock;
    world.machines[2].restart(&[KEY], &[0], clock);
    world.pass(2 * HOUR);
    assert_eq!(world.sealing().len(), 1);
}

/// While no machine has been told any seed.
#[test]
fn a_past_record_that_the_store_refuses_is_not_in_the_way_of_the_first() {
    let mut world = World::new(3);
    world.pass(HOUR + HOUR / 8);
    world.refuse();
    world.pass(HOUR);
    world.stores[0].flush();
    let clock = world.clock;
    for machine in &mut world.machines {
        machine.restart(&[KEY], &[0], clock);
        machine.handshake(0, clock);
    }
    world.pass(10 * MINUTE);
    assert_eq!(world.sealing().len(), 1);
}

/// A handful, whatever there is to be put back and confirmed.
#[test]
fn a_machine_asks_five_times_in_an_epoch() {
    let mut world = World::new(5);
    world.pass(2 * HOUR);
    world.machines.iter_mut().for_each(|machine| machine.asked.clear());
    world.pass(4 * HOUR);
    let asked: Vec<_> = world.machines.iter().map(|machine| machine.asked.len()).collect();
    // One of them makes the next seed, and reads it back.
    assert_eq!(asked.iter().sum::<usize>(), 4 * (5 * 5 + 2), "{asked:?}");
}

/// The machines of the other site cannot tell their store in time.
#[test]
fn what_another_site_added_late_opens() {
    let mut world = World::new(2);
    world.stores.push(Store::default());
    world.machines[0].reload(&[KEY], &[0, 1]);
    world.machines[1].reload(&[KEY], &[1, 0]);
    world.pass(HOUR + 20 * MINUTE);
    world.machines[1].is_cut = true;
    world.pass(42 * MINUTE);
    world.machines[1].is_cut = false;
    world.pass(14 * MINUTE);
    world.issue_all();
    world.check_all();
}

#[test]
fn past_seeds_are_back_behind_a_clock_that_jumped() {
    let mut world = World::new(2);
    world.pass(2 * HOUR + HOUR / 2);
    world.issue_all();
    world.pass(HOUR);
    world.machines[0].off = 86_400;
    world.pass(10 * MINUTE);
    world.machines[0].off = 0;
    world.pass(10 * MINUTE);
    world.check_all();
}

/// It has not followed the clock into the new epoch yet when its store is back.
#[test]
fn the_next_seed_is_made_in_its_time_behind_a_clock_that_jumped() {
    let mut world = World::new(1);
    world.pass(2 * HOUR + HOUR / 4);
    let knows_next = |world: &World| {
        let machine = &world.machines[0];
        let unix = machine.unix(world.clock);
        let next = machine.epoch(world.clock) + 1;
        machine.ring.seeds(&machine.family, unix).iter().any(|(epoch, _)| epoch.0 == next)
    };
    world.machines[0].off += LENGTH as i64;
    world.turn(0);
    world.pass(10_000);
    world.machines[0].off += LENGTH as i64;
    world.set_down(true);
    world.set_down(false);
    world.pass(10_000);
    assert!(!knows_next(&world));
    world.pass(HOUR / 2);
    assert!(knows_next(&world));
}
