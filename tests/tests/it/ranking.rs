//! Who is hot and who is cold: exact where the policy is, and of use where it is not.

use std::collections::HashSet;
use std::time::Duration;

use larder::{Cache, Policy};

use crate::support::{MB, Random, all_at_once, check, check_emptied, clocked, domain};

/// Evicts one after the other, and says who went.
fn evicted(cache: &Cache<u64, u64>, count: usize) -> Vec<u64> {
    let mut there: Vec<u64> = cache.iter().map(|(key, _)| key).collect();
    (0..count)
        .map(|_| {
            cache.set_max_entries(cache.len() as u64 - 1);
            let at = there.iter().position(|key| !cache.contains(*key)).expect("one is gone");
            there.swap_remove(at)
        })
        .collect()
}

#[test]
fn plain_orders_are_told_exactly() {
    for policy in [Policy::Lru, Policy::Fifo] {
        let domain = domain(64 * MB);
        let cache = Cache::<u64, u64>::builder("plain")
            .policy(policy)
            .max_entries(200)
            .shards(1)
            .build_in(&domain)
            .unwrap();
        let mut random = Random::new(5);
        for _ in 0..2000 {
            let key = random.below(300);
            if cache.get(key).is_none() {
                cache.insert(key, key);
            }
        }
        let (coldest, hottest) = (cache.coldest(200), cache.hottest(200));
        assert_eq!(
            coldest.iter().rev().copied().collect::<Vec<_>>(),
            hottest,
            "{policy}: one order, two ends"
        );
        assert_eq!(cache.coldest(7), coldest[..7]);
        assert_eq!(cache.hottest(7), hottest[..7]);
        assert_eq!(evicted(&cache, 150), coldest[..150], "{policy}");
        let stats = cache.stats();
        assert_eq!(cache.coldest(usize::MAX).len(), 50);
        assert_eq!(
            (cache.stats().hits, cache.stats().misses),
            (stats.hits, stats.misses),
            "no use, no trace"
        );
        check_emptied(&cache);
    }
}

#[test]
fn what_is_said_to_be_cold_goes_and_what_is_hot_stays() {
    for policy in Policy::ALL {
        let domain = domain(64 * MB);
        let cache =
            Cache::<u64, u64>::builder("skewed").policy(policy).max_entries(2000).build_in(&domain).unwrap();
        let mut random = Random::new(9);
        for _ in 0..40_000 {
            // Few keys are asked for often, many seldom.
            let octave = 1 + random.below(13);
            let key = random.below(1 << octave);
            if cache.get(key).is_none() {
                cache.insert(key, key);
            }
        }
        let (hot, cold): (HashSet<_>, HashSet<_>) =
            (cache.hottest(500).into_iter().collect(), cache.coldest(500).into_iter().collect());
        assert_eq!((hot.len(), cold.len(), hot.intersection(&cold).count()), (500, 500, 0), "{policy}");
        assert!(hot.iter().chain(&cold).all(|key| cache.contains(*key)));
        cache.set_max_entries(1000);
        let left = |keys: &HashSet<u64>| keys.iter().filter(|key| cache.contains(**key)).count();
        let (hot, cold) = (left(&hot), left(&cold));
        println!("{policy}: of 500 hot ones {hot} stay, of 500 cold ones {cold}");
        if policy != Policy::Random {
            assert!(hot >= 450 && cold <= 150, "{policy}: {hot} hot and {cold} cold ones stay");
        }
        check(&domain);
    }
}

#[test]
fn pinned_entries_are_the_hottest_and_expired_ones_are_nowhere() {
    let (domain, clock) = clocked(64 * MB);
    let cache =
        Cache::<String, u64>::builder("pinned").ttl(Duration::from_secs(10)).build_in(&domain).unwrap();
    assert_eq!((cache.hottest(3), cache.coldest(3)), (vec![], vec![]));
    for key in ["a", "b", "c", "d"] {
        cache.insert(key.to_owned(), 1);
    }
    assert!(cache.pin("a"));
    assert_eq!(cache.hottest(1), ["a"]);
    let mut cold = cache.coldest(9);
    cold.sort();
    assert_eq!(
        (cold, cache.hottest(0).len(), cache.hottest(9).len()),
        (["b", "c", "d"].map(String::from).to_vec(), 0, 4)
    );
    cache.set_ttl("c", Duration::from_secs(1)).unwrap();
    clock.advance(Duration::from_secs(1));
    assert_eq!((cache.hottest(9).len(), cache.coldest(9).len()), (3, 2));
    domain.set_bypass(true);
    assert_eq!(cache.hottest(9).len(), 0);
    domain.set_bypass(false);
    check_emptied(&cache);
}

#[test]
fn asking_beside_writers_tells_of_keys_that_were_there() {
    let domain = domain(64 * MB);
    let cache = Cache::<u64, u64>::builder("busy").max_entries(300).build_in(&domain).unwrap();
    all_at_once("asking beside writers", 4, move |thread| {
        let mut random = Random::new(thread as u64);
        for _ in 0..2000 {
            match random.below(20) {
                0 => assert!(cache.hottest(10).iter().all(|key| *key < 1000)),
                1 => assert!(cache.coldest(400).len() <= 300),
                2..=4 => _ = cache.invalidate(random.below(1000)),
                _ => cache.insert(random.below(1000), 0),
            }
        }
    });
    check(&domain);
}
