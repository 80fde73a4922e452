//! Behaviour that needs a look inside; what the public interface shows is tested outside the crate.

use std::cell::RefCell;
use std::hash::Hash;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use super::Cache;
use super::instance::Core;
use super::loading::Loading;
use crate::sync::barrier::BARRIERS;
use crate::tenant::Tenant;
use crate::{Domain, Policy, testing::ManualClock};

fn domain(limit: u64) -> (Domain, ManualClock) {
    let clock = ManualClock::new();
    let domain = Domain::builder().limit_bytes(limit).clock(clock.clone()).manual().build();
    (domain, clock)
}

/// What the tenant was charged is what its structure accounts for.
fn check<K, V>(cache: &Cache<K, V>) {
    assert_eq!(cache.core.validate(), cache.weight());
    assert_eq!(cache.core.tenant.entries(), cache.len() as u64);
}

#[test]
fn the_books_agree_after_every_kind_of_operation() {
    let (domain, clock) = domain(1 << 20);
    let cache = Cache::<u64, Vec<u8>>::builder("mixed")
        .max_entries(300)
        .ttl(Duration::from_secs(10))
        .build_in(&domain)
        .unwrap();
    let mut random = 7_u64;
    for step in 0..20_000_u64 {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let key = (random >> 33) % 500;
        match (random >> 20) % 10 {
            0..=4 => drop(cache.get_or_insert_with(key, || vec![0; (random >> 40) as usize % 2000])),
            5 | 6 => cache.insert(key, vec![1; (random >> 40) as usize % 5000]),
            7 => drop(cache.get(key)),
            8 => drop(cache.invalidate(key)),
            _ => clock.advance(Duration::from_millis(20)),
        }
        if step % 500 == 0 {
            domain.tick();
            check(&cache);
        }
        if step % 3000 == 0 {
            let _ = domain.trim(100_000);
            check(&cache);
        }
        assert!(domain.budget().used() <= domain.budget().limit());
    }
    cache.clear();
    check(&cache);
    assert_eq!(domain.budget().used(), cache.weight());
}

#[test]
fn a_table_that_grows_does_not_keep_what_it_left_behind() {
    let (domain, _) = domain(64 << 20);
    let cache = Cache::<u64, u64>::builder("growing").build_in(&domain).unwrap();
    for key in 0..50_000 {
        cache.insert(key, key);
        if key % 10_000 == 9999 {
            let before = cache.weight();
            domain.tick();
            let left = before - cache.weight();
            assert!(left <= before / 16, "{left} of {before} bytes were waiting");
        }
    }
    check(&cache);
}

#[test]
fn clearing_gives_every_byte_back() {
    let (domain, _) = domain(64 << 20);
    let cache = Cache::<u64, String>::builder("strings").build_in(&domain).unwrap();
    let empty = cache.weight();
    for key in 0..10_000 {
        cache.insert(key, format!("value {key}"));
    }
    assert!(cache.weight() > 10_000 * 40);
    cache.clear();
    assert_eq!((cache.len(), cache.weight(), domain.budget().used()), (0, empty, empty));
}

#[test]
fn flat_values_give_bytes_back_when_reclaimed() {
    let (domain, _) = domain(64 << 20);
    let cache = Cache::<u64, u64>::builder("flat").build_in(&domain).unwrap();
    for key in 0..100_000 {
        cache.insert(key, key);
    }
    let before = domain.budget().used();
    let trimmed = domain.trim(before / 2);
    check(&cache);
    assert!(trimmed.freed >= before / 2, "{trimmed:?} of {before}");
    assert!(cache.len() > 20_000, "{} entries left", cache.len());
}

#[test]
fn max_entries_is_exact_under_every_policy() {
    for policy in Policy::ALL {
        let (domain, _) = domain(1 << 20);
        let cache =
            Cache::<u32, u32>::builder("four").policy(policy).max_entries(4).build_in(&domain).unwrap();
        for key in 0..1000 {
            cache.insert(key % 17, key);
            assert!(cache.len() <= 4);
            check(&cache);
        }
        assert_eq!(cache.len(), 4);
    }
}

