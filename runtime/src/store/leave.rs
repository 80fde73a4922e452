//! Who gives an entry up when room is wanted, and what leaves by itself: the cheapest, what is expired, everything.
//!
//! One shard's lock at a time. What left is handed out, to be dropped with no lock held.

use super::Store;
use super::few::Few;
use super::place::Locked;
use super::shard::{Collect, Leaving, Writer};
use crate::budget::Reservation;
use crate::policy::Moment;
use crate::removal::RemovalCause;
use crate::sync::{AtomicU64, Ordering};
use crate::time::{NEVER, Nanos};
use crate::unwind::each_to_the_end;

/// An eviction stops after so many entries of one shard: that empties a page of slots.
const BATCH: u64 = Few::MOST as u64;

/// How many slots that may be due one lock hold looks at when it sweeps for expired entries.
const SWEPT: usize = 256;

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

/// What an eviction took.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Evicted {
    pub(crate) entries: u64,
    /// Bytes that left the reservation; fewer than the entries had while somebody still reads them.
    pub(crate) bytes: u64,
    /// Bytes that are on their way: somebody still reads the entries. Where nothing was taken, because those of earlier
    /// evictions will do, theirs.
    pub(crate) waiting: u64,
    /// The credit of the last victim, where victims go in the order of it.
    pub(crate) credit: f64,
}

impl Evicted {
    /// Nothing was taken out, and nothing came back of what was.
    pub(crate) fn is_nothing(&self) -> bool {
        self.entries == 0 && self.bytes == 0
    }
}

/// A shard that was picked, locked.
struct Cheapest<'a, K, V> {
    locked: Locked<'a, K, V>,
    /// The next cheapest shard's rank.
    runner_up: u64,
}

impl<K, V> Store<K, V> {
    /// No entry expires before; while somebody looks into all shards, that is not known.
    pub(crate) fn due(&self) -> Nanos {
        self.due.load(Ordering::Relaxed)
    }

    /// Whether an entry may be expired by `now`.
    pub(super) fn is_due(&self, now: Nanos) -> bool {
        self.due() <= now
    }

