//! Which server of a Redis Cluster has which slots, as one of them answers to `CLUSTER SLOTS`:
//! <https://redis.io/docs/latest/commands/cluster-slots/>.
//!
//! That command is deprecated since Redis 7.0, and yet the one to use: each Redis and Valkey with
//! clusters answers it, and each service that speaks for one, while `CLUSTER SHARDS` is known from 7.0
//! on and says nothing more that is of use here.

use std::collections::BTreeMap;
use std::str;

use thiserror::Error;

use crate::protocol::resp::{self, Value};
use crate::topology::endpoint::{Endpoint, Host};
use crate::topology::slots::SLOTS;

/// The most masters of a cluster: Redis is made for clusters of so many servers, replicas among them.
pub const MAX_MASTERS: usize = 1000;

/// Which server has each slot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Map {
    /// Each once.
    masters: Vec<Endpoint>,
    /// For each slot the place of its server among the masters, or [`NONE`](Self::NONE).
    owners: Box<[u16]>,
}

/// Why an answer is of no use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum MapError {
    /// It is not what `CLUSTER SLOTS` answers.
    #[error("no list of slots and servers")]
    Malformed,
    /// A range of slots begins behind its end, or ends behind the last slot.
    #[error("a range of slots that there is not")]
    Range,
    /// No cluster says so of itself, and nothing tells which is right.
    #[error("slot {0} has two masters")]
    Overlap(u16),
    /// More than [`MAX_MASTERS`].
    #[error("more than {MAX_MASTERS} masters")]
    TooMany,
}

impl Map {
    /// The place of no master.
    const NONE: u16 = u16::MAX;

    /// Reads a whole reply, of the server that was asked at `asked`.
    ///
    /// The first server of each range is its master; replicas are left out. Where it is not said in
    /// any useful way where that is, its slots are left without one. An answer that is wrong in any
    /// part is refused whole. A cluster without slots is none: its map is empty.
    pub fn read(reply: &[u8], asked: &Host) -> Result<Self, MapError> {
        let Ok(Some((Value::Array(ranges), len))) = resp::read(reply) else {
            return Err(MapError::Malformed);
        };
        if len != reply.len() {
            return Err(MapError::Malformed);
        }
        let mut places = BTreeMap::new();
        let mut is_taken = [false; SLOTS as usize];
        let mut owners = vec![Self::NONE; SLOTS.into()].into_boxed_slice();
        for range in &ranges {
            let (first, last, master) = read_range(range, asked)?;
            let count = places.len();
            let owner = match master {
                Some(master) => *places.entry(master).or_insert(count as u16),
                None => Self::NONE,
            };
            if places.len() > MAX_MASTERS {
                return Err(MapError::TooMany);
            }
            for slot in first..=last {
                if is_taken[usize::from(slot)] {
                    return Err(MapError::Overlap(slot));
                }
                is_taken[usize::from(slot)] = true;
                owners[usize::from(slot)] = owner;
            }
        }
        let mut masters: Vec<_> = places.into_iter().collect();
        masters.sort_unstable_by_key(|(_, place)| *place);
        Ok(Self { masters: masters.into_iter().map(|(master, _)| master).collect(), owners })
    }

    /// The servers that have slots, each once.
    pub fn masters(&self) -> &[Endpoint] {
        &self.masters
    }

    /// For each slot, in their order, the place of its server among [`masters`](Self::masters).
    pub fn owners(&self) -> impl Iterator<Item = Option<usize>> + '_ {
        self.owners.iter().map(|place| (*place != Self::NONE).then_some(usize::from(*place)))
    }

    /// Whether no slot has a server.
    pub fn is_empty(&self) -> bool {
        self.masters.is_empty()
    }
}

/// The first and the last slot of a range, and their master.
fn read_range(range: &Value<'_>, asked: &Host) -> Result<(u16, u16, Option<Endpoint>), MapError> {
    let Value::Array(range) = range else { return Err(MapError::Malformed) };
    let [first, last, master, ..] = &range[..] else { return Err(MapError::Malformed) };
    let (first, last) = (read_number(first)?, read_number(last)?);
    if first > last || last >= SLOTS {
        return Err(MapError::Range);
    }
    Ok((first, last, read_server(master, asked)?))
}

/// The endpoint that the cluster prefers: an address, or a name, which is what a certificate is for.
/// Where it only prefers to name its servers, and this one has no name (`?`), its address.
fn read_server(server: &Value<'_>, asked: &Host) -> Result<Option<Endpoint>, MapError> {
    let Value::Array(server) = server else { return Err(MapError::Malformed) };
    let [host, port, rest @ ..] = &server[..] else { return Err(MapError::Malformed) };
    let port = read_number(port)?;
    let host = match host {
        Value::Bulk(host) => *host,
        Value::Null => b"",
        _ => return Err(MapError::Malformed),
    };
    let ip = || Endpoint::told(ip_of(rest)?, port, asked);
    Ok(Endpoint::told(host, port, asked).or_else(ip))
}

