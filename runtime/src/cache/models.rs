//! Whole caches under controlled schedules: loads, invalidation and a full budget at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use shuttle::thread;

use super::Cache;
use crate::models::check;
use crate::{Domain, testing::ManualClock};

fn domain(limit: u64) -> Domain {
    Domain::builder().limit_bytes(limit).clock(ManualClock::new()).manual().build()
}

#[test]
fn one_cold_key_is_computed_once() {
    check(|| {
        let domain = domain(1 << 20);
        let cache = Cache::<u64, u64>::builder("cold").max_entries(8).build_in(&domain).unwrap();
        let runs = Arc::new(AtomicU64::new(0));
        let threads: Vec<_> = (0..3)
            .map(|_| {
                let (cache, runs) = (cache.clone(), Arc::clone(&runs));
                thread::spawn(move || {
                    cache.get_or_insert_with(1, || runs.fetch_add(1, Ordering::SeqCst) + 10)
                })
            })
            .collect();
        for thread in threads {
            assert_eq!(thread.join().unwrap(), 10);
        }
        assert_eq!(runs.load(Ordering::SeqCst), 1);
    });
}

#[test]
fn a_call_after_invalidate_never_sees_the_old_value() {
    check(|| {
        let domain = domain(1 << 20);
        let cache = Cache::<u64, u64>::builder("fresh").max_entries(8).build_in(&domain).unwrap();
        let source = Arc::new(AtomicU64::new(1));
        let reader = {
            let (cache, source) = (cache.clone(), Arc::clone(&source));
            thread::spawn(move || {
                cache.get_or_insert_with(1, || {
                    let value = source.load(Ordering::SeqCst);
                    thread::yield_now();
                    value
                });
            })
        };
        source.store(2, Ordering::SeqCst);
        cache.invalidate(1);
        assert_eq!(cache.get_or_insert_with(1, || source.load(Ordering::SeqCst)), 2);
        reader.join().unwrap();
        assert_eq!(cache.get_or_insert_with(1, || 3), 2);
    });
}

#[test]
fn after_a_clear_was_seen_nothing_older_is() {
    check(|| {
        let domain = domain(1 << 20);
        let cache = Cache::<u64, u64>::builder("cleared").max_entries(8).build_in(&domain).unwrap();
        let source = Arc::new(shuttle::sync::atomic::AtomicU64::new(1));
        let load = {
            let source = Arc::clone(&source);
            move || {
                let value = source.load(Ordering::SeqCst);
                thread::yield_now();
                value
            }
        };
        let older = {
            let (cache, load) = (cache.clone(), load.clone());
            thread::spawn(move || cache.get_or_insert_with(1, load))
        };
        let clearing = {
            let (cache, source) = (cache.clone(), Arc::clone(&source));
            thread::spawn(move || {
                source.store(2, Ordering::SeqCst);
                cache.clear();
            })
        };
        let first = cache.get_or_insert_with(1, load);
        let second = cache.get(1).unwrap_or(first);
        assert!(second >= first, "{second} after {first}");
        older.join().unwrap();
        clearing.join().unwrap();
    });
}

#[test]
fn a_write_during_a_load_wins() {
    check(|| {
        let domain = domain(1 << 20);
        let cache = Cache::<u64, u64>::builder("written").max_entries(8).build_in(&domain).unwrap();
        let reader = {
            let cache = cache.clone();
            thread::spawn(move || {
                cache.get_or_insert_with(1, || {
                    thread::yield_now();
                    1
                });
            })
        };
        cache.insert(1, 2);
        assert_eq!(cache.get(1), Some(2));
        reader.join().unwrap();
        assert_eq!(cache.get(1), Some(2));
    });
}

#[test]
fn a_full_budget_is_never_passed() {
    check(|| {
        let domain = Arc::new(domain(8_000));
        let build = |name| Cache::<u64, Vec<u8>>::builder(name).max_entries(64).build_in(&domain).unwrap();
        let threads: Vec<_> = [build("a"), build("b")]
            .into_iter()
            .map(|cache| {
                let domain = Arc::clone(&domain);
                thread::spawn(move || {
                    for key in 0..4 {
                        cache.insert(key, vec![0; 1200]);
                        assert!(domain.budget().used() <= 8_000);
                    }
                    cache
                })
            })
            .collect();
        let caches: Vec<_> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
        for cache in &caches {
            assert_eq!(cache.core.validate(), cache.weight());
        }
        let held: u64 = domain.stats().tenants.iter().map(|tenant| tenant.reserved).sum();
        assert_eq!(held, domain.budget().used());
    });
}

