//! Scopes of `larder::testing`: parallel tests that use the same annotated items see only their own values, and leave
//! nothing behind. A process of its own, because the items live in the global domain; its tests run at once, which is
//! part of what they show.

use std::fmt::Debug;
use std::hash::Hash;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Barrier};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use larder::{
    Cache, Domain, cached, pooled,
    testing::{self, ManualClock},
};

thread_local! {
    /// What the functions below return, beside their argument: a value that tells the threads apart.
    static MARK: std::cell::Cell<u64> = const { std::cell::Cell::new(0) };
}

fn mark() -> u64 {
    MARK.get()
}

#[cached]
fn marked(n: u64) -> (u64, u64) {
    (n, mark())
}

#[cached]
fn marked_text(name: &str) -> Result<String, String> {
    if name.is_empty() { Err("no name".to_owned()) } else { Ok(format!("{name}-{}", mark())) }
}

#[cached(name = "isolation::generic")]
fn generic<T: Clone + Debug + Hash + Eq + Send + Sync + 'static>(n: T) -> String {
    format!("{n:?} {}", mark())
}

#[cached]
async fn marked_later(n: u64) -> (u64, u64) {
    (n, mark())
}

#[cached(ttl = "10s")]
fn short_lived(n: u64) -> (u64, u64) {
    (n, mark())
}

#[pooled]
#[derive(Default)]
struct Counter {
    leases: u64,
}

/// Sees what the threads of all tests did outside a scope, which is nothing but what the test at hand did with `n`.
fn outside(n: u64) -> (u64, u64) {
    marked_cache().peek(n).unwrap_or_default()
}

#[test]
fn eight_threads_in_scopes_and_a_ninth_outside() {
    const THREADS: u64 = 8;
    const KEYS: std::ops::Range<u64> = 1000..1100;
    MARK.set(77);
    KEYS.for_each(|n| assert_eq!(marked(n), (n, 77)));
    let start = Barrier::new(THREADS as usize + 1);
    std::thread::scope(|threads| {
        for own in 1..=THREADS {
            let start = &start;
            threads.spawn(move || {
                MARK.set(own);
                start.wait();
                for round in 0..20 {
                    let _scope = testing::isolated();
                    let empty = marked_cache().weight();
                    assert!(marked_cache().is_empty() && empty < 1500, "round {round}: {empty} bytes");
                    for n in KEYS {
                        assert_eq!(marked_cache().get(n), None);
                        assert_eq!(marked(n), (n, own));
                        assert_eq!(generic(n), format!("{n} {own}"));
                        assert_eq!(generic(n.to_string()), format!("\"{n}\" {own}"));
                        assert_eq!(marked_text("a").as_deref(), Ok(format!("a-{own}").as_str()));
                    }
                    MARK.set(0);
                    KEYS.for_each(|n| assert_eq!(marked(n), (n, own), "a hit on the scope's own"));
                    MARK.set(own);
                    marked_cache().invalidate(KEYS.start);
                    assert_eq!(marked_cache().len(), KEYS.count() - 1);
                    let stats = larder::stats();
                    let row = stats.tenant("isolation::generic").expect("used in the scope");
                    assert_eq!(row.entries, 2 * KEYS.count() as u64, "both instances");
                    larder::clear_all();
                    assert_eq!((marked_cache().len(), marked_cache().weight()), (0, empty));
                    let stats = larder::stats();
                    let live: u64 = stats.tenants.iter().map(|tenant| tenant.reserved).sum();
                    assert!(stats.tenants.iter().all(|tenant| tenant.entries == 0), "{stats}");
                    assert_eq!(stats.budget.used, live);
                }
            });
        }
        start.wait();
        for _ in 0..200 {
            KEYS.for_each(|n| assert_eq!(marked(n), (n, 77), "the real one is as it was"));
        }
    });
    assert!(marked_cache().len() >= KEYS.count());
}

