//! A buffer on loan: owned, and given back when it is dropped.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use super::backend::DeviceBackend;
use super::core::PoolCore;
use super::error::DeviceError;
use super::state::{Block, LoanId};
use crate::sync::Mutex;
use crate::unwind;

/// So many other orders of one lease are looked through for those that are done.
const MANY: usize = 32;

/// A buffer that is lent by a [`DevicePool`](super::DevicePool): goes back when it is dropped, and is lent again when the device
/// is done with it.
///
/// It has at least as many bytes as were asked for, of which [`len`](Self::len) are meant: bind it with an explicit size.
/// What they hold, the pool's [`Zero`](super::Zero) says.
///
/// It may be dropped as soon as all work with it was given to its order, or recorded; the work goes on.
///
/// # Locking
///
/// Dropping it takes the pool's lock, and asks the driver for a fence with no lock held.
pub struct DeviceLease<B: DeviceBackend> {
    /// There until it is dropped.
    out: Option<(Block<B>, LoanId)>,
    pool: Arc<PoolCore<B>>,
    len: u64,
    /// Orders beside the one it was acquired for.
    others: Mutex<Vec<B::Order>>,
}

/// What a lease was, for whoever goes on with its buffer.
pub(super) struct Parts<B: DeviceBackend> {
    pub(super) pool: Arc<PoolCore<B>>,
    pub(super) block: Block<B>,
    pub(super) loan: LoanId,
    pub(super) len: u64,
    /// Other orders that use the buffer.
    pub(super) others: Vec<B::Order>,
}

impl<B: DeviceBackend> DeviceLease<B> {
    pub(super) fn new(pool: Arc<PoolCore<B>>, block: Block<B>, loan: LoanId, len: u64) -> Self {
        Self { out: Some((block, loan)), pool, len, others: Mutex::new(Vec::new()) }
    }

    fn block(&self) -> &Block<B> {
        match &self.out {
            Some((block, _)) => block,
            None => unreachable!("only what ends the lease takes it"),
        }
    }

    /// Bytes that were asked for.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether no bytes were asked for.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Bytes that it has: those of its class.
    #[must_use]
    pub fn capacity(&self) -> u64 {
        self.block().size.bytes
    }

    /// What it is for.
    #[must_use]
    pub fn usage(&self) -> B::Usage {
        self.block().usage
    }

    /// The order that it was acquired for.
    #[must_use]
    pub fn order(&self) -> &B::Order {
        &self.block().home
    }

    /// Says that work with it goes to another order, too, before any does: it is not lent again before that is done as well.
    ///
    /// On an ordered device that order waits, from now on, for what the lease's own was given so far; because a buffer is handed
    /// out behind work of its last holder, that is needed even where this holder gave it nothing.
    ///
    /// # Errors
    ///
    /// When the driver fails; then the order must not be given the buffer.
    pub fn use_on(&self, order: &B::Order) -> Result<(), DeviceError> {
        let device = &self.pool.device;
        device.check()?;
        if device.ordered {
            let is_same = |other: &B::Order| device.backend.same(other, order);
            if is_same(self.order()) || self.others.lock().iter().any(is_same) {
                return Ok(());
            }
            let fence = device.backend.fence(self.order());
            let fence = fence.map_err(|fault| device.failed("make a fence", fault))?;
            let ordered = device.backend.order_after(order, &fence);
            ordered.map_err(|fault| device.failed("put work behind other work", fault))?;
        }
        let count = {
            let mut others = self.others.lock();
            others.push(order.clone());
            others.len()
        };
        if !device.ordered && count >= MANY && count.is_power_of_two() {
            self.forget_done();
        }
        Ok(())
    }

    /// Forgets encoders whose work is done, to which nothing more can come: a lease that is held for long may be recorded in any
    /// number of them.
    fn forget_done(&self) {
        let backend = &self.pool.device.backend;
        let mut taken = Taken { orders: std::mem::take(&mut *self.others.lock()), others: &self.others };
        taken
            .orders
            .retain(|order| !backend.fence(order).and_then(|fence| backend.done(&fence)).unwrap_or(false));
    }

    #[cfg(all(test, not(larder_shuttle)))]
    pub(super) fn others(&self) -> usize {
        self.others.lock().len()
    }

    /// The buffer, for good: the pool forgets it, and nobody is charged for it any more.
    ///
    /// On an ordered device its last holder's work may still be ahead of it in [`order`](Self::order).
    #[must_use]
    pub fn detach(mut self) -> B::Buffer {
        let (block, loan) = match self.out.take() {
            Some(out) => out,
            None => unreachable!("only what ends the lease takes it"),
        };
        self.pool.part_with(block, loan)
    }

    /// Gives it back to be freed, not to be lent again.
    pub fn discard(mut self) {
        self.end(false);
    }

    /// Ends the lease without giving anything back.
    pub(super) fn into_parts(mut self) -> Parts<B> {
        let Some((block, loan)) = self.out.take() else { unreachable!("only what ends the lease takes it") };
        let others = std::mem::take(self.others.get_mut());
        Parts { pool: Arc::clone(&self.pool), block, loan, len: self.len, others }
    }

    fn end(&mut self, keep: bool) {
        let Some((block, loan)) = self.out.take() else { return };
        if self.pool.device.is_inherited() {
            // The parent's, as all that the driver made.
            return std::mem::forget(block);
        }
        let others = std::mem::take(self.others.get_mut());
        // A driver that panics must not end a process that is unwinding.
        unwind::each_to_the_end([(block, loan, others)], |(block, loan, others)| {
            self.pool.give_back(block, Some(loan), others, keep);
        });
    }
}

/// Orders that are looked through; they go back also when a driver panics, because somebody has to wait for them.
struct Taken<'a, O> {
    orders: Vec<O>,
    others: &'a Mutex<Vec<O>>,
}

impl<O> Drop for Taken<'_, O> {
    fn drop(&mut self) {
        self.others.lock().append(&mut self.orders);
    }
}

impl<B: DeviceBackend> Deref for DeviceLease<B> {
    type Target = B::Buffer;

    fn deref(&self) -> &B::Buffer {
        &self.block().buffer
    }
}

impl<B: DeviceBackend> Drop for DeviceLease<B> {
    fn drop(&mut self) {
        self.end(true);
    }
}

impl<B: DeviceBackend> fmt::Debug for DeviceLease<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeviceLease")
            .field("pool", &self.pool.card.name)
            .field("len", &self.len)
            .field("capacity", &self.out.as_ref().map(|(block, _)| block.size.bytes))
            .field("usage", &self.out.as_ref().map(|(block, _)| block.usage))
            .finish_non_exhaustive()
    }
}
