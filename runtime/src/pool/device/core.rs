//! One pool on a device: its books, and how buffers go through its hands without being lost there.
//!
//! Calls of the driver run outside the lock, with the buffer in a guard: whatever fails or panics, the buffer is freed and the
//! books are right. Not here: in which order a request tries what there is (`ladder`), and what comes back (`giving`).

use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use super::backend::{DeviceBackend, Residence};
use super::classes::Classes;
use super::device::DeviceCore;
use super::state::{Block, LoanId, Mark, Settled, Side, State};
use super::stats::{Whereabouts, Why};
use super::tenant::HostSide;
use crate::budget::Refused;
use crate::cost::{self, Median};
use crate::domain::DomainCore;
use crate::policy;
use crate::sync::{Mutex, MutexGuard};
use crate::tenant::Card;
use crate::unwind;

/// When buffers are filled with zeroes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub enum Zero {
    /// Never: a buffer holds what its last holder left there.
    #[default]
    Never,
    /// Before each lease.
    OnAcquire,
    /// After each lease, so that nothing stays in memory that waits; and before the first.
    OnReturn,
}

/// A pool's rules.
#[derive(Debug)]
pub(super) struct Options {
    pub(super) classes: Classes,
    pub(super) zero: Zero,
    pub(super) max_bytes: u64,
    /// How long a buffer waits before it may go for its age.
    pub(super) idle: Option<Duration>,
    /// So many ticks in a row must find it idle.
    pub(super) looks: u8,
}

/// What stands in the way of so many bytes more.
#[derive(Clone, Copy, Debug)]
pub(super) enum Stuck {
    Pool { over: u64 },
    Device { short: u64 },
    Host { short: u64 },
}

pub(super) struct PoolCore<B: DeviceBackend> {
    pub(super) me: Weak<Self>,
    pub(super) device: Arc<DeviceCore<B>>,
    pub(super) card: Arc<Card>,
    /// Its place on the books of the host; made for the first buffer that takes the host's memory.
    host: OnceLock<Arc<HostSide<B>>>,
    pub(super) state: Mutex<State<B>>,
    pub(super) options: Options,
    pub(super) costs: Median,
}

impl<B: DeviceBackend> PoolCore<B> {
    pub(super) fn new(device: Arc<DeviceCore<B>>, card: Arc<Card>, options: Options) -> Arc<Self> {
        Arc::new_cyclic(|me| Self {
            me: Weak::clone(me),
            device,
            card,
            host: OnceLock::new(),
            state: Mutex::new(State::new()),
            options,
            costs: Median::default(),
        })
    }

    pub(super) fn domain(&self) -> &Arc<DomainCore> {
        &self.device.domain
    }

    /// Whether buffers of this usage are handed on behind work that is not done.
    pub(super) fn hands_on(&self, usage: B::Usage) -> bool {
        self.device.ordered && self.device.backend.hands_on(usage)
    }

    /// The pool on the host's books, if it is there.
    pub(super) fn host_if_any(&self) -> Option<&Arc<HostSide<B>>> {
        self.host.get()
    }

    fn host(&self) -> &Arc<HostSide<B>> {
        self.host.get_or_init(|| HostSide::new(self))
    }

