//! What the macros accept, and what they say about what they don't.
//!
//! Each `fail` case is named for its mistake; beside it lies the compiler's output as a user sees it. Some of it is
//! rustc's own words, so the cases run on the toolchain that the project is developed with. After a change of a text:
//! `TRYBUILD=overwrite cargo test -p larder-tests --test ui`, and read what came out.

use trybuild::TestCases;

/// One test, because all cases share one build.
#[test]
fn macros_say_what_to_do() {
    let cases = TestCases::new();
    let features = if cfg!(feature = "tiers") { "tiers" } else { "untiered" };
    let device = if cfg!(feature = "device") { "device" } else { "deviceless" };
    let disk = cfg!(feature = "disk").then_some("disk");
    for name in ["cached", "pooled", "weigh", features, device].into_iter().chain(disk) {
        cases.pass(format!("ui/{name}/pass/*.rs"));
        cases.compile_fail(format!("ui/{name}/fail/*.rs"));
    }
}
