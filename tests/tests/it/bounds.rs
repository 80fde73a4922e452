//! A cache's own bounds, weights, and what becomes of what does not fit.

use std::collections::VecDeque;
use std::time::Duration;

use larder::{Cache, Policy};

use crate::support::{MB, Random, blob, bytes, check, check_emptied, domain};

/// The least recently used cache of the textbook.
struct Model {
    capacity: usize,
    /// The most recently used key is at the back.
    order: VecDeque<u64>,
}

impl Model {
    fn touch(&mut self, key: u64) -> bool {
        let found = self.order.iter().position(|&other| other == key);
        if let Some(at) = found {
            self.order.remove(at);
            self.order.push_back(key);
        }
        found.is_some()
    }

    fn insert(&mut self, key: u64) {
        if !self.touch(key) {
            if self.order.len() == self.capacity {
                self.order.pop_front();
            }
            self.order.push_back(key);
        }
    }
}

#[test]
fn a_small_lru_cache_evicts_in_the_exact_order() {
    for capacity in [1, 2, 3, 5, 8, 17, 40] {
        let domain = domain(16 * MB);
        let cache = Cache::<u64, u64>::builder("lru")
            .policy(Policy::Lru)
            .max_entries(capacity)
            .build_in(&domain)
            .unwrap();
        let mut model = Model { capacity: capacity as usize, order: VecDeque::new() };
        let mut random = Random::new(capacity);
        for step in 0..4000 {
            let key = random.below(2 * capacity + 1);
            match random.below(3) {
                0 => {
                    cache.insert(key, step);
                    model.insert(key);
                }
                1 => assert_eq!(cache.get(key).is_some(), model.touch(key), "step {step} of {capacity}"),
                _ => {
                    cache.get_or_insert_with(key, || step);
                    model.insert(key);
                }
            }
            for key in &model.order {
                assert!(
                    cache.contains(*key),
                    "step {step} of {capacity}: {key} is gone of {:?}",
                    model.order
                );
            }
            assert_eq!(cache.len(), model.order.len());
        }
        check(&domain);
    }
}

#[test]
fn max_entries_holds_after_every_insert() {
    for policy in Policy::ALL {
        for most in [1, 2, 7, 64, 100, 1000] {
            let domain = domain(16 * MB);
            let cache = Cache::<u64, u64>::builder("bounded")
                .policy(policy)
                .max_entries(most)
                .build_in(&domain)
                .unwrap();
            for key in 0..3 * most {
                cache.insert(key, key);
                assert_eq!(cache.len() as u64, (key + 1).min(most), "{policy} {most}");
            }
            assert_eq!(cache.stats().evictions, 2 * most);
            check_emptied(&cache);
        }
    }
}

#[test]
fn replacing_at_capacity_evicts_nobody() {
    for policy in Policy::ALL {
        let domain = domain(16 * MB);
        let cache =
            Cache::<u64, Vec<u8>>::builder("full").policy(policy).max_entries(100).build_in(&domain).unwrap();
        for key in 0..100 {
            cache.insert(key, blob(10));
        }
        for round in 0..5 {
            for key in 0..100 {
                cache.insert(key, blob(20 + round));
            }
        }
        assert_eq!((cache.len(), cache.stats().evictions, cache.stats().replacements), (100, 0, 500));
        assert!((0..100).all(|key| cache.get(key) == Some(blob(24))));
        check(&domain);
    }
}

#[test]
fn max_bytes_holds_after_every_insert_and_is_used() {
    for policy in Policy::ALL {
        let domain = domain(64 * MB);
        let cache =
            Cache::<u64, Vec<u8>>::builder("bounded").policy(policy).max_mb(1).build_in(&domain).unwrap();
        let mut random = Random::new(3);
        for key in 0..3000 {
            cache.insert(key, blob(random.below(5000) as usize));
            assert!(cache.weight() <= MB);
        }
        assert!(cache.weight() > MB * 9 / 10, "{policy}: {} bytes", cache.weight());
        check(&domain);
        check_emptied(&cache);
    }
}

