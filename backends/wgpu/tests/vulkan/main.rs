//! Pools on a real driver: Vulkan, in software where there is no GPU. Shaders compute, and what they find is checked.
//!
//! Without any driver this is skipped, and says so; with `LARDER_REQUIRE_GPU=1` in the environment that is a failure.

mod checks;
mod list;
mod shortage;
mod support;

use std::process::ExitCode;

fn main() -> ExitCode {
    list::run(&checks::ALL)
}
