//! What pooled buffers cost beside fresh ones: an acquire, a step on the device, and a step there and back.

use std::time::Duration;

use larder_wgpu::{Buffers, Recording, WgpuPool, wgpu};
use wgpu::BufferUsages;

use crate::measure::Effort;
use crate::support::{Gpu, MB, SOON, STORAGE};

/// The shader has so many bytes at most, so that software does not compute for longer than it copies.
const SHADED: u64 = 65_536;

/// The same with fresh buffers, and with pooled ones.
pub(crate) struct Compared {
    pub(crate) what: &'static str,
    pub(crate) fresh: Duration,
    pub(crate) pooled: Duration,
}

/// All that is measured of one size.
pub(crate) fn all(gpu: &Gpu, size: u64, effort: Effort) -> [Compared; 3] {
    let pool = gpu.open(1024 * MB).pool("measured").build().unwrap();
    let step = [acquire, on_the_device, there_and_back];
    let [acquire, on_the_device, there_and_back] = step.map(|step| step(gpu, &pool, size, effort));
    let named = |what, [fresh, pooled]: [Duration; 2]| Compared { what, fresh, pooled };
    [
        named("acquire and release", acquire),
        named("a step on the device", on_the_device),
        named("a step there and back", there_and_back),
    ]
}

fn create(gpu: &Gpu, size: u64, usage: BufferUsages, mapped_at_creation: bool) -> wgpu::Buffer {
    gpu.device.create_buffer(&wgpu::BufferDescriptor { label: None, size, usage, mapped_at_creation })
}

/// A buffer and nothing else; the pooled one is for an encoder that is done.
fn acquire(gpu: &Gpu, pool: &WgpuPool, size: u64, effort: Effort) -> [Duration; 2] {
    let encoder = gpu.encoder();
    let recording = Recording::of(&encoder);
    gpu.queue.submit([encoder.finish()]);
    gpu.finish();
    effort.compare([
        &mut || {
            drop(create(gpu, size, STORAGE, false));
            let _ = gpu.device.poll(wgpu::PollType::Poll);
        },
        &mut || drop(pool.acquire(size, STORAGE, &recording).unwrap()),
    ])
}

/// A buffer, a copy to it, a shader, the submission, and the wait for it.
fn on_the_device(gpu: &Gpu, pool: &WgpuPool, size: u64, effort: Effort) -> [Duration; 2] {
    let source = create(gpu, size, STORAGE, false);
    let step = |buffer: &wgpu::Buffer, mut encoder: wgpu::CommandEncoder| {
        encoder.copy_buffer_to_buffer(&source, 0, buffer, 0, size / 2);
        gpu.double(&mut encoder, buffer, size.min(SHADED));
        gpu.queue.submit([encoder.finish()]);
        gpu.finish();
    };
    effort.compare([&mut || step(&create(gpu, size, STORAGE, false), gpu.encoder()), &mut || {
        let encoder = gpu.encoder();
        let lease = pool.acquire_for(&encoder, size, STORAGE).unwrap();
        step(&lease, encoder);
    }])
}

/// All of it: a buffer, numbers up through one that the host writes, a shader, numbers back through one that the host
/// reads.
fn there_and_back(gpu: &Gpu, pool: &WgpuPool, size: u64, effort: Effort) -> [Duration; 2] {
    let numbers = 21_u32.to_le_bytes().repeat((size / 4) as usize);
    let check = |found: &[u8]| {
        assert_eq!((found.len() as u64, &found[..4]), (size, &42_u32.to_le_bytes()[..]));
        assert_eq!(found[size.min(SHADED) as usize - 4..][..4], 42_u32.to_le_bytes());
    };
    effort.compare([
        &mut || {
            let mut encoder = gpu.encoder();
            let buffer = create(gpu, size, STORAGE, false);
            let up = create(gpu, size, BufferUsages::MAP_WRITE | BufferUsages::COPY_SRC, true);
            up.get_mapped_range_mut(..).unwrap().copy_from_slice(&numbers);
            up.unmap();
            encoder.copy_buffer_to_buffer(&up, 0, &buffer, 0, size);
            gpu.double(&mut encoder, &buffer, size.min(SHADED));
            let back = create(gpu, size, BufferUsages::MAP_READ | BufferUsages::COPY_DST, false);
            encoder.copy_buffer_to_buffer(&buffer, 0, &back, 0, size);
            gpu.queue.submit([encoder.finish()]);
            back.map_async(wgpu::MapMode::Read, .., |mapped| mapped.unwrap());
            gpu.finish();
            check(&back.get_mapped_range(..).unwrap());
        },
        &mut || {
            let mut encoder = gpu.encoder();
            let buffer = pool.acquire_for(&encoder, size, STORAGE).unwrap();
            pool.upload(&mut encoder, &buffer, &numbers).unwrap();
            gpu.double(&mut encoder, &buffer, size.min(SHADED));
            let read = pool.read_back(&mut encoder, &buffer, size).unwrap();
            gpu.queue.submit([encoder.finish()]);
            read.read(SOON, check).unwrap();
        },
    ])
}
