//! Who hears of entries that leave: each entry once, with its cause, outside all locks, and whatever the listener does.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Barrier, OnceLock};
use std::time::Duration;

use larder::{Builder, Cache, Change, Domain, Policy, RemovalCause, TenantStats};
use parking_lot::Mutex;

use crate::support::{
    EMPTY, MB, OnDrop, Random, all_at_once, blob, bytes, check, check_emptied, clocked, domain, in_time,
    panics,
};

const SECOND: Duration = Duration::from_secs(1);

/// What a listener has heard: key, value, cause.
type Log = Receiver<(u64, u64, RemovalCause)>;

/// A cache of numbers, and what its listener has heard.
fn heard(
    domain: &Domain,
    build: impl FnOnce(Builder<u64, u64>) -> Builder<u64, u64>,
) -> (Cache<u64, u64>, Log) {
    let (gone, log) = channel();
    let builder =
        Cache::builder("heard").on_remove(move |key, value, cause| _ = gone.send((key, value, cause)));
    (build(builder).build_in(domain).unwrap(), log)
}

fn all(log: &Log) -> Vec<(u64, u64, RemovalCause)> {
    let mut all: Vec<_> = log.try_iter().collect();
    all.sort_unstable_by_key(|(key, value, _)| (*key, *value));
    all
}

/// What the statistics say of a cause.
fn counted(stats: &TenantStats, cause: RemovalCause) -> u64 {
    match cause {
        RemovalCause::Evicted => stats.evictions,
        RemovalCause::Reclaimed => stats.reclaims,
        RemovalCause::Expired => stats.expirations,
        RemovalCause::Invalidated => stats.invalidations,
        RemovalCause::Replaced => stats.replacements,
        other => panic!("{other} has no counter"),
    }
}

const COUNTED: [RemovalCause; 5] = [
    RemovalCause::Evicted,
    RemovalCause::Reclaimed,
    RemovalCause::Expired,
    RemovalCause::Invalidated,
    RemovalCause::Replaced,
];

#[test]
fn every_cause_has_its_word() {
    let (domain, clock) = clocked(MB);
    let (cache, log) = heard(&domain, |builder| builder.max_entries(3).ttl(SECOND).policy(Policy::Fifo));
    (0..4).for_each(|key| cache.insert(key, key));
    assert_eq!(all(&log), [(0, 0, RemovalCause::Evicted)]);
    cache.insert(1, 11);
    assert_eq!(all(&log), [(1, 1, RemovalCause::Replaced)]);
    assert_eq!(cache.compute(1, |_| Change::Insert(111)), Some(111));
    assert_eq!(all(&log), [(1, 11, RemovalCause::Replaced)]);
    assert!(cache.invalidate(1));
    assert_eq!(all(&log), [(1, 111, RemovalCause::Invalidated)]);
    assert_eq!(cache.compute(2, |_| Change::Remove), None);
    assert_eq!(all(&log), [(2, 2, RemovalCause::Invalidated)]);
    clock.advance(SECOND);
    assert_eq!(cache.get(3), None);
    assert_eq!(all(&log), [(3, 3, RemovalCause::Expired)]);
    cache.insert(5, 5);
    cache.insert(6, 6);
    assert_eq!(cache.set_ttl(5, Duration::ZERO), Ok(true));
    assert_eq!(all(&log), [(5, 5, RemovalCause::Expired)]);
    clock.advance(SECOND);
    domain.tick();
    assert_eq!(all(&log), [(6, 6, RemovalCause::Expired)]);
    (7..10).for_each(|key| cache.insert(key, key));
    assert_eq!(cache.invalidate_if(|key, _| *key == 8), 1);
    assert_eq!(all(&log), [(8, 8, RemovalCause::Invalidated)]);
    cache.set_max_entries(1);
    assert_eq!(all(&log), [(7, 7, RemovalCause::Evicted)]);
    drop(domain.trim(MB));
    assert_eq!(all(&log), [(9, 9, RemovalCause::Reclaimed)]);
    cache.insert(10, 10);
    cache.clear();
    assert_eq!(all(&log), [(10, 10, RemovalCause::Invalidated)]);
    cache.insert(11, 11);
    cache.insert_with_ttl(11, 12, Duration::ZERO).unwrap();
    assert_eq!(all(&log), [(11, 11, RemovalCause::Replaced)], "by what was not stored");
    cache.insert(13, 13);
    domain.set_bypass(true);
    cache.insert(13, 14);
    assert_eq!(all(&log), [(13, 13, RemovalCause::Replaced)]);
    domain.set_bypass(false);
    cache.set_max_entries(9);
    (20..23).for_each(|key| cache.insert(key, key));
    let handle = cache.clone();
    drop(cache);
    assert_eq!(all(&log), []);
    assert_eq!(handle.len(), 3);
    drop(handle);
    assert_eq!(all(&log), [20, 21, 22].map(|key| (key, key, RemovalCause::Dropped)));
    assert_eq!(domain.budget().used(), 0);
}

