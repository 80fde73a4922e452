//! Pools of buffers in the memory of devices: GPUs, and what stands in for them in tests.
//!
//! A [`Device`] is a driver ([`DeviceBackend`]) and a [`Domain`] for its memory: one limit for all that is there, with
//! a watch over how full it is. [`Device::pool`] makes pools of buffers, [`DevicePool::acquire`] lends one, and
//! dropping the [`DeviceLease`] gives it back. It is lent again when nothing can touch it any more, or behind what can.
//! Whoever finds no room is told who holds what: [`OutOfDeviceMemory`]. [`Resident`] makes a buffer a value of a cache
//! that shares the device's limit.
//!
//! The drivers for wgpu and CUDA are behind the features `gpu-wgpu` and `gpu-cuda` of the `larder` crate;
//! [`SimDevice`](crate::testing::SimDevice) is one without hardware.
//!
//! # Examples
//!
//! ```
//! use larder_runtime::device::{Device, DeviceError};
//! use larder_runtime::testing::{SimDevice, SimUsage};
//!
//! let sim = SimDevice::builder().total_bytes(64 << 20).build();
//! let gpu = Device::builder("gpu:0", sim.clone()).limit_mb(4).build()?;
//! let pool = gpu.pool("activations").build()?;
//! let stream = sim.order();
//! let held = pool.acquire(3 << 20, SimUsage::Storage, &stream)?;
//! match pool.acquire(2 << 20, SimUsage::Storage, &stream) {
//!     Err(DeviceError::OutOfMemory(report)) => assert_eq!(report.in_use.bytes, 3 << 20),
//!     other => panic!("one limit for all: {other:?}"),
//! }
//! drop(held);
//! // What is idle gives way.
//! let _other = pool.acquire(2 << 20, SimUsage::Storage, &stream)?;
//! # Ok::<(), DeviceError>(())
//! ```
//!
//! # Lost devices, and forks
//!
//! A device that is lost holds nothing, and each request says why. After a `fork` a device that was opened before is
//! lost in the child: it lends nothing, gives nothing to others, and what was lent of it is left as it is.
//! [`DevicePool::stats`] and [`DevicePool::leases`] may wait there for a lock that another thread held.

// A device is put together here, where the coordinator is known. What pools do is in `pool::device`.

mod registered;

pub use registered::{ToOrder, domain};

use std::fmt;
use std::time::Duration;

use crate::domain::Domain;
use crate::global;
use crate::pool::device::Parts;
pub use crate::pool::device::{
    Amount, Device, DeviceBackend, DeviceClassStats, DeviceDestroyed, DeviceError, DeviceHits, DeviceInfo,
    DeviceKind, DeviceLease, DeviceLoan, DeviceMemory, DevicePool, DevicePoolBuilder, DevicePoolStats, Fault,
    Gauge, Gauges, Holder, OutOfDeviceMemory, Residence, Resident, Shortage, Zero,
};
use crate::pressure::Watermarks;
use crate::time::Clock;

/// Which part of what the driver says may be used.
const FRACTION: f64 = 0.8;
/// How long a request waits for the device.
const PATIENCE: Duration = Duration::from_secs(1);

/// Configures a [`Device`]; made by [`Device::builder`].
#[must_use = "a builder does nothing until `build` or `build_in`"]
pub struct DeviceBuilder<B: DeviceBackend> {
    name: String,
    backend: B,
    limit: Option<u64>,
    fraction: f64,
    patience: Duration,
    clock: Clock,
    watermarks: Option<Watermarks>,
    manual: bool,
}

impl<B: DeviceBackend> Device<B> {
    /// Configures a device: what it is called, `"gpu:0"` for example, and its driver.
    ///
    /// By default its pools may use 0.8 of what the driver says, or of all its memory, and its domain has a background thread
    /// that starts with the first pool.
    pub fn builder(name: impl Into<String>, backend: B) -> DeviceBuilder<B> {
        DeviceBuilder {
            name: name.into(),
            backend,
            limit: None,
            fraction: FRACTION,
            patience: PATIENCE,
            clock: Clock::real(),
            watermarks: None,
            manual: false,
        }
    }
}

