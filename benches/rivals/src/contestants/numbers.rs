//! The peers as caches of numbers.

use std::convert::Infallible;
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicU64, Ordering};

use cached::stores::ShardedLruCache;
use foyer_memory::{CacheBuilder, EvictionConfig, LfuConfig, LruConfig, S3FifoConfig};
use mini_moka::sync::ConcurrentCacheExt;
use parking_lot::Mutex;
use quick_cache::sync::DefaultLifecycle;
use quick_cache::{OptionsBuilder, UnitWeighter};

use super::{Hashers, Numbers};

/// `get`, and where that finds nothing `insert`: for crates that have no call for both.
fn get_then_insert<C: Numbers>(cache: &C, key: u64, compute: impl FnOnce() -> u64) -> u64 {
    cache.get(key).unwrap_or_else(|| {
        let value = compute();
        cache.insert(key, value);
        value
    })
}

pub type QuickCache = quick_cache::sync::Cache<u64, u64, UnitWeighter, Hashers>;

impl Numbers for QuickCache {
    const NAME: &'static str = "quick_cache";

    fn with_capacity(entries: usize) -> Self {
        Self::with(entries, entries as u64, UnitWeighter, Hashers::default(), DefaultLifecycle::default())
    }

    fn in_one_piece(entries: usize) -> Self {
        let options = OptionsBuilder::new()
            .shards(1)
            .estimated_items_capacity(entries)
            .weight_capacity(entries as u64)
            .build()
            .expect("the options are valid");
        Self::with_options(options, UnitWeighter, Hashers::default(), DefaultLifecycle::default())
    }

    fn get(&self, key: u64) -> Option<u64> {
        Self::get(self, &key)
    }

    fn insert(&self, key: u64, value: u64) {
        Self::insert(self, key, value);
    }

    fn get_or_compute(&self, key: u64, compute: impl FnOnce() -> u64) -> u64 {
        self.get_or_insert_with(&key, || Ok::<_, Infallible>(compute()))
            .unwrap_or_else(|never| match never {})
    }

    fn resident(&self) -> Option<u64> {
        Some(self.len() as u64)
    }
}

pub type Moka = moka::sync::Cache<u64, u64, Hashers>;

impl Numbers for Moka {
    const NAME: &'static str = "moka";
    const DEFERS: bool = true;

    fn with_capacity(entries: usize) -> Self {
        moka::sync::Cache::<u64, u64>::builder()
            .max_capacity(entries as u64)
            .build_with_hasher(Hashers::default())
    }

    fn get(&self, key: u64) -> Option<u64> {
        Self::get(self, &key)
    }

    fn insert(&self, key: u64, value: u64) {
        Self::insert(self, key, value);
    }

    fn get_or_compute(&self, key: u64, compute: impl FnOnce() -> u64) -> u64 {
        self.get_with(key, compute)
    }

    fn settle(&self) {
        self.run_pending_tasks();
    }

    fn resident(&self) -> Option<u64> {
        Some(self.entry_count())
    }
}

pub type MiniMoka = mini_moka::sync::Cache<u64, u64, Hashers>;

impl Numbers for MiniMoka {
    const NAME: &'static str = "mini-moka";
    const DEFERS: bool = true;

    fn with_capacity(entries: usize) -> Self {
        mini_moka::sync::Cache::<u64, u64>::builder()
            .max_capacity(entries as u64)
            .build_with_hasher(Hashers::default())
    }

    fn get(&self, key: u64) -> Option<u64> {
        Self::get(self, &key)
    }

    fn insert(&self, key: u64, value: u64) {
        Self::insert(self, key, value);
    }

    fn get_or_compute(&self, key: u64, compute: impl FnOnce() -> u64) -> u64 {
        get_then_insert(self, key, compute)
    }

    fn settle(&self) {
        self.sync();
    }

    fn resident(&self) -> Option<u64> {
        Some(self.entry_count())
    }
}

type FoyerCache = foyer_memory::Cache<u64, u64, Hashers>;

