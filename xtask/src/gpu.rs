//! `cargo xtask gpu-check`: the program that checks and measures pools of GPU memory, built and started.
//!
//! What it does is in `backends/gpu-check`. It is one file that needs no Rust, no toolkit and no library but the C library's, so it
//! can be carried to a machine that has a GPU.

use std::path::PathBuf;

use crate::machine;
use crate::steps::{Failure, Run, root};

/// Builds the program, says where it is, and starts it with these arguments.
pub(crate) fn check(arguments: &[&str]) -> Result<(), Failure> {
    let program = build()?;
    let size = std::fs::metadata(&program).map_err(|error| format!("{}: {error}", program.display()))?.len();
    eprintln!(
        "   {} ({} MiB): carry it to a machine with a GPU, and start it there",
        program.display(),
        size >> 20
    );
    machine::ensure_vulkan();
    Run::program(&program.display().to_string(), arguments).check()
}

fn build() -> Result<PathBuf, Failure> {
    Run::cargo(&["build", "--locked", "--release", "--package", "larder-gpu-check"]).check()?;
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from);
    Ok(target.join("release").join(format!("gpu-check{}", std::env::consts::EXE_SUFFIX)))
}
