//! How entries go: out of table, order and wheel into limbo, and out of limbo when nobody reads them any more.
//!
//! What is mostly empty is given back on the way. Nothing is dropped here: what leaves is handed out.

use std::cell::Cell;

use smallvec::SmallVec;

use super::{Inner, Shard, View, Writer, hash_at, high_at, reserve};
use crate::expiry::Turned;
use crate::grace;
use crate::policy::Moment;
#[cfg(feature = "tiers")]
use crate::policy::Node;
use crate::removal::RemovalCause;
use crate::store::few::Few;
use crate::store::pages::Filling;
use crate::store::table::Shape;
use crate::sync::pause;
use crate::time::Nanos;

/// How often a writer looks whether the last readers are done; they need a fraction of a microsecond, unless they
/// were interrupted or clone something huge.
pub(in crate::store) const PATIENCE: u32 = 128;

/// So many slots in limbo are worth waiting for.
const CROWDED: usize = 64;

/// An entry that is to go, and is not in the order any more.
#[derive(Clone, Copy, Debug)]
pub(in crate::store) struct Picked {
    pub(in crate::store) index: u32,
    /// Its heap bytes, which stay reserved until it comes out of limbo.
    pub(in crate::store) heap: u64,
    /// Where victims go in the order of it.
    pub(in crate::store) credit: Option<f64>,
}

/// Entries out of limbo: off the books, to be dropped with no lock held.
#[must_use]
#[derive(Debug)]
pub(crate) struct Leaving<K, V> {
    /// Left out where nobody needs them: of shards that are patient.
    entries: Departed<K, V>,
    /// Heap bytes that went back to the budget with them.
    pub(crate) heap: u64,
}

/// Entries, why they left, and what was known of them.
pub(crate) type Departed<K, V> = SmallVec<[(K, V, RemovalCause, Parting); 1]>;

/// What is known of an entry that left, for the tiers below. Nothing where there are none.
#[cfg(not(feature = "tiers"))]
#[derive(Clone, Copy, Debug)]
pub(crate) struct Parting;

/// What is known of an entry that left, for the tiers below.
#[cfg(feature = "tiers")]
#[derive(Clone, Copy, Debug)]
pub(crate) struct Parting {
    /// The lower half of the hash.
    pub(crate) hash: u32,
    /// What a miss costs, as a byte of [`crate::cost`]; of meaning where it made room.
    pub(crate) cost: u8,
    /// The user's factor, likewise.
    pub(crate) factor: i8,
    /// Its heap bytes.
    pub(crate) heap: u64,
    /// When it is too old, however much it is used.
    pub(crate) deadline: Nanos,
    /// When it is too old if nobody uses it.
    pub(crate) idle: Nanos,
    /// When it left, as [`tier`](crate::tier) counts changes; of meaning where it made room.
    pub(crate) left: u64,
}

impl<K, V> Default for Leaving<K, V> {
    fn default() -> Self {
        Self { entries: SmallVec::new(), heap: 0 }
    }
}

impl<K, V> Leaving<K, V> {
    pub(in crate::store) fn join(&mut self, other: Self) {
        self.heap += other.heap;
        if self.entries.is_empty() {
            self.entries = other.entries;
        } else {
            for entry in other.entries {
                self.entries.push(entry);
            }
        }
    }

    /// What has left, to be dropped or told of.
    pub(crate) fn into_entries(self) -> Departed<K, V> {
        self.entries
    }
}

/// How much waiting is worth it to get entries out of limbo.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) enum Collect {
    /// When there are many, or when they have something to drop.
    Lazily,
    /// Now, because their bytes are needed.
    Now,
}

/// Has at hand what the table will want of these slots, which are filled.
fn look_ahead<K, V>(shard: &Shard<K, V>, shape: &Shape, filling: &Filling, slots: &[u32]) {
    shard.table.look_ahead(shape, slots.iter().map(|&slot| hash_at(shard, filling, slot)));
}

