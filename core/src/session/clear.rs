//! Records in clear, as they are stored without a key file: the session's text, and a checksum that
//! tells a record which was damaged in the store, or belongs to another session.
//!
//! ```text
//! record = text | CRC-32 of id and text (4, big-endian)
//! ```
//!
//! A text that was damaged can still be well formed, and then fails the handshake of the client
//! that offers its session: both sides go on with different secrets. CRC-32 misses no change within
//! 32 bits in a row, and one in 2^32 of the others. It is no defence against whoever writes into
//! the store on purpose: that is what [sealed records](crate::session::sealed) are for.

use crc32fast::Hasher;

/// The length of a record's checksum, in bytes.
const CHECKSUM_LEN: usize = 4;

/// Writes the record of the session with this id to the front of `buffer`; `None` where it does not
/// fit, or `encode` has none.
///
/// `encode` writes the session's text to the front of what it is given, and returns the length.
pub fn write<'b>(
    id: &[u8],
    buffer: &'b mut [u8],
    encode: impl FnOnce(&mut [u8]) -> Option<usize>,
) -> Option<&'b [u8]> {
    let room = buffer.len().checked_sub(CHECKSUM_LEN)?;
    let len = encode(&mut buffer[..room])?;
    let record = buffer.get_mut(..len + CHECKSUM_LEN)?;
    let (text, sum) = record.split_last_chunk_mut()?;
    *sum = checksum(id, text);
    Some(record)
}

/// The text of a record of the session with this id; `None` where it is no such record.
pub fn read<'r>(id: &[u8], record: &'r [u8]) -> Option<&'r [u8]> {
    let (text, sum) = record.split_last_chunk()?;
    (*sum == checksum(id, text)).then_some(text)
}

fn checksum(id: &[u8], text: &[u8]) -> [u8; CHECKSUM_LEN] {
    let mut hasher = Hasher::new();
    hasher.update(id);
    hasher.update(text);
    hasher.finalize().to_be_bytes()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ID: &[u8] = b"0123456789abcdef0123456789abcdef";
    const TEXT: &[u8] = b"what a session is written down as";

    fn record(id: &[u8], text: &[u8]) -> Vec<u8> {
        let mut buffer = [0; 4096];
        let encode = |space: &mut [u8]| {
            space[..text.len()].copy_from_slice(text);
            Some(text.len())
        };
        write(id, &mut buffer, encode).unwrap().to_vec()
    }

    /// The check value of CRC-32/ISO-HDLC, as zlib and Ethernet have it: that of "123456789".
    #[test]
    fn known_answer() {
        assert_eq!(record(b"1234", b"56789"), b"56789\xcb\xf4\x39\x26");
    }

    #[test]
    fn reads_what_was_written() {
        for text in [TEXT, b"", &[0; 4000]] {
            assert_eq!(read(ID, &record(ID, text)), Some(text));
        }
    }

    #[test]
    fn no_changed_byte_is_read() {
        let record = record(ID, TEXT);
        for at in 0..record.len() {
            for change in 1..=u8::MAX {
                let mut changed = record.clone();
                changed[at] ^= change;
                assert_eq!(read(ID, &changed), None, "byte {at} changed by {change:#x}");
            }
        }
    }

    #[test]
    fn nothing_cut_or_longer_is_read() {
        let record = record(ID, TEXT);
        for len in 0..record.len() {
            assert_eq!(read(ID, &record[..len]), None, "the first {len}");
            assert_eq!(read(ID, &record[record.len() - len..]), None, "the last {len}");
        }
        assert_eq!(read(ID, &[&record[..], b"\0"].concat()), None);
    }

    #[test]
    fn no_other_session_is_read() {
        assert_eq!(read(&ID[1..], &record(ID, TEXT)), None);
        assert_eq!(read(ID, &record(b"another", TEXT)), None);
    }

    #[test]
    fn what_does_not_fit_is_not_written() {
        let encode = |space: &mut [u8]| (TEXT.len() <= space.len()).then_some(TEXT.len());
        for len in 0..TEXT.len() + CHECKSUM_LEN {
            assert_eq!(write(ID, &mut vec![0; len], encode), None, "{len}");
        }
        assert!(write(ID, &mut [0; TEXT.len() + CHECKSUM_LEN], encode).is_some());
        assert_eq!(write(ID, &mut [0; 64], |_| None), None);
        assert_eq!(write(ID, &mut [0; 64], |space| Some(space.len() + 1)), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            if let Some(text) = read(ID, &bytes) {
                prop_assert_eq!(record(ID, text), bytes);
            }
        }
    }
}
