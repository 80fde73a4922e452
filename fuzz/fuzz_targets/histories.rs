//! Histories of one cache beside its model: see `larder_tests::history`. Not here: threads, which have models and
//! sanitizers of their own.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| larder_tests::history::run(bytes));
