//! A store that is many servers, whatever happens to these.

mod model;

use std::array;
use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{RngAlgorithm, TestRng};

use ssl_session_cache_core::server::{Addition, Unavailable};
use ssl_session_cache_core::topology::{slot_of, MAX_NODES, SLOTS};

use model::{bytes_of, key_of, record_of, run, Lie, Outcome, Tally, World, TIMEOUT};

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 150,
        max_shrink_iters: 100,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn any_trouble(script in vec(any::<u8>(), 0..400)) {
        run(&script);
    }
}

/// What the scripts never reach, they do not test.
#[test]
fn scripts_reach_every_end() {
    let mut random = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let tally = (0..100)
        .map(|_| {
            let mut script = [0; 400];
            random.fill_bytes(&mut script);
            run(&script)
        })
        .fold(Tally::default(), |sum, tally| array::from_fn(|i| sum[i] + tally[i]));

    for count in tally {
        assert!(count > 5, "{tally:?}");
    }
}

const SESSIONS: u8 = 64;

const RTT: Duration = Duration::from_millis(2);

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// A cluster of six nodes or more, its map known, with sessions in it.
fn cluster(nodes: usize) -> World {
    let mut world = World::of_cluster(nodes);
    world.pass(ms(10));
    for id in 0..SESSIONS {
        assert!(world.put(0, id));
    }
    world.pass(ms(100));
    assert_found(&mut world);
    world
}

/// All sessions are found, at once.
fn assert_found(world: &mut World) {
    for id in 0..SESSIONS {
        let (outcome, wait) = world.lookup(0, id);
        assert_eq!(outcome, Outcome::Found, "{id}");
        assert!(wait <= 3 * RTT, "{wait:?}");
    }
}

fn node_of(world: &World, id: u8) -> usize {
    world.fleet.owners[usize::from(slot_of(&key_of(id)))]
}

/// Looks all sessions up for so long, one every ten milliseconds. Returns what they came to and how
/// long that took, with the time since the beginning.
fn look_up_for(world: &mut World, span: Duration) -> Vec<(u8, Outcome, Duration, Duration)> {
    let start = world.now;
    let mut all = Vec::new();
    for id in (0..SESSIONS).cycle() {
        let began = world.now.since(start);
        if began >= span {
            break;
        }
        let (outcome, wait) = world.lookup(0, id);
        all.push((id, outcome, wait, began));
        world.pass(ms(10));
    }
    all
}

#[test]
fn a_master_that_dies_costs_only_its_own_sessions_and_only_until_its_replica_serves() {
    let mut world = cluster(6);
    world.kill(0);
    for (id, outcome, wait, _) in look_up_for(&mut world, ms(5_000)) {
        assert_eq!(outcome == Outcome::Found, node_of(&world, id) != 0);
        assert!(wait <= RTT, "{id}: {wait:?}");
    }
    world.fleet.fail_over(0);
    world.fleet.tell_all();
    let all = look_up_for(&mut world, ms(3_000));
    let late = all.iter().filter(|(.., began)| *began >= ms(1_300));
    for (id, outcome, wait, _) in late {
        assert_eq!(*outcome, Outcome::Found);
        assert!(*wait <= 3 * RTT, "{id}: {wait:?}");
    }
    assert_found(&mut world);
}

#[test]
fn all_sessions_are_found_while_slots_move() {
    let mut world = cluster(6);
    world.fleet.begin_move(0..1_500, 1);
    world.fleet.begin_move(8_000..9_500, 2);
    for _ in 0..10 {
        assert_found(&mut world);
        world.fleet.move_keys(1);
    }
    world.fleet.end_move();
    assert_found(&mut world);
    world.fleet.tell_all();
    for (_, outcome, wait, _) in look_up_for(&mut world, ms(3_000)) {
        assert_eq!(outcome, Outcome::Found);
        assert!(wait <= 3 * RTT);
    }
}

/// However often it is tried, and wherever the key is by then.
#[test]
fn one_is_the_first_to_add_a_record_while_slots_move() {
    let mut world = cluster(6);
    world.fleet.begin_move(0..SLOTS, 1);
    for round in 0..4 {
        for id in 100..120 {
            let expected = if round == 0 { Addition::First } else { Addition::Present };
            assert_eq!(world.add(0, id), expected, "{id} in {round}");
        }
        world.fleet.move_keys(40);
    }
    world.fleet.end_move();
    world.fleet.tell_all();
    for id in 100..120 {
        assert_eq!(world.add(0, id), Addition::Present);
        assert_eq!(world.lookup(0, id).0, Outcome::Found);
    }
}

