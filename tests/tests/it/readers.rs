//! What happens beside a look-up that stands still: what leaves meanwhile is charged until it goes on, and nobody else
//! pays for that.
//!
//! A value's `Clone` runs while its look-up reads, so what a test does there it does beside a reader that stands.

use std::sync::{Arc, Mutex};

use larder::{Cache, Change, Domain, EntryFacts, Evict, Policy, Uses};

use crate::support::{Counter, MB, blob, bytes, check, domain};

type Work = Box<dyn FnOnce() + Send>;

/// What the next clone of a value does, once.
#[derive(Clone, Default)]
struct During(Arc<Mutex<Option<Work>>>);

impl During {
    /// Looks `key` up, and does this while it reads.
    fn read<V: Clone + Send + Sync + 'static>(
        &self,
        cache: &Cache<u64, V>,
        key: u64,
        work: impl FnOnce() + Send + 'static,
    ) {
        *self.0.lock().unwrap() = Some(Box::new(work));
        assert!(cache.get(key).is_some());
        assert!(self.0.lock().unwrap().is_none(), "nobody cloned the value");
    }
}

/// A value of a size, that somebody reads for long.
struct Slow(u64, During);

impl Clone for Slow {
    fn clone(&self) -> Self {
        let work = self.1.0.lock().unwrap().take();
        if let Some(work) = work {
            work();
        }
        Self(self.0, self.1.clone())
    }
}

const SIZE: u64 = 10_000;

fn slow(domain: &Domain, policy: Policy, most: u64) -> Cache<u64, Slow> {
    let cache = Cache::builder("slow").policy(policy).max_bytes(most).weigh(|_, slow: &Slow| slow.0);
    cache.build_in(domain).unwrap()
}

#[test]
fn one_standing_reader_does_not_let_inserts_empty_the_cache() {
    for policy in Policy::ALL {
        let domain = domain(64 * MB);
        let during = During::default();
        let cache = slow(&domain, policy, MB);
        (0..200).for_each(|key| cache.insert(key, Slow(SIZE, during.clone())));
        let before = cache.len();
        assert!(before > 90);
        let (inner, values) = (cache.clone(), during.clone());
        let last = cache.iter().next().unwrap().0;
        during.read(&cache, last, move || {
            (1000..1020).for_each(|key| inner.insert(key, Slow(SIZE, values.clone())));
        });
        assert!(cache.len() + 4 >= before, "{policy}: {} are left of {before}", cache.len());
        // What left is gone by now, and there is room again.
        (2000..2010).for_each(|key| cache.insert(key, Slow(SIZE, during.clone())));
        assert!(cache.contains(2009), "{policy}");
        assert!(cache.len() + 4 >= before, "{policy}: {} are left of {before}", cache.len());
        check(&domain);
    }
}

#[test]
fn one_standing_reader_does_not_let_inserts_empty_a_cache_of_flat_values() {
    let domain = domain(64 * MB);
    let flat = Cache::<u64, u64>::builder("flat").max_bytes(MB / 4).build_in(&domain).unwrap();
    (0..10_000).for_each(|key| flat.insert(key, key));
    let before = flat.len();
    let inner = flat.clone();
    // A closure of `invalidate_if` reads as well.
    let mut work = Some(move || (20_000..22_000).for_each(|key| inner.insert(key, key)));
    flat.invalidate_if(|_, _| {
        if let Some(work) = work.take() {
            work();
        }
        false
    });
    assert!(flat.len() * 10 > before * 8, "{} are left of {before}", flat.len());
    flat.insert(30_000, 1);
    assert!(flat.contains(30_000));
    check(&domain);
}

#[test]
fn one_standing_reader_does_not_let_inserts_empty_other_tenants() {
    let domain = domain(2 * MB);
    let during = During::default();
    let cache = slow(&domain, Policy::Hybrid, u64::MAX);
    let other = bytes(&domain, "other");
    // So that the cache which is read is asked first.
    other.set_priority(1000.0).unwrap();
    (0..100).for_each(|key| cache.insert(key, Slow(SIZE, during.clone())));
    let full = || cache.stats().reclaims + other.stats().evictions > 0;
    (0..).take_while(|_| !full()).for_each(|key| other.insert(key, blob(SIZE as usize)));
    let before = (cache.len(), other.len());
    assert!(before.0 > 90 && before.1 > 90, "{before:?}");
    let (inner, values) = (cache.clone(), during.clone());
    let last = cache.iter().next().unwrap().0;
    during.read(&cache, last, move || {
        (1000..1005).for_each(|key| inner.insert(key, Slow(SIZE, values.clone())));
        // Others have what these take.
        assert!((1000..1005).all(|key| inner.contains(key)));
    });
    let after = (cache.len(), other.len());
    assert!(after.0 + 4 >= before.0 && after.1 + 9 >= before.1, "{after:?} are left of {before:?}");
    (2000..2010).for_each(|key| cache.insert(key, Slow(SIZE, during.clone())));
    assert!(cache.contains(2009));
    check(&domain);
}

