//! Where a value of RESP2 ends, found while it comes.

use crate::protocol::resp::{MAX_DEPTH, MAX_ELEMENTS};
use crate::protocol::{ProtocolError, MAX_LINE, MAX_RECORD, MAX_SKIPPED};

/// Finds the end of one value, which may come in any parts: it is given each byte once, and keeps
/// none. It accepts what [`read`](super::resp::read) does, but for a bulk string that is longer than
/// any record.
#[derive(Default)]
pub(crate) struct Scanner {
    step: Step,
    /// How many elements are still to come of each array that has begun.
    open: [u16; MAX_DEPTH],
    depth: usize,
}

/// What comes next.
#[derive(Clone, Copy, Default)]
enum Step {
    /// What kind of value it is.
    #[default]
    Kind,
    /// More of a line, which has so many bytes.
    Line(usize),
    /// A length, of which so much is known.
    Length { of: Counted, value: u64, digits: usize },
    /// `-1\r\n` from this byte on.
    Null(usize),
    /// The line feed behind the carriage return.
    LineFeed(Then),
    /// So many bytes of a bulk string, and the carriage return behind it.
    Bulk(usize),
}

/// What begins with a length.
#[derive(Clone, Copy)]
enum Counted {
    Bulk,
    Array,
}

/// What a line has told.
#[derive(Clone, Copy)]
enum Then {
    End,
    Bulk(usize),
    Array(u16),
}

const NULL: &[u8] = b"-1\r\n";

/// As the decimal numbers in replies have.
const MAX_DIGITS: usize = 10;

impl Scanner {
    /// Takes the next bytes that have come: returns how many of them are the value's where it ends
    /// among them. After that it is of no more use.
    pub(crate) fn scan(&mut self, new: &[u8]) -> Result<Option<usize>, ProtocolError> {
        let mut at = 0;
        while at < new.len() {
            if let Step::Bulk(left @ 1..) = self.step {
                let count = left.min(new.len() - at);
                self.step = Step::Bulk(left - count);
                at += count;
                continue;
            }
            let is_at_end = self.take(new[at])?;
            at += 1;
            if is_at_end && self.has_ended() {
                return Ok(Some(at));
            }
        }
        Ok(None)
    }

    /// Takes one byte, and returns whether it ends a value.
    fn take(&mut self, byte: u8) -> Result<bool, ProtocolError> {
        self.step = match (self.step, byte) {
            (Step::Kind, b'+' | b'-' | b':') => Step::Line(1),
            (Step::Kind, b'$') => Step::Length { of: Counted::Bulk, value: 0, digits: 0 },
            (Step::Kind, b'*') if self.depth == MAX_DEPTH => return Err(ProtocolError::TooLarge),
            (Step::Kind, b'*') => Step::Length { of: Counted::Array, value: 0, digits: 0 },
            (Step::Kind, _) => return Err(ProtocolError::Unexpected),

            (Step::Line(len), _) if len == MAX_LINE - 1 => return Err(ProtocolError::TooLarge),
            (Step::Line(_), b'\r') => Step::LineFeed(Then::End),
            (Step::Line(len), _) => Step::Line(len + 1),

            (Step::Length { digits: 0, .. }, b'-') => Step::Null(1),
            (Step::Length { of, value, digits }, b'0'..=b'9') if digits < MAX_DIGITS => {
                let value = value * 10 + u64::from(byte - b'0');
                if value > of.max() {
                    return Err(ProtocolError::TooLarge);
                }
                Step::Length { of, value, digits: digits + 1 }
            }
            (Step::Length { of, value, digits: 1.. }, b'\r') => Step::LineFeed(of.then(value)),
            (Step::Length { .. }, _) => return Err(ProtocolError::Malformed),

            (Step::Null(at), _) if NULL[at] != byte => return Err(ProtocolError::Unexpected),
            (Step::Null(at), _) if at + 1 < NULL.len() => Step::Null(at + 1),
            (Step::Null(_), _) => return Ok(true),

            (Step::LineFeed(then), b'\n') => match then {
                Then::End | Then::Array(0) => return Ok(true),
                Then::Bulk(len) if len > MAX_RECORD => return Err(ProtocolError::TooLarge),
                Then::Bulk(len) => Step::Bulk(len),
                Then::Array(count) => {
                    self.open[self.depth] = count;
                    self.depth += 1;
                    Step::Kind
                }
            },
            (Step::Bulk(_), b'\r') => Step::LineFeed(Then::End),
            (Step::LineFeed(_) | Step::Bulk(_), _) => return Err(ProtocolError::Malformed),
        };
        Ok(false)
    }

