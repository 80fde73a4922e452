//! Checks of a whole cache at rest: its store, its flights, and what its tenant is charged. For tests and fuzz targets:
//! no program that only uses larder has them.

use super::instance::Core;
use crate::store::Count;

/// Checks a cache that nobody uses meanwhile: each entry is in table, pages, order of eviction, wheel and books exactly
/// once, and found under the hash of its key; no two keys are equal; pins, places and bytes are what a recount says.
///
/// # Panics
///
/// When it is not so: the message says what is wrong.
#[cfg(feature = "__validate")]
pub fn validate<K, V>(cache: &super::Cache<K, V>)
where
    K: std::hash::Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    let core = cache.here();
    let hash_of = |key: &K| crate::key::hash_of(|state| key.hash(state));
    let count = core.count(Some(&hash_of));
    assert_eq!(count.bytes, core.tenant.card.reservation.spent(), "bytes that {cache:?} is charged");
    for shard in 0..core.store.shards() {
        let mut keys = std::collections::HashSet::new();
        core.store.each_key(shard, &core.tenant.card.reservation, |key| {
            assert!(keys.insert(key.clone()), "a key is there twice");
        });
    }
}

impl<K, V> Core<K, V> {
    /// Checks the store's structure; returns the bytes that the cache should be charged.
    #[cfg(test)]
    pub(crate) fn validate(&self) -> u64 {
        self.count(None).bytes
    }

    /// Checks and counts. For a tenant with one instance, which nobody uses meanwhile.
    pub(crate) fn count(&self, hash_of: Option<&dyn Fn(&K) -> u64>) -> Count {
        let (tenant, card) = (&*self.tenant, &*self.tenant.card);
        let mut count = self.store.validate(hash_of, &card.reservation);
        count.bytes += card.base() + self.bytes_below();
        assert_eq!(count.pinned, card.reservation.pinned(), "bytes of what is pinned");
        assert_eq!(count.entries, tenant.entries(), "places among the entries");
        assert!(self.flights.is_empty(), "a flight that nobody is in");
        let has_victim = self.store.credit(tenant.policy.is_by_credit()).is_finite();
        // The other way round it is asked in vain once, and says so from then on.
        assert!(!has_victim || card.price().is_finite(), "nobody would ask this tenant for its victims");
        count
    }
}
