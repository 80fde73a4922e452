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
        AtomicBool, AtomicPtr, AtomicU8, AtomicU32, AtomicU64, AtomicUsize, Ordering,
    };
}
#[cfg(not(larder_shuttle))]
pub(crate) use real::*;

/// Keeps what is inside on cache lines of its own, so that neighbours written by other threads do not
/// slow its readers. 128 bytes, because processors fetch lines in pairs.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(crate) struct Padded<T>(pub(crate) T);

impl<T> std::ops::Deref for Padded<T> {
    type Target = T;
    #[inline]
    fn deref(&self) -> &T {
        &self.0
    }
}
