//! A Redis's replies.

#![no_main]

mod decode;

use libfuzzer_sys::fuzz_target;
use ssl_session_cache_core::protocol::{Credentials, Redis};

fuzz_target!(|data: &[u8]| {
    let credentials = Credentials { user: None, password: (*b"secret").into() };
    decode::check(&Redis::new(Some(credentials), 0), data);
});
