//! See `relay_fuzz::ucspi`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| relay_fuzz::ucspi(input));