    /// Books so many bytes, host first; nothing is made room for.
    pub(super) fn try_book(&self, residence: Residence, bytes: u64) -> Result<Booking<'_, B>, Stuck> {
        let mut state = self.state.lock();
        state.booked = match state.booked.checked_add(bytes) {
            Some(booked) if booked <= self.options.max_bytes => booked,
            Some(booked) => return Err(Stuck::Pool { over: booked - self.options.max_bytes }),
            // More than a number can say.
            None => return Err(Stuck::Pool { over: bytes }),
        };
        drop(state);
        let mut booking = Booking { core: self, bytes, booked: bytes, device: false, host: false };
        if residence.on_host() {
            let host = self.host();
            self.device.host.cover(&host.card);
            host.card.reservation.try_grow(bytes, u64::MAX).map_err(|refused| match refused {
                Refused::Budget { short } => Stuck::Host { short },
                Refused::Ceiling { over } => Stuck::Pool { over },
            })?;
            booking.host = true;
        }
        if residence.on_device() {
            self.card.reservation.try_grow(bytes, u64::MAX).map_err(|refused| match refused {
                Refused::Budget { short } => Stuck::Device { short },
                Refused::Ceiling { over } => Stuck::Pool { over },
            })?;
            booking.device = true;
        }
        Ok(booking)
    }

    /// A booking that was kept, to be given back when it is dropped.
    pub(super) fn booking_of(&self, block: &Block<B>) -> Booking<'_, B> {
        let Block { size, residence, .. } = block;
        Booking {
            core: self,
            bytes: size.bytes,
            booked: size.bytes,
            device: residence.on_device(),
            host: residence.on_host() && self.host.get().is_some(),
        }
    }

    /// Books a buffer again that was on somebody else's books, as far as these bore it.
    pub(super) fn book_again(&self, block: &Block<B>) -> Result<Booking<'_, B>, Stuck> {
        let residence = if block.residence == Residence::Both { Residence::Device } else { block.residence };
        self.try_book(residence, block.size.bytes)
    }

    /// What stayed on the books of a buffer that was on somebody else's.
    pub(super) fn rest_of(&self, block: &Block<B>) -> Booking<'_, B> {
        let host = block.residence == Residence::Both && self.host.get().is_some();
        Booking { core: self, bytes: block.size.bytes, booked: 0, device: false, host }
    }

    /// What each byte of an idle buffer saves: what making another costs, once.
    pub(super) fn density_of(&self, bytes: u64) -> f64 {
        policy::density(1, cost::decode(self.costs.current()) as f64, bytes)
    }

    /// What a buffer is worth that comes back now.
    pub(super) fn credits(&self, bytes: u64) -> [f64; 2] {
        let density = self.density_of(bytes);
        let scale = self.card.scale();
        [&self.device.domain, &self.device.host].map(|domain| domain.inflation() / scale + density)
    }

    /// What the next buffer to go is worth to one of the domains; infinite without one.
    pub(super) fn price(&self, state: &State<B>, side: Side) -> f64 {
        let scale = self.card.scale();
        match state.coldest(side) {
            Some(credit) => credit * scale,
            // Some of these may be done by now.
            None if state.is_pending(side) && !state.vain => {
                let domain = if side == Side::Device { &self.device.domain } else { &self.device.host };
                domain.inflation()
            }
            None => f64::INFINITY,
        }
    }

    /// Says what the next buffer to go is worth. Under the lock, so that what is said last is what is true.
    pub(super) fn publish(&self, state: &MutexGuard<'_, State<B>>) {
        self.card.publish(self.price(state, Side::Device));
        if let Some(host) = self.host.get() {
            host.card.publish(self.price(state, Side::Host));
        }
    }

    /// Moves what is done to where it belongs, of one size and usage or of all.
    pub(super) fn settle(&self, only: Option<(super::classes::Size, B::Usage)>) {
        if self.device.is_inherited() {
            return;
        }
        // Also after a driver that panicked: what was taken out until then is in nobody's hands.
        let mut settled = Unfinished { core: self, settled: Settled::default() };
        let mut state = self.state.lock();
        state.settle(&self.device.backend, only, &mut settled.settled);
        self.publish(&state);
    }

    /// What settling left to do.
    fn finish(&self, settled: Settled<B>) {
        let Settled { doomed, dirty, fault } = settled;
        let doomed = doomed.into_iter().map(|(block, why)| (Some(block), Some(why), None));
        let dirty = dirty.into_iter().map(|block| (Some(block), None, None));
        let all = doomed.chain(dirty).chain(fault.map(|fault| (None, None, Some(fault))));
        unwind::each_to_the_end(all, |left| match left {
            (Some(block), Some(why), _) => _ = self.free([block], why),
            (Some(block), None, _) => {
                let mut held = Held::new(self, block, Whereabouts::Pending);
                if self.zero(&mut held).is_ok() {
                    self.put(held);
                }
            }
            (None, _, Some(fault)) => _ = self.device.failed("tell what is done", fault),
            (None, _, None) => (),
        });
    }

    /// Zeroes a block for nobody, on its own order; notes the work.
    pub(super) fn zero(&self, held: &mut Held<'_, B>) -> Result<(), super::backend::Fault> {
        let Some(block) = &mut held.block else { return Ok(()) };
        let backend = &self.device.backend;
        backend.zero(&block.buffer, &block.home)?;
        let fence = Arc::new(backend.fence(&block.home)?);
        block.touched.push(Mark { order: block.home.clone(), fence });
        block.dirty = false;
        Ok(())
    }

    /// Puts a block back to wait, after it was looked what is done.
    fn put(&self, mut held: Held<'_, B>) {
        if let Some(block) = &mut held.block {
            // A failure here is found again when it is settled.
            let _ = block.settle(&self.device.backend);
        }
        self.put_settled(held);
    }

    /// Puts a block back to wait: among those that nothing touches, if it is known that all is done.
    pub(super) fn put_settled(&self, mut held: Held<'_, B>) {
        let Some(block) = &mut held.block else { return };
        let is_done = block.touched.is_empty();
        if is_done && block.dirty && block.doomed.is_none() && self.zero(&mut held).is_err() {
            return;
        }
        let (at, loan) = (held.at, held.loan.take());
        let Some(mut block) = held.block.take() else { return };
        let mut state = self.state.lock();
        if let Some(loan) = loan {
            state.end_loan(loan);
        }
        // Who closed it may have looked before this came.
        if state.closed || self.device.lost().is_some() {
            block.doomed.get_or_insert(Why::Asked);
        }
        match block.doomed {
            Some(why) if block.touched.is_empty() || self.device.lost().is_some() => {
                state.leave(&block, at);
                drop(state);
                self.free([block], why);
            }
            _ => {
                state.put(block, at);
                state.vain = false;
                self.publish(&state);
            }
        }
    }

    /// Frees blocks that are on nobody's list any more; their bytes leave the books when the driver has them back.
    pub(super) fn free(&self, blocks: impl IntoIterator<Item = Block<B>>, why: Why) -> u64 {
        let mut bytes = 0;
        unwind::each_to_the_end(blocks, |block| {
            bytes += block.size.bytes;
            self.state.lock().destroyed.add(why, 1);
            let _booking = self.booking_of(&block);
            let touching = block.touching();
            self.device.backend.discard(block.buffer, &touching);
        });
        bytes
    }

    /// Frees all that is idle and takes memory of one side, or of either; returns the bytes.
    pub(super) fn drop_all_idle(&self, side: Option<Side>, why: Why) -> u64 {
        if self.device.is_inherited() {
            return 0;
        }
        let mut state = self.state.lock();
        let gone = state.take_idle(|block| side.is_none_or(|side| side.bears(block.residence)));
        self.publish(&state);
        drop(state);
        self.free(gone, why)
    }

    /// The device is lost: all that waits is gone with it.
    pub(super) fn abandon(&self) {
        let mut state = self.state.lock();
        let mut gone = state.take_idle(|_| true);
        gone.extend(state.take_all_pending());
        self.publish(&state);
        drop(state);
        self.free(gone, Why::Failed);
    }

    /// Nothing is kept from now on.
    pub(super) fn close(&self) {
        if self.device.is_inherited() {
            return;
        }
        let mut state = self.state.lock();
        state.closed = true;
        state.doom_pending(Why::Asked);
        drop(state);
        self.settle(None);
        self.drop_all_idle(None, Why::Asked);
    }

    pub(super) fn is_bypassed(&self) -> bool {
        self.domain().mode().is_bypass()
    }
}

