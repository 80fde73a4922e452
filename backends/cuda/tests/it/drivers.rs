//! No driver, an old one, one that does not start: errors that say why, and no panic. And one that is loaded from a file.

use std::ffi::CStr;
use std::path::PathBuf;

use larder_cuda::{Allocation, CudaDevice, Driver};
use larder_fake_cuda::{Fake, Setup};
use larder_runtime::device::DeviceError;

use crate::{DEVICE, MB, driver, one_device, open};

fn why<T>(result: Result<T, DeviceError>) -> String {
    match result {
        Err(DeviceError::Unavailable { why, .. }) => why,
        Err(error) => panic!("{error}"),
        Ok(_) => panic!("it is there"),
    }
}

#[test]
fn where_there_is_no_driver_opening_is_an_error() {
    // SAFETY: there is nothing to load.
    let nowhere = why(unsafe { Driver::open("/nowhere/libcuda.so") });
    assert!(nowhere.contains("no CUDA driver in /nowhere/libcuda.so"), "{nowhere}");
}

#[test]
fn an_old_driver_is_one_that_lacks_a_function() {
    let _fake = one_device();
    let without = |missing: &'static CStr| {
        // SAFETY: what is there behaves like the driver.
        unsafe {
            Driver::from_symbols("an old driver", move |name| {
                if name == missing { std::ptr::null() } else { larder_fake_cuda::symbol(name) }
            })
        }
    };
    let old = why(without(c"cuEventQuery"));
    assert!(old.contains("too old") && old.contains("cuEventQuery"), "{old}");
    // One without memory in the order of streams has it at once.
    let driver = without(c"cuMemPoolCreate").unwrap();
    let refused = why(CudaDevice::with(&driver, 0, Allocation::Ordered));
    assert!(refused.contains("no memory in the order of streams"), "{refused}");
    let gpu = open("gpu:0", CudaDevice::new(&driver, 0).unwrap(), 4 * MB);
    let (pool, stream) = (gpu.pool("buffers").build().unwrap(), gpu.backend().stream().unwrap());
    drop(pool.acquire(MB, DEVICE, &stream).unwrap());
    assert_eq!((_fake.calls("cuMemAlloc_v2"), _fake.calls("cuMemAllocFromPoolAsync")), (1, 0));
}

#[test]
fn a_driver_that_does_not_start_says_why() {
    let fake = Fake::new(Setup { devices: Vec::new(), ..Setup::default() });
    // SAFETY: it behaves like the driver.
    let none = why(unsafe { Driver::from_symbols("a driver", larder_fake_cuda::symbol) });
    assert!(none.contains("does not start") && none.contains("CUDA_ERROR_NO_DEVICE"), "{none}");
    drop(fake);
    let fake = one_device();
    let driver = driver();
    assert_eq!((driver.devices(), driver.version()), (Ok(1), 12_080));
    let refused = why(CudaDevice::new(&driver, 3));
    assert!(refused.contains("no device 3: the driver has 1"), "{refused}");
    fake.fail("cuDevicePrimaryCtxRetain", 0, 2);
    let refused = why(CudaDevice::new(&driver, 0));
    assert!(refused.contains("cuDevicePrimaryCtxRetain") && refused.contains("OUT_OF_MEMORY"), "{refused}");
    assert_eq!((fake.retained(0), fake.handles()), (0, 0));
}

#[test]
fn what_was_begun_is_undone_where_a_device_cannot_be_opened() {
    for function in ["cuStreamCreate", "cuMemPoolCreate"] {
        let fake = one_device();
        fake.fail(function, 0, 2);
        assert!(CudaDevice::new(&driver(), 0).is_err());
        assert_eq!((fake.retained(0), fake.handles(), fake.entered()), (0, 0, 0), "{function}");
    }
}

/// The library that the build of these tests made.
fn library() -> PathBuf {
    let mut folder = std::env::current_exe().unwrap();
    folder.pop();
    folder.join(format!("{}larder_fake_cuda{}", std::env::consts::DLL_PREFIX, std::env::consts::DLL_SUFFIX))
}

#[test]
fn a_driver_is_loaded_from_its_file() {
    let path = library();
    assert!(path.exists(), "{} is not there", path.display());
    // SAFETY: it behaves like the driver.
    let driver = unsafe { Driver::open(&path) }.unwrap();
    assert_eq!((driver.place(), driver.devices()), (path.to_str().unwrap(), Ok(1)));
    let gpu = open("gpu:0", CudaDevice::new(&driver, 0).unwrap(), 4 * MB);
    let (pool, stream) = (gpu.pool("buffers").build().unwrap(), gpu.backend().stream().unwrap());
    let lease = pool.acquire(MB, DEVICE, &stream).unwrap();
    larder_cuda::Buffers::upload(&pool, &stream, &lease, &[3; 100]).unwrap();
    let read = larder_cuda::Buffers::read_back(&pool, &stream, &lease, 100).unwrap();
    assert!(read.to_vec(crate::SOON).unwrap() == [3; 100]);
}
