//! Statics of items that live on a device: found by the name that it is registered under, which may be another device later.

use std::fmt;

use crate::descriptor::Descriptor;
use crate::device::{Device, DeviceBackend, DeviceError, DevicePool};
use crate::domain::named;
use crate::sync::RwLock;

/// The static behind a type that stands for a pool of a device's buffers. For generated code.
#[doc(hidden)]
pub struct DeviceSite<B: DeviceBackend> {
    descriptor: &'static Descriptor,
    /// The name that the device is registered under.
    device: &'static str,
    /// None stands for the usual ones.
    classes: &'static [u64],
    /// The pool, and the turn of names when its device was looked for.
    pool: RwLock<Option<(u64, DevicePool<B>)>>,
}

impl<B: DeviceBackend> DeviceSite<B> {
    /// The site of the item that `descriptor` describes.
    ///
    /// # Panics
    ///
    /// While the item is compiled, where its sizes make no sense.
    #[must_use]
    pub const fn new(descriptor: &'static Descriptor, device: &'static str, classes: &'static [u64]) -> Self {
        let mut at = 0;
        while at < classes.len() {
            assert!(classes[at] > 0, "a class of 0 bytes holds nothing: leave it out");
            at += 1;
        }
        Self { descriptor, device, classes, pool: RwLock::new(None) }
    }

    /// The pool, made on first use on the device that is registered then, and anew when it is another.
    ///
    /// # Errors
    ///
    /// When no device is registered, or one of another driver, and when it is lost.
    pub fn pool(&'static self) -> Result<DevicePool<B>, DeviceError> {
        let turn = named::turn();
        if let Some((then, pool)) = &*self.pool.read()
            && *then == turn
        {
            return Ok(pool.clone());
        }
        self.find(turn)
    }

    #[cold]
    fn find(&'static self, turn: u64) -> Result<DevicePool<B>, DeviceError> {
        let device = Device::<B>::registered(self.device)?;
        let (pool, old) = {
            let mut place = self.pool.write();
            match &mut *place {
                Some((then, pool)) if pool.device().is_same(&device) => {
                    *then = turn;
                    (pool.clone(), None)
                }
                _ => {
                    let pool = self.build(&device)?;
                    let old = place.replace((turn, pool.clone()));
                    (pool, old)
                }
            }
        };
        // What it has goes back to its driver: outside the lock.
        drop(old);
        Ok(pool)
    }

    fn build(&'static self, device: &Device<B>) -> Result<DevicePool<B>, DeviceError> {
        let builder = device
            .pool(self.descriptor.name)
            .declared(self.descriptor)
            .max_bytes(self.descriptor.max_bytes.unwrap_or(u64::MAX))
            .priority(self.descriptor.priority);
        if self.classes.is_empty() { builder } else { builder.classes(self.classes.iter().copied()) }.build()
    }
}

impl<B: DeviceBackend> fmt::Debug for DeviceSite<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeviceSite").field("descriptor", self.descriptor).finish_non_exhaustive()
    }
}
