//! Pools on wgpu's device without a driver: what is lent when, what comes back, what is refused. Nothing is computed here.

mod hostile;

use std::time::Duration;

use larder_runtime::Domain;
use larder_runtime::device::{Device, DeviceError, Shortage, ToOrder, Zero};
use larder_runtime::testing::SimDevice;
use larder_wgpu::{Buffers, InEncoder, Recording, TransferError, WgpuDevice, WgpuPool, wgpu};
use wgpu::BufferUsages;

const MB: u64 = 1 << 20;
const USAGE: BufferUsages = BufferUsages::STORAGE.union(BufferUsages::COPY_DST).union(BufferUsages::COPY_SRC);
const SOON: Duration = Duration::from_secs(10);

struct Setup {
    gpu: Device<WgpuDevice>,
    host: Domain,
}

impl Setup {
    fn new(limit: u64) -> Self {
        let (device, queue) = wgpu::Device::noop(&wgpu::DeviceDescriptor::default());
        let host = Domain::builder().limit_bytes(256 * MB).manual().build();
        let gpu = larder_wgpu::open("gpu:0", device, queue).limit_bytes(limit).manual();
        Self { gpu: gpu.build_in(&host).unwrap(), host }
    }

    fn pool(&self) -> WgpuPool {
        self.gpu.pool("buffers").build().unwrap()
    }

    fn device(&self) -> &wgpu::Device {
        self.gpu.backend().device()
    }

    fn encoder(&self) -> wgpu::CommandEncoder {
        self.device().create_command_encoder(&wgpu::CommandEncoderDescriptor::default())
    }

    fn submit(&self, encoder: wgpu::CommandEncoder) {
        self.gpu.backend().queue().submit([encoder.finish()]);
    }
}

#[test]
fn a_buffer_is_lent_again_when_its_encoder_is_done_and_no_sooner() {
    let setup = Setup::new(64 * MB);
    let pool = setup.pool();
    let (first, second, third) = (setup.encoder(), setup.encoder(), setup.encoder());
    let lease = pool.acquire_for(&first, 5000, USAGE).unwrap();
    let buffer = (*lease).clone();
    drop(lease);
    // Recorded, and not submitted: nobody may have it, not even the same encoder.
    let other = pool.acquire_for(&second, 5000, USAGE).unwrap();
    let same = pool.acquire_for(&first, 5000, USAGE).unwrap();
    assert!(*other != buffer && *same != buffer);
    setup.submit(first);
    drop(same);
    let again = pool.acquire_for(&third, 5000, USAGE).unwrap();
    assert_eq!((pool.stats().creates, pool.stats().hits.total()), (3, 1));
    assert!(*again != *other);
}

#[test]
fn a_second_encoder_is_waited_for_where_it_is_named() {
    let setup = Setup::new(64 * MB);
    let pool = setup.pool();
    let (first, second) = (setup.encoder(), setup.encoder());
    let lease = pool.acquire_for(&first, 5000, USAGE).unwrap();
    lease.use_in(&second);
    setup.submit(first);
    drop(lease);
    pool.clear();
    assert_eq!(pool.stats().gauges.pending.current.count, 1);
    setup.submit(second);
    pool.clear();
    assert_eq!((pool.stats().gauges.bytes(), pool.stats().destroyed.asked), (0, 1));
}

#[test]
fn what_is_never_submitted_comes_back() {
    let setup = Setup::new(64 * MB);
    let pool = setup.pool();
    for finishes in [true, false] {
        let encoder = setup.encoder();
        let lease = pool.acquire_for(&encoder, 5000, USAGE).unwrap();
        drop(lease);
        if finishes { drop(encoder.finish()) } else { drop(encoder) }
    }
    let encoder = setup.encoder();
    let _lease = pool.acquire_for(&encoder, 5000, USAGE).unwrap();
    assert_eq!(pool.stats().creates, 1);
}

