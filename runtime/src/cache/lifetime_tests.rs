//! Ageing entries from inside: books, wheel and slots agree, and bytes go back when nobody comes by.

use std::time::Duration;

use super::{Builder, Cache};
use crate::{Domain, testing::ManualClock};

const SECOND: Duration = Duration::from_secs(1);

fn domain(limit: u64) -> (Domain, ManualClock) {
    let clock = ManualClock::new();
    let domain = Domain::builder().limit_bytes(limit).clock(clock.clone()).manual().build();
    (domain, clock)
}

/// The structure is sound, and what the tenant was charged is what it accounts for.
#[track_caller]
fn check<K, V>(cache: &Cache<K, V>) {
    assert_eq!(cache.core.validate(), cache.weight());
    assert_eq!(cache.core.tenant.entries(), cache.len() as u64);
}

fn rules(which: u64, builder: Builder<u64, Vec<u8>>) -> Builder<u64, Vec<u8>> {
    let by_entry = |key: &u64, _: &Vec<u8>| match key % 5 {
        0 => Duration::MAX,
        1 => Duration::ZERO,
        _ => Duration::from_micros(key * key * 100),
    };
    match which {
        0 => builder.ttl(SECOND),
        1 => builder.tti(SECOND / 2),
        2 => builder.ttl(SECOND).tti(SECOND / 4).jitter(0.5),
        3 => builder.ttl_by(by_entry),
        _ => builder.ttl_by(by_entry).tti(SECOND).ttl(3 * SECOND).jitter(1.0),
    }
}

#[test]
fn the_books_agree_whatever_the_rules() {
    for which in 0..5 {
        let (domain, clock) = domain(1 << 20);
        let builder = Cache::<u64, Vec<u8>>::builder("mixed").max_entries(700);
        let cache = rules(which, builder).build_in(&domain).unwrap();
        let mut random = 7_u64;
        let empty = cache.weight();
        for step in 0..20_000_u64 {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let key = (random >> 33) % 1000;
            match (random >> 20) % 12 {
                0..=3 => drop(cache.get_or_insert_with(key, || vec![0; (random >> 40) as usize % 2000])),
                4 | 5 => cache.insert(key, vec![1; (random >> 40) as usize % 5000]),
                6..=8 => drop(cache.get(key)),
                9 => drop(cache.invalidate(key)),
                _ => clock.advance(Duration::from_micros((random >> 44) % 4000)),
            }
            match step % 3000 {
                0 => drop(domain.trim(100_000)),
                1500 => clock.advance(SECOND),
                _ if step % 700 == 0 => domain.tick(),
                _ => {}
            }
            if step % 97 == 0 {
                check(&cache);
            }
            assert!(domain.budget().used() <= domain.budget().limit());
        }
        clock.advance(Duration::from_secs(1 << 30));
        domain.tick();
        check(&cache);
        if which != 3 {
            assert_eq!(
                (cache.len(), cache.weight(), domain.budget().used()),
                (0, empty, empty),
                "rules {which}"
            );
        }
        cache.clear();
        check(&cache);
        assert_eq!(domain.budget().used(), empty);
    }
}

#[test]
fn a_cache_without_freshness_options_has_no_wheel() {
    /// As many as the first three pages have room for.
    const FULL: u64 = 84;
    let (domain, _) = domain(64 << 20);
    let plain = Cache::<u64, u64>::builder("plain").max_entries(FULL).build_in(&domain).unwrap();
    let ageing =
        Cache::<u64, u64>::builder("ageing").max_entries(FULL).ttl(SECOND).build_in(&domain).unwrap();
    let idle = Cache::<u64, u64>::builder("idle").max_entries(FULL).tti(SECOND).build_in(&domain).unwrap();
    for key in 0..FULL {
        plain.insert(key, key);
        ageing.insert(key, key);
        idle.insert(key, key);
    }
    check(&plain);
    check(&ageing);
    check(&idle);
    let (ages, idles) = (ageing.weight() - plain.weight(), idle.weight() - ageing.weight());
    assert!((FULL * 16..FULL * 40).contains(&ages), "{ages} bytes for deadlines and the wheel");
    assert!((FULL * 8..FULL * 16).contains(&idles), "{idles} bytes for last uses");
}

#[test]
fn inserts_keep_up_with_expiry_without_a_tick() {
    let (domain, clock) = domain(64 << 20);
    let cache = Cache::<u64, u64>::builder("busy").ttl(SECOND).build_in(&domain).unwrap();
    let mut most = 0;
    for key in 0..200_000 {
        cache.insert(key, key);
        clock.advance(Duration::from_micros(100));
        most = most.max(cache.core.tenant.entries());
    }
    // 10,000 are alive at a time; some more wait for the next inserts into their shard.
    assert!(most < 10_800, "{most} entries at once");
    assert_eq!(cache.stats().evictions, 0);
    check(&cache);
}

#[test]
fn what_moves_in_its_pages_keeps_its_time() {
    let (domain, clock) = domain(64 << 20);
    let cache = Cache::<u64, u64>::builder("moving").max_entries(1000).tti(SECOND).build_in(&domain).unwrap();
    for key in 0..1000 {
        cache.insert(key, key);
    }
    clock.advance(SECOND / 2);
    for key in 0..100 {
        assert_eq!(cache.get(key), Some(key));
    }
    // Pages are emptied into each other.
    for key in 100..1000 {
        cache.invalidate(key);
        if key % 50 == 0 {
            check(&cache);
        }
    }
    clock.advance(SECOND - Duration::from_nanos(1));
    domain.tick();
    check(&cache);
    assert_eq!(cache.len(), 1000 - 900, "all were last used less than a second ago");
    clock.advance(Duration::from_nanos(1));
    domain.tick();
    check(&cache);
    assert_eq!(cache.len(), 0);
}
