//! How replies begin and end, in both protocols.

use crate::protocol::error::ProtocolError;
use crate::protocol::reply::{Reply, Rest};
use crate::protocol::{Decoded, MAX_RECORD};

/// `reply` if one of `replies` is at the front of `input`.
pub(crate) fn one_of<'a>(input: &[u8], replies: &[&[u8]], reply: Reply<'a>) -> Decoded<'a> {
    if let Some(found) = replies.iter().find(|expected| input.starts_with(expected)) {
        return Ok(Some((reply, found.len())));
    }
    if replies.iter().any(|expected| expected.starts_with(input)) {
        return Ok(None);
    }
    Err(ProtocolError::Unexpected)
}

/// The record of `len` bytes in `input`, between the CRLF at `crlf` and `tail`.
pub(crate) fn delimited<'a>(
    input: &'a [u8],
    crlf: usize,
    len: u64,
    tail: &'static [u8],
) -> Decoded<'a> {
    let len = len as usize;
    let start = crlf + 2;
    let end = start + len;
    let head = &input[crlf..input.len().min(start)];
    if head != b"\r\n" {
        return if b"\r\n".starts_with(head) { Ok(None) } else { Err(ProtocolError::Malformed) };
    }
    if len > MAX_RECORD {
        return Ok(Some((Reply::Oversized(Rest { len, tail }), start)));
    }
    let rest = input.get(end..).unwrap_or_default();
    if rest.starts_with(tail) {
        return Ok(Some((Reply::Found(&input[start..end]), end + tail.len())));
    }
    if tail.starts_with(rest) {
        return Ok(None);
    }
    Err(ProtocolError::Malformed)
}
