//! Changing an entry by what it is, going through all entries, and many keys at once.

use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use larder::testing::ManualClock;
use larder::{Cache, Change, Domain};
use larder_tests::short_or_deep;
use parking_lot::Mutex;

use crate::support::{MB, Random, all_at_once, check, check_emptied, domain};

fn cache(domain: &Domain) -> Cache<u64, u64> {
    Cache::builder("changed").build_in(domain).unwrap()
}

#[test]
fn compute_keeps_inserts_and_removes() {
    let domain = domain(MB);
    let cache = cache(&domain);
    let add = |seen: Option<&u64>| Change::Insert(seen.map_or(1, |seen| seen + 1));
    assert_eq!(cache.compute(7, |seen| if seen.is_none() { Change::Keep } else { Change::Remove }), None);
    assert!(cache.is_empty());
    assert_eq!(cache.compute(7, add), Some(1));
    assert_eq!(cache.compute(7, add), Some(2));
    assert_eq!(cache.compute(7, |_| Change::Keep), Some(2));
    assert_eq!(cache.peek(7), Some(2));
    assert_eq!(cache.compute(7, |_| Change::Remove), None);
    assert_eq!(cache.compute(7, |_| Change::Remove), None);
    let stats = cache.stats();
    assert_eq!((stats.hits, stats.misses, stats.invalidations, stats.replacements), (0, 0, 1, 1));
    check(&domain);
    check_emptied(&cache);
}

#[test]
fn compute_asks_again_when_the_entry_changed_meanwhile() {
    let domain = domain(MB);
    let cache = cache(&domain);
    let mut seen = Vec::new();
    let end = cache.compute(1, |value| {
        seen.push(value.copied());
        match seen.len() {
            1 => cache.insert(1, 10),
            2 => assert!(cache.invalidate(1)),
            3 => assert_eq!(cache.get_or_insert_with(1, || 30), 30),
            _ => {}
        }
        Change::Insert(100 + seen.len() as u64)
    });
    assert_eq!(seen, [None, Some(10), None, Some(30)]);
    assert_eq!((end, cache.peek(1)), (Some(104), Some(104)));
    let mut runs = 0;
    let gone = cache.compute(1, |_| {
        runs += 1;
        if runs == 1 {
            cache.insert(1, 5);
        }
        Change::Remove
    });
    assert_eq!((gone, runs, cache.peek(1)), (None, 2, None));
    check(&domain);
}

#[test]
fn compute_may_compute_the_same_key() {
    let domain = domain(MB);
    let cache = cache(&domain);
    let mut runs = 0;
    let end = cache.compute(1, |seen| {
        runs += 1;
        let inner = if runs == 1 { cache.compute(1, |_| Change::Insert(1)) } else { None };
        Change::Insert(seen.copied().or(inner).unwrap_or(0) + 10)
    });
    assert_eq!((runs, end), (2, Some(11)));
}

#[test]
fn a_load_in_flight_does_not_undo_a_compute() {
    let domain = domain(MB);
    let cache = cache(&domain);
    let old = cache.get_or_insert_with(1, || {
        assert_eq!(cache.compute(1, |_| Change::Insert(2)), Some(2));
        1
    });
    assert_eq!((old, cache.peek(1)), (1, Some(2)));
    cache.invalidate(1);
    let old = cache.get_or_insert_with(1, || {
        assert_eq!(cache.compute(1, |_| Change::Remove), None);
        1
    });
    assert_eq!((old, cache.peek(1)), (1, None));
    check(&domain);
}

#[test]
fn a_compute_that_finds_no_room_leaves_nothing_older() {
    let domain = domain(MB);
    let cache = Cache::<u64, Vec<u8>>::builder("large").build_in(&domain).unwrap();
    cache.insert(1, vec![1]);
    let huge = cache.compute(1, |_| Change::Insert(vec![2; 2 << 20]));
    assert_eq!(huge.map(|huge| huge.len()), Some(2 << 20));
    assert_eq!((cache.peek(1), cache.stats().rejections), (None, 1));
    check_emptied(&cache);
}

#[test]
fn a_compute_that_panics_changes_nothing() {
    let domain = domain(MB);
    let cache = cache(&domain);
    cache.insert(1, 1);
    let caught = std::panic::catch_unwind(|| cache.compute(1, |_| panic!("refused")));
    assert!(caught.is_err());
    assert_eq!(cache.peek(1), Some(1));
    check(&domain);
}

#[test]
fn increments_of_many_threads_add_up() {
    let domain = domain(MB);
    let cache = cache(&domain);
    let shared = cache.clone();
    let each = short_or_deep(5_000, 500_000);
    all_at_once("incrementing", 4, move |at| {
        let mut random = Random::new(at as u64);
        for _ in 0..each {
            shared.compute(random.below(3), |seen| Change::Insert(seen.map_or(1, |seen| seen + 1)));
        }
    });
    assert_eq!((0..3).filter_map(|key| cache.peek(key)).sum::<u64>(), 4 * each);
    check(&domain);
}

