//! One shard: a table from hash to slot, the slots, and their order of eviction.
//!
//! The lock around a shard is the store's. Under it run a key's `Hash` and `Eq` and a value's `Clone`, and
//! no other code of users: what leaves comes back as [`Removed`], to be dropped outside. A panic in `Eq`
//! comes before anything has changed, so it leaves the shard valid.

use std::sync::atomic::{AtomicU32, Ordering};

use hashbrown::HashTable;

use super::slab::Slab;
use super::timers::Timers;
use crate::budget::{Refused, Reservation};
use crate::expiry::{Expires, Turned};
use crate::policy::{self, Facts, Policy, Positions, Queue, Touch};
use crate::time::{NEVER, Nanos};
use crate::weight::weigh::allocation;

/// So many touched slots are put in their new place before one is evicted as it stands: bounds the work of
/// one eviction after a long time of hits only.
const RECONSIDERED: usize = 32;

/// What one shard holds. The store makes it with its first entry and frees it with its last.
pub(super) struct Shard<K, V> {
    /// Indices into `slots`, by hash.
    table: HashTable<u32>,
    slots: Slab<Slot<K, V>>,
    /// Exactly the filled slots.
    queue: Queue,
    /// How the entries expire; the same for all shards of a store.
    pub(super) expires: Expires,
    /// The filled slots that expire. `None` while the shard is empty, and always where nothing expires.
    timers: Option<Box<Timers>>,
    /// Bytes of the shard itself, its table, slots, queue and timers that the reservation was charged.
    charged: u64,
    /// Entries ever linked here; paces the store's tick.
    pub(super) linked: u64,
    /// The version of the next entry.
    version: u32,
}

/// An entry and what is known of it.
pub(super) struct Slot<K, V> {
    pub(super) hash: u64,
    pub(super) key: K,
    pub(super) value: V,
    pub(super) touch: Touch,
    /// When it is too old, however much it is used; `NEVER` without a bound.
    pub(super) deadline: Nanos,
    /// Heap bytes of key and value, as charged.
    pub(super) heap: u64,
    /// What it was worth when its place in the queue was computed.
    credit: f64,
    /// Where it stands in the queue.
    position: u32,
    /// Another one for each entry that is linked, so that one which was replaced is not taken for it.
    pub(super) version: u32,
    /// What a miss would cost, on the scale of [`crate::cost`].
    pub(super) cost: u8,
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
    /// When it is too old, however much it is used; `NEVER` without a bound.
    pub(crate) deadline: Nanos,
    /// Now; of no meaning where nothing expires.
    pub(crate) written: Nanos,
}

/// An entry on its way out; its heap bytes are still reserved until the caller gives them back.
#[derive(Debug)]
pub(crate) struct Removed<K, V> {
    /// Only carried: whoever holds this drops it, outside the lock.
    _entry: (K, V),
    pub(crate) heap: u64,
    pub(crate) credit: f64,
}

/// Why an entry was not linked; the entry comes back.
#[derive(Debug)]
pub(crate) enum NotLinked {
    /// Table or pages must grow and the reservation cannot.
    NoRoom(Refused),
    /// The entry that was to be replaced left meanwhile.
    Vanished,
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
}

/// An entry that comes back, and why.
type Refusal<K, V> = (Entry<K, V>, NotLinked);

/// What happens to an entry with an equal key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Over {
    /// It is replaced.
    Any,
    /// It is replaced, and there must be one: the new entry has no place of its own.
    Only,
    /// It is replaced only if it is expired by then: a loaded value never overwrites a written one.
    Expired(Nanos),
    /// It is replaced only if it is the one of this version; there must be none, or an expired one, for `None`.
    Seen(Option<u32>),
}

/// What ranks depend on at one moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment {
    pub(crate) policy: Policy,
    /// The store's tick.
    pub(crate) tick: u64,
    /// Whether the order of eviction is exact, whatever that costs.
    pub(crate) exact: bool,
    /// The level from which credits count.
    pub(crate) inflation: f64,
}

impl<K, V> Shard<K, V> {
    /// What an entry takes beside its heap bytes: its slot, its place in the queue, its part of a table
    /// that is three quarters full.
    pub(super) const SLOT_BYTES: u64 = (size_of::<Option<Slot<K, V>>>() + 16 + 7) as u64;

    /// Bytes of the shard itself.
    const BYTES: usize = size_of::<Self>();

