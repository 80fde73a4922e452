//! One shard: a table from hash to slot, the slots, and their order of eviction; how readers see it, and its books.
//!
//! Readers take no lock: they read under the store's [`Era`]. Writers hold the lock of the shard's place, one at a
//! time, and see it as a [`Writer`]; what they unlink goes to limbo and comes out as [`Leaving`] after a grace period,
//! to be dropped outside. Under the lock run a key's `Eq` and an order of the user's own, and no other code of users; under a
//! read, a value's `Clone` as well. A panic in `Eq` comes before anything has changed, so it leaves the shard valid.

mod deadlines;
mod leave;
mod link;
mod pins;
mod sight;
mod standing;
#[cfg(any(test, feature = "__validate"))]
mod validate;

pub(super) use leave::{Collect, PATIENCE};
pub(crate) use leave::{Departed, Leaving, Parting};
pub(crate) use link::{Displaced, Entry, NotLinked};
pub(super) use link::{Over, Room, Terms};
pub(crate) use sight::NotReweighed;
pub(super) use sight::Sighted;
pub(crate) use standing::Standing;
#[cfg(any(test, feature = "__validate"))]
pub(crate) use validate::Count;

use std::cell::{Cell, UnsafeCell};

use super::limbo::Limbo;
use super::pages::{Filling, Own, Pages, Slot, State};
use super::table::{Growth, Shape, Table};
use crate::budget::Reservation;
use crate::expiry::{Expires, Wheel};
use crate::grace::Era;
use crate::policy::{Facts, Front, Node, Order, Slots, Touch};
use crate::sync::Ordering;
use crate::time::{NEVER, Nanos};
use crate::weight::weigh::allocation;

/// What one shard holds. The store makes it with its first entry and frees it with its last.
pub(super) struct Shard<K, V> {
    table: Table,
    pages: Pages<K, V>,
    /// How the entries expire; the same for all shards of a store.
    expires: Expires,
    /// Only for who has the lock of the shard's place.
    inner: UnsafeCell<Inner>,
}

/// The writer's part.
struct Inner {
    shape: Shape,
    filling: Filling,
    limbo: Limbo,
    /// Exactly the filled slots, without those that are pinned.
    order: Order,
    /// The filled slots that expire. `None` while the shard is empty, and always where nothing expires.
    wheel: Option<Box<Wheel>>,
    /// Bytes of the shard itself and all these that the reservation was charged.
    charged: u64,
    /// Entries ever linked here; paces the store's tick.
    linked: u64,
    /// The version of the next entry.
    version: u32,
    /// Entries that came or left since what the shard publishes was up to date.
    unpublished: u8,
    /// Bytes of the shard itself, the order and the wheel, as allocated: they change only where room is made or given
    /// up, and are counted there.
    rest: u64,
    /// A shard as heavy as this evicts its own: it is among the heaviest.
    heavy: u64,
    /// Entries can stay in limbo: they have nothing to drop, and nobody wants to hear of them.
    patient: bool,
}

/// A shard with its lock held.
pub(super) struct Writer<'a, K, V> {
    shard: &'a Shard<K, V>,
    inner: &'a mut Inner,
    era: &'a Era,
    reservation: &'a Reservation,
}

// SAFETY: entries are reached through `&Shard` by readers (`&K`, `&V`: `Sync`) and handed out to be dropped by
// whichever thread writes (`Send`). Slots are written under the lock only, and only out of readers' reach.
unsafe impl<K: Send + Sync, V: Send + Sync> Sync for Shard<K, V> {}
// SAFETY: the shard owns its entries.
unsafe impl<K: Send, V: Send> Send for Shard<K, V> {}

impl<K, V> Shard<K, V> {
    /// What an entry takes beside its heap bytes: its slot, its place in the order, its part of a table
    /// that is three quarters full.
    pub(super) const SLOT_BYTES: u64 = (size_of::<Slot<K, V>>() + 16 + 7) as u64;

    /// Whether entries can stay in limbo, where only their slots wait: if they have nothing to drop, and none is wanted
    /// `singly`.
    pub(super) const fn is_patient(singly: bool) -> bool {
        !std::mem::needs_drop::<(K, V)>() && !singly
    }

    /// Bytes of the shard itself.
    const BYTES: usize = size_of::<Self>();

