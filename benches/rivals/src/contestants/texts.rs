//! The peers as caches of texts: with a borrowed key where the crate accepts one, with a key built for each call where
//! its users have to.

use std::num::NonZeroUsize;
use std::sync::Arc;

use cached::stores::ShardedLruCache;
use parking_lot::Mutex;
use quick_cache::UnitWeighter;
use quick_cache::sync::DefaultLifecycle;

use super::{Hashers, Texts};

type Key = (String, u32);

/// The borrowed pair that quick_cache accepts in place of its owned key, written by hand.
#[derive(Hash)]
struct Pair<'a>(&'a str, u32);

impl quick_cache::Equivalent<Key> for Pair<'_> {
    fn equivalent(&self, key: &Key) -> bool {
        self.0 == key.0 && self.1 == key.1
    }
}

impl Texts for quick_cache::sync::Cache<Key, Arc<str>, UnitWeighter, Hashers> {
    const NAME: &'static str = "quick_cache, borrowed key by hand";

    fn with_capacity(entries: usize) -> Self {
        Self::with(entries, entries as u64, UnitWeighter, Hashers::default(), DefaultLifecycle::default())
    }

    fn get(&self, name: &str, id: u32) -> Option<Arc<str>> {
        Self::get(self, &Pair(name, id))
    }

    fn insert(&self, name: &str, id: u32, value: Arc<str>) {
        Self::insert(self, (name.to_owned(), id), value);
    }
}

impl Texts for moka::sync::Cache<Key, Arc<str>, Hashers> {
    const NAME: &'static str = "moka";

    fn with_capacity(entries: usize) -> Self {
        moka::sync::Cache::<Key, Arc<str>>::builder()
            .max_capacity(entries as u64)
            .build_with_hasher(Hashers::default())
    }

    fn get(&self, name: &str, id: u32) -> Option<Arc<str>> {
        Self::get(self, &(name.to_owned(), id))
    }

    fn insert(&self, name: &str, id: u32, value: Arc<str>) {
        Self::insert(self, (name.to_owned(), id), value);
    }
}

impl Texts for foyer_memory::Cache<Key, Arc<str>, Hashers> {
    const NAME: &'static str = "foyer";

    fn with_capacity(entries: usize) -> Self {
        foyer_memory::CacheBuilder::new(entries).with_hash_builder(Hashers::default()).build()
    }

    fn get(&self, name: &str, id: u32) -> Option<Arc<str>> {
        Self::get(self, &(name.to_owned(), id)).map(|entry| Arc::clone(entry.value()))
    }

    fn insert(&self, name: &str, id: u32, value: Arc<str>) {
        Self::insert(self, (name.to_owned(), id), value);
    }
}

impl Texts for tinyufo::TinyUfo<Key, Arc<str>> {
    const NAME: &'static str = "TinyUFO";

    fn with_capacity(entries: usize) -> Self {
        Self::new(entries, entries)
    }

    fn get(&self, name: &str, id: u32) -> Option<Arc<str>> {
        Self::get(self, &(name.to_owned(), id))
    }

    fn insert(&self, name: &str, id: u32, value: Arc<str>) {
        self.put((name.to_owned(), id), value, 1);
    }
}

impl Texts for ShardedLruCache<Key, Arc<str>, Hashers> {
    const NAME: &'static str = "cached";

    fn with_capacity(entries: usize) -> Self {
        let builder = ShardedLruCache::<Key, Arc<str>>::builder().hasher(Hashers::default());
        builder.max_size(entries).build().expect("no workload has a capacity of 0")
    }

    fn get(&self, name: &str, id: u32) -> Option<Arc<str>> {
        Self::get(self, &(name.to_owned(), id))
    }

    fn insert(&self, name: &str, id: u32, value: Arc<str>) {
        let _ = self.set((name.to_owned(), id), value);
    }
}

/// `lru` in a mutex.
pub struct TextLru(Mutex<lru::LruCache<Key, Arc<str>, Hashers>>);

impl Texts for TextLru {
    const NAME: &'static str = "Mutex<lru>";

    fn with_capacity(entries: usize) -> Self {
        let capacity = NonZeroUsize::new(entries).expect("no workload has a capacity of 0");
        Self(Mutex::new(lru::LruCache::with_hasher(capacity, Hashers::default())))
    }

    fn get(&self, name: &str, id: u32) -> Option<Arc<str>> {
        self.0.lock().get(&(name.to_owned(), id)).cloned()
    }

    fn insert(&self, name: &str, id: u32, value: Arc<str>) {
        self.0.lock().put((name.to_owned(), id), value);
    }
}
