//! Pipelines: what is warm makes nothing new, and half of what is wanted is enough.

use larder_cuda::{Buffers, CudaDevice, CudaPool, Stream};
use larder_fake_cuda::{Fake, Pace, Setup};

use crate::{DEVICE, MB, SOON, assert_clean, device, driver, numbers, patient};

/// A hundred steps of four layers on two streams in turn, each layer written anew; how often the driver had made memory after each.
fn steps(fake: &Fake, pool: &CudaPool, streams: &[Stream; 2], bytes: u64) -> Vec<u64> {
    let mut made = Vec::new();
    for step in 0..100_u32 {
        let stream = &streams[step as usize % 2];
        let mut lease = pool.acquire(bytes, DEVICE, stream).unwrap();
        for layer in 0..4 {
            let next = pool.acquire(bytes, DEVICE, stream).unwrap();
            pool.upload(stream, &next, &numbers(4 * step + layer, bytes)).unwrap();
            lease = next;
        }
        let read = pool.read_back(stream, &lease, bytes).unwrap();
        drop(lease);
        assert!(read.to_vec(SOON).unwrap() == numbers(4 * step + 3, bytes), "step {step}");
        made.push(fake.calls("cuMemAllocFromPoolAsync") + fake.calls("cuMemHostAlloc"));
    }
    made
}

#[test]
fn a_pipeline_makes_nothing_new_once_it_is_warm() {
    let fake = Fake::new(Setup { pace: Pace::Late(1), ..Setup::default() });
    {
        let gpu = device(64 * MB);
        let pool = gpu.pool("layers").build().unwrap();
        let streams = [gpu.backend().stream().unwrap(), gpu.backend().stream().unwrap()];
        let made = steps(&fake, &pool, &streams, 65_536);
        assert_eq!(made[9], made[99], "{made:?}");
    }
    assert_clean(&fake);
}

#[test]
fn half_of_what_is_wanted_is_enough() {
    const LAYER: u64 = 262_144;
    let fake = Fake::new(Setup { pace: Pace::Late(1), ..Setup::default() });
    {
        // Eight shapes in turn would like a buffer each; half of them have room.
        let gpu = device(4 * LAYER);
        let pool = gpu.pool("layers").classes((1..=8).map(|shape| shape * LAYER / 8)).build().unwrap();
        let stream = gpu.backend().stream().unwrap();
        for step in 0..100_u32 {
            let bytes = u64::from(step % 8 + 1) * LAYER / 8;
            let leases = [(); 2].map(|()| pool.acquire(bytes, DEVICE, &stream).unwrap());
            for lease in &leases {
                pool.upload(&stream, lease, &numbers(step, bytes)).unwrap();
            }
            let reads = leases.each_ref().map(|lease| pool.read_back(&stream, lease, bytes).unwrap());
            drop(leases);
            for read in reads {
                assert!(read.to_vec(SOON).unwrap() == numbers(step, bytes), "step {step}");
            }
        }
        let (budget, stats) = (gpu.domain().stats().budget, pool.stats());
        // All shapes, two of each, are 9 layers.
        assert!(budget.peak <= 4 * LAYER && stats.destroyed.reclaimed > 0, "{budget:?} {stats}");
    }
    assert_clean(&fake);
}

#[test]
fn threads_with_streams_of_their_own_share_a_pool() {
    let fake = Fake::new(Setup { pace: Pace::Late(1), ..Setup::default() });
    {
        let gpu = patient("gpu:0", CudaDevice::new(&driver(), 0).unwrap(), 2 * MB, SOON);
        let pool = gpu.pool("shared").build().unwrap();
        std::thread::scope(|scope| {
            for thread in 0..4_u32 {
                let (gpu, pool, fake) = (&gpu, &pool, &fake);
                scope.spawn(move || {
                    let stream = gpu.backend().stream().unwrap();
                    for round in 0..100 {
                        let (value, bytes) = (1000 * thread + round, [4096, 65_536][round as usize % 2]);
                        let lease = pool.acquire(bytes, DEVICE, &stream).unwrap();
                        pool.upload(&stream, &lease, &numbers(value, bytes)).unwrap();
                        let read = pool.read_back(&stream, &lease, bytes).unwrap();
                        drop(lease);
                        assert!(read.to_vec(SOON).unwrap() == numbers(value, bytes), "{thread} {round}");
                        // What was current on the thread is so again.
                        assert_eq!(fake.entered(), 0);
                    }
                });
            }
        });
        assert!(pool.stats().hits.total() > 100 && gpu.domain().stats().budget.peak <= 2 * MB);
    }
    assert_clean(&fake);
}
