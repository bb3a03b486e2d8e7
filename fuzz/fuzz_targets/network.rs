//! See `relay_fuzz::network`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| relay_fuzz::network(input));
