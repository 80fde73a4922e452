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

mod limbo;
mod pages;
mod shard;
mod table;

pub(crate) use shard::{Displaced, Entry, Leaving, NotLinked, NotReweighed};

use std::ptr::{self, NonNull};

use pages::Slot;
use shard::{Collect, Over, PATIENCE, Room, Shard, Sighted, Terms, Writer};

use crate::budget::Reservation;
use crate::expiry::Expires;
use crate::grace::Era;
use crate::policy::{Factory, Moment, Noted, Order, Policy, load_of};
use crate::sync::{AtomicPtr, AtomicU16, AtomicU32, AtomicU64, Mutex, MutexGuard, Ordering, fork};
use crate::time::{NEVER, Nanos};
use crate::weight::weigh::allocation;

/// Stripes of keys whose loads wait out each other's writes. So many that they share one word with what is beside them: every empty
/// cache has it.
const STRIPES: usize = 2;

/// An eviction stops after so many entries of one shard: that empties a page of slots.
const BATCH: u64 = 96;

/// How many slots that may be due one lock hold looks at when it sweeps for expired entries.
const SWEPT: usize = 256;

/// How many of them an insert looks at in its shard: several times the looks that one entry takes in its life, so
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
    /// How many writes of each stripe are between linking their entry and superseding the loads in flight.
    writing: [AtomicU16; STRIPES],
}

/// A write of a key is under way. No load of the key stores its value from here on until this is dropped: it
/// may have looked before the write, and the written entry may be gone again.
#[must_use]
pub(crate) struct Writing<'a>(&'a AtomicU16);

impl Drop for Writing<'_> {
    fn drop(&mut self) {
        // Release: a load that reads this sees that it is superseded.
        self.0.fetch_sub(1, Ordering::Release);
    }
}

/// Where a shard is, while it has entries. Half a line of cache: two shards share one, which costs less than the
/// kilobytes that lines of their own would take in every empty cache.
struct Place<K, V> {
    /// Null while there is none. Changed under the lock, read without.
    shard: AtomicPtr<Shard<K, V>>,
    lock: Mutex<()>,
    /// Rank of the next victim, `u64::MAX` when empty. Written under the lock, read without.
    rank: AtomicU64,
    /// Bits of the next victim's credit, infinite when empty. Likewise.
    credit: AtomicU64,
}

/// A place that is locked, so that its shard can be changed.
struct Locked<'a, K, V> {
    store: &'a Store<K, V>,
    place: &'a Place<K, V>,
    reservation: &'a Reservation,
    _guard: MutexGuard<'a, ()>,
}

/// Somebody looks into all shards for what is due.
struct Looking<'a> {
    due: &'a AtomicU64,
    /// What was known before.
    before: Nanos,
}

impl Looking<'_> {
    /// All shards have said what is due there.
    fn done(mut self) {
        self.before = NEVER;
    }
}

impl Drop for Looking<'_> {
    fn drop(&mut self) {
        if self.before != NEVER {
            self.due.fetch_min(self.before, Ordering::AcqRel);
        }
    }
}

/// How much is to be evicted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted {
    /// Heap bytes after which it is enough; 0 for one entry. Entries without heap free their slots, which
    /// takes a page of them.
    pub(crate) bytes: u64,
    /// No more than this, by weight: what is above a floor.
    pub(crate) most: u64,
    /// Only victims up to this credit, after the first.
    pub(crate) upto: f64,
    /// Whether to wait for a busy shard.
    pub(crate) patient: bool,
}

/// A shard that was picked, locked.
struct Cheapest<'a, K, V> {
    locked: Locked<'a, K, V>,
    /// The next cheapest shard's rank.
    runner_up: u64,
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
}

/// Who pays for the growth of tables and pages, how entries expire, and in which order they are evicted.
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
}

/// Where an entry that is to be linked comes from.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Origin<'a> {
    /// A load: what was written or invalidated meanwhile wins.
    Load(Freshness<'a>),
    /// A write.
    Write,
    /// A write that follows from what was seen before it: an entry, or none.
    After(Option<Sighting>),
}