impl<K, V> Writer<'_, K, V> {
    /// Takes an entry out of table, order and wheel.
    pub(super) fn unlink(&mut self, index: u32, cause: RemovalCause) {
        self.leave_order(index);
        self.take_out(index, cause);
    }

    /// Takes out the entry of a slot that is not in the order any more; returns its heap bytes.
    pub(super) fn take_out(&mut self, index: u32, cause: RemovalCause) -> u64 {
        self.inner.unpublished = self.inner.unpublished.saturating_add(1);
        let Self { shard, inner, reservation, .. } = self;
        let Inner { shape, filling, limbo, wheel, charged, .. } = &mut **inner;
        let hash = hash_at(shard, filling, index);
        #[cfg(feature = "tiers")]
        let cost = shard.pages.slot_mine(filling, index).fixed().cost();
        shard.pages.slot_mine(filling, index).denounce();
        if shard.table.remove(shape, hash, index) {
            let extra = Cell::new(0);
            let reserve = |bytes| reserve(reservation, &extra, bytes);
            shard.table.shrink(shape, hash, limbo, &reserve, &|index| high_at(shard, filling, index));
            *charged += extra.get();
        }
        if let Some(wheel) = wheel {
            wheel.cancel(index);
        }
        #[cfg(feature = "tiers")]
        self.note_parting(index, cost);
        self.bury(index, cause)
    }

    /// Notes what tiers below want to know of an entry that is out of order and table.
    #[cfg(feature = "tiers")]
    fn note_parting(&mut self, index: u32, cost: u8) {
        if !self.inner.patient {
            let Self { shard, inner, .. } = self;
            // Read under the shard's lock: who changes the key after this does so after it was read.
            let node = Node::parting(crate::tier::changes(), cost);
            shard.pages.own_mut(&mut inner.filling, index).node = node;
        }
    }

    /// Puts a slot that is out of the table into limbo; returns its heap bytes.
    pub(super) fn bury(&mut self, index: u32, cause: RemovalCause) -> u64 {
        let Self { shard, inner, .. } = self;
        let Inner { filling, limbo, .. } = &mut **inner;
        shard.pages.bury(filling, index, cause, limbo)
    }

    /// Takes out the entry with this key.
    pub(in crate::store) fn remove(
        &mut self,
        hash: u64,
        eq: impl FnMut(&K) -> bool,
        cause: RemovalCause,
    ) -> bool {
        let found = self.find(hash, eq);
        found.is_some_and(|index| {
            self.unlink(index, cause);
            true
        })
    }

    /// Takes out the entry with this key if it is expired by `now`.
    pub(in crate::store) fn remove_expired(
        &mut self,
        hash: u64,
        eq: impl FnMut(&K) -> bool,
        now: Nanos,
    ) -> bool {
        let found = self.find(hash, eq).filter(|&index| self.shard.deadline(index) <= now);
        found.is_some_and(|index| {
            self.unlink(index, RemovalCause::Expired);
            true
        })
    }

    /// Takes the entry that is worth least out of the order, if it takes no more than `most` bytes.
    /// [`evict`](Self::evict) takes it out of all else.
    pub(in crate::store) fn pick(&mut self, moment: Moment, most: u64) -> Option<Picked> {
        let Self { shard, inner, .. } = self;
        let Inner { filling, order, .. } = &mut **inner;
        let mut slots = View { shard, filling };
        let index = order.victim(&mut slots, moment)?;
        if slots.weight(index) > most {
            return None;
        }
        let credit = order.credit_of(index, &slots);
        order.evict(index, &mut slots);
        Some(Picked { index, heap: shard.pages.heap(filling, index), credit })
    }

    /// Lets the order take over all uses, before slots can no longer say when those were.
    pub(in crate::store) fn settle_uses(&mut self, moment: Moment) {
        let Self { shard, inner, .. } = self;
        let Inner { filling, order, .. } = &mut **inner;
        order.settle_all(&mut View { shard, filling }, moment);
    }

    /// Takes out the entries of slots that were picked.
    pub(in crate::store) fn evict(&mut self, picked: &[u32], cause: RemovalCause) {
        if picked.len() > 1 {
            look_ahead(self.shard, &self.inner.shape, &self.inner.filling, picked);
        }
        for &index in picked {
            self.take_out(index, cause);
        }
    }

    /// Takes out what is expired by `now`, looking at no more than `most` slots. Returns how many entries left,
    /// and whether that was all; if not, the next call goes on.
    pub(in crate::store) fn expire(&mut self, now: Nanos, most: usize) -> (u64, bool) {
        let (mut expired, mut looks) = (0, most);
        if self.next_due() > now {
            return (0, true);
        }
        loop {
            let Self { shard, inner, .. } = self;
            let Some(wheel) = &mut inner.wheel else { return (expired, true) };
            // Slots in the wheel are filled.
            match wheel.advance(now, &mut looks, &|index| shard.deadline(index)) {
                Turned::Due(index) => {
                    self.unlink(index, RemovalCause::Expired);
                    expired += 1;
                }
                Turned::Paused => return (expired, false),
                Turned::Done => return (expired, true),
            }
        }
    }

    /// Takes everything out; returns how many entries that were.
    pub(in crate::store) fn drain(&mut self, cause: RemovalCause) -> u64 {
        let Self { shard, inner, reservation, .. } = self;
        let Inner { shape, filling, limbo, order, wheel, .. } = &mut **inner;
        let entries = shape.len() as u64;
        shard.table.each(shape, |index| {
            if shard.pages.own(filling, index).pinned {
                reservation.unpin(View { shard, filling }.weight(index));
            }
            shard.pages.bury(filling, index, cause, limbo);
        });
        shard.table.clear(shape, limbo);
        order.clear();
        *wheel = None;
        inner.recount::<K, V>();
        entries
    }

    /// Empties limbo if it is worth it and nobody reads any more what is there. Call it when nothing more is to be
    /// unlinked; what is `leaving` is off the books.
    pub(in crate::store) fn collect(&mut self, how: Collect, leaving: &mut Leaving<K, V>) {
        let empty = self.inner.shape.len() == 0;
        if how == Collect::Lazily && self.inner.patient && !empty && self.inner.limbo.heap == 0 {
            // Nothing that waits has anything to drop: a sixteenth of the slots may, and what a table that grows leaves
            // behind, up to some large blocks.
            let many = (self.inner.filling.slots() / 16).clamp(64, 1024);
            let much = (self.inner.charged / 32).clamp(2 << 10, 64 << 10);
            if self.inner.limbo.slots < many && self.inner.limbo.allocated() < much {
                return;
            }
        }
        // Whoever comes next can try again: nobody waits for readers before much has come together.
        let hurry = how == Collect::Now || self.inner.limbo.slots >= CROWDED;
        if !self.waits() || !self.await_readers(if hurry { PATIENCE } else { 1 }) {
            return;
        }
        // SAFETY: no reader is left that began before the last slot came.
        let heap = unsafe { self.take_limbo(leaving) };
        let Self { shard, inner, .. } = self;
        let Inner { filling, limbo, .. } = &mut **inner;
        shard.pages.thaw(filling, limbo);
        // SAFETY: no reader is left.
        unsafe { limbo.free_blocks() };
        self.tidy(how);
        // What tidying up put there is not read by many: new readers do not find it.
        let more = !self.inner.limbo.is_empty() || self.inner.filling.is_retiring();
        if more && self.await_readers(1) {
            let Inner { filling, limbo, .. } = &mut *self.inner;
            self.shard.pages.thaw(filling, limbo);
            // SAFETY: no reader is left.
            unsafe { limbo.free_blocks() };
            self.shrink_directory();
            if !self.inner.limbo.is_empty() && self.await_readers(1) {
                // SAFETY: no reader is left.
                unsafe { self.inner.limbo.free_blocks() };
            }
        }
        self.reservation.shrink(heap);
    }

    /// Empties the slots in limbo; returns their heap bytes, which are still to be given back.
    ///
    /// # Safety
    ///
    /// No reader may be left that began before the last slot came.
    unsafe fn take_limbo(&mut self, leaving: &mut Leaving<K, V>) -> u64 {
        let Self { shard, inner, .. } = self;
        let Inner { filling, limbo, patient, .. } = &mut **inner;
        let heap = limbo.heap;
        leaving.heap += heap;
        let keep = |(key, value), cause, parting| {
            if !*patient {
                leaving.entries.push((key, value, cause, parting));
            }
        };
        // SAFETY: by the caller's promise.
        unsafe { shard.pages.take_all(filling, limbo, keep) };
        heap
    }

    /// Takes everything out at once, because the store goes. What is given back waits for no reader.
    ///
    /// # Safety
    ///
    /// Nobody reads any more, nor will.
    pub(in crate::store) unsafe fn dissolve(&mut self) -> (u64, Leaving<K, V>) {
        let entries = self.drain(RemovalCause::Dropped);
        let mut leaving = Leaving::default();
        // SAFETY: by the caller's promise.
        let heap = unsafe { self.take_limbo(&mut leaving) };
        let charged = self.forget();
        self.reservation.shrink(heap + charged);
        (entries, leaving)
    }

    /// Waits until nobody reads what is in limbo; not for long, and not at all for ourselves.
    pub(in crate::store) fn await_readers(&mut self, patience: u32) -> bool {
        let layout = self.era.layout();
        let relocated = self.relocate(layout);
        if !self.await_era(patience) {
            return false;
        }
        // Who read since before may have noted an address in what has moved: the first under this layout.
        let noted = !relocated && self.relocate(layout);
        self.inner.filling.has_moved = false;
        !noted || self.await_era(patience)
    }

    /// Has readers look elsewhere than at addresses in what has moved, if one was noted under this layout or since. Says
    /// whether.
    fn relocate(&mut self, layout: u32) -> bool {
        let moves = self.inner.filling.has_moved && self.era.is_noted_since(layout);
        if moves {
            self.era.relocate();
            self.inner.filling.has_moved = false;
        }
        moves
    }

    /// Waits until nobody reads any more who began before.
    fn await_era(&mut self, patience: u32) -> bool {
        let era = self.era;
        let ended = era.turn();
        if !era.settle() {
            return false;
        }
        let patience = if grace::is_reading() { 1 } else { patience };
        (0..patience).any(|attempt| {
            if attempt > 0 {
                pause(attempt);
            }
            era.is_over(ended)
        })
    }

    /// Gives up pages and arrays that are mostly empty. No slot is in limbo.
    fn tidy(&mut self, how: Collect) {
        let Inner { shape, filling, limbo, order, wheel, patient, .. } = &mut *self.inner;
        if shape.len() == 0 {
            self.shard.table.clear(shape, limbo);
            self.shard.pages.clear(filling, limbo);
            order.clear();
            *wheel = None;
            self.inner.recount::<K, V>();
            return;
        }
        // More than limbo takes and gives back in turn, unless somebody needs the bytes.
        let slack = match how {
            Collect::Lazily if *patient => 3 * (filling.slots() / 16).clamp(64, 1024) / 2,
            Collect::Lazily => 32,
            Collect::Now => 8,
        };
        while self.shard.pages.is_sparse(&self.inner.filling, slack) && self.retire_page() {}
        let Inner { shape, filling, order, wheel, .. } = &mut *self.inner;
        order.shrink();
        if let Some(wheel) = wheel {
            wheel.shrink(filling.bound::<K, V>(), shape.len());
        }
        self.inner.recount::<K, V>();
    }

    /// Moves the entries of the last page to others, so that it can be given up; `false` where that cannot be done now.
    ///
    /// They are out of the table meanwhile, for as long as readers need who look at them, a fraction of a microsecond:
    /// who looks them up just then misses them. What readers can look at is never copied.
    fn retire_page(&mut self) -> bool {
        let Self { shard, inner, reservation, .. } = self;
        let Inner { shape, filling, charged, .. } = &mut **inner;
        let extra = Cell::new(0);
        let reserve = |bytes| reserve(reservation, &extra, bytes);
        let entries = shard.pages.entries_to_move(filling, &reserve);
        *charged += extra.get();
        let Some(entries) = entries else { return false };
        look_ahead(shard, shape, filling, &entries);
        // Their hashes and costs.
        let mut hidden = [(0, 0); Few::MOST];
        for (&index, hidden) in entries.iter().zip(&mut hidden) {
            let (slot, hash) = (shard.pages.slot_mine(filling, index), hash_at(shard, filling, index));
            *hidden = (hash, slot.fixed().cost());
            slot.denounce();
            shard.table.remove(shape, hash, index);
        }
        let is_over = self.await_readers(PATIENCE);
        let Self { shard, inner, .. } = self;
        let Inner { shape, filling, order, wheel, .. } = &mut **inner;
        let mut show = |filling: &Filling, index: u32, hash: u32, cost: u8| {
            shard.table.insert(shape, hash, index, None);
            shard.pages.slot_mine(filling, index).announce(cost);
        };
        if !is_over {
            for (&index, &(hash, cost)) in entries.iter().zip(&hidden) {
                show(filling, index, hash, cost);
            }
            shard.pages.stay(filling, &entries);
            return false;
        }
        let mut hidden = hidden.iter();
        let moved = |filling: &mut Filling, from: u32, to: u32| {
            if let Some(&(hash, cost)) = hidden.next() {
                show(filling, to, hash, cost);
            }
            if !shard.pages.own(filling, to).pinned {
                order.renamed(from, to, &mut View { shard, filling });
            }
            if let Some(wheel) = wheel {
                wheel.renamed(from, to);
            }
        };
        // SAFETY: they are out of the table, and nobody reads any more who began before.
        unsafe { shard.pages.retire(filling, &entries, moved) };
        true
    }

    /// Gives up a directory of pages that is mostly empty.
    fn shrink_directory(&mut self) {
        let Self { shard, inner, reservation, .. } = self;
        let Inner { filling, limbo, charged, .. } = &mut **inner;
        let extra = Cell::new(0);
        shard.pages.shrink(filling, limbo, &|bytes| reserve(reservation, &extra, bytes));
        *charged += extra.get();
    }
}
