//! Times as nginx reads them: `200ms`, `1m 30s` (ngx_parse_time() in src/core/ngx_parse.c).
//!
//! Written here anew, and not handed in by who has nginx's function: so the crate's tests and the
//! fuzzer need no nginx. It has not changed its rules since it has had them. Its limits are left out:
//! whatever comes near them is far above the longest time here.

use core::time::Duration;

/// Where a unit stands in the order in which units may follow each other.
const MONTH: u8 = 0;
const WEEK: u8 = 1;
const DAY: u8 = 2;
const HOUR: u8 = 3;
const MINUTE: u8 = 4;
const SECOND: u8 = 5;
const MILLISECOND: u8 = 6;
const LAST: u8 = 7;

/// A time in nginx's units; a number without one is seconds, as are those before a space. Each unit
/// once, the longer ones first. Not longer ones than weeks, as nginx has it where milliseconds are
/// asked for.
pub(super) fn nginx_time(text: &[u8]) -> Option<Duration> {
    let mut total: u64 = 0;
    let mut value: u64 = 0;
    let mut has_digits = false;
    let mut step = MONTH;
    let mut rest = text;
    while let [byte, behind @ ..] = rest {
        rest = behind;
        if byte.is_ascii_digit() {
            value = value.saturating_mul(10).saturating_add(u64::from(byte - b'0'));
            has_digits = true;
            continue;
        }
        // The first unit that it may not follow, the unit itself, and its milliseconds.
        let (limit, unit, millis) = match byte {
            b'w' => (WEEK, WEEK, 7 * 24 * 60 * 60 * 1000),
            b'd' => (DAY, DAY, 24 * 60 * 60 * 1000),
            b'h' => (HOUR, HOUR, 60 * 60 * 1000),
            b'm' if rest.first() == Some(&b's') => {
                rest = &rest[1..];
                (MILLISECOND, MILLISECOND, 1)
            }
            b'm' => (MINUTE, MINUTE, 60 * 1000),
            b's' => (SECOND, SECOND, 1000),
            b' ' => (SECOND, LAST, 1000),
            _ => return None,
        };
        if step >= limit {
            return None;
        }
        step = unit;
        total = total.saturating_add(value.saturating_mul(millis));
        value = 0;
        let spaces = rest.iter().take_while(|byte| **byte == b' ').count();
        rest = &rest[spaces..];
    }
    let total = total.saturating_add(value.saturating_mul(1000));
    has_digits.then(|| Duration::from_millis(total))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What ngx_parse_time() of nginx 1.28 returns for these, asked with a program.
    const CASES: &[(&str, Option<u64>)] = &[
        ("", None),
        ("0", Some(0)),
        ("1", Some(1000)),
        ("200ms", Some(200)),
        ("1s", Some(1000)),
        ("1m", Some(60000)),
        ("1h", Some(3600000)),
        ("1d", Some(86400000)),
        ("1w", Some(604800000)),
        ("1M", None),
        ("1y", None),
        ("1h 30m", Some(5400000)),
        ("1h30m", Some(5400000)),
        ("1m 30s", Some(90000)),
        ("1s 200ms", Some(1200)),
        ("1w 1d 1h 1m 1s 1ms", Some(694861001)),
        ("1s 1m", None),
        ("1m1m", None),
        ("1ms1ms", None),
        ("1ms1s", None),
        ("1s ", Some(1000)),
        ("1 ", Some(1000)),
        (" 1", Some(1000)),
        (" ", None),
        ("1  1", Some(2000)),
        ("1 1", Some(2000)),
        ("1 1s", None),
        ("1s 1", Some(2000)),
        ("1s1", Some(2000)),
        ("1ms1", Some(1001)),
        ("s1", Some(1000)),
        ("s", None),
        ("ms", None),
        ("m s", None),
        ("1m s", Some(60000)),
        ("1x", None),
        ("x1", None),
        ("-1", None),
        ("+1", None),
        ("1.5s", None),
        ("0s", Some(0)),
        ("00010ms", Some(10)),
        ("1 ms", None),
        ("1 m", None),
        ("1m  ", Some(60000)),
        ("1h 1", Some(3601000)),
        ("  1s", None),
        ("1S", None),
        ("1MS", None),
    ];

    #[test]
    fn as_nginx_reads_them() {
        for (text, millis) in CASES {
            assert_eq!(
                nginx_time(text.as_bytes()),
                millis.map(Duration::from_millis),
                "\"{text}\""
            );
        }
    }

    #[test]
    fn beyond_nginx_limits_is_long() {
        for text in ["99999999999999999999", "99999999999999999999w", "9223372036854775807s 1"] {
            assert!(nginx_time(text.as_bytes()).unwrap() > Duration::from_secs(1 << 40), "{text}");
        }
    }
}
