//! Pools of buffers in the memory of devices: GPUs, and what stands in for them.
//!
//! A buffer is a whole allocation of one size and usage. It is lent, comes back, and is lent again when nothing can touch it any
//! more, or behind what can. All it takes is charged to its device's [`Domain`](crate::Domain), which is a hard limit: idle
//! buffers give way to whoever needs room there, and what is leased or not done yet counts as used. What takes the host's
//! memory, as all buffers of integrated devices do, is charged to the host's domain too.
//!
//! No driver survives a `fork`: in the child a device that was opened before is lost, and what was lent of it is left
//! as it is.
//!
//! Drivers are behind [`DeviceBackend`]; there is one for tests, [`SimDevice`](crate::testing::SimDevice). Bookkeeping on the host,
//! some hundred bytes for each buffer, is not charged.
//!
//! Here is what people hold. What is known of buffers is in `state`, the steps of a request in `ladder`, returns in `giving`.

mod backend;
mod classes;
mod core;
#[expect(clippy::module_inception, reason = "a device, among what belongs to devices")]
mod device;
mod error;
mod giving;
#[cfg(all(test, not(larder_shuttle)))]
mod histories;
#[cfg(all(test, not(larder_shuttle)))]
mod hostile;
mod ladder;
mod lease;
#[cfg(all(test, larder_shuttle))]
mod models;
mod resident;
pub(crate) mod sim;
mod state;
mod stats;
mod tenant;
#[cfg(all(test, not(larder_shuttle)))]
mod tests;
#[cfg(all(test, not(larder_shuttle)))]
mod troubles;

pub use self::core::Zero;
pub use backend::{DeviceBackend, DeviceInfo, DeviceKind, DeviceMemory, Fault, Residence};
pub use device::Device;
pub(crate) use device::Parts;
pub use error::{DeviceError, Holder, OutOfDeviceMemory, Shortage};
pub use lease::DeviceLease;
pub use resident::Resident;
pub use stats::{
    Amount, DeviceClassStats, DeviceDestroyed, DeviceHits, DeviceLoan, DevicePoolStats, Gauge, Gauges,
};

use std::fmt;
use std::panic::Location;
use std::sync::{Arc, Weak};
use std::time::Duration;

use self::core::{Options, PoolCore};
use crate::descriptor::{Descriptor, Kind};
use crate::tenant::{Tenant, Terms};
use classes::Classes;
use stats::Why;

/// A buffer that nobody needed for so long goes, unless it is said.
const IDLE: Duration = Duration::from_secs(60);
/// So many ticks in a row must find it idle.
const LOOKS: u8 = 5;

/// A pool of buffers on one device; made by [`Device::pool`]. Clones are the same pool; when the last goes, what is idle is
/// freed, and what is lent is when it comes back.
///
/// # Examples
///
/// ```
/// use larder_runtime::Domain;
/// use larder_runtime::device::{Device, DeviceError};
/// use larder_runtime::testing::{SimDevice, SimUsage};
///
/// let host = Domain::builder().limit_bytes(1 << 20).manual().build();
/// let sim = SimDevice::builder().total_bytes(64 << 20).build();
/// let device = Device::builder("gpu:0", sim.clone()).manual().build_in(&host)?;
/// let pool = device.pool("activations").max_mb(16).build()?;
///
/// let stream = sim.order();
/// let first = pool.acquire(5000, SimUsage::Storage, &stream)?;
/// sim.write(&stream, &first, 7);
/// drop(first);
/// // The same buffer, behind the work of its last holder: nobody waits.
/// let second = pool.acquire(6000, SimUsage::Storage, &stream)?;
/// assert_eq!((second.len(), second.capacity(), pool.stats().hits.same_order), (6000, 16_384, 1));
/// # Ok::<(), DeviceError>(())
/// ```
pub struct DevicePool<B: DeviceBackend>(Arc<Handle<B>>);

struct Handle<B: DeviceBackend> {
    core: Arc<PoolCore<B>>,
    device: Device<B>,
}

impl<B: DeviceBackend> Drop for Handle<B> {
    fn drop(&mut self) {
        self.core.close();
    }
}