    /// An empty shard. Allocates nothing and charges nothing: its own block is charged with its first entry.
    pub(super) fn new(expires: Expires, order: Order, patient: bool) -> Self {
        /// Where the versions of the next shard start: apart from those of earlier ones in its place. Only counts, so
        /// no model needs to control it.
        static VERSIONS: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
        let version = VERSIONS.fetch_add(0x9E37_79B9, std::sync::atomic::Ordering::Relaxed);
        Self {
            table: Table::new(),
            pages: Pages::new(),
            expires,
            inner: UnsafeCell::new(Inner {
                shape: Shape::default(),
                filling: Filling::new(expires),
                limbo: Limbo::new(),
                order,
                wheel: None,
                charged: 0,
                linked: 0,
                version,
                unpublished: 0,
                rest: 0,
                heavy: 0,
                patient,
            }),
        }
    }

    /// Bytes that an entry occupies, all in all.
    fn weight(&self, filling: &Filling, slot: u32) -> u64 {
        self.pages.heap(filling, slot) + Self::SLOT_BYTES
    }

    /// The most bytes that a first entry is charged beside its heap.
    pub(super) fn first_bytes(expires: Expires, order: Order) -> u64 {
        let mut shard = Self::new(expires, order, true);
        let Self { table, inner, .. } = &mut shard;
        inner.get_mut().after_one_more::<K, V>(table, expires, 0, 1, 0, true).1
    }

    /// Finds an entry and calls `found` with it, its value and its cost.
    ///
    /// # Safety
    ///
    /// The caller reads under the store's era, since before it had the shard.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(super) unsafe fn find<R>(
        &self,
        hash: u64,
        mut eq: impl FnMut(&K) -> bool,
        found: impl FnOnce(u32, &Slot<K, V>, &V, u8) -> R,
    ) -> Option<R> {
        let hash = hash as u32;
        let is = |index| {
            // SAFETY: the index comes from the table, under the era.
            let slot = unsafe { self.pages.slot(index) };
            // SAFETY: the table leads to slots that are filled, or were and are in limbo until we are done.
            let (fixed, key) = (slot.fixed(), unsafe { slot.key() });
            (fixed.may_be(hash) && eq(key)).then_some((index, slot, fixed.cost()))
        };
        // SAFETY: we read under the era.
        let (index, slot, cost) = unsafe { self.table.find(hash, is) }?;
        // SAFETY: as for the key.
        Some(found(index, slot, unsafe { slot.value() }, cost))
    }

    /// [`find`](Self::find), unless the entry is expired. `used` says whether this is a use.
    ///
    /// # Safety
    ///
    /// As for [`find`](Self::find).
    pub(super) unsafe fn find_fresh<R>(
        &self,
        hash: u64,
        eq: impl FnMut(&K) -> bool,
        now: impl FnOnce() -> Nanos,
        used: bool,
        found: impl FnOnce(&Slot<K, V>, &V) -> R,
    ) -> super::Probe<R> {
        let look = |index, slot: &Slot<K, V>, value: &V, cost| {
            let fresh = self.expires == Expires::Never || self.is_fresh(index, now, used);
            if fresh { super::Probe::Hit(found(slot, value), cost) } else { super::Probe::Expired }
        };
        // SAFETY: by the caller's promise.
        let fresh = unsafe { self.find(hash, eq, look) };
        fresh.unwrap_or(super::Probe::Absent)
    }

    /// Whether an entry that was just found is still good `now`; if it is `used`, notes that.
    #[inline(never)]
    fn is_fresh(&self, index: u32, now: impl FnOnce() -> Nanos, used: bool) -> bool {
        let deadline = self.deadline(index);
        if deadline == NEVER {
            return true;
        }
        let now = now();
        if deadline <= now {
            return false;
        }
        if used && matches!(self.expires, Expires::ByUse(_)) {
            // SAFETY: the caller reads under the era.
            let noted = unsafe { self.pages.used(index) };
            // Looked at first: most hits come while the clock stands still, and write nothing. A use that another
            // thread noted with a later time stands.
            if noted.load(Ordering::Relaxed) < now {
                noted.fetch_max(now, Ordering::Relaxed);
            }
        }
        true
    }

    /// When a slot expires, by age or for want of use. For readers under the era, and the writer.
    pub(super) fn deadline(&self, index: u32) -> Nanos {
        // SAFETY: the caller reads under the era, or writes; the columns exist where these variants say so.
        unsafe {
            match self.expires {
                Expires::Never => NEVER,
                Expires::ByAge => self.pages.deadline(index).load(Ordering::Relaxed),
                Expires::ByUse(tti) => {
                    let idle = self.pages.used(index).load(Ordering::Relaxed).saturating_add(tti);
                    idle.min(self.pages.deadline(index).load(Ordering::Relaxed))
                }
            }
        }
    }

    /// Lets `with` see the entry of a slot that was filled when it was found, if it is not expired.
    ///
    /// # Safety
    ///
    /// The caller reads under the store's era since before the slot was found in this shard.
    pub(super) unsafe fn show<R>(
        &self,
        index: u32,
        now: impl FnOnce() -> Nanos,
        with: impl FnOnce(&K, &V) -> R,
    ) -> Option<R> {
        // SAFETY: by the caller's promise the slot is not emptied while we read.
        let slot = unsafe { self.pages.slot(index) };
        let deadline = self.deadline(index);
        // SAFETY: as above.
        (deadline == NEVER || deadline > now()).then(|| unsafe { with(slot.key(), slot.value()) })
    }

    /// The shard for who may change it.
    ///
    /// # Safety
    ///
    /// The caller has the lock of the shard's place while the writer lives, and no other writer of it.
    pub(super) unsafe fn writer<'a>(
        &'a self,
        era: &'a Era,
        reservation: &'a Reservation,
    ) -> Writer<'a, K, V> {
        // SAFETY: by the caller's promise nobody else has it.
        let inner = unsafe { &mut *self.inner.get() };
        Writer { shard: self, inner, era, reservation }
    }
}

