//! How a request is served: one step after the other, from what costs nothing to what somebody has to wait for.
//!
//! One that is free behind the order's own work; one that is known to be free; one that is found to be, also after the driver
//! was asked; one of another order, which is waited for on the device. Else a new one: booked, with room made by whoever holds
//! what is worth least; made; and where the driver has no memory, after everybody gave what nobody needs. Last of all the
//! caller waits for the device, as long as the device's patience lasts. Not here: what is known of buffers.

use std::panic::Location;
use std::sync::Arc;

use super::backend::{DeviceBackend, Fault, Residence};
use super::classes::Size;
use super::core::{Held, PoolCore, Stuck, Zero};
use super::device::Patience;
use super::error::{DeviceError, Holder, OutOfDeviceMemory, Shortage};
use super::state::{Block, Loan, LoanId, Side, State};
use super::stats::{DeviceHits, DeviceLoan, Whereabouts, Why};
use crate::cost;
use crate::stats::Count;
use crate::sync::MutexGuard;
use crate::tenant::Card;

/// So many times a request goes through all steps, with room made each time that others took.
const ATTEMPTS: usize = 256;
/// So many times it asks a driver that had no memory.
const RETRIES: usize = 8;
/// So many tenants, and leases, an error names.
const HOLDERS: usize = 5;
const LOANS: usize = 3;

/// What is wanted.
pub(super) struct Want<'a, B: DeviceBackend> {
    pub(super) len: u64,
    pub(super) size: Size,
    pub(super) usage: B::Usage,
    pub(super) residence: Residence,
    pub(super) order: &'a B::Order,
}

/// How a buffer was found.
type Hit = fn(&mut DeviceHits) -> &mut u64;

/// Why none was made.
enum Obstacle {
    Stuck(Stuck),
    Fault(Fault),
}

impl<B: DeviceBackend> PoolCore<B> {
    /// A buffer, and the number of its loan.
    pub(super) fn acquire(
        &self,
        len: u64,
        usage: B::Usage,
        order: &B::Order,
        place: &'static Location<'static>,
    ) -> Result<(Block<B>, LoanId), DeviceError> {
        let device = &self.device;
        let max_buffer = device.info.max_buffer;
        let size = self.options.classes.size_of(len);
        if size.bytes > max_buffer {
            return Err(DeviceError::TooLarge { device: device.name.clone(), requested: len, max_buffer });
        }
        let want = Want { len, size, usage, residence: device.backend.residence(usage), order };
        let finds = !size.beyond && !self.is_bypassed();
        let (mut patience, mut retries) = (Patience::new(device.patience), 0);
        let mut shortage = Shortage::Device;
        for _ in 0..ATTEMPTS {
            device.check()?;
            device.backend.check().map_err(|fault| device.failed("be there", fault))?;
            if finds && let Some((held, hit)) = self.find(&want, place)? {
                return self.lend(held, &want, Some(hit), place);
            }
            match self.try_make(&want) {
                Ok(held) => return self.lend(held, &want, None, place),
                Err(Obstacle::Stuck(stuck)) => {
                    shortage = stuck.into();
                    if !self.make_way(stuck, &mut patience) {
                        break;
                    }
                }
                Err(Obstacle::Fault(Fault::OutOfMemory)) => {
                    self.state.lock().out_of_memory += 1;
                    shortage = Shortage::Driver;
                    if retries == RETRIES || !self.relieve_driver(size.bytes, &mut patience) {
                        break;
                    }
                    retries += 1;
                    self.state.lock().retries += 1;
                }
                Err(Obstacle::Fault(fault)) => return Err(device.failed("make a buffer", fault)),
            }
        }
        device.check()?;
        Err(self.out_of_memory(&want, shortage))
    }

    /// One of those that are there.
    fn find(
        &self,
        want: &Want<'_, B>,
        place: &'static Location<'static>,
    ) -> Result<Option<(Held<'_, B>, Hit)>, DeviceError> {
        let Want { size, usage, order, .. } = *want;
        let backend = &self.device.backend;
        let hands_on = self.hands_on(usage);
        let mut state = self.state.lock();
        if hands_on && let Some(block) = state.take_same(backend, size, usage, order) {
            return Ok(Some(self.take_out(state, block, want, |hits| &mut hits.same_order, place)));
        }
        if let Some(block) = state.take_ready(size, usage) {
            return Ok(Some(self.take_out(state, block, want, |hits| &mut hits.ready, place)));
        }
        if !state.has_pending(size, usage) {
            return Ok(None);
        }
        drop(state);
        let take_ready = |hit: Hit| {
            self.settle(Some((size, usage)));
            let mut state = self.state.lock();
            let block = state.take_ready(size, usage)?;
            Some(self.take_out(state, block, want, hit, place))
        };
        if let Some(found) = take_ready(|hits| &mut hits.ready) {
            return Ok(Some(found));
        }
        backend.poll();
        if let Some(found) = take_ready(|hits| &mut hits.polled) {
            return Ok(Some(found));
        }
        if !hands_on {
            return Ok(None);
        }
        let Some(block) = self.state.lock().take_pending(size, usage) else { return Ok(None) };
        let mut held = Held::new(self, block, Whereabouts::InUse);
        // What it is given by mistake, if a call fails half-way.
        held.also.push(order.clone());
        if let Some(block) = &held.block {
            for mark in &block.touched {
                let ordered = backend.order_after(order, &mark.fence);
                ordered.map_err(|fault| self.device.failed("put work behind other work", fault))?;
            }
        }
        Ok(Some((held, |hits| &mut hits.crossed)))
    }

