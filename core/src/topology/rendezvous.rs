//! Which of several independent servers has a key: rendezvous hashing, also known as highest random
//! weight (Thaler and Ravishankar, 1998, <https://doi.org/10.1109/90.663936>).
//!
//! All machines of a fleet must agree on it, whatever their version: `docs/stores.md` defines it, and
//! it does not change.

use crate::session::Key;

/// Some independent servers, each with its share of the keys.
#[derive(Clone, Debug)]
pub struct Rendezvous {
    /// In the order of their words, so that the first of equal weights is the one that counts.
    servers: Box<[Server]>,
}

#[derive(Clone, Copy, Debug)]
struct Server {
    /// What its word makes of it.
    seed: u64,
    /// Where it stands in the configuration.
    index: usize,
}

impl Rendezvous {
    /// The servers with these words, which differ; there is at least one.
    pub fn new<'a>(words: impl Iterator<Item = &'a [u8]>) -> Self {
        let mut words: Vec<_> = words.enumerate().map(|(index, word)| (word, index)).collect();
        words.sort_unstable();
        let servers =
            words.into_iter().map(|(word, index)| Server { seed: mix(fnv1a(word)), index });
        Self { servers: servers.collect() }
    }

    /// The server that has `key`, and the one whose turn it is when that one is down; both by their
    /// place among the words. There is no second one of a single server.
    pub fn first_two(&self, key: &Key) -> (usize, Option<usize>) {
        self.first_two_of(key.with_bytes(fnv1a))
    }

    fn first_two_of(&self, hash: u64) -> (usize, Option<usize>) {
        let hash = mix(hash);
        let (mut first, mut second) = (None, None);
        for server in &self.servers {
            let weight = mix(server.seed ^ hash);
            let choice = Some((weight, server.index));
            let is_above =
                |other: Option<(u64, usize)>| other.is_none_or(|(other, _)| weight > other);
            if is_above(first) {
                (first, second) = (choice, first);
            } else if is_above(second) {
                second = choice;
            }
        }
        (first.map_or(0, |(_, index)| index), second.map(|(_, index)| index))
    }
}

/// FNV-1a with 64 bits.
fn fnv1a(bytes: &[u8]) -> u64 {
    const OFFSET_BASIS: u64 = 0xcbf2_9ce4_8422_2325;
    const PRIME: u64 = 0x0000_0100_0000_01b3;

    bytes.iter().fold(OFFSET_BASIS, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(PRIME))
}

