//! One shard: a table from hash to slot, the slots, and their order of eviction.
//!
//! Readers take no lock: they read under the store's [`Era`]. Writers hold the lock of the shard's place, one at a
//! time, and see it as a [`Writer`]; what they unlink goes to limbo and comes out as [`Leaving`] after a grace period,
//! to be dropped outside. Under the lock run a key's `Hash` and `Eq`, and no other code of users; under a read, a
//! value's `Clone` as well. A panic in `Eq` comes before anything has changed, so it leaves the shard valid.

use std::cell::{Cell, UnsafeCell};

use smallvec::SmallVec;

use super::limbo::Limbo;
use super::pages::{Filling, Fixed, Own, Pages, Slot, State};
use super::table::{Growth, Shape, Table};
use crate::budget::{Refused, Reservation};
use crate::expiry::{Expires, Turned, Wheel};
use crate::grace::{self, Era};
use crate::policy::{Facts, Front, Moment, Node, Order, Replaced, Slots, Touch};
use crate::sync::{Ordering, pause};
use crate::time::{NEVER, Nanos};
use crate::weight::weigh::allocation;

/// How often a writer looks whether the last readers are done; they need a fraction of a microsecond, unless they
/// were interrupted or clone something huge.
pub(super) const PATIENCE: u32 = 128;

/// So many slots in limbo are worth waiting for.
const CROWDED: usize = 64;

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
    /// Exactly the filled slots.
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
}

/// A shard with its lock held.
pub(super) struct Writer<'a, K, V> {
    shard: &'a Shard<K, V>,
    inner: &'a mut Inner,
    era: &'a Era,
    reservation: &'a Reservation,
}

/// An entry on its way in.
#[derive(Debug)]
pub(crate) struct Entry<K, V> {
    pub(crate) hash: u64,
    pub(crate) key: K,
    pub(crate) value: V,
    /// Heap bytes of key and value; already reserved.
    pub(crate) heap: u64,
    pub(crate) cost: u8,
    /// The user's factor, as a byte of [`crate::cost`].
    pub(crate) factor: i8,
    /// When it is too old, however much it is used; `NEVER` without a bound.
    pub(crate) deadline: Nanos,
    /// Now; of no meaning where nothing expires.
    pub(crate) written: Nanos,
}

/// An entry that nobody finds any more. Its heap bytes stay reserved until it comes out of limbo.
#[derive(Clone, Copy, Debug)]
pub(super) struct Unlinked {
    pub(super) heap: u64,
    /// Where victims go in the order of it.
    pub(super) credit: Option<f64>,
}

/// Who left when an entry came, whether it got in or not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Displaced {
    /// One with an equal key, whose place it is.
    pub(crate) replaced: bool,
    /// A victim, whose place it is.
    pub(crate) evicted: bool,
}

/// Entries out of limbo: off the books, to be dropped with no lock held.
#[must_use]
#[derive(Debug)]
pub(crate) struct Leaving<K, V> {
    _entries: SmallVec<[(K, V); 1]>,
    /// Heap bytes that went back to the budget with them.
    pub(crate) heap: u64,
}

impl<K, V> Default for Leaving<K, V> {
    fn default() -> Self {
        Self { _entries: SmallVec::new(), heap: 0 }
    }
}

impl<K, V> Leaving<K, V> {
    pub(super) fn join(&mut self, other: Self) {
        self.heap += other.heap;
        self._entries.extend(other._entries);
    }
}

/// Why an entry was not linked; the entry comes back.
#[derive(Debug)]
pub(crate) enum NotLinked {
    /// Table or pages must grow and the reservation cannot.
    NoRoom(Refused),
    /// The entry has no place: there is none with an equal key, and none that could make way here.
    NoPlace,
    /// The allocator has no memory left.
    Exhausted,
    /// Somebody wrote the key since the load of this value began.
    Present,
    /// The entry is not the one that was seen.
    Changed,
}

