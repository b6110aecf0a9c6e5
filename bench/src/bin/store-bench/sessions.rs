//! The sessions that are put into the store and looked up there.

use ssl_session_cache_core::session::{Key, Keyspace};
use ssl_session_cache_core::topology::{slot_of, SLOTS};

/// Chance, the same in each run: SplitMix64.
pub struct Chance(u64);

impl Chance {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number, of 64 bits.
    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// The next number, below `end`.
    pub fn below(&mut self, end: u64) -> u64 {
        ((u128::from(self.number()) * u128::from(end)) >> 64) as u64
    }

    /// The next number, as a fraction below one.
    pub fn fraction(&mut self) -> f64 {
        (self.number() >> 11) as f64 / (1u64 << 53) as f64
    }
}

/// Sessions by their numbers, in the order in which they were put.
pub struct Sessions {
    keyspace: Keyspace,
    name_len: usize,
    record: Vec<u8>,
    /// How many were put.
    count: u64,
}

impl Sessions {
    /// No sessions yet, with names and records of these lengths.
    pub fn new(name_len: usize, record_len: usize) -> Self {
        let mut chance = Chance::new(0);
        let record = (0..record_len).map(|_| chance.number() as u8).collect();
        Self { keyspace: Keyspace::default(), name_len, record, count: 0 }
    }

    /// How many were put.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// What is put for each.
    pub fn record(&self) -> &[u8] {
        &self.record
    }

    /// The key of one more.
    pub fn next(&mut self) -> Key {
        self.count += 1;
        self.key(self.count - 1)
    }

    /// The key of one of so many that were put first: what was put just now may not be there yet.
    pub fn one_of(&self, count: u32, chance: &mut Chance) -> Key {
        self.key(chance.below(count.into()))
    }

    /// The key of no session, in one of so many equal parts of a cluster's slots.
    pub fn stranger(&self, part: usize, parts: usize, chance: &mut Chance) -> Key {
        loop {
            let key = self.key(u64::MAX - chance.below(1 << 32));
            if usize::from(slot_of(&key)) * parts / usize::from(SLOTS) == part {
                return key;
            }
        }
    }

    fn key(&self, number: u64) -> Key {
        let mut chance = Chance::new(number);
        let mut name = [0; 32];
        // The number itself keeps names apart, whatever chance says.
        for (place, bytes) in name.chunks_exact_mut(8).enumerate() {
            let part = if place == 0 { number } else { chance.number() };
            bytes.copy_from_slice(&part.to_be_bytes());
        }
        self.keyspace.key(&name[..self.name_len]).expect("a name is 1 to 32 bytes long")
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn names_are_as_long_as_told_and_differ() {
        for (len, digits) in [(16, 32), (32, 64)] {
            let mut sessions = Sessions::new(len, 200);
            let keys: HashSet<_> = (0..1000).map(|_| format!("{:?}", sessions.next())).collect();
            assert_eq!(keys.len(), 1000);
            assert!(keys.iter().all(|key| key.len() == "sslsessioncache:".len() + digits));
            assert!(keys.contains(&format!("{:?}", sessions.one_of(1000, &mut Chance::new(1)))));
        }
    }

    #[test]
    fn strangers_are_in_their_part_of_the_slots() {
        let sessions = Sessions::new(16, 200);
        for part in 0..3 {
            let slot = slot_of(&sessions.stranger(part, 3, &mut Chance::new(1)));
            assert_eq!(usize::from(slot) * 3 / usize::from(SLOTS), part);
        }
    }
}
