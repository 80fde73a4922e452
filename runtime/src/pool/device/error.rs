//! Why there is no buffer: what was asked for, what stands in the way, who holds what, and the way out.

use std::error::Error;
use std::fmt;

use super::backend::Fault;
use super::stats::{Amount, DeviceLoan};
use crate::domain::named;
use crate::stats::in_bytes;

/// Why a pool on a device lent nothing.
#[derive(Debug)]
#[non_exhaustive]
pub enum DeviceError {
    /// There is not enough memory, and nothing more can be had.
    OutOfMemory(Box<OutOfDeviceMemory>),
    /// The device makes no buffer of that size.
    TooLarge {
        /// The device's name.
        device: String,
        /// Bytes that were asked for.
        requested: u64,
        /// The largest buffer that it makes, in bytes.
        max_buffer: u64,
    },
    /// The device is gone, with all that was in its memory.
    Lost {
        /// The device's name.
        device: String,
        /// What the driver said.
        why: String,
    },
    /// There is no such device, or no driver for it.
    Unavailable {
        /// What was looked for.
        device: String,
        /// What was found instead.
        why: String,
    },
    /// No device is registered under this name.
    NotRegistered {
        /// What was looked for.
        device: String,
        /// The names of those that are.
        registered: Vec<String>,
    },
    /// The device of this name is of another driver than what is made there.
    OtherBackend {
        /// The device's name.
        device: String,
    },
    /// Another device is registered under this name.
    NameTaken {
        /// The device's name.
        device: String,
    },
    /// Nothing says how much memory the device has.
    LimitUnknown {
        /// The device's name.
        device: String,
    },
    /// An option makes no sense.
    Invalid {
        /// The pool's or the device's name.
        name: String,
        /// What is wrong, and what to do.
        why: &'static str,
    },
    /// The driver failed.
    Failed {
        /// The device's name.
        device: String,
        /// What the driver was asked to do.
        call: &'static str,
        /// What it said.
        fault: Fault,
    },
}

/// What stands in the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Shortage {
    /// The pool's own bound.
    Pool,
    /// The limit of the device's domain.
    Device,
    /// The limit of the host's domain, whose memory such a buffer takes.
    Host,
    /// The driver has no memory, although the limit leaves room: others use the device, or its memory is in pieces.
    Driver,
}

/// A tenant of the device's domain.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Holder {
    /// The name of the pool or cache.
    pub name: String,
    /// Bytes that it holds.
    pub bytes: u64,
}

/// Who holds what, when a request could not be served.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct OutOfDeviceMemory {
    /// The pool's name.
    pub pool: String,
    /// The device's name.
    pub device: String,
    /// What stands in the way.
    pub shortage: Shortage,
    /// Bytes that were asked for.
    pub requested: u64,
    /// Bytes that would have been allocated.
    pub class: u64,
    /// The bound that is in the way, in bytes; of [`Shortage::Driver`], the device's limit.
    pub limit: u64,
    /// Bytes that count against it.
    pub used: u64,
    /// What this pool has lent.
    pub in_use: Amount,
    /// What waits in it.
    pub idle: Amount,
    /// What came back to it while the device is still at work.
    pub pending: Amount,
    /// What the driver says is free, in bytes.
    pub device_free: Option<u64>,
    /// Who holds most on this device, at most five.
    pub holders: Vec<Holder>,
    /// Leases of this pool that are out for longest, at most three.
    pub oldest: Vec<DeviceLoan>,
}

impl fmt::Display for OutOfDeviceMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (limit, used) = (in_bytes(self.limit), in_bytes(self.used));
        write!(f, "no {} for the pool `{}` on {}: ", in_bytes(self.class), self.pool, self.device)?;
        match self.shortage {
            Shortage::Pool => write!(f, "{used} of its own bound of {limit} are used"),
            Shortage::Device => write!(f, "{used} of the device's limit of {limit} are used"),
            Shortage::Host => write!(f, "{used} of the host's limit of {limit} are used"),
            Shortage::Driver => {
                write!(f, "the driver has no memory, with {used} of the limit of {limit} used by us")
            }
        }?;
        if let Some(free) = self.device_free {
            write!(f, ", {} are free on the device", in_bytes(free))?;
        }
        let part = |amount: &Amount| format!("{} in {}", in_bytes(amount.bytes), amount.count);
        write!(f, "; this pool has {} lent, ", part(&self.in_use))?;
        write!(f, "{} idle, {} pending", part(&self.idle), part(&self.pending))?;
        for (at, holder) in self.holders.iter().enumerate() {
            let before = if at == 0 { "; most is held by" } else { "," };
            write!(f, "{before} `{}` ({})", holder.name, in_bytes(holder.bytes))?;
        }
        for (at, loan) in self.oldest.iter().enumerate() {
            let before = if at == 0 { "; longest out: " } else { ", " };
            write!(f, "{before}{loan}")?;
        }
        f.write_str(match self.shortage {
            Shortage::Pool => "; drop leases sooner, submit what was recorded, or raise the pool's bound",
            Shortage::Device => "; drop leases sooner, submit what was recorded, or raise the device's limit",
            Shortage::Host => "; drop leases sooner, submit what was recorded, or raise the host's limit",
            Shortage::Driver => "; lower the limit to what the device really has, or end what else uses it",
        })
    }
}

impl fmt::Display for DeviceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OutOfMemory(report) => report.fmt(f),
            Self::TooLarge { device, requested, max_buffer } => write!(
                f,
                "{device} makes no buffer of {requested} bytes: {max_buffer} are the most; divide the data"
            ),
            Self::Lost { device, why } => {
                write!(f, "{device} is lost ({why}): open the device anew, and make pools on that one")
            }
            Self::Unavailable { device, why } => {
                write!(f, "there is no {device}: {why}; install its driver, or go on without")
            }
            Self::NotRegistered { device, registered } => named::write_missing(f, device, registered),
            Self::OtherBackend { device } => {
                write!(f, "`{device}` has another driver than this pool: say the driver of that device")
            }
            Self::NameTaken { device } => {
                write!(
                    f,
                    "a device is registered as `{device}`: give this one another name, or unregister that one"
                )
            }
            Self::LimitUnknown { device } => {
                write!(f, "nothing says how much memory {device} has: say `limit_mb` when it is registered")
            }
            Self::Invalid { name, why } => write!(f, "`{name}`: {why}"),
            Self::Failed { device, call, fault } => write!(f, "{device} failed to {call}: {fault}"),
        }
    }
}

impl Error for DeviceError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Failed { fault, .. } => Some(fault),
            _ => None,
        }
    }
}
