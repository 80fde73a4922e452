//! Caches that are turned off for a while.

use crate::cache::build;
use crate::support::{Counter, MB, blob, bytes, check, check_emptied, domain};

#[test]
fn bypassed_caches_find_nothing_and_store_nothing() {
    let domain = domain(MB);
    let cache = build(&domain, "bypassed");
    cache.insert(1, 10);
    domain.set_bypass(true);
    let runs = Counter::default();
    for _ in 0..3 {
        let load = || runs.add() as u64;
        cache.get_or_insert_with(1, load);
        cache.get_or_insert_with(2, load);
    }
    assert_eq!(runs.get(), 6, "every body runs");
    assert_eq!((cache.get(1), cache.peek(1), cache.get(2)), (None, None, None));
    cache.insert(3, 30);
    let late = build(&domain, "late");
    late.insert(1, 1);
    assert_eq!((cache.len(), late.len()), (1, 0), "what was there stays");
    domain.set_bypass(false);
    assert_eq!((cache.get(1), cache.get(2), cache.get(3)), (Some(10), None, None));
    late.insert(1, 1);
    assert_eq!(late.get(1), Some(1));
    check(&domain);
}

#[test]
fn a_value_overwritten_while_bypassed_does_not_come_back() {
    let domain = domain(MB);
    let cache = build(&domain, "bypassed");
    cache.insert(1, 10);
    cache.insert(2, 20);
    domain.set_bypass(true);
    cache.insert(1, 11);
    assert!(cache.invalidate(2));
    domain.set_bypass(false);
    assert_eq!((cache.get(1), cache.get(2)), (None, None));
    check_emptied(&cache);
}

#[test]
fn a_load_that_is_running_when_a_bypass_begins_is_not_stored() {
    let domain = domain(MB);
    let cache = bytes(&domain, "bypassed");
    let value = cache.get_or_insert_with(1, || {
        domain.set_bypass(true);
        blob(10)
    });
    assert_eq!(value, blob(10));
    domain.set_bypass(false);
    assert_eq!((cache.get(1), cache.len(), cache.stats().rejections), (None, 0, 0));
    check_emptied(&cache);
}

#[test]
fn entries_end_for_good_when_the_cache_is_turned_off() {
    let domain = domain(MB);
    let cache = build(&domain, "bypassed");
    (0..100).for_each(|key| cache.insert(key, key));
    let mut entries = cache.iter();
    assert!(entries.next().is_some());
    domain.set_bypass(true);
    assert_eq!(entries.next(), None);
    domain.set_bypass(false);
    assert_eq!(entries.next(), None, "some of them would not be all of the others");
    assert_eq!(cache.iter().count(), 100);
}
