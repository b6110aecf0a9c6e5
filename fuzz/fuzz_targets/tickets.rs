//! Machines that share ticket keys, and their store, played by a script.

#![no_main]

#[path = "../../core/tests/fleet/mod.rs"]
#[allow(dead_code)]
mod fleet;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|script: &[u8]| {
    fleet::play(script, |_| ());
});
