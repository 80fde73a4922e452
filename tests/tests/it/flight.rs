//! Many callers, one load: who runs the body, who waits, and that nobody waits for ever.

use std::sync::{Arc, Barrier, mpsc};

use larder::Cache;

use crate::support::{Colliding, Counter, MB, all_at_once, check, check_emptied, domain, in_time, panics};

fn build(name: &str) -> Cache<u64, u64> {
    // The domain goes; the cache keeps what it needs of it.
    Cache::builder(name).build_in(&domain(16 * MB)).unwrap()
}

/// Blocks until that many callers wait for a load of this cache.
///
/// A caller counts itself before it blocks, so the loader that asks this may go on a moment early; what it then
/// returns reaches the caller all the same.
fn await_waiters<V>(cache: &Cache<u64, V>, waiters: u64) {
    while cache.stats().waits < waiters {
        std::thread::yield_now();
    }
}

#[test]
fn a_thousand_threads_on_a_cold_key_run_one_load() {
    let cache = build("cold");
    let runs = Counter::default();
    let (shared, counted) = (cache.clone(), runs.clone());
    all_at_once("a thousand threads on one key", 1000, move |_| {
        let value = shared.get_or_insert_with(1, || {
            counted.add();
            // The others get every chance to start a load of their own.
            await_waiters(&shared, 100);
            42
        });
        assert_eq!(value, 42);
    });
    assert_eq!((runs.get(), cache.get(1)), (1, Some(42)));
    let stats = cache.stats();
    assert_eq!(stats.loads, 1);
    assert_eq!(stats.hits + stats.misses, 1001, "each caller looked once");
}

#[test]
fn each_generation_of_a_key_is_loaded_once() {
    let cache = build("generations");
    let runs = Counter::default();
    let barrier = Arc::new(Barrier::new(8));
    let (shared, counted) = (cache.clone(), runs.clone());
    all_at_once("eight threads, a hundred generations", 8, move |at| {
        for generation in 0..100 {
            if barrier.wait().is_leader() {
                shared.invalidate(7);
            }
            barrier.wait();
            let value = shared.get_or_insert_with(7, || {
                counted.add();
                std::thread::yield_now();
                generation
            });
            assert_eq!(value, generation, "thread {at}");
        }
    });
    assert_eq!(runs.get(), 100);
    check_emptied(&cache);
}

/// What befalls the first body of each generation.
#[derive(Clone, Copy, PartialEq)]
enum Fate {
    Fine,
    Panics,
    Fails,
    AsksForItsOwnKey,
    AsksForOneThatAsksForIt,
}

