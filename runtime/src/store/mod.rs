//! The sharded store: where entries live, how they are found, and which shard gives one up.
//!
//! A hit takes a shard's lock shared, finds, touches and clones; everything else takes it exclusive, for
//! one shard at a time. Each shard publishes the rank and the worth of its next victim, so that an
//! overflow evicts from the shard with the cheapest one, whichever shard overflowed. Bytes of shards, tables
//! and pages are settled with the reservation here; heap bytes of entries are the caller's to reserve and to
//! release, because they are known before an entry comes and after it went.
//!
//! ```text
//! places  [ lock, shard?, rank, credit ] x 8     there from the start: four lines of cache
//!                   |
//!                   v
//! shard   [ table, slots, queue, .. ]            made with its first entry, freed with its last
//! ```
//!
//! A place whose shard is not there is an empty shard. Places stay where they are for as long as the store lives,
//! because a look-up goes to one with no lock held; so there are few of them, and they are small.

mod shard;
mod slab;
mod timers;

pub(crate) use shard::{Entry, Moment, NotLinked, NotReweighed, Removed};

use shard::{Over, Shard};

use crate::budget::Reservation;
use crate::expiry::Expires;
use crate::policy::Policy;
use crate::sync::{AtomicU16, AtomicU32, AtomicU64, Ordering, RwLock, RwLockWriteGuard, fork};
use crate::time::{NEVER, Nanos};
use crate::weight::weigh::allocation;

/// Stripes of keys whose loads wait out each other's writes.
const STRIPES: usize = 8;

/// An eviction stops after so many entries of one shard: that empties a page of slots.
const BATCH: usize = 96;

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
    /// A power of two of them, at most 64.
    places: Box<[Place<K, V>]>,
    /// No entry expires before; `NEVER` when none does. Lowered under the lock of the shard whose entry is due, and
    /// raised by who has looked into all shards; read without.
    due: AtomicU64,
    /// Counts insertions, coarsely: the unit of recency. Uses too, where the order is to be `exact`.
    tick: AtomicU64,
    /// One shard under a policy that looks at recency alone: its readers meet at one lock anyway, so that the
    /// order of their uses costs little more.
    exact: bool,
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
    shard: RwLock<Option<Box<Shard<K, V>>>>,
    /// Rank of the next victim, `u64::MAX` when empty. Written under the lock, read without.
    rank: AtomicU64,
    /// Bits of the next victim's credit, infinite when empty. Likewise.
    credit: AtomicU64,
}

/// A shard that is locked to be changed.
struct Locked<'a, K, V> {
    store: &'a Store<K, V>,
    at: usize,
    guard: RwLockWriteGuard<'a, Option<Box<Shard<K, V>>>>,
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
    version: u32,
    /// Heap bytes that it was charged then.
    pub(crate) heap: u64,
}

/// Who pays for the growth of tables and pages, and how entries expire.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Charge<'a> {
    pub(crate) reservation: &'a Reservation,
    pub(crate) ceiling: u64,
    pub(crate) expires: Expires,
}

/// Where an entry that is to be linked comes from.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Origin<'a> {
    /// A load: what was written or invalidated meanwhile wins.
    Load(Freshness<'a>),
    /// A write.
    Write,
    /// A write that has no place among the entries, and can only overwrite.
    Overwrite,
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
            Self::Overwrite => Over::Only,
            Self::After(seen) => Over::Seen(seen.map(|seen| seen.version)),
        }
    }
}

/// The outcome of [`Store::link`].
pub(crate) enum Linked<K, V> {
    /// The entry is in; the one it replaced, if any, is out, and so are some that expired.
    Done { replaced: Option<Removed<K, V>>, expired: Vec<Removed<K, V>> },
    /// The key has been written since its load began.
    Stale(Entry<K, V>),
    /// Somebody is writing a key that may be this one: soon it is known whether the entry is older.
    Unclear(Entry<K, V>),
    /// A load has been marked as superseded: it may be this one.
    Marked(Entry<K, V>),
    /// The entry is not in, and says why.
    Not(Entry<K, V>, NotLinked),
}

impl<K, V> Store<K, V> {
    /// What an entry takes beside its heap bytes.
    pub(crate) const SLOT_BYTES: u64 = Shard::<K, V>::SLOT_BYTES;

    /// More than [`first_bytes`](Self::first_bytes) ever is.
    pub(crate) const FIRST_BYTES_MOST: u64 = 8 * Self::SLOT_BYTES + 4096;

    /// What the first entry of a shard is charged beside its heap bytes.
    pub(crate) fn first_bytes(expires: Expires) -> u64 {
        Shard::<K, V>::first_bytes(expires)
    }