impl<B: DeviceBackend> Drop for PoolCore<B> {
    /// No lease is out, because each keeps the pool. The card stays on the domain's list until the next tenant comes; its bytes
    /// must not.
    fn drop(&mut self) {
        if self.device.is_inherited() {
            // The parent's, as all that the driver made.
            std::mem::forget(std::mem::replace(self.state.get_mut(), State::new()));
            return;
        }
        let mut state = self.state.lock();
        let mut gone = state.take_idle(|_| true);
        gone.extend(state.take_all_pending());
        drop(state);
        self.free(gone, Why::Asked);
        self.card.close();
    }
}

/// What settling took out, until all is done with it.
struct Unfinished<'a, B: DeviceBackend> {
    core: &'a PoolCore<B>,
    settled: Settled<B>,
}

impl<B: DeviceBackend> Drop for Unfinished<'_, B> {
    fn drop(&mut self) {
        self.core.finish(std::mem::take(&mut self.settled));
    }
}

/// Bytes on the books; given back when it is dropped, unless it is kept.
pub(super) struct Booking<'a, B: DeviceBackend> {
    core: &'a PoolCore<B>,
    bytes: u64,
    /// Of these, what counts against the pool's own bound.
    booked: u64,
    device: bool,
    host: bool,
}

impl<B: DeviceBackend> Booking<'_, B> {
    /// A buffer has them now.
    pub(super) fn keep(mut self) {
        (self.booked, self.device, self.host) = (0, false, false);
    }

    /// The host's bytes stay where they are, if the device's do not.
    pub(super) fn spare_host(&mut self, residence: Residence) {
        self.host &= !residence.on_device();
    }
}