/// A thousand threads on one key, an invalidation before each generation: in each, exactly one body brings a value,
/// and everybody gets that one.
fn storm(fate: Fate, bounded: bool) {
    const THREADS: usize = 1000;
    const GENERATIONS: u64 = 5;
    let domain = domain(16 * MB);
    let builder = Cache::<u64, u64>::builder("storm");
    // The clock of this domain stands still: nobody's time is ever over.
    let builder = if bounded { builder.wait_at_most(std::time::Duration::from_nanos(1)) } else { builder };
    let (cache, other) = (builder.build_in(&domain).unwrap(), build("other"));
    let begun: Arc<Vec<Counter>> = Arc::new((0..GENERATIONS).map(|_| Counter::default()).collect());
    let (good, spoilt, barrier) = (Counter::default(), Counter::default(), Barrier::new(THREADS));
    let (shared, ran, bad) = (cache.clone(), good.clone(), spoilt.clone());
    all_at_once("a thousand threads, five generations", THREADS, move |_| {
        for generation in 0..GENERATIONS {
            if barrier.wait().is_leader() {
                shared.invalidate(1);
                other.invalidate(1);
            }
            barrier.wait();
            let load = || {
                let first = begun[generation as usize].add() == 0;
                std::thread::yield_now();
                match if first { fate } else { Fate::Fine } {
                    Fate::Fine => {}
                    Fate::Panics => panic!("a leader that panics, on purpose"),
                    Fate::Fails => return Err(()),
                    Fate::AsksForItsOwnKey => {
                        assert_eq!(shared.get_or_insert_with(1, || generation), generation);
                    }
                    Fate::AsksForOneThatAsksForIt => {
                        let asks = || shared.get_or_insert_with(1, || generation);
                        assert_eq!(other.get_or_insert_with(1, asks), generation);
                    }
                }
                ran.add();
                Ok(generation)
            };
            let mut result = Err(());
            if panics(|| result = shared.try_get_or_insert_with(1, load)) || result.is_err() {
                bad.add();
            } else {
                assert_eq!(result, Ok(generation), "a value from before the invalidation");
            }
        }
    });
    let fails = matches!(fate, Fate::Panics | Fate::Fails);
    let alone = matches!(fate, Fate::AsksForItsOwnKey | Fate::AsksForOneThatAsksForIt);
    assert_eq!(good.get() as u64, GENERATIONS, "exactly one run in each generation");
    assert_eq!(spoilt.get() as u64, if fails { GENERATIONS } else { 0 }, "and one that did not succeed");
    let stats = cache.stats();
    assert_eq!(stats.loads, GENERATIONS * (1 + u64::from(alone)));
    assert_eq!(stats.load_failures, spoilt.get() as u64);
    check_emptied(&cache);
}

#[test]
fn a_thousand_threads_run_one_body_in_each_generation() {
    storm(Fate::Fine, false);
    storm(Fate::Fine, true);
}

#[test]
fn a_thousand_threads_whose_leader_panics_or_fails() {
    storm(Fate::Panics, false);
    storm(Fate::Fails, false);
    storm(Fate::Fails, true);
}

#[test]
fn a_thousand_threads_whose_leader_asks_in_a_circle() {
    storm(Fate::AsksForItsOwnKey, false);
    storm(Fate::AsksForOneThatAsksForIt, false);
    storm(Fate::AsksForOneThatAsksForIt, true);
}

#[test]
fn when_the_leader_panics_a_waiter_takes_over() {
    let cache = build("panicking");
    let (runs, panicked) = (Counter::default(), Counter::default());
    let (shared, counted, caught) = (cache.clone(), runs.clone(), panicked.clone());
    all_at_once("a leader that panics", 16, move |_| {
        let panicked = panics(|| {
            let value = shared.get_or_insert_with(1, || {
                if counted.add() == 0 {
                    await_waiters(&shared, 15);
                    panic!("the leader fails, on purpose");
                }
                7
            });
            assert_eq!(value, 7);
        });
        if panicked {
            caught.add();
        }
    });
    assert_eq!((runs.get(), panicked.get()), (2, 1), "one fails, one takes over, nobody else runs");
    assert_eq!((cache.get(1), cache.stats().load_failures, cache.stats().loads), (Some(7), 1, 1));
    check_emptied(&cache);
}

#[test]
fn an_error_is_not_shared_and_not_stored() {
    let cache = build("failing");
    let runs = Counter::default();
    let (shared, counted) = (cache.clone(), runs.clone());
    all_at_once("loads that fail", 16, move |_| {
        let own = std::thread::current().id();
        let result = shared.try_get_or_insert_with(1, || {
            if counted.add() == 0 {
                await_waiters(&shared, 15);
            }
            Err(std::thread::current().id())
        });
        assert_eq!(result, Err(own), "each caller has an error of its own");
    });
    assert_eq!((runs.get(), cache.len(), cache.stats().load_failures), (16, 0, 16));
    check_emptied(&cache);
}

