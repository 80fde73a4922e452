//! A tier on disk: what survives a restart, a kill, a damaged file, a disk that fails; and what must not.
//!
//! Tests that need a process of their own run this binary again: see `process`.

#![cfg(feature = "disk")]

mod annotated;
mod beside;
mod damaged;
mod failing;
mod killed;
mod process;
mod restart;

use std::time::Duration;

use larder::codec::Serde;
use larder::disk::Disk;
use larder::{BuildError, Cache, Domain, Policy, TierStats, Tiers};
use larder_tests::patience;

type Texts = Cache<u64, String>;

const MB: u64 = 1 << 20;

fn domain() -> Domain {
    Domain::builder().limit_bytes(32 * MB).manual().build()
}

fn text(key: u64) -> String {
    format!("{key:08}{}", "text ".repeat(100))
}

fn try_texts(domain: &Domain, entries: u64, disk: Disk) -> Result<Texts, BuildError> {
    Cache::builder("texts")
        .policy(Policy::Lru)
        .max_entries(entries)
        .cost(|_, _| Duration::from_millis(10))
        .tiers(Tiers::new(Serde).cold(disk))
        .build_in(domain)
}

/// A cache with room for so many values, and a disk below.
fn texts(domain: &Domain, entries: u64, disk: Disk) -> Texts {
    try_texts(domain, entries, disk).unwrap()
}

/// The lowest tier.
fn tier<K, V>(cache: &Cache<K, V>) -> TierStats {
    cache.stats().tiers.pop().unwrap()
}

#[track_caller]
fn flush(domain: &Domain) {
    domain.flush(patience()).unwrap();
}

/// Values 0 to 99 on their way to the disk, but for the last that there is room for.
fn fill(cache: &Texts) {
    for key in 0..100 {
        cache.insert(key, text(key));
    }
}

/// Holds at rest: the budget is kept, and its parts are the whole.
#[track_caller]
fn check(domain: &Domain) {
    let stats = domain.stats();
    let parts: u64 = stats.tenants.iter().map(|tenant| tenant.reserved).sum();
    assert_eq!(parts, stats.budget.used, "{stats}");
    assert!(stats.budget.used <= stats.budget.limit, "{stats}");
    assert_eq!(stats.budget.over_released, 0, "{stats}");
}
