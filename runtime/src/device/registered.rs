//! Devices by their names: how an attribute comes to a device that the program opened.
//!
//! A driver has nothing to do for it but to say, with [`ToOrder`], what else its work goes to.

use std::sync::Arc;

use super::{Device, DeviceBackend, DeviceBuilder, DeviceError};
use crate::domain::Domain;
use crate::domain::named::{self, Behind, Named};

/// What can stand for an order where a buffer is acquired: an order itself, or what a driver makes one of, as wgpu's backend does
/// of a command encoder.
pub trait ToOrder<B: DeviceBackend> {
    /// The order.
    fn to_order(&self) -> B::Order;
}

impl<B: DeviceBackend> ToOrder<B> for <B as DeviceBackend>::Order {
    fn to_order(&self) -> Self {
        self.clone()
    }
}

impl<B: DeviceBackend> Behind for Device<B> {
    fn is_gone(&self) -> bool {
        self.is_lost()
    }
}

impl<B: DeviceBackend> Device<B> {
    /// Makes the device known to the process under its [name](Self::name): from now on `#[pooled(gpu)]` makes its pools there, and
    /// caches with `domain = "gpu:0"` are charged to it. It is kept until it is [unregistered](Self::unregister).
    ///
    /// A device that was lost gives way to one of the same name. Pools of types are made anew then; caches stay where they were
    /// made, in the old one's domain.
    ///
    /// # Errors
    ///
    /// [`DeviceError::NameTaken`] when there is another device of this name.
    ///
    /// # Examples
    ///
    /// ```
    /// use larder_runtime::Cache;
    /// use larder_runtime::device::{self, Device};
    /// use larder_runtime::testing::SimDevice;
    ///
    /// let gpu = Device::builder("gpu:0", SimDevice::builder().build()).limit_mb(64).register()?;
    /// assert_eq!(Device::<SimDevice>::registered("gpu:0")?.name(), "gpu:0");
    /// let tensors: Cache<u32, u32> = Cache::builder("tensors").domain("gpu:0").build()?;
    /// tensors.insert(1, 1);
    /// assert!(gpu.domain().stats().tenant("tensors").is_some());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn register(&self) -> Result<(), DeviceError> {
        let domain = Arc::clone(self.shared_domain());
        let named = Named { name: self.name().into(), domain, behind: Arc::new(self.clone()) };
        if named::enter(named) {
            Ok(())
        } else {
            Err(DeviceError::NameTaken { device: self.name().to_owned() })
        }
    }

    /// Makes the process forget its name; `false` when it had none. What was made of it goes on: pools, caches, this handle.
    pub fn unregister(&self) -> bool {
        named::leave(|behind| behind.downcast_ref::<Self>().is_some_and(|device| device.is_same(self)))
    }

    /// The device that was [registered](Self::register) under this name.
    ///
    /// # Errors
    ///
    /// [`DeviceError::NotRegistered`] when there is none, and [`DeviceError::OtherBackend`] when it is one of another driver.
    pub fn registered(name: &str) -> Result<Self, DeviceError> {
        let found = find(name)?;
        let any: &dyn std::any::Any = &*found.behind;
        match any.downcast_ref::<Self>() {
            Some(device) => Ok(device.clone()),
            None => Err(DeviceError::OtherBackend { device: name.to_owned() }),
        }
    }
}

impl<B: DeviceBackend> DeviceBuilder<B> {
    /// [Builds](Self::build) the device, and [registers](Device::register) it.
    ///
    /// # Errors
    ///
    /// Those of both.
    pub fn register(self) -> Result<Device<B>, DeviceError> {
        let device = self.build()?;
        device.register()?;
        Ok(device)
    }
}

/// The domain of the device that was [registered](Device::register) under this name, whatever its driver is.
///
/// # Errors
///
/// [`DeviceError::NotRegistered`] when there is none.
pub fn domain(name: &str) -> Result<Arc<Domain>, DeviceError> {
    find(name).map(|found| found.domain)
}

fn find(name: &str) -> Result<Named, DeviceError> {
    named::find(name)
        .ok_or_else(|| DeviceError::NotRegistered { device: name.to_owned(), registered: named::names() })
}