#[test]
fn what_is_written_in_a_scope_is_gone_after_it_and_what_was_there_is_back() {
    MARK.set(1);
    assert_eq!(marked(1), (1, 1));
    {
        let _scope = testing::isolated();
        let cache = marked_cache();
        assert!(!cache.contains(1) && cache.is_empty());
        cache.insert(1, (1, 2));
        cache.insert(2, (2, 2));
        assert_eq!((cache.get(1), cache.peek(2), cache.len()), (Some((1, 2)), Some((2, 2)), 2));
        assert_eq!(cache.get_or_insert_with(3, || (3, 2)), (3, 2));
        assert_eq!(cache.get_or_insert_ref(&3, |_| (3, 9)), (3, 2));
        assert_eq!(cache.try_get_or_insert_with(4, || Err("no")), Err("no"));
        assert!(cache.invalidate(1));
        let stats = cache.stats();
        assert_eq!((stats.entries, stats.hits, stats.loads, stats.invalidations), (2, 2, 1, 1));
        cache.clear();
        assert!(cache.is_empty());
    }
    assert_eq!((outside(1), outside(2), outside(3)), ((1, 1), (0, 0), (0, 0)));
}

#[test]
fn bypassed_runs_every_body_and_touches_nothing() {
    MARK.set(5);
    assert_eq!(marked(11), (11, 5));
    let scope = testing::bypassed();
    for mark in [6, 7] {
        MARK.set(mark);
        assert_eq!(marked(11), (11, mark));
        assert_eq!(marked_text("b"), Ok(format!("b-{mark}")));
    }
    let cache = marked_cache();
    cache.insert(11, (11, 8));
    assert_eq!((cache.get(11), cache.peek(11), cache.invalidate(11), cache.len()), (None, None, false, 0));
    cache.clear();
    larder::clear_all();
    drop(scope);
    assert_eq!(outside(11), (11, 5));
}

#[test]
fn scopes_nest_and_may_end_in_any_order() {
    MARK.set(1);
    let outer = testing::isolated();
    assert_eq!(marked(21), (21, 1));
    MARK.set(2);
    {
        let _inner = testing::isolated();
        assert_eq!(marked(21), (21, 2));
        let _back = outer.scope().enter();
        assert_eq!(marked(21), (21, 1), "the outer one again");
        let _off = testing::bypassed();
        assert_eq!(marked(21), (21, 2), "computed");
    }
    assert_eq!(marked(21), (21, 1));
    let later = testing::isolated();
    drop(outer);
    assert_eq!(marked(21), (21, 2), "the later scope is the one that counts");
    drop(later);
    assert_eq!(outside(21), (0, 0));
}

#[test]
fn a_panic_leaves_the_scope() {
    MARK.set(1);
    let caught = catch_unwind(AssertUnwindSafe(|| {
        let _scope = testing::isolated();
        assert_eq!(marked(31), (31, 1));
        std::panic::resume_unwind(Box::new("on purpose"));
    }));
    assert!(caught.is_err());
    assert_eq!(outside(31), (0, 0));
    assert_eq!(marked(31), (31, 1));
    assert_eq!(outside(31), (31, 1));
}

#[test]
fn threads_of_one_test_share_its_scope_and_its_flights() {
    static RUNS: AtomicU64 = AtomicU64::new(0);
    #[cached]
    fn slow(n: u64) -> u64 {
        RUNS.fetch_add(1, Ordering::SeqCst);
        n
    }
    let entered = testing::isolated();
    let start = Barrier::new(8);
    std::thread::scope(|threads| {
        for _ in 0..8 {
            let scope = entered.scope().clone();
            let start = &start;
            threads.spawn(move || {
                start.wait();
                let _entered = scope.enter();
                assert_eq!(slow(5), 5);
            });
        }
    });
    assert_eq!((RUNS.load(Ordering::SeqCst), slow_cache().len()), (1, 1));
    drop(entered);
    assert_eq!(slow_cache().len(), 0);
}

#[test]
fn a_scope_lives_as_long_as_its_last_handle() {
    let entered = testing::isolated();
    let scope = entered.scope().clone();
    MARK.set(3);
    assert_eq!(marked(41), (41, 3));
    drop(entered);
    assert_eq!(outside(41), (0, 0));
    let entered = scope.enter();
    assert_eq!(outside(41), (41, 3));
    drop(scope);
    assert_eq!(outside(41), (41, 3));
    drop(entered);
    assert_eq!(outside(41), (0, 0));
}