#[test]
fn a_thousand_leases_in_any_order_of_drops_leave_nothing_in_use() {
    let setup = Setup::new(64 * MB);
    let pool = setup.pool();
    let mut kept = Vec::new();
    for round in 0..1000_u64 {
        let encoder = setup.encoder();
        let lease = pool.acquire_for(&encoder, 1000 + round % 3 * 10_000, USAGE).unwrap();
        match round % 5 {
            0 => {
                drop(lease);
                setup.submit(encoder);
            }
            1 => {
                setup.submit(encoder);
                drop(lease);
            }
            2 => {
                drop(encoder);
                drop(lease);
            }
            3 => {
                drop(lease);
                drop(encoder.finish());
            }
            _ => {
                kept.push(lease);
                setup.submit(encoder);
                if kept.len() > 3 {
                    kept.swap_remove((round % 3) as usize);
                }
            }
        }
    }
    kept.clear();
    setup.gpu.domain().tick();
    let stats = pool.stats();
    assert_eq!((stats.gauges.in_use.current.count, stats.gauges.pending.current.count), (0, 0), "{stats}");
    assert_eq!((stats.requested, pool.leases().len()), (0, 0));
    assert!(stats.creates <= 12 && stats.hits.total() == 1000 - stats.creates, "{stats}");
}

#[test]
fn bytes_go_there_and_come_back() {
    let setup = Setup::new(64 * MB);
    let pool = setup.pool();
    for len in [1, 4, 4095, 70_001] {
        let bytes: Vec<u8> = (0..len).map(|at| (at % 251) as u8).collect();
        let mut encoder = setup.encoder();
        let target = pool.acquire_for(&encoder, len as u64, USAGE).unwrap();
        pool.upload(&mut encoder, &target, &bytes).unwrap();
        let back = pool.read_back(&mut encoder, &target, len as u64).unwrap();
        setup.submit(encoder);
        assert_eq!(back.to_vec(SOON).unwrap(), bytes);
    }
    // The buffers for it are pooled: the second time none is made.
    let before = pool.stats().creates;
    let mut encoder = setup.encoder();
    let target = pool.acquire_for(&encoder, 4095, USAGE).unwrap();
    pool.upload(&mut encoder, &target, &[7; 4095]).unwrap();
    let back = pool.read_back(&mut encoder, &target, 4095).unwrap();
    setup.submit(encoder);
    assert_eq!(back.to_vec(SOON).unwrap(), [7; 4095]);
    assert_eq!(pool.stats().creates, before);
}

#[test]
fn a_transfer_that_can_not_be_says_why() {
    let setup = Setup::new(64 * MB);
    let pool = setup.pool();
    let mut encoder = setup.encoder();
    let target = pool.acquire_for(&encoder, 100, BufferUsages::STORAGE).unwrap();
    let unfit = pool.upload(&mut encoder, &target, &[0; 100]).unwrap_err();
    assert!(
        matches!(unfit, TransferError::Unfit { .. }) && unfit.to_string().contains("COPY_DST"),
        "{unfit}"
    );
    let target = pool.acquire_for(&encoder, 100, USAGE).unwrap();
    let back = pool.read_back(&mut encoder, &target, 100).unwrap();
    let not_done = back.to_vec(Duration::from_millis(1)).unwrap_err();
    assert!(not_done.to_string().contains("submit the encoder"), "{not_done}");
    assert!(pool.read_back(&mut encoder, &target, 1 << 20).is_err());
    drop(encoder);
}

#[test]
fn a_reader_that_panics_costs_nothing() {
    let setup = Setup::new(64 * MB);
    let pool = setup.pool();
    let read = |panics: bool| {
        let mut encoder = setup.encoder();
        let target = pool.acquire_for(&encoder, 100, USAGE).unwrap();
        let back = pool.read_back(&mut encoder, &target, 100).unwrap();
        setup.submit(encoder);
        back.read(SOON, |bytes| {
            assert!(!panics, "a reader that panics");
            bytes.len()
        })
    };
    assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| read(true))).is_err());
    assert_eq!(read(false).unwrap(), 100);
}

#[test]
fn what_the_device_can_not_do_is_an_error_and_no_panic() {
    let setup = Setup::new(u64::MAX);
    let pool = setup.pool();
    let encoder = setup.encoder();
    let too_large = pool.acquire_for(&encoder, 1 << 50, USAGE).unwrap_err();
    assert!(matches!(too_large, DeviceError::TooLarge { .. }), "{too_large}");
    // Neither may stand beside the other.
    let mixed = BufferUsages::MAP_READ | BufferUsages::STORAGE;
    let failed = pool.acquire_for(&encoder, 100, mixed).unwrap_err();
    assert!(
        matches!(failed, DeviceError::Failed { .. }) && failed.to_string().contains("MAP_READ"),
        "{failed}"
    );
    assert_eq!(
        (pool.stats().gauges.bytes(), setup.gpu.domain().stats().tenant("buffers").unwrap().bytes),
        (0, 0)
    );
}