    /// A value has ended: whether with it all have that it is in.
    fn has_ended(&mut self) -> bool {
        self.step = Step::Kind;
        while let Some(depth) = self.depth.checked_sub(1) {
            self.open[depth] -= 1;
            if self.open[depth] > 0 {
                return false;
            }
            self.depth = depth;
        }
        true
    }
}

impl Counted {
    fn max(self) -> u64 {
        match self {
            Self::Bulk => MAX_SKIPPED as u64,
            Self::Array => MAX_ELEMENTS,
        }
    }

    fn then(self, length: u64) -> Then {
        match self {
            Self::Bulk => Then::Bulk(length as usize),
            Self::Array => Then::Array(length as u16),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::protocol::resp::{read, Value};

    /// What becomes of `input` that comes in parts of `part` bytes.
    fn scan(input: &[u8], part: usize) -> Result<Option<usize>, ProtocolError> {
        let mut scanner = Scanner::default();
        for (index, new) in input.chunks(part).enumerate() {
            if let Some(end) = scanner.scan(new)? {
                return Ok(Some(index * part + end));
            }
        }
        Ok(None)
    }

    /// The same, by who reads the value.
    fn expected(input: &[u8]) -> Result<Option<usize>, ProtocolError> {
        match read(input)? {
            Some((Value::Long(_), _)) => Err(ProtocolError::TooLarge),
            Some((_, len)) => Ok(Some(len)),
            None => Ok(None),
        }
    }

    #[test]
    fn accepts_what_is_read() {
        let line = |len: usize| [&vec![b'+'; len][..], b"\r\n"].concat();
        let bulk = |len: usize| [format!("${len}\r\n").as_bytes(), &vec![b'\r'; len]].concat();
        for input in [
            &b"+OK\r\n"[..],
            b"*0\r\n",
            b"*-1\r\n",
            b"$-1\r\n",
            b"*1\r\n*1\r\n*1\r\n*2\r\n:1\r\n$-1\r\n*0\r\n",
            b"*3\r\n$0\r\n\r\n$1\r\n\r\r\n-ERR\r\n+",
            b"*1\r\n*1\r\n*1\r\n*1\r\n*0\r\n",
            b"*1\r\n*1\r\n*1\r\n*1\r\n*-1\r\n",
            b"*16384\r\n",
            b"*16385\r\n",
            b"*99999999999\r\n",
            b"*\r\n",
            b"*-2\r\n",
            b"*1-1\r\n",
            b"*00000000001\r\n",
            b"*1\rx",
            b"$1\r\nab",
            b"$1\r\na\rx",
            b"+a\rb",
            b"!",
            &line(MAX_LINE - 2),
            &line(MAX_LINE - 1),
            &[b'+'; MAX_LINE - 1],
            &[b'+'; MAX_LINE],
            &[&bulk(MAX_RECORD)[..], b"\r\n"].concat(),
            &bulk(MAX_RECORD + 1),
        ] {
            let expected = expected(input);
            for part in [1, 2, 3, 7, 1000, input.len()] {
                assert_eq!(scan(input, part), expected, "{}", input.escape_ascii());
            }
        }
    }

    /// Pieces of values, in any order.
    fn pieces() -> impl Strategy<Value = Vec<u8>> {
        let piece = prop_oneof![
            Just("*"),
            Just("$"),
            Just(":"),
            Just("-1"),
            Just("0"),
            Just("1"),
            Just("2"),
            Just("\r\n"),
            Just("\r\n"),
            Just("\r"),
            Just("\n"),
            Just("*1\r\n"),
            Just("*2\r\n"),
            Just("$1\r\na\r\n"),
            Just("+a\r\n"),
            Just(":1\r\n"),
            Just("*0\r\n"),
        ];
        prop::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat().into_bytes())
    }

    proptest! {
        #[test]
        fn accepts_no_other_than_what_is_read(input in pieces(), part in 1..9usize) {
            for cut in 0..=input.len() {
                prop_assert_eq!(scan(&input[..cut], part), expected(&input[..cut]));
            }
        }
    }
}
