//! A Memcached's replies.

#![no_main]

mod decode;

use libfuzzer_sys::fuzz_target;
use ssl_session_cache_core::protocol::Memcached;

fuzz_target!(|data: &[u8]| {
    let Some((&choice, input)) = data.split_first() else { return };
    decode::check(&Memcached::new(None), decode::asked(choice), input);
});
