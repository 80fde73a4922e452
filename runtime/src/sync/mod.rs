//! The one door to locks and atomics: `parking_lot` and `std`, or `shuttle`'s when the models run.
//!
//! Everything concurrent in this crate imports from here, so that `--cfg larder_shuttle` puts the same
//! code under controlled schedules. Not here: anything that knows what it protects.

pub(crate) mod barrier;
pub(crate) mod fork;
#[cfg(larder_shuttle)]
mod model;
#[cfg(not(larder_shuttle))]
mod shared;
#[cfg(larder_shuttle)]
pub(crate) use model::*;

#[cfg(not(larder_shuttle))]
mod real {
    pub(crate) use super::shared::{RwLock, RwLockReadGuard, RwLockWriteGuard};
    pub(crate) use parking_lot::{Condvar, Mutex, MutexGuard};
    pub(crate) use std::sync::atomic::{
        AtomicBool, AtomicI64, AtomicPtr, AtomicU8, AtomicU16, AtomicU32, AtomicU64, AtomicUsize, Ordering,
        compiler_fence, fence,
    };

    /// Passes the time until a short wait's next look: a little of it, then a turn of somebody else's.
    pub(crate) fn pause(attempt: u32) {
        if attempt.is_multiple_of(16) { std::thread::yield_now() } else { std::hint::spin_loop() }
    }
}
#[cfg(not(larder_shuttle))]
pub(crate) use real::*;
