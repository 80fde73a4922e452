//! What has to hold on a driver, whichever it is: each is given a device, and panics where it does not hold.

use larder_runtime::device::{Device, DeviceError, Shortage};
use larder_wgpu::{Buffers, WgpuDevice, WgpuPool, wgpu};

use crate::shortage::Shortened;
use crate::support::{Gpu, MB, SOON, STORAGE};

/// Something that has to hold.
pub(crate) struct Check {
    pub(crate) name: &'static str,
    pub(crate) run: fn(&Gpu),
    /// Why it is not run on a device.
    pub(crate) skipped: fn(&Gpu) -> Option<&'static str>,
}

/// It runs everywhere.
fn never(_gpu: &Gpu) -> Option<&'static str> {
    None
}

/// The system must not be filled.
fn where_it_harms(gpu: &Gpu) -> Option<&'static str> {
    let is_discrete = gpu.device.adapter_info().device_type == wgpu::DeviceType::DiscreteGpu;
    match (gpu.is_software, is_discrete) {
        (true, _) if !cfg!(target_os = "linux") => {
            Some("nothing takes memory from a driver in software here")
        }
        (false, false) => Some("its memory is the host's"),
        _ => None,
    }
}

pub(crate) const ALL: [Check; 6] = [
    Check { name: "recycling never mixes holders", run: recycling, skipped: never },
    Check { name: "a thousand leases in mixed drop order", run: thousand, skipped: never },
    Check { name: "a pipeline makes nothing new once it is warm", run: pipeline, skipped: never },
    Check { name: "half of what is wanted is enough", run: half, skipped: never },
    Check { name: "trim gives memory back", run: trim, skipped: never },
    Check { name: "out of memory is an error, and passes", run: out_of_memory, skipped: where_it_harms },
];

/// The hazard: a lease is dropped before its encoder is submitted, and the next holder's encoder is submitted first, with writes of
/// the queue's own as well.
fn recycling(gpu: &Gpu) {
    let pool = gpu.open(256 * MB).pool("recycled").build().unwrap();
    for round in 0..50_u32 {
        let mut encoders = Vec::new();
        let mut reads = Vec::new();
        for holder in 0..4_u32 {
            let value = round * 10 + holder;
            let mut encoder = gpu.encoder();
            let lease = pool.acquire_for(&encoder, 4096, STORAGE).unwrap();
            if holder % 2 == 0 {
                pool.upload(&mut encoder, &lease, &value.to_le_bytes().repeat(1024)).unwrap();
            } else {
                // Takes effect before all that is submitted from now on.
                gpu.queue.write_buffer(&lease, 0, &value.to_le_bytes().repeat(1024));
            }
            gpu.double(&mut encoder, &lease, 4096);
            reads.push((pool.read_back(&mut encoder, &lease, 4096).unwrap(), 2 * value));
            drop(lease);
            encoders.push(encoder);
        }
        // The last is submitted first.
        for encoder in encoders.into_iter().rev() {
            gpu.queue.submit([encoder.finish()]);
        }
        for (read, value) in reads {
            let found = read.to_vec(SOON).unwrap();
            assert!(
                found == value.to_le_bytes().repeat(1024),
                "round {round}: a holder finds its own {value}"
            );
        }
    }
    let stats = pool.stats();
    // Four holders at a time, each with a buffer to read; every second one with one to write.
    assert!(stats.creates <= 16 && stats.hits.total() + stats.creates == 500, "{stats}");
}

