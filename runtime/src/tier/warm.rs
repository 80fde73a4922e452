//! Records in memory: found by a hash, bounded, charged, and evicted by what each of their bytes saves.
//!
//! One stripe's lock at a time, and no user code under it. Not here: what is in a record (chain), and who makes room
//! for it elsewhere (the cache).

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::{Mutex, MutexGuard};

use super::stripe::{Listed, Stripe};
use super::{TierStats, changes, count_change};
use crate::budget::Reservation;
use crate::sync::fork;
use crate::time::Nanos;
use crate::weight::weigh::allocation;

/// So many locks: threads seldom meet at one, and what an empty tier takes stays small.
const STRIPES: usize = 32;
/// So many records are looked at to find one that is worth little; with no more than these in all, each.
const SAMPLED: usize = 64;
/// So many of one stripe.
const SAMPLED_OF_ONE: usize = 8;
/// Uses beyond are not told apart.
const MOST_USES: u8 = 15;

/// A key and a value as bytes, and what is known of them.
#[derive(Clone, Debug)]
pub(crate) struct Record {
    pub(super) hash: u32,
    /// How many of the bytes are the key's.
    pub(super) key: u32,
    /// Bytes of the value before it was compressed.
    pub(super) encoded: u32,
    /// The value is compressed.
    pub(super) packed: bool,
    /// What a miss costs, as a byte of [`crate::cost`].
    pub(super) cost: u8,
    /// The user's factor, likewise.
    pub(super) factor: i8,
    pub(super) uses: u8,
    /// The level that eviction had reached when it was last used.
    pub(super) level: f64,
    /// When the entry is too old, here and above.
    pub(super) deadline: Nanos,
    /// When the record is.
    pub(super) expires: Nanos,
    pub(super) bytes: Arc<[u8]>,
}

impl Listed for Record {
    fn hash(&self) -> u32 {
        self.hash
    }
}

impl Record {
    /// Bytes that its block takes.
    pub(super) fn allocated(bytes: usize) -> u64 {
        allocation(2 * size_of::<usize>() + bytes)
    }

    /// All that it takes.
    fn weight(&self) -> u64 {
        Self::allocated(self.bytes.len()) + size_of::<Self>() as u64
    }

    fn found(&self) -> Found {
        let Self { key, encoded, packed, cost, uses, deadline, expires, .. } = *self;
        Found { key, encoded, packed, cost, uses, deadline, expires, bytes: Arc::clone(&self.bytes) }
    }

    pub(super) fn credit(&self, rate: f64) -> f64 {
        let worth = worth(self.cost, self.factor, self.encoded, rate);
        self.level + f64::from(self.uses) * worth / self.weight() as f64
    }
}

/// Nanoseconds that a hit of a record saves where decoding takes `rate` for each byte.
pub(super) fn worth(cost: u8, factor: i8, encoded: u32, rate: f64) -> f64 {
    let saved = crate::cost::decode(cost) as f64 * crate::cost::factor(factor);
    (saved - f64::from(encoded) * rate).max(0.0)
}

/// A record that was found; others may have replaced it by now.
#[derive(Debug)]
pub(crate) struct Found {
    pub(super) key: u32,
    pub(super) encoded: u32,
    pub(super) packed: bool,
    pub(super) cost: u8,
    pub(super) uses: u8,
    pub(super) deadline: Nanos,
    pub(super) expires: Nanos,
    pub(super) bytes: Arc<[u8]>,
}

/// What went to make room.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Gone {
    pub(crate) entries: u64,
    pub(crate) bytes: u64,
    /// What the last of them was worth.
    pub(crate) credit: f64,
}

/// The records of one cache.
#[derive(Debug)]
pub(crate) struct Records {
    stripes: Box<[Mutex<Stripe<Record>>]>,
    max_bytes: u64,
    /// Charged in all.
    bytes: AtomicU64,
    entries: AtomicU64,
    encoded: AtomicU64,
    /// Bits of how far evictions for the tier's own bound have aged it beyond the cache.
    lead: AtomicU64,
    /// Bits of what the next victim is worth, more or less; infinite while empty.
    cheapest: AtomicU64,
    random: AtomicU64,
    pub(super) counts: Counts,
}

