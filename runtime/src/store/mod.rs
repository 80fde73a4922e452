//! The sharded store: where entries live, how they are found, and which shard gives one up.
//!
//! A hit takes no lock: it reads under the store's era, finds, touches and clones. Everything else locks one place at a
//! time. Each place publishes the rank and the worth of its shard's next victim, so that an overflow evicts from the
//! shard with the cheapest one, whichever shard overflowed. Bytes of shards, tables and pages are settled with the
//! reservation here, and heap bytes of entries given back when they are out of every reader's reach; they are the
//! caller's to reserve, because they are known before an entry comes.
//!
//! ```text
//! places  [ shard?, lock, rank, credit ] x 8     there from the start: four lines of cache
//!             |
//!             v
//! shard   [ table, pages, order, .. ]            made with its first entry, freed with its last
//! ```
//!
//! A place whose shard is not there is an empty shard. Places stay where they are for as long as the store lives,
//! because a look-up goes to one with no lock held; so there are few of them, and they are small.

mod few;
mod leave;
mod limbo;
mod pages;
mod place;
mod shard;
mod table;
#[cfg(any(test, feature = "__validate"))]
mod validate;

pub(crate) use leave::{Evicted, Wanted};
#[cfg(any(test, feature = "__validate"))]
pub(crate) use shard::Count;
#[cfg(feature = "tiers")]
pub(crate) use shard::Parting;
pub(crate) use shard::{Departed, Displaced, Entry, Leaving, NotLinked, NotReweighed, Standing};

use std::ptr::{self, NonNull};

use pages::Slot;
use place::{Locked, Place};
use shard::{Collect, Over, Room, Shard, Sighted, Terms};

use crate::budget::Reservation;
use crate::expiry::Expires;
use crate::grace::{Era, Reading};
use crate::policy::{Factory, Moment, Noted, Order, Policy, is_round};
use crate::removal::RemovalCause;
use crate::sync::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use crate::time::{NEVER, Nanos};
use crate::weight::weigh::allocation;

/// How many slots that may be due an insert looks at in its shard: several times the looks that one entry takes in its life, so
/// that a cache in use keeps up with its own expiry also when a bucket of the wheel comes up that holds them all.
const LOOKED: usize = 16;

/// To how many nanoseconds, a power of two, an insert rounds the time down for that: about 4 ms. In finer steps
/// each entry would be looked at more often on its last stretch.
const GRAIN: Nanos = 1 << 22;

/// The entries of one cache instance.
pub(crate) struct Store<K, V> {
    /// Under which readers read.
    era: Era,
    /// The first of the places: a box of them in two words would not fit into a small cache's block.
    first: NonNull<Place<K, V>>,
    /// No entry expires before; `NEVER` when none does. Lowered under the lock of the shard whose entry is due, and
    /// raised by who has looked into all shards; read without.
    due: AtomicU64,
    /// Counts insertions, coarsely: the unit of recency. Uses too, where the order is to be `exact`.
    tick: AtomicU64,
    /// One shard under a policy that looks at recency alone: its readers meet at one lock anyway, so that the
    /// order of their uses costs little more.
    exact: bool,
    /// What a hit notes.
    noted: Noted,
    /// How many places there are, as a power of two; at most 64.
    exponent: u8,
    /// Entries that left can wait until there are many.
    patient: bool,
    /// Bytes of something that left were wanted, and somebody was reading it still. Only a hint where to look first.
    stuck: AtomicBool,
}

/// What a look-up found.
pub(crate) enum Probe<R> {
    /// A value; with it the byte of its cost.
    Hit(R, u8),
    /// Nothing.
    Absent,
    /// A value that is too old.
    Expired,
}

/// What must still hold when a loaded value is linked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Freshness<'a> {
    /// Changes whenever a load is marked as superseded.
    pub(crate) marks: &'a AtomicU32,
    /// What it was when this load was known to have no mark.
    pub(crate) seen: u32,
    /// Now: an entry that is expired by then does not stand in the way.
    pub(crate) now: Nanos,
}