#[test]
fn after_an_error_the_first_success_serves_the_rest() {
    let cache = build("recovering");
    let runs = Counter::default();
    let (shared, counted) = (cache.clone(), runs.clone());
    all_at_once("loads that recover", 16, move |_| {
        let result = shared.try_get_or_insert_with(1, || match counted.add() {
            0 => {
                await_waiters(&shared, 15);
                Err("the first one fails")
            }
            _ => Ok(7),
        });
        assert!(matches!(result, Ok(7) | Err("the first one fails")));
    });
    assert_eq!((runs.get(), cache.get(1)), (2, Some(7)));
}

#[test]
fn a_load_may_load_other_keys() {
    fn fib(cache: &Cache<u64, u64>, n: u64) -> u64 {
        cache.get_or_insert_with(n, || if n < 2 { n } else { fib(cache, n - 1) + fib(cache, n - 2) })
    }
    let cache = build("fib");
    let worker = cache.clone();
    assert_eq!(in_time("fib(80)", move || fib(&worker, 80)), 23_416_728_348_467_685);
    assert_eq!((cache.len(), cache.stats().loads), (81, 81));
    let colder = build("fib of many");
    let worker = colder.clone();
    all_at_once("fib of many threads", 8, move |at| {
        assert_eq!(
            fib(&worker, 60 + at as u64 % 3),
            [1_548_008_755_920, 2_504_730_781_961, 4_052_739_537_881][at % 3]
        );
    });
    check_emptied(&colder);
}

#[test]
fn a_load_that_asks_for_its_own_key_runs_again() {
    let cache = build("itself");
    let worker = cache.clone();
    let value = in_time("a load of its own key", move || {
        worker.get_or_insert_with(1, || worker.get_or_insert_with(1, || 5) + 1)
    });
    assert_eq!(value, 6, "the inner value is the inner call's");
    assert!(cache.get(1).is_some());
    check_emptied(&cache);
}

#[test]
fn two_loads_that_need_each_other_end() {
    for _ in 0..50 {
        let (left, right) = (build("left"), build("right"));
        let (a, b) = (left.clone(), right.clone());
        let meet = Arc::new(Barrier::new(2));
        all_at_once("two loads that need each other", 2, move |at| {
            let (own, other) = if at == 0 { (&a, &b) } else { (&b, &a) };
            let value = own.get_or_insert_with(1, || {
                // Both lead before either asks for the other's key.
                meet.wait();
                other.get_or_insert_with(1, || 10) + 1
            });
            assert!(value == 11 || value == 12, "{value}: one runs alone, the other may wait for it");
        });
        check_emptied(&left);
        check_emptied(&right);
    }
}

#[test]
fn a_ring_of_loads_ends() {
    const RING: usize = 5;
    for _ in 0..20 {
        let cache = build("ring");
        let worker = cache.clone();
        let meet = Barrier::new(RING);
        all_at_once("five loads in a ring", RING, move |at| {
            let key = at as u64;
            let value = worker.get_or_insert_with(key, || {
                meet.wait();
                let next = (key + 1) % RING as u64;
                worker.get_or_insert_with(next, || 100) + 1
            });
            assert!((101..=100 + RING as u64).contains(&value), "{value}");
        });
        assert_eq!(cache.len(), RING);
        check_emptied(&cache);
    }
}

#[test]
fn waiters_of_a_cycle_are_served() {
    let cache = build("cycle");
    let worker = cache.clone();
    let meet = Barrier::new(2);
    all_at_once("a cycle with bystanders", 10, move |at| {
        let key = at as u64 % 2;
        let value = worker.get_or_insert_with(key, || {
            // The leaders of both keys get here, and nobody else: the inner loads are plain.
            meet.wait();
            worker.get_or_insert_with(1 - key, || 10) + 1
        });
        assert!((10..=12).contains(&value), "{value}");
    });
    assert_eq!(cache.len(), 2);
    check_emptied(&cache);
}