/// Whoever sees the first choice down is told nothing, or there would be two firsts.
#[test]
fn one_of_two_clients_is_the_first_to_add_a_record() {
    for node in 0..3 {
        let mut world = World::of_servers(3, 2);
        world.pass(ms(10));
        world.kill(node);
        world.pass(ms(10));
        let first: Vec<_> = (0..SESSIONS).map(|id| world.add(0, id)).collect();
        world.fleet.heal();
        world.pass(ms(2_000));
        for (id, first) in (0..).zip(first) {
            let second = match first {
                Addition::First => Addition::Present,
                _ => Addition::First,
            };
            assert!(first == Addition::First || first == Addition::Unavailable(Unavailable::Down));
            assert_eq!(world.add(1, id), second, "{id}");
            assert_eq!(world.add(0, id), Addition::Present, "{id}");
        }
    }
}

/// It may have been carried out: who is not told does not know.
#[test]
fn a_record_to_add_ends_when_its_time_is_up() {
    for mut world in [cluster(6), World::of_servers(3, 1)] {
        world.pass(ms(10));
        world.fleet.nodes.iter_mut().for_each(|node| node.delay = ms(900));
        let deadline = world.now + ms(500);
        world.clients[0].add(100, deadline).unwrap();
        world.pump(0);
        world.pass(ms(500));
        assert_eq!(world.clients[0].added, [(100, Addition::Unavailable(Unavailable::Timeout))]);
        world.fleet.heal();
        world.pass(ms(1_500));
        assert_eq!(world.add(0, 100), Addition::Present);
    }
}

#[test]
fn a_node_is_added_and_removed() {
    let mut world = cluster(7);
    assert_eq!(world.clients[0].count(), 3);
    world.fleet.begin_move(0..SLOTS / 2, 6);
    world.fleet.end_move();
    world.fleet.tell_all();
    assert_found(&mut world);
    assert_eq!(world.clients[0].count(), 4);

    world.fleet.begin_move(0..SLOTS / 2, 0);
    world.fleet.end_move();
    world.fleet.tell_all();
    assert_found(&mut world);
    for _ in 0..4 {
        world.pass(ms(59_000));
        assert_found(&mut world);
    }
    assert!(world.clients[0].count() < 4);
}

#[test]
fn a_cluster_that_is_down_for_long_costs_a_wait_only_at_first() {
    let mut world = cluster(6);
    world.fleet.nodes.iter_mut().for_each(|node| node.is_down = true);
    let all = look_up_for(&mut world, ms(20_000));
    assert!(all[0].2 > ms(500), "the first one waits");
    for (id, outcome, wait, began) in all {
        assert_eq!(outcome, Outcome::Unavailable(Unavailable::Refused));
        assert!(began < TIMEOUT * 4 || wait <= RTT, "{id}: {wait:?} after {began:?}");
    }
    world.fleet.heal();
    assert_found(&mut world);
}

#[test]
fn where_no_map_comes_nobody_waits_for_long() {
    let mut world = World::of_cluster(6);
    (0..6).for_each(|node| world.kill(node));
    for (id, outcome, wait, began) in look_up_for(&mut world, ms(5_000)) {
        assert_eq!(outcome, Outcome::Unavailable(Unavailable::Down), "{id}");
        assert!(wait <= TIMEOUT && (began < TIMEOUT || wait.is_zero()), "{wait:?}");
    }
    world.fleet.heal();
    world.pass(ms(1_300));
    let [.., failed] = world.clients[0].servers.puts.get();
    assert_eq!(failed, 0);
    assert_eq!(world.lookup(0, 1).0, Outcome::Missing);
}

#[test]
fn what_one_client_puts_at_the_second_choice_another_finds() {
    for node in 0..3 {
        let mut world = World::of_servers(3, 2);
        world.pass(ms(10));
        world.kill(node);
        world.pass(ms(10));
        for id in 0..SESSIONS {
            assert!(world.put(0, id));
        }
        world.fleet.heal();
        world.pass(ms(2_000));
        for id in 0..SESSIONS {
            let (outcome, wait) = world.lookup(1, id);
            assert_eq!(outcome, Outcome::Found, "{id}");
            assert!(wait <= 2 * RTT);
        }
    }
}

