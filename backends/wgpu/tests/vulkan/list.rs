//! The list of what is run, for a test that has to say why it was skipped.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::{Command, ExitCode};
use std::time::Instant;

use crate::checks::Check;
use crate::support::Gpu;

const REQUIRED: &str = "LARDER_REQUIRE_GPU";
/// Set for a process that is to find no driver.
const BLIND: &str = "LARDER_TEST_WITHOUT_VULKAN";

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
            let required = std::env::var_os(REQUIRED).is_some_and(|value| value != "0");
            println!("{}: no Vulkan device: {why}", if required { "FAILED" } else { "SKIPPED" });
            return if required { ExitCode::FAILURE } else { ExitCode::SUCCESS };
        }
    };
    println!("on {}", gpu.name);
    if std::env::var_os(BLIND).is_some() {
        return ExitCode::from(2);
    }
    let mut failed = 0;
    for test in tests {
        if !filters.is_empty() && !filters.iter().any(|filter| test.name.contains(filter.as_str())) {
            continue;
        }
        if let Some(why) = (test.skipped)(&gpu) {
            println!("test {} ... SKIPPED: {why}", test.name);
            continue;
        }
        let start = Instant::now();
        let passed = catch_unwind(AssertUnwindSafe(|| (test.run)(&gpu))).is_ok();
        failed += usize::from(!passed);
        println!("test {} ... {} ({:.1?})", test.name, if passed { "ok" } else { "FAILED" }, start.elapsed());
    }
    let says = "without a driver it says so, and fails where one is required";
    if filters.is_empty() {
        let passed = catch_unwind(without_a_driver).is_ok();
        failed += usize::from(!passed);
        println!("test {says} ... {}", if passed { "ok" } else { "FAILED" });
    }
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// This program once more, where the loader finds no driver.
fn without_a_driver() {
    for (required, code, word) in [("0", 0, "SKIPPED"), ("1", 1, "FAILED")] {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.env(BLIND, "1").env(REQUIRED, required);
        let output =
            command.env("VK_DRIVER_FILES", "/nowhere").env("VK_ICD_FILENAMES", "/nowhere").output().unwrap();
        let out = String::from_utf8_lossy(&output.stdout);
        assert_eq!(output.status.code(), Some(code), "{out}");
        assert!(out.starts_with(&format!("{word}: no Vulkan device: ")), "{out}");
    }
}
