//! The one door to locks and atomics: `parking_lot` and `std`, or `shuttle`'s when the models run.
//!
//! Everything concurrent in this crate imports from here, so that `--cfg larder_shuttle` puts the same
//! code under controlled schedules. Not here: anything that knows what it protects.

pub(crate) mod fork;
#[cfg(larder_shuttle)]
mod model;
#[cfg(larder_shuttle)]
pub(crate) use model::*;

#[cfg(not(larder_shuttle))]
mod real {
    pub(crate) use parking_lot::{Condvar, Mutex, RwLock, RwLockReadGuard, RwLockWriteGuard};
    pub(crate) use std::sync::atomic::{
        AtomicBool, AtomicPtr, AtomicU8, AtomicU16, AtomicU32, AtomicU64, AtomicUsize, Ordering, fence,
    };
}
#[cfg(not(larder_shuttle))]
pub(crate) use real::*;
