//! Pools on a device under controlled schedules: who asks, who gives back, and who takes for others.

use std::sync::Arc;
use std::time::Duration;

use shuttle::thread;

use super::Device;
use crate::Domain;
use crate::models::check;
use crate::testing::{ManualClock, SimDevice, SimUsage};

/// One buffer has room: two threads ask for different sizes while a third trims and ticks. The limit holds, nobody gets what
/// another has, and in the end the books say nothing is left.
#[test]
fn threads_that_ask_and_one_that_trims_keep_the_limit() {
    check(|| {
        let clock = ManualClock::new();
        let host = Domain::builder().limit_bytes(1 << 20).clock(clock.clone()).manual().build();
        let sim = SimDevice::builder().total_bytes(8192).build();
        let builder = Device::builder("gpu:0", sim.clone()).limit_bytes(8192).patience(Duration::ZERO);
        let device = builder.clock(clock).manual().build_in(&host).unwrap();
        let pool = device.pool("shared").classes([4096, 8192]).build().unwrap();
        let threads: Vec<_> = [4096, 8192]
            .map(|len| {
                let (sim, pool) = (sim.clone(), pool.clone());
                thread::spawn(move || {
                    let stream = sim.order();
                    for _ in 0..2 {
                        if let Ok(lease) = pool.acquire(len, SimUsage::Storage, &stream) {
                            sim.write(&stream, &lease, len);
                            let read = sim.read(&stream, &lease);
                            drop(lease);
                            sim.finish();
                            assert_eq!(read.get(), Some(len));
                        }
                    }
                })
            })
            .into_iter()
            .collect();
        let trims = Arc::new(device);
        let trimming = Arc::clone(&trims);
        let trimmer = thread::spawn(move || {
            trimming.trim(4096);
            trimming.domain().tick();
        });
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        trimmer.join().unwrap();
        assert!(sim.hazards().is_empty() && trims.domain().stats().budget.peak <= 8192);
        drop(pool);
        sim.finish();
        assert_eq!((sim.live(), trims.domain().budget().used()), (0, 0));
    });
}
