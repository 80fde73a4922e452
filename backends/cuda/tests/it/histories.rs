//! Long histories on the fake driver: random requests on random streams, each holder's bytes checked, each touch judged.

use larder_cuda::{Buffers, CudaLease, Memory, Readback, Stream};
use larder_fake_cuda::{Fake, Setup};
use larder_runtime::device::{DeviceError, Zero};

use crate::{DEVICE, MB, SOON, assert_clean, blocking, device, numbers};

/// Numbers that look random, and are the same each time.
struct Dice(u64);

impl Dice {
    fn below(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }
}

struct Holder {
    lease: CudaLease,
    stream: usize,
    value: u32,
}

#[test]
fn whatever_is_asked_for_each_holder_finds_its_own_bytes() {
    for (seed, gpu) in (0..6).flat_map(|seed| [(seed, device as fn(u64) -> _), (seed, blocking)]) {
        let fake = Fake::new(Setup { devices: vec![6 * MB], ..Setup::default() });
        {
            // The limit is now above what the device has, and now below.
            let gpu = gpu([4 * MB, 12 * MB][seed as usize % 2]);
            let zero = [Zero::Never, Zero::OnReturn][seed as usize / 2 % 2];
            let pool = gpu.pool("buffers").classes([1024, 65_536, MB]).zero(zero).build().unwrap();
            let streams: Vec<Stream> = (0..3).map(|_| gpu.backend().stream().unwrap()).collect();
            let mut dice = Dice(seed);
            let mut holders: Vec<Holder> = Vec::new();
            let mut reads: Vec<(u32, u64, Readback)> = Vec::new();
            for value in 0..800_u32 {
                let stream = dice.below(3) as usize;
                match dice.below(10) {
                    0..4 => {
                        let len = 4
                            * (1 + [dice.below(256), dice.below(16_384), dice.below(100_000)]
                                [dice.below(3) as usize]);
                        // What is out and at work may be all that there is.
                        match pool.acquire(len, DEVICE, &streams[stream]) {
                            Ok(lease) => {
                                pool.upload(&streams[stream], &lease, &numbers(value, len)).unwrap();
                                holders.push(Holder { lease, stream, value });
                            }
                            Err(DeviceError::OutOfMemory(_)) => holders.truncate(holders.len() / 2),
                            Err(error) => panic!("{error}"),
                        }
                    }
                    4..7 if !holders.is_empty() => {
                        let holder = holders.swap_remove(dice.below(holders.len() as u64) as usize);
                        let on = if dice.below(3) == 0 { stream } else { holder.stream };
                        holder.lease.use_on(&streams[on]).unwrap();
                        let len = holder.lease.len();
                        reads.push((
                            holder.value,
                            len,
                            pool.read_back(&streams[on], &holder.lease, len).unwrap(),
                        ));
                        if dice.below(8) == 0 {
                            let home = &streams[holder.stream];
                            holder.lease.detach().free_after(&[streams[on].clone(), home.clone()]);
                        }
                    }
                    7 => _ = fake.advance(dice.below(20)),
                    8 if !reads.is_empty() => {
                        fake.finish();
                        for (value, len, read) in reads.drain(..) {
                            assert!(
                                read.to_vec(SOON).unwrap() == numbers(value, len),
                                "seed {seed}: holder {value}"
                            );
                        }
                    }
                    _ if value % 97 == 0 => _ = gpu.trim(u64::MAX),
                    _ => drop(pool.acquire(64, Memory::Pinned, &streams[stream]).unwrap()),
                }
                assert!(fake.used(0) <= 6 * MB);
            }
            let stats = pool.stats();
            assert!(stats.hits.total() > 40 && stats.creates > 10, "{stats}");
            assert_eq!(fake.hazards(), Vec::<String>::new(), "seed {seed}");
        }
        assert_clean(&fake);
    }
}
