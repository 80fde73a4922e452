//! How objects are made and charged: each has a place within the bound first, or is beyond it.
//!
//! Constructors run outside every lock, with the place in hand, so that one that fails gives it back. Not here: when one
//! is needed.

use std::sync::Arc;

use super::{PoolCore, Refusal};
use crate::budget::Refused;
use crate::descriptor::Exhausted;
use crate::pool::magazine::Gate;
use crate::pool::node::{Facts, Kind, Node, Own, Way};
use crate::pool::shelf::Shelf;
use crate::stats::Count;
use crate::sync::Ordering;
use crate::time::{self, NEVER, Nanos};

/// A constructor at work. Dropped before it succeeded, it counts as a failure.
pub(in crate::pool) struct Run<'a, T> {
    pool: &'a PoolCore<T>,
    start: Nanos,
    failed: bool,
}

impl<'a, T> Run<'a, T> {
    pub(in crate::pool) fn start(pool: &'a PoolCore<T>) -> Self {
        Self { pool, start: pool.domain.now(), failed: true }
    }

    pub(in crate::pool) fn succeed(mut self) {
        let nanos = self.pool.domain.now().saturating_sub(self.start);
        self.failed = false;
        self.pool.costs.observe(nanos);
        self.pool.card.tally.load(nanos);
    }
}

impl<T> Drop for Run<'_, T> {
    fn drop(&mut self) {
        if self.failed {
            self.pool.card.tally.add(Count::LoadFailures, 1);
        }
    }
}

/// A place among the pool's objects, for one that is about to be made. Dropped, it goes to whoever waits.
pub(crate) struct Room<T>(pub(super) Option<Arc<PoolCore<T>>>);

impl<T> Room<T> {
    /// An object has it now.
    fn fill(mut self) {
        self.0 = None;
    }
}

impl<T> Drop for Room<T> {
    fn drop(&mut self) {
        if let Some(core) = self.0.take() {
            core.members.fetch_sub(1, Ordering::SeqCst);
            core.serve();
        }
    }
}