    /// An empty shard. Allocates nothing and charges nothing: its own block is charged with its first entry.
    pub(super) fn new(expires: Expires) -> Self {
        /// Where the versions of the next shard start: apart from those of earlier ones in its place. Only counts, so
        /// no model needs to control it.
        static VERSIONS: AtomicU32 = AtomicU32::new(0);
        Self {
            table: HashTable::new(),
            slots: Slab::new(),
            queue: Queue::new(),
            expires,
            timers: None,
            charged: 0,
            linked: 0,
            version: VERSIONS.fetch_add(0x9E37_79B9, Ordering::Relaxed),
        }
    }

    /// Bytes that a first entry is charged beside its heap.
    pub(super) fn first_bytes(expires: Expires) -> u64 {
        Self::new(expires).bytes_for_one_more(0)
    }

    pub(super) fn len(&self) -> usize {
        self.table.len()
    }

    /// The slot with this key, and its index.
    #[inline]
    pub(super) fn find(&self, hash: u64, mut eq: impl FnMut(&K) -> bool) -> Option<(u32, &Slot<K, V>)> {
        let index = *self.table.find(hash, |&index| self.matches(index, hash, &mut eq))?;
        self.slots.get(index).map(|slot| (index, slot))
    }

    /// When a slot expires, by age or for want of use; `NEVER` if it does not.
    #[inline]
    pub(super) fn deadline(&self, index: u32, slot: &Slot<K, V>) -> Nanos {
        match &self.timers {
            Some(timers) if matches!(self.expires, Expires::ByUse(_)) => {
                timers.deadline(index, slot.deadline)
            }
            _ => slot.deadline,
        }
    }

    /// Notes a use for the bound on idle time.
    #[inline]
    pub(super) fn note_use(&self, index: u32, now: Nanos) {
        if let Some(timers) = &self.timers {
            timers.note_use(index, now);
        }
    }

    /// No entry expires earlier; `NEVER` if none does.
    pub(super) fn next_due(&self) -> Nanos {
        self.timers.as_ref().map_or(NEVER, |timers| timers.next())
    }

    #[inline]
    fn matches(&self, index: u32, hash: u64, eq: &mut impl FnMut(&K) -> bool) -> bool {
        self.slots.get(index).is_some_and(|slot| slot.hash == hash && eq(&slot.key))
    }

    /// Where the entry with an equal key is. Apart from [`link`](Self::link), so that the new entry is not
    /// dropped under the lock when a key's `Eq` panics.
    pub(super) fn place_of(&self, entry: &Entry<K, V>, eq: impl Fn(&K, &K) -> bool) -> Option<u32> {
        let mut same = |key: &K| eq(key, &entry.key);
        self.table.find(entry.hash, |&index| self.matches(index, entry.hash, &mut same)).copied()
    }

    /// Puts an entry in: over the one with an equal key, or in a new slot. Runs no user code.
    pub(super) fn link(
        &mut self,
        entry: Entry<K, V>,
        found: Option<u32>,
        over: Over,
        moment: Moment,
        reservation: &Reservation,
        ceiling: u64,
    ) -> Result<Option<Removed<K, V>>, Refusal<K, V>> {
        let (deadline, written) = (entry.deadline, entry.written);
        let version = self.version;
        if let Some(index) = found {
            let old = self.slots.get(index).expect("the table names filled slots");
            if matches!(over, Over::Expired(now) if self.deadline(index, old) > now) {
                return Err((entry, NotLinked::Present));
            }
            if let Over::Seen(seen) = over
                && seen.map_or(self.deadline(index, old) > written, |version| old.version != version)
            {
                return Err((entry, NotLinked::Changed));
            }
            let old = self.slots.get_mut(index).expect("the table names filled slots");
            let position = old.position;
            let uses = old.touch.read(moment.tick);
            let mut slot = Slot::new(entry, version, moment.tick);
            slot.position = position;
            // The key keeps the uses it has earned.
            slot.touch = Touch::with_uses(moment.tick, uses.count);
            let rank = slot.requeue(moment, Self::SLOT_BYTES);
            let old = std::mem::replace(old, slot);
            self.version = version.wrapping_add(1);
            self.queue.update(position, rank, &mut self.slots);
            if let Some(timers) = &mut self.timers {
                timers.written(index, deadline, written);
            }
            return Ok(Some(old.removed()));
        }
        match over {
            Over::Only => return Err((entry, NotLinked::Vanished)),
            Over::Seen(Some(_)) => return Err((entry, NotLinked::Changed)),
            Over::Any | Over::Expired(_) | Over::Seen(None) => {}
        }
        if let Err(error) = self.grow(written, reservation, ceiling) {
            return Err((entry, error));
        }
        let hash = entry.hash;
        let mut slot = Slot::new(entry, version, moment.tick);
        let rank = slot.requeue(moment, Self::SLOT_BYTES);
        let index = self.slots.insert(slot);
        self.table.insert_unique(hash, index, |_| unreachable!("room was made by `grow`"));
        self.queue.push(index, rank, &mut self.slots);
        if let Some(timers) = &mut self.timers {
            timers.written(index, deadline, written);
        }
        self.linked += 1;
        self.version = version.wrapping_add(1);
        Ok(None)
    }