#[test]
fn every_entry_is_heard_of_once_and_counted_as_what_it_was() {
    for policy in Policy::ALL {
        let (domain, clock) = clocked(MB);
        let (cache, log) = heard(&domain, |builder| {
            builder
                .policy(policy)
                .max_entries(60)
                .max_bytes(40_000)
                .ttl(SECOND)
                .weigh(|_, value| value % 1500)
        });
        let neighbour = bytes(&domain, "neighbour");
        let (mut random, mut stored) = (Random::new(3), HashMap::new());
        let (mut left, mut causes) = (HashSet::new(), HashMap::<_, u64>::new());
        for value in 0..16_000 {
            let key = random.below(150);
            match random.below(20) {
                0..=9 => cache.insert(key, value),
                10..=12 => _ = cache.get_or_insert_with(key, || value),
                13 => {
                    _ = cache.compute(key, |seen| {
                        if seen.is_none() { Change::Insert(value) } else { Change::Remove }
                    });
                }
                14 => _ = cache.invalidate(key),
                15 => _ = cache.pin(key),
                16 => _ = cache.unpin(key),
                17 => neighbour.insert(key, blob(random.below(60_000) as usize)),
                18 => clock.advance(SECOND / 40),
                _ => match random.below(40) {
                    0 => domain.tick(),
                    1 => cache.clear(),
                    2 => drop(domain.trim(MB)),
                    3 => cache.set_max_entries(random.below(100)),
                    4 => cache.set_max_bytes(random.below(60_000)),
                    _ => _ = cache.reweigh(key),
                },
            }
            if cache.peek(key) == Some(value) {
                stored.insert(value, key);
            }
            for (key, value, cause) in log.try_iter() {
                assert_eq!(stored.get(&value), Some(&key), "{cause}: what was never stored does not leave");
                assert!(left.insert(value), "{value} left twice, at last {cause}");
                *causes.entry(cause).or_default() += 1;
            }
        }
        assert_eq!(stored.len() - left.len(), cache.len(), "{policy}");
        let stats = cache.stats();
        for cause in COUNTED {
            let told = causes.get(&cause).copied().unwrap_or(0);
            assert_eq!(told, counted(&stats, cause), "{policy}: {cause}");
            assert!(told > 0, "{policy}: nothing was {cause}");
        }
        check_emptied(&cache);
        drop(cache);
        assert_eq!(log.try_iter().count() + left.len(), stored.len());
        check(&domain);
    }
}

#[test]
fn threads_that_remove_at_once_tell_of_each_entry_once() {
    let domain = Arc::new(domain(4 * MB));
    let told = Arc::new(Mutex::new(HashSet::new()));
    let (stored, told_to) = (Arc::new(AtomicU64::new(0)), Arc::clone(&told));
    let cache = Cache::<u64, (u64, String)>::builder("beside")
        .max_entries(500)
        .on_remove(move |key, (value, text), _| {
            assert_eq!(text, format!("{key}: {value}"));
            assert!(told_to.lock().insert(value), "{value} is told twice");
        })
        .build_in(&domain)
        .unwrap();
    let (shared, count, other) = (cache.clone(), Arc::clone(&stored), Arc::clone(&domain));
    all_at_once("removals", 4, move |thread| {
        let mut random = Random::new(thread as u64);
        for step in 0..15_000 {
            let (key, value) = (random.below(900), thread as u64 * 1_000_000 + step);
            let make = || {
                count.fetch_add(1, Ordering::Relaxed);
                (value, format!("{key}: {value}"))
            };
            match random.below(16) {
                0..=6 => shared.insert(key, make()),
                7 | 8 => _ = shared.get_or_insert_with(key, make),
                9 => _ = shared.invalidate(key),
                10 if step % 200 == 0 => shared.clear(),
                11 if step % 50 == 0 => drop(other.trim(10_000)),
                _ => _ = shared.get(key),
            }
        }
    });
    let rejections = cache.stats().rejections;
    assert_eq!(cache.stats().listener_panics, 0, "no assertion failed");
    drop(cache);
    assert_eq!(told.lock().len() as u64, stored.load(Ordering::Relaxed) - rejections);
    check(&domain);
}

