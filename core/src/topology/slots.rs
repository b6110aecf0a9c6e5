//! Which of a Redis Cluster's slots has a key:
//! <https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec/>.

use crate::session::Key;

/// So many slots has a cluster.
pub const SLOTS: u16 = 16384;

/// The slot of a key.
pub fn slot_of(key: &Key) -> u16 {
    key.with_bytes(slot_of_bytes)
}

/// The slot of a key as it is sent.
pub fn slot_of_bytes(key: &[u8]) -> u16 {
    crc16(hash_tag(key).unwrap_or(key)) % SLOTS
}

/// What is between the first `{` and the first `}` behind it, if there is anything: keys that have it
/// in common are in one slot.
fn hash_tag(key: &[u8]) -> Option<&[u8]> {
    let begin = 1 + key.iter().position(|byte| *byte == b'{')?;
    let len = key[begin..].iter().position(|byte| *byte == b'}')?;
    (len > 0).then(|| &key[begin..begin + len])
}

/// CRC-16/XMODEM.
fn crc16(bytes: &[u8]) -> u16 {
    const OF_BYTE: [u16; 256] = crc16_of_bytes();

    bytes.iter().fold(0, |crc, byte| (crc << 8) ^ OF_BYTE[usize::from((crc >> 8) as u8 ^ byte)])
}

const fn crc16_of_bytes() -> [u16; 256] {
    const POLYNOMIAL: u16 = 0x1021;

    let mut table = [0; 256];
    let mut byte = 0;
    while byte < table.len() {
        let mut crc = (byte as u16) << 8;
        let mut bit = 0;
        while bit < 8 {
            let carry = crc >> 15;
            crc = (crc << 1) ^ (carry * POLYNOMIAL);
            bit += 1;
        }
        table[byte] = crc;
        byte += 1;
    }
    table
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;
    use redis::cluster_routing::get_slot;

    use super::*;
    use crate::session::Keyspace;

    #[test]
    fn the_check_value_of_the_crc() {
        assert_eq!(crc16(b"123456789"), 0x31c3);
        assert_eq!(slot_of_bytes(b"123456789"), 12739);
        assert_eq!(slot_of_bytes(b""), 0);
    }

    #[test]
    fn hash_tags() {
        for (key, tag) in [
            ("foo{bar}", Some("bar")),
            ("{user1000}.following", Some("user1000")),
            ("foo{}{bar}", None),
            ("foo{{bar}}zap", Some("{bar")),
            ("foo{bar}{zap}", Some("bar")),
            ("}foo{bar}", Some("bar")),
            ("{}", None),
            ("{", None),
            ("foo{bar", None),
            ("foo}bar{", None),
            ("", None),
        ] {
            let of_tag = tag.map(|tag| slot_of_bytes(tag.as_bytes()));
            assert_eq!(hash_tag(key.as_bytes()), tag.map(str::as_bytes), "{key}");
            assert_eq!(slot_of_bytes(key.as_bytes()), of_tag.unwrap_or(crc(key)), "{key}");
        }
    }

    fn crc(key: &str) -> u16 {
        crc16(key.as_bytes()) % SLOTS
    }

    #[test]
    fn a_key_is_in_the_slot_of_what_is_sent() {
        for (prefix, sent) in [("p:", "p:0a"), ("{p}", "{p}0a"), ("{", "{0a"), ("", "0a")] {
            let key = Keyspace::new(prefix.as_bytes()).unwrap().key(&[10]).unwrap();
            assert_eq!(slot_of(&key), slot_of_bytes(sent.as_bytes()), "{prefix}");
        }
    }

    proptest! {
        #[test]
        fn keys_are_in_the_slot_that_another_client_asks(name in vec(any::<u8>(), 1..=32)) {
            let key = Keyspace::default().key(&name).unwrap();
            let mut sent = Vec::new();
            key.write(&mut sent);
            prop_assert_eq!(slot_of(&key), get_slot(&sent));
        }

        #[test]
        fn so_are_any_bytes(
            bytes in vec(prop_oneof![any::<u8>(), Just(b'{'), Just(b'}')], 0..40),
        ) {
            prop_assert_eq!(slot_of_bytes(&bytes), get_slot(&bytes));
        }
    }
}