impl<B: DeviceBackend> DeviceBuilder<B> {
    /// The limit of its domain, in megabytes of 1,048,576 bytes.
    pub fn limit_mb(self, megabytes: u64) -> Self {
        self.limit_bytes(megabytes.saturating_mul(1 << 20))
    }

    /// The limit of its domain, in bytes.
    pub fn limit_bytes(mut self, bytes: u64) -> Self {
        self.limit = Some(bytes);
        self
    }

    /// Which part the limit is of what the driver says this process may use, or of all memory where it says only that; 0.8 unless
    /// set.
    pub fn limit_fraction(mut self, fraction: f64) -> Self {
        (self.limit, self.fraction) = (None, fraction);
        self
    }

    /// How long a request waits for the device when memory is short and the device is still at work with buffers that came
    /// back; 1 s unless set. Zero never waits.
    pub fn patience(mut self, most: Duration) -> Self {
        self.patience = most;
        self
    }

    /// Where its domain reads the time; a [`ManualClock`](crate::testing::ManualClock) for tests.
    pub fn clock(mut self, clock: impl Into<Clock>) -> Self {
        self.clock = clock.into();
        self
    }

    /// At which fullness of its memory the domain shrinks, and at which it drops what it can: 0.92 and 0.98 unless set. Without
    /// effect where the driver does not say how full it is.
    pub fn watermarks(mut self, watermarks: Watermarks) -> Self {
        self.watermarks = Some(watermarks);
        self
    }

    /// No background thread: [`Domain::tick`] of its domain does its work when you call it.
    pub fn manual(mut self) -> Self {
        self.manual = true;
        self
    }

    /// Puts the device together; what takes the host's memory is charged to the process's domain, too.
    ///
    /// # Errors
    ///
    /// When an option makes no sense, and when nothing says how much memory it has.
    pub fn build(self) -> Result<Device<B>, DeviceError> {
        self.build_in(global::domain())
    }

    /// The same with another domain for the host's memory.
    ///
    /// # Errors
    ///
    /// When an option makes no sense, and when nothing says how much memory it has.
    pub fn build_in(self, host: &Domain) -> Result<Device<B>, DeviceError> {
        let info = self.backend.info();
        let invalid = |why| Err(DeviceError::Invalid { name: self.name.clone(), why });
        if !(0.0 < self.fraction && self.fraction <= 1.0) {
            return invalid("the limit is a fraction of memory above 0 and up to 1");
        }
        if !info.alignment.is_power_of_two() {
            return invalid("the driver's alignment is no power of two");
        }
        let limit = match self.limit {
            Some(limit) => limit,
            None => self.told_limit()?,
        };
        let watermarks = match self.watermarks {
            Some(watermarks) => watermarks,
            None => Watermarks::new(0.92, 0.98).unwrap_or_default(),
        };
        let Self { name, backend, patience, clock, manual, .. } = self;
        let parts = Parts { name, backend, info, patience };
        Ok(Device::assemble(parts, host, |watch| {
            let builder = Domain::builder().limit_bytes(limit).clock(clock).watermarks(watermarks);
            let builder = builder.purge(watch.purge()).pressure(watch).one_thread();
            if manual { builder.manual().build() } else { builder.build() }
        }))
    }

    /// What the driver says may be used, the part of it that is ours.
    fn told_limit(&self) -> Result<u64, DeviceError> {
        let device = || self.name.clone();
        let memory = self.backend.memory().map_err(|fault| DeviceError::Failed {
            device: device(),
            call: "say how much memory it has",
            fault,
        })?;
        let told =
            memory.budget.or(memory.total).ok_or_else(|| DeviceError::LimitUnknown { device: device() })?;
        Ok((told as f64 * self.fraction) as u64)
    }
}

impl<B: DeviceBackend> fmt::Debug for DeviceBuilder<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeviceBuilder").field("name", &self.name).finish_non_exhaustive()
    }
}
