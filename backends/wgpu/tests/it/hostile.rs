//! What nobody should do, done: usages of nothing, callbacks that come back, many threads, a device that is destroyed.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Barrier, Mutex};

use larder_runtime::device::{DeviceBackend, DeviceError};
use larder_wgpu::{Buffers, wgpu};
use wgpu::BufferUsages;

use crate::{MB, SOON, Setup, USAGE};

#[test]
fn a_usage_of_nothing_is_refused() {
    let setup = Setup::new(64 * MB);
    let (pool, mut encoder) = (setup.pool(), setup.encoder());
    let refused = pool.acquire_for(&encoder, 100, BufferUsages::empty());
    assert!(matches!(refused, Err(DeviceError::Failed { .. })), "{refused:?}");
    let nothing = pool.acquire_for(&encoder, 0, USAGE).unwrap();
    pool.upload(&mut encoder, &nothing, &[]).unwrap();
    let back = pool.read_back(&mut encoder, &nothing, 0).unwrap();
    setup.submit(encoder);
    assert!(back.to_vec(SOON).unwrap().is_empty());
}

#[test]
fn a_callback_of_the_device_may_ask_for_a_buffer() {
    let setup = Setup::new(64 * MB);
    let (pool, encoder) = (setup.pool(), setup.encoder());
    let asked = Arc::new(AtomicU64::new(0));
    let (asks, from, next) = (Arc::clone(&asked), pool.clone(), Mutex::new(Some(setup.encoder())));
    encoder.on_submitted_work_done(move || {
        let encoder = next.lock().unwrap().take().unwrap();
        drop(from.acquire_for(&encoder, 5000, USAGE).unwrap());
        asks.fetch_add(1, Ordering::Relaxed);
    });
    drop(pool.acquire_for(&encoder, 5000, USAGE).unwrap());
    setup.submit(encoder);
    // It asks the device what is done, which runs the callback.
    let other = setup.encoder();
    let lease = pool.acquire_for(&other, 5000, USAGE).unwrap();
    assert_eq!(asked.load(Ordering::Relaxed), 1);
    drop(lease);
    assert_eq!(pool.stats().gauges.in_use.current.count, 0);
}

#[test]
fn threads_share_a_pool() {
    let setup = Setup::new(8 * MB);
    let pool = setup.pool();
    std::thread::scope(|scope| {
        for thread in 0..4_u32 {
            let (setup, pool) = (&setup, &pool);
            scope.spawn(move || {
                for round in 0..100_u32 {
                    let bytes = (1000 * thread + round).to_le_bytes().repeat(1000 + 100 * thread as usize);
                    let mut encoder = setup.encoder();
                    let lease = pool.acquire_for(&encoder, bytes.len() as u64, USAGE).unwrap();
                    pool.upload(&mut encoder, &lease, &bytes).unwrap();
                    let back = pool.read_back(&mut encoder, &lease, bytes.len() as u64).unwrap();
                    drop(lease);
                    setup.submit(encoder);
                    assert!(back.to_vec(SOON).unwrap() == bytes, "thread {thread}, round {round}");
                }
            });
        }
    });
    setup.gpu.domain().tick();
    let gauges = pool.stats().gauges;
    assert_eq!((gauges.in_use.current.count, gauges.pending.current.count), (0, 0));
    assert!(setup.gpu.domain().stats().budget.peak <= 8 * MB);
}

/// Another thread polled and had not passed it on yet: what was done was said not to be, at once.
#[test]
fn what_another_thread_is_about_to_say_is_waited_for() {
    let setup = Setup::new(8 * MB);
    let pool = setup.pool();
    let (polled, go_on) = (Barrier::new(2), Barrier::new(2));
    let (polled, go_on) = (Arc::new(polled), Arc::new(go_on));
    let mut encoder = setup.encoder();
    let lease = pool.acquire_for(&encoder, 4, USAGE).unwrap();
    let told = (Arc::clone(&polled), Arc::clone(&go_on));
    encoder.on_submitted_work_done(move || {
        told.0.wait();
        told.1.wait();
    });
    pool.upload(&mut encoder, &lease, &[1, 2, 3, 4]).unwrap();
    let back = pool.read_back(&mut encoder, &lease, 4).unwrap();
    setup.submit(encoder);
    std::thread::scope(|scope| {
        scope.spawn(|| setup.gpu.backend().poll());
        polled.wait();
        scope.spawn(|| {
            // So long that who does not wait has left.
            (0..1000).for_each(|_| std::thread::yield_now());
            go_on.wait();
        });
        assert_eq!(back.to_vec(SOON).unwrap(), [1, 2, 3, 4]);
    });
}

#[test]
fn a_device_that_was_destroyed_is_no_panic_and_gives_everything_up() {
    let setup = Setup::new(64 * MB);
    let (pool, mut encoder) = (setup.pool(), setup.encoder());
    let [lease, other] = [(); 2].map(|()| pool.acquire_for(&encoder, 5000, USAGE).unwrap());
    let back = pool.read_back(&mut encoder, &lease, 5000).unwrap();
    setup.device().destroy();
    drop(lease);
    drop(encoder);
    let _ = back.to_vec(SOON);
    let encoder = setup.encoder();
    // wgpu makes buffers that are none, and says so to its callback only.
    let _ = pool.acquire_for(&encoder, 100_000, USAGE);
    // Who says so gets everything back.
    setup.gpu.backend().mark_lost("it was destroyed");
    drop(other);
    assert!(matches!(pool.acquire_for(&encoder, 100_000, USAGE), Err(DeviceError::Lost { .. })));
    assert_eq!(
        (pool.stats().gauges.bytes(), setup.host.stats().tenant("buffers@gpu:0").unwrap().leased),
        (0, 0)
    );
}

#[test]
fn pools_hear_of_a_loss_through_the_callback() {
    let setup = Setup::new(64 * MB);
    setup.device().set_device_lost_callback(setup.gpu.backend().on_lost());
    let (pool, encoder) = (setup.pool(), setup.encoder());
    drop(pool.acquire_for(&encoder, 5000, USAGE).unwrap());
    drop(encoder);
    setup.device().destroy();
    // Who asks the device hears of it; pools do, too.
    let _ = setup.device().poll(wgpu::PollType::Poll);
    let encoder = setup.encoder();
    // One is idle, for which nobody has to ask the driver for anything.
    let lost = pool.acquire_for(&encoder, 5000, USAGE).map_err(|error| error.to_string());
    assert!(lost.as_ref().is_err_and(|why| why.contains("is lost (Destroyed")), "{lost:?}");
    assert!(setup.gpu.is_lost() && pool.stats().gauges.bytes() == 0);
}
