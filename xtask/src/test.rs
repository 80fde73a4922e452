//! `cargo xtask test`: everything a change must pass, in the order that fails fastest.

use crate::steps::{Failure, Run, Steps};
use crate::{crate_count, deep, example, features, machine};

/// Distinct crates that `cargo run --example near_duplicates` may compile.
const CRATES_OF_THE_EXAMPLES: usize = 40;

/// Schedules of each concurrency model: enough to notice a broken one, short enough for every change.
const SCHEDULES: &str = "1000";

pub(crate) fn run() -> Result<(), Failure> {
    let mut steps = Steps::new("cargo xtask test");

    steps.step("components", || machine::need_components(&["rustfmt", "clippy"]))?;
    steps.step("format", || {
        Run::cargo(&["fmt", "--all", "--check"]).check()?;
        Run::cargo(&["fmt", "--check", "--manifest-path", "fuzz/Cargo.toml"]).check()?;
        Run::cargo(&["fmt", "--check", "--manifest-path", "benches/rivals/Cargo.toml"]).check()
    })?;
    steps.step("crate counts", || {
        crate_count::check("a default build", &["-e", "normal,build"], crate_count::OF_A_BUILD)?;
        crate_count::check("the examples", &["-e", "normal,build,dev"], CRATES_OF_THE_EXAMPLES)?;
        crate_count::check_without_gpus(&features::declared_in("Cargo.toml")?)
    })?;
    steps.step("clippy", || clippy(&["--workspace", "--all-targets"]))?;
    steps.step("clippy, all features", || clippy(&["--workspace", "--all-targets", "--all-features"]))?;
    steps.step("each feature", each_feature)?;
    steps.step("docs", || {
        Run::cargo(&["doc", "--locked", "--workspace", "--no-deps", "--all-features"])
            .env("RUSTDOCFLAGS", "-Dwarnings")
            .check()
    })?;
    steps.step("a Vulkan driver", || {
        machine::ensure_vulkan();
        Ok(())
    })?;
    steps.step("tests", || {
        Run::cargo(&["test", "--locked", "--workspace", "--all-features", "--all-targets"]).check()
    })?;
    steps.step("doc tests", || {
        Run::cargo(&["test", "--locked", "--workspace", "--all-features", "--doc"]).check()
    })?;
    // What macros say of features that are off, which nobody sees in a build with all of them.
    steps.step("macros without features", || {
        let cases = ["macros_say_what_to_do", "trybuild=untiered", "trybuild=deviceless"];
        let ui = ["test", "--locked", "--package", "larder-tests", "--test", "ui", "--"];
        Run::cargo(&[&ui[..], &cases].concat()).check()
    })?;
    steps.step("concurrency models", || deep::models(SCHEDULES))?;
    steps.step("examples", example::check)?;

    steps.summary();
    Ok(())
}

fn clippy(what: &[&str]) -> Result<(), Failure> {
    let mut args = vec!["clippy", "--locked"];
    args.extend_from_slice(what);
    args.extend_from_slice(&["--", "-Dwarnings"]);
    Run::cargo(&args).check()
}

/// The libraries alone, with no feature and with each one: a feature must not lean on another in silence.
fn each_feature() -> Result<(), Failure> {
    for (package, manifest) in [("larder-runtime", "runtime/Cargo.toml"), ("larder", "Cargo.toml")] {
        clippy(&["--package", package, "--lib", "--no-default-features"])?;
        for feature in features::declared_in(manifest)? {
            // The default set is what every other step builds.
            if feature != "default" {
                clippy(&["--package", package, "--lib", "--no-default-features", "--features", &feature])?;
            }
        }
    }
    Ok(())
}