#[test]
fn what_is_stored_in_a_scope_is_dropped_with_it() {
    #[derive(Clone)]
    struct Held(#[expect(dead_code, reason = "it is counted")] std::sync::Arc<()>);
    let domain = Domain::builder().limit_bytes(1 << 20).manual().build();
    let cache = Cache::<u64, Held>::builder("held").build_in(&domain).unwrap();
    let value = std::sync::Arc::new(());
    let scope = testing::isolated();
    cache.insert(1, Held(value.clone()));
    assert_eq!(std::sync::Arc::strong_count(&value), 2);
    drop(scope);
    assert_eq!(std::sync::Arc::strong_count(&value), 1);
}

#[test]
fn tasks_take_the_scope_along() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(3).build().unwrap();
    MARK.set(9);
    let scope = testing::isolated().scope().clone();
    let tasks: Vec<_> = (0..50)
        .map(|n| {
            runtime.spawn(scope.around(async move {
                let first = marked_later(n % 5).await;
                tokio::task::yield_now().await;
                let load = async {
                    tokio::task::yield_now().await;
                    (n, 1)
                };
                let second = marked_later_cache().get_or_insert_async(100 + n, load).await;
                assert_eq!((first.0, second), (n % 5, (n, 1)));
            }))
        })
        .collect();
    for task in tasks {
        runtime.block_on(task).unwrap();
    }
    assert_eq!(marked_later_cache().len(), 0, "nothing outside");
    let _entered = scope.enter();
    assert_eq!(marked_later_cache().len(), 55);
    assert_eq!(runtime.block_on(marked_later(77)), (77, 9));
    assert_eq!(marked_later_cache().len(), 56, "polled on this thread, which is in the scope");
}

#[test]
fn pools_are_set_apart_too_and_a_lease_goes_back_where_it_came_from() {
    let mut real = Counter::acquire();
    real.leases = 1;
    drop(real);
    let lease = {
        let _scope = testing::isolated();
        assert_eq!((Counter::pool().idle(), Counter::pool().leased()), (0, 0));
        let mut lease = Counter::acquire();
        assert_eq!(lease.leases, 0, "a new one");
        lease.leases = 2;
        drop(lease);
        assert_eq!(Counter::pool().idle(), 1);
        let again = Counter::acquire();
        assert_eq!((again.leases, Counter::pool().leased()), (2, 1));
        again
    };
    assert_eq!((Counter::pool().idle(), Counter::pool().leased()), (1, 0));
    drop(lease);
    assert_eq!(Counter::pool().idle(), 1);
    assert_eq!(Counter::acquire().leases, 1, "the real one");
    let _scope = testing::bypassed();
    assert_eq!((Counter::acquire().leases, Counter::pool().idle()), (0, 0));
}

#[test]
fn a_clock_of_the_scopes_own() {
    MARK.set(1);
    assert_eq!(short_lived(1), (1, 1));
    let clock = ManualClock::new();
    let _scope = testing::isolated_at(clock.clone());
    assert_eq!(short_lived(1), (1, 1));
    MARK.set(2);
    clock.advance(Duration::from_nanos(9_999_999_999));
    assert_eq!(short_lived(1), (1, 1));
    clock.advance(Duration::from_nanos(1));
    assert_eq!(short_lived(1), (1, 2));
    clock.advance(Duration::from_secs(10));
    assert_eq!(short_lived_cache().len(), 1);
    larder::tick();
    assert_eq!(short_lived_cache().len(), 0, "the scope's tick, by the scope's clock");
}

