//! What a server of a cluster, or a Sentinel, answers.

#![no_main]

use libfuzzer_sys::fuzz_target;
use ssl_session_cache_core::protocol::Credentials;
use ssl_session_cache_core::server::{Answer, Inquiry, InquiryError, Question, Talk};
use ssl_session_cache_core::topology::{Endpoint, Host};
use ssl_session_cache_core::Instant;

fuzz_target!(|data: &[u8]| {
    let Some((&choice, input)) = data.split_first() else { return };
    let question =
        if choice & 1 == 0 { Question::Slots } else { Question::Master((*b"mymaster").into()) };
    let credentials = Credentials { user: None, password: (*b"secret").into() };
    let credentials = (choice & 2 != 0).then_some(&credentials);
    let ask = |part: usize| {
        let mut inquiry = Inquiry::new(credentials, question.clone(), Instant::from_millis(0));
        answer(&mut inquiry, input, part)
    };

    let whole = ask(input.len().max(1));
    assert_eq!(ask(1), whole);
    assert_eq!(ask(2 + usize::from(choice >> 2)), whole);
    match whole {
        Ok(Some(Answer::Slots(reply))) => {
            let at = input.windows(reply.len()).position(|part| *part == *reply);
            assert!(choice & 1 == 0 && reply.starts_with(b"*") && at.is_some());
        }
        Ok(Some(Answer::Master(address))) => {
            assert!(choice & 1 != 0);
            let asked = Host::parse(b"192.0.2.1").unwrap();
            let endpoint =
                address.as_ref().and_then(|(host, port)| Endpoint::told(host, *port, &asked));
            assert!(endpoint.map_or(true, |endpoint| endpoint.port != 0));
        }
        Ok(None) => {}
        Err(error) => {
            let text = error.to_string();
            assert!(text.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic()));
            assert!(credentials.is_none() || !text.contains("secret"));
        }
    }
});

/// Hands `input` in, in parts.
fn answer(
    inquiry: &mut Inquiry,
    input: &[u8],
    part: usize,
) -> Result<Option<Answer>, InquiryError> {
    for mut bytes in input.chunks(part) {
        while !bytes.is_empty() {
            let spare = inquiry.spare();
            let count = spare.len().min(bytes.len());
            spare[..count].copy_from_slice(&bytes[..count]);
            if let Some(answer) = inquiry.received(count, Instant::from_millis(0))? {
                return Ok(Some(answer));
            }
            bytes = &bytes[count..];
        }
    }
    Ok(None)
}