    /// Makes room for one more entry in table, slots, queue and timers; reserves the bytes before it grows them.
    fn grow(&mut self, now: Nanos, reservation: &Reservation, ceiling: u64) -> Result<(), NotLinked> {
        let bytes = self.bytes_for_one_more(now).saturating_sub(self.charged);
        if bytes > 0 {
            if let Err(refused) = reservation.try_grow(bytes, ceiling) {
                return Err(NotLinked::NoRoom(refused));
            }
            self.charged += bytes;
        }
        if self.timers.is_none() {
            self.timers = Timers::new(self.expires, now).map(Box::new);
        }
        let (slots, entries) = (self.slots.slots_for_one_more(), self.slots.len() + 1);
        let filled = &self.slots;
        let rehash = |&index: &u32| filled.get(index).map_or(0, |slot| slot.hash);
        let grown = self.table.try_reserve(1, rehash).is_ok()
            && self.slots.try_reserve_one()
            && self.queue.try_reserve_one()
            && self.timers.as_mut().is_none_or(|timers| timers.try_reserve(slots, entries));
        self.settle(reservation, u64::MAX);
        if grown { Ok(()) } else { Err(NotLinked::Exhausted) }
    }

    /// Bytes of everything with room for one more entry, itself included: never less than it will be.
    fn bytes_for_one_more(&self, now: Nanos) -> u64 {
        let table_full = self.table.len() == self.table.capacity();
        let table = match (table_full, self.table.allocation_size()) {
            (false, size) => size,
            // The table doubles; its first size is below 64 bytes.
            (true, 0) => 64,
            (true, size) => 2 * size,
        };
        let (slots, entries) = (self.slots.slots_for_one_more(), self.slots.len() + 1);
        // Made on the stack, because the box is an allocation that must be reserved first.
        let first = if self.timers.is_none() { Timers::new(self.expires, now) } else { None };
        let timers = self.timers.as_deref().or(first.as_ref());
        allocation(Self::BYTES)
            + allocation(table)
            + self.slots.allocated_for_one_more()
            + allocation(self.queue.allocated_for_one_more())
            + timers.map_or(0, |timers| allocation(Timers::BYTES) + timers.allocated_for(slots, entries))
    }

    /// Gives back what table, slots, queue and timers no longer occupy, at most so many bytes: the rest stays
    /// charged until the next time. Returns the bytes.
    pub(super) fn settle(&mut self, reservation: &Reservation, most: u64) -> u64 {
        let timers = self.timers.as_ref();
        let actual = allocation(Self::BYTES)
            + allocation(self.table.allocation_size())
            + self.slots.allocated()
            + allocation(self.queue.allocated())
            + timers.map_or(0, |timers| allocation(Timers::BYTES) + timers.allocated());
        debug_assert!(actual <= self.charged, "grew to {actual} bytes with {} reserved", self.charged);
        let surplus = self.charged.saturating_sub(actual).min(most);
        reservation.shrink(surplus);
        self.charged -= surplus;
        surplus
    }

    /// Gives back all that was charged, if it is empty and that is no more than `most` bytes: then the shard itself
    /// is to be freed. Returns the bytes.
    pub(super) fn vacate(&mut self, reservation: &Reservation, most: u64) -> Option<u64> {
        if !self.table.is_empty() || self.charged > most {
            return None;
        }
        reservation.shrink(self.charged);
        Some(std::mem::take(&mut self.charged))
    }

