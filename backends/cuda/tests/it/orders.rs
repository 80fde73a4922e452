//! A buffer is lent again behind the work of its last holder, and what the host touches when nothing is left to be done.

use larder_cuda::{Argument, Buffers, Memory};
use larder_fake_cuda::{Fake, Pace, Setup};
use larder_runtime::device::{DeviceError, Fault, Zero};

use crate::{DEVICE, MB, SOON, assert_clean, device, driver, numbers, one_device, open};

#[test]
fn a_stream_gets_its_own_buffer_back_behind_its_own_work() {
    let fake = one_device();
    {
        let gpu = device(16 * MB);
        let (pool, stream) = (gpu.pool("buffers").build().unwrap(), gpu.backend().stream().unwrap());
        let mut reads = Vec::new();
        for value in 1..=8 {
            let lease = pool.acquire(4096, DEVICE, &stream).unwrap();
            pool.upload(&stream, &lease, &numbers(value, 4096)).unwrap();
            reads.push((value, pool.read_back(&stream, &lease, 4096).unwrap()));
        }
        // Nothing was done so far, and nobody waited.
        let stats = pool.stats();
        assert_eq!((stats.hits.same_order, stats.waits), (7, 0), "{stats}");
        fake.set_pace(Pace::Late(1));
        for (value, read) in reads {
            assert!(read.to_vec(SOON).unwrap() == numbers(value, 4096), "of holder {value}");
        }
    }
    assert_clean(&fake);
}

#[test]
fn another_stream_is_made_to_wait_on_the_device() {
    let fake = one_device();
    {
        let gpu = device(16 * MB);
        let pool = gpu.pool("buffers").build().unwrap();
        let streams = [gpu.backend().stream().unwrap(), gpu.backend().stream().unwrap()];
        let mut reads = Vec::new();
        for (value, stream) in streams.iter().enumerate() {
            let lease = pool.acquire(4096, DEVICE, stream).unwrap();
            pool.upload(stream, &lease, &numbers(value as u32, 4096)).unwrap();
            reads.push(pool.read_back(stream, &lease, 4096).unwrap());
        }
        let stats = pool.stats();
        assert_eq!((stats.hits.crossed, fake.calls("cuMemAllocFromPoolAsync")), (1, 1), "{stats}");
        fake.set_pace(Pace::Late(1));
        for (value, read) in reads.into_iter().enumerate() {
            assert!(read.to_vec(SOON).unwrap() == numbers(value as u32, 4096), "of stream {value}");
        }
    }
    assert_clean(&fake);
}

#[test]
fn a_second_stream_is_waited_for_where_the_lease_names_it_and_missed_where_not() {
    for names in [true, false] {
        let fake = one_device();
        let gpu = device(16 * MB);
        let pool = gpu.pool("buffers").build().unwrap();
        let [home, side, next] = [(); 3].map(|()| gpu.backend().stream().unwrap());
        let lease = pool.acquire(4096, DEVICE, &home).unwrap();
        if names {
            lease.use_on(&side).unwrap();
        }
        pool.upload(&side, &lease, &[1; 4096]).unwrap();
        drop(lease);
        let lease = pool.acquire(4096, DEVICE, &next).unwrap();
        pool.upload(&next, &lease, &[2; 4096]).unwrap();
        assert_eq!(fake.hazards().is_empty(), names, "{:?}", fake.hazards());
    }
}

#[test]
fn pinned_memory_is_lent_again_when_the_copy_is_done_and_no_sooner() {
    let fake = one_device();
    {
        let gpu = device(16 * MB);
        let (pool, stream) = (gpu.pool("buffers").build().unwrap(), gpu.backend().stream().unwrap());
        let [first, second] = [(); 2].map(|()| pool.acquire(4096, DEVICE, &stream).unwrap());
        // Neither copy has read its pinned buffer when the other's is written.
        pool.upload(&stream, &first, &numbers(1, 4096)).unwrap();
        pool.upload(&stream, &second, &numbers(2, 4096)).unwrap();
        assert_eq!(fake.calls("cuMemHostAlloc"), 2);
        fake.finish();
        pool.upload(&stream, &second, &numbers(3, 4096)).unwrap();
        assert_eq!((fake.calls("cuMemHostAlloc"), pool.stats().hits.ready), (2, 1));
        let reads = [&first, &second].map(|lease| pool.read_back(&stream, lease, 4096).unwrap());
        fake.finish();
        let found = reads.map(|read| read.to_vec(SOON).unwrap());
        assert!(found == [numbers(1, 4096), numbers(3, 4096)]);
    }
    assert_clean(&fake);
}

