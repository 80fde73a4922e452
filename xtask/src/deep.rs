//! `cargo xtask deep`: the long forms, for a night rather than for a change.
//!
//! Sanitizers here use the standard library as it ships, which is not instrumented: they see larder and its
//! dependencies, not races inside std itself.

use crate::machine::{self, Tool};
use crate::rivals;
use crate::steps::{Ending, Failure, Run, Steps, root};

/// Whether the peers' tables are wanted: measuring takes longer than most steps, and wants a machine to itself.
pub(crate) enum Rivals {
    /// Build and test what measures them, and leave it at that.
    Leave,
    /// Print the tables too.
    Compare,
}

/// Read by tests to choose long figures.
const DEEP: &str = "LARDER_DEEP";

/// Schedules of each concurrency model.
const SCHEDULES: &str = "10000";

/// How long the fuzzer makes up histories.
const FUZZED_SECONDS: u32 = 1800;

pub(crate) fn run(compare: Rivals) -> Result<(), Failure> {
    let mut steps = Steps::new("cargo xtask deep");

    steps.step("long tests", || {
        Run::cargo(&[
            "test",
            "--locked",
            "--profile",
            "deep",
            "--workspace",
            "--all-features",
            "--all-targets",
        ])
        .env(DEEP, "1")
        .check()
    })?;
    steps.step("concurrency models", || models(SCHEDULES))?;
    steps.step("other allocators", other_allocators)?;
    steps.step_or_skip("address sanitizer", || sanitize("address"))?;
    steps.step_or_skip("thread sanitizer", || sanitize("thread"))?;
    steps.step_or_skip("fuzzing", fuzz)?;
    steps.step_or_skip("lowest Rust", lowest_rust)?;
    steps.step_or_skip("licences and advisories", deny)?;
    steps.step("what measures the rivals", rivals::test)?;
    if let Rivals::Compare = compare {
        steps.step("rivals", || rivals::run(&[]))?;
    }

    steps.summary();
    Ok(())
}

/// The runtime's concurrency models, each under so many random schedules.
pub(crate) fn models(schedules: &str) -> Result<(), Failure> {
    // Under this configuration locks are the model checker's, and other tests do not run outside a model. A folder of
    // its own keeps the ordinary build warm; optimised, with every assertion, because the schedules take far longer
    // than the compiler.
    let args =
        ["test", "--locked", "--profile", "deep", "--package", "larder-runtime", "--lib", "--", "models"];
    Run::cargo(&args)
        .env("RUSTFLAGS", "--cfg larder_shuttle")
        .env("CARGO_TARGET_DIR", "target/shuttle")
        .env("LARDER_SCHEDULES", schedules)
        .check()
}

/// The models of allocators against the allocators themselves, which are compiled from C.
fn other_allocators() -> Result<(), Failure> {
    for allocator in ["jemalloc", "mimalloc"] {
        let manifest = "tests/allocators/Cargo.toml";
        Run::cargo(&["test", "--locked", "--manifest-path", manifest, "--features", allocator]).check()?;
    }
    Ok(())
}

/// The host, where the compiler's own instruments work there; otherwise why not.
fn instrumented_host() -> Result<Result<String, Ending>, Failure> {
    if !machine::has_toolchain("nightly") {
        let reason = "no nightly toolchain (rustup toolchain install nightly)";
        return Ok(Err(Ending::Skipped(reason.to_owned())));
    }
    let host = machine::host()?;
    if !host.contains("linux") {
        return Ok(Err(Ending::Skipped(format!("not set up for {host}"))));
    }
    Ok(Ok(host))
}