    /// Starts a look into all shards: each says anew what is due there, and so does who links meanwhile. Dropped
    /// before it is [`done`](Looking::done), it leaves the time as it was.
    fn look(&self) -> Looking<'_> {
        Looking { due: &self.due, before: self.due.swap(NEVER, Ordering::AcqRel) }
    }

    /// Evicts from the shard whose next victim is worth least. With `patient` it waits for that shard's
    /// lock; otherwise it goes to the next cheapest, so that it never blocks on another tenant. Takes nothing when
    /// nothing can go, nor where as many bytes left already and are only read still: as long as somebody reads, more would
    /// leave to no avail, up to the last.
    pub(crate) fn evict(
        &self,
        mut moment: Moment,
        wanted: Wanted,
        cause: RemovalCause,
        reservation: &Reservation,
    ) -> (Evicted, Leaving<K, V>) {
        moment.exact = self.exact;
        moment.tick = self.tick();
        let (mut evicted, mut leaving) = (Evicted::default(), Leaving::default());
        if wanted.bytes > 0 && self.stuck.load(Ordering::Relaxed) {
            (evicted.bytes, evicted.waiting) = self.take_stuck(reservation, &mut leaving);
            if evicted.bytes > 0 || evicted.waiting >= wanted.bytes {
                return (evicted, leaving);
            }
        }
        let enough = wanted.bytes - evicted.waiting;
        let Some(Cheapest { mut locked, runner_up }) = self.lock_cheapest(wanted.patient, reservation) else {
            return (evicted, leaving);
        };
        let Some(mut shard) = locked.writer() else { return (evicted, leaving) };
        let charged = shard.charged();
        let (mut heap, mut weight) = (0, 0);
        let mut picked = Few::new();
        while let Some(victim) = shard.pick(moment, wanted.most - weight) {
            heap += victim.heap;
            weight += victim.heap + Self::SLOT_BYTES;
            evicted.entries += 1;
            evicted.credit = victim.credit.unwrap_or(0.0);
            picked.push(victim.index);
            // Entries without heap free nothing one by one: they go until a page of them is empty.
            let dear = shard
                .front()
                .is_some_and(|next| next.credit > wanted.upto || (heap > 0 && next.rank > runner_up));
            if dear || heap >= enough || evicted.entries >= BATCH {
                break;
            }
        }
        shard.evict(&picked, cause);
        let how = if wanted.bytes > 0 { Collect::Now } else { Collect::Lazily };
        shard.collect(how, &mut leaving);
        // What was reserved meanwhile, to shrink tables, is not the floor's.
        let more = shard.charged().saturating_sub(charged);
        locked.tidy(how, wanted.most.saturating_sub(heap).saturating_add(more), &mut leaving);
        let (left, waiting) = locked.writer().map_or((0, 0), |shard| (shard.charged(), shard.waiting()));
        evicted.bytes = leaving.heap + charged.saturating_sub(left);
        evicted.waiting = weight.min(waiting);
        (evicted, leaving)
    }

    /// Takes out of limbo what earlier evictions could not, because somebody was reading; returns the bytes that left the
    /// reservation, and those that wait on.
    #[cold]
    fn take_stuck(&self, reservation: &Reservation, leaving: &mut Leaving<K, V>) -> (u64, u64) {
        // Before the look: who leaves something in a shard that we have passed says so again.
        self.stuck.store(false, Ordering::Relaxed);
        let (mut freed, mut waiting) = (0, 0);
        for place in self.places() {
            let Some(mut locked) = self.lock_if(place, false, reservation) else {
                self.stuck.store(true, Ordering::Relaxed);
                continue;
            };
            let Some(charged) = locked.writer().filter(Writer::waits).map(|shard| shard.charged()) else {
                continue;
            };
            // Who reads what left one shard keeps all others as well: it is waited for once.
            if waiting == 0 {
                let heap = leaving.heap;
                locked.tidy(Collect::Now, u64::MAX, leaving);
                let left = locked.writer().map_or(0, |shard| shard.charged());
                freed += leaving.heap - heap + charged.saturating_sub(left);
            }
            waiting += locked.writer().map_or(0, |shard| shard.waiting());
        }
        (freed, waiting)
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
        let (mut lowest, mut sum, mut shards) = (f64::INFINITY, 0.0, 0_u32);
        for place in self.places() {
            let credit = place.credit();
            if credit.is_finite() {
                (lowest, sum, shards) = (lowest.min(credit), sum + credit, shards + 1);
            }
        }
        if by_credit || shards == 0 { lowest } else { sum / f64::from(shards) }
    }

    /// What each byte of the next victim saves, in nanoseconds of compute, and that victim's credit.
    pub(crate) fn next_victim(&self, reservation: &Reservation) -> Option<(f64, f64)> {
        let mut cheapest = self.places().first()?;
        for place in self.places() {
            if place.credit() < cheapest.credit() {
                cheapest = place;
            }
        }
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
        let mut all_seen = true;
        for place in self.places() {
            let mut done = false;
            while !done {
                let Some(mut locked) = self.lock_unless_forked(place, reservation) else {
                    all_seen = false;
                    break;
                };
                let changed = self.change(&mut locked, Collect::Now, |shard| shard.expire(now, SWEPT));
                drop(locked);
                let Some(((expired, all), leaving)) = changed else { break };
                done = all;
                left(expired, leaving);
            }
        }
        if all_seen {
            looking.done();
        }
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

    /// Takes everything out, one shard at a time; `left` gets each shard's entries with no lock held. One whose drop panics
    /// keeps no other shard from it.
    pub(crate) fn drain(
        &self,
        cause: RemovalCause,
        reservation: &Reservation,
        mut left: impl FnMut(u64, Leaving<K, V>),
    ) {
        each_to_the_end(self.places(), |place| {
            let mut locked = self.lock(place, reservation);
            let drained = locked.writer().map(|mut shard| shard.drain(cause));
            let mut leaving = Leaving::default();
            if drained.is_some() {
                locked.tidy(Collect::Now, u64::MAX, &mut leaving);
            }
            drop(locked);
            if let Some(entries) = drained {
                left(entries, leaving);
            }
        });
    }

    /// [`drain`](Self::drain) for a store that goes: with everything that waited for readers, of whom there are none.
    pub(crate) fn dissolve(&mut self, reservation: &Reservation, mut left: impl FnMut(u64, Leaving<K, V>)) {
        each_to_the_end(self.places(), |place| {
            let mut locked = self.lock(place, reservation);
            // SAFETY: readers borrow the store, and we have it alone.
            let dissolved = locked.writer().map(|mut shard| unsafe { shard.dissolve() });
            drop(locked);
            if let Some((entries, leaving)) = dissolved {
                left(entries, leaving);
            }
        });
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
}