#[test]
fn buffers_are_zeroed_before_anybody_sees_them() {
    for (zero, memory) in [Zero::OnAcquire, Zero::OnReturn]
        .into_iter()
        .flat_map(|zero| [(zero, DEVICE), (zero, Memory::Pinned)])
    {
        let fake = one_device();
        {
            let gpu = device(16 * MB);
            let pool = gpu.pool("zeroed").zero(zero).build().unwrap();
            let plain = gpu.pool("plain").build().unwrap();
            let stream = gpu.backend().stream().unwrap();
            for round in 0..3 {
                let lease = pool.acquire(4096, memory, &stream).unwrap();
                let found = match lease.host() {
                    // SAFETY: the lease is this test's, and no stream was given the buffer.
                    Some(host) => unsafe { std::slice::from_raw_parts_mut(host, 4096) }.to_vec(),
                    None => {
                        let read = plain.read_back(&stream, &lease, 4096).unwrap();
                        fake.finish();
                        read.to_vec(SOON).unwrap()
                    }
                };
                assert!(found == [0; 4096], "{zero:?} {memory:?} round {round}");
                match lease.host() {
                    // SAFETY: as above.
                    Some(host) => unsafe { host.write_bytes(7, 4096) },
                    None => plain.upload(&stream, &lease, &[7; 4096]).unwrap(),
                }
                drop(lease);
                fake.finish();
            }
            assert_eq!(pool.stats().creates, 1);
        }
        assert_clean(&fake);
    }
}

#[test]
fn a_thousand_returns_need_no_more_events_than_are_waited_for_at_once() {
    let fake = one_device();
    {
        let gpu = device(16 * MB);
        let (pool, stream) = (gpu.pool("buffers").build().unwrap(), gpu.backend().stream().unwrap());
        for round in 0..1000 {
            let lease = pool.acquire(4096, DEVICE, &stream).unwrap();
            pool.upload(&stream, &lease, &numbers(round, 64)).unwrap();
            drop(lease);
            if round % 4 == 3 {
                fake.finish();
                gpu.domain().tick();
            }
        }
        assert!(fake.calls("cuEventRecord") >= 2000);
        assert!(fake.calls("cuEventCreate") <= 16, "{} events", fake.calls("cuEventCreate"));
    }
    assert_clean(&fake);
}

#[test]
fn two_devices_share_nothing() {
    let fake = Fake::new(Setup { devices: vec![8 * MB, 8 * MB], ..Setup::default() });
    {
        let driver = driver();
        let gpus = [0, 1].map(|ordinal| {
            let device = larder_cuda::CudaDevice::new(&driver, ordinal).unwrap();
            open(&format!("gpu:{ordinal}"), device, 4 * MB)
        });
        let [here, there] = &gpus;
        let pools = gpus.each_ref().map(|gpu| gpu.pool("buffers").build().unwrap());
        let streams = gpus.each_ref().map(|gpu| gpu.backend().stream().unwrap());
        let _all: Vec<_> = (0..4).map(|_| pools[0].acquire(MB, DEVICE, &streams[0]).unwrap()).collect();
        assert_eq!((fake.used(0), fake.used(1)), (4 * MB, 0));
        assert_eq!((here.domain().budget().used(), there.domain().budget().used()), (4 * MB, 0));
        let lease = pools[1].acquire(MB, DEVICE, &streams[1]).unwrap();
        assert_eq!(fake.used(1), MB);
        // A stream of the other one is refused before anything is given to it.
        let refused = pools[1].acquire(2 * MB, DEVICE, &streams[0]);
        assert!(
            matches!(&refused, Err(DeviceError::Failed { fault: Fault::Other(why), .. })
                if why.to_string().contains("another device")),
            "{refused:?}"
        );
        assert!(lease.use_on(&streams[0]).is_err());
        assert!(pools[0].upload(&streams[0], &lease, &[1]).is_err());
    }
    assert_clean(&fake);
}

const DOUBLE: &str = "
.version 7.0
.target sm_50
.address_size 64
.visible .entry double(.param .u64 numbers, .param .u32 count) { ret; }
";

