//! What a store may answer to a keeper of ticket keys: what was not made with the key, or was changed
//! since, is never learned.

#![no_main]

#[path = "../../core/tests/fleet/mod.rs"]
#[allow(dead_code)]
mod fleet;

use libfuzzer_sys::fuzz_target;
use ssl_session_cache_core::session::Keyspace;
use ssl_session_cache_core::ticket::{Answer, Keeper, Question, Ring};
use ssl_session_cache_core::Instant;

use fleet::machine::family;
use fleet::toy::sealer;
use fleet::{rotation, Toy, KEY, LENGTH, SESSION_TIMEOUT, START};

/// The first byte chooses whether an answer is a record as it is, or what is changed of the one that
/// was added. What follows is cut into answers: a length, and so many bytes.
fn check(data: &[u8]) {
    let Some((&choice, mut data)) = data.split_first() else { return };
    let family = family(&[KEY], &[0], rotation(LENGTH, SESSION_TIMEOUT));
    let keyspace = Keyspace::new(b"prefix:").unwrap();
    let mut keeper = Keeper::new(family.clone(), sealer(&[KEY]).into(), keyspace, 1);
    let mut ring = Box::<Ring>::default();
    let mut draw = |bytes: &mut [u8]| {
        bytes.fill(7);
        true
    };
    let (mut clock, mut added) = (START, None);
    while let Some((&len, rest)) = data.split_first() {
        let (bytes, rest) = rest.split_at(rest.len().min(len.into()));
        data = rest;
        clock += 1;
        let (unix, now) = (clock / 1000, Instant::from_millis(clock));
        let Some(question) = keeper.question(&mut ring, &Toy(0), &mut draw, unix, now) else {
            clock += 60_000;
            continue;
        };
        let before = ring.generation();
        let answer = |keeper: &mut Keeper<_, _>, ring: &mut Ring, answer| {
            keeper.answered(ring, answer, unix, now)
        };
        match (question, &added) {
            (Question::Add { key, record, .. }, _) => {
                added = Some((key, record));
                answer(&mut keeper, &mut ring, Answer::Done);
            }
            (Question::Get { key, .. }, Some((theirs, record))) if choice % 2 == 1 => {
                let mut changed = record.clone();
                changed.iter_mut().zip(bytes).for_each(|(byte, change)| *byte ^= change);
                changed.extend(bytes.iter().skip(record.len()));
                let notice = answer(&mut keeper, &mut ring, Answer::Found(&changed));
                let is_it = key == *theirs && changed == *record;
                assert_eq!(notice.is_none(), is_it);
                assert!(is_it || ring.generation() == before);
            }
            (Question::Get { .. }, _) if bytes.is_empty() => {
                answer(&mut keeper, &mut ring, Answer::Missing);
            }
            (Question::Get { .. }, _) => {
                answer(&mut keeper, &mut ring, Answer::Found(bytes));
                assert_eq!(ring.generation(), before, "learned");
            }
        }
    }
    assert!(ring.seeds(&family, clock / 1000).len() <= 8);
}

fuzz_target!(|data: &[u8]| check(data));
