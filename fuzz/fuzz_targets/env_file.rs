#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| skep_properties::env_file(data));
