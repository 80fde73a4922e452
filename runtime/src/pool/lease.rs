//! A lease: an object on loan, which goes back when it is dropped.
//!
//! It is as long as a pointer, owned, and may go to other threads; the object does not move while it is lent. Not here:
//! what becomes of it when it comes back.

use std::fmt;
use std::mem::ManuallyDrop;
use std::ops::{Deref, DerefMut};
use std::panic::Location;

use super::PoolCore;
use super::node::Own;

/// An object on loan from a [`Pool`](super::Pool); dropping it returns the object.
///
/// On return the object is reset and waits for the next lease. It is dropped instead when the reset or the check says so
/// or panics, when the thread is panicking, when it is outside the pool's bound, too old, or too large, when memory is in
/// an emergency, or when it has grown and the budget has no room for it. It can't be returned twice: the lease is the
/// only way to it.
pub struct Pooled<T> {
    /// Taken exactly once: by `drop` or by `detach`.
    own: ManuallyDrop<Own<T>>,
}

impl<T> Pooled<T> {
    #[cfg_attr(not(debug_assertions), inline(always))]
    #[track_caller]
    pub(super) fn new(own: Own<T>) -> Self {
        Self::lent_at(own, Location::caller())
    }

    /// A lease that was asked for at this place.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(super) fn lent_at(own: Own<T>, place: &'static Location<'static>) -> Self {
        #[cfg(feature = "leak-report")]
        own.core.leases.lent(own.block_at(), place, own.core.domain.now());
        #[cfg(not(feature = "leak-report"))]
        let _ = place;
        Self { own: ManuallyDrop::new(own) }
    }

    /// It is over, whatever becomes of the object.
    #[cfg_attr(not(debug_assertions), inline(always))]
    fn note_end(own: &Own<T>) {
        #[cfg(feature = "leak-report")]
        own.core.leases.returned(own.block_at());
        #[cfg(not(feature = "leak-report"))]
        let _ = own;
    }

    /// Bytes that the budget was charged for this object.
    #[cfg(all(test, not(larder_shuttle)))]
    pub(crate) fn charged(&self) -> u64 {
        self.own.charged
    }

    #[cfg_attr(not(debug_assertions), inline(always))]
    fn into_own(self) -> Own<T> {
        let mut lease = ManuallyDrop::new(self);
        // SAFETY: `lease` is never dropped and not used after this function, so the object is taken once.
        let own = unsafe { ManuallyDrop::take(&mut lease.own) };
        Self::note_end(&own);
        own
    }

    /// Keeps the object for good: it leaves the pool and the budget.
    #[must_use = "the object is not returned any more"]
    pub fn detach(lease: Self) -> T {
        lease.into_own().take_apart()
    }

    /// Drops the object instead of returning it: it is broken, or not worth keeping.
    pub fn discard(lease: Self) {
        drop(lease.into_own());
    }
}

impl<T> Drop for Pooled<T> {
    #[inline]
    fn drop(&mut self) {
        let is_plain = PoolCore::is_plain(&self.own);
        // SAFETY: `drop` runs once, and who takes the object otherwise never lets it run.
        let own = unsafe { ManuallyDrop::take(&mut self.own) };
        Self::note_end(&own);
        PoolCore::give_back(own, is_plain);
    }
}

impl<T> Deref for Pooled<T> {
    type Target = T;
    #[cfg_attr(not(debug_assertions), inline(always))]
    fn deref(&self) -> &T {
        &self.own.object
    }
}

impl<T> DerefMut for Pooled<T> {
    #[cfg_attr(not(debug_assertions), inline(always))]
    fn deref_mut(&mut self) -> &mut T {
        &mut self.own.object
    }
}

impl<T: fmt::Debug> fmt::Debug for Pooled<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        T::fmt(self, f)
    }
}
