//! A Redis's replies.

#![no_main]

mod decode;

use libfuzzer_sys::fuzz_target;
use ssl_session_cache_core::protocol::{Asked, Credentials, Redis};

fuzz_target!(|data: &[u8]| {
    let Some((&choice, input)) = data.split_first() else { return };
    let asked = match choice {
        b'r' => Asked::Role,
        b'a' => Asked::Asking,
        b'c' => Asked::Name,
        b'N' => Asked::AddForGood(decode::key()),
        b'e' => Asked::Expire(decode::key()),
        b's' => Asked::Persist(decode::key()),
        _ => decode::asked(choice),
    };
    let credentials = Credentials { user: None, password: (*b"secret").into() };
    decode::check(&Redis::new(Some(credentials), 0), asked, input);
});
