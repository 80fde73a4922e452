//! Where a shard is while it has entries, and who has it locked.
//!
//! A place publishes what its shard's next victim is worth. Nothing leaves a shard here that its users did not unlink.

use std::ptr;

use super::Store;
use super::shard::{Collect, Leaving, PATIENCE, Shard, Writer};
use crate::budget::Reservation;
use crate::policy::load_of;
use crate::sync::{AtomicPtr, AtomicU64, Mutex, MutexGuard, Ordering, fork};
use crate::time::NEVER;

/// Where a shard is, while it has entries. Half a line of cache: two shards share one, which costs less than the
/// kilobytes that lines of their own would take in every empty cache.
pub(super) struct Place<K, V> {
    /// Null while there is none. Changed under the lock, read without.
    pub(super) shard: AtomicPtr<Shard<K, V>>,
    lock: Mutex<()>,
    /// Rank of the next victim, `u64::MAX` when empty. Written under the lock, read without.
    pub(super) rank: AtomicU64,
    /// Bits of the next victim's credit, infinite when empty. Likewise.
    credit: AtomicU64,
}

/// A place that is locked, so that its shard can be changed.
pub(super) struct Locked<'a, K, V> {
    store: &'a Store<K, V>,
    place: &'a Place<K, V>,
    reservation: &'a Reservation,
    _guard: MutexGuard<'a, ()>,
}

// SAFETY: places lead to shards, which are `Send` and `Sync` under these bounds and freed under the era.
unsafe impl<K: Send + Sync, V: Send + Sync> Sync for Place<K, V> {}

// SAFETY: as above.
unsafe impl<K: Send, V: Send> Send for Place<K, V> {}

impl<K, V> Place<K, V> {
    pub(super) const fn new() -> Self {
        Self {
            shard: AtomicPtr::new(ptr::null_mut()),
            lock: Mutex::new(()),
            rank: AtomicU64::new(u64::MAX),
            credit: AtomicU64::new(f64::INFINITY.to_bits()),
        }
    }

    /// The shard, for who reads under the store's era or has the lock: it stays for as long.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(super) fn shard(&self) -> Option<&Shard<K, V>> {
        // Acquire: the shard was there before its address. SAFETY: it is freed only when nobody can reach it who has
        // the lock, or reads since before it was taken out.
        unsafe { self.shard.load(Ordering::Acquire).as_ref() }
    }

    pub(super) fn credit(&self) -> f64 {
        f64::from_bits(self.credit.load(Ordering::Relaxed))
    }
}

impl<K, V> Locked<'_, K, V> {
    /// The shard, to be changed.
    pub(super) fn writer(&mut self) -> Option<Writer<'_, K, V>> {
        let shard = self.place.shard()?;
        // SAFETY: we have the lock, and the borrow of it keeps the writer alone.
        Some(unsafe { shard.writer(&self.store.era, self.reservation) })
    }

    /// Puts a shard in, where there is none.
    pub(super) fn install(&mut self, shard: Shard<K, V>) {
        let shard = Box::into_raw(Box::new(shard));
        let before = self.place.shard.swap(shard, Ordering::AcqRel);
        debug_assert!(before.is_null(), "there was a shard");
    }

    /// Empties limbo as far as is worth it, frees the shard if it has no entries, and publishes; gives back no more than
    /// `most` bytes of what is not entries' heap. Called after each change, before the lock is released.
    pub(super) fn tidy(&mut self, how: Collect, most: u64, leaving: &mut Leaving<K, V>) {
        let store = self.store;
        if let Some(mut shard) = self.writer() {
            shard.collect(how, leaving);
            shard.settle(most);
            if how == Collect::Now && shard.waits() {
                store.stuck.store(true, Ordering::Relaxed);
            }
        }
        self.vacate(most);
        self.publish();
    }

    /// What an insert does before it releases the lock: like [`tidy`](Self::tidy) after the shard was asked for what is
    /// in limbo, but publishes only now and then where that says how heavy the shard is. Returns whether it did.
    pub(super) fn finish(&mut self, leaving: &mut Leaving<K, V>) -> bool {
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
    pub(super) fn publish(&mut self) {
        let front = self.writer().and_then(|mut shard| shard.front());
        let (rank, credit) = front.map_or((u64::MAX, f64::INFINITY), |front| (front.rank, front.credit));
        // A rank of `MAX` means empty; no real entry comes near it.
        self.place.rank.store(rank, Ordering::Relaxed);
        self.place.credit.store(credit.to_bits(), Ordering::Relaxed);
        let mut lowest = u64::MAX;
        for place in self.store.places() {
            lowest = lowest.min(place.rank.load(Ordering::Relaxed));
        }
        let heaviest = load_of(lowest);
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

impl<K, V> Store<K, V> {
    pub(super) fn lock<'a>(
        &'a self,
        place: &'a Place<K, V>,
        reservation: &'a Reservation,
    ) -> Locked<'a, K, V> {
        Locked { store: self, place, reservation, _guard: place.lock.lock() }
    }

    /// Locks a place; not always in the child of a fork.
    pub(super) fn lock_unless_forked<'a>(
        &'a self,
        place: &'a Place<K, V>,
        reservation: &'a Reservation,
    ) -> Option<Locked<'a, K, V>> {
        self.lock_if(place, !fork::forked(), reservation)
    }

    /// Locks a place; unless `patient`, only if nobody else has it.
    pub(super) fn lock_if<'a>(
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

    /// Lets `change` take something out of a place's shard; says what it said, and what left. The caller drops it.
    pub(super) fn change<R>(
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
}
