//! A buffer that is on the books of who holds it: a value of a cache, which pays for what it stores.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use super::backend::DeviceBackend;
use super::core::{Booking, PoolCore};
use super::lease::{DeviceLease, Parts};
use super::state::{Block, LoanId};
use super::stats::Whereabouts;
use crate::unwind;
use crate::weight::Weigh;

/// A buffer for a cache of what lives on a device; made by [`DeviceLease::into_resident`].
///
/// A leased buffer is charged to its pool, and a cached value to its cache: this one is charged to nobody but who stores it. Its
/// weight, as [`Weigh`] tells it, is that of its class. So a cache that is built in the device's
/// [`domain`](super::Device::domain), with values like `Arc<Resident<B>>` and `.weigh(weigh::entry)`, shares the device's limit with the pools there:
/// tensors are evicted for buffers, and idle buffers freed for tensors, by what they are worth.
///
/// When it is dropped it goes back to its pool, if there is room for it on the pool's books. Otherwise it is freed when the device is
/// done with it, and until then nobody is charged for it.
///
/// # Examples
///
/// ```
/// use std::sync::Arc;
///
/// use larder_runtime::device::{Device, DeviceError, Resident};
/// use larder_runtime::testing::{SimDevice, SimUsage};
/// use larder_runtime::{Cache, Domain, weigh};
///
/// let host = Domain::builder().limit_bytes(1 << 20).manual().build();
/// let sim = SimDevice::builder().build();
/// let device = Device::builder("gpu:0", sim.clone()).limit_mb(4).manual().build_in(&host)?;
/// let pool = device.pool("tensors").build()?;
/// let tensors: Cache<u32, Arc<Resident<SimDevice>>> =
///     Cache::builder("tensors by layer").weigh(weigh::entry).build_in(device.domain()).unwrap();
///
/// let stream = sim.order();
/// for layer in 0..100 {
///     let tensor = pool.acquire(1 << 20, SimUsage::Storage, &stream)?;
///     sim.write(&stream, &tensor, u64::from(layer));
///     tensors.insert(layer, Arc::new(tensor.into_resident()));
/// }
/// // As many as have room: one limit holds for both.
/// assert!(tensors.len() >= 2 && device.domain().budget().used() <= 4 << 20);
/// # Ok::<(), DeviceError>(())
/// ```
pub struct Resident<B: DeviceBackend> {
    /// There until it is dropped.
    block: Option<Block<B>>,
    pool: Arc<PoolCore<B>>,
    len: u64,
    others: Vec<B::Order>,
}

impl<B: DeviceBackend> DeviceLease<B> {
    /// Takes the buffer off the pool's books, for a cache that puts it on its own. Nobody is charged for it in between.
    ///
    /// Of a device that uses the host's memory, the host stays charged by the pool. Orders that use it later than its own have to
    /// wait for that by themselves.
    #[must_use]
    pub fn into_resident(self) -> Resident<B> {
        let Parts { pool, block, loan, len, others } = self.into_parts();
        pool.entrust(&block, loan);
        Resident { block: Some(block), pool, len, others }
    }
}

impl<B: DeviceBackend> PoolCore<B> {
    /// What a holder's books bear: the device's bytes; where there are none, the host's.
    fn borne(&self, block: &Block<B>) -> Booking<'_, B> {
        let mut booking = self.booking_of(block);
        booking.spare_host(block.residence);
        booking
    }

    fn entrust(&self, block: &Block<B>, loan: LoanId) {
        if self.device.is_inherited() {
            return;
        }
        let mut state = self.state.lock();
        state.end_loan(loan);
        state.leave(block, Whereabouts::InUse);
        drop(state);
        drop(self.borne(block));
    }

    /// Takes a buffer back that was on somebody else's books.
    fn take_back(&self, block: Block<B>, others: Vec<B::Order>) {
        match self.book_again(&block) {
            Ok(booking) => {
                booking.keep();
                self.state.lock().enter(&block, Whereabouts::InUse);
                self.give_back(block, None, others, true);
            }
            Err(_) => {
                let mut touching = others;
                touching.push(block.home.clone());
                let _kept = self.rest_of(&block);
                self.device.backend.returned(&block.buffer);
                self.device.backend.discard(block.buffer, &touching);
            }
        }
    }
}

impl<B: DeviceBackend> Resident<B> {
    fn block(&self) -> &Block<B> {
        match &self.block {
            Some(block) => block,
            None => unreachable!("only its drop takes it"),
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

    /// Bytes that it has, and weighs.
    #[must_use]
    pub fn capacity(&self) -> u64 {
        self.block().size.bytes
    }
}

impl<B: DeviceBackend> Weigh for Resident<B> {
    fn heap_bytes(&self) -> u64 {
        self.capacity()
    }
}

impl<B: DeviceBackend> Deref for Resident<B> {
    type Target = B::Buffer;

    fn deref(&self) -> &B::Buffer {
        &self.block().buffer
    }
}

impl<B: DeviceBackend> Drop for Resident<B> {
    fn drop(&mut self) {
        let Some(block) = self.block.take() else { return };
        if self.pool.device.is_inherited() {
            // The parent's, as all that the driver made.
            return std::mem::forget(block);
        }
        let others = std::mem::take(&mut self.others);
        // A driver that panics must not end a process that is unwinding.
        unwind::each_to_the_end([(block, others)], |(block, others)| self.pool.take_back(block, others));
    }
}

impl<B: DeviceBackend> fmt::Debug for Resident<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Resident")
            .field("pool", &self.pool.card.name)
            .field("len", &self.len)
            .finish_non_exhaustive()
    }
}
