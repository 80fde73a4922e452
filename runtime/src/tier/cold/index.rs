//! Which records a store has: found by a hash, bounded, and evicted by what each of their bytes saves.
//!
//! Forty bytes for each record, and what the store takes, charged to the cache. One stripe's lock at a time; under it the
//! queue's, and nothing of the user's.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use parking_lot::{Mutex, MutexGuard};

use super::queue::{Put, Queue};
use crate::budget::Reservation;
use crate::sync::fork;
use crate::tier::cold::workers::Workers;
use crate::tier::count_change;
use crate::tier::stripe::{Listed, Stripe};
use crate::tier::warm::worth;
use crate::time::Nanos;
use crate::weight::weigh::allocation;

const STRIPES: usize = 32;
/// With no more records each is looked at to find the one that is worth least;
const EXACT: usize = 64;
/// with more, so many: each is a place in memory that nobody has looked at for long.
const SAMPLED: usize = 32;
/// So many of one stripe.
const SAMPLED_OF_ONE: usize = 8;
/// Uses beyond are not told apart.
const MOST_USES: u8 = 15;
/// So many changed keys are remembered while records are being listed; with more, no others are listed.
const MOST_TOUCHED: usize = 1 << 18;
/// What a look-up takes beside reading and decoding, in nanoseconds.
const LOOKUP: f64 = 20_000.0;

/// A record in the store.
#[derive(Clone, Copy, Debug)]
pub(super) struct Slot {
    pub(super) number: u64,
    /// When it is too old, here.
    pub(super) expires: Nanos,
    pub(super) hash: u32,
    /// What it takes in the store.
    pub(super) bytes: u32,
    /// The level that eviction had reached when it was last used.
    pub(super) level: f32,
    pub(super) cost: u8,
    pub(super) factor: i8,
    pub(super) uses: u8,
}

impl Listed for Slot {
    fn hash(&self) -> u32 {
        self.hash
    }
}

impl Slot {
    /// What it is worth where reading takes `rate` nanoseconds for each byte.
    pub(super) fn credit(&self, rate: f64) -> f64 {
        f64::from(self.level) + f64::from(self.uses) * self.worth(rate) / f64::from(self.bytes.max(1))
    }

    /// Nanoseconds that a hit saves.
    pub(super) fn worth(&self, rate: f64) -> f64 {
        (worth(self.cost, self.factor, self.bytes, rate) - LOOKUP).max(0.0)
    }
}

/// Why a record does not come in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    /// Its key may have changed since it left.
    Changed,
    /// The index would have to grow by so many bytes.
    NoRoom(u64),
    /// Too much waits.
    Waits,
}

/// The records of one cache in its store.
#[derive(Debug)]
pub(super) struct Index {
    stripes: Box<[Mutex<Stripe<Slot>>]>,
    entries: AtomicU64,
    /// In the store.
    stored: AtomicU64,
    /// Charged, in memory.
    charged: AtomicU64,
    /// Bits of the level that eviction has reached.
    level: AtomicU64,
    random: AtomicU64,
    /// While what is in the store is being listed: hashes of keys that changed since, or came.
    touched: Mutex<HashSet<u32>>,
    listing: AtomicBool,
    /// What is still to be listed is too old.
    outdated: AtomicBool,
}

impl Index {
    /// Each record takes so many bytes of memory elsewhere, too.
    pub(super) fn new(beside: u64) -> Self {
        Self {
            stripes: (0..STRIPES).map(|_| Mutex::new(Stripe::with_beside(beside))).collect(),
            entries: AtomicU64::new(0),
            stored: AtomicU64::new(0),
            charged: AtomicU64::new(0),
            level: AtomicU64::new(0.0_f64.to_bits()),
            random: AtomicU64::new(0),
            touched: Mutex::default(),
            listing: AtomicBool::new(true),
            outdated: AtomicBool::new(false),
        }
    }

    pub(super) fn base_bytes(&self) -> u64 {
        allocation(size_of_val(&*self.stripes))
    }

    /// Bytes that it is charged beside those.
    pub(super) fn charged(&self) -> u64 {
        self.charged.load(Ordering::Relaxed)
    }

    pub(super) fn entries(&self) -> u64 {
        self.entries.load(Ordering::Relaxed)
    }

    /// Bytes that its records take in the store.
    pub(super) fn stored(&self) -> u64 {
        self.stored.load(Ordering::Relaxed)
    }

    fn level(&self) -> f64 {
        f64::from_bits(self.level.load(Ordering::Relaxed))
    }

