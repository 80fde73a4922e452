//! What the usual policy keeps and lets go.

use std::time::Duration;

use larder::Cache;

use crate::support::{MB, blob, domain};

#[test]
fn hybrid_keeps_what_was_costly_and_small() {
    let domain = domain(64 * MB);
    let cache = Cache::<u64, Vec<u8>>::builder("mixed")
        .max_mb(2)
        .cost(|&key, _| if key < 100 { Duration::from_millis(1) } else { Duration::from_micros(100) })
        .build_in(&domain)
        .unwrap();
    for key in 0..100 {
        cache.insert(key, blob(1000));
    }
    for key in 100..1000 {
        cache.insert(key, blob(20_000));
    }
    let kept = (0..100).filter(|&key| cache.contains(key)).count();
    assert_eq!(kept, 100, "a cheap big value is worth 200 times less for each byte");
    assert!(cache.len() > 150, "the rest of the room is used: {}", cache.len());
}

#[test]
fn hybrid_keeps_what_is_used() {
    let domain = domain(64 * MB);
    let cache = Cache::<u64, u64>::builder("used")
        .max_entries(500)
        .cost(|_, _| Duration::from_millis(1))
        .build_in(&domain)
        .unwrap();
    for key in 0..5000 {
        cache.insert(key, key);
        for hot in 0..100.min(key) {
            let _ = cache.get(hot);
        }
    }
    let kept = (0..100).filter(|&key| cache.contains(key)).count();
    assert!(kept >= 99, "{kept} of 100 that are used all the time are left");
}

#[test]
fn hybrid_lets_go_of_what_was_useful_once() {
    let domain = domain(64 * MB);
    let cache = Cache::<u64, u64>::builder("ageing")
        .max_entries(200)
        .cost(|_, _| Duration::from_millis(1))
        .build_in(&domain)
        .unwrap();
    for _ in 0..20 {
        for key in 0..100 {
            cache.get_or_insert_with(key, || key);
        }
    }
    // A scan brings nothing that is asked for again, and takes nothing away.
    for key in 1000..20_000 {
        cache.get_or_insert_with(key, || key);
    }
    let kept = |cache: &Cache<u64, u64>| (0..100).filter(|&key| cache.contains(key)).count();
    assert!(kept(&cache) >= 90, "{} of 100 outlive the scan", kept(&cache));
    // Others are.
    for _ in 0..20 {
        for key in 20_000..20_200 {
            cache.get_or_insert_with(key, || key);
        }
    }
    assert!(kept(&cache) < 10, "{} of long ago are left", kept(&cache));
}
