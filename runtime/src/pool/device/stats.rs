//! What a pool on a device holds and did, as numbers: where its bytes are, how requests were served, why buffers went.

use std::fmt;
use std::panic::Location;
use std::time::Duration;

use super::backend::DeviceMemory;
use crate::pressure::Level;
use crate::stats::in_bytes;

/// A number of buffers, and their bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct Amount {
    /// How many.
    pub count: u64,
    /// Their bytes, as allocated.
    pub bytes: u64,
}

/// Buffers in one state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
pub struct Gauge {
    /// Now.
    pub current: Amount,
    /// The most at a time: of buffers, and of bytes.
    pub peak: Amount,
    /// All that ever came to this state.
    pub total: Amount,
}

impl Gauge {
    fn enter(&mut self, bytes: u64) {
        for amount in [&mut self.current, &mut self.total] {
            amount.count += 1;
            amount.bytes += bytes;
        }
        self.peak.count = self.peak.count.max(self.current.count);
        self.peak.bytes = self.peak.bytes.max(self.current.bytes);
    }

    fn leave(&mut self, bytes: u64) {
        debug_assert!(self.current.count > 0 && self.current.bytes >= bytes, "what leaves was there");
        self.current.count -= 1;
        self.current.bytes -= bytes;
    }
}

/// Where a buffer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Whereabouts {
    /// With a holder, or on its way to one.
    InUse,
    /// Nothing can touch it, and nobody has it.
    Idle,
    /// Nobody has it, and work that may touch it is not known to be done.
    Pending,
}

/// Where a pool's buffers are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Gauges {
    /// Lent.
    pub in_use: Gauge,
    /// Waiting to be lent: the driver could have them back.
    pub idle: Gauge,
    /// Returned, while the device may still be at work with them: used memory as far as anybody else is concerned.
    pub pending: Gauge,
}

impl Gauges {
    fn at(&mut self, state: Whereabouts) -> &mut Gauge {
        match state {
            Whereabouts::InUse => &mut self.in_use,
            Whereabouts::Idle => &mut self.idle,
            Whereabouts::Pending => &mut self.pending,
        }
    }

    pub(super) fn enter(&mut self, state: Whereabouts, bytes: u64) {
        self.at(state).enter(bytes);
    }

    pub(super) fn leave(&mut self, state: Whereabouts, bytes: u64) {
        self.at(state).leave(bytes);
    }

    /// A buffer goes from one to another.
    pub(super) fn pass(&mut self, from: Whereabouts, to: Whereabouts, bytes: u64) {
        if from != to {
            self.leave(from, bytes);
            self.enter(to, bytes);
        }
    }

    /// Bytes that are somewhere now.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.in_use.current.bytes + self.idle.current.bytes + self.pending.current.bytes
    }
}

/// One size and usage of a pool.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct DeviceClassStats<U> {
    /// Bytes of each buffer.
    pub bytes: u64,
    /// What they are for.
    pub usage: U,
    /// Where they are.
    pub gauges: Gauges,
}

/// How requests were served that needed no new buffer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct DeviceHits {
    /// With one whose work goes to the same order: nothing waits.
    pub same_order: u64,
    /// With one that was known to be free.
    pub ready: u64,
    /// With one that was found to be free when the device was asked.
    pub polled: u64,
    /// With one of another order, for which the device waits.
    pub crossed: u64,
}

impl DeviceHits {
    /// All of them.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.same_order + self.ready + self.polled + self.crossed
    }
}

/// Why buffers were freed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct DeviceDestroyed {
    /// Nobody needed them for long.
    pub idle: u64,
    /// For the pool's own bound.
    pub bound: u64,
    /// For another tenant of the device's domain, or of the host's, a trim, or short memory.
    pub reclaimed: u64,
    /// Because the driver had no memory.
    pub out_of_memory: u64,
    /// Larger than all classes.
    pub oversize: u64,
    /// The user cleared, bypassed or closed the pool, or said so of this one.
    pub asked: u64,
    /// A call of the driver failed with them in hand, or the device was lost.
    pub failed: u64,
}

