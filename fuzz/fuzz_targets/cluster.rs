//! A store that is many servers, and these servers, played by a script.

#![no_main]

#[path = "../../core/tests/model/mod.rs"]
mod model;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|script: &[u8]| {
    model::run(script);
});
