//! Values that change after they were stored: their weight follows when somebody says so, and the budget is kept.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use larder::{Cache, Domain};

use crate::support::{
    MB, Random, Sampler, Switch, all_at_once, blob, bytes, check, check_emptied, clocked, domain, panics,
};

/// A value that weighs what it says by now; clones share it.
type Elastic = Arc<AtomicU64>;

fn elastic(size: u64) -> Elastic {
    Arc::new(AtomicU64::new(size))
}

fn weigh(_: &u64, value: &Elastic) -> u64 {
    value.load(Ordering::SeqCst)
}

fn build(domain: &Domain, name: &str) -> Cache<u64, Elastic> {
    Cache::builder(name).weigh(weigh).build_in(domain).unwrap()
}

#[test]
fn the_weight_follows_up_and_down() {
    let domain = domain(64 * MB);
    let cache = build(&domain, "elastic");
    let value = elastic(1000);
    cache.insert(1, Arc::clone(&value));
    let before = cache.weight();
    for size in [5000, 1_000_000, 10_000, 1000, 1000] {
        value.store(size, Ordering::SeqCst);
        assert_eq!(cache.weight(), before.max(cache.weight()), "nothing is seen before somebody says so");
        assert_eq!(cache.reweigh(1), Some(size));
        assert_eq!(cache.weight(), before + size - 1000);
        check(&domain);
    }
    value.store(0, Ordering::SeqCst);
    assert_eq!(cache.reweigh(1), Some(16), "no value weighs less than itself");
    let stats = cache.stats();
    assert_eq!((stats.hits, stats.misses, stats.evictions, stats.rejections), (0, 0, 0, 0));
    check_emptied(&cache);
}

#[test]
fn what_is_not_there_has_no_weight() {
    let (domain, clock) = clocked(MB);
    let cache = Cache::<u64, Elastic>::builder("expiring")
        .weigh(weigh)
        .ttl(Duration::from_secs(1))
        .build_in(&domain)
        .unwrap();
    assert_eq!(cache.reweigh(1), None);
    cache.insert(1, elastic(100));
    assert_eq!((cache.reweigh(1), cache.reweigh(2)), (Some(100), None));
    domain.set_bypass(true);
    assert_eq!(cache.reweigh(1), None);
    domain.set_bypass(false);
    clock.advance(Duration::from_secs(1));
    assert_eq!(cache.reweigh(1), None, "what is expired is not there");
    check(&domain);
    check_emptied(&cache);
}

#[test]
fn text_keys_are_asked_for_as_everywhere() {
    let domain = domain(MB);
    let cache = Cache::<String, Vec<u8>>::builder("text").build_in(&domain).unwrap();
    cache.insert("one".to_owned(), blob(1000));
    let weight = cache.weight();
    assert!(cache.reweigh("one").is_some_and(|weight| (1048..1200).contains(&weight)));
    assert_eq!(cache.weight(), weight, "what did not change weighs the same");
}

#[test]
fn a_weigher_that_panics_changes_nothing() {
    let domain = domain(MB);
    let fails = Switch::default();
    let failing = fails.clone();
    let cache = Cache::<u64, Elastic>::builder("failing")
        .weigh(move |key, value| {
            assert!(!failing.is_on(), "a weigher that fails, on purpose");
            weigh(key, value)
        })
        .build_in(&domain)
        .unwrap();
    cache.insert(1, elastic(1000));
    let weight = cache.weight();
    fails.set(true);
    assert!(panics(|| assert_eq!(cache.reweigh(1), None)));
    fails.set(false);
    assert_eq!((cache.weight(), cache.reweigh(1), cache.len()), (weight, Some(1000), 1));
    check(&domain);
    check_emptied(&cache);
}

#[test]
fn a_weigher_may_use_the_cache_and_replace_what_it_weighs() {
    let domain = domain(MB);
    let own = Arc::new(std::sync::OnceLock::<Cache<u64, Elastic>>::new());
    let (seen, act) = (Arc::clone(&own), Arc::new(AtomicU64::new(0)));
    let acts = Arc::clone(&act);
    let cache = Cache::<u64, Elastic>::builder("busy")
        .weigh(move |key, value| {
            match (acts.swap(0, Ordering::SeqCst), seen.get()) {
                (1, Some(cache)) => cache.insert(*key, elastic(50)),
                (2, Some(cache)) => drop(cache.invalidate(*key)),
                (3, Some(cache)) => cache.clear(),
                _ => {}
            }
            weigh(key, value)
        })
        .build_in(&domain)
        .unwrap();
    own.set(cache.clone()).unwrap();
    for (action, left) in [(1, Some(50)), (2, None), (3, None)] {
        cache.insert(1, elastic(1000));
        cache.peek(1).unwrap().store(9000, Ordering::SeqCst);
        act.store(action, Ordering::SeqCst);
        assert_eq!(cache.reweigh(1), None, "another entry is not taken for it: {action}");
        assert_eq!(cache.peek(1).map(|value| value.load(Ordering::SeqCst)), left);
        assert!(cache.weight() < 8000, "{}", cache.weight());
        check(&domain);
    }
    check_emptied(&cache);
}

