//! Bounds, all at once and exactly: under every policy, with values of any size, and while they change.

use larder::{Cache, Policy};
use larder_runtime::__private::validate;
use larder_tests::short_or_deep;

use crate::support::{MB, Random, all_at_once, blob, check, check_emptied, domain};

#[test]
fn both_bounds_hold_after_every_insert_under_every_policy() {
    for policy in Policy::ALL {
        for (entries, bytes) in [(4, 200_000), (40, 20_000), (1, 3000)] {
            let domain = domain(4 * MB);
            let cache = Cache::<u64, Vec<u8>>::builder("bounded")
                .policy(policy)
                .max_entries(entries)
                .max_bytes(bytes)
                .build_in(&domain)
                .unwrap();
            let (mut random, mut fullest, mut heaviest) = (Random::new(entries), 0, 0);
            for _ in 0..600 {
                let key = random.below(100);
                let size = [0, 10, 500, bytes / 3, bytes, 8 * MB][random.below(6) as usize];
                cache.insert(key, blob(random.below(size + 1) as usize));
                assert!(cache.len() as u64 <= entries && cache.weight() <= bytes, "{policy}: {cache:?}");
                (fullest, heaviest) = (fullest.max(cache.len() as u64), heaviest.max(cache.weight()));
            }
            assert!(fullest == entries || heaviest > bytes / 2, "{policy}: a bound that nothing comes near");
            validate(&cache);
            check_emptied(&cache);
        }
    }
}

#[test]
fn an_entry_of_nine_tenths_is_stored_under_every_policy() {
    const BYTES: u64 = 200_000;
    for policy in Policy::ALL {
        for shards in [1, 8] {
            let domain = domain(4 * MB);
            let cache = Cache::<u64, Vec<u8>>::builder("large")
                .policy(policy)
                .max_bytes(BYTES)
                .shards(shards)
                .build_in(&domain)
                .unwrap();
            for key in 0..300 {
                cache.insert(key, blob(500));
                let _ = cache.get(key);
            }
            cache.insert(1000, blob(BYTES as usize / 10 * 9));
            assert!(cache.contains(1000) && cache.weight() <= BYTES, "{policy}: {cache:?}");
            // And it does not stay for ever.
            (2000..2600).for_each(|key| _ = cache.get_or_insert_with(key, || blob(2000)));
            assert!(cache.len() > 20, "{policy}: {cache:?}");
            validate(&cache);
            check(&domain);
        }
    }
}

#[test]
fn bounds_that_change_beside_writers_hold_when_all_are_done() {
    for policy in Policy::ALL {
        let domain = domain(4 * MB);
        let cache = Cache::<u64, Vec<u8>>::builder("resized").policy(policy).build_in(&domain).unwrap();
        let shared = cache.clone();
        let steps = short_or_deep(4000, 400_000);
        all_at_once("bounds that change", 4, move |thread| {
            let mut random = Random::new(thread as u64);
            for _ in 0..steps {
                let key = random.below(500);
                match random.below(64) {
                    0 => shared.set_max_entries(random.below(400)),
                    1 => shared.set_max_bytes(random.below(300_000)),
                    2..=9 => _ = shared.invalidate(key),
                    10..=30 => _ = shared.get_or_insert_with(key, || blob(key as usize)),
                    31..=35 => _ = shared.get(key),
                    _ => shared.insert(key, blob(random.below(900) as usize)),
                }
            }
        });
        let stats = cache.stats();
        assert!(stats.max_entries.is_none_or(|most| cache.len() as u64 <= most), "{stats:?}");
        assert!(stats.max_bytes.is_none_or(|most| cache.weight() <= most.max(1500)), "{stats:?}");
        cache.set_max_entries(50);
        cache.set_max_bytes(40_000);
        assert!(cache.len() <= 50 && cache.weight() <= 40_000);
        validate(&cache);
        check(&domain);
        check_emptied(&cache);
    }
}
