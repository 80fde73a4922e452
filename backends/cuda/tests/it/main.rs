//! CUDA's pools on a driver that is simulated: which order holds, what is freed when, what a failure means.

mod drivers;
mod histories;
mod memory;
mod orders;
mod steps;

use std::time::Duration;

use larder_cuda::{Allocation, CudaDevice, Driver, Memory};
use larder_fake_cuda::{Fake, Setup};
use larder_runtime::Domain;
use larder_runtime::device::{Device, DeviceError, Shortage};

const MB: u64 = 1 << 20;
const SOON: Duration = Duration::from_secs(60);
const DEVICE: Memory = Memory::Device;

/// The fake driver, as a program finds it.
fn driver() -> Driver {
    // SAFETY: it behaves like the driver, as far as it is used here.
    unsafe { Driver::from_symbols("the fake driver", larder_fake_cuda::symbol) }.unwrap()
}

/// A device of the fake driver with a limit, and a host that has enough.
fn device(limit: u64) -> Device<CudaDevice> {
    open("gpu:0", CudaDevice::new(&driver(), 0).unwrap(), limit)
}

fn blocking(limit: u64) -> Device<CudaDevice> {
    open("gpu:0", CudaDevice::with(&driver(), 0, Allocation::Blocking).unwrap(), limit)
}

/// It never waits: nothing is done here before a test says so.
fn open(name: &str, device: CudaDevice, limit: u64) -> Device<CudaDevice> {
    patient(name, device, limit, Duration::ZERO)
}

fn patient(name: &str, device: CudaDevice, limit: u64, patience: Duration) -> Device<CudaDevice> {
    let host = Domain::builder().limit_bytes(1 << 30).manual().build();
    Device::builder(name, device).limit_bytes(limit).patience(patience).manual().build_in(&host).unwrap()
}

fn shortage<T>(result: Result<T, DeviceError>) -> Option<Shortage> {
    match result {
        Err(DeviceError::OutOfMemory(report)) => Some(report.shortage),
        _ => None,
    }
}

/// So many bytes with this number in each four.
fn numbers(value: u32, bytes: u64) -> Vec<u8> {
    value.to_le_bytes().repeat((bytes / 4) as usize)
}

/// Nothing is left, and nothing was done that must not be.
#[track_caller]
fn assert_clean(fake: &Fake) {
    fake.finish();
    assert_eq!(fake.hazards(), Vec::<String>::new());
    for device in 0..fake.devices() {
        assert_eq!((fake.used(device), fake.retained(device)), (0, 0), "of device {device}");
    }
    assert_eq!((fake.live(), fake.pinned(), fake.handles(), fake.entered()), (0, 0, 0, 0));
}

fn one_device() -> Fake {
    Fake::new(Setup::default())
}
