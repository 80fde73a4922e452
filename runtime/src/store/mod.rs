//! The sharded store: where entries live, how they are found, and which shard gives one up.
//!
//! A hit takes a shard's lock shared, finds, touches and clones; everything else takes it exclusive, for
//! one shard at a time. Each shard publishes the rank and the worth of its next victim, so that an
//! overflow evicts from the shard with the cheapest one, whichever shard overflowed. Bytes of tables and
//! pages are settled with the reservation here; heap bytes of entries are the caller's to reserve and to
//! release, because they are known before an entry comes and after it went.

mod shard;
mod slab;
mod timers;

pub(crate) use shard::{Entry, Moment, NotLinked, Removed};

use shard::{Over, Shard};

use crate::budget::Reservation;
use crate::expiry::Expires;
use crate::policy::Policy;
use crate::sync::{AtomicBool, AtomicU32, AtomicU64, Ordering, Padded, RwLock, RwLockWriteGuard, fork};
use crate::time::{NEVER, Nanos};

/// Stripes of keys that are invalidated together, as far as loads in flight are concerned.
const STRIPES: usize = 32;

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

/// So many shards are tried for expired entries when somebody needs room.
const TRIED: usize = 4;

/// The entries of one cache instance.
pub(crate) struct Store<K, V> {
    /// A power of two of them.
    shards: Box<[Padded<Locked<K, V>>]>,
    /// Counts insertions, coarsely: the unit of recency. Uses too, where the order is to be `exact`.
    tick: AtomicU64,
    /// One shard under a policy that looks at recency alone: its readers meet at one lock anyway, so that the
    /// order of their uses costs little more.
    exact: bool,
    /// One counter for each stripe of keys; an invalidation raises it, and a value that was computed under
    /// an older count is not stored. See [`Store::generation`].
    generations: [AtomicU32; STRIPES],
    /// How many writes of each stripe are between linking their entry and superseding the loads in flight.
    writing: [AtomicU32; STRIPES],
}

/// A write of a key is under way. No load of the key stores its value from here on until this is dropped: it
/// may have looked before the write, and the written entry may be gone again.
#[must_use]
pub(crate) struct Writing<'a>(&'a AtomicU32);

impl Drop for Writing<'_> {
    fn drop(&mut self) {
        // Release: a load that reads this sees that it is superseded.
        self.0.fetch_sub(1, Ordering::Release);
    }
}

struct Locked<K, V> {
    shard: RwLock<Shard<K, V>>,
    /// Rank of the next victim, `u64::MAX` when empty. Written under the lock, read without.
    rank: AtomicU64,
    /// Bits of the next victim's credit, infinite when empty. Likewise.
    credit: AtomicU64,
    /// No entry expires before; `NEVER` when none does. Likewise.
    due: AtomicU64,
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
    locked: &'a Locked<K, V>,
    shard: RwLockWriteGuard<'a, Shard<K, V>>,
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

/// Where a load started: a value computed since then is stored only if nobody invalidated meanwhile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Generation(u32);

/// What must still hold when a loaded value is linked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Freshness<'a> {
    pub(crate) generation: Generation,
    /// Set when somebody wrote the key while it was loading.
    pub(crate) superseded: Option<&'a AtomicBool>,
    /// Now: an entry that is expired by then does not stand in the way.
    pub(crate) now: Nanos,
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
        }
    }
}

/// The outcome of [`Store::link`].
pub(crate) enum Linked<K, V> {
    /// The entry is in; the one it replaced, if any, is out, and so are some that expired.
    Done { replaced: Option<Removed<K, V>>, expired: Vec<Removed<K, V>> },
    /// The entry is older than an invalidation or a write.
    Stale(Entry<K, V>),
    /// The entry is not in, and says why.
    Not(Entry<K, V>, NotLinked),
}

impl<K, V> Store<K, V> {
    /// What an entry takes beside its heap bytes.
    pub(crate) const SLOT_BYTES: u64 = Shard::<K, V>::SLOT_BYTES;

