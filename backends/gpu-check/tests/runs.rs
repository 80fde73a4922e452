//! The program itself, started as people start it: what can be checked without hardware is, and what cannot is named.

use std::process::Command;

#[test]
fn it_checks_what_there_is_and_says_what_there_is_not() {
    let output = Command::new(env!("CARGO_BIN_EXE_gpu-check")).arg("--quick").output().unwrap();
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{out}{err}");
    let rows = |device: &str| out.lines().filter(|line| line.starts_with(device)).count();
    // Checks, an acquire and a step for each size, and the judgement of all touches.
    assert_eq!(rows("simulated CUDA"), 5 + 8 + 1, "{out}");
    assert!(rows("CUDA") >= 1 && rows("Vulkan") >= 1, "{out}");
    for size in ["4 KiB", "64 KiB", "1 MiB", "16 MiB"] {
        assert!(out.contains(&format!("a step there and back, {size}  ")), "{out}");
    }
    // What is skipped says why.
    assert!(
        out.lines().all(|line| line.split_once("SKIPPED").is_none_or(|(_, why)| why.trim().len() > 10)),
        "{out}"
    );
    assert!(out.contains("; 0 failed; "), "{out}");
}

/// The simulated driver once more, found and loaded as a driver is: what runs on a machine with a GPU runs here.
#[test]
fn a_driver_that_is_found_is_checked_and_measured() {
    let mut driver = std::env::current_exe().unwrap();
    driver.pop();
    let (prefix, suffix) = (std::env::consts::DLL_PREFIX, std::env::consts::DLL_SUFFIX);
    driver.push(format!("{prefix}larder_fake_cuda{suffix}"));
    assert!(driver.exists(), "{} is not there", driver.display());
    let mut command = Command::new(env!("CARGO_BIN_EXE_gpu-check"));
    let command = command.arg("--quick").env("LARDER_REQUIRE_GPU", "cuda").env("LARDER_CUDA_DRIVER", driver);
    let output = command.output().unwrap();
    let out = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{out}");
    let rows: Vec<&str> = out.lines().filter(|line| line.starts_with("CUDA: fake 0")).collect();
    assert!(rows.len() == 5 + 8 && rows.iter().all(|row| row.contains("  ok  ")), "{out}");
    // Both of what it is measured beside.
    let measured =
        rows.iter().filter(|row| row.contains("cudaMalloc and cudaFree") && row.contains("cudaMallocAsync"));
    assert_eq!(measured.count(), 8, "{out}");
}

#[test]
fn what_is_required_and_missing_is_a_failure() {
    // Drivers that are nowhere, whatever the machine has.
    let check = |required: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_gpu-check"));
        command
            .arg("--quick")
            .env("LARDER_REQUIRE_GPU", required)
            .env("LARDER_CUDA_DRIVER", "/nowhere/libcuda.so");
        let command = command.env("VK_DRIVER_FILES", "/nowhere").env("VK_ICD_FILENAMES", "/nowhere");
        let output = command.output().unwrap();
        (output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let why = ["there is no cuda: no CUDA driver in /nowhere/libcuda.so", "no Vulkan device: "];
    for (required, is_required) in
        [("0", [false; 2]), ("cuda", [true, false]), ("vulkan", [false, true]), ("1", [true; 2])]
    {
        let (code, out) = check(required);
        assert_eq!(code, Some(i32::from(is_required.contains(&true))), "{required}: {out}");
        for (why, is_required) in why.iter().zip(is_required) {
            let word = if is_required { "FAILED " } else { "SKIPPED" };
            assert!(out.contains(&format!("{word}  {why}")), "{required}: {out}");
        }
    }
}