/// The finaliser of MurmurHash3, by which each bit changes about half of the others.
fn mix(mut hash: u64) -> u64 {
    hash = (hash ^ (hash >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    hash = (hash ^ (hash >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    hash ^ (hash >> 33)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Place;
    use crate::session::Keyspace;

    const DOC: &str = include_str!("../../../docs/stores.md");

    fn rendezvous(words: &[&str]) -> Rendezvous {
        Rendezvous::new(words.iter().map(|word| word.as_bytes()))
    }

    fn words(count: usize) -> Vec<String> {
        (0..count).map(|n| format!("memcached-{n}.example.net:11211")).collect()
    }

    /// As many servers.
    fn servers(count: usize) -> Rendezvous {
        Rendezvous::new(words(count).iter().map(String::as_bytes))
    }

    fn keys(count: u64) -> impl Iterator<Item = Key> {
        // Neighbours in all but a few bits, which ids of sessions are not.
        (0..count)
            .map(|n| Keyspace::default().key(&[&n.to_le_bytes()[..], &[0; 24]].concat()).unwrap())
    }

    /// The rows of the table in the docs that begins with this column: what is between its bars.
    fn rows(column: &str) -> Vec<Vec<&'static str>> {
        let cells = |row: &'static str| -> Vec<_> {
            row.trim_matches('|').split('|').map(|cell| cell.trim().trim_matches('`')).collect()
        };
        let begin = DOC.find(&format!("| {column} |")).expect(column);
        DOC[begin..].lines().skip(2).take_while(|row| row.starts_with('|')).map(cells).collect()
    }

    fn number(hex: &str) -> u64 {
        u64::from_str_radix(hex, 16).unwrap()
    }

    #[test]
    fn the_parts_of_the_hash_are_as_others_have_them() {
        assert_eq!(fnv1a(b""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(fnv1a(b"foobar"), 0x8594_4171_f739_67e8);
        assert_eq!(mix(0), 0);
        assert_eq!(mix(1), 0xb456_bcfc_34c2_cb2c);
    }

    #[test]
    fn the_docs_have_the_seeds_of_servers() {
        let rows = rows("server");
        assert_eq!(rows.len(), 4);
        for row in rows {
            let [configured, word, seed] = row[..] else { panic!("{row:?}") };
            assert_eq!(mix(fnv1a(word.as_bytes())), number(seed), "{word}");
            if !word.starts_with("unix:") {
                let (host, port) = configured.rsplit_once(':').unwrap();
                let place = Place::Host(host.as_bytes(), port.parse().unwrap());
                assert_eq!(place.word(), word);
            }
        }
    }

    #[test]
    fn the_docs_have_weights_and_choices() {
        let words: Vec<_> = rows("server").iter().map(|row| row[1]).collect();
        let rendezvous = rendezvous(&words);
        let rows = rows("key");
        assert_eq!(rows.len(), 4);
        for row in rows {
            let [key, hash, first, second] = row[..] else { panic!("{row:?}") };
            assert_eq!(fnv1a(key.as_bytes()), number(hash), "{key}");
            let choice = |place: Option<usize>| place.map(|place| words[place]);
            let (is_first, is_second) = rendezvous.first_two_of(fnv1a(key.as_bytes()));
            assert_eq!((choice(Some(is_first)), choice(is_second)), (Some(first), Some(second)));
        }
    }

    #[test]
    fn the_whole_key_counts_as_it_is_sent() {
        let rendezvous = servers(16);
        for key in keys(100) {
            let mut sent = Vec::new();
            key.write(&mut sent);
            assert_eq!(rendezvous.first_two(&key), rendezvous.first_two_of(fnv1a(&sent)));
        }
    }

    #[test]
    fn the_order_of_the_servers_does_not_matter() {
        let words = words(5);
        let forward = servers(5);
        let backward = Rendezvous::new(words.iter().rev().map(String::as_bytes));
        for key in keys(1000) {
            let (first, second) = backward.first_two(&key);
            assert_eq!(forward.first_two(&key), (4 - first, second.map(|place| 4 - place)));
        }
    }

    #[test]
    fn of_equal_weights_the_first_word_counts() {
        let server = |index| Server { seed: 7, index };
        let rendezvous = Rendezvous { servers: [2, 0, 1].map(server).into() };
        assert_eq!(rendezvous.first_two_of(1), (2, Some(0)));
        assert_eq!(self::rendezvous(&["b", "a"]).servers[0].index, 1);
    }

    #[test]
    fn a_single_server_has_all() {
        assert_eq!(keys(1).map(|key| servers(1).first_two(&key)).next(), Some((0, None)));
    }

    #[test]
    fn one_more_server_moves_its_share_alone() {
        for count in [1, 2, 5, 16] {
            let (before, after) = (servers(count), servers(count + 1));
            let mut moved = 0;
            for key in keys(20_000) {
                let ((old, old_second), (new, new_second)) =
                    (before.first_two(&key), after.first_two(&key));
                if new == old {
                    assert!(new_second == old_second || new_second == Some(count));
                } else {
                    assert_eq!((new, new_second), (count, Some(old)));
                    moved += 1;
                }
            }
            let expected = 20_000 / (count + 1);
            assert!(moved * 20 > expected * 18 && moved * 20 < expected * 22, "{moved} {expected}");
        }
    }

    #[test]
    fn shares_are_even() {
        for count in [2, 3, 5, 16] {
            let rendezvous = servers(count);
            let mut firsts = vec![0; count];
            let mut pairs = vec![0; count * count];
            for key in keys(100_000) {
                let (first, second) = rendezvous.first_two(&key);
                firsts[first] += 1;
                pairs[first * count + second.unwrap()] += 1;
            }
            let expected = 100_000 / count;
            for share in firsts {
                assert!(share * 100 > expected * 95 && share * 100 < expected * 105, "{share}");
            }
            // What a server has is spread over all others when it is down.
            let expected = expected / (count - 1);
            for first in 0..count {
                for second in (0..count).filter(|second| *second != first) {
                    let share = pairs[first * count + second];
                    assert!(share * 4 > expected * 3 && share * 4 < expected * 5, "{share}");
                }
            }
        }
    }
}
