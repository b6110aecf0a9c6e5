//! RESP2, the format of Redis's replies:
//! <https://redis.io/docs/latest/develop/reference/protocol-spec/>.

use crate::protocol::frame::delimited;
use crate::protocol::text::{line, number};
use crate::protocol::{ProtocolError, Reply, Rest, MAX_SKIPPED};

/// Arrays are nested no deeper: those of `CLUSTER SLOTS` are four deep.
pub(crate) const MAX_DEPTH: usize = 4;

/// The most elements of an array.
pub(crate) const MAX_ELEMENTS: u64 = 16 * 1024;

/// A value as Redis sends it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Value<'a> {
    Simple(&'a [u8]),
    Error(&'a [u8]),
    /// In decimal, with a `-` where it is negative.
    Integer(&'a [u8]),
    Bulk(&'a [u8]),
    /// A bulk string that is longer than any record; this is still to come of it.
    Long(Rest),
    Null,
    Array(Vec<Value<'a>>),
}

/// What is at the front of some input, with its length; `None` where there is not all of it.
type Read<'a> = Result<Option<(Value<'a>, usize)>, ProtocolError>;

/// Takes a value off the front of `input`.
pub(crate) fn read(input: &[u8]) -> Read<'_> {
    read_nested(input, 0)
}

/// Takes a value off the front of `input`: an array of at most `max` bytes, or none.
pub(crate) fn read_short(input: &[u8], max: usize) -> Read<'_> {
    if input.len() < max || input.first() != Some(&b'*') {
        return read(input);
    }
    read(&input[..max])?.map(Some).ok_or(ProtocolError::TooLarge)
}

fn read_nested(input: &[u8], depth: usize) -> Read<'_> {
    let Some((kind, rest)) = input.split_first() else { return Ok(None) };
    match kind {
        b'+' => Ok(line(input)?.map(|(text, len)| (Value::Simple(&text[1..]), len))),
        b'-' => Ok(line(input)?.map(|(text, len)| (Value::Error(&text[1..]), len))),
        b':' => Ok(line(input)?.map(|(text, len)| (Value::Integer(&text[1..]), len))),
        b'$' if rest.first() == Some(&b'-') => null(input),
        b'$' => bulk(input, depth),
        b'*' if depth == MAX_DEPTH => Err(ProtocolError::TooLarge),
        b'*' if rest.first() == Some(&b'-') => null(input),
        b'*' => array(input, depth),
        _ => Err(ProtocolError::Unexpected),
    }
}

/// `$-1` or `*-1`.
fn null(input: &[u8]) -> Read<'_> {
    const NULL: &[u8] = b"-1\r\n";

    let rest = &input[1..];
    if rest.starts_with(NULL) {
        return Ok(Some((Value::Null, 1 + NULL.len())));
    }
    if NULL.starts_with(rest) {
        return Ok(None);
    }
    Err(ProtocolError::Unexpected)
}

fn bulk(input: &[u8], depth: usize) -> Read<'_> {
    let Some((len, digits)) = number(&input[1..], b'\r', MAX_SKIPPED as u64)? else {
        return Ok(None);
    };
    let value = match delimited(input, 1 + digits, len, b"\r\n")? {
        Some((Reply::Found(bytes), len)) => Some((Value::Bulk(bytes), len)),
        Some((Reply::Oversized(rest), len)) if depth == 0 => Some((Value::Long(rest), len)),
        Some(_) => return Err(ProtocolError::TooLarge),
        None => None,
    };
    Ok(value)
}

fn array(input: &[u8], depth: usize) -> Read<'_> {
    let Some((count, digits)) = number(&input[1..], b'\r', MAX_ELEMENTS)? else { return Ok(None) };
    let mut end = 1 + digits + 2;
    let crlf = &input[1 + digits..input.len().min(end)];
    if crlf != b"\r\n" {
        return if b"\r\n".starts_with(crlf) { Ok(None) } else { Err(ProtocolError::Malformed) };
    }
    let mut values = Vec::new();
    for _ in 0..count {
        let Some((value, len)) = read_nested(&input[end..], depth + 1)? else { return Ok(None) };
        values.push(value);
        end += len;
    }
    Ok(Some((Value::Array(values), end)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::MAX_RECORD;

    /// Reads `input` whole, after each part of it in turn was found incomplete.
    fn read_at_every_cut(input: &[u8]) -> Value<'_> {
        for cut in 0..input.len() {
            assert_eq!(read(&input[..cut]), Ok(None), "cut at {cut}");
        }
        let (value, len) = read(input).unwrap().unwrap();
        assert_eq!(len, input.len());
        value
    }

    #[test]
    fn flat_values() {
        for (input, value) in [
            (&b"+OK\r\n"[..], Value::Simple(b"OK")),
            (b"-ERR no\r\n", Value::Error(b"ERR no")),
            (b":-12\r\n", Value::Integer(b"-12")),
            (b"$3\r\na\r\n\r\n", Value::Bulk(b"a\r\n")),
            (b"$0\r\n\r\n", Value::Bulk(b"")),
            (b"$-1\r\n", Value::Null),
            (b"*-1\r\n", Value::Null),
            (b"*0\r\n", Value::Array(vec![])),
        ] {
            assert_eq!(read_at_every_cut(input), value);
        }
    }

    /// As `CLUSTER SLOTS` answers.
    #[test]
    fn arrays_in_arrays() {
        let input = b"*1\r\n*3\r\n:0\r\n:16383\r\n*3\r\n$9\r\n127.0.0.1\r\n:6379\r\n*0\r\n";
        let server = vec![Value::Bulk(b"127.0.0.1"), Value::Integer(b"6379"), Value::Array(vec![])];
        let slots = vec![Value::Integer(b"0"), Value::Integer(b"16383"), Value::Array(server)];
        assert_eq!(read_at_every_cut(input), Value::Array(vec![Value::Array(slots)]));
    }

    #[test]
    fn what_is_too_large() {
        let long = format!("${}\r\n", MAX_RECORD + 1);
        let rest = Rest { len: MAX_RECORD + 1, tail: b"\r\n" };
        assert_eq!(read_at_every_cut(long.as_bytes()), Value::Long(rest));
        for input in [
            format!("*1\r\n{long}").as_bytes(),
            b"*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n",
            b"*1\r\n*1\r\n*1\r\n*1\r\n*",
            b"*1\r\n*1\r\n*1\r\n*1\r\n*-1\r\n",
            b"*16385\r\n",
            b"$1048577\r\n",
        ] {
            assert_eq!(read(input), Err(ProtocolError::TooLarge));
        }
    }

    #[test]
    fn what_is_no_value() {
        for (input, error) in [
            (&b"HTTP/1.1 400"[..], ProtocolError::Unexpected),
            (b"_\r\n", ProtocolError::Unexpected),
            (b"$-2\r\n", ProtocolError::Unexpected),
            (b"*-2\r\n", ProtocolError::Unexpected),
            (b"*1\r\n!", ProtocolError::Unexpected),
            (b"*x", ProtocolError::Malformed),
            (b"*1\rx", ProtocolError::Malformed),
            (b"$1\r\nab", ProtocolError::Malformed),
        ] {
            assert_eq!(read(input), Err(error), "{}", input.escape_ascii());
        }
    }
}
