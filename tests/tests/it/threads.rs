//! Many threads, caches and moods at once: the budget is kept at every moment, and the books agree at the end.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use larder::{
    Cache, Domain, Policy,
    testing::{FixedPressure, ManualClock},
};
use larder_tests::short_or_deep;

use crate::support::{MB, Random, Sampler, all_at_once, blob, bytes, check, check_emptied, domain};

#[test]
fn the_budget_is_kept_at_every_moment() {
    const LIMIT: u64 = 8 * MB;
    let domain = Arc::new(domain(LIMIT));
    let caches: Vec<Cache<u64, Vec<u8>>> = (0..8)
        .map(|at| {
            let builder = Cache::builder(format!("of {at}")).policy(Policy::ALL[at % Policy::ALL.len()]);
            let builder = if at % 3 == 0 { builder.max_mb(2) } else { builder };
            let builder = if at % 4 == 0 { builder.max_entries(200) } else { builder };
            builder.priority(1.0 + at as f64).build_in(&domain).unwrap()
        })
        .collect();
    let watched = Arc::clone(&domain);
    let sampler = Sampler::start(move || watched.budget().used());
    let shared = caches.clone();
    let operations = short_or_deep(12_000, 1_000_000);
    all_at_once("eight threads and eight caches", 8, move |at| {
        let mut random = Random::new(at as u64);
        for _ in 0..operations {
            let cache = &shared[random.below(8) as usize];
            let key = random.below(2000);
            let size = random.below(6000) as usize;
            match random.below(20) {
                0..=7 => drop(cache.get_or_insert_with(key, || blob(size))),
                8..=12 => drop(cache.get(key)),
                13..=17 => cache.insert(key, blob(size)),
                18 => _ = cache.invalidate(key),
                _ if random.below(500) == 0 => cache.clear(),
                _ => {}
            }
        }
    });
    let (highest, looks) = sampler.finish();
    assert!(highest <= LIMIT, "{highest} of {LIMIT}");
    assert!(highest > LIMIT * 9 / 10 && looks > 1000, "the sampler saw {highest} in {looks} looks");
    assert!(domain.stats().budget.peak <= LIMIT);
    check(&domain);
    caches.iter().for_each(check_emptied);
    assert_eq!(domain.budget().used(), caches.iter().map(Cache::weight).sum::<u64>());
}

#[test]
fn a_limit_that_moves_under_load_is_kept_once_it_rests() {
    let domain = Arc::new(domain(8 * MB));
    let caches: Vec<_> = (0..4).map(|at| bytes(&domain, &format!("of {at}"))).collect();
    let (shared, inner) = (caches.clone(), Arc::clone(&domain));
    all_at_once("a limit that moves", 4, move |at| {
        let mut random = Random::new(at as u64);
        for round in 0..20_000 {
            shared[random.below(4) as usize].insert(random.below(3000), blob(random.below(5000) as usize));
            if at == 0 && round % 50 == 0 {
                inner.budget().set_limit(random.below(8 * MB));
            }
            if at == 1 && round % 70 == 0 {
                inner.tick();
            }
            if at == 2 && round % 90 == 0 {
                let _ = inner.trim(random.below(MB));
            }
        }
    });
    check(&domain);
    domain.budget().set_limit(MB / 2);
    assert!(domain.budget().used() <= MB / 2);
    check(&domain);
    caches.iter().for_each(check_emptied);
}

#[test]
fn entries_are_bounded_at_every_moment() {
    for policy in Policy::ALL {
        const MOST: u64 = 50;
        let domain = domain(16 * MB);
        let cache =
            Cache::<u64, u64>::builder("bounded").policy(policy).max_entries(MOST).build_in(&domain).unwrap();
        let watched = cache.clone();
        let sampler = Sampler::start(move || watched.len() as u64);
        let shared = cache.clone();
        all_at_once("a bound under load", 4, move |at| {
            let mut random = Random::new(at as u64);
            for _ in 0..20_000 {
                let key = random.below(2 * MOST);
                match random.below(4) {
                    0 => _ = shared.invalidate(key),
                    1 => _ = shared.get_or_insert_with(key, || key),
                    _ => shared.insert(key, key),
                }
            }
        });
        let (highest, _) = sampler.finish();
        assert!(highest <= MOST, "{highest} entries with {policy}");
        check(&domain);
        check_emptied(&cache);
    }
}