impl<K, V> Drop for Shard<K, V> {
    fn drop(&mut self) {
        let Inner { shape, filling, limbo, .. } = self.inner.get_mut();
        // SAFETY: whoever drops a shard is alone with it.
        unsafe {
            self.table.free(shape);
            limbo.free_blocks();
            self.pages.free(filling);
        }
    }
}

impl<K, V> Writer<'_, K, V> {
    pub(super) fn len(&self) -> usize {
        self.inner.shape.len()
    }

    /// How many were ever linked here.
    pub(super) fn linked(&self) -> u64 {
        self.inner.linked
    }

    /// Bytes of everything but entries' heaps that the reservation was charged.
    pub(super) fn charged(&self) -> u64 {
        self.inner.charged
    }

    fn find(&self, hash: u64, mut eq: impl FnMut(&K) -> bool) -> Option<u32> {
        let hash = hash as u32;
        let Inner { shape, filling, .. } = &*self.inner;
        self.shard.table.find_mine(shape, hash, |index| {
            let slot = self.shard.pages.slot_mine(filling, index);
            // SAFETY: the table leads to filled slots.
            slot.fixed().may_be(hash) && eq(unsafe { slot.key() })
        })
    }

    fn own(&self, index: u32) -> Own {
        self.shard.pages.own(&self.inner.filling, index)
    }

    /// [`Inner::settle`].
    pub(super) fn settle(&mut self, most: u64) {
        self.inner.settle::<K, V>(self.reservation, most);
    }

    /// Whether the shard itself may go: it is empty, nobody reads what was in it, and that gives back no more than
    /// `most` bytes.
    pub(super) fn is_vacant(&self, most: u64) -> bool {
        self.inner.shape.len() == 0 && self.inner.limbo.is_empty() && self.inner.charged <= most
    }

    /// Takes the shard off the books, before it goes; returns the bytes.
    pub(super) fn forget(&mut self) -> u64 {
        std::mem::take(&mut self.inner.charged)
    }

    /// Something waits until nobody reads it any more.
    pub(super) fn waits(&self) -> bool {
        !self.inner.limbo.is_empty() || self.inner.filling.is_retiring()
    }

    /// Bytes that leave, more or less, when nobody reads any more what waits for that.
    pub(super) fn waiting(&self) -> u64 {
        let limbo = &self.inner.limbo;
        limbo.heap + limbo.slots as u64 * Shard::<K, V>::SLOT_BYTES + limbo.allocated()
    }

    /// Whether what the shard publishes may wait: it says how heavy the shard is, and little has changed.
    pub(super) fn may_wait(&self) -> bool {
        /// So many entries come or leave before it is said again.
        const PATIENT: u8 = 16;
        /// In a shard of fewer each counts.
        const FEW: usize = 128;
        let Inner { order, shape, unpublished, .. } = &*self.inner;
        *unpublished < PATIENT && shape.len() >= FEW && order.load().is_some()
    }

    /// What is published is up to date; the heaviest shard of all weighs this.
    pub(super) fn published(&mut self, heaviest: u64) {
        self.inner.unpublished = 0;
        self.inner.heavy = heaviest - heaviest / 16;
    }

    /// What is known of the next victim.
    pub(super) fn front(&mut self) -> Option<Front> {
        let Inner { filling, order, .. } = &mut *self.inner;
        order.front(&View { shard: self.shard, filling })
    }

    /// No entry expires earlier; `NEVER` if none does.
    pub(super) fn next_due(&self) -> Nanos {
        self.inner.wheel.as_ref().map_or(NEVER, |wheel| wheel.next())
    }
}

