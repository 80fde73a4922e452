//! `parking_lot`'s lock for many readers, compiled here: its own waiting would be compiled anew in each crate that has a type
//! with one inside, as all caches do.

use parking_lot::RawRwLock;
use parking_lot::lock_api;

/// [`RawRwLock`], called and not inlined.
pub(crate) struct Raw(RawRwLock);

// SAFETY: each function is that of `RawRwLock`, on the same lock.
unsafe impl lock_api::RawRwLock for Raw {
    type SharedGuard = <RawRwLock as lock_api::RawRwLock>::SharedGuard;
    type ExclusiveGuard = <RawRwLock as lock_api::RawRwLock>::ExclusiveGuard;

    const INIT: Self = Self(<RawRwLock as lock_api::RawRwLock>::INIT);

    #[inline(never)]
    fn lock_shared(&self) -> Self::SharedGuard {
        self.0.lock_shared()
    }

    #[inline(never)]
    fn try_lock_shared(&self) -> Option<Self::SharedGuard> {
        self.0.try_lock_shared()
    }

    #[inline(never)]
    unsafe fn unlock_shared(&self, guard: Self::SharedGuard) {
        // SAFETY: the caller has it locked, as the guard says.
        unsafe { self.0.unlock_shared(guard) }
    }

    #[inline(never)]
    fn lock_exclusive(&self) -> Self::ExclusiveGuard {
        self.0.lock_exclusive()
    }

    #[inline(never)]
    fn try_lock_exclusive(&self) -> Option<Self::ExclusiveGuard> {
        self.0.try_lock_exclusive()
    }

    #[inline(never)]
    unsafe fn unlock_exclusive(&self, guard: Self::ExclusiveGuard) {
        // SAFETY: the caller has it locked, as the guard says.
        unsafe { self.0.unlock_exclusive(guard) }
    }

    fn is_locked(&self) -> bool {
        self.0.is_locked()
    }

    fn is_locked_exclusive(&self) -> bool {
        self.0.is_locked_exclusive()
    }
}

pub(crate) type RwLock<T> = lock_api::RwLock<Raw, T>;
pub(crate) type RwLockReadGuard<'a, T> = lock_api::RwLockReadGuard<'a, Raw, T>;
pub(crate) type RwLockWriteGuard<'a, T> = lock_api::RwLockWriteGuard<'a, Raw, T>;
