//! What OpenSSL writes of a session and has no function to ask for.

use core::iter;

/// A SEQUENCE, and the tag of a session's flags in it: `[13] EXPLICIT INTEGER`, in
/// ssl/ssl_asn1.c of OpenSSL 1.1.1 to 4.0.
const SEQUENCE: u8 = 0x30;
const FLAGS: u8 = 0xa0 | 13;
const INTEGER: u8 = 0x02;
const OCTET_STRING: u8 = 0x04;
/// `[10] EXPLICIT OCTET STRING`, the same.
const TICKET: u8 = 0xa0 | 10;

/// SSL_SESS_FLAG_EXTMS in ssl/ssl_local.h.
const EXTENDED_MASTER_SECRET: u8 = 1;

/// Whether a session, in the form of i2d_SSL_SESSION(3), was made with an extended master secret
/// (RFC 7627). False of what is no session.
pub fn has_extended_master_secret(session: &[u8]) -> bool {
    flags(session).is_some_and(|flags| flags & EXTENDED_MASTER_SECRET != 0)
}

/// The lowest byte of a session's flags; `None` where it has none.
fn flags(session: &[u8]) -> Option<u8> {
    let (_, content) = fields(session).find(|(tag, _)| *tag == FLAGS)?;
    let (INTEGER, number, _) = element(content)? else { return None };
    number.last().copied()
}

/// The ticket of a session in the form of i2d_SSL_SESSION(3).
pub fn ticket(session: &[u8]) -> Option<&[u8]> {
    octets(session, TICKET)
}

/// What a field of a session holds that is `EXPLICIT OCTET STRING`, by its tag in ssl/ssl_asn1.c.
pub fn octets(session: &[u8], tag: u8) -> Option<&[u8]> {
    let (_, content) = fields(session).find(|(found, _)| *found == tag)?;
    let (OCTET_STRING, octets, _) = element(content)? else { return None };
    Some(octets)
}

/// The fields of a session in the form of i2d_SSL_SESSION(3), each with its tag, up to the first that is
/// none.
pub fn fields(session: &[u8]) -> impl Iterator<Item = (u8, &[u8])> {
    let mut rest = match element(session) {
        Some((SEQUENCE, fields, _)) => fields,
        _ => &[],
    };
    iter::from_fn(move || {
        let (tag, content, behind) = element(rest)?;
        rest = behind;
        Some((tag, content))
    })
}

/// The element at the front of DER: its tag, its content, and what is behind it (X.690, sections
/// 8.1 and 10.1). Tags of one byte, and lengths of up to three, as of a chain of certificates.
fn element(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (len, rest) = match der {
        [_, len @ 0..=0x7f, rest @ ..] => (usize::from(*len), rest),
        [_, 0x81, len, rest @ ..] => (usize::from(*len), rest),
        [_, 0x82, high, low, rest @ ..] => (usize::from(u16::from_be_bytes([*high, *low])), rest),
        [_, 0x83, high, middle, low, rest @ ..] => {
            (u32::from_be_bytes([0, *high, *middle, *low]) as usize, rest)
        }
        _ => return None,
    };
    let (content, rest) = rest.split_at_checked(len)?;
    Some((der[0], content, rest))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn der(tag: u8, content: &[u8]) -> Vec<u8> {
        let len = content.len();
        let length = match len {
            0..=0x7f => vec![len as u8],
            0x80..=0xff => vec![0x81, len as u8],
            _ => vec![0x82, (len >> 8) as u8, len as u8],
        };
        [&[tag][..], &length, content].concat()
    }

    /// A session as OpenSSL writes it: version, cipher, id, master secret, time, certificate, flags
    /// and what comes behind them.
    fn session(certificate: usize, flags: Option<&[u8]>) -> Vec<u8> {
        let fields = [
            der(INTEGER, &[1]),
            der(INTEGER, &[3, 3]),
            der(4, &[0xc0, 0x2f]),
            der(4, &[7; 32]),
            der(4, &[FLAGS; 48]),
            der(0xa1, &der(INTEGER, &[0x60, 0, 0, 0])),
            der(0xa3, &der(SEQUENCE, &vec![FLAGS; certificate])),
            flags.map_or(Vec::new(), |flags| der(FLAGS, &der(INTEGER, flags))),
            der(0xa0 | 16, &der(4, b"h2")),
        ];
        der(SEQUENCE, &fields.concat())
    }

    #[test]
    fn the_flag_is_found_behind_fields_of_any_length() {
        for certificate in [0, 100, 127, 128, 200, 255, 256, 5000] {
            assert!(has_extended_master_secret(&session(certificate, Some(&[1]))));
            assert!(has_extended_master_secret(&session(certificate, Some(&[1, 1]))));
            assert!(!has_extended_master_secret(&session(certificate, Some(&[2]))));
            assert!(!has_extended_master_secret(&session(certificate, None)));
        }
    }

    #[test]
    fn nothing_is_found_in_a_part() {
        let session = session(200, Some(&[1]));
        for len in 0..session.len() {
            assert!(!has_extended_master_secret(&session[..len]), "the first {len}");
        }
    }

    #[test]
    fn a_ticket_is_found() {
        // Version, a certificate that is longer than 255 bytes, the ticket, and what is behind it.
        let certificate =
            [&[0xa3, 0x82, 0x01, 0x04, 0x30, 0x82, 0x01, 0x00][..], &[7; 256]].concat();
        let fields =
            [&[0x02, 1, 1][..], &certificate, &[0xaa, 5, 0x04, 3, 1, 2, 3], &[0xab, 1, 0]].concat();
        let [high, low] = (fields.len() as u16).to_be_bytes();
        let der = [&[0x30, 0x82, high, low][..], &fields].concat();
        assert_eq!(ticket(&der), Some(&[1, 2, 3][..]));
        for len in 0..der.len() - 3 {
            assert_eq!(ticket(&der[..len]), None, "cut at {len}");
        }
    }

    #[test]
    fn a_session_without_a_ticket_has_none() {
        assert_eq!(ticket(&[0x30, 3, 0x02, 1, 1]), None);
        assert_eq!(ticket(&[0x30, 4, 0xaa, 2, 0x02, 0]), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            has_extended_master_secret(&bytes);
            ticket(&bytes);
            has_extended_master_secret(&der(SEQUENCE, &bytes));
        }
    }
}
