//! See `relay_fuzz::http_connect`.
#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| relay_fuzz::http_connect(input));