#[test]
fn a_panic_of_the_listener_stays_with_it() {
    let domain = domain(MB);
    let told = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&told);
    let cache = Cache::<u64, String>::builder("panicking")
        .on_remove(move |key, _, _| {
            count.fetch_add(1, Ordering::Relaxed);
            assert!(key % 2 == 0, "on purpose");
        })
        .build_in(&domain)
        .unwrap();
    let panicked = panics(|| {
        (0..100).for_each(|key| cache.insert(key, "value".to_owned()));
        assert!(cache.invalidate(1));
        cache.insert(2, "new".to_owned());
        cache.clear();
        cache.insert(3, "last".to_owned());
    });
    assert!(!panicked);
    assert_eq!((told.load(Ordering::Relaxed), cache.stats().listener_panics), (101, 50));
    check_emptied(&cache);
}

#[test]
fn a_drop_that_panics_in_the_listener_is_its_panic() {
    let domain = domain(MB);
    let armed = Arc::new(AtomicBool::new(true));
    let fuse = Arc::clone(&armed);
    let value = OnDrop::new(move || assert!(!fuse.load(Ordering::SeqCst), "on purpose"));
    let cache =
        Cache::<u64, Arc<OnDrop>>::builder("dropping").on_remove(|_, _, _| {}).build_in(&domain).unwrap();
    cache.insert(1, Arc::new(value));
    assert!(!panics(|| assert!(cache.invalidate(1))));
    armed.store(false, Ordering::SeqCst);
    assert_eq!((cache.stats().listener_panics, cache.len()), (1, 0));
    check_emptied(&cache);
}

/// A cache whose listener has a handle of it.
fn reentrant<V: Clone + Send + Sync + 'static>(
    domain: &Domain,
    build: impl FnOnce(Builder<u64, V>) -> Builder<u64, V>,
    listener: impl Fn(&Cache<u64, V>, u64, V, RemovalCause) + Send + Sync + 'static,
) -> Cache<u64, V> {
    let handle = Arc::new(OnceLock::<Cache<u64, V>>::new());
    let own = Arc::clone(&handle);
    let builder = Cache::builder("reentrant").on_remove(move |key, value, cause| {
        if let Some(cache) = own.get() {
            listener(cache, key, value, cause);
        }
    });
    let cache = build(builder).build_in(domain).unwrap();
    assert!(handle.set(cache.clone()).is_ok());
    cache
}

#[test]
fn a_chain_of_removals_is_as_long_as_it_likes() {
    const LINKS: u64 = 100_000;
    in_time("a chain of removals", || {
        let domain = domain(64 * MB);
        let count = Arc::new(AtomicU64::new(0));
        let told = Arc::clone(&count);
        let cache = reentrant(
            &domain,
            |builder| builder,
            move |cache, key, _: u64, cause| {
                assert_eq!((told.fetch_add(1, Ordering::Relaxed), cause), (key, RemovalCause::Invalidated));
                assert_eq!(cache.invalidate(key + 1), key + 1 < LINKS);
            },
        );
        (0..LINKS).for_each(|key| cache.insert(key, key));
        assert!(cache.invalidate(0));
        // One call is enough, unless another test's thread looks into a cache from within a look into another just then:
        // it may be reading here, too, so a link of the chain waits for the next operation.
        while count.load(Ordering::Relaxed) < LINKS {
            domain.tick();
        }
        assert_eq!((cache.len(), count.load(Ordering::Relaxed)), (0, LINKS));
        assert_eq!(cache.stats().listener_panics, 0);
        check(&domain);
    });
}

