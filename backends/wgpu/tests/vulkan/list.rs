//! The list of what is run, for a test that has to say why it was skipped.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::time::Instant;

use crate::checks::Check;
use crate::support::Gpu;

/// Runs those whose names contain what the command line says, or all.
pub(crate) fn run(tests: &[Check]) -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.iter().any(|argument| argument == "--list") {
        tests.iter().for_each(|test| println!("{}: test", test.name));
        return ExitCode::SUCCESS;
    }
    let filters: Vec<&String> = arguments.iter().filter(|argument| !argument.starts_with('-')).collect();
    let gpu = match Gpu::find() {
        Ok(gpu) => gpu,
        Err(why) => {
            let required = std::env::var_os("LARDER_REQUIRE_GPU").is_some_and(|value| value != "0");
            println!("{}: no Vulkan device: {why}", if required { "FAILED" } else { "SKIPPED" });
            return if required { ExitCode::FAILURE } else { ExitCode::SUCCESS };
        }
    };
    println!("on {}", gpu.name);
    let mut failed = 0;
    for test in tests {
        if !filters.is_empty() && !filters.iter().any(|filter| test.name.contains(filter.as_str())) {
            continue;
        }
        let start = Instant::now();
        let passed = catch_unwind(AssertUnwindSafe(|| (test.run)(&gpu))).is_ok();
        failed += usize::from(!passed);
        println!("test {} ... {} ({:.1?})", test.name, if passed { "ok" } else { "FAILED" }, start.elapsed());
    }
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