#[test]
fn a_limit_has_to_be_said_and_is_kept() {
    let (device, queue) = wgpu::Device::noop(&wgpu::DeviceDescriptor::default());
    let unknown = larder_wgpu::open("gpu:0", device, queue).build().unwrap_err();
    assert!(unknown.to_string().contains("`limit_mb`"), "{unknown}");
    let setup = Setup::new(2 * MB);
    let pool = setup.pool();
    let (first, second) = (setup.encoder(), setup.encoder());
    let lease = pool.acquire_for(&first, 2 * MB, USAGE).unwrap();
    let Err(DeviceError::OutOfMemory(report)) = pool.acquire_for(&second, MB, USAGE) else {
        panic!("it is full")
    };
    assert_eq!((report.shortage, report.in_use.bytes), (Shortage::Device, 2 * MB));
    drop(lease);
    setup.submit(first);
    // What is done makes way.
    let _lease = pool.acquire_for(&second, MB, USAGE).unwrap();
    assert_eq!(pool.stats().gauges.bytes(), MB);
    // The noop device is none with memory of its own.
    assert!(setup.host.stats().tenant("buffers@gpu:0").is_some_and(|tenant| tenant.bytes >= MB));
}

#[test]
fn zeroes_are_cleared_by_the_device() {
    for zero in [Zero::OnAcquire, Zero::OnReturn] {
        let setup = Setup::new(64 * MB);
        let pool = setup.gpu.pool("zeroed").zero(zero).build().unwrap();
        for round in 0..3_u8 {
            let mut encoder = setup.encoder();
            let lease = pool.acquire_for(&encoder, 4096, USAGE).unwrap();
            let before = pool.read_back(&mut encoder, &lease, 4096);
            // Buffers that the host maps can't be stored to, and are zeroed all the same.
            let before = before.unwrap();
            setup.gpu.backend().queue().write_buffer(&lease, 0, &[]);
            setup.submit(encoder);
            assert_eq!(before.to_vec(SOON).unwrap(), [0; 4096], "{zero:?} {round}");
            let mut encoder = setup.encoder();
            lease.use_in(&encoder);
            encoder.clear_buffer(&lease, 0, None);
            setup.gpu.backend().queue().write_buffer(&lease, 0, &[round + 1; 4096]);
            setup.submit(encoder);
        }
    }
}

#[test]
fn a_device_that_is_lost_gives_everything_up() {
    let setup = Setup::new(64 * MB);
    let pool = setup.pool();
    let encoder = setup.encoder();
    let lease = pool.acquire_for(&encoder, 5000, USAGE).unwrap();
    setup.submit(encoder);
    setup.gpu.backend().mark_lost("the cable came off");
    drop(lease);
    let encoder = setup.encoder();
    let lost = pool.acquire(5000, USAGE, &Recording::of(&encoder)).unwrap_err();
    assert!(lost.to_string().contains("the cable came off"), "{lost}");
    assert!(setup.gpu.is_lost() && pool.stats().gauges.bytes() == 0);
}

#[test]
fn a_registered_device_is_found_by_its_driver() {
    let setup = Setup::new(64 * MB);
    setup.gpu.register().unwrap();
    let found = Device::<WgpuDevice>::registered("gpu:0").unwrap();
    assert!(std::ptr::eq(found.domain(), setup.gpu.domain()));
    let other = Device::<SimDevice>::registered("gpu:0");
    assert!(matches!(other, Err(DeviceError::OtherBackend { device }) if device == "gpu:0"));
    // An encoder stands for its recording, wherever an order is wanted.
    let encoder = setup.encoder();
    let order = ToOrder::<WgpuDevice>::to_order(&encoder);
    assert!(!order.is_done());
    setup.submit(encoder);
    setup.device().poll(wgpu::PollType::Poll).unwrap();
    assert!(order.is_done());
}