#[test]
fn growth_evicts_what_is_worth_least_in_the_whole_budget() {
    let domain = domain(4 * MB);
    let (cache, other) = (build(&domain, "elastic"), bytes(&domain, "other"));
    let value = elastic(1000);
    cache.insert(1, Arc::clone(&value));
    for key in 0..1000 {
        other.insert(key, blob(10_000));
    }
    // Used, so that it is not the cheapest itself.
    (0..20).for_each(|_| assert!(cache.get(1).is_some()));
    let full = other.len();
    value.store(2 * MB, Ordering::SeqCst);
    assert_eq!(cache.reweigh(1), Some(2 * MB));
    assert!(other.len() < full * 3 / 4 && !other.is_empty(), "{} of {full} are left", other.len());
    assert!(other.stats().reclaims > 0);
    check(&domain);
    // It shrinks, and its bytes are free for others.
    value.store(1000, Ordering::SeqCst);
    assert_eq!(cache.reweigh(1), Some(1000));
    let used = domain.budget().used();
    for key in 5000..5100 {
        other.insert(key, blob(10_000));
    }
    assert!(domain.budget().used() > used + MB / 2);
    check(&domain);
    check_emptied(&cache);
    check_emptied(&other);
}

#[test]
fn what_no_longer_fits_is_removed_and_counted() {
    let domain = domain(16 * MB);
    let cache =
        Cache::<u64, Elastic>::builder("bounded").max_mb(1).shards(1).weigh(weigh).build_in(&domain).unwrap();
    for key in 0..10 {
        cache.insert(key, elastic(1000));
    }
    cache.peek(3).unwrap().store(MB, Ordering::SeqCst);
    assert_eq!(cache.reweigh(3), None);
    assert_eq!((cache.len(), cache.contains(3), cache.stats().evictions), (9, false, 1), "and nobody else");
    cache.peek(4).unwrap().store(u64::MAX, Ordering::SeqCst);
    assert_eq!((cache.reweigh(4), cache.len(), cache.stats().evictions), (None, 8, 2));
    // What fits alone may push the others out, for the cache's own bound.
    cache.peek(5).unwrap().store(MB - 4096, Ordering::SeqCst);
    (0..20).for_each(|_| drop(cache.get(5)));
    assert_eq!((cache.reweigh(5), cache.contains(5)), (Some(MB - 4096), true));
    assert_eq!(cache.stats().evictions, 10 - cache.len() as u64);
    assert!(cache.len() <= 3, "{} are left", cache.len());
    check(&domain);
    check_emptied(&cache);
}

#[test]
fn the_floors_of_others_hold() {
    let domain = domain(4 * MB);
    let floored = Cache::<u64, Vec<u8>>::builder("floored").min_mb(3).build_in(&domain).unwrap();
    let cache = build(&domain, "elastic");
    for key in 0..290 {
        floored.insert(key, blob(10_000));
    }
    let kept = floored.len();
    cache.insert(1, elastic(1000));
    cache.peek(1).unwrap().store(2 * MB, Ordering::SeqCst);
    assert_eq!((cache.reweigh(1), cache.len(), cache.stats().evictions), (None, 0, 1));
    assert_eq!(floored.len(), kept);
    check(&domain);
    check_emptied(&cache);
}

#[test]
fn many_threads_that_weigh_replace_and_evict_keep_the_books() {
    const LIMIT: u64 = MB;
    let domain = Arc::new(domain(LIMIT));
    let caches: Vec<_> = (0..3).map(|at| build(&domain, &format!("of {at}"))).collect();
    let watched = Arc::clone(&domain);
    let sampler = Sampler::start(move || watched.budget().used());
    let shared = caches.clone();
    all_at_once("weighing", 6, move |at| {
        let mut random = Random::new(at as u64);
        for _ in 0..4000 {
            let (cache, key) = (&shared[random.below(3) as usize], random.below(40));
            match random.below(8) {
                0 => cache.insert(key, elastic(random.below(30_000))),
                1 => drop(cache.invalidate(key)),
                2 => drop(cache.get_or_insert_with(key, || elastic(1000))),
                3 if random.below(50) == 0 => cache.clear(),
                _ => {
                    if let Some(value) = cache.peek(key) {
                        value.store(random.below(60_000), Ordering::SeqCst);
                    }
                    let _ = cache.reweigh(key);
                }
            }
        }
    });
    let (highest, _) = sampler.finish();
    assert!(highest <= LIMIT, "{highest} of {LIMIT}");
    check(&domain);
    caches.iter().for_each(check_emptied);
}

/// Found by a history: the page of the first entry that weighs anything gets a column for that, which no bound was asked about.
#[test]
fn the_first_weight_of_a_page_keeps_the_bound() {
    for slack in 0..200 {
        let domain = domain(MB);
        let cache = Cache::<u64, Elastic>::builder("tight").weigh(weigh).shards(1).build_in(&domain).unwrap();
        let values: Vec<Elastic> = (0..40).map(|_| elastic(0)).collect();
        values.iter().enumerate().for_each(|(key, value)| cache.insert(key as u64, Arc::clone(value)));
        let most = cache.weight() + slack;
        cache.set_max_bytes(most);
        values[39].store(100, Ordering::SeqCst);
        cache.reweigh(39);
        assert!(cache.weight() <= most, "{} of {most} bytes", cache.weight());
        check(&domain);
    }
}
