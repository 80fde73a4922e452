//! One number for many caches: it is kept, it is used, and the bytes go where they are worth most.

use std::time::Duration;

use larder::{Cache, Domain};

use crate::support::{EMPTY, MB, Random, all_at_once, blob, bytes, check, check_emptied, domain};

/// A cache whose misses all cost the same.
fn costing(domain: &Domain, name: &str, micros: u64) -> Cache<u64, Vec<u8>> {
    Cache::builder(name).cost(move |_, _| Duration::from_micros(micros)).build_in(domain).unwrap()
}

#[test]
fn a_budget_of_zero_stores_nothing_and_returns_everything() {
    let domain = domain(0);
    let cache = bytes(&domain, "homeless");
    for key in 0..100 {
        assert_eq!(cache.get_or_insert_with(key, || blob(10)), blob(10));
        cache.insert(key, Vec::new());
    }
    assert_eq!((cache.len(), cache.weight(), domain.budget().used()), (0, 0, 0));
    assert_eq!((cache.stats().rejections, cache.stats().loads), (200, 100));
    assert_eq!(cache.stats().share, 0.0);
    domain.tick();
    let _ = domain.trim(1).freed;
    check(&domain);
    domain.budget().set_limit(MB);
    cache.insert(1, blob(10));
    assert_eq!(cache.get(1), Some(blob(10)));
    domain.budget().set_limit(0);
    assert_eq!((cache.len(), domain.budget().used()), (0, 0));
    check(&domain);
}

#[test]
fn a_budget_of_a_few_bytes_is_kept() {
    for limit in [1, 100, 500, 1000, 2000, 5000, 20_000] {
        let domain = domain(limit);
        let caches: Vec<_> = (0..4).map(|at| bytes(&domain, &format!("of {at}"))).collect();
        for key in 0..1000 {
            caches[key as usize % 4].insert(key, blob(key as usize % 300));
            assert!(domain.budget().used() <= limit);
        }
        check(&domain);
        caches.iter().for_each(check_emptied);
        assert!(domain.budget().used() <= limit.min(4 * EMPTY));
    }
}

#[test]
fn the_largest_budget_has_no_end() {
    let domain = domain(u64::MAX);
    let cache = Cache::<u64, Vec<u8>>::builder("free").min_mb(1 << 43).build_in(&domain).unwrap();
    let other = Cache::<u64, Vec<u8>>::builder("too").min_mb(1 << 43).build_in(&domain).unwrap();
    cache.insert(1, blob(1000));
    other.insert(1, blob(1000));
    domain.tick();
    domain.budget().set_limit_mb(u64::MAX);
    assert_eq!((domain.budget().limit(), cache.len(), other.len()), (u64::MAX, 1, 1));
    check(&domain);
}

#[test]
fn a_full_budget_is_used_to_the_last_percent() {
    let domain = domain(16 * MB);
    let caches: Vec<_> = (0..8).map(|at| bytes(&domain, &format!("of {at}"))).collect();
    let mut random = Random::new(1);
    for _ in 0..20_000 {
        let cache = &caches[random.below(8) as usize];
        cache.insert(random.below(100_000), blob(random.below(8000) as usize));
        assert!(domain.budget().used() <= 16 * MB);
    }
    let stored: u64 = caches.iter().map(Cache::weight).sum();
    assert!(stored > 16 * MB * 95 / 100, "{stored}");
    assert!(
        caches.iter().all(|cache| cache.stats().rejections == 0),
        "a new value enters while colder bytes exist"
    );
    check(&domain);
}

#[test]
fn a_new_cache_takes_its_room_from_the_old() {
    let domain = domain(8 * MB);
    let old = bytes(&domain, "old");
    for key in 0..1000 {
        old.insert(key, blob(10_000));
    }
    let new = bytes(&domain, "new");
    for key in 0..1000 {
        new.insert(key, blob(10_000));
    }
    assert!(new.len() > 300, "{} of 1000 entries", new.len());
    assert_eq!(new.stats().rejections, 0);
    assert!(old.stats().reclaims > 0);
    check(&domain);
}

#[test]
fn a_limit_that_is_lowered_is_kept_at_once_and_one_that_is_raised_is_used() {
    let domain = domain(32 * MB);
    let caches: Vec<_> = (0..4).map(|at| bytes(&domain, &format!("of {at}"))).collect();
    let fill = || {
        for key in 0..4000 {
            caches[key as usize % 4].insert(key, blob(9000));
        }
    };
    fill();
    for megabytes in [16, 24, 4, 1, 8, 0, 32] {
        domain.budget().set_limit_mb(megabytes);
        assert!(domain.budget().used() <= megabytes * MB, "{} at {megabytes} MB", domain.budget().used());
        check(&domain);
        fill();
        check(&domain);
        assert!(
            domain.budget().used() >= megabytes * MB * 9 / 10,
            "{} at {megabytes} MB",
            domain.budget().used()
        );
    }
}

