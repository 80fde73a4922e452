//! What a pool on a device knows of its buffers: who waits where, what may still touch it, who has what.
//!
//! Plain data under the pool's one lock. Two calls of the driver are made here, `same` and `done`, which neither block nor come
//! back. Not here: anything that allocates, frees or waits on a device.
//!
//! ```text
//! shelf (size, usage):   ready    [coldest .. warmest]   nothing can touch these
//!                        pending  [oldest  .. newest ]   each with the fences that are not known to be reached
//! ```

use std::collections::VecDeque;
use std::panic::Location;
use std::sync::Arc;

use smallvec::SmallVec;

use super::backend::{DeviceBackend, Fault, Residence};
use super::classes::Size;
use super::stats::{DeviceDestroyed, DeviceHits, Gauges, Whereabouts, Why};
use crate::time::Nanos;

/// Work that may touch a buffer.
pub(super) struct Mark<B: DeviceBackend> {
    pub(super) order: B::Order,
    pub(super) fence: Arc<B::Fence>,
}

/// A buffer with what the pool knows of it.
pub(super) struct Block<B: DeviceBackend> {
    pub(super) buffer: B::Buffer,
    pub(super) size: Size,
    pub(super) usage: B::Usage,
    pub(super) residence: Residence,
    /// Work that is not known to be done.
    pub(super) touched: SmallVec<[Mark<B>; 1]>,
    /// The order of its last holder.
    pub(super) home: B::Order,
    /// It has to be zeroed before it waits or is lent.
    pub(super) dirty: bool,
    /// It goes as soon as nothing can touch it.
    pub(super) doomed: Option<Why>,
    /// What it is worth to the device's domain and to the host's, each on its own scale, priority aside.
    pub(super) credits: [f64; 2],
    /// When it came back.
    pub(super) since: Nanos,
    /// So many ticks in a row found it idle.
    pub(super) looks: u8,
    /// A number that rises with each return to any pool of the device.
    pub(super) turn: u64,
}

impl<B: DeviceBackend> Block<B> {
    pub(super) fn touching(&self) -> Vec<B::Order> {
        self.touched.iter().map(|mark| mark.order.clone()).collect()
    }

    /// Forgets work that is done; whether nothing is left.
    ///
    /// # Errors
    ///
    /// What the driver says; what was not asked for stays.
    pub(super) fn settle(&mut self, backend: &B) -> Result<bool, Fault> {
        let mut at = 0;
        // A call that panics leaves what it was asked about where it is.
        while let Some(mark) = self.touched.get(at) {
            if backend.done(&mark.fence)? {
                self.touched.swap_remove(at);
            } else {
                at += 1;
            }
        }
        Ok(self.touched.is_empty())
    }
}

/// Whose books are meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Device,
    Host,
}

impl Side {
    pub(super) fn bears(self, residence: Residence) -> bool {
        match self {
            Self::Device => residence.on_device(),
            Self::Host => residence.on_host(),
        }
    }
}

/// Buffers of one size and usage.
pub(super) struct Shelf<B: DeviceBackend> {
    /// 0 for all that are larger than the classes.
    pub(super) bytes: u64,
    pub(super) usage: B::Usage,
    residence: Residence,
    /// The coldest first.
    ready: VecDeque<Block<B>>,
    /// The oldest first.
    pending: VecDeque<Block<B>>,
    pub(super) gauges: Gauges,
}

/// A buffer that is lent.
pub(super) struct Loan {
    pub(super) place: &'static Location<'static>,
    pub(super) since: Nanos,
    pub(super) len: u64,
    pub(super) bytes: u64,
}

/// The number of a loan, until it ends.
#[derive(Debug)]
pub(super) struct LoanId(u32);