impl<'a> Origin<'a> {
    fn load(&self) -> Option<Freshness<'a>> {
        if let Self::Load(freshness) = *self { Some(freshness) } else { None }
    }

    fn over(&self) -> Over {
        match self {
            Self::Load(freshness) => Over::Expired(freshness.now),
            Self::Write => Over::Any,
            Self::After(seen) => Over::Seen(seen.map(|seen| seen.entry.version)),
        }
    }
}

/// The outcome of [`Store::link`].
pub(crate) enum Linked {
    /// The entry is in; those whose place it took are out, and so are some that expired. `told` says that what the
    /// shard publishes is up to date.
    Done { displaced: Displaced, expired: u64, told: bool },
    /// The key has been written since its load began.
    Stale,
    /// Somebody is writing a key that may be this one: soon it is known whether the entry is older.
    Unclear,
    /// A load has been marked as superseded: it may be this one.
    Marked,
    /// The entry is not in, and says why. Others may have left for it nevertheless.
    Not { why: NotLinked, displaced: Displaced },
}

/// What an eviction took.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Evicted {
    pub(crate) entries: u64,
    /// Bytes that left the reservation; fewer than the entries had while somebody still reads them.
    pub(crate) bytes: u64,
    /// The credit of the last victim, where victims go in the order of it.
    pub(crate) credit: f64,
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

    pub(crate) fn new(shards: usize, policy: Policy) -> Self {
        let exact = shards == 1 && policy == Policy::Lru;
        let places: Box<[Place<K, V>]> = (0..shards.next_power_of_two()).map(|_| Place::new()).collect();
        let exponent = places.len().trailing_zeros() as u8;
        Self {
            era: Shard::<K, V>::era(),
            first: NonNull::from(Box::leak(places)).cast(),
            exponent,
            due: AtomicU64::new(NEVER),
            tick: AtomicU64::new(0),
            exact,
            noted: policy.noted(),
            writing: std::array::from_fn(|_| AtomicU16::new(0)),
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

    #[inline(always)]
    fn places(&self) -> &[Place<K, V>] {
        // SAFETY: they came out of a box of so many, and go back into one only when the store is dropped.
        unsafe { std::slice::from_raw_parts(self.first.as_ptr(), 1 << self.exponent) }
    }

    /// The table in a shard uses the lower half of the hash; these bits are others.
    #[inline(always)]
    pub(crate) fn place(&self, hash: u64) -> usize {
        (hash >> 40) as usize & (self.places().len() - 1)
    }

    #[inline(always)]
    fn at(&self, hash: u64) -> &Place<K, V> {
        // SAFETY: there is a power of two of places, at least one.
        unsafe { self.places().get_unchecked(self.place(hash)) }
    }

    fn lock<'a>(&'a self, place: &'a Place<K, V>, reservation: &'a Reservation) -> Locked<'a, K, V> {
        Locked { store: self, place, reservation, _guard: place.lock.lock() }
    }

    /// Locks a place; not always in the child of a fork.
    fn lock_unless_forked<'a>(
        &'a self,
        place: &'a Place<K, V>,
        reservation: &'a Reservation,
    ) -> Option<Locked<'a, K, V>> {
        self.lock_if(place, !fork::forked(), reservation)
    }

    /// Locks a place; unless `patient`, only if nobody else has it.
    fn lock_if<'a>(
        &'a self,
        place: &'a Place<K, V>,
        patient: bool,
        reservation: &'a Reservation,
    ) -> Option<Locked<'a, K, V>> {
        if patient {
            return Some(self.lock(place, reservation));
        }
        Some(Locked { store: self, place, reservation, _guard: place.lock.try_lock()? })
    }

    /// Whether an entry may be expired by `now`.
    fn is_due(&self, now: Nanos) -> bool {
        self.due.load(Ordering::Relaxed) <= now
    }

    /// Starts a look into all shards: each says anew what is due there, and so does who links meanwhile. Dropped
    /// before it is [`done`](Looking::done), it leaves the time as it was.
    fn look(&self) -> Looking<'_> {
        Looking { due: &self.due, before: self.due.swap(NEVER, Ordering::AcqRel) }
    }

    fn stripe_of(hash: u64) -> usize {
        (hash >> 33) as usize % STRIPES
    }

    /// To be held from before a write is linked until the loads in flight know of it.
    pub(crate) fn writing(&self, hash: u64) -> Writing<'_> {
        let writing = &self.writing[Self::stripe_of(hash)];
        writing.fetch_add(1, Ordering::AcqRel);
        Writing(writing)
    }

    /// Whether a hit needs neither a clock nor a place in an exact order: then [`get`](Self::get) will do.
    pub(crate) fn is_plain(&self, expires: Expires) -> bool {
        expires == Expires::Never && !self.exact
    }

    /// Finds a value, notes the use, and makes `R` of it while it is protected; with it comes the byte of its cost.
    /// For stores that are plain.
    #[inline(always)]
    pub(crate) fn get<R>(
        &self,
        hash: u64,
        mut eq: impl FnMut(&K) -> bool,
        take: impl FnOnce(&V) -> R,
    ) -> Option<(R, u8)> {
        let reading = self.era.read();
        let name = self.era.name(hash);
        if let Some(at) = reading.recall(name) {
            // SAFETY: we read under the era, and the name has its layout: it was noted for a slot of this store, in a page
            // that is not freed before we are done.
            let slot = unsafe { at.cast::<Slot<K, V>>().as_ref() };
            let fixed = slot.fixed_now();
            // SAFETY: the slot is linked, so it is not emptied while we read.
            if fixed.is_linked() && fixed.may_be(hash as u32) && eq(unsafe { slot.key() }) {
                slot.touch.record(self.noted, || self.tick());
                // SAFETY: as for the key.
                return Some((take(unsafe { slot.value() }), fixed.cost()));
            }
        }
        let shard = self.at(hash).shard()?;
        // SAFETY: we read under the era.
        unsafe {
            shard.find(hash, eq, |_, slot, value, cost| {
                slot.touch.record(self.noted, || self.tick());
                reading.found(name, ptr::from_ref(slot).cast_mut().cast());
                (take(value), cost)
            })
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
    pub(crate) fn link(
        &self,
        arriving: &mut Option<Entry<K, V>>,
        origin: &Origin<'_>,
        eq: impl Fn(&K, &K) -> bool,
        mut moment: Moment,
        charge: &Charge<'_>,
        leaving: &mut Leaving<K, V>,
    ) -> Linked {
        let Charge { reservation, ceiling, expires, placed, .. } = *charge;
        let Some(entry) = &*arriving else { return Linked::Stale };
        let (hash, written) = (entry.hash, entry.written);
        let mut locked = self.lock(self.at(hash), reservation);
        // Checked under the lock: whoever invalidates supersedes the loads first and removes under this lock after,
        // so either we see that or the removal sees our entry.
        if let Some(freshness) = origin.load() {
            // Before the marks: who is no longer writing has set them.
            let busy = self.writing[Self::stripe_of(hash)].load(Ordering::Acquire) > 0;
            if freshness.marks.load(Ordering::Acquire) != freshness.seen {
                return Linked::Marked;
            }
            if busy {
                return Linked::Unclear;
            }
        }
        moment.exact = self.exact;
        moment.tick = self.next_use();
        let (mut linked, mut expired) = (0, 0);
        let room = match placed {
            true => Room::Reserved,
            // What is expired goes first, wherever it is.
            false if self.is_due(written) => Room::Nowhere,
            false => Room::Victim,
        };
        let terms = Terms { over: origin.over(), room, moment, ceiling };
        let (displaced, outcome) = match locked.writer() {
            Some(mut shard) => {
                let found = shard.place_of(entry, eq);
                let (displaced, outcome) = shard.link(arriving, found, &terms, leaving);
                if outcome.is_ok() && expires != Expires::Never {
                    (expired, _) = shard.expire(written & !(GRAIN - 1), LOOKED);
                }
                shard.collect(Collect::Lazily, leaving);
                linked = shard.linked();
                (displaced, outcome)
            }
            None => self.link_first(&mut locked, arriving, hash, &terms, charge, leaving),
        };
        let told = locked.finish(leaving);
        drop(locked);
        // Each shard moves the tick by as much as the shards together link meanwhile.
        let pace = self.places().len() as u64;
        if !self.exact && linked.is_multiple_of(pace) {
            self.tick.fetch_add(pace, Ordering::Relaxed);
        }
        match outcome {
            Ok(()) => Linked::Done { displaced, expired, told },
            Err(NotLinked::Present) => Linked::Stale,
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
        terms: &Terms,
        charge: &Charge<'_>,
        leaving: &mut Leaving<K, V>,
    ) -> (Displaced, Result<(), NotLinked>) {
        let Charge { reservation, expires, policy, own, .. } = *charge;
        // On the stack until its block is charged, which its first entry does with all it needs.
        let made = Shard::new(expires, Order::new(policy, own, self.place(hash) as u64));
        // SAFETY: nobody else has it.
        let mut shard = unsafe { made.writer(&self.era, reservation) };
        let linked = shard.link(arriving, None, terms, leaving);
        if shard.len() > 0 {
            locked.install(made);
        } else {
            // Memory is exhausted, or the budget.
            reservation.shrink(shard.forget());
        }
        linked
    }

    /// Lets `change` take something out of a place's shard; says what it said, and what left. The caller drops it.
    fn change<R>(
        &self,
        locked: &mut Locked<'_, K, V>,
        how: Collect,
        change: impl FnOnce(&mut Writer<'_, K, V>) -> R,
    ) -> Option<(R, Leaving<K, V>)> {
        let result = change(&mut locked.writer()?);
        let mut leaving = Leaving::default();
        locked.tidy(how, u64::MAX, &mut leaving);
        Some((result, leaving))
    }

    /// Takes out the entry with this key, if there is one.
    pub(crate) fn remove(
        &self,
        hash: u64,
        eq: impl FnMut(&K) -> bool,
        reservation: &Reservation,
    ) -> Option<Leaving<K, V>> {
        let mut locked = self.lock(self.at(hash), reservation);
        let removed = self.change(&mut locked, Collect::Lazily, |shard| shard.remove(hash, eq))?;
        if let (true, leaving) = removed { Some(leaving) } else { None }
    }

    /// Takes out the entry with this key if it is expired by `now`.
    pub(crate) fn remove_expired(
        &self,
        hash: u64,
        eq: impl FnMut(&K) -> bool,
        now: Nanos,
        reservation: &Reservation,
    ) -> Option<Leaving<K, V>> {
        let mut locked = self.lock_unless_forked(self.at(hash), reservation)?;
        let removed =
            self.change(&mut locked, Collect::Lazily, |shard| shard.remove_expired(hash, eq, now))?;
        if let (true, leaving) = removed { Some(leaving) } else { None }
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
        reservation: &Reservation,
    ) -> Option<Leaving<K, V>> {
        let mut locked = self.lock(&self.places()[sighting.place as usize], reservation);
        let removed =
            self.change(&mut locked, Collect::Lazily, |shard| shard.remove_sighted(sighting.entry))?;
        if let (true, leaving) = removed { Some(leaving) } else { None }
    }

    /// Evicts from the shard whose next victim is worth least. With `patient` it waits for that shard's
    /// lock; otherwise it goes to the next cheapest, so that it never blocks on another tenant. Takes nothing when
    /// nothing can go.
    pub(crate) fn evict(
        &self,
        mut moment: Moment,
        wanted: Wanted,
        reservation: &Reservation,
    ) -> (Evicted, Leaving<K, V>) {
        moment.exact = self.exact;
        moment.tick = self.tick();
        let mut evicted = Evicted::default();
        let Some(Cheapest { mut locked, runner_up }) = self.lock_cheapest(wanted.patient, reservation) else {
            return (evicted, Leaving::default());
        };
        let Some(mut shard) = locked.writer() else { return (evicted, Leaving::default()) };
        let charged = shard.charged();
        let (mut heap, mut weight) = (0, 0);
        while let Some(victim) = shard.evict(moment, wanted.most - weight) {
            heap += victim.heap;
            weight += victim.heap + Self::SLOT_BYTES;
            evicted.entries += 1;
            evicted.credit = victim.credit.unwrap_or(0.0);
            // Entries without heap free nothing one by one: they go until a page of them is empty.
            let dear = shard
                .front()
                .is_some_and(|next| next.credit > wanted.upto || (heap > 0 && next.rank > runner_up));
            if dear || heap >= wanted.bytes || evicted.entries >= BATCH {
                break;
            }
        }
        let how = if wanted.bytes > 0 { Collect::Now } else { Collect::Lazily };
        let mut leaving = Leaving::default();
        shard.collect(how, &mut leaving);
        // What was reserved meanwhile, to shrink tables, is not the floor's.
        let more = shard.charged().saturating_sub(charged);
        locked.tidy(how, wanted.most.saturating_sub(heap).saturating_add(more), &mut leaving);
        let left = locked.writer().map_or(0, |shard| shard.charged());
        evicted.bytes = leaving.heap + charged.saturating_sub(left);
        (evicted, leaving)
    }

    fn lock_cheapest<'a>(
        &'a self,
        patient: bool,
        reservation: &'a Reservation,
    ) -> Option<Cheapest<'a, K, V>> {
        // Shards found busy; there are 64 at most.
        let mut passed = 0_u64;
        loop {
            let (mut at, mut rank, mut runner_up) = (0, u64::MAX, u64::MAX);
            for (other, place) in self.places().iter().enumerate() {
                let found = place.rank.load(Ordering::Relaxed);
                if passed & (1 << other) != 0 || found >= runner_up {
                    continue;
                }
                if found < rank {
                    (at, rank, runner_up) = (other, found, rank);
                } else {
                    runner_up = found;
                }
            }
            if rank == u64::MAX {
                return None;
            }
            if let Some(locked) = self.lock_if(&self.places()[at], patient, reservation) {
                return Some(Cheapest { locked, runner_up });
            }
            passed |= 1 << at;
        }
    }

    /// The credit of the next victim; infinite when empty.
    ///
    /// Of an order by credit it is the lowest of all shards. Of any other the shards take turns, and what one of them
    /// holds is as good as what another does: it is their mean, which no straggler in one shard decides.
    pub(crate) fn credit(&self, by_credit: bool) -> f64 {
        let credits = self.places().iter().map(Place::credit);
        if by_credit {
            return credits.fold(f64::INFINITY, f64::min);
        }
        let (sum, shards) = credits
            .filter(|credit| credit.is_finite())
            .fold((0.0, 0_u32), |(sum, shards), credit| (sum + credit, shards + 1));
        if shards == 0 { f64::INFINITY } else { sum / f64::from(shards) }
    }

    /// What each byte of the next victim saves, in nanoseconds of compute, and that victim's credit.
    pub(crate) fn next_victim(&self, reservation: &Reservation) -> Option<(f64, f64)> {
        let cheapest = self.places().iter().min_by(|a, b| a.credit().total_cmp(&b.credit()))?;
        let front = self.lock(cheapest, reservation).writer()?.front()?;
        Some((front.density, cheapest.credit()))
    }

    /// [`credit`](Self::credit) of the shard of one key only.
    pub(crate) fn credit_beside(&self, hash: u64) -> f64 {
        self.at(hash).credit()
    }

    /// Takes out what is expired by `now`, a bounded number of slots for each lock hold; while nothing can be due, no
    /// shard is locked. `left` hears with no lock held how many left together: one whose drop panics must not keep the
    /// others in the books.
    pub(crate) fn expire(
        &self,
        now: Nanos,
        reservation: &Reservation,
        mut left: impl FnMut(u64, Leaving<K, V>),
    ) {
        if !self.is_due(now) {
            return;
        }
        let looking = self.look();
        for place in self.places() {
            let mut done = false;
            while !done {
                let Some(mut locked) = self.lock_unless_forked(place, reservation) else { break };
                let changed = self.change(&mut locked, Collect::Now, |shard| shard.expire(now, SWEPT));
                drop(locked);
                let Some(((expired, all), leaving)) = changed else { break };
                done = all;
                left(expired, leaving);
            }
        }
        looking.done();
    }

    /// Takes out some entries of one shard that are expired by `now`, if there are any; returns how many. With
    /// `patient` it waits for a busy shard.
    pub(crate) fn expire_some(
        &self,
        now: Nanos,
        patient: bool,
        reservation: &Reservation,
    ) -> (u64, Leaving<K, V>) {
        let mut leaving = Leaving::default();
        if !self.is_due(now) {
            return (0, leaving);
        }
        let looking = self.look();
        let (places, first) = (self.places().len(), self.tick() as usize);
        let mut all = true;
        for at in (0..places).map(|at| (first + at) % places) {
            let Some(mut locked) = self.lock_if(&self.places()[at], patient, reservation) else {
                all = false;
                continue;
            };
            let changed = self.change(&mut locked, Collect::Now, |shard| shard.expire(now, BATCH as usize));
            let Some(((expired, done), left)) = changed else {
                locked.publish();
                continue;
            };
            leaving.join(left);
            // Where all that came up was used since, another shard may have some.
            all &= done;
            if expired > 0 {
                return (expired, leaving);
            }
        }
        if all {
            looking.done();
        }
        (0, leaving)
    }

    /// Takes everything out, one shard at a time; `left` gets each shard's entries with no lock held.
    pub(crate) fn drain(&self, reservation: &Reservation, mut left: impl FnMut(u64, Leaving<K, V>)) {
        for place in self.places() {
            let mut locked = self.lock(place, reservation);
            let drained = locked.writer().map(|mut shard| shard.drain());
            let mut leaving = Leaving::default();
            if drained.is_some() {
                locked.tidy(Collect::Now, u64::MAX, &mut leaving);
            }
            drop(locked);
            if let Some(entries) = drained {
                left(entries, leaving);
            }
        }
    }

    /// Takes out of limbo what nobody reads any more.
    pub(crate) fn collect(&self, reservation: &Reservation, mut left: impl FnMut(Leaving<K, V>)) {
        for place in self.places() {
            let Some(mut locked) = self.lock_if(place, false, reservation) else { continue };
            // An empty shard is one that could not be freed.
            let mut leaving = Leaving::default();
            if locked.writer().is_some_and(|shard| shard.waits() || shard.len() == 0) {
                locked.tidy(Collect::Now, u64::MAX, &mut leaving);
            }
            drop(locked);
            left(leaving);
        }
    }

    pub(crate) fn len(&self, reservation: &Reservation) -> usize {
        let len = |place| self.lock(place, reservation).writer().map_or(0, |shard| shard.len());
        self.places().iter().map(len).sum()
    }

    /// Checks every shard's structure; returns the bytes that entries, shards, tables and pages account for.
    #[cfg(test)]
    pub(crate) fn validate(&self, reservation: &Reservation) -> u64 {
        let check = |place| self.lock(place, reservation).writer().map_or(0, |mut shard| shard.validate());
        self.places().iter().map(check).sum()
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

// SAFETY: places lead to shards, which are `Send` and `Sync` under these bounds and freed under the era.
unsafe impl<K: Send + Sync, V: Send + Sync> Sync for Place<K, V> {}
// SAFETY: as above.
unsafe impl<K: Send, V: Send> Send for Place<K, V> {}

impl<K, V> Place<K, V> {
    const fn new() -> Self {
        Self {
            shard: AtomicPtr::new(ptr::null_mut()),
            lock: Mutex::new(()),
            rank: AtomicU64::new(u64::MAX),
            credit: AtomicU64::new(f64::INFINITY.to_bits()),
        }
    }

    /// The shard, for who reads under the store's era or has the lock: it stays for as long.
    #[inline(always)]
    fn shard(&self) -> Option<&Shard<K, V>> {
        // Acquire: the shard was there before its address. SAFETY: it is freed only when nobody can reach it who has
        // the lock, or reads since before it was taken out.
        unsafe { self.shard.load(Ordering::Acquire).as_ref() }
    }

    fn credit(&self) -> f64 {
        f64::from_bits(self.credit.load(Ordering::Relaxed))
    }
}

impl<K, V> Locked<'_, K, V> {
    /// The shard, to be changed.
    fn writer(&mut self) -> Option<Writer<'_, K, V>> {
        let shard = self.place.shard()?;
        // SAFETY: we have the lock, and the borrow of it keeps the writer alone.
        Some(unsafe { shard.writer(&self.store.era, self.reservation) })
    }

    /// Puts a shard in, where there is none.
    fn install(&mut self, shard: Shard<K, V>) {
        let shard = Box::into_raw(Box::new(shard));
        let before = self.place.shard.swap(shard, Ordering::AcqRel);
        debug_assert!(before.is_null(), "there was a shard");
    }

    /// Empties limbo as far as is worth it, frees the shard if it has no entries, and publishes; gives back no more than
    /// `most` bytes of what is not entries' heap. Called after each change, before the lock is released.
    fn tidy(&mut self, how: Collect, most: u64, leaving: &mut Leaving<K, V>) {
        if let Some(mut shard) = self.writer() {
            shard.collect(how, leaving);
            shard.settle(most);
        }
        self.vacate(most);
        self.publish();
    }

    /// What an insert does before it releases the lock: like [`tidy`](Self::tidy) after the shard was asked for what is
    /// in limbo, but publishes only now and then where that says how heavy the shard is. Returns whether it did.
    fn finish(&mut self, leaving: &mut Leaving<K, V>) -> bool {
        let known = self.place.rank.load(Ordering::Relaxed) != u64::MAX;
        if let Some(mut shard) = self.writer()
            && known
            && shard.may_wait()
        {
            shard.settle(u64::MAX);
            self.note_due();
            return false;
        }
        self.tidy(Collect::Lazily, u64::MAX, leaving);
        true
    }

    /// Frees the shard if it is empty and nobody can be looking at it.
    fn vacate(&mut self, most: u64) {
        let Some(shard) = self.writer() else { return };
        if !shard.is_vacant(most) {
            return;
        }
        // Out of reach first. Where somebody might still look, it goes back, empty: the next one tries again.
        let unlinked = self.place.shard.swap(ptr::null_mut(), Ordering::AcqRel);
        let Some(shard) = self.unread(unlinked) else {
            self.place.shard.store(unlinked, Ordering::Release);
            return;
        };
        self.reservation.shrink(shard);
        // SAFETY: it came out of a box, and nobody can reach it any more.
        drop(unsafe { Box::from_raw(unlinked) });
    }

    /// What an unlinked shard was charged, once nobody reads it; `None` while somebody might.
    fn unread(&self, shard: *mut Shard<K, V>) -> Option<u64> {
        // SAFETY: we have the lock, and it is not freed yet.
        let mut writer = unsafe { (*shard).writer(&self.store.era, self.reservation) };
        writer.await_readers(PATIENCE).then(|| writer.forget())
    }

    /// Publishes what the next victim is worth, and when somebody may be due.
    fn publish(&mut self) {
        let front = self.writer().and_then(|mut shard| shard.front());
        let (rank, credit) = front.map_or((u64::MAX, f64::INFINITY), |front| (front.rank, front.credit));
        // A rank of `MAX` means empty; no real entry comes near it.
        self.place.rank.store(rank, Ordering::Relaxed);
        self.place.credit.store(credit.to_bits(), Ordering::Relaxed);
        let ranks = self.store.places().iter().map(|place| place.rank.load(Ordering::Relaxed));
        let heaviest = load_of(ranks.min().unwrap_or(u64::MAX));
        if let Some(mut shard) = self.writer() {
            shard.published(heaviest);
        }
        self.note_due();
    }

    /// Says when somebody in the shard may be due.
    fn note_due(&mut self) {
        let due = self.writer().map_or(NEVER, |shard| shard.next_due());
        // Looked at first: nearly always another entry is due before.
        if due < self.store.due.load(Ordering::Relaxed) {
            self.store.due.fetch_min(due, Ordering::AcqRel);
        }
    }
}
