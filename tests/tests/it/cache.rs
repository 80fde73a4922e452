//! One cache by itself: its handles, what it finds, how its keys are told apart, its name and its domain.

use std::sync::Arc;

use larder::{Cache, Domain, Snapshot};

use crate::support::{Colliding, MB, blob, bytes, check, check_emptied, domain};

pub(crate) fn build(domain: &Domain, name: &str) -> Cache<u64, u64> {
    Cache::builder(name).build_in(domain).unwrap()
}

#[test]
fn handles_can_go_anywhere() {
    fn anywhere<T: Send + Sync + Clone + std::panic::UnwindSafe + std::panic::RefUnwindSafe + 'static>() {}
    anywhere::<Cache<u64, Arc<dyn Fn() + Send + Sync>>>();
    anywhere::<Cache<String, Arc<str>>>();
    fn shared<T: Send + Sync + 'static>() {}
    shared::<Domain>();
    shared::<Snapshot>();
}

#[test]
fn what_is_inserted_is_found_until_it_is_removed() {
    let domain = domain(MB);
    let cache = build(&domain, "plain");
    assert_eq!((cache.get(1), cache.peek(1), cache.contains(1)), (None, None, false));
    cache.insert(1, 10);
    assert_eq!((cache.get(1), cache.peek(1), cache.contains(1)), (Some(10), Some(10), true));
    cache.insert(1, 11);
    assert_eq!((cache.get(1), cache.len()), (Some(11), 1));
    assert!(cache.invalidate(1));
    assert!(!cache.invalidate(1));
    assert_eq!((cache.get(1), cache.is_empty()), (None, true));
    let stats = cache.stats();
    assert_eq!((stats.hits, stats.misses), (2, 2), "peek and contains leave no trace");
    assert_eq!((stats.invalidations, stats.replacements, stats.loads), (1, 1, 0));
    assert!((stats.hit_rate() - 0.5).abs() < 1e-9);
    check(&domain);
    check_emptied(&cache);
}

#[test]
fn a_load_runs_on_a_miss_only() {
    let domain = domain(MB);
    let cache = Cache::<String, usize>::builder("lengths").build_in(&domain).unwrap();
    assert_eq!(cache.get_or_insert_ref("four", str::len), 4);
    assert_eq!(cache.get_or_insert_ref("four", |_| unreachable!("it is there")), 4);
    assert_eq!(cache.get_or_insert_with("four".to_owned(), || unreachable!("it is there")), 4);
    let found: Result<usize, ()> =
        cache.try_get_or_insert_with("four".to_owned(), || unreachable!("it is there"));
    assert_eq!(found, Ok(4));
    assert_eq!(
        (cache.get("four"), cache.get(&"four".to_owned()), cache.get("five")),
        (Some(4), Some(4), None)
    );
    assert_eq!((cache.stats().loads, cache.stats().hits, cache.stats().misses), (1, 5, 2));
}

#[test]
fn an_error_goes_to_the_caller_and_nowhere_else() {
    let domain = domain(MB);
    let cache = build(&domain, "fallible");
    let empty = cache.weight();
    assert_eq!(cache.try_get_or_insert_with(1, || Err("no")), Err("no"));
    assert_eq!((cache.len(), cache.weight(), cache.stats().load_failures), (0, empty, 1));
    assert_eq!(cache.try_get_or_insert_with(1, || Ok::<_, &str>(5)), Ok(5));
    assert_eq!(cache.get(1), Some(5));
    check(&domain);
}

#[test]
fn keys_are_found_by_their_borrowed_parts() {
    let domain = domain(MB);
    let cache = Cache::<(String, u32, Option<String>), u8>::builder("parts").build_in(&domain).unwrap();
    cache.insert(("ab".to_owned(), 7, None), 1);
    cache.insert(("ab".to_owned(), 7, Some("c".to_owned())), 2);
    assert_eq!(cache.get(("ab", 7, None::<&str>)), Some(1));
    assert_eq!(cache.get(("ab", 7, Some("c"))), Some(2));
    assert_eq!(cache.get(("a", 7, Some("bc"))), None);
    assert!(cache.invalidate(("ab", 7, None::<&str>)));
    assert_eq!(cache.len(), 1);
}

#[test]
fn equal_hashes_do_not_make_equal_keys() {
    let domain = domain(MB);
    let cache = Cache::<Colliding, u64>::builder("colliding").build_in(&domain).unwrap();
    for key in 0..200 {
        cache.insert(Colliding(key), key);
    }
    for key in (0..200).step_by(2) {
        assert!(cache.invalidate(&Colliding(key)));
    }
    for key in 0..200 {
        let expected = (key % 2 == 1).then_some(key);
        assert_eq!(cache.get(&Colliding(key)), expected);
        assert_eq!(cache.get_or_insert_with(Colliding(key), || key), key);
    }
    assert_eq!(cache.len(), 200);
    check_emptied(&cache);
}

#[test]
fn keys_and_values_without_a_size_are_counted_all_the_same() {
    let domain = domain(MB);
    let cache = Cache::<(), ()>::builder("nothing").max_entries(1).build_in(&domain).unwrap();
    cache.insert((), ());
    cache.insert((), ());
    assert_eq!((cache.get(()), cache.len()), (Some(()), 1));
    assert!(cache.weight() > 0, "its slot takes room");
    check_emptied(&cache);
}

