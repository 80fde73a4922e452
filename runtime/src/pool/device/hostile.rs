//! What nobody should do, done: sizes of nothing and of everything, callbacks that come back, things dropped in the
//! wrong order.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::{Device, DeviceError, DeviceKind, DevicePool, Shortage, Zero};
use crate::Domain;
use crate::testing::{SimCall, SimDevice, SimFailure, SimUsage};

const USAGE: SimUsage = SimUsage::Storage;
const MB: u64 = 1 << 20;

fn host() -> Domain {
    Domain::builder().limit_bytes(64 * MB).manual().build()
}

fn open(sim: &SimDevice, limit: u64) -> Device<SimDevice> {
    Device::builder("gpu:0", sim.clone()).limit_bytes(limit).manual().build_in(&host()).unwrap()
}

#[test]
fn a_request_for_nothing_is_one_for_the_smallest_buffer() {
    let sim = SimDevice::builder().total_bytes(4 * MB).build();
    let pool = open(&sim, 4 * MB).pool("a").build().unwrap();
    let lease = pool.acquire(0, USAGE, &sim.order()).unwrap();
    assert_eq!((lease.len(), lease.is_empty(), lease.capacity()), (0, true, 4096));
    let resident = lease.into_resident();
    assert!(resident.is_empty() && resident.capacity() == 4096);
}

#[test]
fn sizes_that_no_device_has_are_refused_whatever_limit_and_bound_say() {
    let sim = SimDevice::builder().total_bytes(u64::MAX).build();
    let device = open(&sim, u64::MAX);
    let pool = device.pool("a").classes([1, u64::MAX, 1 << 63]).build().unwrap();
    let stream = sim.order();
    // Two of these are more than a number can say.
    let half = pool.acquire(1 << 63, USAGE, &stream).unwrap();
    for len in [1 << 63, u64::MAX, u64::MAX - 255] {
        let refused = pool.acquire(len, USAGE, &stream);
        let is_refused = matches!(refused, Err(DeviceError::OutOfMemory(_) | DeviceError::TooLarge { .. }));
        assert!(is_refused, "{len}: {refused:?}");
    }
    drop(half);
    drop(pool);
    sim.finish();
    device.domain().tick();
    assert_eq!((sim.live(), device.domain().budget().used()), (0, 0));
}

#[test]
fn a_pool_without_sizes_is_refused() {
    let sim = SimDevice::builder().total_bytes(MB).build();
    let device = open(&sim, MB);
    for classes in [&[][..], &[0], &[4096, 0]] {
        let refused = device.pool("a").classes(classes.iter().copied()).build();
        assert!(matches!(refused, Err(DeviceError::Invalid { .. })), "{classes:?}");
    }
    // Nor is one that the device can have none of: it would keep nothing, and nobody would know why.
    let refused = device.pool("a").classes([2 * MB]).build().unwrap_err();
    assert!(refused.to_string().contains("largest buffer"), "{refused}");
    // In any order, and twice.
    let pool = device.pool("a").classes([8192, 100, 8192, 2 * MB, 4096]).build().unwrap();
    let capacities = [1, 257, 4097].map(|len| pool.acquire(len, USAGE, &sim.order()).unwrap().capacity());
    assert_eq!(capacities, [256, 4096, 8192]);
}

#[test]
fn a_callback_may_ask_for_buffers_itself() {
    let sim = SimDevice::builder().total_bytes(2 * MB).build();
    let device = open(&sim, 64 * MB);
    let pool = device.pool("a").build().unwrap();
    let calls = Arc::new(AtomicU64::new(0));
    let (told, asked, stream) = (Arc::clone(&calls), pool.clone(), sim.order());
    let handle = device.clone();
    device.on_out_of_memory(move |bytes| {
        told.fetch_add(1, Ordering::Relaxed);
        // As much as there was not enough of: it would be told of that, too, and so on.
        assert!(asked.acquire(bytes, USAGE, &stream).is_err());
        handle.trim(u64::MAX);
        handle.on_out_of_memory(|_| ());
    });
    let stream = sim.order();
    let _held = pool.acquire(3 * MB / 2, USAGE, &stream).unwrap();
    let Err(DeviceError::OutOfMemory(report)) = pool.acquire(MB, USAGE, &stream) else {
        panic!("there is none")
    };
    assert_eq!((report.shortage, calls.load(Ordering::Relaxed)), (Shortage::Driver, 1));
    // The next request calls it again.
    assert!(pool.acquire(MB, USAGE, &stream).is_err());
    assert_eq!(calls.load(Ordering::Relaxed), 2);
}