#[test]
fn replacing_from_many_threads_evicts_nobody() {
    let domain = domain(16 * MB);
    let cache = Cache::<u64, u64>::builder("full").max_entries(50).build_in(&domain).unwrap();
    for key in 0..50 {
        cache.insert(key, key);
    }
    let shared = cache.clone();
    all_at_once("replacing", 4, move |at| {
        for round in 0..20_000 {
            shared.insert((round + at as u64 * 13) % 50, round);
        }
    });
    assert_eq!((cache.len(), cache.stats().evictions), (50, 0));
    check_emptied(&cache);
}

/// Whose it is, and bytes.
type Value = (u64, Arc<[u8]>);

/// Everything at once, over caches of all kinds.
struct Storm {
    domain: Domain,
    clock: ManualClock,
    pressure: FixedPressure,
    caches: Vec<Cache<u64, Value>>,
    stored: AtomicUsize,
}

impl Storm {
    const LIMIT: u64 = 4 * MB;

    fn new() -> Self {
        let (clock, pressure) = (ManualClock::new(), FixedPressure::new(10, 100));
        let domain = Domain::builder()
            .limit_bytes(Self::LIMIT)
            .clock(clock.clone())
            .pressure(pressure.clone())
            .manual()
            .build();
        let caches = (0..8)
            .map(|at: u64| {
                let builder = Cache::builder(format!("of {at}"))
                    .policy(Policy::ALL[at as usize % Policy::ALL.len()])
                    .priority([1.0, 2.0, 0.5][at as usize % 3])
                    .weigh(|_, (_, bytes): &Value| 64 + bytes.len() as u64);
                let builder = match at {
                    0 => builder.max_entries(100),
                    1 => builder.max_bytes(300_000),
                    2 => builder.ttl(Duration::from_millis(50)),
                    3 => builder.min_mb(1),
                    4 => builder.max_entries(30).max_bytes(20_000).ttl(Duration::from_millis(10)),
                    _ => builder,
                };
                builder.build_in(&domain).unwrap()
            })
            .collect();
        Self { domain, clock, pressure, caches, stored: AtomicUsize::new(0) }
    }

    fn step(&self, random: &mut Random, bytes: &Arc<[u8]>) {
        let cache = &self.caches[random.below(8) as usize];
        let key = random.below(3000);
        let value = || {
            self.stored.fetch_add(1, Ordering::Relaxed);
            (key, Arc::clone(bytes))
        };
        let read = match random.below(1000) {
            0..=399 => cache.get(key),
            400..=649 => Some(cache.get_or_insert_with(key, value)),
            650..=699 => cache
                .try_get_or_insert_with(key, || if key.is_multiple_of(3) { Err(()) } else { Ok(value()) })
                .ok(),
            700..=899 => {
                cache.insert(key, value());
                None
            }
            900..=959 => {
                cache.invalidate(key);
                None
            }
            960..=979 => cache.peek(key),
            other => {
                self.disturb(other, random, cache);
                None
            }
        };
        assert!(read.is_none_or(|(of, _)| of == key), "a value of another key");
    }

    fn disturb(&self, what: u64, random: &mut Random, cache: &Cache<u64, Value>) {
        match what {
            980..=984 => self.clock.advance(Duration::from_micros(random.below(5000))),
            985 => self.domain.tick(),
            987 if random.below(5) == 0 => drop(self.domain.trim(random.below(200_000))),
            989 if random.below(10) == 0 => cache.clear(),
            990 if random.below(50) == 0 => self.domain.clear_all(),
            991 => self.pressure.set(random.below(110), 100),
            992 => self.domain.budget().set_limit(MB + random.below(Self::LIMIT - MB)),
            993 if random.below(5) == 0 => drop(self.domain.stats().to_string()),
            _ => {}
        }
    }