/// What Redis 7 says of the address of a server beside its endpoint.
fn ip_of<'a>(rest: &[Value<'a>]) -> Option<&'a [u8]> {
    // Behind the server's id.
    let [_, Value::Array(metadata), ..] = rest else { return None };
    metadata.chunks_exact(2).find_map(|pair| match pair {
        [Value::Bulk(b"ip"), Value::Bulk(ip)] => Some(*ip),
        _ => None,
    })
}

fn read_number(value: &Value<'_>) -> Result<u16, MapError> {
    let Value::Integer(digits) = value else { return Err(MapError::Malformed) };
    let number = str::from_utf8(digits).ok().and_then(|digits| digits.parse().ok());
    number.ok_or(MapError::Malformed)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// What a server answers: `[…]` is an array, `"…"` a string, `nil` is none, other words are
    /// integers.
    pub(crate) fn reply(text: &str) -> Vec<u8> {
        fn array(words: &mut std::str::SplitWhitespace<'_>) -> Vec<u8> {
            let (mut count, mut values) = (0, Vec::new());
            while let Some(word) = words.next() {
                values.extend(match word {
                    "]" => break,
                    "[" => array(words),
                    "nil" => b"$-1\r\n".to_vec(),
                    word => match word.strip_prefix('"').and_then(|word| word.strip_suffix('"')) {
                        Some(text) => format!("${}\r\n{text}\r\n", text.len()).into_bytes(),
                        None => format!(":{word}\r\n").into_bytes(),
                    },
                });
                count += 1;
            }
            [format!("*{count}\r\n").into_bytes(), values].concat()
        }
        let mut words = text.split_whitespace();
        assert_eq!(words.next(), Some("["));
        array(&mut words)
    }

    fn read(text: &str) -> Result<Map, MapError> {
        Map::read(&reply(text), &Host::parse(b"192.0.2.1").unwrap())
    }

    /// Ranges of slots with one server, as text.
    fn ranges(map: &Map) -> Vec<String> {
        let mut ranges: Vec<(usize, usize, usize)> = Vec::new();
        for (slot, owner) in map.owners().enumerate() {
            let Some(owner) = owner else { continue };
            match ranges.last_mut() {
                Some((_, last, other)) if (*last, *other) == (slot - 1, owner) => *last = slot,
                _ => ranges.push((slot, slot, owner)),
            }
        }
        let text = |(first, last, owner)| format!("{first}-{last} {}", map.masters()[owner]);
        ranges.into_iter().map(text).collect()
    }

    #[test]
    fn three_masters_and_their_replicas() {
        let map = read(
            r#"[ [ 5461 10922 [ "192.0.2.12" 6379 "b" [ ] ] [ "192.0.2.22" 6379 "e" [ ] ] ]
                 [ 0 5459 [ "192.0.2.11" 6379 "a" [ ] ] [ "192.0.2.21" 6379 "d" [ ] ] ]
                 [ 10923 16383 [ "192.0.2.13" 6379 "c" [ ] ] ]
                 [ 5460 5460 [ "192.0.2.13" 6379 "c" [ ] ] ] ]"#,
        )
        .unwrap();
        assert_eq!(map.masters().len(), 3);
        assert_eq!(
            ranges(&map),
            [
                "0-5459 192.0.2.11:6379",
                "5460-5460 192.0.2.13:6379",
                "5461-10922 192.0.2.12:6379",
                "10923-16383 192.0.2.13:6379",
            ]
        );
    }

    #[test]
    fn where_a_server_says_that_another_one_is() {
        for (server, endpoint) in [
            // Redis 3, and 4 to 6.
            (r#"[ "192.0.2.9" 6379 ]"#, Some("192.0.2.9:6379")),
            (r#"[ "192.0.2.9" 6379 "id" ]"#, Some("192.0.2.9:6379")),
            (r#"[ "2001:db8::9" 6379 "id" ]"#, Some("[2001:db8::9]:6379")),
            // Redis 7: by address, with a name beside it; by name; by none.
            (r#"[ "192.0.2.9" 6379 "id" [ "hostname" "n.example" ] ]"#, Some("192.0.2.9:6379")),
            (r#"[ "n.example" 6379 "id" [ "ip" "192.0.2.9" ] ]"#, Some("n.example:6379")),
            (r#"[ "?" 6379 "id" [ "ip" "192.0.2.9" ] ]"#, Some("192.0.2.9:6379")),
            (r#"[ "?" 6379 "id" [ "x" "y" "ip" "192.0.2.9" ] ]"#, Some("192.0.2.9:6379")),
            (r#"[ "?" 6379 "id" [ "ip" ] ]"#, None),
            (r#"[ "?" 6379 "id" [ "ip" 1 ] ]"#, None),
            (r#"[ "?" 6379 "id" [ ] ]"#, None),
            (r#"[ "?" 6379 "id" ]"#, None),
            (r#"[ "a/b" 6379 "id" [ "ip" "a/b" ] ]"#, None),
            // The asked host; Redis 7 has no address of its own before another node has told it.
            (r#"[ "?" 6379 "id" [ "ip" "" ] ]"#, Some("192.0.2.1:6379")),
            (r#"[ nil 6380 "id" [ "ip" "192.0.2.9" ] ]"#, Some("192.0.2.1:6380")),
            (r#"[ "" 6380 "id" ]"#, Some("192.0.2.1:6380")),
            (r#"[ "127.0.0.1" 6380 "id" ]"#, Some("192.0.2.1:6380")),
            (r#"[ "192.0.2.9" 0 "id" [ "ip" "192.0.2.9" ] ]"#, None),
        ] {
            let map = read(&format!("[ [ 0 1 {server} ] ]")).unwrap();
            let expected = endpoint.map(|endpoint| format!("0-1 {endpoint}"));
            assert_eq!(ranges(&map), Vec::from_iter(expected), "{server}");
            assert_eq!(map.is_empty(), endpoint.is_none(), "{server}");
        }
    }

    #[test]
    fn slots_of_no_use_leave_the_others() {
        let map =
            read(r#"[ [ 0 9 [ "?" 1 ] ] [ 10 19 [ "a.b" 1 ] ] [ 20 29 [ "c" 0 ] ] ]"#).unwrap();
        assert_eq!(ranges(&map), ["10-19 a.b:1"]);
    }

    #[test]
    fn a_cluster_without_slots() {
        assert!(read("[ ]").unwrap().is_empty());
    }

    #[test]
    fn what_is_no_map() {
        for (text, error) in [
            (r#"[ [ 0 16384 [ "a" 1 ] ] ]"#, MapError::Range),
            (r#"[ [ 2 1 [ "a" 1 ] ] ]"#, MapError::Range),
            (r#"[ [ 0 5 [ "a" 1 ] ] [ 5 6 [ "b" 1 ] ] ]"#, MapError::Overlap(5)),
            (r#"[ [ 0 5 [ "a" 1 ] ] [ 0 5 [ "a" 1 ] ] ]"#, MapError::Overlap(0)),
            (r#"[ [ 0 5 [ "?" 1 ] ] [ 3 5 [ "?" 1 ] ] ]"#, MapError::Overlap(3)),
            (r#"[ [ -1 5 [ "a" 1 ] ] ]"#, MapError::Malformed),
            (r#"[ [ 65536 65536 [ "a" 1 ] ] ]"#, MapError::Malformed),
            (r#"[ [ "0" 5 [ "a" 1 ] ] ]"#, MapError::Malformed),
            (r#"[ [ 0 5 ] ]"#, MapError::Malformed),
            (r#"[ [ 0 5 "a" ] ]"#, MapError::Malformed),
            (r#"[ [ 0 5 [ "a" ] ] ]"#, MapError::Malformed),
            (r#"[ [ 0 5 [ ] ] ]"#, MapError::Malformed),
            (r#"[ [ 0 5 [ 1 1 ] ] ]"#, MapError::Malformed),
            (r#"[ [ 0 5 [ "a" "1" ] ] ]"#, MapError::Malformed),
            (r#"[ [ 0 5 [ "a" 65536 ] ] ]"#, MapError::Malformed),
            (r#"[ [ 0 5 [ "a" -1 ] ] ]"#, MapError::Malformed),
            (r#"[ 1 ]"#, MapError::Malformed),
            (r#"[ [ 0 5 [ "a" 1 ] ] 1 ]"#, MapError::Malformed),
        ] {
            assert_eq!(read(text), Err(error), "{text}");
        }
        let asked = Host::parse(b"a").unwrap();
        for reply in [&b""[..], b"*1\r\n", b"*0\r\n*0\r\n", b"+OK\r\n", b"-ERR\r\n", b"!"] {
            assert_eq!(Map::read(reply, &asked), Err(MapError::Malformed));
        }
    }

    #[test]
    fn as_many_masters_as_a_cluster_has() {
        let many = |count: usize| {
            let range = |n| format!(r#"[ {n} {n} [ "a" {} ] ] "#, n + 1);
            read(&format!("[ {} ]", (0..count).map(range).collect::<String>()))
        };
        assert_eq!(many(MAX_MASTERS).unwrap().masters().len(), MAX_MASTERS);
        assert_eq!(many(MAX_MASTERS + 1), Err(MapError::TooMany));
    }
}
