//! Each crate behind the three operations that the workloads need, written as its own documentation writes them.

use std::sync::Arc;

use parking_lot::Mutex;

/// A cache of numbers, bounded by entries.
pub trait Numbers: Send + Sync + 'static {
    const NAME: &'static str;

    fn with_capacity(entries: usize) -> Self;
    fn get(&self, key: u64) -> Option<u64>;
    fn insert(&self, key: u64, value: u64);
    fn get_or_compute(&self, key: u64, compute: impl FnOnce() -> u64) -> u64;
}

/// A cache of texts under a name and a number, asked with a borrowed name.
pub trait Texts: Send + Sync + 'static {
    const NAME: &'static str;

    fn with_capacity(entries: usize) -> Self;
    fn get(&self, name: &str, id: u32) -> Option<Arc<str>>;
    fn insert(&self, name: &str, id: u32, value: Arc<str>);
}

impl Numbers for larder::Cache<u64, u64> {
    const NAME: &'static str = "larder";

    fn with_capacity(entries: usize) -> Self {
        Self::builder("rivals").max_entries(entries as u64).build().expect("the options are valid")
    }

    fn get(&self, key: u64) -> Option<u64> {
        Self::get(self, key)
    }

    fn insert(&self, key: u64, value: u64) {
        Self::insert(self, key, value);
    }

    fn get_or_compute(&self, key: u64, compute: impl FnOnce() -> u64) -> u64 {
        self.get_or_insert_with(key, compute)
    }
}

impl Texts for larder::Cache<(String, u32), Arc<str>> {
    const NAME: &'static str = "larder";

    fn with_capacity(entries: usize) -> Self {
        Self::builder("rivals").max_entries(entries as u64).build().expect("the options are valid")
    }

    fn get(&self, name: &str, id: u32) -> Option<Arc<str>> {
        Self::get(self, (name, id))
    }

    fn insert(&self, name: &str, id: u32, value: Arc<str>) {
        Self::insert(self, (name.to_owned(), id), value);
    }
}

impl Numbers for quick_cache::sync::Cache<u64, u64> {
    const NAME: &'static str = "quick_cache";

    fn with_capacity(entries: usize) -> Self {
        Self::new(entries)
    }

    fn get(&self, key: u64) -> Option<u64> {
        Self::get(self, &key)
    }

    fn insert(&self, key: u64, value: u64) {
        Self::insert(self, key, value);
    }

    fn get_or_compute(&self, key: u64, compute: impl FnOnce() -> u64) -> u64 {
        self.get_or_insert_with(&key, || Ok::<_, std::convert::Infallible>(compute()))
            .unwrap_or_else(|never| match never {})
    }
}

/// The borrowed pair that quick_cache accepts in place of its owned key.
#[derive(Hash)]
struct Pair<'a>(&'a str, u32);

impl quick_cache::Equivalent<(String, u32)> for Pair<'_> {
    fn equivalent(&self, key: &(String, u32)) -> bool {
        self.0 == key.0 && self.1 == key.1
    }
}

impl Texts for quick_cache::sync::Cache<(String, u32), Arc<str>> {
    const NAME: &'static str = "quick_cache";

    fn with_capacity(entries: usize) -> Self {
        Self::new(entries)
    }

    fn get(&self, name: &str, id: u32) -> Option<Arc<str>> {
        Self::get(self, &Pair(name, id))
    }

    fn insert(&self, name: &str, id: u32, value: Arc<str>) {
        Self::insert(self, (name.to_owned(), id), value);
    }
}

impl Numbers for moka::sync::Cache<u64, u64> {
    const NAME: &'static str = "moka";

    fn with_capacity(entries: usize) -> Self {
        Self::new(entries as u64)
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
}

impl Texts for moka::sync::Cache<(String, u32), Arc<str>> {
    const NAME: &'static str = "moka";

    fn with_capacity(entries: usize) -> Self {
        Self::new(entries as u64)
    }

    fn get(&self, name: &str, id: u32) -> Option<Arc<str>> {
        Self::get(self, &(name.to_owned(), id))
    }

    fn insert(&self, name: &str, id: u32, value: Arc<str>) {
        Self::insert(self, (name.to_owned(), id), value);
    }
}

impl Numbers for mini_moka::sync::Cache<u64, u64> {
    const NAME: &'static str = "mini-moka";