#[test]
fn a_trim_beside_inserts_keeps_the_books() {
    check(|| {
        let domain = Arc::new(domain(1 << 16));
        let cache = Cache::<u64, Vec<u8>>::builder("trimmed").max_entries(64).build_in(&domain).unwrap();
        let writer = {
            let cache = cache.clone();
            thread::spawn(move || {
                for key in 0..4 {
                    cache.insert(key % 3, vec![0; 500]);
                }
            })
        };
        let _ = domain.trim(1000);
        cache.invalidate(1);
        let _ = domain.trim(u64::MAX);
        writer.join().unwrap();
        assert_eq!(cache.core.validate(), cache.weight());
        assert_eq!(cache.core.tenant.entries(), cache.len() as u64);
    });
}

#[test]
fn weighing_again_beside_writes_and_trims_keeps_the_books() {
    check(|| {
        let domain = Arc::new(domain(8_000));
        let cache = Cache::<u64, Arc<AtomicU64>>::builder("changing")
            .max_entries(64)
            .weigh(|_, value| value.load(Ordering::SeqCst))
            .build_in(&domain)
            .unwrap();
        cache.insert(1, Arc::new(AtomicU64::new(500)));
        let weighers: Vec<_> = [2000, 100]
            .into_iter()
            .map(|size| {
                let (cache, domain) = (cache.clone(), Arc::clone(&domain));
                thread::spawn(move || {
                    if let Some(value) = cache.peek(1) {
                        value.store(size, Ordering::SeqCst);
                    }
                    let _ = cache.reweigh(1);
                    assert!(domain.budget().used() <= 8_000);
                })
            })
            .collect();
        cache.insert(1, Arc::new(AtomicU64::new(3000)));
        let _ = domain.trim(1000);
        cache.insert(2, Arc::new(AtomicU64::new(1000)));
        weighers.into_iter().for_each(|thread| thread.join().unwrap());
        assert_eq!(cache.core.validate(), cache.weight());
        assert_eq!(cache.core.tenant.entries(), cache.len() as u64);
        cache.clear();
        assert_eq!(cache.weight(), domain.budget().used());
    });
}

#[test]
fn a_shard_that_comes_and_goes_is_never_lost() {
    check(|| {
        let domain = Arc::new(domain(1 << 16));
        let cache = Cache::<u64, u64>::builder("small").max_entries(8).build_in(&domain).unwrap();
        let empty = cache.weight();
        let threads: Vec<_> = (0..2)
            .map(|key| {
                let cache = cache.clone();
                thread::spawn(move || {
                    for round in 0..2 {
                        cache.insert(key, round);
                        assert_eq!(cache.get(key), Some(round));
                        assert!(cache.invalidate(key));
                    }
                })
            })
            .collect();
        assert_eq!(cache.get(7), None);
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        // A shard that somebody looked into all the while is freed by who comes next.
        domain.tick();
        assert_eq!((cache.weight(), cache.core.validate()), (empty, empty));
    });
}

#[test]
fn tasks_share_one_run_and_a_cancelled_leader_hands_over() {
    check(|| {
        let domain = domain(1 << 20);
        let cache = Cache::<u64, u64>::builder("tasks").max_entries(8).build_in(&domain).unwrap();
        let runs = Arc::new(AtomicU64::new(0));
        let call = |cache: Cache<u64, u64>, runs: Arc<AtomicU64>| async move {
            let load = async {
                let run = runs.fetch_add(1, Ordering::SeqCst) + 10;
                shuttle::future::yield_now().await;
                run
            };
            cache.get_or_insert_async(1, load).await
        };
        let cancelled = shuttle::future::spawn(call(cache.clone(), Arc::clone(&runs)));
        let tasks: Vec<_> =
            (0..2).map(|_| shuttle::future::spawn(call(cache.clone(), Arc::clone(&runs)))).collect();
        let thread = {
            let (cache, runs) = (cache.clone(), Arc::clone(&runs));
            thread::spawn(move || cache.get_or_insert_with(1, || runs.fetch_add(1, Ordering::SeqCst) + 10))
        };
        cancelled.abort();
        let values: Vec<_> = tasks.into_iter().map(|task| shuttle::future::block_on(task).unwrap()).collect();
        let value = thread.join().unwrap();
        assert!(values.iter().all(|other| *other == value), "{values:?} and {value}");
        assert!(runs.load(Ordering::SeqCst) <= 2, "one run, and one more if the first was cancelled");
    });
}

