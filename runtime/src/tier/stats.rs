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
    /// Whether it is there.
    pub state: TierState,
    /// Why it is not.
    pub trouble: Option<String>,
    /// How often it failed, and was left alone for a while.
    pub breaks: u64,
    /// Bytes that wait to be written; they are not charged.
    pub waiting: u64,
    /// Bytes that were written.
    pub written: u64,
    /// Bytes that a tier on disk takes where it is, when somebody last looked.
    pub on_disk: u64,
}

/// Whether a tier is there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub enum TierState {
    /// It is.
    #[default]
    On,
    /// What is in it is still being listed; what is not listed yet is not found.
    Listing,
    /// It fails, and is left alone for a while.
    Broken,
    /// It could not be opened.
    Off,
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
        self.breaks += other.breaks;
        self.waiting += other.waiting;
        self.written += other.written;
        self.on_disk += other.on_disk;
        if self.trouble.is_none() {
            (self.state, self.trouble) = (other.state, other.trouble.clone());
        }
    }
}

impl fmt::Display for TierStats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, entries, bytes, encoded, hits, misses, demotions, promotions, .. } = self;
        let held = in_bytes(*bytes);
        // A tier on disk does not tell what its records were before.
        let raw = if *encoded > 0 { format!(" (of {})", in_bytes(*encoded)) } else { String::new() };
        write!(
            f,
            "{name}: {entries} entries in {held}{raw}, {hits} hits, {misses} misses, {demotions} down, {promotions} up"
        )?;
        match &self.trouble {
            Some(trouble) => write!(f, "; off: {trouble}"),
            None => Ok(()),
        }
    }
}