#[test]
fn a_dropped_cache_leaves_the_budget() {
    let (domain, _) = domain(1 << 20);
    let cache = Cache::<u32, u32>::builder("gone").build_in(&domain).unwrap();
    cache.insert(1, 1);
    assert!(domain.budget().used() > 0);
    drop(cache);
    assert_eq!(domain.budget().used(), 0);
    assert!(domain.stats().tenants.is_empty());
}

#[test]
fn a_trim_counts_bytes_and_not_entries() {
    for less in 0..40 {
        let (domain, _) = domain(64 << 20);
        let build = |name| Cache::<u64, u64>::builder(name).build_in(&domain).unwrap();
        let caches = [build("a"), build("b"), build("c")];
        let empty = domain.budget().used();
        for key in 0..300 {
            caches[key as usize % 3].insert(key, key);
        }
        let asked = domain.budget().used() - empty - less * 17;
        let trimmed = domain.trim(asked);
        assert!(trimmed.freed >= asked, "{trimmed:?}");
        caches.iter().for_each(check);
    }
}

/// Readers take what they find while writers overwrite, evict, remove, clear and trim under them.
fn beside_writers<V: Clone + Send + Sync + 'static>(
    make: impl Fn(u64) -> V + Sync,
    is_of: impl Fn(&V, u64) -> bool + Sync,
) {
    let (domain, _) = domain(64 << 20);
    let cache = Cache::<u64, V>::builder("beside").max_entries(500).build_in(&domain).unwrap();
    let (cache, domain, make, is_of) = (&cache, &domain, &make, &is_of);
    std::thread::scope(|scope| {
        for thread in 0..4_u64 {
            scope.spawn(move || {
                let mut random = thread + 1;
                for step in 0..10_000 {
                    random = random
                        .wrapping_mul(6_364_136_223_846_793_005)
                        .wrapping_add(1_442_695_040_888_963_407);
                    let key = (random >> 33) % 700;
                    match (random >> 20) % 16 {
                        0..=9 => assert!(cache.get(key).is_none_or(|value| is_of(&value, key))),
                        10..=12 => cache.insert(key, make(key)),
                        13 => assert!(is_of(&cache.get_or_insert_with(key, || make(key)), key)),
                        14 => drop(cache.invalidate(key)),
                        _ if step % 100 == 0 => cache.clear(),
                        _ if step % 10 == 0 => drop(domain.trim(20_000)),
                        _ => assert!(cache.peek(key).is_none_or(|value| is_of(&value, key))),
                    }
                }
            });
        }
    });
    domain.tick();
    check(cache);
}

#[test]
fn values_on_the_heap_are_whole_beside_writers() {
    beside_writers(|key| format!("the value of {key}"), |value, key| *value == format!("the value of {key}"));
}

#[test]
fn flat_values_are_whole_beside_writers() {
    beside_writers(|key| [key, !key, key * 3], |value, key| *value == [key, !key, key * 3]);
}

#[test]
fn keys_that_collide_are_kept_apart() {
    #[derive(Clone, PartialEq, Eq)]
    struct Same(u64);
    impl std::hash::Hash for Same {
        fn hash<H: std::hash::Hasher>(&self, _: &mut H) {}
    }

    let (domain, _) = domain(64 << 20);
    let cache = Cache::<Same, u64>::builder("same").build_in(&domain).unwrap();
    for key in 0..2000 {
        cache.insert(Same(key), key);
    }
    check(&cache);
    assert!((0..2000).all(|key| cache.get(&Same(key)) == Some(key)));
    for key in 0..1999 {
        assert!(cache.invalidate(&Same(key)));
    }
    check(&cache);
    assert_eq!((cache.len(), cache.get(&Same(1999))), (1, Some(1999)));
}