/// An entry as it was seen once: who comes back with it finds out whether it is still the same one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sighting {
    place: u32,
    entry: Sighted,
}

impl Sighting {
    /// Heap bytes that it was charged then.
    pub(crate) fn heap(&self) -> u64 {
        self.entry.heap
    }

    /// The lower half of its hash, but for a bit that the table does not know.
    pub(crate) fn hash(&self) -> u32 {
        self.entry.hash
    }
}

/// Who pays for the growth of tables and pages, how entries expire, in which order they are evicted, and what that depends
/// on now.
#[derive(Clone, Copy)]
pub(crate) struct Charge<'a> {
    pub(crate) reservation: &'a Reservation,
    pub(crate) ceiling: u64,
    pub(crate) expires: Expires,
    pub(crate) policy: Policy,
    /// Makes the orders of [`Policy::Custom`].
    pub(crate) own: Option<&'a Factory>,
    /// Whether the entry has its place among the entries. If not it takes another's, in its own shard and under the same
    /// lock, if that shard is among the heaviest.
    pub(crate) placed: bool,
    pub(crate) moment: Moment,
}

/// Where an entry that is to be linked comes from.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Origin<'a> {
    /// A load: what was written or invalidated meanwhile wins.
    Load(Freshness<'a>),
    /// A write.
    Write,
    /// A write that follows from what was seen before it: an entry, or none; maybe of a value that was computed, to which
    /// the same applies as to a load's.
    After(Option<Sighting>, Option<Freshness<'a>>),
}

impl<'a> Origin<'a> {
    fn load(&self) -> Option<Freshness<'a>> {
        match *self {
            Self::Load(freshness) => Some(freshness),
            Self::After(_, freshness) => freshness,
            Self::Write => None,
        }
    }

    fn over(&self) -> Over {
        match self {
            Self::Load(freshness) => Over::Expired(freshness.now),
            Self::Write => Over::Any,
            Self::After(seen, _) => Over::Seen(seen.map(|seen| seen.entry.version)),
        }
    }
}

/// The outcome of [`Store::link`].
pub(crate) enum Linked {
    /// The entry is in; those whose place it took are out, and so are some that expired. `told` says that what the
    /// shard publishes is up to date.
    Done { displaced: Displaced, expired: u64, told: bool },
    /// A load has been marked as superseded: it may be this one.
    Marked,
    /// The entry is not in, and says why. Others may have left for it nevertheless.
    Not { why: NotLinked, displaced: Displaced },
}

impl<K, V> Store<K, V> {
    /// What an entry takes beside its heap bytes.
    pub(crate) const SLOT_BYTES: u64 = Shard::<K, V>::SLOT_BYTES;

    /// More than [`first_bytes`](Self::first_bytes) ever is.
    pub(crate) const FIRST_BYTES_MOST: u64 = 8 * Self::SLOT_BYTES + 4096;

    /// What the first entry of a shard is charged beside its heap bytes.
    pub(crate) fn first_bytes(expires: Expires, policy: Policy) -> u64 {
        Shard::<K, V>::first_bytes(expires, Order::new(policy, None, 0))
    }

    /// `singly` says that each entry is wanted as it leaves: somebody hears of it, or what it weighs is given back.
    pub(crate) fn new(shards: usize, policy: Policy, singly: bool) -> Self {
        let patient = Shard::<K, V>::is_patient(singly);
        let exact = shards == 1 && policy == Policy::Lru;
        let places: Box<[Place<K, V>]> = (0..shards.next_power_of_two()).map(|_| Place::new()).collect();
        let exponent = places.len().trailing_zeros() as u8;
        Self {
            era: Era::new(patient),
            first: NonNull::from(Box::leak(places)).cast(),
            exponent,
            due: AtomicU64::new(NEVER),
            tick: AtomicU64::new(0),
            exact,
            noted: policy.noted(),
            patient,
            stuck: AtomicBool::new(false),
        }
    }

    /// Bytes that it takes beside its own size while it is empty.
    pub(crate) fn base_bytes(&self) -> u64 {
        allocation(size_of_val(self.places()))
    }