/// What settling leaves to be done without the lock.
pub(super) struct Settled<B: DeviceBackend> {
    /// Nothing touches these any more, and nobody wants them.
    pub(super) doomed: Vec<(Block<B>, Why)>,
    /// These have to be zeroed first; they still count as pending.
    pub(super) dirty: Vec<Block<B>>,
    /// Why the driver could not say more.
    pub(super) fault: Option<Fault>,
}

impl<B: DeviceBackend> Default for Settled<B> {
    fn default() -> Self {
        Self { doomed: Vec::new(), dirty: Vec::new(), fault: None }
    }
}

/// All of a pool.
pub(super) struct State<B: DeviceBackend> {
    shelves: Vec<Shelf<B>>,
    /// What is lent, each at the place that is its number.
    loans: Vec<Option<Loan>>,
    /// Places where nothing is.
    vacant: Vec<u32>,
    /// Bytes of all buffers there are, and of those about to be made.
    pub(super) booked: u64,
    /// Nothing is kept any more.
    pub(super) closed: bool,
    /// Somebody asked for bytes, and nothing that is pending was done.
    pub(super) vain: bool,
    pub(super) gauges: Gauges,
    pub(super) hits: DeviceHits,
    pub(super) creates: u64,
    pub(super) oversize: u64,
    pub(super) destroyed: DeviceDestroyed,
    pub(super) out_of_memory: u64,
    pub(super) retries: u64,
    pub(super) waits: u64,
    pub(super) requested: u64,
    pub(super) requested_total: u64,
}

impl<B: DeviceBackend> State<B> {
    pub(super) fn new() -> Self {
        Self {
            shelves: Vec::new(),
            loans: Vec::new(),
            vacant: Vec::new(),
            booked: 0,
            closed: false,
            vain: false,
            gauges: Gauges::default(),
            hits: DeviceHits::default(),
            creates: 0,
            oversize: 0,
            destroyed: DeviceDestroyed::default(),
            out_of_memory: 0,
            retries: 0,
            waits: 0,
            requested: 0,
            requested_total: 0,
        }
    }

    pub(super) fn shelves(&self) -> &[Shelf<B>] {
        &self.shelves
    }

    fn find(&mut self, size: Size, usage: B::Usage) -> Option<&mut Shelf<B>> {
        let bytes = if size.beyond { 0 } else { size.bytes };
        self.shelves.iter_mut().find(|shelf| shelf.bytes == bytes && shelf.usage == usage)
    }

    fn shelf_for(&mut self, block: &Block<B>) -> &mut Shelf<B> {
        let bytes = if block.size.beyond { 0 } else { block.size.bytes };
        let is_it = |shelf: &Shelf<B>| shelf.bytes == bytes && shelf.usage == block.usage;
        let at = self.shelves.iter().position(is_it).unwrap_or_else(|| {
            self.shelves.push(Shelf {
                bytes,
                usage: block.usage,
                residence: block.residence,
                ready: VecDeque::new(),
                pending: VecDeque::new(),
                gauges: Gauges::default(),
            });
            self.shelves.len() - 1
        });
        &mut self.shelves[at]
    }

    /// A block comes from nowhere.
    pub(super) fn enter(&mut self, block: &Block<B>, state: Whereabouts) {
        self.gauges.enter(state, block.size.bytes);
        self.shelf_for(block).gauges.enter(state, block.size.bytes);
    }

    /// A block goes for good.
    pub(super) fn leave(&mut self, block: &Block<B>, state: Whereabouts) {
        self.gauges.leave(state, block.size.bytes);
        self.shelf_for(block).gauges.leave(state, block.size.bytes);
    }

    /// Puts a block where it belongs by what may touch it, from where it was.
    pub(super) fn put(&mut self, block: Block<B>, from: Whereabouts) {
        let to = if block.touched.is_empty() { Whereabouts::Idle } else { Whereabouts::Pending };
        self.gauges.pass(from, to, block.size.bytes);
        let shelf = self.shelf_for(&block);
        shelf.gauges.pass(from, to, block.size.bytes);
        if to == Whereabouts::Idle { shelf.ready.push_back(block) } else { shelf.pending.push_back(block) }
    }

