//! What both protocols read and write in the same way.

use crate::protocol::error::ProtocolError;
use crate::protocol::MAX_LINE;

/// A server's message as text for a log: on one line and of bounded length.
pub(crate) fn printable(message: &[u8]) -> String {
    const MAX_MESSAGE: usize = 200;

    let message = &message[..message.len().min(MAX_MESSAGE)];
    message
        .iter()
        .map(|&b| if b == b' ' || b.is_ascii_graphic() { b as char } else { '?' })
        .collect()
}

/// The line at the front of `input` without its CRLF, and its length with it.
pub(crate) fn line(input: &[u8]) -> Result<Option<(&[u8], usize)>, ProtocolError> {
    let input = &input[..input.len().min(MAX_LINE)];
    let Some(end) = input.iter().position(|&byte| byte == b'\r') else {
        return if input.len() < MAX_LINE { Ok(None) } else { Err(ProtocolError::TooLarge) };
    };
    match input.get(end + 1) {
        Some(b'\n') => Ok(Some((&input[..end], end + 2))),
        Some(_) => Err(ProtocolError::Malformed),
        None if input.len() < MAX_LINE => Ok(None),
        None => Err(ProtocolError::TooLarge),
    }
}

/// The decimal number at the front of `input` up to the byte `end`, and the number of its digits.
pub(crate) fn number(
    input: &[u8],
    end: u8,
    max: u64,
) -> Result<Option<(u64, usize)>, ProtocolError> {
    const MAX_DIGITS: usize = 10;

    let mut value = 0;
    for (digits, &byte) in input.iter().enumerate() {
        match byte {
            b'0'..=b'9' if digits < MAX_DIGITS => {
                value = value * 10 + u64::from(byte - b'0');
                if value > max {
                    return Err(ProtocolError::TooLarge);
                }
            }
            _ if byte == end && digits > 0 => return Ok(Some((value, digits))),
            _ => return Err(ProtocolError::Malformed),
        }
    }
    Ok(None)
}

/// A number in decimal, on the stack.
pub(crate) struct Decimal {
    digits: [u8; 20],
    start: usize,
}

impl Decimal {
    pub(crate) fn new(mut number: u64) -> Self {
        let mut digits = [0; 20];
        let mut start = digits.len();
        loop {
            start -= 1;
            digits[start] = b'0' + (number % 10) as u8;
            number /= 10;
            if number == 0 {
                return Self { digits, start };
            }
        }
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.digits[self.start..]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals() {
        for number in [0, 9, 10, 99, 100, 2_592_000, u64::MAX] {
            assert_eq!(Decimal::new(number).as_bytes(), number.to_string().as_bytes());
        }
    }

    #[test]
    fn messages_are_safe_to_log() {
        assert_eq!(printable(b"ERR no\r\nsuch \xff"), "ERR no??such ?");
        assert_eq!(printable(&[b'x'; 5000]).len(), 200);
    }
}
