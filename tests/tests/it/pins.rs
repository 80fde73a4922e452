//! Pinned entries: what they survive, what they do not, and what becomes of everybody else.

use std::time::Duration;

use larder::testing::FixedPressure;
use larder::{Cache, Change, Domain, EntryFacts, Evict, Policy, Uses};

use crate::support::{MB, Random, all_at_once, blob, bytes, check, check_emptied, clocked, domain, in_time};

const SECOND: Duration = Duration::from_secs(1);

/// A cache whose values weigh what they say.
fn weighed(domain: &Domain, name: &str) -> Cache<u64, u64> {
    Cache::builder(name).weigh(|_, size| *size).build_in(domain).unwrap()
}

#[test]
fn a_pinned_entry_survives_both_bounds_under_every_policy() {
    for policy in Policy::ALL {
        let domain = domain(64 * MB);
        let cache = Cache::<u64, Vec<u8>>::builder("bounded")
            .policy(policy)
            .max_entries(400)
            .max_bytes(100_000)
            .build_in(&domain)
            .unwrap();
        for key in 0..10 {
            cache.insert(key, blob(100));
            assert!(cache.pin(key) && cache.pin(key) && cache.is_pinned(key), "{policy}");
        }
        for key in 100..3000 {
            cache.insert(key, blob((key % 500) as usize));
            assert!(cache.len() <= 400 && cache.weight() <= 100_000);
        }
        assert!((0..10).all(|key| cache.peek(key) == Some(blob(100))), "{policy}");
        assert!((0..10).all(|key| cache.unpin(key) && !cache.unpin(key) && !cache.is_pinned(key)));
        for key in 3000..9000 {
            cache.insert(key, blob(100));
        }
        assert!((0..10).all(|key| !cache.contains(key)), "{policy}: what is unpinned may go");
        check(&domain);
        check_emptied(&cache);
    }
}

#[test]
fn nobody_else_takes_a_pinned_entry() {
    let source = FixedPressure::new(0, 0);
    let domain = Domain::builder().limit_bytes(MB).pressure(source.clone()).manual().build();
    let (pinned, other) = (bytes(&domain, "pinned"), bytes(&domain, "other"));
    for key in 0..10 {
        pinned.insert(key, blob(10_000));
        assert!(pinned.pin(key));
    }
    let held = pinned.stats().pinned;
    assert!((100_000..102_000).contains(&held), "{held} bytes are pinned");
    for key in 0..1000 {
        other.insert(key, blob(5000));
        check(&domain);
    }
    drop(domain.trim(10 * MB));
    assert_eq!((pinned.len(), other.len()), (10, 0), "a trim takes the rest");
    other.insert(1, blob(5000));
    source.set(99, 100);
    domain.tick();
    assert_eq!((pinned.len(), pinned.stats().pinned), (10, held));
    source.set(10, 100);
    domain.tick();
    domain.budget().set_limit(50_000);
    assert_eq!((pinned.len(), other.len()), (10, 0), "a limit below what is pinned takes the rest");
    assert!(domain.budget().used() <= 110_000, "{}", domain.stats());
    other.insert(2, blob(10));
    assert_eq!(other.stats().rejections, 1);
    let stats = pinned.stats();
    assert_eq!((stats.evictions, stats.reclaims), (0, 0));
    for key in 0..10 {
        assert!(pinned.unpin(key));
    }
    assert_eq!(pinned.stats().pinned, 0);
    check(&domain);
    domain.budget().set_limit(MB);
    other.insert(3, blob(10));
    assert!(other.contains(3));
    check_emptied(&pinned);
    check_emptied(&other);
}

#[test]
fn what_finds_no_room_beside_pins_goes_back_to_its_caller() {
    for policy in Policy::ALL {
        let domain = domain(64 * MB);
        let four =
            Cache::<u64, u64>::builder("four").policy(policy).max_entries(4).build_in(&domain).unwrap();
        (0..4).for_each(|key| four.insert(key, key));
        assert!((0..4).all(|key| four.pin(key)));
        assert_eq!(four.get_or_insert_with(9, || 99), 99);
        four.insert(8, 88);
        let stats = four.stats();
        assert_eq!((stats.entries, stats.rejections, stats.evictions), (4, 2, 0), "{policy}");
        assert_eq!(stats.price, 0.0, "nothing can be evicted");
        assert!((0..4).all(|key| four.get(key) == Some(key)));
        assert!(four.unpin(2));
        four.insert(8, 88);
        assert_eq!((four.contains(2), four.get(8)), (false, Some(88)), "{policy}");
    }
}