    fn run(self, operations: u64) {
        let storm = Arc::new(self);
        let shared = Arc::clone(&storm);
        let watched = Arc::clone(&storm);
        let sampler = Sampler::start(move || watched.domain.budget().used());
        all_at_once("a storm", 4, move |at| {
            let mut random = Random::new(at as u64);
            let bytes: Vec<Arc<[u8]>> = (0..16).map(|size| vec![0; size * 300].into()).collect();
            for _ in 0..operations / 4 {
                let bytes = &bytes[random.below(16) as usize];
                shared.step(&mut random, bytes);
            }
        });
        let (highest, _) = sampler.finish();
        assert!(highest <= Self::LIMIT, "{highest}");
        assert!(storm.stored.load(Ordering::Relaxed) > 1000);
        // The limit may just have been lowered by one thread while another inserted.
        storm.domain.budget().set_limit(2 * MB);
        check(&storm.domain);
        for cache in &storm.caches {
            check_emptied(cache);
        }
        assert_eq!(storm.domain.budget().used(), storm.caches.iter().map(Cache::weight).sum::<u64>());
    }
}

#[test]
fn operations_of_every_kind_leave_the_books_right() {
    Storm::new().run(short_or_deep(300_000, 100_000_000));
}

#[test]
fn counters_of_many_threads_add_up() {
    let domain = domain(16 * MB);
    let cache = Cache::<u64, u64>::builder("counted").build_in(&domain).unwrap();
    let shared = cache.clone();
    all_at_once("counting", 8, move |at| {
        for key in 0..5000 {
            let key = key + 10_000 * at as u64;
            assert_eq!(shared.get(key), None);
            shared.get_or_insert_with(key, || key);
            assert_eq!(shared.get(key), Some(key));
        }
    });
    let stats = cache.stats();
    assert_eq!((stats.hits, stats.misses, stats.loads), (40_000, 80_000, 40_000));
    assert_eq!((stats.entries, stats.rejections, stats.evictions), (40_000, 0, 0));
    check_emptied(&cache);
}

#[test]
fn handles_that_come_and_go_across_threads() {
    let domain = Arc::new(domain(MB));
    let inner = Arc::clone(&domain);
    all_at_once("handles that come and go", 4, move |at| {
        for round in 0..200 {
            let cache = bytes(&inner, "passing");
            let other = cache.clone();
            let thread = std::thread::spawn(move || {
                other.insert(round, blob(1000));
                other.get(round).is_some()
            });
            cache.insert(round + 1, blob(1000));
            drop(cache);
            assert!(thread.join().unwrap(), "thread {at}, round {round}");
        }
    });
    assert_eq!(domain.budget().used(), 0);
    assert!(domain.stats().tenants.is_empty());
}

#[test]
fn many_that_need_room_at_once_keep_a_floor() {
    const FLOOR: u64 = MB;
    let domain = Arc::new(domain(4 * MB));
    let floored = Cache::<u64, Vec<u8>>::builder("floored").min_mb(1).build_in(&domain).unwrap();
    let others: Vec<_> = (0..4).map(|at| bytes(&domain, &format!("of {at}"))).collect();
    let rounds = short_or_deep(20, 2000);
    for round in 0..rounds {
        for key in 0..400 {
            floored.insert(key, blob(5000));
        }
        let full = floored.weight();
        assert!(full > FLOOR + MB / 2, "{full}");
        let watched = floored.clone();
        let sampler = Sampler::start(move || FLOOR.saturating_sub(watched.weight()));
        let pushing = others.clone();
        all_at_once("making room", 4, move |at| {
            for key in 0..300 {
                pushing[at].insert(round * 1000 + key, blob(9000));
            }
        });
        let (below, _) = sampler.finish();
        assert_eq!(below, 0, "round {round}: others took {below} bytes from below the floor");
        check(&domain);
        others.iter().for_each(Cache::clear);
    }
}