/// Why an entry was not given another weight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NotReweighed {
    /// It was replaced, or left.
    Gone,
    /// Somebody else gave it a lower weight meanwhile, so that it has more to grow.
    Shrunk {
        /// Heap bytes that it is charged now.
        heap: u64,
    },
    /// There is no room to note its heap bytes, of which it had none before.
    NoRoom,
}

/// What happens to an entry with an equal key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Over {
    /// It is replaced.
    Any,
    /// It is replaced only if it is expired by then: a loaded value never overwrites a written one.
    Expired(Nanos),
    /// It is replaced only if it is the one of this version; there must be none, or an expired one, for `None`.
    Seen(Option<u32>),
}

/// Where the place of an entry comes from, if there is none with an equal key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Room {
    /// It was reserved.
    Reserved,
    /// A victim of this shard makes it.
    Victim,
    /// It has none.
    Nowhere,
}

/// On what terms an entry comes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Terms {
    pub(super) over: Over,
    pub(super) room: Room,
    pub(super) moment: Moment,
    /// What the reservation must not exceed.
    pub(super) ceiling: u64,
}

/// An entry as it was seen once.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sighted {
    /// Its hash, but for the bit that the table does not know.
    hash: u32,
    pub(super) version: u32,
    /// Heap bytes that it was charged then.
    pub(super) heap: u64,
}