    /// A block that is on nobody's list any more, and on loan at once if nothing has to be done with it before.
    fn take_out(
        &self,
        mut state: MutexGuard<'_, State<B>>,
        block: Block<B>,
        want: &Want<'_, B>,
        hit: Hit,
        place: &'static Location<'static>,
    ) -> (Held<'_, B>, Hit) {
        let is_clean = !block.dirty && self.options.zero != Zero::OnAcquire;
        let loan = is_clean.then(|| self.note(&mut state, want, Some(hit), place));
        self.publish(&state);
        drop(state);
        let mut held = Held::new(self, block, Whereabouts::InUse);
        held.loan = loan;
        (held, hit)
    }

    /// Notes a loan, and how the request was served.
    fn note(
        &self,
        state: &mut State<B>,
        want: &Want<'_, B>,
        hit: Option<Hit>,
        place: &'static Location<'static>,
    ) -> LoanId {
        if let Some(hit) = hit {
            *hit(&mut state.hits) += 1;
        }
        let since = self.domain().clock.recent();
        state.lend(Loan { place, since, len: want.len, bytes: want.size.bytes })
    }

    /// A new one, as far as there is room.
    fn try_make(&self, want: &Want<'_, B>) -> Result<Held<'_, B>, Obstacle> {
        let Want { size, usage, residence, order, .. } = *want;
        let booking = self.try_book(residence, size.bytes).map_err(Obstacle::Stuck)?;
        let start = self.domain().now();
        let made = self.device.backend.create(size.bytes, usage, order);
        let buffer = made.map_err(|fault| {
            self.card.tally.add(Count::LoadFailures, 1);
            Obstacle::Fault(fault)
        })?;
        booking.keep();
        let nanos = self.domain().now().saturating_sub(start);
        self.costs.observe(nanos);
        self.card.tally.miss();
        self.card.tally.load(nanos);
        let block = Block {
            buffer,
            size,
            usage,
            residence,
            touched: smallvec::SmallVec::new(),
            home: order.clone(),
            dirty: self.options.zero == Zero::OnReturn && !self.device.zeroed,
            doomed: None,
            credits: [0.0; 2],
            since: 0,
            looks: 0,
            turn: 0,
        };
        let mut state = self.state.lock();
        state.enter(&block, Whereabouts::InUse);
        state.creates += 1;
        state.oversize += u64::from(size.beyond);
        drop(state);
        Ok(Held::new(self, block, Whereabouts::InUse))
    }

    /// Hands it out.
    fn lend(
        &self,
        mut held: Held<'_, B>,
        want: &Want<'_, B>,
        hit: Option<Hit>,
        place: &'static Location<'static>,
    ) -> Result<(Block<B>, LoanId), DeviceError> {
        let backend = &self.device.backend;
        let is_clean = hit.is_none() && self.device.zeroed;
        if let Some(block) = &mut held.block {
            block.home = want.order.clone();
            if block.dirty || self.options.zero == Zero::OnAcquire && !is_clean {
                let zeroed = backend.zero(&block.buffer, want.order);
                zeroed.map_err(|fault| self.device.failed("zero a buffer", fault))?;
            }
            backend.lent(&block.buffer, want.order);
        }
        let Some(mut block) = held.block.take() else { unreachable!("it was there") };
        // What `order` is given from now on comes after all that.
        block.touched.clear();
        block.dirty = false;
        let loan = match held.loan.take() {
            Some(loan) => loan,
            None => self.note(&mut self.state.lock(), want, hit, place),
        };
        if hit.is_some() {
            self.card.tally.hit(cost::decode(self.costs.current()));
        }
        Ok((block, loan))
    }

    /// Makes room, or waits until there is some; `false` when neither is possible.
    fn make_way(&self, stuck: Stuck, patience: &mut Patience) -> bool {
        let device = &self.device;
        let freed = match stuck {
            Stuck::Pool { over } => self.drop_own(over),
            Stuck::Device { short } => device.domain.relief().make_room(&device.domain, &self.card, short),
            Stuck::Host { short } => self.make_host_room(short),
        };
        if freed > 0 {
            return true;
        }
        // What other pools wait for may be done.
        device.settle_all();
        let freed = match stuck {
            Stuck::Pool { over } => self.drop_own(over),
            Stuck::Device { short } => device.domain.relief().make_room(&device.domain, &self.card, short),
            Stuck::Host { short } => self.make_host_room(short),
        };
        if freed > 0 {
            return true;
        }
        let only = if let Stuck::Pool { .. } = stuck { Some(self) } else { None };
        self.wait(only, patience)
    }

    fn make_host_room(&self, short: u64) -> u64 {
        let host = &self.device.host;
        self.host_if_any().map_or(0, |side| host.relief().make_room(host, &side.card, short))
    }

    /// Frees about so many bytes of what is idle here, for the pool's own bound.
    fn drop_own(&self, over: u64) -> u64 {
        let (mut gone, mut bytes) = (Vec::new(), 0);
        let mut state = self.state.lock();
        while bytes < over {
            let coldest = state.take_coldest(Side::Device, f64::INFINITY);
            let Some(block) = coldest.or_else(|| state.take_coldest(Side::Host, f64::INFINITY)) else {
                break;
            };
            bytes += block.size.bytes;
            gone.push(block);
        }
        self.publish(&state);
        drop(state);
        self.card.tally.add(Count::Evictions, gone.len() as u64);
        self.free(gone, Why::Bound)
    }

    fn wait(&self, only: Option<&Self>, patience: &mut Patience) -> bool {
        self.state.lock().waits += 1;
        self.card.tally.add(Count::Waits, 1);
        self.device.wait(only, patience)
    }

    /// The driver has no memory. Whether it is worth asking again.
    fn relieve_driver(&self, bytes: u64, patience: &mut Patience) -> bool {
        let device = &self.device;
        if device.relieve(bytes) > 0 {
            return true;
        }
        // What caches hold on the device.
        if device.domain.relief().make_room(&device.domain, &self.card, bytes) > 0 {
            return true;
        }
        // What comes free may be what is wanted, which is looked for first; if it is not, it goes the next time.
        self.wait(None, patience)
    }

    /// Who holds what, and the way out.
    fn out_of_memory(&self, want: &Want<'_, B>, shortage: Shortage) -> DeviceError {
        let device = &self.device;
        let (limit, used) = match shortage {
            Shortage::Pool => (self.options.max_bytes, self.state.lock().booked),
            Shortage::Host => (device.host.ledger.limit(), device.host.ledger.used()),
            Shortage::Device | Shortage::Driver => {
                (device.domain.ledger.limit(), device.domain.ledger.used())
            }
        };
        let domain = if shortage == Shortage::Host { &device.host } else { &device.domain };
        let mut holders: Vec<Holder> = domain.with_cards(|cards| {
            let held = |card: &Card| Holder { name: card.name.to_string(), bytes: card.reservation.spent() };
            cards.map(held).filter(|holder| holder.bytes > 0).collect()
        });
        holders.sort_by(|a, b| b.bytes.cmp(&a.bytes).then_with(|| a.name.cmp(&b.name)));
        holders.truncate(HOLDERS);
        let mut oldest = self.loans();
        oldest.truncate(LOANS);
        let gauges = self.state.lock().gauges;
        DeviceError::OutOfMemory(Box::new(OutOfDeviceMemory {
            pool: self.card.name.to_string(),
            device: device.name.clone(),
            shortage,
            requested: want.len,
            class: want.size.bytes,
            limit,
            used,
            in_use: gauges.in_use.current,
            idle: gauges.idle.current,
            pending: gauges.pending.current,
            device_free: device.memory().and_then(|memory| memory.free),
            holders,
            oldest,
        }))
    }

    /// What is lent, for longest first.
    pub(super) fn loans(&self) -> Vec<DeviceLoan> {
        let now = self.domain().now();
        let loan = |loan: &Loan| DeviceLoan {
            place: loan.place,
            held_for: std::time::Duration::from_nanos(now.saturating_sub(loan.since)),
            len: loan.len,
            bytes: loan.bytes,
        };
        let mut loans: Vec<DeviceLoan> = self.state.lock().loans().map(loan).collect();
        loans.sort_by(|a, b| b.held_for.cmp(&a.held_for).then(a.place.cmp(b.place)));
        loans
    }
}

impl From<Stuck> for Shortage {
    fn from(stuck: Stuck) -> Self {
        match stuck {
            Stuck::Pool { .. } => Self::Pool,
            Stuck::Device { .. } => Self::Device,
            Stuck::Host { .. } => Self::Host,
        }
    }
}

/// Fences that a block is waited for.
pub(super) fn mark<B: DeviceBackend>(order: B::Order, fence: B::Fence) -> super::state::Mark<B> {
    super::state::Mark { order, fence: Arc::new(fence) }
}
