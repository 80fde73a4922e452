//! A tier on disk: what survives a restart, and what does not.

#![cfg(feature = "disk")]

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use larder::codec::{Lz4, Serde};
use larder::disk::Disk;
use larder::{BuildError, Cache, Domain, Policy, StoreError, TierState, TierStats, Tiers, Warm};
use larder_tests::patience;

type Texts = Cache<u64, String>;

fn domain() -> Domain {
    Domain::builder().limit_bytes(32 << 20).manual().build()
}

fn text(key: u64) -> String {
    format!("{key:08}{}", "text ".repeat(100))
}

/// A cache with room for so many values, and a disk below.
fn texts(domain: &Domain, entries: u64, disk: Disk) -> Texts {
    try_texts(domain, entries, disk).unwrap()
}

fn try_texts(domain: &Domain, entries: u64, disk: Disk) -> Result<Texts, BuildError> {
    Cache::builder("texts")
        .policy(Policy::Lru)
        .max_entries(entries)
        .cost(|_, _| Duration::from_millis(10))
        .tiers(Tiers::new(Serde).cold(disk))
        .build_in(domain)
}

fn tier(cache: &Texts) -> TierStats {
    cache.stats().tiers.pop().unwrap()
}

#[track_caller]
fn flush(domain: &Domain) {
    domain.flush(patience()).unwrap();
}

/// Values 0 to 99 on their way to the disk, but for the last eight.
fn fill(cache: &Texts) {
    for key in 0..100 {
        cache.insert(key, text(key));
    }
}

#[test]
fn what_made_room_is_found_after_a_restart() {
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path();
    {
        let domain = domain();
        let cache = texts(&domain, 8, Disk::at(path));
        fill(&cache);
        assert_eq!(cache.get(3), Some(text(3)), "from what waits to be written");
        flush(&domain);
        assert_eq!(cache.get(4), Some(text(4)), "from the disk");
    }
    let domain = domain();
    let cache = texts(&domain, 8, Disk::at(path));
    for key in 0..90 {
        assert_eq!(cache.get(key), Some(text(key)), "{key}");
    }
    assert_eq!(cache.get(99), None, "it was in memory");
    let tier = tier(&cache);
    assert_eq!((tier.state, tier.hits, tier.failures), (TierState::On, 90, 0), "{tier:?}");
}
