//! Devices by their names, in a process of their own: names are the process's.

#![cfg(feature = "device")]

use std::sync::Arc;

use larder::device::{self, Device, DeviceError, Resident};
use larder::testing::{SimCall, SimDevice, SimFailure, SimUsage};
use larder::{BuildError, Cache, weigh};

fn sim(name: &str) -> Device<SimDevice> {
    let sim = SimDevice::builder().build();
    Device::builder(name, sim).limit_mb(4).manual().build().expect("a device")
}

#[test]
fn a_name_leads_to_the_device_until_it_is_taken_away() {
    let device = sim("named:0");
    assert!(matches!(
        device::domain("named:0"),
        Err(DeviceError::NotRegistered { device, .. }) if device == "named:0"
    ));
    device.register().expect("the name is free");
    let found = Device::<SimDevice>::registered("named:0").expect("it is registered");
    assert!(std::ptr::eq(found.domain(), device.domain()));
    assert!(std::ptr::eq(&*device::domain("named:0").expect("its domain"), device.domain()));
    assert!(device.unregister());
    assert!(!device.unregister());
    assert!(Device::<SimDevice>::registered("named:0").is_err());
}

#[test]
fn a_second_device_of_a_name_is_refused_while_the_first_is_there() {
    let (first, second) = (sim("twice:0"), sim("twice:0"));
    first.register().expect("the name is free");
    assert!(matches!(second.register(), Err(DeviceError::NameTaken { device }) if device == "twice:0"));
    assert!(!second.unregister(), "the name is the first one's");
    assert!(first.unregister());
    second.register().expect("the name is free again");
}

#[test]
fn a_lost_device_gives_way() {
    let (first, second) = (sim("lost:0"), sim("lost:0"));
    first.register().expect("the name is free");
    first.backend().fail(SimCall::Create, SimFailure::Lost);
    let pool = first.pool("pool").build().expect("nobody asked the driver yet");
    assert!(pool.acquire(1, SimUsage::Storage, &first.backend().order()).is_err());
    assert!(first.is_lost());
    second.register().expect("nobody needs a lost device's name");
    let found = Device::<SimDevice>::registered("lost:0").expect("the second");
    assert!(!found.is_lost());
}

#[test]
fn a_built_cache_lives_in_the_domain_of_a_device() {
    let device = sim("builder:0");
    let build =
        || Cache::<u32, Arc<Resident<SimDevice>>>::builder("tensors").weigh(weigh::entry).domain("builder:0");
    match build().build() {
        Err(BuildError::NoDomain { name, .. }) => assert_eq!(name, "builder:0"),
        other => panic!("no device is registered yet, and here is {other:?}"),
    }
    device.register().expect("the name is free");
    let tensors = build().build().expect("a cache");
    let pool = device.pool("buffers").build().expect("a pool");
    let stream = device.backend().order();
    for layer in 0..100 {
        let buffer = pool.acquire(1 << 20, SimUsage::Storage, &stream).expect("a buffer");
        tensors.insert(layer, Arc::new(buffer.into_resident()));
    }
    assert!(
        (1..=3).contains(&tensors.len()),
        "of a hundred as many as the device has room for: {}",
        tensors.len()
    );
    assert!(device.domain().stats().tenant("tensors").is_some());
    assert!(larder::stats().tenant("tensors").is_none());
}

#[test]
fn an_error_says_what_there_is() {
    sim("there:0").register().expect("the name is free");
    let error = device::domain("theer:0").expect_err("a slip of the fingers").to_string();
    assert!(
        error.starts_with(
            "no device is registered as `theer:0`: call `register` on one of that name before; "
        )
    );
    assert!(error.contains("`there:0`"), "{error}");
}