#[test]
fn who_stops_waiting_and_who_finishes_then_agree_on_one_value() {
    check(|| {
        let clock = ManualClock::new();
        let domain = Domain::builder().limit_bytes(1 << 20).clock(clock.clone()).manual().build();
        let second = Duration::from_secs(1);
        let cache = Cache::<u64, u64>::builder("bounded")
            .max_entries(8)
            .wait_at_most(second)
            .build_in(&domain)
            .unwrap();
        let runs = Arc::new(AtomicU64::new(0));
        let call = |cache: &Cache<u64, u64>, runs: &AtomicU64| {
            cache.get_or_insert_with(1, || {
                thread::yield_now();
                runs.fetch_add(1, Ordering::SeqCst) + 10
            })
        };
        let threads: Vec<_> = (0..2)
            .map(|_| {
                let (cache, runs) = (cache.clone(), Arc::clone(&runs));
                thread::spawn(move || call(&cache, &runs))
            })
            .collect();
        let task = shuttle::future::spawn({
            let (cache, runs) = (cache.clone(), Arc::clone(&runs));
            async move {
                let load = async {
                    shuttle::future::yield_now().await;
                    runs.fetch_add(1, Ordering::SeqCst) + 10
                };
                cache.get_or_insert_async(1, load).await
            }
        });
        // At any moment of all this: their time is over.
        clock.advance(second);
        let mut values: Vec<_> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
        values.push(shuttle::future::block_on(task).unwrap());
        let runs = runs.load(Ordering::SeqCst);
        assert!((1..=3).contains(&runs));
        assert!(values.iter().all(|value| (10..10 + runs).contains(value)), "{values:?} of {runs}");
        let stored = cache.get(1).expect("the first of them stays");
        assert!(values.contains(&stored));
        assert_eq!(cache.stats().loads, runs);
        assert_eq!((cache.len(), cache.core.validate()), (1, cache.weight()));
    });
}

/// Counts how many bodies live.
struct Alive(Arc<AtomicU64>);

impl Alive {
    fn one(alive: &Arc<AtomicU64>) -> Self {
        alive.fetch_add(1, Ordering::SeqCst);
        Self(Arc::clone(alive))
    }
}