    pub(crate) fn new(shards: usize, policy: Policy) -> Self {
        let exact = shards == 1 && policy == Policy::Lru;
        let places = shards.next_power_of_two();
        Self {
            places: (0..places).map(|_| Place::new()).collect(),
            due: AtomicU64::new(NEVER),
            tick: AtomicU64::new(0),
            exact,
            writing: std::array::from_fn(|_| AtomicU16::new(0)),
        }
    }

    /// Bytes that it takes beside its own size while it is empty.
    pub(crate) fn base_bytes(&self) -> u64 {
        allocation(size_of_val(&*self.places))
    }

    /// Over how many shards the entries are spread.
    pub(crate) fn shards(&self) -> usize {
        self.places.len()
    }

    pub(crate) fn tick(&self) -> u64 {
        self.tick.load(Ordering::Relaxed)
    }

    /// The tick of a use: one of its own where the order is exact.
    #[inline]
    fn next_use(&self) -> u64 {
        if self.exact { self.tick.fetch_add(1, Ordering::Relaxed) } else { self.tick() }
    }

    /// The table in a shard uses the hash's lowest and highest bits; these are others.
    #[inline]
    fn place(&self, hash: u64) -> usize {
        (hash >> 40) as usize & (self.places.len() - 1)
    }

    #[inline]
    fn at(&self, hash: u64) -> &Place<K, V> {
        &self.places[self.place(hash)]
    }