impl<B: DeviceBackend> Drop for Booking<'_, B> {
    fn drop(&mut self) {
        if self.device {
            self.core.card.reservation.shrink(self.bytes);
        }
        if let Some(host) = self.core.host.get().filter(|_| self.host) {
            host.card.reservation.shrink(self.bytes);
        }
        self.core.state.lock().booked -= self.booked;
    }
}

/// A block on its way; freed when it is dropped: a call of the driver failed or panicked, so nothing is known of it.
pub(super) struct Held<'a, B: DeviceBackend> {
    pub(super) core: &'a PoolCore<B>,
    pub(super) block: Option<Block<B>>,
    /// Where it counts as being.
    pub(super) at: Whereabouts,
    /// Orders that were given work with it, for which there is no fence yet.
    pub(super) also: Vec<B::Order>,
    /// It is on loan, or was until now; that ends with the next change of the books.
    pub(super) loan: Option<LoanId>,
}

impl<'a, B: DeviceBackend> Held<'a, B> {
    pub(super) fn new(core: &'a PoolCore<B>, block: Block<B>, at: Whereabouts) -> Self {
        Self { core, block: Some(block), at, also: Vec::new(), loan: None }
    }
}

impl<B: DeviceBackend> Drop for Held<'_, B> {
    fn drop(&mut self) {
        if let Some(mut block) = self.block.take() {
            let mut state = self.core.state.lock();
            state.leave(&block, self.at);
            if let Some(loan) = self.loan.take() {
                state.end_loan(loan);
            }
            drop(state);
            // The last call may have given its order work; a fence for it is not to be had.
            let home = block.home.clone();
            let bookings = self.core.booking_of(&block);
            let mut touching = block.touching();
            touching.push(home);
            touching.append(&mut self.also);
            block.touched.clear();
            self.core.state.lock().destroyed.add(Why::Failed, 1);
            unwind::each_to_the_end([block], |block| {
                self.core.device.backend.discard(block.buffer, &touching);
            });
            drop(bookings);
        }
    }
}