#[test]
fn a_floor_holds_against_others() {
    let domain = domain(8 * MB);
    let kept = Cache::<u64, Vec<u8>>::builder("kept")
        .min_mb(3)
        .cost(|_, _| Duration::from_micros(1))
        .build_in(&domain)
        .unwrap();
    for key in 0..330 {
        kept.insert(key, blob(10_000));
    }
    assert!(kept.stats().reserved > 3 * MB);
    let greedy = costing(&domain, "greedy", 1_000_000);
    for key in 0..3000 {
        greedy.insert(key, blob(7001));
        assert!(kept.stats().reserved >= 3 * MB, "{} bytes kept", kept.stats().reserved);
    }
    assert!(kept.len() > 300 && kept.weight() < 3 * MB + 100_000);
    assert_eq!(greedy.stats().rejections, 0);
    assert!(greedy.weight() > 4 * MB);
    check(&domain);
}

#[test]
fn a_floor_of_small_values_holds_against_others() {
    let domain = domain(4 * MB);
    let kept = Cache::<u64, u64>::builder("kept")
        .min_mb(1)
        .cost(|_, _| Duration::from_nanos(1))
        .build_in(&domain)
        .unwrap();
    for key in 0..20_000 {
        kept.insert(key, key);
    }
    let greedy = costing(&domain, "greedy", 1_000_000);
    for key in 0..3000 {
        greedy.insert(key, blob(7001));
        assert!(kept.stats().reserved >= MB, "{} bytes kept", kept.stats().reserved);
    }
    check(&domain);
}

#[test]
fn a_floor_does_not_stand_above_the_limit() {
    let domain = domain(8 * MB);
    let kept = Cache::<u64, Vec<u8>>::builder("kept").min_mb(6).build_in(&domain).unwrap();
    for key in 0..700 {
        kept.insert(key, blob(10_000));
    }
    domain.budget().set_limit_mb(2);
    assert!(domain.budget().used() <= 2 * MB, "{}", domain.budget().used());
    kept.insert(1000, blob(10_000));
    assert!(kept.contains(1000));
    check(&domain);
}

#[test]
fn a_floor_does_not_protect_a_cache_from_itself() {
    let domain = domain(4 * MB);
    let kept = Cache::<u64, Vec<u8>>::builder("kept").min_mb(4).build_in(&domain).unwrap();
    for key in 0..2000 {
        kept.insert(key, blob(10_000));
    }
    assert_eq!(kept.stats().rejections, 0);
    assert!(kept.contains(1999));
    check(&domain);
}

#[test]
fn where_all_room_is_promised_a_newcomer_is_refused_and_nobody_hurt() {
    let domain = domain(4 * MB);
    let kept = Cache::<u64, Vec<u8>>::builder("kept").min_mb(4).build_in(&domain).unwrap();
    for key in 0..2000 {
        kept.insert(key, blob(10_000));
    }
    let before = kept.len();
    let late = costing(&domain, "late", 1_000_000);
    assert_eq!(late.get_or_insert_with(1, || blob(100_000)), blob(100_000));
    assert_eq!((late.len(), late.stats().rejections, kept.len()), (0, 1, before));
    check(&domain);
}

#[test]
fn of_twins_the_one_with_priority_keeps_more() {
    let domain = domain(8 * MB);
    let build = |name: &str, priority: f64| {
        Cache::<u64, Vec<u8>>::builder(name)
            .priority(priority)
            .cost(|_, _| Duration::from_millis(1))
            .build_in(&domain)
            .unwrap()
    };
    let (first, second) = (build("first", 2.0), build("second", 1.0));
    // The same traffic, as if it came to both at once: some keys come often, most seldom.
    let mut random = Random::new(5);
    for _ in 0..40_000 {
        let key = random.below(40).min(random.below(40)) * random.below(200);
        for cache in [&first, &second] {
            cache.get_or_insert_with(key, || blob(8000));
        }
    }
    let (more, less) = (first.weight(), second.weight());
    assert!(more > less * 3 / 2, "{more} against {less}");
    assert!(less > MB / 2, "the other is not starved: {less}");
    assert!(first.stats().hits > second.stats().hits);
    check(&domain);
}

#[test]
fn bytes_go_where_misses_cost_more() {
    let domain = domain(8 * MB);
    let (cheap, costly) = (costing(&domain, "cheap", 100), costing(&domain, "costly", 10_000));
    for key in 0..400 {
        costly.insert(key, blob(5000));
    }
    for key in 0..2000 {
        cheap.insert(key, blob(20_000));
    }
    assert_eq!((costly.len(), costly.stats().reclaims), (400, 0));
    assert!(cheap.len() > 200, "{}", cheap.len());
    check(&domain);
}

