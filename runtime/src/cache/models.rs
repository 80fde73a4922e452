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
        let domain = Arc::new(domain(6_000));
        let build = |name| Cache::<u64, Vec<u8>>::builder(name).max_entries(64).build_in(&domain).unwrap();
        let threads: Vec<_> = [build("a"), build("b")]
            .into_iter()
            .map(|cache| {
                let domain = Arc::clone(&domain);
                thread::spawn(move || {
                    for key in 0..4 {
                        cache.insert(key, vec![0; 1200]);
                        assert!(domain.budget().used() <= 6_000);
                    }
                    cache
                })
            })
            .collect();
        let caches: Vec<_> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
        for cache in &caches {
            assert_eq!(cache.core.store.validate(), cache.weight());
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
        assert_eq!(cache.core.store.validate(), cache.weight());
        assert_eq!(cache.core.tenant.entries(), cache.len() as u64);
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
        assert_eq!(cache.core.store.validate(), cache.weight());
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
        assert_eq!(cache.core.store.validate(), cache.weight());
        assert_eq!(cache.core.tenant.entries(), cache.len() as u64);
        clock.advance(second);
        domain.tick();
        assert_eq!((cache.len(), cache.weight(), domain.budget().used()), (0, 0, 0));
    });
}