    /// Over how many shards the entries are spread.
    pub(crate) fn shards(&self) -> usize {
        self.places().len()
    }

    pub(crate) fn tick(&self) -> u64 {
        self.tick.load(Ordering::Relaxed)
    }

    /// The tick of a use: one of its own where the order is exact.
    #[inline]
    fn next_use(&self) -> u64 {
        if self.exact { self.tick.fetch_add(1, Ordering::Relaxed) } else { self.tick() }
    }

    #[cfg_attr(not(debug_assertions), inline(always))]
    fn places(&self) -> &[Place<K, V>] {
        // SAFETY: they came out of a box of so many, and go back into one only when the store is dropped.
        unsafe { std::slice::from_raw_parts(self.first.as_ptr(), 1 << self.exponent) }
    }

    /// The table in a shard uses the lower half of the hash; these bits are others.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(crate) fn place(&self, hash: u64) -> usize {
        (hash >> 40) as usize & (self.places().len() - 1)
    }

    #[cfg_attr(not(debug_assertions), inline(always))]
    fn at(&self, hash: u64) -> &Place<K, V> {
        // SAFETY: there is a power of two of places, at least one.
        unsafe { self.places().get_unchecked(self.place(hash)) }
    }

    /// Whether a hit needs neither a clock nor a place in an exact order: then [`get`](Self::get) will do.
    pub(crate) fn is_plain(&self, expires: Expires) -> bool {
        expires == Expires::Never && !self.exact
    }

    /// Begins a read of a plain store by a thread that reads nothing else.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(crate) fn read_alone(&self) -> Option<Reading> {
        self.era.read_alone()
    }

    /// Where the thread found an entry lately: if it is still there notes the use, and makes `R` of the value while it is
    /// protected; with it comes the byte of its cost. `reading` is of this store.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(crate) fn recall<R>(
        &self,
        reading: &Reading,
        hash: u64,
        eq: impl FnOnce(&K) -> bool,
        take: impl FnOnce(&V) -> R,
    ) -> Option<(R, u8)> {
        let at = reading.recall(self.era.name(hash))?;
        // SAFETY: we read under the era, and the name has its layout: it was noted for a slot of this store, in a page
        // that is not freed before we are done.
        let slot = unsafe { at.cast::<Slot<K, V>>().as_ref() };
        let fixed = slot.fixed_now();
        // SAFETY: the slot is linked, so it is not emptied while we read.
        if !fixed.is_linked() || !eq(unsafe { slot.key() }) {
            return None;
        }
        slot.touch.record(self.noted, || self.tick());
        // SAFETY: as for the key.
        Some((take(unsafe { slot.value() }), fixed.cost()))
    }

    /// [`recall`](Self::recall) of what the table has; the thread may find it sooner next time, if it is to `remember`.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(crate) fn get<R>(
        &self,
        reading: &Reading,
        hash: u64,
        eq: impl FnMut(&K) -> bool,
        take: impl FnOnce(&V) -> R,
        remember: bool,
    ) -> Option<(R, u8)> {
        // Before the look: what is noted under a layout was there since.
        let name = self.era.name(hash);
        let shard = self.at(hash).shard()?;
        // SAFETY: we read under the era.
        unsafe {
            shard.find(hash, eq, |_, slot, value, cost| {
                slot.touch.record(self.noted, || self.tick());
                if remember {
                    reading.found(name, NonNull::from_ref(slot).cast(), &self.era);
                }
                (take(value), cost)
            })
        }
    }

    /// Threads find no entry where they found it lately, until they have found it again.
    pub(crate) fn look_anew(&self) {
        self.era.relocate();
    }

    /// Whether the order wants to be [settled](Self::settle_uses) after a hit.
    pub(crate) fn is_round(&self) -> bool {
        self.exact && is_round(self.tick())
    }

    /// Has an exact order take over what hits have noted, which they count in fewer bits than there are ticks in a day.
    /// Leaves it to others who are at the shard.
    #[cold]
    pub(crate) fn settle_uses(&self, mut moment: Moment, reservation: &Reservation) {
        moment.exact = self.exact;
        for place in self.places() {
            let Some(mut locked) = self.lock_if(place, false, reservation) else { continue };
            moment.tick = self.tick();
            if let Some(mut shard) = locked.writer() {
                shard.settle_uses(moment);
            }
            locked.publish();
        }
    }

    /// [`get`](Self::get) for every store. The clock is read only where entries expire.
    pub(crate) fn get_fresh<R>(
        &self,
        hash: u64,
        eq: impl FnMut(&K) -> bool,
        now: impl FnOnce() -> Nanos,
        take: impl FnOnce(&V) -> R,
    ) -> Probe<R> {
        let _reading = self.era.read();
        let Some(shard) = self.at(hash).shard() else { return Probe::Absent };
        let found = |slot: &Slot<K, V>, value: &V| {
            slot.touch.record(self.noted, || self.next_use());
            take(value)
        };
        // SAFETY: we read under the era.
        unsafe { shard.find_fresh(hash, eq, now, true, found) }
    }

    /// Finds a value without noting the use.
    pub(crate) fn peek<R>(
        &self,
        hash: u64,
        eq: impl FnMut(&K) -> bool,
        now: impl FnOnce() -> Nanos,
        take: impl FnOnce(&V) -> R,
    ) -> Option<R> {
        let _reading = self.era.read();
        let shard = self.at(hash).shard()?;
        // SAFETY: we read under the era.
        match unsafe { shard.find_fresh(hash, eq, now, false, |_, value| take(value)) } {
            Probe::Hit(found, _) => Some(found),
            Probe::Absent | Probe::Expired => None,
        }
    }

    /// When the entry with this key expires, `NEVER` if it does not.
    pub(crate) fn deadline(&self, hash: u64, eq: impl FnMut(&K) -> bool) -> Option<Nanos> {
        let _reading = self.era.read();
        let shard = self.at(hash).shard()?;
        // SAFETY: we read under the era.
        unsafe { shard.find(hash, eq, |index, _, _, _| shard.deadline(index)) }
    }

    /// Puts the entry that is `arriving` in, and takes it, unless it is stale. Takes out a few of its shard that are
    /// expired when it was written. What left is the caller's to drop.
    ///
    /// Once an entry that no load brought is in, `supersede` marks the loads of its key, under the lock still: nobody
    /// finds the entry gone again while a load from before it may be joined, or stored.
    pub(crate) fn link(
        &self,
        arriving: &mut Option<Entry<K, V>>,
        origin: &Origin<'_>,
        eq: impl Fn(&K, &K) -> bool,
        charge: &Charge<'_>,
        leaving: &mut Leaving<K, V>,
        supersede: impl FnOnce(),
    ) -> Linked {
        let Charge { reservation, ceiling, expires, own, placed, mut moment, .. } = *charge;
        let Some(entry) = &*arriving else {
            return Linked::Not { why: NotLinked::Present, displaced: Displaced::default() };
        };
        let (hash, written) = (entry.hash, entry.written);
        let mut locked = self.lock(self.at(hash), reservation);
        // Checked under the lock: whoever writes marks the loads under it, and whoever invalidates marks them first and
        // removes under it after. So either we see that, or they see our entry.
        if origin.load().is_some_and(|load| load.marks.load(Ordering::Acquire) != load.seen) {
            return Linked::Marked;
        }
        let writes = !matches!(origin, Origin::Load(_));
        moment.exact = self.exact;
        moment.tick = self.next_use();
        let (mut linked, mut expired) = (0, 0);
        let room = match placed {
            true => Room::Reserved,
            // What is expired goes first, wherever it is.
            false if self.is_due(written) => Room::Nowhere,
            false => Room::Victim,
        };
        let terms = Terms { over: origin.over(), room, moment, ceiling, own };
        let (displaced, outcome) = match locked.writer() {
            Some(mut shard) => {
                let place = shard.place_of(entry, eq);
                if moment.exact && is_round(moment.tick) {
                    shard.settle_uses(moment);
                }
                let (displaced, outcome) = shard.link(arriving, place, &terms, leaving);
                if outcome.is_ok() && writes {
                    supersede();
                }
                if outcome.is_ok() && expires != Expires::Never {
                    (expired, _) = shard.expire(written & !(GRAIN - 1), LOOKED);
                }
                shard.collect(Collect::Lazily, leaving);
                linked = shard.linked();
                (displaced, outcome)
            }
            None => {
                let (displaced, outcome) =
                    self.link_first(&mut locked, arriving, hash, &terms, charge, leaving);
                if outcome.is_ok() && writes {
                    supersede();
                }
                (displaced, outcome)
            }
        };
        let told = locked.finish(leaving);
        drop(locked);
        // Each shard moves the tick by as much as the shards together link meanwhile.
        let pace = self.places().len() as u64;
        let is_new = outcome.is_ok() && !displaced.replaced;
        if !self.exact && is_new && linked.is_multiple_of(pace) {
            self.tick.fetch_add(pace, Ordering::Relaxed);
        }
        match outcome {
            Ok(()) => Linked::Done { displaced, expired, told },
            Err(why) => Linked::Not { why, displaced },
        }
    }

    /// Makes a shard for its first entry.
    #[cold]
    fn link_first(
        &self,
        locked: &mut Locked<'_, K, V>,
        arriving: &mut Option<Entry<K, V>>,
        hash: u64,
        terms: &Terms<'_>,
        charge: &Charge<'_>,
        leaving: &mut Leaving<K, V>,
    ) -> (Displaced, Result<(), NotLinked>) {
        let Charge { reservation, expires, policy, own, .. } = *charge;
        // On the stack until its block is charged, which its first entry does with all it needs.
        let made = Shard::new(expires, Order::new(policy, own, self.place(hash) as u64), self.patient);
        // SAFETY: nobody else has it.
        let mut shard = unsafe { made.writer(&self.era, reservation) };
        let linked = shard.link(arriving, Err(None), &Terms { own: None, ..*terms }, leaving);
        if shard.len() > 0 {
            locked.install(made);
        } else {
            // Memory is exhausted, or the budget.
            reservation.shrink(shard.forget());
        }
        linked
    }

    /// Takes out the entry with this key, if there is one; says whether there was. What left may be others.
    pub(crate) fn remove(
        &self,
        hash: u64,
        eq: impl FnMut(&K) -> bool,
        cause: RemovalCause,
        reservation: &Reservation,
    ) -> (bool, Leaving<K, V>) {
        let mut locked = self.lock(self.at(hash), reservation);
        let removed = self.change(&mut locked, Collect::Lazily, |shard| shard.remove(hash, eq, cause));
        removed.unwrap_or_default()
    }

    /// Takes out the entry with this key if it is expired by `now`.
    pub(crate) fn remove_expired(
        &self,
        hash: u64,
        eq: impl FnMut(&K) -> bool,
        now: Nanos,
        reservation: &Reservation,
    ) -> (bool, Leaving<K, V>) {
        let locked = self.lock_unless_forked(self.at(hash), reservation);
        let removed = locked.and_then(|mut locked| {
            self.change(&mut locked, Collect::Lazily, |shard| shard.remove_expired(hash, eq, now))
        });
        removed.unwrap_or_default()
    }

    /// Finds the entry with this key, and lets `with` see it: what it is said to weigh, and which it is. No use is
    /// noted.
    pub(crate) fn sight<R>(
        &self,
        hash: u64,
        eq: impl FnMut(&K) -> bool,
        now: impl FnOnce() -> Nanos,
        reservation: &Reservation,
        with: impl FnOnce(&K, &V) -> R,
    ) -> Option<(R, Sighting)> {
        // Begun before the lock is released: what was found then stays valid without it.
        let _reading = self.era.read();
        let (index, entry) = self.lock(self.at(hash), reservation).writer()?.sight(hash, eq)?;
        let seen = self.show(self.at(hash), index, now, with)?;
        Some((seen, Sighting { place: self.place(hash) as u32, entry }))
    }

    /// All entries of one shard, as they are now.
    pub(crate) fn sight_all(&self, at: usize, reservation: &Reservation) -> Vec<Sighting> {
        let mut all = Vec::new();
        if let Some(shard) = self.lock(&self.places()[at], reservation).writer() {
            all.reserve_exact(shard.len());
            shard.sight_all(|entry| all.push(Sighting { place: at as u32, entry }));
        }
        all
    }

    /// Lets `with` see an entry again, if it is the same one, and not expired. With no lock held.
    pub(crate) fn look_again<R>(
        &self,
        sighting: Sighting,
        now: impl FnOnce() -> Nanos,
        reservation: &Reservation,
        with: impl FnOnce(&K, &V) -> R,
    ) -> Option<R> {
        let place = &self.places()[sighting.place as usize];
        let _reading = self.era.read();
        let index = self.lock(place, reservation).writer()?.find_sighted(sighting.entry)?;
        self.show(place, index, now, with)
    }

    /// What is known of an entry, if it is the same one.
    #[cfg(feature = "tiers")]
    pub(crate) fn facts(&self, sighting: Sighting, reservation: &Reservation) -> Option<Parting> {
        let place = &self.places()[sighting.place as usize];
        self.lock(place, reservation).writer()?.facts(sighting.entry)
    }

    /// Shows the entry of a slot that was found under the lock, by who reads under the era since then.
    fn show<R>(
        &self,
        place: &Place<K, V>,
        index: u32,
        now: impl FnOnce() -> Nanos,
        with: impl FnOnce(&K, &V) -> R,
    ) -> Option<R> {
        // It may be gone by now, or have moved to another slot.
        let shard = place.shard()?;
        // SAFETY: the caller reads under the era since before the slot was found.
        unsafe { shard.show(index, now, with) }
    }

    /// Gives the entry that was sighted another weight, if `granted` bytes cover what it grew by. Returns the heap
    /// bytes it was charged so far.
    ///
    /// # Errors
    ///
    /// Says whether the entry is gone, was weighed anew by somebody else, or cannot be weighed.
    pub(crate) fn reweigh(
        &self,
        sighting: Sighting,
        heap: u64,
        granted: u64,
        mut moment: Moment,
        reservation: &Reservation,
    ) -> Result<u64, NotReweighed> {
        let mut locked = self.lock(&self.places()[sighting.place as usize], reservation);
        moment.exact = self.exact;
        moment.tick = self.tick();
        let mut shard = locked.writer().ok_or(NotReweighed::Gone)?;
        let before = shard.reweigh(sighting.entry, heap, granted, moment);
        locked.publish();
        before
    }

    /// Takes out the entry that was sighted.
    pub(crate) fn remove_sighted(
        &self,
        sighting: Sighting,
        cause: RemovalCause,
        reservation: &Reservation,
    ) -> (bool, Leaving<K, V>) {
        let mut locked = self.lock(&self.places()[sighting.place as usize], reservation);
        let removed =
            self.change(&mut locked, Collect::Lazily, |shard| shard.remove_sighted(sighting.entry, cause));
        removed.unwrap_or_default()
    }

    pub(crate) fn len(&self, reservation: &Reservation) -> usize {
        let len = |place| self.lock(place, reservation).writer().map_or(0, |shard| shard.len());
        self.places().iter().map(len).sum()
    }
}

impl<K, V> Drop for Store<K, V> {
    fn drop(&mut self) {
        for place in self.places() {
            let shard = place.shard.load(Ordering::Acquire);
            if !shard.is_null() {
                // SAFETY: it came out of a box, and whoever drops the store is alone with it.
                drop(unsafe { Box::from_raw(shard) });
            }
        }
        // SAFETY: as above.
        drop(unsafe {
            Box::from_raw(ptr::slice_from_raw_parts_mut(self.first.as_ptr(), 1 << self.exponent))
        });
    }
}

// SAFETY: a store owns its places.
unsafe impl<K: Send + Sync, V: Send + Sync> Sync for Store<K, V> {}
// SAFETY: as above.
unsafe impl<K: Send, V: Send> Send for Store<K, V> {}