fn thousand(gpu: &Gpu) {
    let device = gpu.open(256 * MB);
    let pool = device.pool("mixed").build().unwrap();
    let (mut kept, mut reads) = (Vec::new(), Vec::new());
    for round in 0..1000_u32 {
        let mut encoder = gpu.encoder();
        let len = 4 * (1 + u64::from(round) * 7919 % 40_000);
        let lease = pool.acquire_for(&encoder, len, STORAGE).unwrap();
        let bytes = round.to_le_bytes().repeat((len / 4) as usize);
        pool.upload(&mut encoder, &lease, &bytes).unwrap();
        gpu.double(&mut encoder, &lease, len);
        let read = pool.read_back(&mut encoder, &lease, len).unwrap();
        match round % 4 {
            0 => {
                drop(lease);
                gpu.queue.submit([encoder.finish()]);
            }
            1 => {
                gpu.queue.submit([encoder.finish()]);
                kept.push(lease);
            }
            2 => {
                gpu.queue.submit([encoder.finish()]);
                drop(lease);
            }
            _ => {
                drop(encoder.finish());
                drop((lease, read));
                continue;
            }
        }
        reads.push((read, 2 * round, len));
        if reads.len() == 8 {
            for (read, value, len) in reads.drain(..) {
                assert!(read.to_vec(SOON).unwrap() == value.to_le_bytes().repeat((len / 4) as usize));
            }
            kept.truncate(1);
        }
    }
    drop((kept, reads));
    gpu.finish();
    device.domain().tick();
    let stats = pool.stats();
    assert_eq!((stats.gauges.in_use.current.count, stats.gauges.pending.current.count), (0, 0), "{stats}");
    assert!(stats.creates < 150, "{stats}");
}

/// A hundred steps of four layers, each of which doubles what the one before left.
fn steps(gpu: &Gpu, pool: &WgpuPool, bytes: u64) -> Vec<u64> {
    let count = (bytes / 4) as usize;
    let mut creates = Vec::new();
    for step in 0..100_u32 {
        let mut encoder = gpu.encoder();
        let mut lease = pool.acquire_for(&encoder, bytes, STORAGE).unwrap();
        pool.upload(&mut encoder, &lease, &(step + 1).to_le_bytes().repeat(count)).unwrap();
        for _ in 0..4 {
            let next = pool.acquire_for(&encoder, bytes, STORAGE).unwrap();
            gpu.double(&mut encoder, &lease, bytes);
            encoder.copy_buffer_to_buffer(&lease, 0, &next, 0, bytes);
            lease = next;
            // A step is submitted in parts, as in programs whose memory is short.
            gpu.queue.submit([std::mem::replace(&mut encoder, gpu.encoder()).finish()]);
            larder_wgpu::InEncoder::use_in(&lease, &encoder);
            // How far the device is behind must not decide what is made.
            gpu.finish();
        }
        let read = pool.read_back(&mut encoder, &lease, bytes).unwrap();
        drop(lease);
        gpu.queue.submit([encoder.finish()]);
        let found = read.to_vec(SOON).unwrap();
        assert!(found == ((step + 1) * 16).to_le_bytes().repeat(count), "step {step}");
        creates.push(pool.stats().creates);
    }
    creates
}

fn pipeline(gpu: &Gpu) {
    let pool = gpu.open(256 * MB).pool("layers").build().unwrap();
    let creates = steps(gpu, &pool, 65_536);
    assert_eq!(creates[10], creates[99], "{creates:?}");
}

/// Eight shapes in turn, two buffers of each, which are given numbers and doubled; the most bytes that were used at
/// once, and how often somebody had to make way.
fn shapes(gpu: &Gpu, device: &Device<WgpuDevice>) -> (u64, u64) {
    const LAYER: u64 = 32_768;
    let shape = |number: u64| (number + 1) * LAYER;
    let pool = device.pool("shapes").classes((0..8).map(shape)).build().unwrap();
    for step in 0..100_u32 {
        let (len, mut encoder) = (shape(u64::from(step) % 8), gpu.encoder());
        let count = (len / 4) as usize;
        let leases = [(); 2].map(|()| pool.acquire_for(&encoder, len, STORAGE).unwrap());
        let reads = leases.each_ref().map(|lease| {
            pool.upload(&mut encoder, lease, &(step + 1).to_le_bytes().repeat(count)).unwrap();
            gpu.double(&mut encoder, lease, len);
            pool.read_back(&mut encoder, lease, len).unwrap()
        });
        drop(leases);
        gpu.queue.submit([encoder.finish()]);
        for read in reads {
            assert!(
                read.to_vec(SOON).unwrap() == (2 * (step + 1)).to_le_bytes().repeat(count),
                "step {step}"
            );
        }
    }
    (device.domain().stats().budget.peak, pool.stats().destroyed.reclaimed)
}