impl Drop for Alive {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Calls that wait for one detached body together; those that `cancel` names leave it.
fn detached_calls(cancel: [bool; 3], drops: bool) {
    let domain = domain(1 << 20);
    let dropped = Arc::new(AtomicU64::new(0));
    domain.set_executor(move |task| {
        if drops && dropped.fetch_add(1, Ordering::SeqCst) == 0 {
            // The first task never runs.
            return drop(task);
        }
        drop(shuttle::future::spawn(task));
    });
    let cache = Cache::<u64, u64>::builder("detached").max_entries(8).build_in(&domain).unwrap();
    let (runs, alive) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let gate = Arc::new(AtomicU64::new(0));
    let call = |cache: Cache<u64, u64>| {
        let (runs, alive, gate) = (Arc::clone(&runs), Arc::clone(&alive), Arc::clone(&gate));
        async move {
            let load = async move {
                let _alive = Alive::one(&alive);
                assert_eq!(alive.load(Ordering::SeqCst), 1, "one body at a time");
                while gate.load(Ordering::SeqCst) == 0 {
                    shuttle::future::yield_now().await;
                }
                runs.fetch_add(1, Ordering::SeqCst) + 10
            };
            cache.get_or_insert_detached(1, load).await
        }
    };
    let began = shuttle::future::spawn(call(cache.clone()));
    while alive.load(Ordering::SeqCst) == 0 {
        thread::yield_now();
    }
    let [one, other] = [(); 2].map(|()| shuttle::future::spawn(call(cache.clone())));
    while cache.stats().waits < 2 {
        thread::yield_now();
    }
    let tasks = [began, one, other];
    for (task, cancelled) in tasks.iter().zip(cancel) {
        if cancelled {
            task.abort();
        }
    }
    gate.store(1, Ordering::SeqCst);
    for (task, cancelled) in tasks.into_iter().zip(cancel) {
        match shuttle::future::block_on(task) {
            Ok(value) => assert_eq!(value, 10, "the one run's value"),
            Err(_) => assert!(cancelled),
        }
    }
    let value = shuttle::future::block_on(call(cache.clone()));
    assert_eq!((value, cache.get(1), runs.load(Ordering::SeqCst)), (10, Some(10), 1));
    assert_eq!(cache.core.validate(), cache.weight());
}

#[test]
fn a_detached_body_that_somebody_waits_for_runs_once() {
    check(|| detached_calls([true, false, true], false));
    check(|| detached_calls([false, false, true], false));
}

#[test]
fn a_detached_body_whose_task_is_dropped_goes_on_with_its_caller() {
    check(|| detached_calls([false, false, false], true));
}

#[test]
fn a_detached_body_whose_callers_all_leave_while_it_finishes_loses_nobody() {
    check(|| {
        let domain = domain(1 << 20);
        domain.set_executor(|task| drop(shuttle::future::spawn(task)));
        let cache = Cache::<u64, u64>::builder("left").max_entries(8).build_in(&domain).unwrap();
        let source = Arc::new(AtomicU64::new(1));
        let call = || {
            let (cache, source) = (cache.clone(), Arc::clone(&source));
            let load = async move {
                let value = source.load(Ordering::SeqCst);
                shuttle::future::yield_now().await;
                value
            };
            async move { cache.get_or_insert_detached(1, load).await }
        };
        let leaving = [(); 2].map(|()| shuttle::future::spawn(call()));
        let stays = shuttle::future::spawn(call());
        for task in &leaving {
            task.abort();
        }
        source.store(2, Ordering::SeqCst);
        cache.invalidate(1);
        // Whatever became of the bodies that were left: none of them serves or stores what it read before.
        assert_eq!(shuttle::future::block_on(call()), 2);
        assert!((1..=2).contains(&shuttle::future::block_on(stays).unwrap()));
        for task in leaving {
            let _ = shuttle::future::block_on(task);
        }
        assert_eq!((shuttle::future::block_on(call()), cache.get(1)), (2, Some(2)));
        // Tasks whose bodies nobody waits for end by themselves.
        while !cache.core.flights.is_empty() {
            thread::yield_now();
        }
        assert_eq!(cache.core.validate(), cache.weight());
    });
}

#[test]
fn without_single_flight_an_invalidation_wins_too() {
    check(|| {
        let domain = domain(1 << 20);
        let cache = Cache::<u64, u64>::builder("alone")
            .max_entries(8)
            .single_flight(false)
            .build_in(&domain)
            .unwrap();
        let source = Arc::new(AtomicU64::new(1));
        let readers: Vec<_> = (0..2)
            .map(|_| {
                let (cache, source) = (cache.clone(), Arc::clone(&source));
                thread::spawn(move || {
                    cache.get_or_insert_with(1, || {
                        let value = source.load(Ordering::SeqCst);
                        thread::yield_now();
                        value
                    })
                })
            })
            .collect();
        source.store(2, Ordering::SeqCst);
        cache.invalidate(1);
        assert_eq!(cache.get_or_insert_with(1, || source.load(Ordering::SeqCst)), 2);
        for reader in readers {
            reader.join().unwrap();
        }
        assert_eq!(cache.get(1), Some(2), "an older value was stored over it, or instead");
        assert_eq!(cache.core.validate(), cache.weight());
    });
}

#[test]
fn without_single_flight_a_write_that_is_gone_again_wins_too() {
    check(|| {
        let domain = domain(1 << 20);
        let cache =
            Cache::<u64, u64>::builder("gone").max_entries(8).single_flight(false).build_in(&domain).unwrap();
        let source = Arc::new(AtomicU64::new(1));
        let reader = {
            let (cache, source) = (cache.clone(), Arc::clone(&source));
            thread::spawn(move || {
                cache.get_or_insert_with(1, || {
                    let value = source.load(Ordering::SeqCst);
                    thread::yield_now();
                    value
                })
            })
        };
        source.store(2, Ordering::SeqCst);
        cache.insert(1, 2);
        // As an eviction would: no load hears of it.
        let _ = domain.trim(u64::MAX);
        reader.join().unwrap();
        assert_ne!(cache.get(1), Some(1), "what was read before the write");
    });
}

#[test]
fn a_hit_keeps_a_value_that_a_sweep_comes_for() {
    check(|| {
        let clock = ManualClock::new();
        let domain = Domain::builder().limit_bytes(1 << 20).clock(clock.clone()).manual().build();
        let domain = Arc::new(domain);
        let idle = Duration::from_secs(10);
        let cache = Cache::<u64, u64>::builder("used").max_entries(8).tti(idle).build_in(&domain).unwrap();
        cache.insert(1, 1);
        cache.insert(2, 2);
        clock.advance(idle - Duration::from_nanos(1));
        assert_eq!(cache.get(1), Some(1));
        let sweeper = {
            let (domain, clock) = (Arc::clone(&domain), clock.clone());
            thread::spawn(move || {
                clock.advance(Duration::from_secs(5));
                domain.tick();
                clock.advance(Duration::from_secs(4));
                domain.tick();
            })
        };
        // Each hit finds it nine seconds after the one before at most.
        for _ in 0..3 {
            assert_eq!(cache.get(1), Some(1));
        }
        sweeper.join().unwrap();
        assert_eq!((cache.len(), cache.get(2)), (1, None));
        assert_eq!(cache.core.validate(), cache.weight());
    });
}

#[test]
fn expiry_beside_inserts_and_reads_keeps_the_books() {
    check(|| {
        let clock = ManualClock::new();
        let domain = Domain::builder().limit_bytes(1 << 16).clock(clock.clone()).manual().build();
        let domain = Arc::new(domain);
        let second = Duration::from_secs(1);
        let cache =
            Cache::<u64, Vec<u8>>::builder("ageing").max_entries(3).ttl(second).build_in(&domain).unwrap();
        let writer = {
            let (cache, clock) = (cache.clone(), clock.clone());
            thread::spawn(move || {
                for key in 0..5 {
                    cache.insert(key % 4, vec![0; 300]);
                    clock.advance(second / 2);
                }
            })
        };
        let reader = {
            let cache = cache.clone();
            thread::spawn(move || {
                for key in 0..3 {
                    let _ = cache.get(key);
                }
            })
        };
        domain.tick();
        domain.tick();
        writer.join().unwrap();
        reader.join().unwrap();
        assert_eq!(cache.core.validate(), cache.weight());
        assert_eq!(cache.core.tenant.entries(), cache.len() as u64);
        clock.advance(second);
        domain.tick();
        assert_eq!(
            (cache.len(), cache.core.validate(), domain.budget().used()),
            (0, cache.weight(), cache.weight())
        );
    });
}

#[test]
fn who_evicts_what_came_to_an_empty_cache_ages_nobody_for_ever() {
    check(|| {
        let domain = domain(1 << 20);
        // Room for one.
        let cache = Cache::<u64, Vec<u8>>::builder("one").max_bytes(8000).build_in(&domain).unwrap();
        let writers: Vec<_> = (0..2)
            .map(|thread| {
                let cache = cache.clone();
                thread::spawn(move || (0..2).for_each(|key| cache.insert(10 * thread + key, vec![0; 4000])))
            })
            .collect();
        writers.into_iter().for_each(|thread| thread.join().unwrap());
        let inflation = cache.core.tenant.moment().inflation;
        assert!(inflation.is_finite(), "what comes from now on is worth {inflation}, whatever it is");
        assert_eq!(cache.core.validate(), cache.weight());
    });
}

#[test]
fn a_tenant_with_a_victim_is_always_asked() {
    check(|| {
        let domain = Arc::new(domain(1 << 16));
        let cache = Cache::<u64, u64>::builder("asked").build_in(&domain).unwrap();
        cache.insert(1, 1);
        let writer = {
            let cache = cache.clone();
            thread::spawn(move || cache.insert(2, 2))
        };
        let _ = domain.trim(u64::MAX);
        writer.join().unwrap();
        assert_eq!(cache.core.validate(), cache.weight());
        let _ = domain.trim(u64::MAX);
        assert_eq!(cache.len(), 0, "what can go goes when all is asked for");
    });
}