#[test]
fn what_can_never_fit_beside_pins_evicts_nobody() {
    let domain = domain(MB);
    let (own, other) = (weighed(&domain, "own"), weighed(&domain, "other"));
    own.insert(0, 700_000);
    assert!(own.pin(0));
    (1..20).for_each(|key| own.insert(key, 1000));
    (1..20).for_each(|key| other.insert(key, 1000));
    assert_eq!(other.get_or_insert_with(99, || 500_000), 500_000);
    assert_eq!(own.get_or_insert_with(99, || 500_000), 500_000);
    assert_eq!((own.len(), other.len()), (20, 19));
    assert_eq!((own.stats().rejections, other.stats().rejections), (1, 1));
    own.set_max_bytes(800_000);
    assert_eq!(own.get_or_insert_with(99, || 200_000), 200_000);
    assert_eq!(own.len(), 20, "the same for its own bound");
    own.insert(100, 50_000);
    assert!(own.contains(100));
    check(&domain);
}

#[test]
fn a_value_that_replaces_a_pinned_one_is_pinned() {
    let domain = domain(64 * MB);
    let cache = Cache::<u64, u64>::builder("replaced")
        .weigh(|_, size| *size)
        .max_bytes(100_000)
        .build_in(&domain)
        .unwrap();
    cache.insert(1, 1000);
    assert!(cache.pin(1));
    for size in [20, 2000, 60_000, 90_000, 80_000, 90_000] {
        cache.insert(1, size);
        assert_eq!(
            (cache.get(1), cache.is_pinned(1)),
            (Some(size), true),
            "there was room without the old one"
        );
        assert!((size..size + 200).contains(&cache.stats().pinned));
        check(&domain);
    }
    cache.insert(1, 1000);
    assert_eq!(cache.compute(1, |_| Change::Insert(3000)), Some(3000));
    assert!(cache.is_pinned(1));
    cache.insert(1, 200_000);
    assert_eq!((cache.contains(1), cache.stats().pinned), (false, 0), "larger than the cache");
    cache.insert(1, 1000);
    assert!(!cache.is_pinned(1), "the pin went with its entry");
    check_emptied(&cache);
}

#[test]
fn what_is_wrong_goes_though_it_is_pinned() {
    let (domain, clock) = clocked(64 * MB);
    let cache = Cache::<u64, u64>::builder("wrong").ttl(SECOND).build_in(&domain).unwrap();
    let fill = || {
        (0..10).for_each(|key| cache.insert(key, key));
        assert!((0..10).all(|key| cache.pin(key)));
    };
    fill();
    assert!(cache.invalidate(3) && !cache.is_pinned(3) && !cache.contains(3));
    assert_eq!(cache.invalidate_if(|key, _| *key < 3), 3);
    assert_eq!(cache.compute(4, |_| Change::Remove), None);
    assert_eq!(cache.iter().count(), 5);
    cache.clear();
    assert_eq!((cache.len(), cache.stats().pinned), (0, 0));
    fill();
    clock.advance(SECOND);
    assert!(!cache.is_pinned(1) && !cache.pin(1) && cache.get(1).is_none());
    cache.insert(2, 22);
    assert!(
        cache.contains(2) && !cache.is_pinned(2),
        "a pin ends with the value's time, whoever comes first"
    );
    assert_eq!(cache.get_or_insert_with(3, || 33), 33);
    assert!(!cache.is_pinned(3));
    domain.tick();
    assert_eq!((cache.len(), cache.stats().pinned), (2, 0));
    assert!(!cache.pin(77) && !cache.unpin(77) && !cache.is_pinned(77));
    check_emptied(&cache);
}

#[test]
fn an_entry_that_is_unpinned_gives_what_lower_bounds_want() {
    let domain = domain(64 * MB);
    let cache = weighed(&domain, "lowered");
    (0..10).for_each(|key| cache.insert(key, 10_000));
    assert!((0..10).all(|key| cache.pin(key)));
    cache.set_max_entries(3);
    cache.set_max_bytes(50_000);
    assert_eq!(cache.len(), 10);
    cache.insert(50, 10);
    assert!(!cache.contains(50));
    for key in 0..10 {
        assert!(cache.unpin(key));
        assert!(cache.len() <= 3.max(9 - key as usize), "{cache:?}");
    }
    assert!(cache.weight() <= 50_000);
    check(&domain);
    cache.insert(50, 10);
    assert!(cache.contains(50), "the cache works on");
    check_emptied(&cache);
}