/// Everything that can be dropped, in every order.
#[test]
fn whatever_is_dropped_first_nothing_is_left() {
    type Drops = Vec<Option<Box<dyn FnOnce()>>>;
    for order in 0..120_usize {
        for kind in [DeviceKind::Discrete, DeviceKind::Integrated] {
            let host = host();
            let sim = SimDevice::builder().kind(kind).total_bytes(8 * MB).build();
            let device = Device::builder("gpu:0", sim.clone()).manual().build_in(&host).unwrap();
            let pool: DevicePool<SimDevice> = device.pool("a").zero(Zero::OnReturn).build().unwrap();
            let stream = sim.order();
            let [lease, kept, idle] = [(); 3].map(|()| pool.acquire(MB, USAGE, &stream).unwrap());
            sim.write(&stream, &lease, 1);
            drop(idle);
            let resident = kept.into_resident();
            let mut drops: Drops = vec![
                Some(Box::new(move || drop(host))),
                Some(Box::new(move || drop(device))),
                Some(Box::new(move || drop(pool))),
                Some(Box::new(move || drop(lease))),
                Some(Box::new(move || drop(resident))),
            ];
            let mut number = order;
            for left in (1..=5).rev() {
                let at = (0..5).filter(|at| drops[*at].is_some()).nth(number % left).unwrap();
                number /= left;
                drops[at].take().unwrap()();
                if order % 2 == 0 {
                    sim.advance(1);
                }
            }
            sim.finish();
            assert_eq!((sim.live(), sim.used(), sim.hazards()), (0, 0, Vec::new()), "{order} {kind}");
        }
    }
}

#[test]
fn a_device_may_be_lost_at_any_call() {
    for call in [
        SimCall::Create,
        SimCall::Fence,
        SimCall::Done,
        SimCall::Wait,
        SimCall::OrderAfter,
        SimCall::Zero,
        SimCall::Discard,
        SimCall::Memory,
    ] {
        let sim = SimDevice::builder().total_bytes(4 * MB).build();
        let device = open(&sim, 3 * MB);
        let pool = device.pool("a").zero(Zero::OnReturn).build().unwrap();
        let streams = [sim.order(), sim.order()];
        sim.fail_after(call, 1, SimFailure::Lost);
        let mut out = Vec::new();
        for round in 0..12_usize {
            if let Ok(lease) = pool.acquire(MB, USAGE, &streams[round % 2]) {
                let _ = lease.use_on(&streams[1 - round % 2]);
                out.push(lease);
            }
            if round % 3 == 2 {
                out.clear();
            }
            drop((pool.stats(), pool.leases()));
            device.domain().tick();
        }
        // Nobody may be told of it by a call whose answer means nothing to pools.
        let _ = pool.acquire(2 * MB, USAGE, &streams[0]);
        let _ = pool.acquire(3 * MB / 2, USAGE, &streams[0]);
        assert!(device.is_lost(), "{call:?}");
        out.clear();
        assert!(
            device.pool("b").build().is_err() && pool.acquire(1, USAGE, &streams[0]).is_err(),
            "{call:?}"
        );
        sim.finish();
        pool.clear();
        let left =
            (pool.stats().gauges.bytes(), device.domain().budget().used(), sim.live(), pool.leases().len());
        assert_eq!(left, (0, 0, 0, 0), "{call:?}");
    }
}