#[test]
fn a_listener_may_use_its_cache_and_its_domain() {
    in_time("a listener that uses its cache", || {
        let domain = Arc::new(domain(MB));
        let told = Arc::new(AtomicU64::new(0));
        let (count, other) = (Arc::clone(&told), Arc::clone(&domain));
        let cache = reentrant(
            &domain,
            |builder| builder.max_entries(50),
            move |cache, key, value: Vec<u8>, cause| {
                count.fetch_add(1, Ordering::Relaxed);
                assert_eq!(value.len() as u64, 20 + key % 7, "{cause}");
                assert_eq!(cache.get_or_insert_with(7000 + key % 7, || value.clone()), value);
                cache.compute(2000, |_| Change::Keep);
                cache.iter().count();
                match key {
                    10 => cache.clear(),
                    20 => drop(other.trim(100)),
                    30 => other.tick(),
                    40 => cache.set_max_entries(45),
                    _ => {}
                }
            },
        );
        (0..200).for_each(|key| cache.insert(key, blob(20 + key as usize % 7)));
        cache.clear();
        assert_eq!(cache.stats().listener_panics, 0);
        assert!(told.load(Ordering::Relaxed) > 200);
        check(&domain);
    });
}

#[test]
fn what_leaves_one_cache_can_go_to_another() {
    let domain = domain(64 * MB);
    let second = Cache::<u64, u64>::builder("second").max_entries(100).build_in(&domain).unwrap();
    let below = second.clone();
    let first = Cache::<u64, u64>::builder("first")
        .max_entries(10)
        .policy(Policy::Fifo)
        .on_remove(move |key, value, cause| {
            if cause == RemovalCause::Evicted {
                below.insert(key, value);
            }
        })
        .build_in(&domain)
        .unwrap();
    (0..50).for_each(|key| first.insert(key, key + 1));
    assert_eq!((first.len(), second.len()), (10, 40));
    assert!((0..50).all(|key| first.contains(key) != second.contains(key)));
    assert!((0..40).all(|key| second.get(key) == Some(key + 1)));
    check(&domain);
}

/// A value that stays in its `clone` until it is let go.
struct Slow(Arc<(Barrier, Barrier)>);

impl Clone for Slow {
    fn clone(&self) -> Self {
        self.0.0.wait();
        self.0.1.wait();
        Self(Arc::clone(&self.0))
    }
}

#[test]
fn an_entry_that_is_read_is_told_of_when_that_is_over() {
    in_time("a reader in a clone", || {
        let domain = domain(MB);
        let (gone, log) = channel();
        let cache = Cache::<u64, Slow>::builder("slow")
            .on_remove(move |key, _, cause| gone.send((key, cause)).unwrap())
            .build_in(&domain)
            .unwrap();
        let gates = Arc::new((Barrier::new(2), Barrier::new(2)));
        cache.insert(1, Slow(Arc::clone(&gates)));
        let reader = cache.clone();
        let reading = std::thread::spawn(move || reader.get(1).is_some());
        gates.0.wait();
        assert!(cache.invalidate(1));
        assert_eq!((log.try_recv().ok(), cache.len()), (None, 0), "it is out, and still read");
        domain.tick();
        assert_eq!(log.try_recv().ok(), None);
        gates.1.wait();
        assert!(reading.join().unwrap());
        domain.tick();
        assert_eq!(log.try_recv(), Ok((1, RemovalCause::Invalidated)));
        check_emptied(&cache);
    });
}

#[test]
fn a_listener_costs_a_cache_little_and_is_charged() {
    let domain = domain(MB);
    let (plain, log) = (Cache::<u64, u64>::builder("plain").build_in(&domain).unwrap(), channel::<u64>());
    let sender = log.0;
    let heard = Cache::<u64, u64>::builder("heard")
        .on_remove(move |key, _, _| _ = sender.send(key))
        .build_in(&domain)
        .unwrap();
    assert!((plain.weight()..plain.weight() + 256).contains(&heard.weight()), "{heard:?} beside {plain:?}");
    assert!(heard.weight() <= EMPTY);
}
