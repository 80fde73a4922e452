//! What holds after every step of a history, now and then, and at its end.

use std::collections::BTreeMap;

use larder::{RemovalCause, TenantStats};
use larder_runtime::__private::validate;

use super::{EMPTY, World, numbers};
use crate::history::model::Allowed;
use crate::history::values::{Name, Payload};

impl<K: Name, V: Payload> World<K, V> {
    /// Holds after every step.
    pub(super) fn check(&self) {
        let cache = self.cache();
        if !self.heard && cache.stats().pinned > 0 && self.bounds_hold().is_err() {
            // What was pinned beyond a bound and has expired since is out of the model, and goes with the next sweep.
            self.domain.tick();
        }
        if let Err(passed) = self.bounds_hold() {
            panic!("{passed}");
        }
        let (stats, budget) = (cache.stats(), self.domain.stats().budget);
        assert_eq!(budget.over_released, 0);
        assert_eq!((stats.hits, stats.loads), (self.hits, self.loads), "counters");
    }

    /// What is pinned may be above each bound.
    fn bounds_hold(&self) -> Result<(), String> {
        let (stats, budget) = (self.cache().stats(), self.domain.stats().budget);
        let pins = self.model.pins() as u64;
        if stats.entries > self.max_entries.max(pins) {
            return Err(format!("{} of {} entries", stats.entries, self.max_entries));
        }
        // What was pinned may have kept an empty cache on the books that does not fit either.
        if pins == 0 && stats.bytes > self.max_bytes.max(EMPTY) {
            return Err(format!("{} of {} bytes", stats.bytes, self.max_bytes));
        }
        if pins == 0 && budget.used > budget.limit.max(2 * EMPTY) {
            return Err(format!("{budget:?}"));
        }
        Ok(())
    }

    /// Everything the cache has, against everything it should have; and a look inside.
    pub(super) fn compare(&mut self) {
        self.settle(&[], &Allowed::default());
        let cache = self.cache();
        let numbers = numbers::<K>();
        let all: BTreeMap<u64, u64> = cache.iter().map(|(key, value)| (numbers(&key), value.id())).collect();
        let expected: BTreeMap<u64, u64> =
            self.model.all_fresh().map(|(key, entry)| (key, entry.id)).collect();
        assert_eq!(all, expected, "the entries at {}", self.model.now);
        for (key, id) in &all {
            assert_eq!(cache.peek(&K::of(*key)).map(|value| value.id()), Some(*id), "key {key}");
        }
        let stats = cache.stats();
        assert_eq!(stats.entries, cache.len() as u64);
        if self.heard {
            assert_eq!(cache.len(), self.model.entries.len(), "each entry that left was told of");
            for (cause, counted) in counters(&stats) {
                assert_eq!(self.causes.get(cause).copied().unwrap_or(0), counted, "entries {cause}");
            }
            assert_eq!(stats.listener_panics, 0);
        }
        validate(&cache);
        let reserved: u64 = self.domain.stats().tenants.iter().map(|tenant| tenant.reserved).sum();
        assert_eq!(reserved, self.domain.budget().used(), "the reservations are what is used");
        drop(cache);
        self.count_values();
    }

    /// Each value that lives is in the cache.
    fn count_values(&self) {
        let alive = self.alive.count();
        if V::GROWS && self.heard {
            assert_eq!(alive, self.model.entries.len() as i64, "values that live");
        }
    }

    /// The cache goes: everything that is left leaves.
    pub(super) fn finish(mut self) {
        drop(self.cache.take());
        let told = std::mem::take(&mut *self.log.lock().expect("no listener panics"));
        let mut told: Vec<_> = told.into_iter().map(|(key, id, cause)| (key, (id, cause))).collect();
        told.sort_by_key(|(key, _)| *key);
        let left = self.model.entries.iter().map(|(key, entry)| (*key, (entry.id, RemovalCause::Dropped)));
        assert!(!self.heard || told.into_iter().eq(left), "what is left leaves with its cache");
        assert_eq!(self.alive.count(), 0, "values that outlive their cache");
        assert_eq!(
            self.domain.budget().used(),
            self.domain.stats().tenants.iter().map(|own| own.reserved).sum::<u64>()
        );
        drop(self.neighbour);
        assert_eq!(self.domain.budget().used(), 0, "bytes that outlive their caches");
    }
}

/// The counters of causes, by their names.
fn counters(stats: &TenantStats) -> [(&'static str, u64); 5] {
    [
        (RemovalCause::Evicted.as_str(), stats.evictions),
        (RemovalCause::Reclaimed.as_str(), stats.reclaims),
        (RemovalCause::Expired.as_str(), stats.expirations),
        (RemovalCause::Invalidated.as_str(), stats.invalidations),
        (RemovalCause::Replaced.as_str(), stats.replacements),
    ]
}