impl Inner {
    /// What must change before one more entry fits, and the most bytes of everything after that, the shard itself
    /// included. `new` says that the entry takes no other's place in table and queue.
    fn after_one_more<K, V>(
        &self,
        table: &Table,
        expires: Expires,
        hash: u32,
        heap: u64,
        now: Nanos,
        new: bool,
    ) -> (Growth, u64) {
        let Self { shape, filling, limbo, order, wheel, .. } = self;
        let (growth, more) = if new { table.growth(shape, hash) } else { (Growth::None, 0) };
        let (slots, entries) = (filling.bound_for_one_more::<K, V>(), shape.len() + 1);
        // Made on the stack, because the box is an allocation that must be reserved first.
        let first = (wheel.is_none() && expires != Expires::Never).then(|| Wheel::new(now));
        let wheel = match wheel.as_deref().or(first.as_ref()) {
            Some(wheel) => allocation(size_of::<Wheel>()) + wheel.allocated_for(slots, entries),
            None => 0,
        };
        let after = allocation(Shard::<K, V>::BYTES)
            + shape.allocated()
            + more
            + filling.allocated()
            + filling.growth::<K, V>(heap)
            + limbo.allocated()
            + order.allocated_for_one_more()
            + wheel;
        (growth, after)
    }

    /// Gives back what the shard no longer occupies, at most so many bytes: the rest stays charged until the next
    /// time.
    fn settle<K, V>(&mut self, reservation: &Reservation, most: u64) {
        debug_assert!(self.rest == 0 || self.rest == self.rest_now::<K, V>(), "counted wherever it changes");
        let rest = if self.rest == 0 { self.rest_now::<K, V>() } else { self.rest };
        let actual = rest + self.shape.allocated() + self.filling.allocated() + self.limbo.allocated();
        debug_assert!(
            actual <= self.charged || self.charged == 0,
            "grew to {actual} bytes with {} reserved",
            self.charged
        );
        let surplus = self.charged.saturating_sub(actual).min(most);
        if surplus > 0 {
            reservation.shrink(surplus);
            self.charged -= surplus;
        }
    }

    /// Room was made or given up in order or wheel.
    fn recount<K, V>(&mut self) {
        self.rest = self.rest_now::<K, V>();
    }

    fn rest_now<K, V>(&self) -> u64 {
        let wheel = self.wheel.as_ref();
        let wheel = wheel.map_or(0, |wheel| allocation(size_of::<Wheel>()) + wheel.allocated());
        allocation(Shard::<K, V>::BYTES) + self.order.allocated() + wheel
    }
}

/// Reserves bytes for something smaller that takes a larger one's place in a moment; adds them to `extra`.
fn reserve(reservation: &Reservation, extra: &Cell<u64>, bytes: u64) -> bool {
    let reserved = reservation.try_grow(bytes, u64::MAX).is_ok();
    extra.set(extra.get() + if reserved { bytes } else { 0 });
    reserved
}

/// The hash by which the table finds a slot that is filled.
fn hash_at<K, V>(shard: &Shard<K, V>, filling: &Filling, index: u32) -> u32 {
    high_at(shard, filling, index) | u32::from(shard.pages.own_ref(filling, index).low)
}

/// The same but for the lowest byte, from the slot alone.
fn high_at<K, V>(shard: &Shard<K, V>, filling: &Filling, index: u32) -> u32 {
    shard.pages.slot_mine(filling, index).fixed().hash()
}

/// The slots as the order sees them.
struct View<'a, K, V> {
    shard: &'a Shard<K, V>,
    filling: &'a mut Filling,
}

impl<K, V> View<'_, K, V> {
    fn weight(&self, slot: u32) -> u64 {
        self.shard.weight(self.filling, slot)
    }
}

impl<K, V> Slots for View<'_, K, V> {
    #[inline]
    fn node(&self, slot: u32) -> &Node {
        &self.shard.pages.own_ref(self.filling, slot).node
    }

    #[inline]
    fn node_mut(&mut self, slot: u32) -> &mut Node {
        &mut self.shard.pages.own_mut(self.filling, slot).node
    }

    #[inline]
    fn facts(&self, slot: u32) -> Facts {
        let (fixed, factor) = self.shard.pages.fixed_and_factor(self.filling, slot);
        Facts { cost: fixed.cost(), factor, weight: self.weight(slot), hash: fixed.hash() }
    }

    fn is_filled(&self, slot: u32) -> bool {
        self.filling.has::<K, V>(slot) && self.shard.pages.own(self.filling, slot).state == State::Filled
    }

    fn touch(&self, slot: u32) -> &Touch {
        &self.shard.pages.slot_mine(self.filling, slot).touch
    }
}
