#![no_main]

mod decode;

use libfuzzer_sys::fuzz_target;
use ssl_session_cache_core::Redis;

fuzz_target!(|data: &[u8]| decode::check(&Redis::new(Some(b"secret".to_vec())), data));