/// Each value is written once, and says so. If `compute` is atomic, no two of them follow from the same value, whatever
/// else happens to the key; and what it returns is what it wrote.
#[test]
fn no_two_computes_follow_from_one_value() {
    let domain = domain(MB);
    let cache = Cache::<u64, u64>::builder("unique").max_entries(3).build_in(&domain).unwrap();
    let shared = cache.clone();
    let used = Mutex::new(HashSet::new());
    let next = AtomicU64::new(0);
    let each = short_or_deep(25_000, 2_500_000);
    all_at_once("changing", 4, move |at| {
        let mut random = Random::new(at as u64);
        for _ in 0..each {
            let key = random.below(4);
            let fresh = || next.fetch_add(1, Ordering::Relaxed) * 4 + key;
            match random.below(10) {
                0 => shared.insert(key, fresh()),
                1 => _ = shared.invalidate(key),
                2 => assert_eq!(shared.get_or_insert_with(key, fresh) % 4, key),
                3 => assert!(shared.get(key).is_none_or(|value| value % 4 == key)),
                what => {
                    let mut from = None;
                    let new = fresh();
                    let end = shared.compute(key, |seen| {
                        from = seen.copied();
                        if what == 4 { Change::Remove } else { Change::Insert(new) }
                    });
                    assert_eq!(end, (what != 4).then_some(new));
                    if let Some(from) = from {
                        assert_eq!(from % 4, key);
                        assert!(used.lock().insert(from), "{from} was followed twice");
                    }
                }
            }
        }
    });
    check(&domain);
    check_emptied(&cache);
}

#[test]
fn an_expired_entry_is_absent_to_compute() {
    let clock = ManualClock::new();
    let domain = Domain::builder().limit_bytes(MB).clock(clock.clone()).manual().build();
    let ttl = Duration::from_secs(10);
    let cache = Cache::<u64, u64>::builder("short").ttl(ttl).build_in(&domain).unwrap();
    cache.insert(1, 1);
    assert_eq!(cache.time_left(1), Some(ttl));
    clock.advance(Duration::from_secs(4));
    assert_eq!(cache.time_left(1), Some(Duration::from_secs(6)));
    clock.advance(Duration::from_secs(6));
    assert_eq!((cache.time_left(1), cache.iter().count()), (None, 0));
    assert_eq!(cache.compute(1, |seen| Change::Insert(seen.map_or(7, |seen| seen + 1))), Some(7));
    assert_eq!(cache.time_left(1), Some(ttl));
    let forever = self::cache(&domain);
    assert_eq!(forever.time_left(1), None);
    forever.insert(1, 1);
    assert_eq!(forever.time_left(1), Some(Duration::MAX));
    check(&domain);
}

#[test]
fn iteration_meets_each_entry_once() {
    let domain = domain(4 * MB);
    let cache = cache(&domain);
    cache.insert_many((0..1000).map(|key| (key, key * 2)));
    let mut met: Vec<_> = cache.iter().collect();
    met.sort_unstable();
    assert!(met.into_iter().eq((0..1000).map(|key| (key, key * 2))));
    // Those that stay come exactly once, whatever happens to the others meanwhile.
    let mut stayed = HashSet::new();
    for (step, (key, value)) in cache.iter().enumerate() {
        assert_eq!(value % 2, 0);
        if key < 500 {
            assert!(stayed.insert(key), "{key} came twice");
        }
        cache.invalidate(500 + step as u64);
        cache.insert(2000 + step as u64, 2);
    }
    assert_eq!(stayed.len(), 500);
    let stats = cache.stats();
    assert_eq!((stats.hits, stats.misses), (0, 0), "not a use");
    check(&domain);
}

#[test]
fn what_matches_is_invalidated_and_nothing_else() {
    let domain = domain(4 * MB);
    let cache = cache(&domain);
    cache.insert_many((0..1000).map(|key| (key, key % 10)));
    assert_eq!(cache.invalidate_if(|_, value| *value == 3), 100);
    assert_eq!((cache.len(), cache.peek(3), cache.peek(4)), (900, None, Some(4)));
    assert_eq!(cache.stats().invalidations, 100);
    let mut looked = 0;
    let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        cache.invalidate_if(|_, _| {
            looked += 1;
            assert!(looked < 50, "enough");
            true
        })
    }));
    assert!(caught.is_err());
    assert_eq!(cache.len(), 900 - 49);
    check(&domain);
    assert_eq!(cache.invalidate_if(|_, _| true), 851);
    check_emptied(&cache);
}

#[test]
fn a_load_in_flight_is_not_stored_after_what_matches_went() {
    let domain = domain(MB);
    let cache = cache(&domain);
    assert_eq!(
        cache.get_or_insert_with(1, || {
            assert_eq!(cache.invalidate_if(|_, _| true), 0);
            1
        }),
        1
    );
    assert_eq!(cache.peek(1), None, "it may have read what made the others stale");
}

#[test]
fn many_keys_at_once() {
    let domain = domain(MB);
    let cache = Cache::<String, u64>::builder("texts").build_in(&domain).unwrap();
    cache.insert_many([("a".to_owned(), 1), ("b".to_owned(), 2), ("a".to_owned(), 3)]);
    assert_eq!(cache.get_many(["b", "x", "a"]), [Some(2), None, Some(3)]);
    assert_eq!((cache.stats().hits, cache.stats().misses), (2, 1));
    assert_eq!((cache.invalidate_many(["b", "x"]), cache.get_many(["b", "a"])), (1, vec![None, Some(3)]));
}

#[test]
fn nothing_is_there_while_bypassed() {
    let domain = domain(MB);
    let cache = cache(&domain);
    cache.insert_many([(1, 1), (2, 2), (3, 3)]);
    domain.set_bypass(true);
    assert_eq!(cache.iter().count(), 0);
    assert_eq!(cache.time_left(1), None);
    assert_eq!(cache.compute(1, |seen| Change::Insert(seen.map_or(5, |_| 6))), Some(5));
    assert_eq!(cache.compute(3, |_| Change::Remove), None);
    domain.set_bypass(false);
    assert_eq!((cache.peek(1), cache.peek(2)), (None, Some(2)), "the old value would be wrong");
    assert_eq!(cache.peek(3), None, "it was removed, though nobody saw it");
    check(&domain);
}