#[test]
fn a_light_shard_takes_places_from_the_heavy_ones() {
    const ENTRIES: u64 = 2048;
    let (domain, _) = domain(64 << 20);
    let cache = Cache::<u64, u64>::builder("light").max_entries(ENTRIES).build_in(&domain).unwrap();
    let shard_of = |key: u64| cache.core.store.place(crate::key::hash_of(|state| key.hash(state)));
    assert!(cache.core.store.shards() > 1, "one shard has nobody to take from");
    let in_first = || cache.iter().filter(|(key, _)| shard_of(*key) == 0).count();
    // Full, and nobody is in the first shard.
    for key in (0..).filter(|key| shard_of(*key) != 0).take(ENTRIES as usize) {
        cache.insert(key, key);
    }
    assert_eq!((cache.len() as u64, in_first()), (ENTRIES, 0));
    for key in (1 << 32..).filter(|key| shard_of(*key) == 0).take(150) {
        cache.insert(key, key);
    }
    assert_eq!((cache.len() as u64, in_first()), (ENTRIES, 150), "it evicted its own");
    check(&cache);
}

#[test]
fn a_value_with_a_lock_inside_is_not_copied_while_somebody_has_it_locked() {
    use std::sync::Mutex;

    struct Locked(Mutex<u64>);
    static CACHE: OnceLock<Cache<u64, Locked>> = OnceLock::new();

    impl Clone for Locked {
        fn clone(&self) -> Self {
            let inside = self.0.try_lock().expect("nobody else clones it");
            if *inside == 1 {
                // While this one is read: pages grow, and others are given up.
                let cache = CACHE.get().expect("it is built");
                (100..400).for_each(|key| cache.insert(key, Self(Mutex::new(key))));
                (100..400).for_each(|key| assert!(cache.invalidate(key)));
            }
            Self(Mutex::new(*inside))
        }
    }

    let (domain, _) = domain(64 << 20);
    let build = || Cache::builder("locks").shards(1).build_in(&domain).unwrap();
    let cache = CACHE.get_or_init(build);
    (0..4).for_each(|key| cache.insert(key, Locked(Mutex::new(key))));
    for _ in 0..3 {
        (0..4).for_each(|key| assert_eq!(*cache.get(key).expect("it was stored").0.lock().unwrap(), key));
        domain.tick();
    }
    check(cache);
}

#[test]
fn an_order_holds_when_all_that_is_stored_is_as_dear_as_can_be() {
    let (domain, _) = domain(64 << 20);
    let cost = |key: &u64, _: &u64| Duration::from_secs(if *key == 0 { 1 } else { 3600 });
    let cache = Cache::builder("dear").shards(1).max_entries(64).cost(cost).build_in(&domain).unwrap();
    for round in 0..20 {
        for key in 0..64 {
            cache.insert(round * 10 + key, key);
        }
        for key in 0..64 {
            let _ = cache.get(round * 10 + key);
        }
        check(&cache);
    }
}

/// A value whose drop panics, once.
struct Bomb(bool);

impl Clone for Bomb {
    fn clone(&self) -> Self {
        Self(false)
    }
}

impl Drop for Bomb {
    fn drop(&mut self) {
        if self.0 && !std::thread::panicking() {
            // Without the message that a panic prints.
            resume_unwind(Box::new("on purpose"));
        }
    }
}

fn panics(work: impl FnOnce()) -> bool {
    catch_unwind(AssertUnwindSafe(work)).is_err()
}