#[test]
fn loads_of_different_keys_with_one_hash_do_not_wait_for_each_other() {
    let cache = Cache::<Colliding, u64>::builder("colliding").build_in(&domain(MB)).unwrap();
    let (first, second) = (cache.clone(), cache);
    in_time("two keys of one hash", move || {
        let (loaded, other) = mpsc::channel();
        let (started, begin) = mpsc::channel();
        let thread = std::thread::spawn(move || {
            begin.recv().unwrap();
            let value = second.get_or_insert_with(Colliding(2), || 20);
            loaded.send(value).unwrap();
        });
        let value = first.get_or_insert_with(Colliding(1), || {
            started.send(()).unwrap();
            other.recv().unwrap() + 1
        });
        thread.join().unwrap();
        assert_eq!((value, first.get(&Colliding(2))), (21, Some(20)));
    });
}

#[test]
fn a_load_may_change_the_cache_it_loads_for() {
    let domain = domain(MB);
    let cache = Cache::<u64, u64>::builder("changing").build_in(&domain).unwrap();
    let worker = cache.clone();
    in_time("a load that changes its cache", move || {
        assert_eq!(
            worker.get_or_insert_with(1, || {
                worker.insert(1, 5);
                6
            }),
            6
        );
        assert_eq!(worker.get(1), Some(5), "what was inserted meanwhile wins");
        assert_eq!(
            worker.get_or_insert_with(2, || {
                worker.invalidate(2);
                6
            }),
            6
        );
        assert_eq!(worker.get(2), None, "computed before the invalidation, as far as anybody can tell");
        assert_eq!(
            worker.get_or_insert_with(3, || {
                worker.clear();
                6
            }),
            6
        );
        assert_eq!((worker.get(3), worker.len()), (None, 0));
        assert_eq!(worker.get_or_insert_with(3, || 7), 7);
        assert_eq!(worker.get(3), Some(7));
    });
    check(&domain);
    check_emptied(&cache);
}

#[test]
fn a_load_may_use_its_domain() {
    let domain = Arc::new(domain(MB));
    let cache = Cache::<u64, u64>::builder("inner").build_in(&domain).unwrap();
    let (worker, inner) = (cache.clone(), Arc::clone(&domain));
    in_time("a load that uses its domain", move || {
        let value = worker.get_or_insert_with(1, || {
            inner.tick();
            let _ = inner.trim(u64::MAX);
            inner.budget().set_limit(2 * MB);
            inner.clear_all();
            let other = Cache::<u64, u64>::builder("made while loading").build_in(&inner).unwrap();
            other.get_or_insert_with(1, || inner.stats().tenants.len() as u64)
        });
        assert_eq!(value, 2);
    });
    check(&domain);
}

#[test]
fn waiters_of_a_value_that_is_too_large_get_it_all_the_same() {
    let domain = domain(MB);
    let cache = Cache::<u64, Vec<u8>>::builder("large").build_in(&domain).unwrap();
    let runs = Counter::default();
    let (shared, counted) = (cache.clone(), runs.clone());
    all_at_once("a value nobody stores", 8, move |_| {
        let value = shared.get_or_insert_with(1, || {
            counted.add();
            await_waiters(&shared, 7);
            vec![1; 2 * MB as usize]
        });
        assert_eq!(value.len(), 2 * MB as usize);
    });
    assert_eq!((runs.get(), cache.len(), cache.stats().rejections), (1, 0, 1));
    check(&domain);
}

#[test]
fn a_thread_that_ends_as_a_leader_leaves_nobody_behind() {
    let cache = build("short-lived");
    for round in 0..100 {
        let worker = cache.clone();
        let failed = std::thread::spawn(move || {
            panics(|| {
                worker.get_or_insert_with(round, || panic!("a thread that fails, on purpose"));
            })
        });
        assert!(failed.join().unwrap());
        let worker = cache.clone();
        assert_eq!(
            in_time("after a thread failed", move || worker.get_or_insert_with(round, || round)),
            round
        );
    }
    check_emptied(&cache);
}
