//! The tiers of one cache instance: entries become records on their way down, and records entries on their way up.
//!
//! Runs the codec, which is the user's code, with no lock held, and goes on without it where it panics. Not here: when
//! an entry goes up or down, and who makes room for it (the cache).

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use super::warm::{Found, Gone, Record, Records, count, worth};
use super::{Codec, CodecError, ColdTier, Ground, KeyWays, TierStats, Tiers, Warm};
use crate::budget::Reservation;
use crate::time::{Clock, Nanos, nanos};
use crate::unwind::discard;
use crate::weight::weigh::allocation;

/// An entry that made room.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Candidate {
    pub(crate) hash: u32,
    pub(crate) cost: u8,
    pub(crate) factor: i8,
    /// Bytes that it took.
    pub(crate) weight: u64,
    pub(crate) deadline: Nanos,
    /// When it is too old if nobody uses it.
    pub(crate) idle: Nanos,
    /// When it left, as changes are counted.
    pub(crate) left: u64,
}

/// An entry as bytes.
#[derive(Debug)]
pub(crate) struct Parcel {
    record: Record,
    left: u64,
}

/// An entry that was found below.
pub(crate) struct Raised<K, V> {
    pub(crate) key: Option<K>,
    pub(crate) value: V,
    pub(crate) cost: u8,
    pub(crate) deadline: Nanos,
    /// How often it was used down there, up to a few; this time included.
    pub(crate) uses: u8,
    /// Its record, if that is one that does not stay.
    pub(crate) found: Option<Found>,
}

/// The tiers of one cache instance.
pub(crate) struct Chain<K, V> {
    pub(super) codec: Arc<dyn Codec<K, V>>,
    pub(super) settings: Option<Warm>,
    records: Records,
    pub(super) cold: Option<Deep<K>>,
    /// Nanoseconds that decoding takes for a kilobyte, of late; 0 before the first.
    pace: AtomicU64,
    /// How many bytes an entry has as a record, in 1/256 of what it takes as values, of late.
    ratio: AtomicU32,
    attempts: AtomicU32,
}

/// The tier below that outlives the process.
pub(super) struct Deep<K> {
    pub(super) tier: Arc<ColdTier>,
    pub(super) keys: KeyWays<K>,
}

/// What hardly gets smaller is kept as values: this part of 256.
const WORTHWHILE: u32 = 224;
/// While entries hardly get smaller, one of so many is tried.
const TRIED: u32 = 16;

/// Calls the user's code; a panic is a failure.
pub(super) fn guarded<R>(call: impl FnOnce() -> Result<R, CodecError>) -> Result<R, CodecError> {
    catch_unwind(AssertUnwindSafe(call)).unwrap_or_else(|panic| {
        discard(panic);
        Err(CodecError)
    })
}

impl<K, V> Chain<K, V> {
    /// `None` where the settings name no tier. `ground` says where one stands that outlives the process, if it may.
    pub(crate) fn new(tiers: &Tiers<K, V>, ground: Option<Ground>) -> Option<Self> {
        let settings = tiers.warm.clone();
        let cold = tiers.cold.as_ref().zip(ground).map(|(cold, ground)| Deep {
            tier: Arc::new(ColdTier::new(cold.cold.clone(), ground)),
            keys: cold.keys,
        });
        if settings.is_none() && cold.is_none() {
            return None;
        }
        let records = Records::new(settings.as_ref().map_or(0, |warm| warm.max_bytes));
        Some(Self {
            codec: Arc::clone(&tiers.codec),
            settings,
            records,
            cold,
            pace: AtomicU64::new(0),
            ratio: AtomicU32::new(0),
            attempts: AtomicU32::new(0),
        })
    }

    /// Bytes that it takes while it is empty.
    pub(crate) fn base_bytes(&self) -> u64 {
        let cold = self.cold.as_ref().map_or(0, |cold| cold.tier.base_bytes());
        allocation(size_of::<Self>()) + self.records.base_bytes() + cold
    }

    pub(crate) fn records(&self) -> &Records {
        &self.records
    }