/// Found by a history: nobody had told its model that the entry was gone.
#[test]
fn an_entry_that_expires_while_it_is_pinned_above_the_bounds_goes_with_the_next_sweep() {
    let (domain, clock) = clocked(MB);
    let cache: Cache<u64, u64> = Cache::builder("one").ttl(SECOND).build_in(&domain).unwrap();
    cache.insert(1, 1);
    assert!(cache.pin(1));
    cache.set_max_entries(0);
    cache.set_max_bytes(0);
    assert_eq!(cache.get(&1), Some(1));

    clock.advance(SECOND);
    assert_eq!(cache.get(&1), None);
    domain.tick();
    let stats = cache.stats();
    assert_eq!((stats.entries, stats.pinned, stats.expirations), (0, 0, 1));
}

/// Found by a history: what was pinned counted as what can never make way, though nobody could read it any more.
#[test]
fn a_pinned_entry_that_has_expired_makes_way() {
    for own_bound in [false, true] {
        let (domain, clock) = clocked(MB);
        let builder = Cache::builder("one").ttl(SECOND).weigh(|_, size: &u64| *size);
        let builder = if own_bound { builder.max_bytes(MB / 2) } else { builder };
        let cache = builder.build_in(&domain).unwrap();
        let most = if own_bound { MB / 2 } else { MB } / 10 * 9;
        cache.insert(1, most);
        assert!(cache.pin(1));
        cache.insert(2, most);
        assert!(!cache.contains(2), "there is no room beside what is pinned");

        clock.advance(SECOND);
        cache.insert(2, most);
        assert_eq!((cache.get(1), cache.get(2)), (None, Some(most)));
        assert_eq!(cache.stats().pinned, 0);
        check(&domain);
    }
}

/// Found by a history: the new value took the place, and no pin held it there.
#[test]
fn what_replaces_an_expired_pinned_entry_above_the_bound_does_not_stay() {
    let (domain, clock) = clocked(MB);
    let cache: Cache<u64, u64> = Cache::builder("none").ttl(SECOND).max_entries(6).build_in(&domain).unwrap();
    cache.insert(1, 1);
    assert!(cache.pin(1));
    cache.set_max_entries(0);
    cache.insert(1, 2);
    assert_eq!((cache.get(1), cache.len()), (Some(2), 1), "the pin goes on");

    clock.advance(SECOND);
    cache.insert(1, 3);
    assert_eq!((cache.get(1), cache.len()), (None, 0), "{:?}", cache.stats());
    check(&domain);
}

#[test]
fn a_pinned_value_that_outgrows_all_room_stays_with_the_weight_it_had() {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};

    let domain = domain(MB);
    let cache = Cache::<u64, Arc<AtomicU64>>::builder("elastic")
        .weigh(|_, size| size.load(Ordering::Relaxed))
        .build_in(&domain)
        .unwrap();
    let size = Arc::new(AtomicU64::new(1000));
    cache.insert(1, Arc::clone(&size));
    assert!(cache.pin(1));
    for (grown, charged) in [(500_000, 500_000), (2_000_000, 500_000), (100, 100), (5000, 5000)] {
        size.store(grown, Ordering::Relaxed);
        assert_eq!(cache.reweigh(1), Some(charged));
        assert!(cache.is_pinned(1) && (charged..charged + 200).contains(&cache.stats().pinned));
        check(&domain);
    }
    assert!(cache.unpin(1));
    size.store(2_000_000, Ordering::Relaxed);
    assert_eq!((cache.reweigh(1), cache.len()), (None, 0));
    check_emptied(&cache);
}

#[test]
fn everything_pinned_ends_relief_at_once() {
    in_time("relief among tenants whose entries are all pinned", || {
        let domain = domain(MB);
        let caches: Vec<_> = (0..20).map(|at| bytes(&domain, &format!("cache {at}"))).collect();
        for cache in &caches {
            (0..4).for_each(|key| cache.insert(key, blob(10_000)));
            assert!((0..4).all(|key| cache.pin(key)));
        }
        for cache in &caches {
            (10..1000).for_each(|key| cache.insert(key, blob(200_000)));
        }
        drop(domain.trim(MB));
        assert!(caches.iter().all(|cache| cache.len() == 4));
        check(&domain);
    });
}

