//! What memory is had and given back, and what happens when there is none.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use larder_cuda::{Allocated, Buffers, CudaDevice, Memory, TransferError};
use larder_fake_cuda::{Fake, Pace, Setup};
use larder_runtime::Domain;
use larder_runtime::device::{Device, DeviceBackend, DeviceError, DeviceKind, Residence, Shortage};

use crate::{DEVICE, MB, SOON, assert_clean, blocking, device, driver, one_device, patient, shortage};

#[test]
fn the_limit_is_a_part_of_what_the_driver_says_is_free() {
    let fake = one_device();
    {
        fake.set_others(0, 14 * MB);
        let host = Domain::builder().limit_bytes(MB).manual().build();
        let backend = CudaDevice::new(&driver(), 0).unwrap();
        assert_eq!(backend.info().name, "fake 0");
        let gpu = Device::builder("gpu:0", backend).manual().build_in(&host).unwrap();
        assert_eq!(gpu.domain().budget().limit(), 40 * MB);
        let memory = gpu.memory().unwrap();
        assert_eq!((memory.total, memory.free, memory.own), (Some(64 * MB), Some(50 * MB), Some(0)));
    }
    assert_clean(&fake);
}

#[test]
fn pinned_memory_and_integrated_devices_are_charged_to_the_host() {
    let fake = one_device();
    {
        let gpu = device(16 * MB);
        let (pool, stream) = (gpu.pool("buffers").build().unwrap(), gpu.backend().stream().unwrap());
        let _pinned = pool.acquire(MB, Memory::Pinned, &stream).unwrap();
        assert_eq!((gpu.domain().budget().used(), fake.used(0), fake.pinned()), (0, 0, MB));
        assert_eq!(gpu.backend().residence(Memory::Pinned), Residence::Host);
        assert_eq!(gpu.backend().residence(DEVICE), Residence::Device);
    }
    assert_clean(&fake);
    drop(fake);
    let _fake = Fake::new(Setup { integrated: true, ..Setup::default() });
    let gpu = device(16 * MB);
    assert_eq!(gpu.info().kind, DeviceKind::Integrated);
    assert_eq!(gpu.backend().residence(DEVICE), Residence::Both);
}

#[test]
fn what_is_idle_goes_when_the_driver_has_no_memory() {
    for gpu in [device, blocking] {
        // The limit has room for all, and the device has not.
        let fake = Fake::new(Setup { devices: vec![8 * MB], ..Setup::default() });
        {
            let gpu = gpu(64 * MB);
            let stream = gpu.backend().stream().unwrap();
            let (small, large) = (gpu.pool("small").build().unwrap(), gpu.pool("large").build().unwrap());
            let leases: Vec<_> = (0..6).map(|_| small.acquire(MB, DEVICE, &stream).unwrap()).collect();
            drop(leases);
            fake.finish();
            let _lease = large.acquire(4 * MB, DEVICE, &stream).unwrap();
            assert_eq!(small.stats().destroyed.out_of_memory, 6, "{}", small.stats());
            assert!(large.stats().out_of_memory >= 1 && fake.peak(0) <= 8 * MB, "{}", large.stats());
        }
        assert_clean(&fake);
    }
}

#[test]
fn callbacks_hear_of_it_first_and_what_is_at_work_is_waited_for_last() {
    let fake = Fake::new(Setup { devices: vec![8 * MB], ..Setup::default() });
    {
        let gpu = patient("gpu:0", CudaDevice::new(&driver(), 0).unwrap(), 64 * MB, SOON);
        let stream = gpu.backend().stream().unwrap();
        let wanted = Arc::new(AtomicU64::new(0));
        let told = Arc::clone(&wanted);
        gpu.on_out_of_memory(move |bytes| _ = told.fetch_max(bytes, Ordering::Relaxed));
        let pool = gpu.pool("buffers").build().unwrap();
        let leases: Vec<_> = (0..6).map(|_| pool.acquire(MB, DEVICE, &stream).unwrap()).collect();
        for lease in &leases {
            pool.upload(&stream, lease, &[1; 64]).unwrap();
        }
        drop(leases);
        // Their copies are done while somebody waits.
        fake.set_pace(Pace::Late(1));
        let _lease = pool.acquire(4 * MB, DEVICE, &stream).unwrap();
        assert_eq!(wanted.load(Ordering::Relaxed), 4 * MB);
        assert!(pool.stats().retries >= 1, "{}", pool.stats());
    }
    assert_clean(&fake);
}

#[test]
fn an_error_says_who_holds_what_when_nothing_can_be_done() {
    let fake = Fake::new(Setup { devices: vec![8 * MB], ..Setup::default() });
    {
        let gpu = device(64 * MB);
        let (pool, stream) = (gpu.pool("held").build().unwrap(), gpu.backend().stream().unwrap());
        let leases: Vec<_> = (0..6).map(|_| pool.acquire(MB, DEVICE, &stream).unwrap()).collect();
        let refused = pool.acquire(4 * MB, DEVICE, &stream);
        let Err(DeviceError::OutOfMemory(report)) = refused else { panic!("{refused:?}") };
        assert_eq!((report.shortage, report.in_use.bytes), (Shortage::Driver, 6 * MB));
        assert_eq!(report.device_free, Some(2 * MB));
        assert_eq!((report.holders[0].name.as_str(), report.holders[0].bytes), ("held", 6 * MB));
        drop(leases);
        fake.finish();
        // And nothing is broken by it.
        drop(pool.acquire(4 * MB, DEVICE, &stream).unwrap());
        // A limit that is lower than what there is speaks first.
        let gpu = device(2 * MB);
        let (pool, stream) = (gpu.pool("held").build().unwrap(), gpu.backend().stream().unwrap());
        let _leases: Vec<_> = (0..2).map(|_| pool.acquire(MB, DEVICE, &stream).unwrap()).collect();
        assert_eq!(shortage(pool.acquire(MB, DEVICE, &stream)), Some(Shortage::Device));
    }
    assert_clean(&fake);
}