    /// Takes out the entry with this key.
    pub(super) fn remove(
        &mut self,
        hash: u64,
        mut eq: impl FnMut(&K) -> bool,
        reservation: &Reservation,
    ) -> Option<Removed<K, V>> {
        let index = *self.table.find(hash, |&index| self.matches(index, hash, &mut eq))?;
        let removed = self.unlink(index);
        self.settle(reservation, u64::MAX);
        removed
    }

    /// The entry of this version.
    pub(super) fn get_version(&self, hash: u64, version: u32) -> Option<(u32, &Slot<K, V>)> {
        let index = self.find_version(hash, version)?;
        self.slots.get(index).map(|slot| (index, slot))
    }

    /// All entries.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Slot<K, V>> {
        self.slots.iter().map(|(_, slot)| slot)
    }

    /// Takes out the entry of this version.
    pub(super) fn remove_version(
        &mut self,
        hash: u64,
        version: u32,
        reservation: &Reservation,
    ) -> Option<Removed<K, V>> {
        let index = self.find_version(hash, version)?;
        let removed = self.unlink(index);
        self.settle(reservation, u64::MAX);
        removed
    }

    /// Gives the entry of this version another weight, and the place among the victims that follows from it. What
    /// it grows by is covered by `granted` bytes; what it was charged before comes back.
    pub(super) fn reweigh(
        &mut self,
        hash: u64,
        version: u32,
        heap: u64,
        granted: u64,
        moment: Moment,
    ) -> Result<u64, NotReweighed> {
        let index = self.find_version(hash, version).ok_or(NotReweighed::Gone)?;
        let slot = self.slots.get_mut(index).ok_or(NotReweighed::Gone)?;
        let before = slot.heap;
        if heap > before + granted {
            return Err(NotReweighed::Shrunk { heap: before });
        }
        slot.heap = heap;
        let rank = slot.requeue(moment, Self::SLOT_BYTES);
        let position = slot.position;
        self.queue.update(position, rank, &mut self.slots);
        Ok(before)
    }

    fn find_version(&self, hash: u64, version: u32) -> Option<u32> {
        let is = |&index: &u32| {
            self.slots.get(index).is_some_and(|slot| slot.hash == hash && slot.version == version)
        };
        self.table.find(hash, is).copied()
    }

    /// Takes out the entry that is worth least, if it takes no more than `most` bytes. The caller calls
    /// [`settle`](Self::settle) afterwards.
    pub(super) fn evict(&mut self, moment: Moment, most: u64) -> Option<Removed<K, V>> {
        let most_reconsidered = if moment.exact { self.table.len() } else { RECONSIDERED };
        for _ in 0..most_reconsidered {
            let (index, _) = self.queue.front()?;
            let slot = self.slots.get_mut(index)?;
            if !slot.touch.read(moment.tick).touched {
                break;
            }
            let rank = slot.requeue(moment, Self::SLOT_BYTES);
            let position = slot.position;
            self.queue.update(position, rank, &mut self.slots);
        }
        let (index, _) = self.queue.front()?;
        if self.slots.get(index)?.heap + Self::SLOT_BYTES > most {
            return None;
        }
        self.unlink(index)
    }

    /// Takes out what is expired by `now`, looking at no more than `most` slots. Returns whether that was all;
    /// if not, the next call goes on.
    pub(super) fn expire(
        &mut self,
        now: Nanos,
        most: usize,
        reservation: &Reservation,
        removed: &mut Vec<Removed<K, V>>,
    ) -> bool {
        if self.next_due() > now {
            return true;
        }
        let mut looks = most;
        let done = loop {
            let Self { timers: Some(timers), slots, .. } = self else { break true };
            match timers
                .advance(now, &mut looks, |index| slots.get(index).map_or(NEVER, |slot| slot.deadline))
            {
                // One at a time, because tidying up may give the others new places.
                Turned::Due(index) => removed.extend(self.unlink(index)),
                Turned::Paused => break false,
                Turned::Done => break true,
            }
        };
        self.settle(reservation, u64::MAX);
        done
    }

    /// Takes everything out.
    pub(super) fn drain(&mut self, reservation: &Reservation) -> Vec<Removed<K, V>> {
        self.table = HashTable::new();
        self.queue.clear();
        self.timers = None;
        let removed = self.slots.drain().map(Slot::removed).collect();
        self.settle(reservation, u64::MAX);
        removed
    }

    /// Rank and credit of the next victim.
    pub(super) fn front(&self) -> Option<(u64, f64)> {
        let (index, rank) = self.queue.front()?;
        self.slots.get(index).map(|slot| (rank, slot.credit))
    }

    /// What each byte of the next victim saves, in nanoseconds of compute.
    pub(super) fn front_density(&self, tick: u64) -> Option<f64> {
        let (index, _) = self.queue.front()?;
        let slot = self.slots.get(index)?;
        Some(policy::density(&slot.facts(tick, Self::SLOT_BYTES)))
    }

    fn unlink(&mut self, index: u32) -> Option<Removed<K, V>> {
        let slot = self.slots.get(index)?;
        let position = slot.position;
        if let Ok(found) = self.table.find_entry(slot.hash, |&other| other == index) {
            found.remove();
        }
        self.queue.remove(position, &mut self.slots);
        if let Some(timers) = &mut self.timers {
            timers.cancel(index);
        }
        let removed = self.slots.take(index).map(Slot::removed);
        self.tidy();
        removed
    }

    /// Frees pages and arrays that are mostly empty.
    fn tidy(&mut self) {
        let Self { table, queue, slots, timers, .. } = self;
        slots.compact(|slot, from, to| {
            queue.renamed(slot.position, to);
            if let Some(timers) = timers {
                timers.renamed(from, to);
            }
            if let Ok(mut found) = table.find_entry(slot.hash, |&index| index == from) {
                *found.get_mut() = to;
            }
        });
        // By buckets: a table's capacity leaves out what is only marked as deleted, down to 0 in an empty one.
        if table.is_empty() {
            *table = HashTable::new();
        } else if table.len() * 5 < table.num_buckets() {
            let target = table.len() * 2;
            table.shrink_to(target, |&index| slots.get(index).map_or(0, |slot| slot.hash));
        }
        queue.shrink();
        match timers {
            Some(_) if table.is_empty() => *timers = None,
            Some(timers) => timers.shrink(slots.slots(), table.len()),
            None => {}
        }
    }

    /// Checks that table, slots, queue and timers tell the same story, and that the books agree.
    #[cfg(test)]
    pub(super) fn validate(&self) -> u64 {
        assert_eq!(self.table.len(), self.slots.len());
        assert_eq!(self.queue.len(), self.slots.len());
        let mut heap = 0;
        for (index, slot) in self.slots.iter() {
            assert!(self.table.find(slot.hash, |&other| other == index).is_some(), "slot {index} is lost");
            heap += slot.heap;
        }
        self.queue.validate(|index| self.slots.get(index).map_or(u32::MAX, |slot| slot.position));
        match &self.timers {
            Some(timers) => {
                let deadline = |index| self.slots.get(index).map(|slot| slot.deadline);
                timers.validate(self.slots.slots(), deadline);
            }
            None => {
                assert!(self.table.is_empty() || self.expires == Expires::Never, "nobody watches the time");
            }
        }
        heap + self.charged
    }
}