    fn lock(&self, at: usize) -> Locked<'_, K, V> {
        Locked { store: self, at, guard: self.places[at].shard.write() }
    }

    /// Locks a place; not always in the child of a fork.
    fn lock_unless_forked(&self, at: usize) -> Option<Locked<'_, K, V>> {
        let guard = fork::write(&self.places[at].shard)?;
        Some(Locked { store: self, at, guard })
    }

    /// Locks a place; unless `patient`, only if nobody else has it.
    fn lock_if(&self, at: usize, patient: bool) -> Option<Locked<'_, K, V>> {
        if patient {
            return Some(self.lock(at));
        }
        let guard = self.places[at].shard.try_write()?;
        Some(Locked { store: self, at, guard })
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

    /// Finds a value, notes the use, and makes `R` of it under the shared lock. The clock is read only for
    /// entries that expire.
    #[inline]
    pub(crate) fn get<R>(
        &self,
        hash: u64,
        eq: impl FnMut(&K) -> bool,
        now: impl FnOnce() -> Nanos,
        take: impl FnOnce(&V) -> R,
    ) -> Probe<R> {
        let Some(guard) = fork::read(&self.at(hash).shard) else { return Probe::Absent };
        let Some(shard) = &*guard else { return Probe::Absent };
        let Some((index, slot)) = shard.find(hash, eq) else { return Probe::Absent };
        if matches!(shard.expires, Expires::ByUse(_)) {
            let now = now();
            if shard.deadline(index, slot) <= now {
                return Probe::Expired;
            }
            shard.note_use(index, now);
        } else if slot.deadline != NEVER && slot.deadline <= now() {
            return Probe::Expired;
        }
        slot.touch.record(self.next_use());
        Probe::Hit(take(&slot.value), slot.cost)
    }

    /// Finds a value without noting the use.
    pub(crate) fn peek<R>(
        &self,
        hash: u64,
        eq: impl FnMut(&K) -> bool,
        now: impl FnOnce() -> Nanos,
        take: impl FnOnce(&V) -> R,
    ) -> Option<R> {
        let guard = fork::read(&self.at(hash).shard)?;
        let shard = guard.as_ref()?;
        let (index, slot) = shard.find(hash, eq)?;
        let deadline = shard.deadline(index, slot);
        let fresh = deadline == NEVER || deadline > now();
        fresh.then(|| take(&slot.value))
    }

    /// Puts an entry in, unless it is stale. Takes out a few of its shard that are expired when it was written.
    pub(crate) fn link(
        &self,
        entry: Entry<K, V>,
        origin: Origin<'_>,
        eq: impl Fn(&K, &K) -> bool,
        mut moment: Moment,
        charge: Charge<'_>,
    ) -> Linked<K, V> {
        let Charge { reservation, ceiling, expires } = charge;
        let (hash, written) = (entry.hash, entry.written);
        let mut locked = self.lock(self.place(hash));
        // Checked under the lock: whoever invalidates supersedes the loads first and removes under this lock after,
        // so either we see that or the removal sees our entry.
        if let Some(freshness) = origin.load() {
            // Before the marks: who is no longer writing has set them.
            let busy = self.writing[Self::stripe_of(hash)].load(Ordering::Acquire) > 0;
            if freshness.marks.load(Ordering::Acquire) != freshness.seen {
                return Linked::Marked(entry);
            }
            if busy {
                return Linked::Unclear(entry);
            }
        }
        moment.exact = self.exact;
        moment.tick = self.next_use();
        let mut expired = Vec::new();
        let outcome = match &mut *locked.guard {
            Some(shard) => {
                let found = shard.place_of(&entry, eq);
                let outcome = shard.link(entry, found, origin.over(), moment, reservation, ceiling);
                if outcome.is_ok() {
                    shard.expire(written & !(GRAIN - 1), LOOKED, reservation, &mut expired);
                }
                outcome
            }
            absent => {
                // On the stack until its block is charged, which its first entry does with all it needs.
                let mut shard = Shard::new(expires);
                let outcome = shard.link(entry, None, origin.over(), moment, reservation, ceiling);
                if shard.vacate(reservation, u64::MAX).is_none() {
                    *absent = Some(Box::new(shard));
                }
                outcome
            }
        };
        let linked = locked.guard.as_ref().map_or(0, |shard| shard.linked);
        locked.tidy(reservation, u64::MAX);
        drop(locked);
        // Each shard moves the tick by as much as the shards together link meanwhile.
        let pace = self.places.len() as u64;
        if !self.exact && linked.is_multiple_of(pace) {
            self.tick.fetch_add(pace, Ordering::Relaxed);
        }
        match outcome {
            Ok(replaced) => Linked::Done { replaced, expired },
            Err((entry, NotLinked::Present)) => Linked::Stale(entry),
            Err((entry, error)) => Linked::Not(entry, error),
        }
    }

    /// Takes out the entry with this key.
    pub(crate) fn remove(
        &self,
        hash: u64,
        eq: impl FnMut(&K) -> bool,
        reservation: &Reservation,
    ) -> Option<Removed<K, V>> {
        let mut locked = self.lock(self.place(hash));
        let removed = locked.guard.as_mut()?.remove(hash, eq, reservation);
        locked.tidy(reservation, u64::MAX);
        removed
    }

    /// Takes out the entry with this key if it is expired by `now`.
    pub(crate) fn remove_expired(
        &self,
        hash: u64,
        mut eq: impl FnMut(&K) -> bool,
        now: Nanos,
        reservation: &Reservation,
    ) -> Option<Removed<K, V>> {
        let mut locked = self.lock_unless_forked(self.place(hash))?;
        let shard = locked.guard.as_mut()?;
        let (index, slot) = shard.find(hash, &mut eq)?;
        if shard.deadline(index, slot) > now {
            return None;
        }
        let removed = shard.remove(hash, eq, reservation);
        locked.tidy(reservation, u64::MAX);
        removed
    }

    /// Finds the entry with this key, and lets `with` see it: what it is said to weigh, and which it is. No use is
    /// noted.
    pub(crate) fn sight<R>(
        &self,
        hash: u64,
        eq: impl FnMut(&K) -> bool,
        now: impl FnOnce() -> Nanos,
        with: impl FnOnce(&K, &V) -> R,
    ) -> Option<(R, Sighting)> {
        let guard = self.at(hash).shard.read();
        let shard = guard.as_ref()?;
        let (index, slot) = shard.find(hash, eq)?;
        let deadline = shard.deadline(index, slot);
        if deadline != NEVER && deadline <= now() {
            return None;
        }
        Some((with(&slot.key, &slot.value), Sighting { version: slot.version, heap: slot.heap }))
    }

    /// All entries of one shard, as they are now.
    pub(crate) fn sight_all(&self, shard: usize) -> Vec<(u64, Sighting)> {
        let guard = self.places[shard].shard.read();
        let slots = guard.iter().flat_map(|shard| shard.iter());
        slots.map(|slot| (slot.hash, Sighting { version: slot.version, heap: slot.heap })).collect()
    }

    /// Lets `with` see an entry again, if it is the same one, and not expired.
    pub(crate) fn look_again<R>(
        &self,
        hash: u64,
        sighting: Sighting,
        now: impl FnOnce() -> Nanos,
        with: impl FnOnce(&K, &V) -> R,
    ) -> Option<R> {
        let guard = self.at(hash).shard.read();
        let shard = guard.as_ref()?;
        let (index, slot) = shard.get_version(hash, sighting.version)?;
        let deadline = shard.deadline(index, slot);
        (deadline == NEVER || deadline > now()).then(|| with(&slot.key, &slot.value))
    }

    /// When the entry with this key expires, `NEVER` if it does not.
    pub(crate) fn deadline(&self, hash: u64, eq: impl FnMut(&K) -> bool) -> Option<Nanos> {
        let guard = self.at(hash).shard.read();
        let shard = guard.as_ref()?;
        let (index, slot) = shard.find(hash, eq)?;
        Some(shard.deadline(index, slot))
    }

    /// Gives the entry that was sighted another weight, if `granted` bytes cover what it grew by. Returns the heap
    /// bytes it was charged so far.
    ///
    /// # Errors
    ///
    /// Says whether the entry is gone, or was weighed anew by somebody else.
    pub(crate) fn reweigh(
        &self,
        hash: u64,
        sighting: Sighting,
        heap: u64,
        granted: u64,
        mut moment: Moment,
    ) -> Result<u64, NotReweighed> {
        let mut locked = self.lock(self.place(hash));
        moment.exact = self.exact;
        moment.tick = self.tick();
        let shard = locked.guard.as_mut().ok_or(NotReweighed::Gone)?;
        let before = shard.reweigh(hash, sighting.version, heap, granted, moment)?;
        locked.publish();
        Ok(before)
    }

    /// Takes out the entry that was sighted.
    pub(crate) fn remove_sighted(
        &self,
        hash: u64,
        sighting: Sighting,
        reservation: &Reservation,
    ) -> Option<Removed<K, V>> {
        let mut locked = self.lock(self.place(hash));
        let removed = locked.guard.as_mut()?.remove_version(hash, sighting.version, reservation);
        locked.tidy(reservation, u64::MAX);
        removed
    }

    /// Evicts from the shard whose next victim is worth least. With `patient` it waits for that shard's
    /// lock; otherwise it goes to the next cheapest, so that it never blocks on another tenant. Returns what
    /// left, and the bytes of tables and pages that went with it; nothing, when nothing could go.
    pub(crate) fn evict(
        &self,
        mut moment: Moment,
        wanted: Wanted,
        reservation: &Reservation,
    ) -> (Vec<Removed<K, V>>, u64) {
        moment.exact = self.exact;
        moment.tick = self.tick();
        let mut removed = Vec::new();
        let Some(Cheapest { mut locked, runner_up }) = self.lock_cheapest(wanted.patient) else {
            return (removed, 0);
        };
        let Some(shard) = locked.guard.as_mut() else { return (removed, 0) };
        let (mut heap, mut weight) = (0, 0);
        while let Some(victim) = shard.evict(moment, wanted.most - weight) {
            heap += victim.heap;
            weight += victim.heap + Self::SLOT_BYTES;
            removed.push(victim);
            // Entries without heap free nothing one by one: they go until a page of them is empty.
            let dear = shard
                .front()
                .is_some_and(|(rank, credit)| credit > wanted.upto || (heap > 0 && rank > runner_up));
            if dear || heap >= wanted.bytes || removed.len() >= BATCH {
                break;
            }
        }
        let most = wanted.most.saturating_sub(heap);
        let settled = shard.settle(reservation, most);
        let freed = locked.tidy(reservation, most - settled);
        (removed, settled + freed)
    }

    fn lock_cheapest(&self, patient: bool) -> Option<Cheapest<'_, K, V>> {
        // Shards found busy; there are 64 at most.
        let mut passed = 0_u64;
        loop {
            let (mut at, mut rank, mut runner_up) = (0, u64::MAX, u64::MAX);
            for (other, place) in self.places.iter().enumerate() {
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
            if let Some(locked) = self.lock_if(at, patient) {
                return Some(Cheapest { locked, runner_up });
            }
            passed |= 1 << at;
        }
    }

    /// The lowest credit of all shards' next victims; infinite when empty.
    pub(crate) fn credit(&self) -> f64 {
        let credits = self.places.iter().map(Place::credit);
        credits.fold(f64::INFINITY, f64::min)
    }

    /// What each byte of the next victim saves, in nanoseconds of compute, and that victim's credit.
    pub(crate) fn next_victim(&self) -> Option<(f64, f64)> {
        let cheapest = self.places.iter().min_by(|a, b| a.credit().total_cmp(&b.credit()))?;
        let density = cheapest.shard.read().as_ref()?.front_density(self.tick())?;
        Some((density, cheapest.credit()))
    }

    /// [`credit`](Self::credit) of the shard of one key only.
    pub(crate) fn credit_beside(&self, hash: u64) -> f64 {
        self.at(hash).credit()
    }

    /// Takes out what is expired by `now`, a bounded number of slots for each lock hold; while nothing can be due, no
    /// shard is locked. `removed` gets them with no lock held, as many as left together: one whose drop
    /// panics must not keep the others in the books.
    pub(crate) fn expire(
        &self,
        now: Nanos,
        reservation: &Reservation,
        mut removed: impl FnMut(Vec<Removed<K, V>>),
    ) {
        if !self.is_due(now) {
            return;
        }
        let looking = self.look();
        for at in 0..self.places.len() {
            let mut done = false;
            while !done {
                let mut expired = Vec::new();
                let Some(mut locked) = self.lock_unless_forked(at) else { break };
                done = locked.expire(now, SWEPT, reservation, &mut expired);
                drop(locked);
                if !expired.is_empty() {
                    removed(expired);
                }
            }
        }
        looking.done();
    }

    /// Takes out some entries of one shard that are expired by `now`, if there are any. With `patient` it waits
    /// for a busy shard.
    pub(crate) fn expire_some(
        &self,
        now: Nanos,
        patient: bool,
        reservation: &Reservation,
    ) -> Vec<Removed<K, V>> {
        let mut removed = Vec::new();
        if !self.is_due(now) {
            return removed;
        }
        let looking = self.look();
        let (places, first) = (self.places.len(), self.tick() as usize);
        let mut all = true;
        for at in (0..places).map(|at| (first + at) % places) {
            let Some(mut locked) = self.lock_if(at, patient) else {
                all = false;
                continue;
            };
            // Where all that came up was used since, another shard may have some.
            all &= locked.expire(now, BATCH, reservation, &mut removed);
            if !removed.is_empty() {
                return removed;
            }
        }
        if all {
            looking.done();
        }
        removed
    }

    /// Takes everything out, one shard at a time; `removed` gets each shard's entries with no lock held.
    pub(crate) fn drain(&self, reservation: &Reservation, mut removed: impl FnMut(Vec<Removed<K, V>>)) {
        for at in 0..self.places.len() {
            let entries = {
                let mut locked = self.lock(at);
                let entries = locked.guard.as_mut().map(|shard| shard.drain(reservation)).unwrap_or_default();
                locked.tidy(reservation, u64::MAX);
                entries
            };
            if !entries.is_empty() {
                removed(entries);
            }
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.places.iter().map(|place| place.shard.read().as_ref().map_or(0, |shard| shard.len())).sum()
    }

    /// Checks every shard's structure; returns the bytes that entries, shards, tables and pages account for.
    #[cfg(test)]
    pub(crate) fn validate(&self) -> u64 {
        let check = |place: &Place<K, V>| place.shard.read().as_ref().map_or(0, |shard| shard.validate());
        self.places.iter().map(check).sum()
    }
}