#[test]
fn a_drop_that_panics_keeps_no_other_shard_from_being_cleared() {
    let (domain, _) = domain(64 << 20);
    let first = Cache::<u64, Bomb>::builder("bombs").shards(8).build_in(&domain).unwrap();
    // Of one tenant: clearing it clears both.
    let core = Core::new(&first.core.tenant, 8, Arc::clone(&first.core.ops));
    let second = Cache { core };
    let empty = first.weight();
    for round in 0..8 {
        for cache in [&first, &second] {
            (0..64).for_each(|key| cache.insert(key, Bomb(key % 8 == round)));
        }
        assert!(panics(|| Tenant::clear(&*first.core.tenant)), "a drop panics");
        assert_eq!((first.len(), second.len(), first.core.tenant.entries()), (0, 0, 0));
        assert_eq!(first.weight(), empty, "round {round}");
        (0..64).for_each(|key| first.insert(key, Bomb(key % 8 == round)));
        assert!(panics(|| first.clear()), "a drop panics");
        assert_eq!((first.len(), first.weight()), (0, empty), "round {round}");
        check(&first);
    }
}

#[test]
fn a_drop_that_panics_keeps_no_bytes_of_a_cache_that_goes() {
    let (domain, _) = domain(64 << 20);
    let stays = Cache::<u64, Bomb>::builder("bombs").shards(8).build_in(&domain).unwrap();
    let empty = stays.weight();
    let core = Core::new(&stays.core.tenant, 8, Arc::clone(&stays.core.ops));
    let goes = Cache { core };
    (0..64).for_each(|key| goes.insert(key, Bomb(key % 8 == 0)));
    assert!(panics(|| drop(goes)), "a drop panics");
    assert_eq!((stays.core.tenant.entries(), stays.weight()), (0, empty));
    drop(stays);
    assert_eq!(domain.budget().used(), 0);
}

#[test]
fn keys_of_one_hash_are_refused_where_a_table_can_not_be_wider() {
    #[derive(Clone, PartialEq, Eq)]
    struct Same(u64);
    impl Hash for Same {
        fn hash<H: std::hash::Hasher>(&self, _: &mut H) {}
    }
    const KEYS: u64 = 3000;
    for max_entries in [u64::MAX, 2900] {
        let (domain, _) = domain(64 << 20);
        let cache = Cache::<Same, u64>::builder("same").max_entries(max_entries).build_in(&domain).unwrap();
        (0..KEYS).for_each(|key| cache.insert(Same(key), key));
        let (stored, refused) = (cache.len() as u64, cache.stats().rejections);
        assert!(stored > 2000 && refused > 0 && stored + refused == KEYS, "{stored} and {refused}");
        check(&cache);
        // What it has it keeps, and changes, and where one leaves another can come.
        assert_eq!(cache.get(&Same(0)), Some(0));
        cache.insert(Same(0), 1);
        assert_eq!(cache.get(&Same(0)), Some(1));
        assert!(cache.invalidate(&Same(1)));
        cache.insert(Same(KEYS), KEYS);
        assert_eq!(cache.get(&Same(KEYS)), Some(KEYS));
        check(&cache);
    }
}

#[test]
fn an_exact_order_outlasts_the_ticks_that_a_slot_can_hold() {
    let (domain, _) = domain(64 << 20);
    let cache =
        Cache::<u64, u64>::builder("exact").policy(Policy::Lru).max_entries(3).build_in(&domain).unwrap();
    (0..3).for_each(|key| cache.insert(key, key));
    let (old, newer, hot) = (0, 1, 2);
    cache.core.store.set_tick(10);
    assert!(cache.get(old).is_some());
    // A hot key is used and used, of which each hundred thousandth time is counted here.
    let steps = |from: u64, to: u64| {
        for tick in (from..to).step_by(1 << 17) {
            cache.core.store.set_tick(tick);
            assert!(cache.get(hot).is_some());
        }
    };
    steps(1 << 17, 1 << 27);
    cache.core.store.set_tick(1 << 27);
    assert!(cache.get(newer).is_some());
    steps((1 << 27) + (1 << 17), 1 << 28);
    cache.core.store.set_tick((1 << 28) + 100);
    assert_eq!(cache.coldest(3), [old, newer, hot]);
    cache.insert(3, 3);
    assert_eq!([old, newer, hot].map(|key| cache.contains(key)), [false, true, true]);
    check(&cache);
}

