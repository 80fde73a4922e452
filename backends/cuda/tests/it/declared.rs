//! Pools of types, on a device that is registered under a name.

use larder_cuda::{CudaDevice, Memory};
use larder_runtime::device::{Device, DeviceError};
use larder_runtime::testing::SimDevice;

use crate::{MB, device, one_device};

#[larder::pooled(gpu = "cuda", device = "cuda:0", usage = "Device", classes = [4096, 65_536])]
struct Activations;

#[larder::pooled(gpu = "cuda", device = "cuda:0", max_mb = 4)]
struct Staging;

#[test]
fn a_type_stands_for_a_pool_of_cuda_memory() {
    let _fake = one_device();
    let gpu = crate::open("cuda:0", device(MB).backend().clone(), 16 * MB);
    let stream = gpu.backend().stream().unwrap();
    let unknown = Activations::acquire(5000, &stream);
    assert!(matches!(unknown, Err(DeviceError::NotRegistered { .. })), "{unknown:?}");
    gpu.register().unwrap();
    let lease = Activations::acquire(5000, &stream).unwrap();
    assert_eq!((lease.memory(), lease.bytes()), (Memory::Device, 65_536));
    let pinned = Staging::acquire(100, Memory::Pinned, &stream).unwrap();
    assert!(pinned.host().is_some());
    assert!(Device::<CudaDevice>::registered("cuda:0").is_ok());
    assert!(Device::<SimDevice>::registered("cuda:0").is_err());
    assert!(gpu.unregister());
}