impl<T> PoolCore<T> {
    /// A place for one object more, if the bounds allow it.
    pub(in crate::pool) fn try_room(&self) -> Option<Room<T>> {
        loop {
            let max = self.max.load(Ordering::SeqCst);
            let counted = self.members.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |members| {
                (members < max).then_some(members + 1)
            });
            // Looked at again: either we see that the bound was lowered meanwhile, or who lowered it sees us.
            if counted.ok()? < self.max.load(Ordering::SeqCst) {
                break;
            }
            // Who found no room for our sake is served when what has it comes back, or by us.
            self.members.fetch_sub(1, Ordering::SeqCst);
        }
        if self.options.exhausted != Exhausted::Create && self.card.ceiling() < u64::MAX {
            let typical = self.typical.load(Ordering::Relaxed);
            if self.card.reservation.spent().saturating_add(typical) > self.card.ceiling() {
                self.members.fetch_sub(1, Ordering::SeqCst);
                return None;
            }
        }
        Some(Room(Some(self.me())))
    }

    /// Whether there may be room for one object more: a look, and no place taken.
    pub(super) fn may_have_room(&self) -> bool {
        self.members.load(Ordering::SeqCst) < self.max.load(Ordering::SeqCst)
    }

    /// A new object, within the bound if there is room.
    pub(super) fn make(&self, room: Option<Room<T>>) -> Result<Own<T>, Refusal> {
        self.card.tally.miss();
        self.make_uncounted(room)
    }

    /// The same, where nobody asked for it.
    fn make_uncounted(&self, room: Option<Room<T>>) -> Result<Own<T>, Refusal> {
        let run = Run::start(self);
        let object = (self.recipe.make)().map_err(Refusal::Failed)?;
        run.succeed();
        Ok(self.wrap(object, room, None))
    }

    /// A new object that the pool has nothing to do with.
    pub(in crate::pool) fn make_outside(&self) -> Result<Own<T>, Refusal> {
        let run = Run::start(self);
        let object = (self.recipe.make)().map_err(Refusal::Failed)?;
        run.succeed();
        Ok(self.outside(object))
    }

    pub(in crate::pool) fn outside(&self, object: T) -> Own<T> {
        let facts = Facts { shelf: None, heap: 0, charged: 0, until: NEVER, kind: Kind::Outside };
        Own::new(self.me(), object, facts)
    }

    /// A new object beyond every bound of the pool's.
    pub(in crate::pool) fn create(&self) -> Result<Own<T>, Refusal> {
        if self.is_bypassed() || self.gate.has(Gate::CLOSED) { self.make_outside() } else { self.make(None) }
    }

    /// Puts an object that was made on the books.
    pub(in crate::pool) fn wrap(&self, object: T, room: Option<Room<T>>, shelf: Shelf<T>) -> Own<T> {
        let heap = self.heap(&object, &shelf);
        let weight = Node::<T>::block() + heap;
        self.typical.store(weight, Ordering::Relaxed);
        let charged = self.charge(weight);
        let kind = if room.is_some() { Kind::Member } else { Kind::Surplus };
        let before = self.nodes.fetch_add(1, Ordering::SeqCst);
        self.depths.made(before + 1);
        if before == 0 {
            self.publish();
        }
        if let Some(room) = room {
            room.fill();
        }
        let facts = Facts { shelf, heap, charged, until: self.end_of_life(), kind };
        let mut own = Own::new(self.me(), object, facts);
        if self.looks {
            // It may wait before its first lease.
            own.since = self.domain.clock.recent();
        }
        own.way = self.way_of(&own);
        own
    }

    /// When a new object's lifetime is over: some sooner than others, so that they do not all end at once.
    fn end_of_life(&self) -> Nanos {
        let Some(lifetime) = self.options.lifetime else { return NEVER };
        let nodes = self.card.tally.loads();
        // Steps of the golden section are spread evenly, however many there are.
        let part = (nodes as f64 * 0.618_033_988_749_895).fract();
        let lived = time::nanos(lifetime) as f64 * (1.0 - self.options.jitter * part);
        self.domain.now().saturating_add(lived as Nanos)
    }

    /// How an object is to come back.
    pub(super) fn way_of(&self, node: &Node<T>) -> Way {
        let is_near = node.kind == Kind::Member
            && node.charged > 0
            && node.weight() <= self.large
            && node.heap <= self.options.max_object
            && self.most > 0;
        match (is_near, self.keeps) {
            (false, _) => Way::Afar,
            (true, false) => Way::Near,
            (true, true) => Way::Plain,
        }
    }

    /// Heap bytes of an object, and what it takes to tell where it belongs.
    pub(in crate::pool) fn heap(&self, object: &T, shelf: &Shelf<T>) -> u64 {
        self.recipe.heap_of(object) + shelf.as_ref().map_or(0, |place| place.bytes())
    }

    /// Charges an object as far as there can be made room for it: wholly, or not at all, which is noted.
    fn charge(&self, bytes: u64) -> u64 {
        if !self.card.is_covered() {
            self.domain.cover(&self.card);
        }
        let mut futile = 0;
        while futile < 8 {
            match self.card.reservation.try_grow(bytes, self.card.ceiling()) {
                Ok(()) => return bytes,
                Err(Refused::Ceiling { over }) => {
                    let dropped = self.drop_coldest(over, f64::INFINITY);
                    self.card.tally.add(Count::Evictions, dropped.count);
                    if dropped.count == 0 {
                        // What is idle may lie with threads.
                        futile += 1;
                        self.gather();
                        if self.depot.len() == 0
                            && !(self.tenant.has_several() && self.tenant.make_way(over).count > 0)
                        {
                            break;
                        }
                    }
                }
                Err(Refused::Budget { short }) => {
                    let freed = self.domain.relief().make_room(&self.domain, &self.card, short);
                    // Of a pool that is bound to its thread the thread itself has to take it.
                    futile += u32::from(freed == 0 && !self.heed());
                }
            }
        }
        self.uncharged.fetch_add(bytes, Ordering::Relaxed);
        0
    }

    /// Makes objects until as many are idle as always should be.
    pub(in crate::pool) fn fill_up(&self) {
        while (self.idle() as u64) < self.options.min_idle
            && !self.gate.has(Gate::CLOSED)
            && let Some(room) = self.try_room()
        {
            let Ok(own) = self.make_uncounted(Some(room)) else { return };
            if own.charged == 0 {
                return;
            }
            self.stow_back(own);
        }
    }

    /// An object that was made for a shelf. Where the pool is full it takes the place of the one that waited longest:
    /// what waits on other shelves is not what is wanted.
    pub(in crate::pool) fn fill_shelf(&self, object: T, shelf: Shelf<T>) -> Own<T> {
        if self.is_bypassed() || self.is_closed() {
            return self.outside(object);
        }
        let room = self.try_room().or_else(|| {
            let dropped = self.drop_coldest(1, f64::INFINITY);
            self.card.tally.add(Count::Evictions, dropped.count);
            self.try_room()
        });
        // While memory may be taken: what comes back needs none.
        let more = self
            .depot
            .expect(usize::try_from(self.members.load(Ordering::Relaxed)).unwrap_or(usize::MAX >> 1));
        if more > 0 {
            self.card.add_base(more);
            self.charge_base();
        }
        self.wrap(object, room, shelf)
    }
}