    /// Nanoseconds that decoding takes for each byte.
    fn rate(&self) -> f64 {
        self.pace.load(Ordering::Relaxed) as f64 / 1024.0
    }

    /// Somebody begins to change the key of this hash; it ends when that is dropped.
    pub(crate) fn begin<'a>(&'a self, hash: u64, clock: &'a Clock, on: &'a Reservation) -> Changing<'a> {
        let (hash, cold) = (hash as u32, self.cold_tier());
        self.records.begin(hash);
        if let Some(cold) = cold {
            cold.begin(hash);
        }
        Changing { records: &self.records, cold, hash, clock, reservation: on, over: false }
    }

    /// Somebody begins to change all keys.
    pub(crate) fn begin_all(&self) -> ChangingAll<'_> {
        let cold = self.cold_tier();
        self.records.begin_all();
        if let Some(cold) = cold {
            cold.begin_all();
        }
        ChangingAll { records: &self.records, cold }
    }

    /// Whether something may be under this hash: a hint.
    pub(crate) fn may_have(&self, hash: u64) -> bool {
        self.records.may_have(hash as u32) || self.cold_tier().is_some_and(|cold| cold.may_have(hash as u32))
    }

    /// What a record of this entry would be worth, where the cache's level is this, if records get as much smaller as
    /// of late. `None` where it is not worth the work.
    pub(crate) fn appraise(&self, candidate: &Candidate, level: f64) -> Option<f64> {
        self.settings.as_ref()?;
        let ratio = match self.ratio.load(Ordering::Relaxed) {
            0 => WORTHWHILE / 2,
            ratio if ratio <= WORTHWHILE => ratio,
            ratio => {
                let tried = self.attempts.fetch_add(1, Ordering::Relaxed).is_multiple_of(TRIED);
                tried.then_some(ratio)?
            }
        };
        let encoded = u32::try_from(candidate.weight).unwrap_or(u32::MAX);
        let worth = worth(candidate.cost, candidate.factor, encoded, 2.0 * self.rate());
        let bytes = (candidate.weight * u64::from(ratio) / 256).max(1);
        (worth > 0.0).then(|| level + worth / bytes as f64)
    }

    /// An entry as a record. `None` where it cannot be one, or takes hardly fewer bytes.
    pub(crate) fn wrap(
        &self,
        key: &K,
        value: &V,
        candidate: &Candidate,
        level: f64,
        now: Nanos,
    ) -> Option<Parcel> {
        let mut plain = Vec::new();
        let written = guarded(|| {
            self.codec.encode_key(key, &mut plain)?;
            let key = plain.len();
            self.codec.encode_value(value, &mut plain)?;
            Ok(key)
        });
        let Ok(key) = written else {
            count(&self.records.counts.failures, 1);
            return None;
        };
        let (Ok(encoded), Ok(key)) = (u32::try_from(plain.len() - key), u32::try_from(key)) else {
            self.refuse();
            return None;
        };
        let settings = self.settings.as_ref()?;
        let (bytes, packed) = self.pack(&plain, key as usize);
        let size = Record::allocated(bytes.len());
        self.learn_ratio(size, candidate.weight);
        if size > settings.max_record_bytes || size * 256 > candidate.weight * u64::from(WORTHWHILE) {
            self.refuse();
            return None;
        }
        let ttl = settings.ttl.map_or(Nanos::MAX, |ttl| now.saturating_add(nanos(ttl)));
        let record = Record {
            hash: candidate.hash,
            key,
            encoded,
            packed,
            cost: candidate.cost,
            factor: candidate.factor,
            uses: 1,
            level: level + self.records.lead(),
            deadline: candidate.deadline,
            expires: candidate.deadline.min(candidate.idle).min(ttl),
            bytes,
        };
        Some(Parcel { record, left: candidate.left })
    }

    /// The key as it is and the value compressed, if that makes it smaller.
    fn pack(&self, plain: &[u8], key: usize) -> (Arc<[u8]>, bool) {
        let compress = self.settings.as_ref().and_then(|warm| warm.compress.as_ref());
        let Some(compress) = compress else { return (plain.into(), false) };
        let mut packed = Vec::with_capacity(plain.len() / 2);
        packed.extend_from_slice(&plain[..key]);
        compress.compress(&plain[key..], &mut packed);
        if packed.len() < plain.len() { (packed.into(), true) } else { (plain.into(), false) }
    }

    /// A sixteenth of what was just seen.
    fn learn_ratio(&self, bytes: u64, weight: u64) {
        let seen = (bytes.saturating_mul(256) / weight.max(1)).clamp(1, 1024) as u32;
        let known = self.ratio.load(Ordering::Relaxed);
        // Racing threads may lose a step.
        let next = if known == 0 { seen } else { (known * 15 + seen).div_ceil(16) };
        self.ratio.store(next, Ordering::Relaxed);
    }

    /// An entry does not come down.
    pub(crate) fn refuse(&self) {
        count(&self.records.counts.refusals, 1);
    }

    /// Bytes to reserve for a parcel.
    pub(crate) fn bytes_of(parcel: &Parcel) -> u64 {
        Record::allocated(parcel.record.bytes.len())
    }

    /// What a parcel is worth on the cache's scale.
    pub(crate) fn credit_of(&self, parcel: &Parcel) -> f64 {
        parcel.record.credit(self.rate()) - self.records.lead()
    }

    /// Puts a parcel in whose bytes are reserved.
    ///
    /// # Errors
    ///
    /// It is not in, and its bytes are still reserved. `Some` where it would be if there were room for so many bytes
    /// more: the list of records has to grow.
    pub(crate) fn put(
        &self,
        parcel: Parcel,
        reservation: &Reservation,
        ceiling: u64,
    ) -> Result<(), Option<(Parcel, u64)>> {
        let Parcel { record, left } = parcel;
        match self.records.put(record, left, self.rate(), reservation, ceiling) {
            Ok(()) => {
                count(&self.records.counts.demotions, 1);
                Ok(())
            }
            Err((_, u64::MAX)) => Err(None),
            Err((record, short)) => Err(Some((Parcel { record, left }, short))),
        }
    }

    /// Evicts records that are worth no more than that, until so many bytes are free; no more than `most`.
    pub(crate) fn evict(&self, bytes: u64, most: u64, upto: f64, reservation: &Reservation) -> Gone {
        let mut sunk = Vec::new();
        let keep = self.cold.as_ref().map(|_| &mut sunk);
        let gone = self.records.evict(bytes, most, upto, self.rate(), reservation, keep);
        for (record, left) in sunk {
            self.sink_record(&record, left);
        }
        gone
    }

    /// The entry that a look-up wants, if there is a record of it. `clock` tells the time.
    pub(crate) fn find(
        &self,
        hash: u64,
        level: f64,
        clock: &dyn Fn() -> Nanos,
        reservation: &Reservation,
        is: &dyn Fn(&K) -> bool,
    ) -> Option<Raised<K, V>> {
        let hash = hash as u32;
        let counts = &self.records.counts;
        let began = clock();
        let Some(found) = self.records.find(hash, || began, Some(level), reservation) else {
            count(&counts.misses, 1);
            return None;
        };
        let Some((key, value)) = self.unwrap(hash, &found, reservation, is) else {
            count(&counts.misses, 1);
            return None;
        };
        let took = clock().saturating_sub(began);
        self.learn_pace(took, found.encoded);
        let cost = crate::cost::decode(found.cost);
        count(&counts.hits, 1);
        count(&counts.saved, cost.saturating_sub(took));
        let Found { cost, deadline, uses, .. } = found;
        Some(Raised { key: Some(key), value, cost, deadline, uses, found: Some(found) })
    }

    fn learn_pace(&self, took: Nanos, encoded: u32) {
        let seen = took.saturating_mul(1024) / u64::from(encoded.max(64));
        let known = self.pace.load(Ordering::Relaxed);
        // One stall must not decide for long.
        let seen = if known == 0 { seen } else { seen.min(known.saturating_mul(4)) };
        let next = if known == 0 { seen } else { (known * 15 + seen) / 16 };
        self.pace.store(next, Ordering::Relaxed);
    }

    /// Key and value of a record, if the key is the one. One that cannot be read is taken out.
    fn unwrap(
        &self,
        hash: u32,
        found: &Found,
        reservation: &Reservation,
        is: &dyn Fn(&K) -> bool,
    ) -> Option<(K, V)> {
        let (key, value) = found.bytes.split_at(found.key as usize);
        let read = guarded(|| {
            let key = self.codec.decode_key(key)?;
            if !is(&key) {
                return Ok(None);
            }
            Ok(Some((key, self.decode(value, found)?)))
        });
        read.unwrap_or_else(|CodecError| {
            count(&self.records.counts.failures, 1);
            self.records.take(hash, found, reservation);
            None
        })
    }

    fn decode(&self, value: &[u8], found: &Found) -> Result<V, CodecError> {
        match self.settings.as_ref().and_then(|warm| warm.compress.as_ref()) {
            Some(compress) if found.packed => {
                let mut plain = Vec::new();
                compress.expand(value, found.encoded as usize, &mut plain)?;
                self.codec.decode_value(&plain)
            }
            _ => self.codec.decode_value(value),
        }
    }

    /// The value of a key, without a trace; `clock` tells the time.
    pub(crate) fn peek(
        &self,
        hash: u64,
        clock: &dyn Fn() -> Nanos,
        reservation: &Reservation,
        is: &dyn Fn(&K) -> bool,
    ) -> Option<(V, Nanos)> {
        let hash = hash as u32;
        let found = self.records.find(hash, clock, None, reservation)?;
        let (_, value) = self.unwrap(hash, &found, reservation, is)?;
        Some((value, found.deadline))
    }

    /// An entry went up: its record is not needed.
    pub(crate) fn raised(&self, hash: u64, raised: &Found, reservation: &Reservation) {
        self.records.take(hash as u32, raised, reservation);
        count(&self.records.counts.promotions, 1);
    }

    /// Takes out the records of which `is_stale` says so, and those that cannot be read; says how many of the first
    /// there were. By who changes all keys.
    pub(crate) fn remove_if(
        &self,
        is_stale: &mut dyn FnMut(&K, &V) -> bool,
        clock: &dyn Fn() -> Nanos,
        reservation: &Reservation,
    ) -> u64 {
        let mut removed = 0;
        for hash in self.records.hashes() {
            let Some(found) = self.records.look(hash) else { continue };
            let Some((key, value)) = self.unwrap(hash, &found, reservation, &|_| true) else { continue };
            if found.expires > clock() && is_stale(&key, &value) {
                self.records.take(hash, &found, reservation);
                removed += 1;
            }
        }
        removed + self.remove_cold_if(is_stale)
    }

    /// Figures of each tier, from the top.
    pub(crate) fn stats(&self) -> Vec<TierStats> {
        let warm = self.settings.as_ref();
        let warm = warm.map(|warm| TierStats { name: warm.name().to_owned(), ..self.records.stats() });
        warm.into_iter().chain(self.cold_tier().map(ColdTier::stats)).collect()
    }
}

/// A key is being changed: until this is dropped nothing is found below, and afterwards nothing older.
pub(crate) struct Changing<'a> {
    records: &'a Records,
    cold: Option<&'a ColdTier>,
    hash: u32,
    clock: &'a Clock,
    reservation: &'a Reservation,
    over: bool,
}

impl Changing<'_> {
    /// The change is over. Says whether there was something below.
    pub(crate) fn end(mut self) -> bool {
        self.over = true;
        self.finish()
    }

    fn finish(&self) -> bool {
        let Self { records, cold, hash, clock, reservation, .. } = *self;
        let warm = records.end(hash, || clock.recent(), reservation);
        cold.is_some_and(|cold| cold.end(hash, || clock.recent())) || warm
    }
}

impl Drop for Changing<'_> {
    fn drop(&mut self) {
        if !self.over {
            self.finish();
        }
    }
}

/// All keys are being changed.
pub(crate) struct ChangingAll<'a> {
    records: &'a Records,
    cold: Option<&'a ColdTier>,
}

impl Drop for ChangingAll<'_> {
    fn drop(&mut self) {
        self.records.end_all();
        if let Some(cold) = self.cold {
            cold.end_all();
        }
    }
}