#[test]
fn a_kernel_runs_in_the_order_of_its_stream() {
    let fake = one_device();
    fake.teach("double", |memory, launch| {
        let [numbers, count] = launch.arguments[..] else { panic!("two arguments: {launch:?}") };
        assert_eq!((launch.blocks[0] * launch.threads[0]) as u64, count);
        let all = memory.read(numbers, 4 * count);
        let doubled = |four: &[u8]| (2 * u32::from_le_bytes(four.try_into().unwrap())).to_le_bytes();
        memory.write(numbers, &all.chunks(4).flat_map(doubled).collect::<Vec<u8>>());
    });
    {
        let gpu = device(16 * MB);
        let (pool, stream) = (gpu.pool("buffers").build().unwrap(), gpu.backend().stream().unwrap());
        let double = gpu.backend().kernel(DOUBLE, "double").unwrap();
        let lease = pool.acquire(4096, DEVICE, &stream).unwrap();
        pool.upload(&stream, &lease, &numbers(21, 4096)).unwrap();
        let arguments = [Argument::Buffer(&lease), Argument::U32(1024)];
        // SAFETY: the kernel takes an address and a number, and touches as many numbers as that says.
        unsafe { double.launch(&stream, [8, 1, 1], [128, 1, 1], &arguments) }.unwrap();
        let read = pool.read_back(&stream, &lease, 4096).unwrap();
        fake.finish();
        assert!(read.to_vec(SOON).unwrap() == numbers(42, 4096));
        let missing = gpu.backend().kernel(DOUBLE, "triple").map_err(|fault| fault.to_string());
        assert!(missing.is_err_and(|why| why.contains("CUDA_ERROR_NOT_FOUND")));
        let nonsense = gpu.backend().kernel("no text of that kind", "x").map_err(|fault| fault.to_string());
        assert!(nonsense.is_err_and(|why| why.contains("CUDA_ERROR_INVALID_PTX")));
    }
    assert_clean(&fake);
}

/// What `gpu-check` runs, from its text.
const REAL_DOUBLE: &str = include_str!("../../../gpu-check/src/double.ptx");

#[test]
fn a_kernel_is_run_from_its_text_and_one_that_leaves_its_buffers_loses_the_device() {
    let fake = one_device();
    {
        let gpu = device(16 * MB);
        let (pool, stream) = (gpu.pool("buffers").build().unwrap(), gpu.backend().stream().unwrap());
        let double = gpu.backend().kernel(REAL_DOUBLE, "double").unwrap();
        let lease = pool.acquire(4096, DEVICE, &stream).unwrap();
        pool.upload(&stream, &lease, &numbers(21, 4096)).unwrap();
        let start = |count: u32| {
            let arguments = [Argument::Buffer(&lease), Argument::U32(count)];
            // SAFETY: the kernel takes an address and a number. That it touches more than there is, is what is tested.
            unsafe { double.launch(&stream, [count.div_ceil(128), 1, 1], [128, 1, 1], &arguments) }.unwrap();
        };
        // More threads than numbers: the last ones do nothing.
        start(1000);
        let read = pool.read_back(&stream, &lease, 4096).unwrap();
        fake.finish();
        assert!(read.to_vec(SOON).unwrap() == [numbers(42, 4000), numbers(21, 96)].concat());
        assert_eq!(fake.hazards(), Vec::<String>::new());
        start(1025);
        fake.finish();
        assert!(fake.hazards()[0].contains("no argument leads there"), "{:?}", fake.hazards());
        let refused = pool.acquire(4096, DEVICE, &stream);
        assert!(matches!(refused, Err(DeviceError::Failed { .. } | DeviceError::Lost { .. })), "{refused:?}");
        assert!(gpu.is_lost());
    }
}

#[test]
fn whatever_is_dropped_first_nothing_is_left() {
    for order in 0..120_usize {
        let fake = Fake::new(Setup { pace: Pace::Late(1), ..Setup::default() });
        {
            let gpu = device(16 * MB);
            let (pool, stream) = (gpu.pool("buffers").build().unwrap(), gpu.backend().stream().unwrap());
            let lease = pool.acquire(4096, DEVICE, &stream).unwrap();
            pool.upload(&stream, &lease, &numbers(1, 4096)).unwrap();
            let read = pool.read_back(&stream, &lease, 4096).unwrap();
            let own = lease.detach();
            let mut drops: Vec<Option<Box<dyn FnOnce()>>> = vec![
                Some(Box::new(move || drop(gpu))),
                Some(Box::new(move || drop(pool))),
                Some(Box::new(move || drop(stream))),
                Some(Box::new(move || drop(own))),
                Some(Box::new(move || assert!(read.to_vec(SOON).unwrap() == numbers(1, 4096)))),
            ];
            let mut number = order;
            for left in (1..=5).rev() {
                let at = (0..5).filter(|at| drops[*at].is_some()).nth(number % left).unwrap();
                number /= left;
                drops[at].take().unwrap()();
            }
        }
        assert_clean(&fake);
    }
}