/// The runtime's own tests, and those of its behaviour, under one of the compiler's sanitizers.
fn sanitize(sanitizer: &str) -> Result<Ending, Failure> {
    let host = match instrumented_host()? {
        Ok(host) => host,
        Err(skipped) => return Ok(skipped),
    };
    machine::ensure_packages(&[Tool {
        program: "llvm-symbolizer",
        packages: &["llvm"],
        needed_for: "names in a sanitizer's report",
    }]);
    // A target given by name keeps the flags away from build scripts and procedural macros, which run without the
    // sanitizer's runtime. The standard library as shipped is not instrumented; the second flag accepts that.
    // Readers that leave the barrier to the writer do so by a system call that ThreadSanitizer knows nothing of.
    let flags = format!("-Zsanitizer={sanitizer} -Cunsafe-allow-abi-mismatch=sanitizer --cfg larder_fences");
    let suppressions = root().join("xtask/tsan-suppressions.txt").display().to_string();
    // Optimised, with every assertion: instruments cost more than the compiler.
    let tests: [&[&str]; 3] = [
        // What is skipped compares with the system's allocator, which a sanitizer replaces by its own.
        &["--package", "larder-runtime", "--lib", "--target", &host, "--", "--skip", "weight::tests"],
        &["--package", "larder-tests", "--test", "it", "--target", &host],
        // Pools of a type's threads and instances, which live in a process of their own, and the list of leases.
        &[
            "--package",
            "larder-tests",
            "--test",
            "annotated_pools",
            "--test",
            "leaks",
            "--features",
            "leak-report",
            "--target",
            &host,
        ],
    ];
    for which in tests {
        let mut args = vec!["test", "--locked", "--profile", "deep"];
        args.extend_from_slice(which);
        Run::cargo_of("nightly", &args)
            .env("RUSTFLAGS", &flags)
            .env("CARGO_TARGET_DIR", &format!("target/{sanitizer}"))
            .env("TSAN_OPTIONS", &format!("suppressions={suppressions}"))
            .check()?;
    }
    Ok(Ending::Passed)
}

/// Histories that a fuzzer makes up, watched by the address sanitizer. What it found worth keeping stays in
/// `fuzz/corpus`, and an input that fails in `fuzz/artifacts`.
fn fuzz() -> Result<Ending, Failure> {
    let host = match instrumented_host()? {
        Ok(host) => host,
        Err(skipped) => return Ok(skipped),
    };
    // What `cargo fuzz` would set, so that nothing has to be installed.
    let flags = [
        "--cfg fuzzing --cfg larder_fences -Zsanitizer=address -Cunsafe-allow-abi-mismatch=sanitizer",
        "-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4",
        "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table",
        "-Cllvm-args=-sanitizer-coverage-trace-compares",
    ]
    .join(" ");
    for folder in ["fuzz/corpus", "fuzz/artifacts"] {
        std::fs::create_dir_all(root().join(folder))
            .map_err(|error| format!("cannot make {folder}: {error}"))?;
    }
    let seconds = format!("-max_total_time={FUZZED_SECONDS}");
    let mut args = vec!["run", "--release", "--manifest-path", "fuzz/Cargo.toml", "--target", &host, "--"];
    args.extend(["fuzz/corpus", "-artifact_prefix=fuzz/artifacts/", "-max_len=3000", &seconds]);
    Run::cargo_of("nightly", &args)
        .env("RUSTFLAGS", &flags)
        .env("CARGO_TARGET_DIR", "fuzz/target")
        .check()?;
    Ok(Ending::Passed)
}

/// The libraries on the `rust-version` they promise, when that is not the toolchain of every other step.
fn lowest_rust() -> Result<Ending, Failure> {
    let manifest = std::fs::read_to_string(root().join("Cargo.toml"))
        .map_err(|error| format!("cannot read Cargo.toml: {error}"))?;
    let lowest = manifest
        .lines()
        .find_map(|line| line.strip_prefix("rust-version = \""))
        .and_then(|rest| rest.strip_suffix('"'))
        .ok_or("Cargo.toml has no line `rust-version = \"..\"`")?;
    let current = Run::program("rustc", &["--version"]).read()?;
    if current.starts_with(&format!("rustc {lowest}.")) {
        return Ok(Ending::Skipped(format!("{lowest} is the toolchain in use")));
    }
    if !machine::has_toolchain(lowest) {
        return Ok(Ending::Skipped(format!("no toolchain {lowest} (rustup toolchain install {lowest})")));
    }
    Run::cargo_of(lowest, &["check", "--locked", "--package", "larder", "--all-features"])
        .env("CARGO_TARGET_DIR", "target/lowest-rust")
        .check()?;
    Ok(Ending::Passed)
}

fn deny() -> Result<Ending, Failure> {
    if !Run::cargo(&["deny", "--version"]).succeeds_quietly() {
        return Ok(Ending::Skipped("no cargo-deny (cargo install cargo-deny)".to_owned()));
    }
    Run::cargo(&["deny", "check"]).check()?;
    Ok(Ending::Passed)
}