impl<B: DeviceBackend> Clone for DevicePool<B> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<B: DeviceBackend> DevicePool<B> {
    fn core(&self) -> &Arc<PoolCore<B>> {
        &self.0.core
    }

    /// A buffer of at least `len` bytes for this usage, to be given to `order`.
    ///
    /// What is larger than the largest class has the size that was asked for, and goes when it comes back. The caller may have to
    /// wait for the device, no longer than the device's patience, where memory is short and buffers come back that the
    /// device is still at work with.
    ///
    /// # Errors
    ///
    /// [`DeviceError::OutOfMemory`] when there is no room, and nothing can be made to give way; the others when the device
    /// can't have such a buffer, is lost, or fails.
    ///
    /// # Locking
    ///
    /// Takes the pool's lock a few times, and calls the driver with no lock held, but for two questions that do not block.
    #[track_caller]
    pub fn acquire(
        &self,
        len: u64,
        usage: B::Usage,
        order: &B::Order,
    ) -> Result<DeviceLease<B>, DeviceError> {
        let (block, loan) = self.core().acquire(len, usage, order, Location::caller())?;
        Ok(DeviceLease::new(Arc::clone(self.core()), block, loan, len))
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.core().card.name
    }

    /// The device that it is on.
    #[must_use]
    pub fn device(&self) -> &Device<B> {
        &self.0.device
    }

    /// What it holds and did.
    #[must_use]
    pub fn stats(&self) -> DevicePoolStats<B::Usage> {
        let core = self.core();
        let memory = core.device.memory();
        let state = core.state.lock();
        let class = |shelf: &state::Shelf<B>| DeviceClassStats {
            bytes: shelf.bytes,
            usage: shelf.usage,
            gauges: shelf.gauges,
        };
        let mut classes: Vec<_> = state.shelves().iter().map(class).collect();
        classes.sort_by_key(|class| class.bytes);
        DevicePoolStats {
            name: core.card.name.to_string(),
            device: core.device.name.clone(),
            gauges: state.gauges,
            classes,
            requested: state.requested,
            requested_total: state.requested_total,
            hits: state.hits,
            creates: state.creates,
            oversize: state.oversize,
            destroyed: state.destroyed,
            out_of_memory: state.out_of_memory,
            retries: state.retries,
            waits: state.waits,
            max_bytes: Some(core.options.max_bytes).filter(|bytes| *bytes < u64::MAX),
            limit: core.domain().ledger.limit(),
            used: core.domain().ledger.used(),
            level: core.domain().level(),
            memory,
        }
    }

    /// What is lent, and from where; what is out for longest comes first.
    #[must_use]
    pub fn leases(&self) -> Vec<DeviceLoan> {
        self.core().loans()
    }

    /// Frees all that is idle, after it was found out what is; returns the bytes.
    pub fn clear(&self) -> u64 {
        let core = self.core();
        if core.device.is_inherited() {
            return 0;
        }
        core.device.backend.poll();
        core.settle(None);
        let freed = core.drop_all_idle(None, Why::Asked);
        core.card.reservation.release_credit();
        freed
    }
}

impl<B: DeviceBackend> fmt::Debug for DevicePool<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let gauges = self.core().state.lock().gauges;
        f.debug_struct("DevicePool")
            .field("name", &self.name())
            .field("gauges", &gauges)
            .finish_non_exhaustive()
    }
}

/// Configures a [`DevicePool`]; made by [`Device::pool`].
#[must_use = "a builder does nothing until `build`"]
pub struct DevicePoolBuilder<B: DeviceBackend> {
    device: Device<B>,
    name: String,
    classes: Option<Vec<u64>>,
    max_bytes: u64,
    priority: f64,
    zero: Zero,
    idle: Option<Duration>,
    looks: u8,
    descriptor: Option<&'static Descriptor>,
}

impl<B: DeviceBackend> Device<B> {
    /// Configures a pool on this device.
    pub fn pool(&self, name: impl Into<String>) -> DevicePoolBuilder<B> {
        DevicePoolBuilder {
            device: self.clone(),
            name: name.into(),
            classes: None,
            max_bytes: u64::MAX,
            priority: 1.0,
            zero: Zero::Never,
            idle: Some(IDLE),
            looks: LOOKS,
            descriptor: None,
        }
    }
}