/// Its call for both a look-up and a load is for tasks of an async runtime; threads look up and insert.
macro_rules! foyer {
    ($(#[$doc:meta])* $name:ident, $title:literal, $config:expr) => {
        $(#[$doc])*
        pub struct $name(FoyerCache);

        impl $name {
            fn builder(entries: usize) -> CacheBuilder<u64, u64, Hashers> {
                CacheBuilder::new(entries)
                    .with_hash_builder(Hashers::default())
                    .with_eviction_config(EvictionConfig::from($config))
            }
        }

        impl Numbers for $name {
            const NAME: &'static str = $title;

            fn with_capacity(entries: usize) -> Self {
                Self(Self::builder(entries).build())
            }

            fn in_one_piece(entries: usize) -> Self {
                Self(Self::builder(entries).with_shards(1).build())
            }

            fn get(&self, key: u64) -> Option<u64> {
                self.0.get(&key).map(|entry| *entry.value())
            }

            fn insert(&self, key: u64, value: u64) {
                self.0.insert(key, value);
            }

            fn get_or_compute(&self, key: u64, compute: impl FnOnce() -> u64) -> u64 {
                get_then_insert(self, key, compute)
            }

            fn resident(&self) -> Option<u64> {
                Some(self.0.entries() as u64)
            }
        }
    };
}

foyer!(
    /// foyer with its default policy.
    Foyer, "foyer", LruConfig::default()
);
foyer!(FoyerLfu, "foyer LFU", LfuConfig::default());
foyer!(FoyerS3Fifo, "foyer S3-FIFO", S3FifoConfig::default());

pub type Cached = ShardedLruCache<u64, u64, Hashers>;

impl Numbers for Cached {
    const NAME: &'static str = "cached";

    fn with_capacity(entries: usize) -> Self {
        let builder = ShardedLruCache::<u64, u64>::builder().hasher(Hashers::default());
        builder.max_size(entries).build().expect("no workload has a capacity of 0")
    }

    fn in_one_piece(entries: usize) -> Self {
        let builder = ShardedLruCache::<u64, u64>::builder().hasher(Hashers::default());
        builder.max_size(entries).shards(1).build().expect("no workload has a capacity of 0")
    }

    fn get(&self, key: u64) -> Option<u64> {
        Self::get(self, &key)
    }

    fn insert(&self, key: u64, value: u64) {
        let _ = self.set(key, value);
    }

    fn get_or_compute(&self, key: u64, compute: impl FnOnce() -> u64) -> u64 {
        self.get_or_set_with(key, compute)
    }

    fn resident(&self) -> Option<u64> {
        Some(self.len() as u64)
    }
}

/// `lru` in a mutex: what most programs write by hand.
pub struct LruInMutex(Mutex<lru::LruCache<u64, u64, Hashers>>);

impl Numbers for LruInMutex {
    const NAME: &'static str = "Mutex<lru>";

    fn with_capacity(entries: usize) -> Self {
        let capacity = NonZeroUsize::new(entries).expect("no workload has a capacity of 0");
        Self(Mutex::new(lru::LruCache::with_hasher(capacity, Hashers::default())))
    }

    fn get(&self, key: u64) -> Option<u64> {
        self.0.lock().get(&key).copied()
    }

    fn insert(&self, key: u64, value: u64) {
        self.0.lock().put(key, value);
    }

    fn get_or_compute(&self, key: u64, compute: impl FnOnce() -> u64) -> u64 {
        // Not one critical section: a body must not run under the only lock.
        get_then_insert(self, key, compute)
    }

    fn resident(&self) -> Option<u64> {
        Some(self.0.lock().len() as u64)
    }
}

pub type SieveCache = sieve_cache::ShardedSieveCache<u64, u64, Hashers>;

impl Numbers for SieveCache {
    const NAME: &'static str = "sieve-cache";

    fn with_capacity(entries: usize) -> Self {
        Self::new_with_hasher(entries, Hashers::default()).expect("no workload has a capacity of 0")
    }

    fn in_one_piece(entries: usize) -> Self {
        let cache = Self::with_shards_and_hasher(entries, 1, Hashers::default());
        cache.expect("no workload has a capacity of 0")
    }

    fn get(&self, key: u64) -> Option<u64> {
        Self::get(self, &key)
    }

    fn insert(&self, key: u64, value: u64) {
        Self::insert(self, key, value);
    }

    fn get_or_compute(&self, key: u64, compute: impl FnOnce() -> u64) -> u64 {
        get_then_insert(self, key, compute)
    }

    fn resident(&self) -> Option<u64> {
        Some(self.len() as u64)
    }
}

/// TinyUFO; it has a hasher of its own, and compares keys by their hash alone.
pub struct TinyUfo {
    cache: tinyufo::TinyUfo<u64, u64>,
    /// Entries that went in less those that came out: the crate does not count them. Replays only, where every insert
    /// is of a new key; nothing reads or writes it in rows of time.
    balance: Option<AtomicU64>,
}

impl Numbers for TinyUfo {
    const NAME: &'static str = "TinyUFO";

    fn with_capacity(entries: usize) -> Self {
        Self { cache: tinyufo::TinyUfo::new(entries, entries), balance: None }
    }

    fn in_one_piece(entries: usize) -> Self {
        Self { balance: Some(AtomicU64::new(0)), ..Self::with_capacity(entries) }
    }

    fn get(&self, key: u64) -> Option<u64> {
        self.cache.get(&key)
    }

    fn insert(&self, key: u64, value: u64) {
        let evicted = self.cache.put(key, value, 1);
        if let Some(balance) = &self.balance {
            // What was refused comes back among the evicted.
            let before = balance.load(Ordering::Relaxed);
            balance.store(before + 1 - evicted.len() as u64, Ordering::Relaxed);
        }
    }

    fn get_or_compute(&self, key: u64, compute: impl FnOnce() -> u64) -> u64 {
        get_then_insert(self, key, compute)
    }

    fn resident(&self) -> Option<u64> {
        self.balance.as_ref().map(|balance| balance.load(Ordering::Relaxed))
    }
}