#[test]
fn a_trim_gives_the_device_its_memory_back() {
    for gpu in [device, blocking] {
        let fake = one_device();
        {
            let gpu = gpu(32 * MB);
            let (pool, stream) = (gpu.pool("buffers").build().unwrap(), gpu.backend().stream().unwrap());
            let leases: Vec<_> = (0..8).map(|_| pool.acquire(MB, DEVICE, &stream).unwrap()).collect();
            drop(leases);
            fake.finish();
            let full = Allocated { allocated: 8 * MB, reserved: 8 * MB };
            assert_eq!((gpu.backend().allocated(), fake.used(0)), (full, 8 * MB));
            assert!(gpu.trim(u64::MAX) >= 8 * MB);
            assert_eq!((gpu.backend().allocated(), fake.used(0)), (Allocated::default(), 0));
        }
        assert_clean(&fake);
    }
}

#[test]
fn memory_that_was_had_at_once_is_freed_when_its_work_is_done() {
    let fake = one_device();
    {
        let gpu = blocking(16 * MB);
        let (pool, stream) = (gpu.pool("buffers").build().unwrap(), gpu.backend().stream().unwrap());
        let lease = pool.acquire(MB, DEVICE, &stream).unwrap();
        pool.upload(&stream, &lease, &[1; 64]).unwrap();
        lease.discard();
        assert_eq!((fake.calls("cuMemFree_v2"), fake.live()), (0, 2));
        fake.finish();
        gpu.domain().tick();
        assert_eq!(fake.calls("cuMemFree_v2"), 1);
        // What is taken away, too, whoever drops it.
        let [first, second] = [(); 2].map(|()| pool.acquire(MB, DEVICE, &stream).unwrap());
        pool.upload(&stream, &first, &[1; 64]).unwrap();
        pool.upload(&stream, &second, &[1; 64]).unwrap();
        first.detach().free_after(std::slice::from_ref(&stream));
        assert_eq!(fake.calls("cuMemFree_v2"), 1);
        drop(second.detach());
        gpu.domain().tick();
        assert_eq!(fake.calls("cuMemFree_v2"), 3);
    }
    assert_clean(&fake);
}

#[test]
fn a_failed_kernel_loses_the_device_and_nothing_hangs() {
    let fake = one_device();
    {
        let gpu = device(16 * MB);
        let (pool, stream) = (gpu.pool("buffers").build().unwrap(), gpu.backend().stream().unwrap());
        let lease = pool.acquire(MB, DEVICE, &stream).unwrap();
        pool.upload(&stream, &lease, &[1; 64]).unwrap();
        fake.fail("cuEventRecord", 0, 719);
        drop(lease);
        assert!(gpu.is_lost());
        let refused = pool.acquire(MB, DEVICE, &stream);
        assert!(
            matches!(&refused, Err(DeviceError::Lost { why, .. }) if why.contains("CUDA_ERROR_LAUNCH_FAILED")),
            "{refused:?}"
        );
        assert_eq!(pool.stats().gauges.bytes(), 0);
    }
}

#[test]
fn a_failed_call_costs_one_buffer() {
    for function in ["cuEventRecord", "cuMemAllocFromPoolAsync", "cuStreamWaitEvent", "cuMemcpyHtoDAsync_v2"]
    {
        let fake = one_device();
        {
            let gpu = device(16 * MB);
            let pool = gpu.pool("buffers").build().unwrap();
            let streams = [gpu.backend().stream().unwrap(), gpu.backend().stream().unwrap()];
            for round in 0..12_usize {
                if round == 5 {
                    fake.fail(function, 0, 1);
                }
                let stream = &streams[round % 2];
                let Ok(lease) = pool.acquire(MB, DEVICE, stream) else { continue };
                let _ = pool.upload(stream, &lease, &[1; 64]);
            }
            let (stats, budget) = (pool.stats(), gpu.domain().budget().used());
            assert_eq!((stats.gauges.in_use.current.count, gpu.is_lost()), (0, false), "{function}: {stats}");
            assert!(budget <= 3 * MB, "{function}: {budget}");
        }
        assert_clean(&fake);
    }
}

#[test]
fn copies_that_do_not_fit_are_refused() {
    let fake = one_device();
    {
        let gpu = device(16 * MB);
        let (pool, stream) = (gpu.pool("buffers").build().unwrap(), gpu.backend().stream().unwrap());
        let lease = pool.acquire(4096, DEVICE, &stream).unwrap();
        let pinned = pool.acquire(4096, Memory::Pinned, &stream).unwrap();
        let is_unfit = |result: Result<(), TransferError>| matches!(result, Err(TransferError::Unfit { .. }));
        assert!(is_unfit(pool.upload(&stream, &lease, &[0; 4097])));
        assert!(is_unfit(pool.upload(&stream, &pinned, &[0; 4])));
        assert!(is_unfit(pool.read_back(&stream, &lease, 4097).map(drop)));
        assert!(is_unfit(pool.read_back(&stream, &pinned, 4).map(drop)));
        pool.upload(&stream, &lease, &[]).unwrap();
        pool.upload(&stream, &lease, &[7; 4096]).unwrap();
        let late = pool.read_back(&stream, &lease, 4096).unwrap();
        assert!(matches!(late.to_vec(Duration::ZERO), Err(TransferError::NotDone(_))));
        let read = pool.read_back(&stream, &lease, 4096).unwrap();
        fake.finish();
        assert!(read.to_vec(SOON).unwrap() == [7; 4096]);
    }
    assert_clean(&fake);
}
