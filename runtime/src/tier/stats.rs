//! Figures of one tier.

use std::fmt;
use std::time::Duration;

use crate::stats::in_bytes;

/// One tier of a cache, below its values: what it holds, and what it did.
#[derive(Clone, Debug, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct TierStats {
    /// What makes its bytes fewer, as in `"lz4"`; `"plain"` where nothing does.
    pub name: String,
    /// Records in it.
    pub entries: u64,
    /// Bytes it takes. Those of a tier in memory are among the tenant's.
    pub bytes: u64,
    /// Bytes of keys and values in it as they were encoded, before they were compressed.
    pub encoded: u64,
    /// Its own bound in bytes.
    pub max_bytes: Option<u64>,
    /// Look-ups that found nothing above, and a record here.
    pub hits: u64,
    /// Look-ups that found nothing here either.
    pub misses: u64,
    /// Compute time that its hits saved, without what they took.
    pub time_saved: Duration,
    /// Entries that came down.
    pub demotions: u64,
    /// Records that were found and went up.
    pub promotions: u64,
    /// Entries that did not come down: worth less than what is here, hardly smaller as bytes, or changed meanwhile.
    pub refusals: u64,
    /// Records that made room.
    pub evictions: u64,
    /// Records that went because of their age.
    pub expirations: u64,
    /// Keys or values that could not be written or read.
    pub failures: u64,
}

impl TierStats {
    /// Takes another instance's figures in.
    pub(crate) fn add(&mut self, other: &Self) {
        self.entries += other.entries;
        self.bytes += other.bytes;
        self.encoded += other.encoded;
        self.hits += other.hits;
        self.misses += other.misses;
        self.time_saved += other.time_saved;
        self.demotions += other.demotions;
        self.promotions += other.promotions;
        self.refusals += other.refusals;
        self.evictions += other.evictions;
        self.expirations += other.expirations;
        self.failures += other.failures;
    }
}

impl fmt::Display for TierStats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, entries, bytes, encoded, hits, misses, demotions, promotions, .. } = self;
        let (held, raw) = (in_bytes(*bytes), in_bytes(*encoded));
        write!(
            f,
            "{name}: {entries} entries in {held} (of {raw}), {hits} hits, {misses} misses, {demotions} down, {promotions} up"
        )
    }
}
