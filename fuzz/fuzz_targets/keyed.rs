//! See `relay_fuzz::keyed`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| relay_fuzz::keyed(input));