#[test]
fn a_value_above_the_bound_is_returned_and_not_stored_and_evicts_nobody() {
    let domain = domain(4 * MB);
    let bounded = Cache::<u64, Vec<u8>>::builder("bounded").max_mb(1).build_in(&domain).unwrap();
    let free = bytes(&domain, "free");
    for key in 0..20 {
        bounded.insert(key, blob(10_000));
        free.insert(key, blob(10_000));
    }
    assert_eq!(bounded.get_or_insert_with(100, || blob(MB as usize)), blob(MB as usize));
    assert_eq!(free.get_or_insert_with(100, || blob(4 * MB as usize)), blob(4 * MB as usize));
    bounded.insert(101, blob(2 * MB as usize));
    free.insert(101, blob(64 * MB as usize));
    for cache in [&bounded, &free] {
        assert_eq!((cache.len(), cache.stats().rejections), (20, 2));
        assert_eq!((cache.stats().evictions, cache.stats().reclaims), (0, 0));
    }
    check(&domain);
}

#[test]
fn an_insert_that_is_rejected_takes_the_older_value_with_it() {
    let domain = domain(4 * MB);
    let cache = Cache::<u64, Vec<u8>>::builder("bounded").max_mb(1).build_in(&domain).unwrap();
    cache.insert(1, blob(10));
    cache.insert(1, blob(2 * MB as usize));
    assert_eq!((cache.get(1), cache.len(), cache.stats().rejections), (None, 0, 1));
    check_emptied(&cache);
}

#[test]
fn weights_come_from_the_weigher() {
    let domain = domain(64 * MB);
    let cache = Cache::<u64, u64>::builder("heavy").weigh(|_, value| *value).build_in(&domain).unwrap();
    let empty = cache.weight();
    cache.insert(1, 1_000_000);
    assert!((1_000_000..1_002_000).contains(&(cache.weight() - empty)), "{}", cache.weight());
    cache.insert(1, 0);
    assert!(
        cache.weight() - empty < 2000,
        "a weight below the size of the value itself is the size: {}",
        cache.weight()
    );
    cache.insert(2, u64::MAX);
    assert_eq!((cache.get(2), cache.stats().rejections), (None, 1));
    assert!(!cache.stats().estimated);
    check_emptied(&cache);
}

