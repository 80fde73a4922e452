//! larder, as a program uses it: its default policy and shards, everything counted, under a budget.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use larder::{Cache, Charge, Domain, Policy};

use super::{Kind, Numbers, Texts};

/// The budget that all caches of this program share: enough that only their own bounds evict.
fn domain() -> &'static Domain {
    static DOMAIN: OnceLock<Domain> = OnceLock::new();
    DOMAIN.get_or_init(|| Domain::builder().limit_bytes(2 << 30).build())
}

/// A cache of numbers under [`domain`].
pub struct Larder(Cache<u64, u64>);

impl Larder {
    /// With a policy, and the same cost for every entry: what a replay decides must not depend on how fast this
    /// machine computed one value and not another.
    pub fn with_policy(policy: Policy, entries: usize) -> Self {
        let builder = Cache::builder("replay").policy(policy).max_entries(entries as u64);
        let cache = builder.cost(|_, _| Duration::from_micros(1)).build_in(domain());
        Self(cache.expect("the options are valid"))
    }

    /// Bounded both ways, as its bytes are measured: in a domain without a thread, because what another thread frees is
    /// not seen by who counts this one's bytes.
    pub fn with_both_bounds(entries: usize) -> Self {
        let domain = Domain::builder().limit_bytes(2 << 30).manual().build();
        let builder = Cache::builder("bytes").max_entries(entries as u64).max_bytes(1 << 30);
        Self(builder.build_in(&domain).expect("the options are valid"))
    }

    /// Bytes charged to the budget.
    pub fn weight(&self) -> u64 {
        self.0.weight()
    }
}

impl Numbers for Larder {
    const NAME: &'static str = "larder";
    const KIND: Kind = Kind::Ours;

    fn with_capacity(entries: usize) -> Self {
        let builder = Cache::builder("numbers").max_entries(entries as u64);
        Self(builder.build_in(domain()).expect("the options are valid"))
    }

    fn get(&self, key: u64) -> Option<u64> {
        self.0.get(key)
    }

    fn insert(&self, key: u64, value: u64) {
        self.0.insert(key, value);
    }

    fn get_or_compute(&self, key: u64, compute: impl FnOnce() -> u64) -> u64 {
        self.0.get_or_insert_with(key, compute)
    }

    fn resident(&self) -> Option<u64> {
        Some(self.0.len() as u64)
    }
}

/// The same while a curve is learned of it: in a budget of its own that is more than half used.
pub struct Learning {
    cache: Cache<u64, u64>,
    domain: Domain,
    _ballast: Charge,
}

impl Numbers for Learning {
    const NAME: &'static str = "larder, learning its curve";
    const KIND: Kind = Kind::Beside;

    fn with_capacity(entries: usize) -> Self {
        /// What an entry takes, at least.
        const ENTRY: u64 = 48;
        let bytes = (entries as u64 * ENTRY).max(1 << 20);
        let domain = Domain::builder().limit_bytes(4 * bytes).manual().build();
        let cache = Cache::builder("numbers").max_entries(entries as u64).build_in(&domain);
        let ballast = domain.charge("ballast", 2 * bytes);
        Self { cache: cache.expect("the options are valid"), domain, _ballast: ballast }
    }

    fn get(&self, key: u64) -> Option<u64> {
        self.cache.get(key)
    }

    /// As a load, because a curve begins with these.
    fn insert(&self, key: u64, value: u64) {
        self.cache.get_or_insert_with(key, || value);
    }

    fn get_or_compute(&self, key: u64, compute: impl FnOnce() -> u64) -> u64 {
        self.cache.get_or_insert_with(key, compute)
    }

    /// What the domain's thread does every second or so: an epoch ends, and another begins.
    fn settle(&self) {
        self.domain.tick();
    }

    fn resident(&self) -> Option<u64> {
        Some(self.cache.len() as u64)
    }
}

impl Texts for Cache<(String, u32), Arc<str>> {
    const NAME: &'static str = "larder";
    const KIND: Kind = Kind::Ours;

    fn with_capacity(entries: usize) -> Self {
        let builder = Self::builder("texts").max_entries(entries as u64);
        builder.build_in(domain()).expect("the options are valid")
    }

    fn get(&self, name: &str, id: u32) -> Option<Arc<str>> {
        Self::get(self, (name, id))
    }

    fn insert(&self, name: &str, id: u32, value: Arc<str>) {
        Self::insert(self, (name.to_owned(), id), value);
    }
}
