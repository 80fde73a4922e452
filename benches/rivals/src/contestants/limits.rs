//! What is no cache: a map behind a lock, and a map that each thread has for itself.
//!
//! Neither evicts, neither is bounded. They show how much of a hit is the look-up alone.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::RwLock;

use super::{Hashers, Kind, Numbers};

type Map = HashMap<u64, u64, Hashers>;

/// std's map behind a lock for readers and writers.
pub struct RwLocked(std::sync::RwLock<Map>);

impl Numbers for RwLocked {
    const NAME: &'static str = "RwLock<HashMap>";
    const KIND: Kind = Kind::Limit;

    fn with_capacity(entries: usize) -> Self {
        Self(std::sync::RwLock::new(Map::with_capacity_and_hasher(entries, Hashers::default())))
    }

    fn get(&self, key: u64) -> Option<u64> {
        self.0.read().expect("no reader panics").get(&key).copied()
    }

    fn insert(&self, key: u64, value: u64) {
        self.0.write().expect("no writer panics").insert(key, value);
    }

    fn get_or_compute(&self, key: u64, compute: impl FnOnce() -> u64) -> u64 {
        self.get(key).unwrap_or_else(|| {
            let value = compute();
            self.insert(key, value);
            value
        })
    }

    fn resident(&self) -> Option<u64> {
        Some(self.0.read().expect("no reader panics").len() as u64)
    }
}

/// A map for each thread: nothing is shared, so nothing can be faster and still look a key up.
///
/// A thread copies the common map when it first misses; what another thread inserts after that it never sees.
pub struct OnePerThread {
    number: u64,
    all: RwLock<Map>,
}

thread_local! {
    /// The copy of this thread, and the number of the map it is a copy of.
    static COPY: RefCell<(u64, Map)> = RefCell::new((0, Map::default()));
}

impl OnePerThread {
    #[cold]
    fn copy(&self, key: u64) -> Option<u64> {
        COPY.with_borrow_mut(|copy| *copy = (self.number, self.all.read().clone()));
        self.all.read().get(&key).copied()
    }
}

impl Numbers for OnePerThread {
    const NAME: &'static str = "thread-local HashMap";
    const KIND: Kind = Kind::Limit;

    fn with_capacity(entries: usize) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let map = Map::with_capacity_and_hasher(entries, Hashers::default());
        Self { number: NEXT.fetch_add(1, Ordering::Relaxed), all: RwLock::new(map) }
    }

    fn get(&self, key: u64) -> Option<u64> {
        let found = COPY.with_borrow(
            |(number, map)| {
                if *number == self.number { map.get(&key).copied() } else { None }
            },
        );
        found.or_else(|| self.copy(key))
    }

    fn insert(&self, key: u64, value: u64) {
        self.all.write().insert(key, value);
    }

    fn get_or_compute(&self, key: u64, compute: impl FnOnce() -> u64) -> u64 {
        Numbers::get(self, key).unwrap_or_else(|| {
            let value = compute();
            Numbers::insert(self, key, value);
            value
        })
    }

    fn resident(&self) -> Option<u64> {
        Some(self.all.read().len() as u64)
    }
}
