//! The program itself, started as people start it: what can be checked without hardware is, and what cannot is named.

use std::process::Command;

#[test]
fn it_checks_what_there_is_and_says_what_there_is_not() {
    let output = Command::new(env!("CARGO_BIN_EXE_gpu-check")).arg("--quick").output().unwrap();
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{out}{err}");
    let rows = |device: &str| out.lines().filter(|line| line.starts_with(device)).count();
    // Checks and measurements, and the judgement of all touches.
    assert_eq!(rows("simulated CUDA"), 10, "{out}");
    assert!(rows("CUDA") >= 1 && rows("Vulkan") >= 1, "{out}");
    assert!(out.contains("; 0 failed; "), "{out}");
}

#[test]
fn what_is_required_and_missing_is_a_failure() {
    // A driver that is nowhere, whatever the machine has.
    let mut command = Command::new(env!("CARGO_BIN_EXE_gpu-check"));
    command.arg("--quick").env("LARDER_REQUIRE_GPU", "cuda").env("LARDER_CUDA_DRIVER", "/nowhere/libcuda.so");
    let output = command.output().unwrap();
    let out = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{out}");
    assert!(out.contains("FAILED   there is no cuda: no CUDA driver in /nowhere/libcuda.so"), "{out}");
}