    fn with_capacity(entries: usize) -> Self {
        Self::new(entries as u64)
    }

    fn get(&self, key: u64) -> Option<u64> {
        Self::get(self, &key)
    }

    fn insert(&self, key: u64, value: u64) {
        Self::insert(self, key, value);
    }

    fn get_or_compute(&self, key: u64, compute: impl FnOnce() -> u64) -> u64 {
        Self::get(self, &key).unwrap_or_else(|| {
            let value = compute();
            Self::insert(self, key, value);
            value
        })
    }
}

impl Numbers for cached::stores::ShardedLruCache<u64, u64> {
    const NAME: &'static str = "cached";

    fn with_capacity(entries: usize) -> Self {
        Self::new(entries)
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
}

impl Texts for cached::stores::ShardedLruCache<(String, u32), Arc<str>> {
    const NAME: &'static str = "cached";

    fn with_capacity(entries: usize) -> Self {
        Self::new(entries)
    }

    fn get(&self, name: &str, id: u32) -> Option<Arc<str>> {
        Self::get(self, &(name.to_owned(), id))
    }

    fn insert(&self, name: &str, id: u32, value: Arc<str>) {
        let _ = self.set((name.to_owned(), id), value);
    }
}

/// `lru` in a mutex: what most programs write by hand.
pub struct LruInMutex<K: std::hash::Hash + Eq, V>(Mutex<lru::LruCache<K, V>>);

impl<K: std::hash::Hash + Eq, V> LruInMutex<K, V> {
    fn new(entries: usize) -> Self {
        let capacity = entries.try_into().expect("no workload has a capacity of 0");
        Self(Mutex::new(lru::LruCache::new(capacity)))
    }
}

impl Numbers for LruInMutex<u64, u64> {
    const NAME: &'static str = "Mutex<lru>";

    fn with_capacity(entries: usize) -> Self {
        Self::new(entries)
    }

    fn get(&self, key: u64) -> Option<u64> {
        self.0.lock().get(&key).copied()
    }

    fn insert(&self, key: u64, value: u64) {
        self.0.lock().put(key, value);
    }

    fn get_or_compute(&self, key: u64, compute: impl FnOnce() -> u64) -> u64 {
        // Not one critical section: a body must not run under the only lock.
        if let Some(value) = self.0.lock().get(&key) {
            return *value;
        }
        let value = compute();
        self.0.lock().put(key, value);
        value
    }
}

impl Texts for LruInMutex<(String, u32), Arc<str>> {
    const NAME: &'static str = "Mutex<lru>";

    fn with_capacity(entries: usize) -> Self {
        Self::new(entries)
    }

    fn get(&self, name: &str, id: u32) -> Option<Arc<str>> {
        self.0.lock().get(&(name.to_owned(), id)).cloned()
    }

    fn insert(&self, name: &str, id: u32, value: Arc<str>) {
        self.0.lock().put((name.to_owned(), id), value);
    }
}

impl Numbers for sieve_cache::ShardedSieveCache<u64, u64> {
    const NAME: &'static str = "sieve-cache";

    fn with_capacity(entries: usize) -> Self {
        Self::new(entries).expect("no workload has a capacity of 0")
    }

    fn get(&self, key: u64) -> Option<u64> {
        Self::get(self, &key)
    }

    fn insert(&self, key: u64, value: u64) {
        Self::insert(self, key, value);
    }

    fn get_or_compute(&self, key: u64, compute: impl FnOnce() -> u64) -> u64 {
        Self::get(self, &key).unwrap_or_else(|| {
            let value = compute();
            Self::insert(self, key, value);
            value
        })
    }
}

/// The attribute macros, on one body.
pub mod annotated {
    /// larder's macro.
    #[larder::cached]
    pub fn by_larder(key: u64) -> u64 {
        key.wrapping_mul(3)
    }

    /// cached's macro with its defaults: one lock around one store.
    #[cached::macros::cached]
    pub fn by_cached(key: u64) -> u64 {
        key.wrapping_mul(3)
    }

    /// cached's macro for several threads: locks by shard.
    #[cached::macros::concurrent_cached]
    pub fn by_concurrent_cached(key: u64) -> u64 {
        key.wrapping_mul(3)
    }
}
