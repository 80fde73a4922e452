//! The example with CUDA, as people start it, on a driver that is simulated: it runs the kernel from its text. The
//! example compares all scores with the processor's itself.

use std::path::PathBuf;
use std::process::Command;

/// The library that the build of this test made.
fn driver() -> PathBuf {
    let mut folder = std::env::current_exe().unwrap();
    folder.pop();
    folder.join(format!("{}larder_fake_cuda{}", std::env::consts::DLL_PREFIX, std::env::consts::DLL_SUFFIX))
}

#[test]
fn what_the_kernel_finds_is_what_the_processor_finds() {
    let driver = driver();
    assert!(driver.exists(), "{} is not there", driver.display());
    let mut command = Command::new(env!("CARGO_BIN_EXE_gpu_similarity_cuda"));
    let output = command.env("LARDER_CUDA_DRIVER", driver).output().unwrap();
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{out}{err}");
    for says in [
        "128 questions were asked, 32 went to the device",
        "on fake 0 (CUDA 12080)",
        "the processor finds the same",
    ] {
        assert!(out.contains(says), "`{says}` is not in:\n{out}");
    }
}

#[test]
fn without_a_driver_it_says_so() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gpu_similarity_cuda"));
    let output = command.env("LARDER_CUDA_DRIVER", "/nowhere/libcuda.so").output().unwrap();
    let err = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{err}");
    assert!(err.starts_with("nothing to compute on: there is no cuda: no CUDA driver in /nowhere"), "{err}");
}