#[test]
fn a_scope_has_the_options_and_the_limit_of_what_it_stands_for() {
    let domain = Domain::builder().limit_bytes(50_000).manual().build();
    let cache = Cache::<u64, Vec<u8>>::builder("bounded").max_entries(4).build_in(&domain).unwrap();
    (0..4).for_each(|key| cache.insert(key, vec![1; 100]));
    let used = domain.budget().used();
    {
        let _scope = testing::isolated();
        assert_eq!((domain.budget().limit(), domain.budget().used()), (50_000, 0));
        (0..10).for_each(|key| cache.insert(key, vec![1; 100]));
        assert_eq!((cache.len(), cache.stats().evictions), (4, 6));
        cache.insert(99, vec![1; 60_000]);
        assert_eq!(cache.get(99), None, "more than the whole budget");
        domain.budget().set_limit(10_000);
        cache.set_max_entries(2);
        assert_eq!((cache.len(), domain.budget().limit()), (2, 10_000));
        domain.set_bypass(true);
        assert_eq!(cache.get_or_insert_with(1, Vec::new), Vec::<u8>::new());
        assert!(domain.trim(u64::MAX).freed > 0);
        assert_eq!(domain.stats().tenants.len(), 1);
    }
    assert_eq!((domain.budget().limit(), domain.budget().used()), (50_000, used));
    assert_eq!((cache.len(), cache.stats().max_entries), (4, Some(4)));
    assert!((0..4).all(|key| cache.get(key).is_some()), "not turned off either");
}

#[test]
fn turned_off_outside_does_not_reach_into_a_scope() {
    let domain = Domain::builder().limit_bytes(1 << 20).manual().build();
    let cache = Cache::<u64, u64>::builder("switched").build_in(&domain).unwrap();
    cache.insert(1, 1);
    domain.set_bypass(true);
    assert_eq!(cache.get(1), None);
    {
        let _scope = testing::isolated();
        assert_eq!(cache.get_or_insert_with(1, || 2), 2);
        assert_eq!(cache.get(1), Some(2));
    }
    assert_eq!(cache.get(1), None, "still off");
    domain.set_bypass(false);
    assert_eq!(cache.get(1), Some(1));
}

#[test]
fn a_cache_that_is_made_in_a_scope_is_a_real_one_outside() {
    let domain = Domain::builder().limit_bytes(1 << 20).manual().build();
    let scope = testing::isolated();
    let cache = Cache::<u64, u64>::builder("made inside").build_in(&domain).unwrap();
    cache.insert(1, 1);
    assert_eq!(cache.get(1), Some(1));
    drop(scope);
    assert_eq!(cache.get(1), None);
    cache.insert(1, 2);
    assert_eq!(cache.get(1), Some(2));
}

#[test]
fn a_scope_that_is_never_left_does_not_outlive_its_thread() {
    std::thread::spawn(|| {
        std::mem::forget(testing::isolated());
        MARK.set(4);
        assert_eq!(marked(51), (51, 4));
    })
    .join()
    .unwrap();
    assert_eq!(outside(51), (0, 0));
}

#[test]
fn a_detached_load_is_stored_in_the_scope() {
    let poll = |mut task: larder::Task| {
        assert!(task.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready());
    };
    let domain = Domain::builder().limit_bytes(1 << 20).manual().executor(poll).build();
    let cache = Cache::<u64, u64>::builder("detached in a scope").build_in(&domain).unwrap();
    let load = |key, value| {
        let mut load = pin!(cache.get_or_insert_detached(key, async move { value }));
        load.as_mut().poll(&mut Context::from_waker(Waker::noop()))
    };
    {
        let _scope = testing::isolated();
        assert_eq!(load(1, 7), Poll::Ready(7));
        assert_eq!(cache.get(1), Some(7));
    }
    assert_eq!(cache.get(1), None, "nothing outside");
    assert_eq!(load(1, 8), Poll::Ready(8));
    let _scope = testing::bypassed();
    assert_eq!(load(1, 9), Poll::Ready(9));
}

#[test]
fn what_is_weighed_again_is_what_the_scope_has() {
    let domain = Domain::builder().limit_bytes(1 << 20).manual().build();
    let heap = Arc::new(AtomicU64::new(1000));
    let weighed = Arc::clone(&heap);
    let cache = Cache::<u64, u64>::builder("weighed in a scope")
        .weigh(move |_, _| weighed.load(Ordering::Relaxed))
        .build_in(&domain)
        .unwrap();
    cache.insert(1, 1);
    let outside = cache.weight();
    let scope = testing::isolated();
    assert_eq!(cache.reweigh(1), None);
    cache.insert(2, 2);
    heap.store(5000, Ordering::Relaxed);
    assert_eq!(cache.reweigh(2), Some(5000));
    drop(scope);
    assert_eq!((cache.reweigh(2), cache.weight()), (None, outside));
}