fn half(gpu: &Gpu) {
    // What they hold when nothing is in their way.
    let (wanted, given_up) = shapes(gpu, &gpu.open(256 * MB));
    assert_eq!(given_up, 0);
    let (peak, given_up) = shapes(gpu, &gpu.open(wanted / 2));
    println!("     wanted {wanted}, at most {peak} with a limit of {}, {given_up} made way", wanted / 2);
    assert!(peak <= wanted / 2 && given_up > 0);
}

fn trim(gpu: &Gpu) {
    let device = gpu.open(256 * MB);
    let pool = device.pool("large").build().unwrap();
    let encoder = gpu.encoder();
    let leases: Vec<_> = (0..8).map(|_| pool.acquire_for(&encoder, 4 * MB, STORAGE).unwrap()).collect();
    gpu.queue.submit([encoder.finish()]);
    drop(leases);
    gpu.finish();
    let before = device.backend().allocated();
    let freed = device.trim(u64::MAX);
    let after = device.backend().allocated();
    assert!(freed >= 32 * MB && pool.stats().gauges.bytes() == 0);
    match before.zip(after) {
        Some((before, after)) => {
            println!(
                "     allocated {} -> {}, reserved {} -> {}",
                before.allocated, after.allocated, before.reserved, after.reserved
            );
            assert!(after.allocated + 32 * MB <= before.allocated);
        }
        None => println!("     this driver has no allocator report"),
    }
}

/// The limit has room for everything, and the driver has not.
fn out_of_memory(gpu: &Gpu) {
    const LARGE: u64 = 256 * MB;
    // A driver in software takes what the process has.
    let _shortened = gpu.is_software.then(|| Shortened::to(2048 * MB).unwrap());
    let device = gpu.open(u64::MAX);
    let (idle, held) =
        (device.pool("idle").build().unwrap(), device.pool("held").classes([LARGE]).build().unwrap());
    let encoder = gpu.encoder();
    drop([(); 2].map(|()| idle.acquire_for(&encoder, 128 * MB, STORAGE).unwrap()));
    drop(encoder);
    let encoder = gpu.encoder();
    let mut leases = Vec::new();
    let report = loop {
        match held.acquire_for(&encoder, LARGE, STORAGE) {
            Ok(lease) => leases.push(lease),
            Err(DeviceError::OutOfMemory(report)) => break report,
            Err(error) => panic!("{error}"),
        }
        assert!(leases.len() < 4096, "a device with a terabyte");
    };
    assert_eq!((report.shortage, report.in_use.count), (Shortage::Driver, leases.len() as u64), "{report}");
    // What nobody needed went before.
    assert_eq!(
        (idle.stats().destroyed.out_of_memory, idle.stats().gauges.bytes()),
        (2, 0),
        "{}",
        idle.stats()
    );
    println!("     refused after {} buffers of {} MiB", leases.len(), LARGE / MB);
    leases.pop();
    drop(encoder);
    // There is room for one again, and it computes.
    let mut encoder = gpu.encoder();
    let again = held.acquire_for(&encoder, LARGE, STORAGE).unwrap();
    gpu.queue.write_buffer(&again, 0, &21_u32.to_le_bytes());
    gpu.double(&mut encoder, &again, 4);
    let read = idle.read_back(&mut encoder, &again, 4).unwrap();
    gpu.queue.submit([encoder.finish()]);
    assert_eq!(read.to_vec(SOON).unwrap(), 42_u32.to_le_bytes());
}