#[test]
fn pins_hold_beside_writers() {
    let domain = domain(4 * MB);
    let cache =
        Cache::<u64, Vec<u8>>::builder("busy").max_entries(600).max_bytes(MB).build_in(&domain).unwrap();
    (0..8).for_each(|key| cache.insert(key, blob(100)));
    assert!((0..8).all(|key| cache.pin(key)));
    let shared = cache.clone();
    all_at_once("pins beside writers", 4, move |thread| {
        let (cache, mut random) = (&shared, Random::new(thread as u64));
        for _ in 0..8000 {
            let key = 8 + random.below(900);
            match random.below(10) {
                0..=4 => cache.insert(key, blob(random.below(3000) as usize)),
                5 => _ = cache.pin(key),
                6 | 7 => _ = cache.unpin(key),
                8 => _ = cache.invalidate(key),
                _ => assert!(cache.get(random.below(8)).is_some()),
            }
        }
        (8..908).for_each(|key| _ = cache.unpin(key));
    });
    assert!((0..8).all(|key| cache.is_pinned(key)));
    assert!(cache.len() <= 600 && cache.weight() <= MB);
    check(&domain);
    check_emptied(&cache);
}

#[test]
fn a_cache_that_is_turned_off_pins_nothing() {
    let domain = domain(MB);
    let cache = bytes(&domain, "off");
    cache.insert(1, blob(1));
    cache.insert(2, blob(1));
    assert!(cache.pin(1));
    domain.set_bypass(true);
    assert!(!cache.pin(2) && !cache.is_pinned(1));
    assert!(cache.unpin(1), "what is stored can be let go");
    domain.set_bypass(false);
    assert!(!cache.is_pinned(1) && cache.contains(1));
}

#[test]
fn a_pin_outlives_a_value_that_had_to_go_before_the_new_one_fit() {
    let mut replaced = 0;
    for (entries, slack) in (1..40).flat_map(|entries| (0..24).map(move |step| (entries, step * 40))) {
        let domain = domain(MB);
        let cache = Cache::<u64, u64>::builder("tight")
            .weigh(|_, weight| *weight)
            .shards(1)
            .build_in(&domain)
            .unwrap();
        (0..entries).for_each(|key| cache.insert(key, 0));
        assert!(cache.pin(0));
        cache.set_max_bytes(cache.weight() + slack);
        // The first that weighs anything: its page needs a column for that.
        cache.insert(0, 200);
        assert_eq!(cache.is_pinned(0), cache.contains(0), "{entries} entries, {slack} bytes of room");
        replaced += u64::from(cache.get(0) == Some(200));
        check(&domain);
    }
    assert!(replaced > 100, "{replaced} values found room");
}

/// An order that names every slot in turn.
#[derive(Default)]
struct InTurn(u32);

impl Evict for InTurn {
    fn insert(&mut self, _: u32, _: &EntryFacts) {}

    fn remove(&mut self, _: u32) {}

    fn rename(&mut self, _: u32, _: u32) {}

    fn victim(&mut self, _: &mut Uses<'_>) -> Option<u32> {
        self.0 = (self.0 + 1) % 64;
        Some(self.0)
    }
}

/// Found by a history: what came pinned had a slot that looked as if the order had it.
#[test]
fn an_order_of_ones_own_that_names_what_came_pinned_is_not_heeded() {
    for (entries, slack) in (1..20).flat_map(|entries| (0..24).map(move |step| (entries, step * 40))) {
        let domain = domain(MB);
        let cache = Cache::<u64, u64>::builder("tight")
            .policy_with(InTurn::default)
            .weigh(|_, weight| *weight)
            .shards(1)
            .build_in(&domain)
            .unwrap();
        (0..entries).for_each(|key| cache.insert(key, 0));
        assert!(cache.pin(0));
        cache.set_max_bytes(cache.weight() + slack);
        cache.insert(0, 200);
        let pinned = cache.get(0);
        (100..200).for_each(|key| cache.insert(key, 0));
        assert_eq!(cache.get(0), pinned, "{entries} entries, {slack} bytes of room");
        check(&domain);
    }
}