impl<B: DeviceBackend> DevicePoolBuilder<B> {
    /// Sizes of buffers in bytes, at least one; rounded up to what the device can have, and none larger than its
    /// largest buffer. Without it: 4 KiB and four times the one before up to 1 MiB, then two for each doubling up to 1
    /// GiB.
    pub fn classes(mut self, bytes: impl IntoIterator<Item = u64>) -> Self {
        self.classes = Some(bytes.into_iter().collect());
        self
    }

    /// Most megabytes of 1,048,576 bytes: lent, idle and pending.
    pub fn max_mb(self, megabytes: u64) -> Self {
        self.max_bytes(megabytes.saturating_mul(1 << 20))
    }

    /// Most bytes: lent, idle and pending.
    pub fn max_bytes(mut self, bytes: u64) -> Self {
        self.max_bytes = bytes;
        self
    }

    /// How much dearer this pool's bytes are than those of other tenants of the device; 1.0 unless set.
    pub fn priority(mut self, priority: f64) -> Self {
        self.priority = priority;
        self
    }

    /// When buffers are filled with zeroes; [`Zero::Never`] unless set.
    pub fn zero(mut self, zero: Zero) -> Self {
        self.zero = zero;
        self
    }

    /// A buffer goes that nobody needed for so long; 60 s unless set. It goes at a tick, and only when several ticks in a row found
    /// it idle: see [`idle_looks`](Self::idle_looks).
    pub fn idle(mut self, most: Duration) -> Self {
        self.idle = Some(most);
        self
    }

    /// What is idle goes only when somebody needs its memory.
    pub fn keep_idle(mut self) -> Self {
        self.idle = None;
        self
    }

    /// So many ticks in a row must find a buffer idle before it goes for its age, half as many while memory is short; 5 unless
    /// set. What is needed in turns is not freed and made again each time.
    pub fn idle_looks(mut self, ticks: u8) -> Self {
        self.looks = ticks;
        self
    }

    /// It is an annotated item's.
    pub(crate) fn declared(self, descriptor: &'static Descriptor) -> Self {
        Self { descriptor: Some(descriptor), ..self }
    }

    /// Builds the pool.
    ///
    /// # Errors
    ///
    /// When the device is lost, or an option makes no sense.
    pub fn build(self) -> Result<DevicePool<B>, DeviceError> {
        let Self { device, name, classes, max_bytes, priority, zero, idle, looks, descriptor } = self;
        device.core.check()?;
        let info = &device.core.info;
        let invalid = |why| DeviceError::Invalid { name: name.clone(), why };
        let classes = Classes::new(classes.as_deref(), info.alignment, info.max_buffer).map_err(invalid)?;
        if max_bytes == 0 {
            return Err(invalid("a bound of 0 bytes lends nothing: leave it out, or raise it"));
        }
        if !priority.is_finite() || priority <= 0.0 {
            return Err(invalid("a priority is a number above 0"));
        }
        let terms = Terms { name, kind: Kind::Pool, descriptor, priority, floor: 0, ceiling: max_bytes };
        let card = device.core.domain.enroll(terms);
        // What the card takes is the host's memory, and not the device's.
        card.remove_base(card.uncovered());
        let core = PoolCore::new(
            Arc::clone(&device.core),
            Arc::clone(&card),
            Options { classes, zero, max_bytes, idle, looks },
        );
        let tenant: Arc<dyn Tenant> = Arc::clone(&core) as _;
        let weak: Weak<dyn Tenant> = Arc::downgrade(&tenant);
        device.core.domain.admit(&card, weak);
        device.core.domain.cover(&card);
        device.core.adopt(&core);
        Ok(DevicePool(Arc::new(Handle { core, device })))
    }
}

impl<B: DeviceBackend> fmt::Debug for DevicePoolBuilder<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DevicePoolBuilder").field("name", &self.name).finish_non_exhaustive()
    }
}
