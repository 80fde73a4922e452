//! What a pooled buffer costs beside a fresh one: an acquire and release alone, a step on the device (copy, shader,
//! wait), and a step there and back (upload, shader, read back).
//!
//! On whatever Vulkan device comes first, software included. It does not show what a GPU does: a driver's allocation may cost a
//! thousand times as much there.

#[path = "../tests/vulkan/measure.rs"]
mod measure;
#[path = "../tests/vulkan/measured.rs"]
mod measured;
#[path = "../tests/vulkan/support.rs"]
mod support;

use measure::{Effort, SIZES, bytes, ratio};
use support::Gpu;

fn main() {
    // `cargo test` runs benches once to see that they do.
    let is_bench = std::env::args().any(|argument| argument == "--bench");
    let effort = if is_bench { Effort::Full } else { Effort::Quick };
    let gpu = match Gpu::find() {
        Ok(gpu) => gpu,
        Err(why) => return println!("SKIPPED: no Vulkan device: {why}"),
    };
    println!("on {}; the median of eleven rounds\n", gpu.name);
    println!("| bytes | what | fresh | pooled | pooled / fresh |\n|---|---|---|---|---|");
    for size in SIZES {
        for measured::Compared { what, fresh, pooled } in measured::all(&gpu, size, effort) {
            let ratio = ratio(pooled, fresh);
            println!("| {} | {what} | {fresh:.2?} | {pooled:.2?} | {ratio} |", bytes(size));
        }
    }
}