    pub(crate) fn new(shards: usize, policy: Policy, expires: Expires) -> Self {
        let exact = shards == 1 && policy == Policy::Lru;
        let shards = (0..shards.next_power_of_two()).map(|_| Padded(Locked::new(expires)));
        Self {
            shards: shards.collect(),
            tick: AtomicU64::new(0),
            exact,
            generations: std::array::from_fn(|_| AtomicU32::new(0)),
            writing: std::array::from_fn(|_| AtomicU32::new(0)),
        }
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
    fn at(&self, hash: u64) -> &Locked<K, V> {
        &self.shards[(hash >> 40) as usize & (self.shards.len() - 1)]
    }

    fn stripe(&self, hash: u64) -> &AtomicU32 {
        &self.generations[Self::stripe_of(hash)]
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
        let Some(shard) = fork::read(&self.at(hash).shard) else { return Probe::Absent };
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
        let shard = fork::read(&self.at(hash).shard)?;
        let (index, slot) = shard.find(hash, eq)?;
        let deadline = shard.deadline(index, slot);
        let fresh = deadline == NEVER || deadline > now();
        fresh.then(|| take(&slot.value))
    }

    /// The state of invalidation for a key, to be taken before its value is computed.
    pub(crate) fn generation(&self, hash: u64) -> Generation {
        Generation(self.stripe(hash).load(Ordering::Acquire))
    }

    /// From now on, no value computed under an earlier generation of this key is stored.
    pub(crate) fn advance(&self, hash: u64) {
        self.stripe(hash).fetch_add(1, Ordering::AcqRel);
    }

    /// [`advance`](Self::advance) for all keys.
    pub(crate) fn advance_all(&self) {
        for stripe in &self.generations {
            stripe.fetch_add(1, Ordering::AcqRel);
        }
    }

    /// Puts an entry in, unless it is stale. Takes out a few of its shard that are expired when it was written.
    pub(crate) fn link(
        &self,
        entry: Entry<K, V>,
        origin: Origin<'_>,
        eq: impl Fn(&K, &K) -> bool,
        mut moment: Moment,
        reservation: &Reservation,
        ceiling: u64,
    ) -> Linked<K, V> {
        let (hash, written) = (entry.hash, entry.written);
        let locked = self.at(hash);
        let mut shard = locked.shard.write();
        // Checked under the lock: whoever invalidates raises the generation first and removes under this
        // lock after, so either we see the new generation or the removal sees our entry.
        let stale = origin.load().is_some_and(|freshness| {
            self.generation(hash) != freshness.generation
                // Before the flag: who is no longer writing has set it.
                || self.writing[Self::stripe_of(hash)].load(Ordering::Acquire) > 0
                || freshness.superseded.is_some_and(|flag| flag.load(Ordering::Acquire))
        });
        if stale {
            return Linked::Stale(entry);
        }
        moment.exact = self.exact;
        moment.tick = self.next_use();
        let found = shard.place_of(&entry, eq);
        let outcome = shard.link(entry, found, origin.over(), moment, reservation, ceiling);
        let mut expired = Vec::new();
        if outcome.is_ok() {
            shard.expire(written & !(GRAIN - 1), LOOKED, reservation, &mut expired);
        }
        locked.publish(&shard);
        // Each shard moves the tick by as much as the shards together link meanwhile.
        let pace = self.shards.len() as u64;
        if !self.exact && shard.linked.is_multiple_of(pace) {
            self.tick.fetch_add(pace, Ordering::Relaxed);
        }
        drop(shard);
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
        let locked = self.at(hash);
        let mut shard = locked.shard.write();
        let removed = shard.remove(hash, eq, reservation);
        locked.publish(&shard);
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
        let locked = self.at(hash);
        let mut shard = fork::write(&locked.shard)?;
        let (index, slot) = shard.find(hash, &mut eq)?;
        if shard.deadline(index, slot) > now {
            return None;
        }
        let removed = shard.remove(hash, eq, reservation);
        locked.publish(&shard);
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
        let Some(Cheapest { locked, mut shard, runner_up }) = self.lock_cheapest(wanted.patient) else {
            return (removed, 0);
        };
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
        let settled = shard.settle(reservation, wanted.most.saturating_sub(heap));
        locked.publish(&shard);
        (removed, settled)
    }

    fn lock_cheapest(&self, patient: bool) -> Option<Cheapest<'_, K, V>> {
        // Shards found busy; there are 64 at most.
        let mut passed = 0_u64;
        loop {
            let (mut at, mut rank, mut runner_up) = (0, u64::MAX, u64::MAX);
            for (other, locked) in self.shards.iter().enumerate() {
                let found = locked.rank.load(Ordering::Relaxed);
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
            let locked = &self.shards[at];
            let shard = if patient { Some(locked.shard.write()) } else { locked.shard.try_write() };
            if let Some(shard) = shard {
                return Some(Cheapest { locked, shard, runner_up });
            }
            passed |= 1 << at;
        }
    }

    /// The lowest credit of all shards' next victims; infinite when empty.
    pub(crate) fn credit(&self) -> f64 {
        let credits = self.shards.iter().map(|locked| f64::from_bits(locked.credit.load(Ordering::Relaxed)));
        credits.fold(f64::INFINITY, f64::min)
    }

    /// What each byte of the next victim saves, in nanoseconds of compute, and that victim's credit.
    pub(crate) fn next_victim(&self) -> Option<(f64, f64)> {
        let credit = |locked: &Locked<K, V>| f64::from_bits(locked.credit.load(Ordering::Relaxed));
        let cheapest = self.shards.iter().min_by(|a, b| credit(a).total_cmp(&credit(b)))?;
        let density = cheapest.shard.read().front_density(self.tick())?;
        Some((density, credit(cheapest)))
    }

    /// [`credit`](Self::credit) of the shard of one key only.
    pub(crate) fn credit_beside(&self, hash: u64) -> f64 {
        f64::from_bits(self.at(hash).credit.load(Ordering::Relaxed))
    }

    /// Takes out what is expired by `now`, a bounded number of slots for each lock hold; shards in which nothing
    /// can be due are not locked. `removed` gets them with no lock held, as many as left together: one whose drop
    /// panics must not keep the others in the books.
    pub(crate) fn expire(
        &self,
        now: Nanos,
        reservation: &Reservation,
        mut removed: impl FnMut(Vec<Removed<K, V>>),
    ) {
        for locked in &self.shards {
            let mut done = false;
            while !done && locked.due.load(Ordering::Relaxed) <= now {
                let mut expired = Vec::new();
                {
                    let Some(mut shard) = fork::write(&locked.shard) else { break };
                    done = shard.expire(now, SWEPT, reservation, &mut expired);
                    locked.publish(&shard);
                }
                if !expired.is_empty() {
                    removed(expired);
                }
            }
        }
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
        for _ in 0..TRIED {
            let dues = self.shards.iter().map(|locked| (locked, locked.due.load(Ordering::Relaxed)));
            let Some((locked, _)) = dues.min_by_key(|(_, due)| *due).filter(|(_, due)| *due <= now) else {
                break;
            };
            let shard = if patient { Some(locked.shard.write()) } else { locked.shard.try_write() };
            let Some(mut shard) = shard else { break };
            shard.expire(now, BATCH, reservation, &mut removed);
            locked.publish(&shard);
            if !removed.is_empty() {
                break;
            }
            // All that came up was used since: another shard may have some.
        }
        removed
    }

    /// Takes everything out, one shard at a time; `removed` gets each shard's entries with no lock held.
    pub(crate) fn drain(&self, reservation: &Reservation, mut removed: impl FnMut(Vec<Removed<K, V>>)) {
        for locked in &self.shards {
            let entries = {
                let mut shard = locked.shard.write();
                let entries = shard.drain(reservation);
                locked.publish(&shard);
                entries
            };
            if !entries.is_empty() {
                removed(entries);
            }
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.shards.iter().map(|locked| locked.shard.read().len()).sum()
    }

    /// Checks every shard's structure; returns the bytes that entries, tables and pages account for.
    #[cfg(test)]
    pub(crate) fn validate(&self) -> u64 {
        self.shards.iter().map(|locked| locked.shard.read().validate()).sum()
    }
}

impl<K, V> Locked<K, V> {
    const fn new(expires: Expires) -> Self {
        Self {
            shard: RwLock::new(Shard::new(expires)),
            rank: AtomicU64::new(u64::MAX),
            credit: AtomicU64::new(f64::INFINITY.to_bits()),
            due: AtomicU64::new(NEVER),
        }
    }

    /// Publishes what the next victim is worth, and when somebody may be due. Called before the lock is released.
    fn publish(&self, shard: &Shard<K, V>) {
        let (rank, credit) = shard.front().unwrap_or((u64::MAX, f64::INFINITY));
        // A rank of `MAX` means empty; no real entry comes near it.
        self.rank.store(rank, Ordering::Relaxed);
        self.credit.store(credit.to_bits(), Ordering::Relaxed);
        self.due.store(shard.next_due(), Ordering::Relaxed);
    }
}
