//! Whether this process is the child of a `fork`, and what that means for a lock that is taken.
//!
//! A child has one thread, and the locks as they were: one that another thread held is never released. So
//! look-ups and ticks in a child pass over what is locked. Not here: cleaning up. Nothing can say whether what
//! such a thread was writing is whole.

use super::{RwLock, RwLockReadGuard, RwLockWriteGuard};

#[cfg(all(unix, not(larder_shuttle)))]
mod unix {
    use std::sync::Once;
    use std::sync::atomic::{AtomicBool, Ordering};

    static FORKED: AtomicBool = AtomicBool::new(false);

    extern "C" fn in_child() {
        FORKED.store(true, Ordering::Relaxed);
    }

    pub(crate) fn watch() {
        static ONCE: Once = Once::new();
        ONCE.call_once(|| {
            // SAFETY: the handler lives as long as the code of this crate, stores to an atomic, and does nothing
            // else. Where there is no room for it, the child is not recognised, which is as it was.
            unsafe { libc::pthread_atfork(None, None, Some(in_child)) };
        });
    }

    pub(crate) fn forked() -> bool {
        FORKED.load(Ordering::Relaxed)
    }
}
#[cfg(all(unix, not(larder_shuttle)))]
pub(crate) use unix::{forked, watch};

#[cfg(any(not(unix), larder_shuttle))]
mod other {
    pub(crate) fn watch() {}

    pub(crate) fn forked() -> bool {
        false
    }
}
#[cfg(any(not(unix), larder_shuttle))]
pub(crate) use other::{forked, watch};

/// Waits for a lock, shared; `None` in a child of a fork, where it may never be released.
#[inline]
pub(crate) fn read<T>(lock: &RwLock<T>) -> Option<RwLockReadGuard<'_, T>> {
    match lock.try_read() {
        Some(guard) => Some(guard),
        None => read_later(lock),
    }
}

#[cold]
fn read_later<T>(lock: &RwLock<T>) -> Option<RwLockReadGuard<'_, T>> {
    if forked() { None } else { Some(lock.read()) }
}

/// [`read`], alone.
#[inline]
pub(crate) fn write<T>(lock: &RwLock<T>) -> Option<RwLockWriteGuard<'_, T>> {
    if forked() { lock.try_write() } else { Some(lock.write()) }
}