#[test]
fn a_store_keeps_its_layout_while_nobody_noted_where_its_entries_are() {
    let (domain, _) = domain(64 << 20);
    let cache = Cache::<u64, Vec<u8>>::builder("pairs").build_in(&domain).unwrap();
    let before = cache.core.store.layout();
    for key in 0..1000 {
        cache.insert(key, vec![1]);
        assert!(cache.contains(key) && cache.invalidate(key));
    }
    assert_eq!(cache.core.store.layout(), before, "there are 2^32 for all stores of the process");
    // Whoever looks up often notes addresses.
    cache.insert(1, vec![1]);
    (0..10_000).for_each(|_| assert!(cache.get(1).is_some()));
    assert_eq!(cache.core.store.layout(), before);
    assert!(cache.invalidate(1));
    assert_ne!(cache.core.store.layout(), before, "an address that was noted leads there no more");
    check(&cache);
}

#[test]
fn of_two_refreshes_of_one_key_the_later_one_stays() {
    static CACHE: OnceLock<Cache<u64, u64>> = OnceLock::new();
    thread_local! {
        static LATER: RefCell<Option<Loading<'static, u64, u64, ()>>> = const { RefCell::new(None) };
    }
    let hash = crate::key::hash_of(|state| 7_u64.hash(state));
    let (domain, _) = domain(64 << 20);
    let weigh = move |_: &u64, value: &u64| {
        if *value == 1 {
            // The earlier one has its value, and no mark; the source has a newer one by now.
            let cache = CACHE.get().expect("it is built");
            LATER.set(Some(cache.core.begin_refresh(hash, 7)));
        }
        0
    };
    let cache = CACHE.get_or_init(|| Cache::builder("refreshed").weigh(weigh).build_in(&domain).unwrap());
    cache.insert(7, 0);
    let earlier = cache.core.begin_refresh::<()>(hash, 7);
    assert_eq!(earlier.end(1), 1);
    let later = LATER.take().expect("the earlier value was weighed");
    assert_eq!(later.end(2), 2);
    assert_eq!(cache.get(7), Some(2), "whoever saw 2 must not find 1");
    check(cache);
}

/// A weigher's bytes come back only after a grace period, so nothing could wait for many others: each entry that made room
/// stopped all cores, and two threads took ten times as long as one.
#[test]
fn entries_with_a_weigher_and_nothing_to_drop_do_not_stop_all_cores_one_by_one() {
    let (domain, _clock) = domain(1 << 20);
    let weighed = Cache::<u64, u64>::builder("weighed").weigh(|_, _| 1000).build_in(&domain).unwrap();
    let plain = Cache::<u64, u64>::builder("plain").max_bytes(256 << 10).build_in(&domain).unwrap();
    let barriers = |cache: &Cache<u64, u64>, keys: u64| {
        let before = BARRIERS.get();
        (0..keys).for_each(|key| cache.insert(key, key));
        BARRIERS.get() - before
    };
    let (reads, go_on) = (std::sync::Barrier::new(2), std::sync::Barrier::new(2));
    let (one_by_one, few) = std::thread::scope(|scope| {
        // Somebody else who reads now and then: alone nobody needs barriers.
        scope.spawn(|| {
            let _ = plain.get(0);
            reads.wait();
            go_on.wait();
        });
        reads.wait();
        let seen = (barriers(&weighed, 5000), barriers(&plain, 30_000));
        go_on.wait();
        seen
    });
    assert!(weighed.len() < 2000 && plain.len() < 20_000, "much was evicted");
    assert_eq!(one_by_one, 0);
    assert!(few < 30_000 / 16, "{few} barriers");
}
