//! `cargo xtask deep`: the long forms, for a night rather than for a change.
//!
//! Sanitizers here use the standard library as it ships, which is not instrumented: they see larder and its
//! dependencies, not races inside std itself.

use crate::machine::{self, Tool};
use crate::rivals;
use crate::steps::{Ending, Failure, Run, Steps, root};

/// Read by tests to choose long figures.
const DEEP: &str = "LARDER_DEEP";

/// Schedules of each concurrency model.
const SCHEDULES: &str = "10000";

/// How long the fuzzer makes up histories.
const FUZZED_SECONDS: u32 = 1800;

/// What a step is called on the command line and in the output, and what it does.
struct Step {
    name: &'static str,
    title: &'static str,
    work: fn() -> Result<Ending, Failure>,
    /// It runs only where it is named: it takes longer than most, and wants a machine to itself.
    on_demand: bool,
}

const STEPS: [Step; 10] = [
    Step { name: "tests", title: "long tests", work: long_tests, on_demand: false },
    Step {
        name: "models",
        title: "concurrency models",
        work: || passed(models(SCHEDULES)),
        on_demand: false,
    },
    Step {
        name: "allocators",
        title: "other allocators",
        work: || passed(other_allocators()),
        on_demand: false,
    },
    Step { name: "address", title: "address sanitizer", work: || sanitize("address"), on_demand: false },
    Step { name: "thread", title: "thread sanitizer", work: || sanitize("thread"), on_demand: false },
    Step { name: "fuzz", title: "fuzzing", work: fuzz, on_demand: false },
    Step { name: "lowest-rust", title: "lowest Rust", work: lowest_rust, on_demand: false },
    Step { name: "deny", title: "licences and advisories", work: deny, on_demand: false },
    Step {
        name: "measuring",
        title: "what measures the rivals",
        work: || passed(rivals::test()),
        on_demand: false,
    },
    Step { name: "rivals", title: "rivals", work: || passed(rivals::run(&[])), on_demand: true },
];

/// Runs the steps of these names; without names all but those on demand.
pub(crate) fn run(names: &[&str]) -> Result<(), Failure> {
    if let Some(unknown) = names.iter().find(|name| !STEPS.iter().any(|step| step.name == **name)) {
        let known: Vec<&str> = STEPS.iter().map(|step| step.name).collect();
        return Err(format!("there is no step `{unknown}`; there are {}", known.join(", ")));
    }
    let mut steps = Steps::new("cargo xtask deep");
    for step in STEPS {
        let chosen = if names.is_empty() { !step.on_demand } else { names.contains(&step.name) };
        if chosen {
            steps.step_or_skip(step.title, step.work)?;
        }
    }
    steps.summary();
    Ok(())
}

fn passed(result: Result<(), Failure>) -> Result<Ending, Failure> {
    result.map(|()| Ending::Passed)
}

fn long_tests() -> Result<Ending, Failure> {
    let args = ["test", "--locked", "--profile", "deep", "--workspace", "--all-features", "--all-targets"];
    passed(Run::cargo(&args).env(DEEP, "1").check())
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
        // What is skipped forgets a lease on purpose, which is a leak.
        &[
            "--package",
            "larder-tests",
            "--test",
            "it",
            "--target",
            &host,
            "--",
            "--skip",
            "a_lease_that_is_forgotten",
        ],
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

/// Histories, and bytes for decoders, that a fuzzer makes up, watched by the address sanitizer. What it found worth keeping
/// stays in `fuzz/corpus` and `fuzz/corpus-records`, and an input that fails in `fuzz/artifacts`.
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
    for folder in ["fuzz/corpus", "fuzz/corpus-records", "fuzz/artifacts"] {
        std::fs::create_dir_all(root().join(folder))
            .map_err(|error| format!("cannot make {folder}: {error}"))?;
    }
    let seconds = format!("-max_total_time={FUZZED_SECONDS}");
    for (target, corpus) in [("histories", "fuzz/corpus"), ("records", "fuzz/corpus-records")] {
        let mut args = vec!["run", "--release", "--manifest-path", "fuzz/Cargo.toml", "--bin", target];
        args.extend(["--target", &host, "--", corpus, "-artifact_prefix=fuzz/artifacts/"]);
        args.extend(["-max_len=3000", &seconds]);
        Run::cargo_of("nightly", &args)
            .env("RUSTFLAGS", &flags)
            .env("CARGO_TARGET_DIR", "fuzz/target")
            .check()?;
    }
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