impl<K, V> Slot<K, V> {
    fn new(entry: Entry<K, V>, version: u32, tick: u64) -> Self {
        let Entry { hash, key, value, heap, cost, deadline, written: _ } = entry;
        let touch = Touch::new(tick);
        Self { hash, key, value, touch, deadline, heap, credit: 0.0, position: 0, version, cost }
    }

    /// Computes the slot's worth anew; returns its rank.
    fn requeue(&mut self, moment: Moment, slot_bytes: u64) -> u64 {
        self.touch.settle();
        let facts = self.facts(moment.tick, slot_bytes);
        self.credit = policy::credit(moment.inflation, &facts);
        moment.policy.rank(&facts, self.credit)
    }

    fn facts(&self, tick: u64, slot_bytes: u64) -> Facts {
        let uses = self.touch.read(tick);
        Facts {
            cost: crate::cost::decode(self.cost),
            weight: (self.heap + slot_bytes).max(1),
            uses: uses.count,
            stamp: uses.stamp,
        }
    }

    fn removed(self) -> Removed<K, V> {
        Removed { _entry: (self.key, self.value), heap: self.heap, credit: self.credit }
    }
}

impl<K, V> Positions for Slab<Slot<K, V>> {
    fn moved(&mut self, slot: u32, position: u32) {
        if let Some(slot) = self.get_mut(slot) {
            slot.position = position;
        }
    }
}