#[test]
fn weights_that_cannot_be_seen_are_marked() {
    #[derive(Clone)]
    struct Opaque(#[expect(dead_code, reason = "it stands for heap that nobody can see")] Box<u64>);
    let domain = domain(MB);
    let opaque = Cache::<u64, Opaque>::builder("opaque").max_bytes(1000).build_in(&domain).unwrap();
    opaque.insert(1, Opaque(Box::new(1)));
    assert!(opaque.stats().estimated);
    assert!(!bytes(&domain, "seen").stats().estimated);
    let warnings = domain.stats().warnings;
    assert_eq!(
        warnings,
        [
            "`opaque` is bounded in bytes, but its values own heap that cannot be seen: derive `Weigh`, or say `weigh = ..`"
        ]
    );
}

#[test]
fn bounds_of_a_cache_in_use() {
    let domain = domain(MB);
    let cache = Cache::<u64, Vec<u8>>::builder("resized").build_in(&domain).unwrap();
    (0..100).for_each(|key| cache.insert(key, vec![1; 1000]));
    cache.set_max_entries(10);
    assert_eq!((cache.len(), cache.stats().max_entries, cache.stats().evictions), (10, Some(10), 90));
    cache.insert(200, vec![1; 1000]);
    assert_eq!((cache.len(), cache.get(200).is_some()), (10, true));
    // Room for several, on however few shards they lie.
    cache.set_max_bytes(12_000);
    assert!(cache.weight() <= 12_000 && !cache.is_empty(), "{cache:?}");
    cache.insert(300, vec![1; 13_000]);
    assert_eq!(cache.get(300), None, "larger than the cache");
    cache.set_max_entries(u64::MAX);
    cache.set_max_bytes(u64::MAX);
    (0..100).for_each(|key| cache.insert(key, vec![1; 1000]));
    assert!((0..100).all(|key| cache.contains(key)));
    let stats = cache.stats();
    assert_eq!((stats.max_entries, stats.max_bytes), (None, None));
    cache.set_max_entries(0);
    cache.insert(1, Vec::new());
    assert!(cache.is_empty());
    check(&domain);
    check_emptied(&cache);
}

#[test]
fn a_priority_that_changes_decides_from_then_on() {
    let domain = domain(MB);
    let build =
        |name| Cache::<u64, Vec<u8>>::builder(name).cost(|_, _| Duration::from_micros(100)).build_in(&domain);
    let (a, b) = (build("a").unwrap(), build("b").unwrap());
    assert!([0.0, -1.0, f64::NAN, f64::INFINITY].iter().all(|priority| a.set_priority(*priority).is_err()));
    // The same traffic for both: some keys come often, most seldom.
    let mut random = Random::new(3);
    let mut fill = || {
        for _ in 0..10_000 {
            let key = random.below(60).min(random.below(60)) * random.below(300);
            a.get_or_insert_with(key, || vec![1; 1000]);
            b.get_or_insert_with(key, || vec![1; 1000]);
        }
    };
    fill();
    let even = (a.len(), b.len());
    // Nearly always within a tenth of the sum; hash seeds that spread the keys unevenly make it a quarter.
    assert!(even.0.abs_diff(even.1) * 5 < 2 * (even.0 + even.1), "{even:?}");
    for (high, low) in [(&a, &b), (&b, &a)] {
        high.set_priority(4.0).unwrap();
        low.set_priority(0.25).unwrap();
        assert_eq!(high.stats().priority, 4.0);
        fill();
        assert!(high.len() > 3 * low.len(), "{high:?} {low:?}");
    }
    check(&domain);
}

#[test]
fn a_value_is_stored_or_refused_before_anybody_makes_way() {
    let domain = domain(16 * MB);
    for less in (0..8000).step_by(100) {
        let cache = Cache::<u64, Vec<u8>>::builder("near").max_mb(1).build_in(&domain).unwrap();
        for key in 0..20 {
            cache.insert(key, blob(1000));
        }
        cache.insert(100, blob((MB - less) as usize));
        let stats = cache.stats();
        match cache.contains(100) {
            true => assert_eq!(stats.rejections, 0, "{less} bytes less"),
            false => {
                assert_eq!((cache.len(), stats.evictions, stats.rejections), (20, 0, 1), "{less} bytes less");
            }
        }
        // An empty cache, a first entry, and a page that the allocator rounds to.
        assert!(cache.contains(100) || less < 1024 + 1024 + 4096, "{less} bytes less than the bound");
        check_emptied(&cache);
    }
    for max in [16 * 1024, 100_000, MB] {
        let cache = Cache::<u64, Vec<u8>>::builder("most").max_bytes(max).build_in(&domain).unwrap();
        cache.insert(1, blob(max as usize * if max < 20_000 { 80 } else { 90 } / 100));
        assert!(cache.contains(1), "most of {max}");
        check(&domain);
    }
}

#[test]
fn a_cache_without_room_for_itself_stores_nothing_until_there_is() {
    let domain = domain(100);
    let cache = bytes(&domain, "small");
    cache.insert(1, blob(10));
    assert_eq!((cache.len(), cache.weight(), domain.budget().used()), (0, 0, 0));
    assert!(cache.stats().uncharged > 500 && cache.stats().rejections == 1);
    domain.budget().set_limit(MB);
    cache.insert(1, blob(10));
    assert_eq!((cache.get(1), cache.stats().uncharged), (Some(blob(10)), 0));
    check(&domain);
    domain.budget().set_limit(50);
    assert_eq!((cache.len(), cache.weight(), domain.budget().used()), (0, 0, 0));
    domain.budget().set_limit(MB);
    cache.insert(2, blob(10));
    assert_eq!(cache.get(2), Some(blob(10)));
    check(&domain);
    check_emptied(&cache);
}
