//! What the macros accept, and what they say about what they don't.
//!
//! Each `fail` case is named for its mistake; beside it lies the compiler's output as a user sees it. Some of it is
//! rustc's own words, so the cases run on the toolchain that the project is developed with. After a change of a text:
//! `TRYBUILD=overwrite cargo test -p larder-tests --test ui`, and read what came out.

use trybuild::TestCases;

#[test]
fn cached() {
    let cases = TestCases::new();
    cases.pass("ui/cached/pass/*.rs");
    cases.compile_fail("ui/cached/fail/*.rs");
}

#[test]
fn pooled() {
    let cases = TestCases::new();
    cases.pass("ui/pooled/pass/*.rs");
    cases.compile_fail("ui/pooled/fail/*.rs");
}

#[test]
fn weigh() {
    let cases = TestCases::new();
    cases.pass("ui/weigh/pass/*.rs");
    cases.compile_fail("ui/weigh/fail/*.rs");
}