#[test]
fn clones_are_handles_to_one_cache() {
    let domain = domain(MB);
    let cache = build(&domain, "one");
    let other = cache.clone();
    other.insert(1, 10);
    drop(other);
    assert_eq!(cache.get(1), Some(10));
    assert_eq!(domain.stats().tenants.len(), 1);
}

#[test]
fn the_second_living_cache_of_a_name_is_numbered() {
    let domain = domain(MB);
    let first = build(&domain, "twin");
    let second = build(&domain, "twin");
    let third = build(&domain, "twin");
    assert_eq!([first.name(), second.name(), third.name()], ["twin", "twin#2", "twin#3"]);
    drop(second);
    assert_eq!(build(&domain, "twin").name(), "twin#2");
}

#[test]
fn a_name_is_free_again_when_its_cache_is_gone() {
    let domain = domain(MB);
    for _ in 0..3 {
        assert_eq!(build(&domain, "phoenix").name(), "phoenix");
    }
}

#[test]
fn domains_know_nothing_of_each_other() {
    let (left, right) = (domain(MB), domain(MB));
    let (one, other) = (bytes(&left, "same"), bytes(&right, "same"));
    assert_eq!((one.name(), other.name()), ("same", "same"));
    for key in 0..100 {
        one.insert(key, blob(50_000));
    }
    other.insert(1, blob(1000));
    assert_eq!((other.len(), right.stats().tenants.len()), (1, 1));
    let before = left.budget().used();
    right.clear_all();
    right.set_bypass(true);
    right.budget().set_limit(0);
    assert_eq!((left.budget().used(), left.budget().limit()), (before, MB));
    assert!(one.get(99).is_some());
    check(&left);
    check(&right);
}

#[test]
fn a_cache_outlives_its_domain_and_keeps_the_budget() {
    let domain = domain(MB);
    let (first, second) = (bytes(&domain, "first"), bytes(&domain, "second"));
    drop(domain);
    for key in 0..200 {
        first.insert(key, blob(20_000));
        second.insert(key, blob(20_000));
    }
    assert!(first.weight() + second.weight() <= MB);
    assert!(first.len() + second.len() > 20, "most of the budget is used");
    assert_eq!(second.get_or_insert_with(1000, || blob(10)), blob(10));
}

#[test]
fn a_domain_outlives_its_caches_and_has_their_bytes_back() {
    let domain = domain(MB);
    let cache = bytes(&domain, "short-lived");
    let handle = cache.clone();
    cache.insert(1, blob(100_000));
    drop(cache);
    assert!(domain.budget().used() > 100_000, "a handle is left");
    drop(handle);
    assert_eq!(domain.budget().used(), 0);
    assert!(domain.stats().tenants.is_empty());
    domain.tick();
    assert_eq!(domain.trim(100).freed, 0);
    domain.budget().set_limit(0);
    check(&domain);
}

#[test]
fn clearing_empties_one_cache_or_all_of_a_domain() {
    let domain = domain(16 * MB);
    let (one, other) = (bytes(&domain, "one"), bytes(&domain, "other"));
    let (empty, both) = (one.weight(), domain.budget().used());
    let fill = || {
        for key in 0..1000 {
            one.insert(key, blob(100));
            other.insert(key, blob(100));
        }
    };
    fill();
    one.clear();
    assert_eq!((one.len(), one.weight(), other.len()), (0, empty, 1000));
    fill();
    domain.clear_all();
    assert_eq!((one.len(), other.len(), domain.budget().used()), (0, 0, both));
    assert_eq!((one.stats().invalidations, other.stats().invalidations), (2000, 1000));
    check(&domain);
}

#[test]
fn removing_one_by_one_gives_every_byte_back() {
    for entries in [1, 3, 5, 16, 17, 48, 64, 65, 128, 200, 1000] {
        let domain = domain(64 * MB);
        let cache = Cache::<u64, u64>::builder("few").max_entries(1000).build_in(&domain).unwrap();
        let single = Cache::<Colliding, u64>::builder("one shard").build_in(&domain).unwrap();
        let empty = (cache.weight(), single.weight());
        for key in 0..entries {
            cache.insert(key, key);
            single.insert(Colliding(key), key);
        }
        for key in 0..entries {
            assert!(cache.invalidate(key));
            assert!(single.invalidate(&Colliding(key)));
        }
        assert_eq!((cache.weight(), single.weight()), empty, "of {entries}");
        check(&domain);
    }
}

#[test]
fn a_cache_of_any_number_of_shards_is_the_same_cache() {
    for shards in [0, 1, 3, 64, 1000, usize::MAX] {
        let domain = domain(64 * MB);
        let cache =
            Cache::<u64, u64>::builder("spread").shards(shards).max_entries(2000).build_in(&domain).unwrap();
        let empty = cache.weight();
        for key in 0..5000 {
            cache.insert(key, key);
            assert!(key < 2000 || cache.len() == 2000);
        }
        assert_eq!((0..5000).filter(|key| cache.get(*key) == Some(*key)).count(), 2000);
        check(&domain);
        cache.clear();
        assert_eq!(cache.weight(), empty);
    }
}