impl DeviceDestroyed {
    /// All of them.
    #[must_use]
    pub fn total(&self) -> u64 {
        let Self { idle, bound, reclaimed, out_of_memory, oversize, asked, failed } = self;
        idle + bound + reclaimed + out_of_memory + oversize + asked + failed
    }

    pub(super) fn add(&mut self, why: Why, count: u64) {
        let counter = match why {
            Why::Idle => &mut self.idle,
            Why::Bound => &mut self.bound,
            Why::Reclaimed => &mut self.reclaimed,
            Why::OutOfMemory => &mut self.out_of_memory,
            Why::Oversize => &mut self.oversize,
            Why::Asked => &mut self.asked,
            Why::Failed => &mut self.failed,
        };
        *counter += count;
    }
}

/// Why a buffer is freed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Why {
    Idle,
    Bound,
    Reclaimed,
    OutOfMemory,
    Oversize,
    Asked,
    Failed,
}

/// One pool on a device at one moment.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct DevicePoolStats<U> {
    /// The pool's name.
    pub name: String,
    /// The device's name.
    pub device: String,
    /// Where all its buffers are.
    pub gauges: Gauges,
    /// The same for each size and usage that has buffers, or had.
    pub classes: Vec<DeviceClassStats<U>>,
    /// Bytes that holders asked for, of those that are lent now. The rest of [`Gauges::in_use`] is rounding.
    pub requested: u64,
    /// The same, of all that was ever lent.
    pub requested_total: u64,
    /// Requests that needed no new buffer.
    pub hits: DeviceHits,
    /// Buffers that were made.
    pub creates: u64,
    /// Of these, those larger than all classes.
    pub oversize: u64,
    /// Buffers that were freed, by reason.
    pub destroyed: DeviceDestroyed,
    /// How often the driver had no memory.
    pub out_of_memory: u64,
    /// How often a request was tried again after that.
    pub retries: u64,
    /// How often somebody waited for the device.
    pub waits: u64,
    /// The pool's own bound in bytes.
    pub max_bytes: Option<u64>,
    /// Bytes of the device's domain: what may be used.
    pub limit: u64,
    /// What its tenants hold.
    pub used: u64,
    /// How full the device's memory is.
    pub level: Level,
    /// What the driver says of it, if it does.
    pub memory: Option<DeviceMemory>,
}

impl<U: fmt::Debug> fmt::Display for DevicePoolStats<U> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Gauges { in_use, idle, pending } = &self.gauges;
        let part = |gauge: &Gauge| format!("{} in {}", in_bytes(gauge.current.bytes), gauge.current.count);
        write!(f, "{} on {}: {} lent, ", self.name, self.device, part(in_use))?;
        write!(f, "{} idle, {} pending; ", part(idle), part(pending))?;
        let DeviceHits { same_order, ready, polled, crossed } = self.hits;
        write!(
            f,
            "{} hits ({same_order} same order, {ready} ready, {polled} polled, {crossed} crossed), ",
            self.hits.total()
        )?;
        write!(f, "{} made, {} freed, ", self.creates, self.destroyed.total())?;
        write!(f, "{} out of memory, {} waits; ", self.out_of_memory, self.waits)?;
        write!(f, "{} of {} used on the device", in_bytes(self.used), in_bytes(self.limit))?;
        for class in &self.classes {
            let Gauges { in_use, idle, pending } = &class.gauges;
            let counts = (in_use.current.count, idle.current.count, pending.current.count);
            let (lent, idle, pending) = counts;
            write!(f, "\n  {} {:?}: ", in_bytes(class.bytes), class.usage)?;
            write!(f, "{lent} lent, {idle} idle, {pending} pending")?;
        }
        Ok(())
    }
}

/// A buffer that is lent: who has it, and since when.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct DeviceLoan {
    /// Where it was acquired.
    pub place: &'static Location<'static>,
    /// How long ago, by the domain's clock.
    pub held_for: Duration,
    /// Bytes that were asked for.
    pub len: u64,
    /// Bytes that it takes.
    pub bytes: u64,
}

impl fmt::Display for DeviceLoan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { place, held_for, bytes, .. } = self;
        write!(f, "{} acquired at {place}, {held_for:?} ago", in_bytes(*bytes))
    }
}