    fn at(&self, hash: u32) -> MutexGuard<'_, Stripe<Slot>> {
        self.stripes[Self::stripe_of(hash)].lock()
    }

    fn stripe_of(hash: u32) -> usize {
        (hash >> 27) as usize % STRIPES
    }

    /// Nothing is found under this hash, and nothing comes under it, until [`end`](Self::end).
    pub(super) fn begin(&self, hash: u32) {
        self.at(hash).changing.push(hash);
    }

    /// The change is over: what is here is older, and goes. Returns when it would have expired, if there was something.
    pub(super) fn end(&self, hash: u32, hands: Hands<'_>) -> Option<Nanos> {
        let mut stripe = self.at(hash);
        stripe.end_change(hash, count_change());
        self.touch(hash);
        self.remove(&mut stripe, hash, hands).map(|slot| slot.expires)
    }

    /// [`begin`](Self::begin) for every hash.
    pub(super) fn begin_all(&self) {
        for stripe in &self.stripes {
            stripe.lock().closed += 1;
        }
    }

    /// [`end`](Self::end) of that; what is here stays, what is not listed yet does not.
    pub(super) fn end_all(&self) {
        for stripe in &self.stripes {
            let mut stripe = stripe.lock();
            stripe.closed -= 1;
            stripe.changed = count_change();
        }
    }

    /// What is still to be listed is too old.
    pub(super) fn outdate(&self) {
        self.outdated.store(true, Ordering::Release);
    }

    fn touch(&self, hash: u32) {
        if self.listing.load(Ordering::Acquire) {
            let mut touched = self.touched.lock();
            if touched.len() < MOST_TOUCHED {
                touched.insert(hash);
            } else {
                self.outdate();
            }
        }
    }

    /// All that was in the store is listed, or never will be.
    pub(super) fn listed(&self) {
        self.listing.store(false, Ordering::Release);
        *self.touched.lock() = HashSet::new();
    }

    pub(super) fn is_listing(&self) -> bool {
        self.listing.load(Ordering::Acquire)
    }

    pub(super) fn has(&self, hash: u32) -> bool {
        self.entries() > 0 && self.at(hash).position(hash).is_some()
    }

    /// The record under this hash, if it has not expired. `is_use` says that this is a use.
    pub(super) fn find(&self, hash: u32, now: Nanos, is_use: bool, hands: Hands<'_>) -> Option<Slot> {
        if self.entries() == 0 {
            return None;
        }
        // In the child of a fork whoever had it locked may be gone.
        let at = &self.stripes[Self::stripe_of(hash)];
        let mut stripe = if fork::forked() { at.try_lock()? } else { at.lock() };
        if stripe.is_changing(hash) {
            return None;
        }
        let at = stripe.position(hash)?;
        if stripe.records[at].expires <= now {
            self.remove(&mut stripe, hash, hands);
            return None;
        }
        let slot = &mut stripe.records[at];
        if is_use {
            slot.uses = (slot.uses + 1).min(MOST_USES);
            slot.level = self.level() as f32;
        }
        Some(*slot)
    }

    /// The record under a hash, by who changes all keys.
    pub(super) fn look(&self, hash: u32) -> Option<Slot> {
        let stripe = self.at(hash);
        stripe.position(hash).map(|at| stripe.records[at])
    }

    /// Takes a record out, unless another is there by now.
    pub(super) fn take(&self, hash: u32, number: u64, hands: Hands<'_>) -> bool {
        let mut stripe = self.at(hash);
        let is = stripe.position(hash).is_some_and(|at| stripe.records[at].number == number);
        is && self.remove(&mut stripe, hash, hands).is_some()
    }

    /// A record that could not be written was never there.
    pub(super) fn forget(&self, hash: u32, number: u64, reservation: &Reservation) {
        let mut stripe = self.at(hash);
        if stripe.position(hash).is_some_and(|at| stripe.records[at].number == number) {
            self.unlink(&mut stripe, hash, reservation);
        }
    }

    /// Puts a record in that waits to be written from now on, over one of the same hash; unless its key may have changed
    /// since `left`.
    pub(super) fn put(
        &self,
        mut slot: Slot,
        put: Put,
        left: u64,
        most: u64,
        hands: Hands<'_>,
    ) -> Result<(), Refused> {
        let hash = slot.hash;
        let mut stripe = self.at(hash);
        if stripe.is_changing(hash) || stripe.changed > left {
            return Err(Refused::Changed);
        }
        let growth = stripe.growth();
        let grown = stripe.grow(hands.reservation, hands.ceiling).ok_or(Refused::NoRoom(growth))?;
        self.charged.fetch_add(grown, Ordering::Relaxed);
        // Its removal goes before, and a crash in between leaves neither.
        self.remove(&mut stripe, hash, hands);
        let first = hands.queue.put(put, most).map_err(|_| Refused::Waits)?;
        self.touch(hash);
        slot.level = self.level() as f32;
        self.link(&mut stripe, slot);
        if first {
            hands.workers.rouse();
        }
        Ok(())
    }

    /// Lists a record that was in the store before; `false` where it is too old, or there is no room for it.
    pub(super) fn list(&self, mut slot: Slot, reservation: &Reservation, ceiling: u64) -> bool {
        let hash = slot.hash;
        let mut stripe = self.at(hash);
        if self.outdated.load(Ordering::Acquire)
            || stripe.is_changing(hash)
            || stripe.position(hash).is_some()
            || self.touched.lock().contains(&hash)
        {
            return false;
        }
        let Some(grown) = stripe.grow(reservation, ceiling) else { return false };
        self.charged.fetch_add(grown, Ordering::Relaxed);
        slot.level = self.level() as f32;
        self.link(&mut stripe, slot);
        true
    }

    fn link(&self, stripe: &mut Stripe<Slot>, slot: Slot) {
        self.entries.fetch_add(1, Ordering::Relaxed);
        self.stored.fetch_add(slot.bytes.into(), Ordering::Relaxed);
        stripe.push(slot);
    }

    fn unlink(&self, stripe: &mut Stripe<Slot>, hash: u32, reservation: &Reservation) -> Option<Slot> {
        let slot = stripe.remove(hash)?;
        let shrunk = stripe.shrink();
        self.charged.fetch_sub(shrunk, Ordering::Relaxed);
        reservation.shrink(shrunk);
        self.entries.fetch_sub(1, Ordering::Relaxed);
        self.stored.fetch_sub(slot.bytes.into(), Ordering::Relaxed);
        Some(slot)
    }

    /// Takes a record out here, and has it go from the store, under one hold of the lock.
    fn remove(&self, stripe: &mut Stripe<Slot>, hash: u32, hands: Hands<'_>) -> Option<Slot> {
        let slot = self.unlink(stripe, hash, hands.reservation)?;
        hands.drop(slot.number);
        Some(slot)
    }

    /// Evicts the record that is worth least of a sample, if that is no more than `upto`; what stays ages by it.
    pub(super) fn evict(&self, upto: f64, rate: f64, hands: Hands<'_>) -> bool {
        let Some((slot, credit)) = self.cheapest(rate) else { return false };
        if credit > upto {
            return false;
        }
        if self.take(slot.hash, slot.number, hands) && credit > self.level() {
            self.level.store(credit.to_bits(), Ordering::Relaxed);
        }
        true
    }

    /// What a record is worth that comes now.
    pub(super) fn credit_of(&self, slot: &Slot, rate: f64) -> f64 {
        Slot { level: self.level() as f32, ..*slot }.credit(rate)
    }

    fn cheapest(&self, rate: f64) -> Option<(Slot, f64)> {
        let all = self.entries() as usize <= EXACT;
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
                let slot = &stripe.records[start.wrapping_add(at) % len];
                let credit = slot.credit(rate);
                // Of those that are worth as much the oldest: what came together goes together, and so do its files.
                let is_less = |(known, least): (Slot, f64)| {
                    credit < least || (credit == least && slot.number < known.number)
                };
                if best.is_none_or(is_less) {
                    best = Some((*slot, credit));
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
    pub(super) fn sweep(&self, now: Nanos, hands: Hands<'_>) -> u64 {
        let mut expired = 0;
        for stripe in &self.stripes {
            let Some(mut stripe) = stripe.try_lock() else { continue };
            let due = stripe.records.iter().filter(|slot| slot.expires <= now);
            let due: Vec<u32> = due.map(|slot| slot.hash).collect();
            expired += due.len() as u64;
            for hash in due {
                self.remove(&mut stripe, hash, hands);
            }
        }
        expired
    }

    /// Takes everything out here; the store is the caller's. Returns how many records that were.
    pub(super) fn clear(&self, reservation: &Reservation) -> u64 {
        let mut entries = 0;
        for stripe in &self.stripes {
            let mut stripe = stripe.lock();
            while let Some(hash) = stripe.records.last().map(|slot| slot.hash) {
                self.unlink(&mut stripe, hash, reservation);
                entries += 1;
            }
        }
        entries
    }

    /// All records, the most valuable for each byte first.
    pub(super) fn by_value(&self, rate: f64) -> Vec<Slot> {
        let of = |stripe: &Mutex<Stripe<Slot>>| stripe.lock().records.clone();
        let mut all: Vec<Slot> = self.stripes.iter().flat_map(of).collect();
        let value = |slot: &Slot| slot.worth(rate) / f64::from(slot.bytes.max(1));
        all.sort_by(|a, b| value(b).total_cmp(&value(a)).then(b.number.cmp(&a.number)));
        all
    }

    /// The hashes of all records.
    pub(super) fn hashes(&self) -> Vec<u32> {
        let of = |stripe: &Mutex<Stripe<Slot>>| -> Vec<u32> {
            stripe.lock().records.iter().map(|slot| slot.hash).collect()
        };
        self.stripes.iter().flat_map(of).collect()
    }
}

/// What a change of the index needs beside it.
#[derive(Clone, Copy)]
pub(super) struct Hands<'a> {
    pub(super) queue: &'a Queue,
    pub(super) reservation: &'a Reservation,
    pub(super) ceiling: u64,
    pub(super) workers: &'a Workers,
}

impl Hands<'_> {
    /// Has a record go from the store.
    pub(super) fn drop(&self, number: u64) {
        if self.queue.remove(number) {
            self.workers.rouse();
        }
    }
}
