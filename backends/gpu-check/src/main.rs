//! Checks and measures larder's GPU pools on this machine, and prints a table: one program that needs no Rust, and no toolkit.
//!
//! What the machine has is found when it runs. What it has not is a row that says so; with `LARDER_REQUIRE_GPU=1` in the environment
//! such a row is a failure, with `cuda` or `vulkan` only that one's. Software and a simulated driver are named as such: they show
//! that the program is right, and nothing of a GPU's speed.

#[path = "../../wgpu/tests/vulkan/checks.rs"]
mod checks;
mod cuda;
#[path = "../../wgpu/tests/vulkan/measure.rs"]
mod measure;
#[path = "../../wgpu/tests/vulkan/measured.rs"]
mod measured;
mod raw;
#[path = "../../wgpu/tests/vulkan/shortage.rs"]
mod shortage;
#[path = "../../wgpu/tests/vulkan/support.rs"]
#[expect(dead_code, reason = "here every device is asked for, and not the best")]
mod support;
mod table;
mod vulkan;

use std::process::ExitCode;

use measure::Effort;
use table::Table;

const HELP: &str = "\
Checks and measures larder's GPU pools on this machine.

    gpu-check            everything, a minute or two
    gpu-check --quick    everything once; times mean nothing

LARDER_REQUIRE_GPU=1 makes a missing GPU a failure; `cuda` or `vulkan` in place of 1 only that way to one.
LARDER_CUDA_DRIVER=path names another driver.
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let effort = match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => Effort::Full,
        ["--quick"] => Effort::Quick,
        ["--help" | "-h"] => {
            print!("{HELP}");
            return ExitCode::SUCCESS;
        }
        _ => {
            eprint!("error: what is `{}`?\n\n{HELP}", arguments.join(" "));
            return ExitCode::from(2);
        }
    };
    let required = std::env::var("LARDER_REQUIRE_GPU").unwrap_or_default();
    let is_required = |name: &str| required == name || !matches!(&*required, "" | "0" | "cuda" | "vulkan");
    let mut table = Table::new();
    cuda::on_hardware(&mut table, effort, is_required("cuda"));
    cuda::on_the_fake(&mut table);
    vulkan::on_all(&mut table, effort, is_required("vulkan"));
    if table.print() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
