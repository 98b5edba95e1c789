//! Coverage-guided: see CONTRIBUTING.md.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| portreeve_fuzz::decode(bytes));
