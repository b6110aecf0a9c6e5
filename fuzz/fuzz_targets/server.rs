//! A server as its client sees it, played by a script.

#![no_main]

#[path = "../../core/tests/simulation/mod.rs"]
mod simulation;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|script: &[u8]| {
    simulation::run(script);
});
