//! Which entries a cache would keep longest, and which would go first.
//!
//! Answers are for people and for what warms a cache up. Who is evicted, the orders decide, one at a time.

use super::Cache;
use super::instance::Core;
use crate::store::{Sighting, Standing};

impl<K: Clone, V> Cache<K, V> {
    /// The keys of the `n` entries that the cache would keep longest, the last one to go first. Fewer if it has not so
    /// many.
    ///
    /// Pinned entries come before all others. Among these it is an estimate from what has been noted so far, which
    /// later uses change: exact for `fifo`, and for `lru` as far as that is; for `lfu` and `utility` by uses and worth,
    /// for `hybrid` and `s3fifo` by part, uses and price; for an order of your own by age; and under `random` anyone.
    /// Entries of different shards are compared by the same measure.
    ///
    /// Counts as no use. Weakly consistent, as [`iter`](Self::iter) is: what leaves meanwhile may be missing.
    ///
    /// # Locking
    ///
    /// One shard at a time, while its entries are listed. Keys are cloned with no lock held.
    ///
    /// # Cost
    ///
    /// Looks at every entry of the cache, whatever `n` is, and takes about 70 bytes for each entry of one shard meanwhile.
    ///
    /// # Examples
    ///
    /// ```
    /// use larder_runtime::{Cache, Domain, Policy};
    ///
    /// let domain = Domain::builder().limit_bytes(1 << 20).manual().build();
    /// let cache = Cache::<u32, u32>::builder("users").policy(Policy::Lru).shards(1).build_in(&domain)?;
    /// (0..5).for_each(|key| cache.insert(key, key));
    /// cache.get(0);
    /// assert_eq!((cache.hottest(2), cache.coldest(2)), (vec![0, 4], vec![1, 2]));
    /// # Ok::<(), larder_runtime::BuildError>(())
    /// ```
    #[must_use]
    pub fn hottest(&self, n: usize) -> Vec<K> {
        self.here().nearest(n, End::Hot)
    }

    /// The keys of the `n` entries that the cache would evict first, in that order; like
    /// [`hottest`](Self::hottest), from the other end. Without those that are pinned, which are not evicted.
    #[must_use]
    pub fn coldest(&self, n: usize) -> Vec<K> {
        self.here().nearest(n, End::Cold)
    }
}

/// An end of the order of eviction.
#[derive(Clone, Copy)]
enum End {
    /// Who stays longest.
    Hot,
    /// Who goes first.
    Cold,
}

impl End {
    /// How far an entry is from this end; `None` where it does not count.
    fn distance(self, stay: Option<u64>) -> Option<u64> {
        match self {
            // What is pinned stays longer than all.
            Self::Hot => Some(u64::MAX - stay.unwrap_or(u64::MAX)),
            Self::Cold => stay,
        }
    }
}

impl<K: Clone, V> Core<K, V> {
    fn nearest(&self, n: usize, end: End) -> Vec<K> {
        let (tenant, mut nearest) = (&*self.tenant, Vec::<(u64, Sighting)>::new());
        if self.is_bypassed() || n == 0 {
            return Vec::new();
        }
        let (moment, now, reservation) = (tenant.moment(), tenant.now(), &tenant.card.reservation);
        for shard in 0..self.store.shards() {
            let standing = self.store.stand(shard, moment, now, reservation);
            let at = |(stay, sighting): Standing| end.distance(stay).map(|distance| (distance, sighting));
            nearest.extend(standing.into_iter().filter_map(at));
            if nearest.len() > n {
                nearest.select_nth_unstable_by_key(n, |(distance, _)| *distance);
                nearest.truncate(n);
            }
        }
        nearest.sort_by_key(|(distance, _)| *distance);
        let key = |(_, sighting)| self.store.look_again(sighting, || now, reservation, |key, _| key.clone());
        nearest.into_iter().filter_map(key).collect()
    }
}
