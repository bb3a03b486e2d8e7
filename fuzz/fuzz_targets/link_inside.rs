//! See `relay_fuzz::link_inside`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| relay_fuzz::link_inside(input));