/// Those that it is the first choice of cost half of the time until its lookups are paused, and are
/// found at the second.
#[test]
fn a_server_that_is_silent_costs_little() {
    let mut world = World::of_servers(3, 1);
    world.pass(ms(10));
    world.fleet.nodes[1].is_silent = true;
    for (_, outcome, wait, began) in look_up_for(&mut world, ms(20_000)) {
        assert!(matches!(outcome, Outcome::Missing | Outcome::Unavailable(_)));
        assert!(wait <= TIMEOUT);
        assert!(began < ms(6_000) || wait <= TIMEOUT / 2 + RTT, "{wait:?} after {began:?}");
    }
    world.fleet.heal();
    world.pass(ms(6_000));
    look_up_for(&mut world, ms(5_000));
    for (_, outcome, wait, _) in look_up_for(&mut world, ms(1_000)) {
        assert_eq!(outcome, Outcome::Missing);
        assert!(wait <= 2 * RTT);
    }
}

/// Each time to another server, which there is not.
#[test]
fn a_node_that_sends_on_for_ever_has_so_many_nodes_opened_and_no_more() {
    let mut world = cluster(6);
    world.fleet.strangers = 5_000;
    world.fleet.nodes[0].lie = Lie::AskNowhere;
    let ids: Vec<_> = (0..=u8::MAX).filter(|id| node_of(&world, *id) == 0).collect();
    for _ in 0..1_200 / ids.len() {
        for id in &ids {
            world.put(0, *id);
        }
        world.pass(ms(2));
        assert!(world.clients[0].count() <= MAX_NODES);
    }
    world.fleet.heal();
    world.pass(ms(1_100));
    assert_found(&mut world);
    let [accepted, done, failed] = world.clients[0].servers.puts.get();
    assert_eq!(accepted, done + failed, "a put is counted twice or never");
}

#[test]
fn the_first_map_is_waited_for_as_long_as_a_lookup_can() {
    let mut world = World::of_cluster(6);
    world.fleet.put(&bytes_of(1), &record_of(1));
    world.fleet.nodes[0].delay = ms(900);
    let deadline = world.now + TIMEOUT;
    world.clients[0].get(1, deadline).unwrap();
    assert!(world.put(0, 2));
    world.pass(ms(10));
    world.fleet.heal();
    world.pass(ms(980));
    assert_eq!(world.clients[0].told[..], [(1, Outcome::Found, ms(903))]);
    assert!(world.fleet.record(&bytes_of(2)).is_some());
}

#[test]
fn a_cluster_that_is_down_for_a_moment_is_waited_for() {
    for idle in [ms(0), ms(100_000)] {
        let mut world = World::of_cluster(6);
        let key = bytes_of(1);
        world.pass(ms(10) + idle);
        world.fleet.put(&key, &record_of(1));
        world.fleet.nodes.iter_mut().for_each(|node| node.is_down = true);
        let deadline = world.now + TIMEOUT;
        world.clients[0].get(1, deadline).unwrap();
        world.pump(0);
        world.pass(ms(100));
        world.fleet.heal();
        world.pass(ms(100));
        assert_eq!(world.clients[0].told[0].1, Outcome::Found, "after {idle:?}");
    }
}

#[test]
fn a_part_of_a_cluster_that_is_down_for_long_costs_a_wait_only_at_first() {
    let mut world = cluster(6);
    world.fleet.nodes[0].is_down = true;
    for (id, outcome, wait, began) in look_up_for(&mut world, ms(20_000)) {
        let is_of_others = node_of(&world, id) != 0;
        assert_eq!(outcome == Outcome::Found, is_of_others);
        assert!(!is_of_others || wait <= RTT);
        assert!(began < TIMEOUT * 2 || wait <= RTT, "{id}: {wait:?} after {began:?}");
    }
}

/// It would be for the next one.
#[test]
fn nothing_is_left_of_a_request_that_is_turned_away() {
    let mut world = cluster(6);
    let of = |node| (0..SESSIONS).filter(|id| node_of(&world, *id) == node).collect::<Vec<_>>();
    let (here, there) = (of(0)[0], of(1));
    // Lookups are paused there, while there is a connection.
    world.fleet.nodes[1].delay = ms(900);
    let deadline = world.now + ms(500);
    for id in &there[..6] {
        world.clients[0].get(*id, deadline).unwrap();
    }
    world.pass(ms(510));
    world.fleet.nodes[0].lie = Lie::AskNext;
    assert_eq!(world.lookup(0, here).0, Outcome::Unavailable(Unavailable::Down));
    assert!(world.put(0, there[0]));
    world.pass(ms(10));
}