impl<K, V> Place<K, V> {
    const fn new() -> Self {
        Self {
            shard: RwLock::new(None),
            rank: AtomicU64::new(u64::MAX),
            credit: AtomicU64::new(f64::INFINITY.to_bits()),
        }
    }

    fn credit(&self) -> f64 {
        f64::from_bits(self.credit.load(Ordering::Relaxed))
    }
}

impl<K, V> Locked<'_, K, V> {
    /// Takes out some of what is expired by `now`; see [`Shard::expire`].
    fn expire(
        &mut self,
        now: Nanos,
        most: usize,
        reservation: &Reservation,
        removed: &mut Vec<Removed<K, V>>,
    ) -> bool {
        let done = self.guard.as_mut().is_none_or(|shard| shard.expire(now, most, reservation, removed));
        self.tidy(reservation, u64::MAX);
        done
    }

    /// Frees the shard if it has no entries and that gives back no more than `most` bytes, and publishes. Called
    /// after each change, before the lock is released. Returns the bytes.
    fn tidy(&mut self, reservation: &Reservation, most: u64) -> u64 {
        let freed = self.guard.as_mut().and_then(|shard| shard.vacate(reservation, most));
        if freed.is_some() {
            *self.guard = None;
        }
        self.publish();
        freed.unwrap_or(0)
    }

    /// Publishes what the next victim is worth, and when somebody may be due.
    fn publish(&self) {
        let place = &self.store.places[self.at];
        let shard = self.guard.as_ref();
        let (rank, credit) = shard.and_then(|shard| shard.front()).unwrap_or((u64::MAX, f64::INFINITY));
        // A rank of `MAX` means empty; no real entry comes near it.
        place.rank.store(rank, Ordering::Relaxed);
        place.credit.store(credit.to_bits(), Ordering::Relaxed);
        let due = shard.map_or(NEVER, |shard| shard.next_due());
        // Looked at first: nearly always another entry is due before.
        if due < self.store.due.load(Ordering::Relaxed) {
            self.store.due.fetch_min(due, Ordering::AcqRel);
        }
    }
}
