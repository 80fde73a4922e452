//! `cargo xtask gpu-check`: the program that checks and measures pools of GPU memory, built and started.
//!
//! What it does is in `backends/gpu-check`. It is one file that needs no Rust, no toolkit and no library but the C library's, so it
//! can be carried to a machine that has a GPU, and a C library that is not older than what is said here.

use std::path::PathBuf;

use crate::glibc;
use crate::machine;
use crate::steps::{Failure, Run, root};

/// Builds the program, says where it is, and starts it with these arguments.
pub(crate) fn check(arguments: &[&str]) -> Result<(), Failure> {
    let program = build()?;
    let bytes = std::fs::read(&program).map_err(|error| format!("{}: {error}", program.display()))?;
    let needs = match glibc::needed(&bytes) {
        Some((major, minor)) => format!("glibc {major}.{minor} or later"),
        None => "no glibc".to_owned(),
    };
    eprintln!(
        "   {} ({} MiB, needs {needs}): carry it to a machine with a GPU, and start it there",
        program.display(),
        bytes.len() >> 20
    );
    machine::ensure_vulkan();
    Run::program(&program.display().to_string(), arguments).check()
}

fn build() -> Result<PathBuf, Failure> {
    Run::cargo(&["build", "--locked", "--release", "--package", "larder-gpu-check"]).check()?;
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from);
    Ok(target.join("release").join(format!("gpu-check{}", std::env::consts::EXE_SUFFIX)))
}

#[cfg(test)]
mod tests {
    use crate::glibc::needed;

    #[test]
    fn the_newest_version_that_stands_alone_is_what_is_needed() {
        assert_eq!(
            needed(b"..\0GLIBC_2.2.5\0GLIBC_2.28\0GLIBC_2.9\0pow@GLIBC_2.34\0GLIBC_PRIVATE\0"),
            Some((2, 28))
        );
        assert_eq!(needed(b"nothing of that kind"), None);
    }
}