#[test]
fn priorities_at_the_ends_of_the_range_keep_the_budget() {
    for priority in [f64::MIN_POSITIVE, 1e-300, 1e-9, 1e9, 1e300, f64::MAX] {
        let domain = domain(2 * MB);
        let odd = Cache::<u64, Vec<u8>>::builder("odd").priority(priority).build_in(&domain).unwrap();
        let even = bytes(&domain, "even");
        for key in 0..1000 {
            odd.insert(key, blob(10_000));
            even.insert(key, blob(10_000));
        }
        assert!(odd.contains(999) || even.contains(999), "{priority}");
        for key in 1000..2000 {
            even.insert(key, blob(10_000));
        }
        for key in 1000..2000 {
            odd.insert(key, blob(10_000));
        }
        assert_eq!((odd.stats().rejections, even.stats().rejections), (0, 0), "{priority}");
        assert!(odd.contains(1999), "{priority}");
        check(&domain);
        check_emptied(&odd);
        check_emptied(&even);
    }
}

#[test]
fn caches_that_were_emptied_do_not_stand_in_the_way() {
    for empty in [
        |cache: &Cache<u64, Vec<u8>>| cache.clear(),
        |cache: &Cache<u64, Vec<u8>>| {
            for key in 0..10 {
                cache.invalidate(key);
            }
        },
    ] {
        let domain = domain(4 * MB);
        let emptied: Vec<_> = (0..200).map(|at| bytes(&domain, &format!("of {at}"))).collect();
        for cache in &emptied {
            for key in 0..10 {
                cache.insert(key, blob(500));
            }
        }
        emptied.iter().for_each(empty);
        let full = costing(&domain, "full", 1000);
        for key in 0..1000 {
            full.insert(key, blob(10_000));
        }
        assert_eq!(full.stats().rejections, 0, "a new value enters while colder bytes exist");
        assert!(full.weight() > 3 * MB);
        check(&domain);
    }
}

#[test]
fn a_value_that_nearly_fills_the_budget_finds_room() {
    let domain = domain(4 * MB);
    let caches: Vec<_> = (0..8).map(|at| bytes(&domain, &format!("of {at}"))).collect();
    for key in 0..1000 {
        caches[key as usize % 8].insert(key, blob(10_000));
    }
    caches[3].insert(5000, blob(3 * MB as usize));
    assert!(caches[3].contains(5000));
    assert_eq!(caches[3].stats().rejections, 0);
    check(&domain);
}

#[test]
fn a_value_that_can_never_fit_evicts_nobody() {
    let domain = domain(4 * MB);
    let kept = Cache::<u64, Vec<u8>>::builder("kept").min_mb(2).build_in(&domain).unwrap();
    let other = bytes(&domain, "other");
    for key in 0..300 {
        kept.insert(key, blob(10_000));
    }
    for key in 0..100 {
        other.insert(key, blob(10_000));
    }
    let before = (kept.len(), other.len());
    // Two megabytes are another's floor.
    other.insert(1000, blob(3 * MB as usize));
    assert_eq!(other.stats().rejections, 1);
    assert_eq!((kept.len(), other.len()), before);
    check(&domain);
}

#[test]
fn credit_is_small_and_given_back() {
    let domain = domain(64 * MB);
    let caches: Vec<_> = (0..20).map(|at| bytes(&domain, &format!("of {at}"))).collect();
    for cache in &caches {
        for key in 0..50 {
            cache.insert(key, blob(1000));
        }
    }
    let stats = domain.stats();
    let unspent: u64 = stats.tenants.iter().map(|tenant| tenant.reserved - tenant.bytes).sum();
    assert!(unspent <= 64 * MB / 32, "{unspent}");
    for cache in &caches {
        cache.clear();
    }
    let empty: u64 = caches.iter().map(Cache::weight).sum();
    assert_eq!(domain.budget().used(), empty, "an empty cache holds nothing but itself");
    assert!(empty <= 20 * EMPTY);
    check(&domain);
}

#[test]
fn the_peak_is_the_highest_use_so_far() {
    let domain = domain(8 * MB);
    let cache = bytes(&domain, "peaking");
    let empty = cache.weight();
    for key in 0..400 {
        cache.insert(key, blob(10_000));
    }
    let used = domain.budget().used();
    cache.clear();
    let stats = domain.stats().budget;
    assert_eq!(stats.used, empty);
    assert!(stats.peak >= used && stats.peak <= 8 * MB);
}

#[test]
fn caches_that_come_and_go_leave_nothing_behind() {
    let domain = std::sync::Arc::new(domain(2 * MB));
    let lasting = bytes(&domain, "lasting");
    let (inner, cache) = (std::sync::Arc::clone(&domain), lasting.clone());
    all_at_once("caches that come and go", 4, move |at| {
        for round in 0..200 {
            let passing = bytes(&inner, "passing");
            for key in 0..20 {
                passing.insert(key, blob(3000));
                cache.insert(key + 100 * at as u64, blob(3000));
            }
            assert!(passing.name().starts_with("passing"), "round {round}");
        }
    });
    assert_eq!(domain.stats().tenants.len(), 1);
    check(&domain);
    check_emptied(&lasting);
    assert_eq!(domain.budget().used(), lasting.weight());
}