#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) hits: AtomicU64,
    pub(super) misses: AtomicU64,
    pub(super) saved: AtomicU64,
    pub(super) demotions: AtomicU64,
    pub(super) promotions: AtomicU64,
    pub(super) refusals: AtomicU64,
    pub(super) evictions: AtomicU64,
    pub(super) expirations: AtomicU64,
    pub(super) failures: AtomicU64,
}

pub(super) fn count(counter: &AtomicU64, by: u64) {
    counter.fetch_add(by, Ordering::Relaxed);
}

impl Records {
    pub(super) fn new(max_bytes: u64) -> Self {
        Self {
            stripes: (0..STRIPES).map(|_| Mutex::default()).collect(),
            max_bytes,
            bytes: AtomicU64::new(0),
            entries: AtomicU64::new(0),
            encoded: AtomicU64::new(0),
            lead: AtomicU64::new(0.0_f64.to_bits()),
            cheapest: AtomicU64::new(f64::INFINITY.to_bits()),
            random: AtomicU64::new(0),
            counts: Counts::default(),
        }
    }

    /// Bytes that it takes while it is empty, beside its own size.
    pub(super) fn base_bytes(&self) -> u64 {
        allocation(size_of_val(&*self.stripes))
    }

    /// Bytes that it is charged beside those.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.entries.load(Ordering::Relaxed) == 0
    }

    /// By how much so many bytes more would pass the tier's own bound.
    pub(crate) fn over(&self, bytes: u64) -> u64 {
        self.bytes().saturating_add(bytes).saturating_sub(self.max_bytes)
    }

    pub(crate) fn lead(&self) -> f64 {
        f64::from_bits(self.lead.load(Ordering::Relaxed))
    }

    /// What the next victim is worth on the cache's scale; infinite while empty.
    pub(crate) fn credit(&self) -> f64 {
        if self.is_empty() {
            return f64::INFINITY;
        }
        f64::from_bits(self.cheapest.load(Ordering::Relaxed)) - self.lead()
    }

    fn at(&self, hash: u32) -> MutexGuard<'_, Stripe<Record>> {
        self.stripes[Self::stripe_of(hash)].lock()
    }

    fn stripe_of(hash: u32) -> usize {
        (hash >> 27) as usize % STRIPES
    }

    /// Nothing is found under this hash, and nothing comes under it, until [`end`](Self::end).
    pub(super) fn begin(&self, hash: u32) {
        self.at(hash).changing.push(hash);
    }

    /// The change is over: what is here is older. Says whether there was something that had not expired.
    pub(super) fn end(&self, hash: u32, now: impl FnOnce() -> Nanos, reservation: &Reservation) -> bool {
        let mut stripe = self.at(hash);
        stripe.end_change(hash, count_change());
        let removed = self.remove(&mut stripe, hash, reservation);
        drop(stripe);
        removed.is_some_and(|record| record.expires > now())
    }

    /// [`begin`](Self::begin) for every hash.
    pub(super) fn begin_all(&self) {
        for stripe in &self.stripes {
            stripe.lock().closed += 1;
        }
    }

    /// [`end`](Self::end) of that; what is here stays.
    pub(super) fn end_all(&self) {
        for stripe in &self.stripes {
            let mut stripe = stripe.lock();
            stripe.closed -= 1;
            stripe.changed = count_change();
        }
    }

    /// Whether something may be under this hash: a hint.
    pub(super) fn may_have(&self, hash: u32) -> bool {
        !self.is_empty() && self.at(hash).position(hash).is_some()
    }

    /// The record under this hash, if it has not expired. `level` says that this is a use.
    pub(super) fn find(
        &self,
        hash: u32,
        now: impl FnOnce() -> Nanos,
        level: Option<f64>,
        reservation: &Reservation,
    ) -> Option<Found> {
        if self.is_empty() {
            return None;
        }
        // In the child of a fork whoever had it locked may be gone.
        let at = &self.stripes[Self::stripe_of(hash)];
        let mut stripe = if fork::forked() { at.try_lock()? } else { at.lock() };
        if stripe.is_changing(hash) {
            return None;
        }
        let at = stripe.position(hash)?;
        let record = &mut stripe.records[at];
        if record.expires != Nanos::MAX && record.expires <= now() {
            self.remove(&mut stripe, hash, reservation);
            count(&self.counts.expirations, 1);
            return None;
        }
        if let Some(level) = level {
            record.uses = (record.uses + 1).min(MOST_USES);
            record.level = level + self.lead();
        }
        Some(record.found())
    }

    /// Takes the record out that was found, unless another is there by now.
    pub(super) fn take(&self, hash: u32, found: &Found, reservation: &Reservation) {
        let mut stripe = self.at(hash);
        let same = |at: usize| Arc::ptr_eq(&stripe.records[at].bytes, &found.bytes);
        if stripe.position(hash).is_some_and(same) {
            self.remove(&mut stripe, hash, reservation);
        }
    }

    /// Puts a record in whose bytes are reserved, over one of the same hash; unless its key may have changed since
    /// `left`.
    ///
    /// # Errors
    ///
    /// It is not in, and its bytes are still reserved: how many others must go first, [`u64::MAX`] if that would not
    /// help.
    pub(super) fn put(
        &self,
        record: Record,
        left: u64,
        rate: f64,
        reservation: &Reservation,
        ceiling: u64,
    ) -> Result<(), (Record, u64)> {
        let mut stripe = self.at(record.hash);
        if stripe.is_changing(record.hash) || stripe.changed > left {
            return Err((record, u64::MAX));
        }
        let replaced = self.remove(&mut stripe, record.hash, reservation);
        let growth = stripe.growth();
        if self.over(growth + Record::allocated(record.bytes.len())) > 0 {
            return Err((record, growth));
        }
        let Some(grown) = stripe.grow(reservation, ceiling) else { return Err((record, growth)) };
        self.bytes.fetch_add(grown, Ordering::Relaxed);
        let credit = record.credit(rate);
        self.bytes.fetch_add(Record::allocated(record.bytes.len()), Ordering::Relaxed);
        self.encoded.fetch_add(u64::from(record.encoded), Ordering::Relaxed);
        self.entries.fetch_add(1, Ordering::Relaxed);
        stripe.push(record);
        drop(stripe);
        drop(replaced);
        let lower = |bits: u64| (credit < f64::from_bits(bits)).then(|| credit.to_bits());
        let _ = self.cheapest.fetch_update(Ordering::Relaxed, Ordering::Relaxed, lower);
        Ok(())
    }

    fn remove(&self, stripe: &mut Stripe<Record>, hash: u32, reservation: &Reservation) -> Option<Record> {
        let record = stripe.remove(hash)?;
        let shrunk = stripe.shrink();
        let block = Record::allocated(record.bytes.len());
        self.bytes.fetch_sub(block + shrunk, Ordering::Relaxed);
        self.encoded.fetch_sub(u64::from(record.encoded), Ordering::Relaxed);
        if self.entries.fetch_sub(1, Ordering::Relaxed) == 1 {
            self.cheapest.store(f64::INFINITY.to_bits(), Ordering::Relaxed);
        }
        reservation.shrink(block + shrunk);
        Some(record)
    }

    /// Evicts what is worth least, up to a credit on the cache's scale, until so many bytes are free.
    /// No more than `most` bytes go. What went is kept, if somebody wants it, with when it left as changes are counted.
    pub(crate) fn evict(
        &self,
        bytes: u64,
        most: u64,
        upto: f64,
        rate: f64,
        reservation: &Reservation,
        mut kept: Option<&mut Vec<(Record, u64)>>,
    ) -> Gone {
        let mut gone = Gone::default();
        while gone.bytes < bytes {
            let Some((hash, credit)) = self.cheapest(rate) else { break };
            self.cheapest.store(credit.to_bits(), Ordering::Relaxed);
            let lead = self.lead();
            if credit - lead > upto {
                break;
            }
            let before = self.bytes();
            let mut stripe = self.at(hash);
            let fits = |at: usize| stripe.records[at].weight() <= most - gone.bytes.min(most);
            if !stripe.position(hash).is_some_and(fits) {
                break;
            }
            let removed = self.remove(&mut stripe, hash, reservation);
            let left = changes();
            drop(stripe);
            if let Some(record) = removed {
                gone.entries += 1;
                gone.bytes += before.saturating_sub(self.bytes());
                gone.credit = credit - lead;
                if let Some(kept) = &mut kept {
                    kept.push((record, left));
                }
            }
        }
        count(&self.counts.evictions, gone.entries);
        gone
    }

    /// What stays ages by what went for the tier's own bound, where the cache's level is this.
    pub(crate) fn age(&self, credit: f64, level: f64) {
        let lead = credit + self.lead() - level;
        if lead > self.lead() {
            self.lead.store(lead.to_bits(), Ordering::Relaxed);
        }
    }

    /// Of a sample the record that is worth least: its hash, and what it is worth here.
    fn cheapest(&self, rate: f64) -> Option<(u32, f64)> {
        let all = self.entries.load(Ordering::Relaxed) as usize <= SAMPLED;
        let (first, mut looked, mut best) = (self.roll() as usize, 0, None);
        for turn in 0..STRIPES {
            if !all && looked >= SAMPLED {
                break;
            }
            let stripe = self.stripes[first.wrapping_add(turn) % STRIPES].lock();
            let len = stripe.records.len();
            let (start, some) = if all { (0, len) } else { (self.roll() as usize, len.min(SAMPLED_OF_ONE)) };
            looked += some;
            for at in 0..some {
                let record = &stripe.records[start.wrapping_add(at) % len];
                let credit = record.credit(rate);
                if best.is_none_or(|(_, least)| credit < least) {
                    best = Some((record.hash, credit));
                }
            }
        }
        best
    }

    fn roll(&self) -> u64 {
        let count = self.random.fetch_add(0x9E37_79B9_7F4A_7C15, Ordering::Relaxed);
        let mixed = (count ^ (count >> 31)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed >> 29
    }

    /// Takes out what is expired; passes over stripes that are busy.
    pub(crate) fn sweep(&self, now: Nanos, reservation: &Reservation) -> u64 {
        let mut expired = 0;
        for stripe in &self.stripes {
            let Some(mut stripe) = stripe.try_lock() else { continue };
            let due = stripe.records.iter().filter(|record| record.expires <= now);
            let due: Vec<u32> = due.map(|record| record.hash).collect();
            expired += due.len() as u64;
            for hash in due {
                self.remove(&mut stripe, hash, reservation);
            }
        }
        count(&self.counts.expirations, expired);
        expired
    }

    /// Takes everything out; returns how many records that were.
    pub(crate) fn clear(&self, reservation: &Reservation) -> u64 {
        let mut entries = 0;
        for stripe in &self.stripes {
            let mut stripe = stripe.lock();
            while let Some(hash) = stripe.records.last().map(|record| record.hash) {
                self.remove(&mut stripe, hash, reservation);
                entries += 1;
            }
        }
        entries
    }

    /// The hashes of all records.
    pub(super) fn hashes(&self) -> Vec<u32> {
        let of = |stripe: &Mutex<Stripe<Record>>| -> Vec<u32> {
            stripe.lock().records.iter().map(|record| record.hash).collect()
        };
        self.stripes.iter().flat_map(of).collect()
    }

    /// The record under a hash, by who is changing it.
    pub(super) fn look(&self, hash: u32) -> Option<Found> {
        let stripe = self.at(hash);
        let at = stripe.position(hash)?;
        Some(stripe.records[at].found())
    }

    /// A copy of the record under a hash, unless its key is being changed.
    pub(super) fn copy(&self, hash: u32) -> Option<Record> {
        let stripe = self.at(hash);
        let at = stripe.position(hash).filter(|_| !stripe.is_changing(hash))?;
        Some(stripe.records[at].clone())
    }

    pub(super) fn stats(&self) -> TierStats {
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let counts = &self.counts;
        TierStats {
            name: String::new(),
            entries: of(&self.entries),
            bytes: self.bytes(),
            encoded: of(&self.encoded),
            max_bytes: Some(self.max_bytes).filter(|max| *max < u64::MAX),
            hits: of(&counts.hits),
            misses: of(&counts.misses),
            time_saved: std::time::Duration::from_nanos(of(&counts.saved)),
            demotions: of(&counts.demotions),
            promotions: of(&counts.promotions),
            refusals: of(&counts.refusals),
            evictions: of(&counts.evictions),
            expirations: of(&counts.expirations),
            failures: of(&counts.failures),
            ..TierStats::default()
        }
    }
}
