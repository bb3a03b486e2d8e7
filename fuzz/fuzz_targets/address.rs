//! See `relay_fuzz::address`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| relay_fuzz::address(input));
