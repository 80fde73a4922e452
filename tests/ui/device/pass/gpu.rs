//! A type that stands for a pool of a GPU's buffers, here of a simulated one.
#![forbid(unsafe_code)]
#![deny(warnings, missing_docs, unreachable_pub)]

use std::sync::Arc;

use larder::device::{Device, DeviceError, Resident};
use larder::testing::{SimDevice, SimUsage};
use larder::{cached, pooled};

/// Public, documented.
#[pooled(
    gpu = larder::testing::SimDevice,
    device = "sim:0",
    usage = "Storage",
    classes = [4096, 1 << 20],
    max_mb = 2,
    priority = 1.8,
    name = "activations"
)]
pub struct Activations;

/// What they are for is said each time; the device is `gpu:0`.
#[pooled(gpu = SimDevice)]
struct Any;

#[pooled(gpu = SimDevice, device = "sim:0", usage = SimUsage::Staging)]
struct Staging;

/// One megabyte, of the device's.
#[cached(domain = "sim:0", weigh = |tensor| tensor.capacity())]
fn tensor(layer: u32) -> Arc<Resident<SimDevice>> {
    let sim = Device::<SimDevice>::registered("sim:0").expect("it is registered");
    let order = sim.backend().order();
    let buffer = Activations::acquire(1 << 20, &order).expect("a buffer");
    sim.backend().write(&order, &buffer, u64::from(layer));
    Arc::new(buffer.into_resident())
}

fn main() {
    let sim = SimDevice::builder().build();
    let order = sim.order();
    assert!(matches!(Activations::acquire(1, &order), Err(DeviceError::NotRegistered { .. })));
    let device = Device::builder("sim:0", sim.clone()).limit_mb(4).manual().register().expect("a device");

    let buffer = Activations::acquire(5000, &order).expect("a buffer");
    assert_eq!((buffer.len(), buffer.capacity(), buffer.usage()), (5000, 1 << 20, SimUsage::Storage));
    drop(buffer);
    assert_eq!(Activations::pool().expect("a pool").stats().max_bytes, Some(2 << 20));
    assert_eq!(Staging::acquire(1, &order).expect("a buffer").usage(), SimUsage::Staging);
    assert!(matches!(
        Any::acquire(1, SimUsage::Uniform, &order),
        Err(DeviceError::NotRegistered { device, .. }) if device == "gpu:0"
    ));

    // Values and buffers share the device's limit, and the process's own has nothing of them.
    for layer in 0..100 {
        let tensor = tensor(layer);
        sim.finish();
        assert_eq!(sim.value(&tensor), u64::from(layer));
    }
    assert!(device.domain().budget().used() <= 4 << 20);
    assert!(tensor_cache().len() >= 1);
    assert!(device.domain().stats().tenants.iter().any(|tenant| tenant.name.ends_with("::tensor")));
    assert!(device.domain().stats().tenant("activations").is_some());
    assert!(larder::stats().tenants.iter().all(|tenant| !tenant.name.ends_with("tensor")));
    let declared = larder::declared().find(|item| item.name == "activations").expect("declared");
    assert_eq!((declared.domain, declared.max_bytes, declared.priority), (Some("sim:0"), Some(2 << 20), 1.8));

    // Another device of that name: the pool is made anew.
    assert!(device.unregister());
    let other = SimDevice::builder().build();
    let _device = Device::builder("sim:0", other.clone()).limit_mb(4).manual().register().expect("a device");
    drop(Activations::acquire(1, &other.order()).expect("a buffer"));
    assert_eq!((other.creates(), other.hazards(), sim.hazards()), (1, vec![], vec![]));
}
