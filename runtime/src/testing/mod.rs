//! What tests need that programs do not.
//!
//! [`isolated`] and [`bypassed`] set a test apart from what other tests left in the caches of the process.
//! A [`ManualClock`] and a [`FixedPressure`] are for a [`Domain`](crate::Domain) of a test's own.
//! `SimDevice`, with the feature `device`, stands in for a GPU, and judges what its pools hand out.
//! [`audit`] checks that the weight of a type is what it really takes, under a [`CountingAllocator`].

mod audit;
mod counting;

pub use crate::domain::scope::{Around, Entered, Scope, bypassed, isolated, isolated_at};
#[cfg(feature = "device")]
pub use crate::pool::device::sim::{
    SimBuffer, SimCall, SimDevice, SimDeviceBuilder, SimFailure, SimFence, SimOrder, SimRead, SimUsage,
};
pub use crate::pressure::FixedPressure;
pub use crate::time::ManualClock;
pub use audit::{Audit, audit, audit_by};
pub use counting::{CountingAllocator, held_by};
#[cfg(all(test, not(larder_shuttle)))]
pub(crate) use counting::{Held, measured};