    /// One whose work is all before what `order` is given from now on: the newest.
    pub(super) fn take_same(
        &mut self,
        backend: &B,
        size: Size,
        usage: B::Usage,
        order: &B::Order,
    ) -> Option<Block<B>> {
        let shelf = self.find(size, usage)?;
        let is_same = |block: &Block<B>| {
            block.doomed.is_none() && block.touched.iter().all(|mark| backend.same(&mark.order, order))
        };
        let at = shelf.pending.iter().rposition(is_same)?;
        let block = shelf.pending.remove(at)?;
        shelf.gauges.pass(Whereabouts::Pending, Whereabouts::InUse, block.size.bytes);
        self.gauges.pass(Whereabouts::Pending, Whereabouts::InUse, block.size.bytes);
        Some(block)
    }

    /// One that nothing can touch: the warmest.
    pub(super) fn take_ready(&mut self, size: Size, usage: B::Usage) -> Option<Block<B>> {
        let shelf = self.find(size, usage)?;
        let block = shelf.ready.pop_back()?;
        shelf.gauges.pass(Whereabouts::Idle, Whereabouts::InUse, block.size.bytes);
        self.gauges.pass(Whereabouts::Idle, Whereabouts::InUse, block.size.bytes);
        Some(block)
    }

    /// One that other orders may touch: the oldest.
    pub(super) fn take_pending(&mut self, size: Size, usage: B::Usage) -> Option<Block<B>> {
        let shelf = self.find(size, usage)?;
        let at = shelf.pending.iter().position(|block| block.doomed.is_none())?;
        let block = shelf.pending.remove(at)?;
        shelf.gauges.pass(Whereabouts::Pending, Whereabouts::InUse, block.size.bytes);
        self.gauges.pass(Whereabouts::Pending, Whereabouts::InUse, block.size.bytes);
        Some(block)
    }

    pub(super) fn has_pending(&mut self, size: Size, usage: B::Usage) -> bool {
        self.find(size, usage).is_some_and(|shelf| !shelf.pending.is_empty())
    }

    /// Moves what is done, of one size and usage or of all, to where it belongs.
    pub(super) fn settle(&mut self, backend: &B, only: Option<(Size, B::Usage)>, settled: &mut Settled<B>) {
        for at in 0..self.shelves.len() {
            let shelf = &self.shelves[at];
            let meant = only.is_none_or(|(size, usage)| {
                shelf.usage == usage && shelf.bytes == if size.beyond { 0 } else { size.bytes }
            });
            let mut place = 0;
            while meant && place < self.shelves[at].pending.len() {
                match self.shelves[at].pending[place].settle(backend) {
                    Ok(true) => {
                        if let Some(block) = self.shelves[at].pending.remove(place) {
                            self.sort_out(block, settled);
                        }
                    }
                    Ok(false) => place += 1,
                    Err(fault) => {
                        settled.fault = Some(fault);
                        return;
                    }
                }
            }
        }
    }

    /// Where a block goes that was pending and is done.
    fn sort_out(&mut self, block: Block<B>, settled: &mut Settled<B>) {
        if let Some(why) = block.doomed {
            self.leave(&block, Whereabouts::Pending);
            settled.doomed.push((block, why));
        } else if block.dirty {
            settled.dirty.push(block);
        } else {
            self.put(block, Whereabouts::Pending);
        }
    }

    /// What the idle block that goes first is worth.
    pub(super) fn coldest(&self, side: Side) -> Option<f64> {
        let borne = self.shelves.iter().filter(|shelf| side.bears(shelf.residence));
        let credits = borne.filter_map(|shelf| shelf.ready.front()).map(|block| block.credits[side as usize]);
        credits.reduce(f64::min)
    }