/// How much waiting is worth it to get entries out of limbo.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Collect {
    /// When there are many, or when they have something to drop.
    Lazily,
    /// Now, because their bytes are needed.
    Now,
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

    /// Entries without anything to drop can stay in limbo: only their slots wait.
    const PATIENT: bool = !std::mem::needs_drop::<(K, V)>();

    /// Bytes of the shard itself.
    const BYTES: usize = size_of::<Self>();

    /// An empty shard. Allocates nothing and charges nothing: its own block is charged with its first entry.
    pub(super) fn new(expires: Expires, order: Order) -> Self {
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
            }),
        }
    }

    /// The most bytes that a first entry is charged beside its heap.
    pub(super) fn first_bytes(expires: Expires, order: Order) -> u64 {
        let mut shard = Self::new(expires, order);
        let Self { table, inner, .. } = &mut shard;
        inner.get_mut().after_one_more::<K, V>(table, expires, 0, 1, 0, true).1
    }

    /// An era for readers of such entries.
    pub(super) fn era() -> Era {
        Era::new(Self::PATIENT)
    }

    /// Finds an entry and calls `found` with it, its value and its cost.
    ///
    /// # Safety
    ///
    /// The caller reads under the store's era, since before it had the shard.
    #[inline(always)]
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

    /// Where the entry with an equal key is. Apart from [`link`](Self::link), so that the new entry is not
    /// dropped under the lock when a key's `Eq` panics.
    pub(super) fn place_of(&self, entry: &Entry<K, V>, eq: impl Fn(&K, &K) -> bool) -> Option<u32> {
        self.find(entry.hash, |key| eq(key, &entry.key))
    }

    /// Puts the entry that is `arriving` in, and takes it: over the one with an equal key, or in a new slot. Runs no
    /// user code. Says who left, in any case.
    pub(super) fn link(
        &mut self,
        arriving: &mut Option<Entry<K, V>>,
        mut found: Option<u32>,
        terms: &Terms,
        leaving: &mut Leaving<K, V>,
    ) -> (Displaced, Result<(), NotLinked>) {
        let Terms { over, room, moment, ceiling } = *terms;
        let nobody = Displaced::default();
        let Some(entry) = &*arriving else { return (nobody, Err(NotLinked::Present)) };
        match (found, over) {
            (Some(index), Over::Expired(now)) if self.shard.deadline(index) > now => {
                return (nobody, Err(NotLinked::Present));
            }
            (Some(index), Over::Seen(Some(version))) if self.own(index).mark == version => {}
            (Some(index), Over::Seen(None)) if self.shard.deadline(index) <= entry.written => {}
            (Some(_), Over::Seen(_)) | (None, Over::Seen(Some(_))) => {
                return (nobody, Err(NotLinked::Changed));
            }
            _ => {}
        }
        let mut displaced = Displaced { replaced: found.is_some(), evicted: false };
        if found.is_none() && room != Room::Reserved {
            if room == Room::Nowhere || !self.make_place(moment) {
                return (nobody, Err(NotLinked::NoPlace));
            }
            displaced.evicted = true;
        }
        let mut grown = self.grow(entry, found.is_none(), ceiling);
        if let (Err(NotLinked::NoRoom(_)), Some(old)) = (&grown, found) {
            // Where there is no room for both, the old one goes first.
            found = None;
            self.unlink(old);
            self.collect(Collect::Now, leaving);
            grown = self.grow(entry, true, ceiling);
        } else if grown.is_err() {
            displaced.replaced = false;
        }
        if let Err(error) = grown {
            return (displaced, Err(error));
        }
        let Some(entry) = arriving.take() else { return (displaced, Err(NotLinked::Present)) };
        let Entry { hash, key, value, heap, cost, factor, deadline, written } = entry;
        let hash = hash as u32;
        let Self { shard, inner, .. } = self;
        let Inner { shape, filling, order, wheel, linked, version, .. } = &mut **inner;
        let (touch, fixed) = (Touch::new(moment.tick), Fixed::new(hash));
        let index = shard.pages.fill(filling, key, value, touch, fixed, heap);
        *version = version.wrapping_add(1);
        let node = found.map_or_else(Node::default, |old| shard.pages.own(filling, old).node);
        shard.pages.set_own(
            filling,
            index,
            Own { state: State::Filled, factor, low: hash as u8, mark: *version, node },
        );
        if shard.expires != Expires::Never {
            // SAFETY: we are the writer, and the columns exist where entries expire so.
            unsafe {
                shard.pages.deadline(index).store(deadline, Ordering::Relaxed);
                if matches!(shard.expires, Expires::ByUse(_)) {
                    shard.pages.used(index).store(written, Ordering::Relaxed);
                }
            }
        }
        let mut slots = View { shard, filling };
        match found {
            Some(old) => {
                // The key keeps the uses it has earned.
                let uses = slots.touch(old).uses();
                let before = Replaced { slot: old, weight: slots.weight(old), uses };
                shard.pages.slot_mine(slots.filling, old).denounce();
                shard.table.replace(shape, hash, old, index);
                shard.pages.slot_mine(slots.filling, index).announce(cost);
                order.replaced(before, index, &mut slots, moment);
                if let Some(wheel) = wheel {
                    wheel.cancel(old);
                }
            }
            None => {
                shard.table.insert(shape, hash, index);
                shard.pages.slot_mine(slots.filling, index).announce(cost);
                order.push(index, &mut slots, moment);
                *linked += 1;
            }
        }
        if let Some(wheel) = wheel {
            wheel.schedule(index, shard.deadline(index));
        }
        if let Some(old) = found {
            self.bury(old);
        }
        self.inner.unpublished = self.inner.unpublished.saturating_add(1);
        (displaced, Ok(()))
    }

    /// Takes a victim out for an entry that has no place, if this shard is one that should give way.
    fn make_place(&mut self, moment: Moment) -> bool {
        let Self { shard, inner, .. } = self;
        let Inner { filling, order, heavy, .. } = &mut **inner;
        if order.load().is_none_or(|load| load < *heavy) {
            return false;
        }
        let mut slots = View { shard, filling };
        let Some(index) = order.victim(&mut slots, moment) else { return false };
        order.evict(index, &mut slots);
        self.take_out(index);
        true
    }

    /// Makes room for one more entry in table, pages, order and wheel; reserves the bytes before it grows them.
    /// `new` says that the entry takes no other's place in table and queue.
    fn grow(&mut self, entry: &Entry<K, V>, new: bool, ceiling: u64) -> Result<(), NotLinked> {
        let hash = entry.hash as u32;
        let Self { shard, inner, reservation, .. } = self;
        let Inner { shape, filling, order, .. } = &**inner;
        // As it nearly always is.
        if shard.expires == Expires::Never
            && shard.pages.has_room(filling, entry.heap)
            && order.has_room()
            && (!new || shard.table.has_room(shape, hash))
        {
            return Ok(());
        }
        loop {
            let (growth, after) = inner.after_one_more::<K, V>(
                &shard.table,
                shard.expires,
                hash,
                entry.heap,
                entry.written,
                new,
            );
            let bytes = after.saturating_sub(inner.charged);
            if bytes > 0 {
                if let Err(refused) = reservation.try_grow(bytes, ceiling) {
                    return Err(NotLinked::NoRoom(refused));
                }
                inner.charged += bytes;
            }
            let Inner { shape, filling, limbo, order, wheel, .. } = &mut **inner;
            if wheel.is_none() && shard.expires != Expires::Never {
                *wheel = Some(Box::new(Wheel::new(entry.written)));
            }
            let (slots, entries) = (filling.slots_for_one_more::<K, V>(), shape.len() + 1);
            let hash_of = |index| high_at(shard, filling, index);
            let grown = shard.table.grow(shape, hash, growth, limbo, hash_of)
                && order.try_reserve_one()
                && wheel.as_mut().is_none_or(|wheel| wheel.try_reserve(slots, entries))
                && shard.pages.try_reserve_one(filling, entry.heap, limbo);
            inner.recount::<K, V>();
            inner.settle::<K, V>(reservation, u64::MAX);
            match growth {
                _ if !grown => return Err(NotLinked::Exhausted),
                // One half may have got nearly everything.
                Growth::Split => {}
                _ => return Ok(()),
            }
        }
    }

    fn own(&self, index: u32) -> Own {
        self.shard.pages.own(&self.inner.filling, index)
    }

    /// Takes an entry out of table, order and wheel.
    fn unlink(&mut self, index: u32) {
        let Self { shard, inner, .. } = self;
        let Inner { filling, order, .. } = &mut **inner;
        order.remove(index, &mut View { shard, filling });
        self.take_out(index);
    }

    /// Takes out the entry of a slot that is not in the order any more; returns its heap bytes.
    fn take_out(&mut self, index: u32) -> u64 {
        self.inner.unpublished = self.inner.unpublished.saturating_add(1);
        let Self { shard, inner, reservation, .. } = self;
        let Inner { shape, filling, limbo, wheel, charged, .. } = &mut **inner;
        let hash = hash_at(shard, filling, index);
        shard.pages.slot_mine(filling, index).denounce();
        if shard.table.remove(shape, hash, index) {
            let extra = Cell::new(0);
            let reserve = |bytes| reserve(reservation, &extra, bytes);
            shard.table.shrink(shape, hash, limbo, &reserve, |index| high_at(shard, filling, index));
            *charged += extra.get();
        }
        if let Some(wheel) = wheel {
            wheel.cancel(index);
        }
        self.bury(index)
    }

    /// Puts a slot that is out of the table into limbo; returns its heap bytes.
    fn bury(&mut self, index: u32) -> u64 {
        let Self { shard, inner, .. } = self;
        let Inner { filling, limbo, .. } = &mut **inner;
        shard.pages.bury(filling, index, limbo)
    }

    /// Empties limbo if it is worth it and nobody reads any more what is there. Call it when nothing more is to be
    /// unlinked; what is `leaving` is off the books.
    pub(super) fn collect(&mut self, how: Collect, leaving: &mut Leaving<K, V>) {
        let empty = self.inner.shape.len() == 0;
        if how == Collect::Lazily && Shard::<K, V>::PATIENT && !empty && self.inner.limbo.heap == 0 {
            // Slots are all that waits: a sixteenth of them may.
            let many = (self.inner.filling.slots() / 16).clamp(64, 1024);
            if self.inner.limbo.slots < many {
                return;
            }
        }
        // Whoever comes next can try again: nobody waits for readers before much has come together.
        let hurry = how == Collect::Now || self.inner.limbo.slots >= CROWDED;
        if !self.waits() || !self.await_readers(if hurry { PATIENCE } else { 1 }) {
            return;
        }
        let Self { shard, inner, .. } = self;
        let Inner { filling, limbo, .. } = &mut **inner;
        let heap = limbo.heap;
        leaving.heap += heap;
        let keep = |entry| {
            if !Shard::<K, V>::PATIENT {
                leaving._entries.push(entry);
            }
        };
        // SAFETY: no reader is left that began before the last slot came.
        unsafe { shard.pages.take_all(filling, limbo, keep) };
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

    /// Waits until nobody reads what is in limbo; not for long, and not at all for ourselves.
    pub(super) fn await_readers(&mut self, patience: u32) -> bool {
        let era = self.era;
        if std::mem::take(&mut self.inner.filling.has_moved) {
            era.relocate();
        }
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
        let Self { shard, inner, reservation, .. } = self;
        let Inner { shape, filling, limbo, order, wheel, charged, .. } = &mut **inner;
        let extra = Cell::new(0);
        let reserve = |bytes| reserve(reservation, &extra, bytes);
        if shape.len() == 0 {
            shard.table.clear(shape, limbo);
            shard.pages.clear(filling, limbo);
            order.clear();
            *wheel = None;
            inner.recount::<K, V>();
            return;
        }
        // More than limbo takes and gives back in turn, unless somebody needs the bytes.
        let slack = match how {
            Collect::Lazily if Shard::<K, V>::PATIENT => 3 * (filling.slots() / 16).clamp(64, 1024) / 2,
            Collect::Lazily | Collect::Now => 32,
        };
        while shard.pages.is_sparse(filling, slack) {
            let moved = |filling: &mut Filling, from: u32, to: u32| {
                shard.table.replace(shape, hash_at(shard, filling, from), from, to);
                order.renamed(from, to, &mut View { shard, filling });
                if let Some(wheel) = wheel {
                    wheel.renamed(from, to);
                }
            };
            if !shard.pages.retire_page(filling, &reserve, moved) {
                break;
            }
        }
        order.shrink();
        if let Some(wheel) = wheel {
            wheel.shrink(filling.slots(), shape.len());
        }
        *charged += extra.get();
        inner.recount::<K, V>();
    }

    /// Gives up a directory of pages that is mostly empty.
    fn shrink_directory(&mut self) {
        let Self { shard, inner, reservation, .. } = self;
        let Inner { filling, limbo, charged, .. } = &mut **inner;
        let extra = Cell::new(0);
        shard.pages.shrink(filling, limbo, &|bytes| reserve(reservation, &extra, bytes));
        *charged += extra.get();
    }

    /// Takes out the entry with this key.
    pub(super) fn remove(&mut self, hash: u64, eq: impl FnMut(&K) -> bool) -> bool {
        let found = self.find(hash, eq);
        found.is_some_and(|index| {
            self.unlink(index);
            true
        })
    }

    /// The slot of the entry with this key, its version and its heap bytes.
    pub(super) fn sight(&self, hash: u64, eq: impl FnMut(&K) -> bool) -> Option<(u32, Sighted)> {
        let index = self.find(hash, eq)?;
        Some((index, self.sighted(hash as u32, index)))
    }

    fn sighted(&self, hash: u32, index: u32) -> Sighted {
        let heap = self.shard.pages.heap(&self.inner.filling, index);
        Sighted { hash, version: self.own(index).mark, heap }
    }

    /// All entries.
    pub(super) fn sight_all(&self, mut each: impl FnMut(Sighted)) {
        self.shard.table.each(&self.inner.shape, |index| {
            let hash = hash_at(self.shard, &self.inner.filling, index);
            each(self.sighted(hash, index));
        });
    }

    /// The slot of an entry that was sighted, if it is still there.
    pub(super) fn find_sighted(&self, sighted: Sighted) -> Option<u32> {
        let is = |index| self.own(index).mark == sighted.version;
        self.shard.table.find_mine(&self.inner.shape, sighted.hash, is)
    }

    /// Takes out the entry that was sighted.
    pub(super) fn remove_sighted(&mut self, sighted: Sighted) -> bool {
        let found = self.find_sighted(sighted);
        found.is_some_and(|index| {
            self.unlink(index);
            true
        })
    }

    /// Gives the entry that was sighted another weight, and the place among the victims that follows from it. What
    /// it grows by is covered by `granted` bytes; what it was charged before comes back.
    pub(super) fn reweigh(
        &mut self,
        sighted: Sighted,
        heap: u64,
        granted: u64,
        moment: Moment,
    ) -> Result<u64, NotReweighed> {
        let index = self.find_sighted(sighted).ok_or(NotReweighed::Gone)?;
        let before = self.shard.pages.heap(&self.inner.filling, index);
        if heap > before + granted {
            return Err(NotReweighed::Shrunk { heap: before });
        }
        let old = {
            let slots = View { shard: self.shard, filling: &mut self.inner.filling };
            Replaced { slot: index, weight: slots.weight(index), uses: slots.touch(index).uses() }
        };
        let Self { shard, inner, reservation, .. } = self;
        let extra = Cell::new(0);
        let reserve = |bytes| reserve(reservation, &extra, bytes);
        let noted = shard.pages.set_heap(&mut inner.filling, index, heap, &reserve);
        inner.charged += extra.get();
        if !noted {
            return Err(NotReweighed::NoRoom);
        }
        let Inner { filling, order, .. } = &mut *self.inner;
        order.replaced(old, index, &mut View { shard: self.shard, filling }, moment);
        Ok(before)
    }

    /// Takes out the entry with this key if it is expired by `now`.
    pub(super) fn remove_expired(&mut self, hash: u64, eq: impl FnMut(&K) -> bool, now: Nanos) -> bool {
        let found = self.find(hash, eq).filter(|&index| self.shard.deadline(index) <= now);
        found.is_some_and(|index| {
            self.unlink(index);
            true
        })
    }

    /// Takes out the entry that is worth least, if it takes no more than `most` bytes.
    pub(super) fn evict(&mut self, moment: Moment, most: u64) -> Option<Unlinked> {
        let Self { shard, inner, .. } = self;
        let Inner { filling, order, .. } = &mut **inner;
        let mut slots = View { shard, filling };
        let index = order.victim(&mut slots, moment)?;
        if slots.weight(index) > most {
            return None;
        }
        let credit = order.credit_of(index, &slots);
        order.evict(index, &mut slots);
        let heap = self.take_out(index);
        Some(Unlinked { heap, credit })
    }

    /// Takes out what is expired by `now`, looking at no more than `most` slots. Returns how many entries left,
    /// and whether that was all; if not, the next call goes on.
    pub(super) fn expire(&mut self, now: Nanos, most: usize) -> (u64, bool) {
        let (mut expired, mut looks) = (0, most);
        if self.next_due() > now {
            return (0, true);
        }
        loop {
            let Self { shard, inner, .. } = self;
            let Some(wheel) = &mut inner.wheel else { return (expired, true) };
            // Slots in the wheel are filled.
            match wheel.advance(now, &mut looks, |index| shard.deadline(index)) {
                Turned::Due(index) => {
                    self.unlink(index);
                    expired += 1;
                }
                Turned::Paused => return (expired, false),
                Turned::Done => return (expired, true),
            }
        }
    }

    /// Takes everything out; returns how many entries that were.
    pub(super) fn drain(&mut self) -> u64 {
        let Self { shard, inner, .. } = self;
        let Inner { shape, filling, limbo, order, wheel, .. } = &mut **inner;
        let entries = shape.len() as u64;
        shard.table.each(shape, |index| {
            shard.pages.bury(filling, index, limbo);
        });
        shard.table.clear(shape, limbo);
        order.clear();
        *wheel = None;
        inner.recount::<K, V>();
        entries
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

    /// Checks that all parts tell the same story; see [`Shard::validate`].
    #[cfg(test)]
    pub(super) fn validate(&mut self) -> u64 {
        self.shard.validate(self.inner)
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
        let (slots, entries) = (filling.slots_for_one_more::<K, V>(), shape.len() + 1);
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

impl<K, V> Shard<K, V> {
    /// Checks that table, pages, order and wheel tell the same story, and that the books agree. Returns the bytes
    /// they account for.
    #[cfg(test)]
    fn validate(&self, inner: &mut Inner) -> u64 {
        let Inner { shape, filling, limbo, order, wheel, charged, .. } = inner;
        let pages = &self.pages;
        let mut linked = std::collections::HashSet::new();
        self.table.each(shape, |index| assert!(linked.insert(index), "slot {index} is linked twice"));
        assert_eq!(linked.len(), shape.len());
        let (mut heap, mut vacancies, mut buried, mut retired) = (0, 0, 0, 0);
        for index in 0..filling.slots() as u32 {
            match pages.own(filling, index).state {
                State::Vacant => vacancies += 1,
                State::Retired => retired += 1,
                State::Filled => {
                    assert!(linked.contains(&index), "slot {index} is lost");
                    let hash = hash_at(self, filling, index);
                    let found = self.table.find_mine(shape, hash, |other| other == index);
                    assert_eq!(found, Some(index), "slot {index} is not found");
                    heap += pages.heap(filling, index);
                }
                State::Limbo => {
                    assert!(!linked.contains(&index), "slot {index} is linked, and in limbo");
                    buried += pages.heap(filling, index);
                }
            }
        }
        assert_eq!(vacancies, filling.vacancies());
        assert_eq!(filling.slots() - vacancies - retired, linked.len() + limbo.slots);
        assert_eq!(buried, limbo.heap);
        let filled: Vec<u32> = linked.iter().copied().collect();
        order.validate(&filled, &View { shard: self, filling });
        if let Some(wheel) = wheel {
            let scheduled = wheel.validate(|index| self.deadline(index));
            let expiring = linked.iter().filter(|&&index| self.deadline(index) != NEVER);
            let expiring =
                expiring.inspect(|&&index| assert!(wheel.is_scheduled(index), "slot {index} is forgotten"));
            // What no longer expires for its uses alone may still be scheduled.
            assert!(expiring.count() <= scheduled);
        } else {
            assert!(linked.is_empty() || self.expires == Expires::Never, "nobody watches the time");
        }
        heap + buried + *charged
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
    /// Bytes that an entry occupies, all in all.
    fn weight(&self, slot: u32) -> u64 {
        self.shard.pages.heap(self.filling, slot) + Shard::<K, V>::SLOT_BYTES
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
        let fixed = self.shard.pages.slot_mine(self.filling, slot).fixed();
        let factor = self.shard.pages.own(self.filling, slot).factor;
        Facts { cost: fixed.cost(), factor, weight: self.weight(slot), hash: fixed.hash() }
    }

    fn is_filled(&self, slot: u32) -> bool {
        let exists = (slot as usize) < self.filling.slots();
        exists && self.shard.pages.own(self.filling, slot).state == State::Filled
    }

    fn touch(&self, slot: u32) -> &Touch {
        &self.shard.pages.slot_mine(self.filling, slot).touch
    }
}
