//! See `relay_fuzz::via_url`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| relay_fuzz::via_url(input));