    pub(super) fn is_pending(&self, side: Side) -> bool {
        self.shelves.iter().any(|shelf| side.bears(shelf.residence) && !shelf.pending.is_empty())
    }

    /// Takes out the idle block that is worth least, if that is no more than `upto`.
    pub(super) fn take_coldest(&mut self, side: Side, upto: f64) -> Option<Block<B>> {
        let credit = |shelf: &Shelf<B>| shelf.ready.front().map(|block| block.credits[side as usize]);
        let borne = self.shelves.iter_mut().filter(|shelf| side.bears(shelf.residence));
        let with_credit = borne.filter_map(|shelf| credit(shelf).map(|credit| (credit, shelf)));
        let (credit, shelf) = with_credit.min_by(|a, b| a.0.total_cmp(&b.0))?;
        if credit > upto {
            return None;
        }
        let block = shelf.ready.pop_front()?;
        self.leave(&block, Whereabouts::Idle);
        Some(block)
    }

    /// Takes out the idle blocks for which `goes` says so.
    pub(super) fn take_idle(&mut self, mut goes: impl FnMut(&mut Block<B>) -> bool) -> Vec<Block<B>> {
        let mut gone = Vec::new();
        for at in 0..self.shelves.len() {
            let shelf = &mut self.shelves[at];
            for mut block in std::mem::take(&mut shelf.ready) {
                if goes(&mut block) {
                    gone.push(block);
                } else {
                    shelf.ready.push_back(block);
                }
            }
        }
        for block in &gone {
            self.leave(block, Whereabouts::Idle);
        }
        gone
    }

    /// What is in each idle buffer.
    #[cfg(all(test, not(larder_shuttle)))]
    pub(super) fn idle_values(&self, value: impl Fn(&B::Buffer) -> u64) -> Vec<u64> {
        self.shelves.iter().flat_map(|shelf| &shelf.ready).map(|block| value(&block.buffer)).collect()
    }

    /// Takes out all that is pending, whatever may touch it.
    pub(super) fn take_all_pending(&mut self) -> Vec<Block<B>> {
        let pending = self.shelves.iter_mut().flat_map(|shelf| std::mem::take(&mut shelf.pending));
        let gone: Vec<Block<B>> = pending.collect();
        for block in &gone {
            self.leave(block, Whereabouts::Pending);
        }
        gone
    }

    /// All that is pending goes as soon as nothing can touch it.
    pub(super) fn doom_pending(&mut self, why: Why) {
        for block in self.shelves.iter_mut().flat_map(|shelf| shelf.pending.iter_mut()) {
            block.doomed.get_or_insert(why);
        }
    }

    /// Fences of what is pending, each with the turn of its block.
    pub(super) fn fences(&self) -> impl Iterator<Item = (u64, Arc<B::Fence>)> + '_ {
        let pending = self.shelves.iter().flat_map(|shelf| &shelf.pending);
        pending.flat_map(|block| block.touched.iter().map(|mark| (block.turn, Arc::clone(&mark.fence))))
    }

    /// What is lent, in no order.
    pub(super) fn loans(&self) -> impl Iterator<Item = &Loan> {
        self.loans.iter().flatten()
    }

    /// Notes a loan; its number.
    pub(super) fn lend(&mut self, loan: Loan) -> LoanId {
        self.requested += loan.len;
        self.requested_total += loan.len;
        match self.vacant.pop() {
            Some(place) => {
                self.loans[place as usize] = Some(loan);
                LoanId(place)
            }
            None => {
                self.loans.push(Some(loan));
                LoanId((self.loans.len() - 1) as u32)
            }
        }
    }

    pub(super) fn end_loan(&mut self, LoanId(place): LoanId) {
        match self.loans[place as usize].take() {
            Some(loan) => {
                self.requested -= loan.len;
                self.vacant.push(place);
            }
            None => debug_assert!(false, "a loan ends once"),
        }
    }
}