#[test]
fn one_standing_reader_does_not_let_a_lowered_limit_empty_the_cache() {
    let domain = Arc::new(domain(2 * MB));
    let during = During::default();
    let cache = slow(&domain, Policy::Hybrid, u64::MAX);
    (0..100).for_each(|key| cache.insert(key, Slow(SIZE, during.clone())));
    let limit = domain.budget().used() - 20 * SIZE;
    let inner = Arc::clone(&domain);
    during.read(&cache, 0, move || inner.budget().set_limit(limit));
    assert!(cache.len() >= 75, "{} are left of 100", cache.len());
    // What was taken for it has been read, and leaves.
    domain.tick();
    check(&domain);
    assert!((75..=85).contains(&cache.len()), "{} are left of 100", cache.len());
}

/// The newest goes.
struct Newest(Vec<u32>);

impl Evict for Newest {
    fn insert(&mut self, slot: u32, _: &EntryFacts) {
        self.0.push(slot);
    }

    fn remove(&mut self, slot: u32) {
        self.0.retain(|other| *other != slot);
    }

    fn rename(&mut self, from: u32, to: u32) {
        self.0.iter_mut().filter(|slot| **slot == from).for_each(|slot| *slot = to);
    }

    fn victim(&mut self, _uses: &mut Uses<'_>) -> Option<u32> {
        self.0.last().copied()
    }
}

#[test]
fn a_users_order_is_there_again_where_an_emptied_shard_could_not_go() {
    let domain = domain(16 * MB);
    let (during, made) = (During::default(), Counter::default());
    let counted = made.clone();
    let order = move || {
        counted.add();
        Newest(Vec::new())
    };
    let cache = Cache::builder("own").shards(1).max_entries(4).policy_with(order).build_in(&domain).unwrap();
    (0..4).for_each(|key| cache.insert(key, Slow(0, during.clone())));
    let (inner, values) = (cache.clone(), during.clone());
    during.read(&cache, 0, move || {
        inner.clear();
        inner.insert(10, Slow(0, values));
    });
    assert_eq!(made.get(), 2, "one with the first entry, and one with the first after all had left");
    (11..15).for_each(|key| cache.insert(key, Slow(0, during.clone())));
    let left: Vec<_> = (10..15).filter(|key| cache.contains(*key)).collect();
    assert_eq!(left, [10, 11, 12, 14], "the newest goes, and not the oldest");
    check(&domain);
}

#[test]
fn a_users_order_is_there_again_where_the_only_entry_made_room_for_its_successor() {
    let mut renewed = 0;
    for slack in (0..4096).step_by(64) {
        let domain = domain(16 * MB);
        let made = Counter::default();
        let counted = made.clone();
        let order = move || {
            counted.add();
            Newest(Vec::new())
        };
        let cache = Cache::<u64, u64>::builder("own").shards(1).policy_with(order).build_in(&domain).unwrap();
        cache.insert(10, 0);
        // What was overwritten waits, so that the page is full by and by, and cannot grow.
        cache.set_max_bytes(cache.weight() + slack);
        (0..20).for_each(|value| cache.insert(10, value));
        if cache.get(10) != Some(19) {
            // Not even a first entry has room.
            continue;
        }
        renewed += made.get() - 1;
        cache.set_max_bytes(u64::MAX);
        cache.set_max_entries(4);
        (11..15).for_each(|key| cache.insert(key, key));
        let left: Vec<_> = (10..15).filter(|key| cache.contains(*key)).collect();
        assert_eq!(left, [10, 11, 12, 14], "the newest goes, and not the oldest; with {slack} bytes more");
        check(&domain);
    }
    assert!(renewed > 0, "no entry ever made room for its successor");
}

#[test]
fn a_computation_whose_own_entry_had_to_make_room_follows_from_it() {
    for entries in 1..40 {
        let domain = domain(MB);
        let during = During::default();
        let builder = Cache::builder("visits").shards(1).priority(1000.0).weigh(|_, _: &Slow| 0);
        let visits = builder.build_in(&domain).unwrap();
        (0..entries).for_each(|key| visits.insert(key, Slow(41, during.clone())));
        visits.insert(100, Slow(0, during.clone()));
        let other = bytes(&domain, "other");
        (0..2000).for_each(|key| other.insert(key, blob(1000)));
        assert!(other.stats().reclaims + other.stats().evictions > 0, "the budget is full");
        let (inner, values) = (visits.clone(), during.clone());
        // While somebody reads, an entry that is replaced keeps its slot; so some of these need a page more.
        during.read(&visits, 100, move || {
            for key in 0..entries {
                let _ = inner.compute(key, |seen| {
                    Change::Insert(Slow(seen.map_or(1, |seen| seen.0 + 1), values.clone()))
                });
            }
        });
        for key in 0..entries {
            assert_eq!(visits.get(key).map(|value| value.0), Some(42), "{key} of {entries}");
        }
        check(&domain);
    }
}
