//! What a pooled buffer costs beside a fresh one: acquire and release alone, and whole steps of upload, shader-free copy and wait.
//!
//! On whatever Vulkan device comes first, software included. It does not show what a GPU does: a driver's allocation may cost a
//! thousand times as much there.

#[path = "../tests/vulkan/support.rs"]
mod support;

use std::time::{Duration, Instant};

use larder_wgpu::{Buffers, wgpu};
use support::{Gpu, MB, STORAGE};

fn main() {
    // `cargo test` runs benches once to see that they do.
    let rounds = if std::env::args().any(|argument| argument == "--bench") { 7 } else { 1 };
    let gpu = match Gpu::find() {
        Ok(gpu) => gpu,
        Err(why) => return println!("SKIPPED: no Vulkan device: {why}"),
    };
    println!("on {}", gpu.name);
    println!("{:>10}  {:>22}  {:>22}  {:>8}", "bytes", "fresh", "pooled", "ratio");
    for bytes in [4096, 65_536, MB, 16 * MB] {
        let times = if rounds == 1 { 2 } else { 200 };
        let pool = gpu.open(1 << 30).pool("measured").build().unwrap();
        let descriptor =
            |size| wgpu::BufferDescriptor { label: None, size, usage: STORAGE, mapped_at_creation: false };
        let encoder = gpu.encoder();
        gpu.queue.submit([encoder.finish()]);
        let fresh = median(rounds, || {
            let start = Instant::now();
            for _ in 0..times {
                drop(gpu.device.create_buffer(&descriptor(bytes)));
                let _ = gpu.device.poll(wgpu::PollType::Poll);
            }
            start.elapsed() / times
        });
        // For an encoder that is done: the acquire, the fence and the way back.
        let encoder = gpu.encoder();
        let recording = larder_wgpu::Recording::of(&encoder);
        gpu.queue.submit([encoder.finish()]);
        gpu.finish();
        let pooled = median(rounds, || {
            let start = Instant::now();
            for _ in 0..times {
                drop(pool.acquire(bytes, STORAGE, &recording).unwrap());
            }
            start.elapsed() / times
        });
        line("acquire", bytes, fresh, pooled);
        let times = if rounds == 1 { 1 } else { 30 };
        let source = gpu.device.create_buffer(&descriptor(bytes));
        let step = |buffer: &wgpu::Buffer, mut encoder: wgpu::CommandEncoder| {
            encoder.copy_buffer_to_buffer(&source, 0, buffer, 0, bytes / 2);
            gpu.double(&mut encoder, buffer, bytes.min(65_536));
            gpu.queue.submit([encoder.finish()]);
            gpu.finish();
        };
        let fresh = median(rounds, || {
            let start = Instant::now();
            for _ in 0..times {
                step(&gpu.device.create_buffer(&descriptor(bytes)), gpu.encoder());
            }
            start.elapsed() / times
        });
        let pooled = median(rounds, || {
            let start = Instant::now();
            for _ in 0..times {
                let encoder = gpu.encoder();
                let lease = pool.acquire_for(&encoder, bytes, STORAGE).unwrap();
                step(&lease, encoder);
            }
            start.elapsed() / times
        });
        line("step", bytes, fresh, pooled);
    }
}

fn median(rounds: usize, measure: impl Fn() -> Duration) -> Duration {
    let mut all: Vec<Duration> = (0..rounds).map(|_| measure()).collect();
    all.sort();
    all[rounds / 2]
}

fn line(what: &str, bytes: u64, fresh: Duration, pooled: Duration) {
    let ratio = pooled.as_secs_f64() / fresh.as_secs_f64();
    println!("{bytes:>10}  {what:>8} {fresh:>13.2?}  {what:>8} {pooled:>13.2?}  {ratio:>7.2}x");
}
