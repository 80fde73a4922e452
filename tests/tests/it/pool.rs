//! Pools made at run time: who gets an object, who waits, what comes back, what it costs.

use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use larder::testing::FixedPressure;
use larder::{AcquireError, Cache, Domain, Order, Pool, PoolBuilder, PoolError, Pooled};
use larder_tests::short_or_deep;

use crate::support::{MB, all_at_once, check, clocked, domain, in_time, panics};

/// Numbered in the order in which they are made.
fn numbers(made: &Arc<AtomicU64>) -> PoolBuilder<u64> {
    let made = Arc::clone(made);
    Pool::builder("numbers", move || made.fetch_add(1, Ordering::Relaxed))
}

/// What a future says when it is asked once.
fn ask<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

#[test]
fn the_last_that_came_back_goes_first_unless_it_is_said_otherwise() {
    let domain = domain(MB);
    let lent = |order| {
        let pool = numbers(&Arc::default()).order(order).build_in(&domain).unwrap();
        let leases: Vec<_> = (0..3).map(|_| pool.acquire()).collect();
        // 0 comes back first, then 1, then 2.
        leases.into_iter().for_each(drop);
        let again: Vec<_> = (0..3).map(|_| pool.acquire()).collect();
        again.iter().map(|lease| **lease).collect::<Vec<_>>()
    };
    assert_eq!(lent(Order::Lifo), [2, 1, 0]);
    assert_eq!(lent(Order::Fifo), [0, 1, 2]);
    check(&domain);
}

#[test]
fn a_pool_that_refuses_says_why_and_what_to_change() {
    let domain = domain(MB);
    let pool = numbers(&Arc::default()).max(1).fail_when_exhausted().build_in(&domain).unwrap();
    let lease = pool.try_acquire().unwrap();
    let error = pool.try_acquire().unwrap_err();
    assert_eq!(error, AcquireError::Exhausted { pool: "numbers".to_owned(), max: 1 });
    assert_eq!(
        error.to_string(),
        "all 1 object of the pool `numbers` are lent: raise its bound, hold leases for less long, or wait with \
         `acquire_timeout` or `acquire_async`"
    );
    drop(lease);
    assert_eq!((*pool.try_acquire().unwrap(), pool.stats().rejections), (0, 1));
    pool.close();
    let error = pool.try_acquire().unwrap_err();
    assert_eq!(
        error.to_string(),
        "the pool `numbers` is closed: acquire before `close`, or make the object without it"
    );
}

#[test]
fn a_wait_ends_in_time_by_the_clock_of_the_domain() {
    let (domain, clock) = clocked(MB);
    let pool =
        numbers(&Arc::default()).max(1).wait_at_most(Duration::from_secs(5)).build_in(&domain).unwrap();
    let lease = pool.try_acquire().unwrap();
    let mut waits = pin!(pool.acquire_async());
    assert!(ask(waits.as_mut()).is_pending());
    assert_eq!(pool.waiting(), 1);
    clock.advance(Duration::from_secs(4));
    assert!(ask(waits.as_mut()).is_pending());
    clock.advance(Duration::from_secs(1));
    let Poll::Ready(Err(error)) = ask(waits.as_mut()) else { panic!("it is too late") };
    assert_eq!(
        error.to_string(),
        "all 1 object of the pool `numbers` were lent for 5s: raise its bound, hold leases for less long, or allow more time"
    );
    assert_eq!((pool.waiting(), pool.stats().waits), (0, 1));
    drop(lease);
}

#[test]
fn a_thread_that_waits_is_woken_by_a_return_and_by_the_clock() {
    let (domain, clock) = clocked(MB);
    let pool = numbers(&Arc::default()).max(1).build_in(&domain).unwrap();
    let lease = pool.acquire();
    let waits = |pool: &Pool<u64>| {
        let waiting = pool.clone();
        let waiter =
            std::thread::spawn(move || waiting.acquire_timeout(Duration::from_secs(60)).map(|lease| *lease));
        while pool.waiting() == 0 {
            std::thread::yield_now();
        }
        waiter
    };
    let waiter = waits(&pool);
    drop(lease);
    assert_eq!(in_time("a return wakes", move || waiter.join().unwrap()), Ok(0));
    let lease = pool.acquire();
    let waiter = waits(&pool);
    clock.advance(Duration::from_secs(60));
    let late = in_time("the clock wakes", move || waiter.join().unwrap());
    assert!(matches!(late, Err(AcquireError::TimedOut { max: 1, rule: None, .. })), "{late:?}");
    drop(lease);
}

#[test]
fn tasks_are_served_in_the_order_in_which_they_came() {
    let domain = domain(MB);
    let pool = numbers(&Arc::default()).max(2).wait().build_in(&domain).unwrap();
    let (a, b) = (pool.acquire(), pool.acquire());
    let mut tasks: Vec<_> = (0..4).map(|_| Box::pin(pool.acquire_async())).collect();
    for task in &mut tasks {
        assert!(ask(task.as_mut()).is_pending());
    }
    drop(a);
    // One that comes now has to wait for those that came before.
    let mut late = Box::pin(pool.acquire_async());
    assert!(ask(late.as_mut()).is_pending());
    let Poll::Ready(Ok(first)) = ask(tasks[0].as_mut()) else { panic!("the first is served first") };
    assert!(tasks[1..].iter_mut().all(|task| ask(task.as_mut()).is_pending()));
    // The second gives up; what it would have got goes to the third.
    drop(tasks.remove(1));
    drop(first);
    let Poll::Ready(Ok(second)) = ask(tasks[1].as_mut()) else { panic!("the next in the queue") };
    // The third gives up after it was given an object, and before it looked.
    drop(b);
    drop(tasks.remove(2));
    let Poll::Ready(Ok(third)) = ask(late.as_mut()) else { panic!("what was given is handed on") };
    drop((second, third));
    assert_eq!((pool.waiting(), pool.idle(), pool.stats().loads), (0, 2, 2));
}

#[test]
fn whoever_waits_when_the_pool_is_closed_is_refused_and_leases_stay_good() {
    let domain = domain(MB);
    let pool = numbers(&Arc::default()).max(1).wait().build_in(&domain).unwrap();
    let lease = pool.acquire();
    let mut waits = pin!(pool.acquire_async());
    assert!(ask(waits.as_mut()).is_pending());
    pool.close();
    assert!(matches!(ask(waits.as_mut()), Poll::Ready(Err(AcquireError::Closed { .. }))));
    assert_eq!((*lease, pool.leased()), (0, 1));
    drop(lease);
    assert_eq!((pool.idle(), pool.leased(), pool.stats().entries), (0, 0, 0));
    // Where it can't refuse it makes objects of nobody's.
    assert_eq!((*pool.acquire(), pool.leased()), (1, 0));
    assert_eq!(pool.put(7), Err(7));
}

#[test]
fn a_constructor_that_fails_or_panics_leaves_the_pool_as_it_was() {
    let domain = domain(MB);
    let turn = AtomicU64::new(0);
    let pool = Pool::try_builder("ports", move || match turn.fetch_add(1, Ordering::Relaxed) {
        0 => Err("no port"),
        1 => panic!("a constructor that fails, on purpose"),
        port => Ok(port),
    })
    .max(1)
    .fail_when_exhausted()
    .build_in(&domain)
    .unwrap();
    let error = pool.try_acquire().unwrap_err();
    assert_eq!(
        (&error, &*error.to_string()),
        (&AcquireError::Failed("no port"), "the constructor failed: no port")
    );
    assert!(panics(|| drop(pool.try_acquire())));
    assert_eq!((*pool.try_acquire().unwrap(), pool.stats().load_failures), (2, 2));
    check(&domain);
}

#[test]
fn a_check_or_a_drop_that_panics_costs_that_object_only() {
    struct Fragile(bool);
    impl Drop for Fragile {
        fn drop(&mut self) {
            if self.0 {
                self.0 = false;
                panic!("a drop that fails, on purpose");
            }
        }
    }
    let domain = domain(MB);
    let pool = Pool::builder("fragile", || Fragile(false)).build_in(&domain).unwrap();
    let mut lease = pool.acquire();
    lease.0 = true;
    // Not returned: the check and the drop would panic at once, which ends a process.
    assert!(panics(|| Pooled::discard(lease)));
    assert_eq!((pool.idle(), pool.leased(), pool.stats().entries), (0, 0, 0));
    drop((0..5).map(|_| pool.acquire()).collect::<Vec<_>>());
    // The first to go fails, and the others go all the same.
    let mut first = true;
    pool.retain(|object| {
        object.0 = std::mem::take(&mut first);
        true
    });
    assert!(panics(|| pool.clear()));
    assert_eq!((pool.idle(), pool.leased(), pool.stats().entries), (0, 0, 0));
    check(&domain);
}

#[test]
fn a_check_that_panics_drops_the_object() {
    let domain = domain(MB);
    let pool = numbers(&Arc::default())
        .validate(|_| panic!("a check that fails, on purpose"))
        .build_in(&domain)
        .unwrap();
    let lease = pool.acquire();
    assert!(panics(|| drop(lease)));
    assert_eq!((pool.idle(), pool.leased(), pool.stats().entries), (0, 0, 0));
    check(&domain);
}

#[test]
fn a_thread_that_panics_returns_nothing() {
    let domain = domain(MB);
    let pool = numbers(&Arc::default()).build_in(&domain).unwrap();
    assert!(panics(|| {
        let _lease = pool.acquire();
        panic!("on purpose");
    }));
    assert_eq!((pool.idle(), pool.leased(), pool.stats().entries), (0, 0, 0));
}

#[test]
fn what_is_broken_is_never_lent_again() {
    let domain = domain(MB);
    let fit = Arc::new(AtomicBool::new(true));
    let looks = Arc::clone(&fit);
    let pool = numbers(&Arc::default())
        .validate(move |_| looks.load(Ordering::Relaxed))
        .validate_on_acquire()
        .build_in(&domain)
        .unwrap();
    drop(pool.acquire());
    assert_eq!(*pool.acquire(), 0);
    fit.store(false, Ordering::Relaxed);
    let lease = pool.acquire();
    assert_eq!((*lease, pool.idle()), (1, 0));
    drop(lease);
    assert_eq!((pool.idle(), pool.stats().entries), (0, 0));
}

#[test]
fn idle_objects_age_and_lives_end_also_of_what_is_lent() {
    let (domain, clock) = clocked(MB);
    let second = Duration::from_secs(1);
    let pool = numbers(&Arc::default())
        .idle(10 * second)
        .idle_soft(5 * second)
        .min_idle(1)
        .lifetime(100 * second)
        .build_in(&domain)
        .unwrap();
    drop((0..3).map(|_| pool.acquire()).collect::<Vec<_>>());
    assert_eq!(pool.idle(), 3);
    clock.advance(5 * second);
    domain.tick();
    domain.tick();
    assert_eq!((pool.idle(), pool.stats().expirations), (1, 2), "as many as there always should be");
    clock.advance(5 * second);
    // Too old, though nobody has swept: another one is made.
    let made = *pool.acquire();
    assert_eq!(made, 3);
    let lease = pool.acquire();
    clock.advance(95 * second);
    drop(lease);
    assert_eq!(pool.idle(), 1);
    domain.tick();
    assert_eq!(pool.idle(), 1, "ticks keep as many as there should be");
}

#[test]
fn jitter_spreads_the_ends_of_lives() {
    let (domain, clock) = clocked(MB);
    let pool =
        numbers(&Arc::default()).lifetime(Duration::from_secs(100)).jitter(0.5).build_in(&domain).unwrap();
    drop((0..100).map(|_| pool.acquire()).collect::<Vec<_>>());
    domain.tick();
    domain.tick();
    let mut left = Vec::new();
    for _ in 0..11 {
        domain.tick();
        left.push(pool.idle());
        clock.advance(Duration::from_secs(10));
    }
    assert_eq!((left[4], left[10]), (100, 0), "{left:?}");
    for step in 5..10 {
        let gone = left[step] - left[step + 1];
        assert!((10..=30).contains(&gone), "they go a few at a time: {left:?}");
    }
}

#[test]
fn a_pool_makes_its_first_objects_ahead_of_need() {
    let domain = domain(MB);
    let made = Arc::new(AtomicU64::new(0));
    let pool = numbers(&made).min_idle(3).build_in(&domain).unwrap();
    drop(pool.acquire());
    assert_eq!((pool.idle(), made.load(Ordering::Relaxed)), (3, 3));
    pool.clear();
    domain.tick();
    assert_eq!((pool.idle(), made.load(Ordering::Relaxed)), (3, 6));
}

#[test]
fn objects_that_grew_are_shrunk_or_go() {
    let domain = domain(16 * MB);
    let build = |trims: bool| {
        let pool = Pool::builder("texts", || Vec::<u8>::with_capacity(100)).max_kb(4);
        let pool = if trims { pool.trim_to(|text, bytes| text.shrink_to(bytes as usize / 2)) } else { pool };
        pool.build_in(&domain).unwrap()
    };
    for trims in [true, false] {
        let pool = build(trims);
        let mut text = pool.acquire();
        text.reserve_exact(100_000);
        drop(text);
        assert_eq!(pool.idle(), usize::from(trims));
        assert!(pool.weight() < 8192, "{}", pool.weight());
        assert!(pool.acquire().capacity() <= 4096);
    }
    check(&domain);
}

#[test]
fn no_more_wait_than_may_and_no_more_live_than_may() {
    let domain = domain(MB);
    let pool = numbers(&Arc::default()).max(6).max_idle(2).build_in(&domain).unwrap();
    let leases: Vec<_> = (0..10).map(|_| pool.acquire()).collect();
    assert_eq!((pool.stats().entries, pool.leased()), (6, 10));
    drop(leases);
    assert_eq!((pool.idle(), pool.stats().entries), (2, 2));
    pool.resize(1);
    assert_eq!((pool.idle(), pool.stats().max_entries), (1, Some(1)));
    let extra = pool.create();
    let lease = pool.acquire();
    drop(extra);
    drop(lease);
    assert_eq!((pool.idle(), pool.stats().entries), (1, 1));
}

#[test]
fn an_object_may_leave_and_come_back() {
    let domain = domain(MB);
    let pool = numbers(&Arc::default()).max(1).build_in(&domain).unwrap();
    let number = Pooled::detach(pool.acquire());
    assert_eq!((number, pool.stats().entries), (0, 0));
    assert_eq!(pool.put(40), Ok(()));
    assert_eq!(pool.put(41), Err(41), "there is one already");
    assert_eq!((*pool.acquire(), pool.leased()), (40, 1));
    Pooled::discard(pool.acquire());
    assert_eq!((pool.idle(), pool.stats().entries), (0, 0));
    pool.put(42).unwrap();
    pool.retain(|number| {
        *number += 1;
        true
    });
    assert_eq!(*pool.acquire(), 43);
    pool.retain(|_| false);
    assert_eq!(pool.idle(), 0);
    check(&domain);
}

#[test]
fn a_bound_in_bytes_holds_for_pools_that_refuse() {
    let domain = domain(MB);
    let pool = Pool::builder("blocks", || vec![0_u8; 10_000])
        .max_bytes(50_000)
        .fail_when_exhausted()
        .build_in(&domain)
        .unwrap();
    let mut leases = Vec::new();
    let error = loop {
        match pool.try_acquire() {
            Ok(lease) => leases.push(lease),
            Err(error) => break error,
        }
    };
    assert_eq!(leases.len(), 4);
    assert!(matches!(error, AcquireError::Exhausted { .. }), "{error}");
    assert!(pool.weight() <= 50_000);
    drop(leases.pop());
    drop(pool.try_acquire().expect("one came back"));
    check(&domain);
}

#[test]
fn idle_objects_go_before_entries_that_are_worth_as_much_and_leases_never() {
    let domain = domain(256 * 1024);
    let pool = Pool::builder("blocks", || vec![0_u8; 10_000]).build_in(&domain).unwrap();
    let leases: Vec<_> = (0..5).map(|_| pool.acquire()).collect();
    drop((0..10).map(|_| pool.acquire()).collect::<Vec<_>>());
    let cache: Cache<u64, Vec<u8>> = Cache::builder("entries").build_in(&domain).unwrap();
    for key in 0..40 {
        cache.insert(key, vec![0; 10_000]);
        check(&domain);
    }
    assert_eq!((pool.leased(), leases.len()), (5, 5));
    assert!(pool.stats().reclaims >= 8, "{}", domain.stats());
}

/// It stayed idle, and the budget above its limit, until somebody wanted room.
#[test]
fn an_object_that_comes_back_above_a_lowered_limit_goes() {
    let domain = domain(MB);
    let pool = Pool::builder("blocks", || vec![0_u8; 10_000]).build_in(&domain).unwrap();
    let (first, second) = (pool.acquire(), pool.acquire());
    domain.budget().set_limit(15_000);
    drop(first);
    assert_eq!((pool.idle(), pool.leased()), (0, 1), "{}", domain.stats());
    assert!(domain.budget().used() <= 15_000);
    drop(second);
    assert_eq!((pool.idle(), pool.leased()), (1, 0), "there is room for one");
    check(&domain);
}

#[test]
fn short_memory_takes_what_was_idle_for_long_and_leaves_what_is_used() {
    let source = FixedPressure::new(10, 100);
    let domain = Domain::builder().limit_bytes(MB).pressure(source.clone()).manual().build();
    let pool = numbers(&Arc::default()).build_in(&domain).unwrap();
    drop((0..10).map(|_| pool.acquire()).collect::<Vec<_>>());
    source.set(85, 100);
    domain.tick();
    domain.tick();
    assert_eq!(pool.idle(), 10, "a short lull takes nothing");
    for _ in 0..5 {
        domain.tick();
        drop(pool.acquire());
    }
    assert_eq!(pool.idle(), 1, "{}", domain.stats());
}

#[test]
fn options_that_make_no_sense_are_refused_with_advice() {
    let domain = domain(MB);
    let refused = |builder: PoolBuilder<u64>| builder.build_in(&domain).unwrap_err();
    let numbers = || numbers(&Arc::default());
    assert_eq!(refused(numbers().max(0)), PoolError::ZeroCapacity);
    assert_eq!(refused(numbers().max(1).min_idle(2)), PoolError::MinAboveMax { min_idle: 2, max: 1 });
    assert_eq!(refused(numbers().priority(-1.0)), PoolError::Priority(-1.0));
    assert_eq!(refused(numbers().jitter(0.5)), PoolError::JitterWithoutLifetime);
    assert_eq!(refused(numbers().jitter(1.5)), PoolError::Jitter(1.5));
    assert_eq!(refused(numbers().wait()), PoolError::NeverExhausted);
    assert_eq!(refused(numbers().trim_to(|_, _| ())), PoolError::TrimWithoutMax);
}

#[test]
fn threads_on_few_objects_lose_none_and_share_none() {
    struct Alone(AtomicBool, Arc<AtomicU64>);
    impl Drop for Alone {
        fn drop(&mut self) {
            self.1.fetch_sub(1, Ordering::Relaxed);
        }
    }
    // Each cycle may hand an object from one thread to another, by way of the system.
    let cycles = short_or_deep(10_000_000, 100_000_000);
    let domain = domain(MB);
    let alive = Arc::new(AtomicU64::new(0));
    let makes = Arc::clone(&alive);
    let pool = Pool::builder("alone", move || {
        makes.fetch_add(1, Ordering::Relaxed);
        Alone(AtomicBool::new(false), Arc::clone(&makes))
    })
    .max(16)
    .wait()
    .build_in(&domain)
    .unwrap();
    let shared = pool.clone();
    all_at_once("leases of few objects", 32, move |_| {
        for _ in 0..cycles / 32 {
            let lease = shared.acquire();
            assert!(!lease.0.swap(true, Ordering::AcqRel), "handed out twice");
            assert!(lease.0.swap(false, Ordering::AcqRel), "handed out twice");
        }
    });
    let left = alive.load(Ordering::Relaxed);
    assert!(left <= 16, "{left} objects");
    assert_eq!((pool.idle() as u64, pool.leased(), pool.waiting()), (left, 0, 0));
    check(&domain);
    drop(pool);
    assert_eq!((alive.load(Ordering::Relaxed), domain.budget().used()), (0, 0));
}

#[test]
fn ten_million_leases_beside_clears_and_ticks_lose_none_and_share_none() {
    struct Alone(AtomicBool, Arc<AtomicU64>);
    impl Drop for Alone {
        fn drop(&mut self) {
            assert!(!*self.0.get_mut(), "dropped while it was lent");
            self.1.fetch_sub(1, Ordering::Relaxed);
        }
    }
    // Nobody waits here: who finds all sixteen lent gets one more, which goes when it comes back.
    let cycles = short_or_deep(10_000_000, 100_000_000);
    let domain = Arc::new(domain(MB));
    let alive = Arc::new(AtomicU64::new(0));
    let makes = Arc::clone(&alive);
    let pool = Pool::builder("alone", move || {
        makes.fetch_add(1, Ordering::Relaxed);
        Alone(AtomicBool::new(false), Arc::clone(&makes))
    })
    .max(16)
    .build_in(&domain)
    .unwrap();
    let (shared, ticked) = (pool.clone(), Arc::clone(&domain));
    all_at_once("leases of few objects", 32, move |thread| {
        for cycle in 0..cycles / 32 {
            let lease = shared.acquire();
            assert!(!lease.0.swap(true, Ordering::AcqRel), "handed out twice");
            assert!(lease.0.swap(false, Ordering::AcqRel), "handed out twice");
            drop(lease);
            if cycle % 10_000 == 0 {
                match thread % 4 {
                    0 => shared.clear(),
                    1 => ticked.tick(),
                    _ => std::thread::yield_now(),
                }
            }
        }
    });
    let left = alive.load(Ordering::Relaxed);
    assert!(left <= 16, "{left} objects");
    assert_eq!((pool.idle() as u64, pool.leased(), pool.stats().entries), (left, 0, left));
    let stats = pool.stats();
    assert_eq!(stats.hits + stats.misses, cycles / 32 * 32);
    check(&domain);
    drop(pool);
    assert_eq!((alive.load(Ordering::Relaxed), domain.budget().used()), (0, 0));
}

#[test]
fn a_lease_survives_its_thread_and_its_pool() {
    let domain = domain(MB);
    let pool = numbers(&Arc::default()).build_in(&domain).unwrap();
    let lender = pool.clone();
    let lease = std::thread::spawn(move || lender.acquire()).join().unwrap();
    drop(pool);
    assert_eq!(*lease, 0);
    drop(lease);
    assert_eq!(domain.budget().used(), 0);
}

#[test]
fn a_pool_of_one_thread_is_charged_bounded_and_reclaimed_by_its_thread() {
    use std::rc::Rc;
    let (domain, clock) = clocked(MB);
    let pool = Pool::builder("local", || Rc::new([0_u8; 1000]))
        .weigh(|object| 1016 + size_of_val(object) as u64)
        .idle(Duration::from_secs(60))
        .build_on_thread_in(&domain)
        .unwrap();
    drop((0..10).map(|_| pool.acquire()).collect::<Vec<_>>());
    assert_eq!((pool.idle(), pool.leased(), pool.stats().loads), (10, 0, 10));
    assert!(pool.weight() > 10_000);
    // Whoever needs room asks; the thread gives at its next operation.
    let _ = domain.trim(u64::MAX);
    assert_eq!(domain.stats().tenants[0].entries, 10, "nobody else touches them");
    let lease = pool.acquire();
    assert_eq!((pool.stats().reclaims, pool.stats().entries), (10, 1));
    drop(lease);
    // Time passes for idle objects, too.
    clock.advance(Duration::from_secs(61));
    domain.tick();
    drop(pool.acquire());
    assert_eq!((pool.idle(), pool.stats().entries), (1, 1));
    // What comes when it can't be charged is still lent.
    let cache: Cache<u64, Vec<u8>> = Cache::builder("rest").build_in(&domain).unwrap();
    (0..100).for_each(|key| cache.insert(key, vec![0; 20_000]));
    drop((0..10).map(|_| pool.acquire()).collect::<Vec<_>>());
    check(&domain);
    drop((pool, cache));
    assert_eq!(domain.budget().used(), 0);
}

#[test]
fn a_pool_of_one_thread_under_a_budget_of_zero_lends_and_keeps_nothing() {
    let domain = domain(0);
    let pool = Pool::builder("local", || std::rc::Rc::new(0_u8)).build_on_thread_in(&domain).unwrap();
    for _ in 0..3 {
        drop(pool.acquire());
        assert_eq!((pool.idle(), domain.budget().used()), (0, 0));
    }
    assert_eq!(pool.stats().loads, 3);
}

#[test]
fn tasks_of_one_thread_wait_for_its_objects() {
    use std::rc::Rc;
    let domain = domain(MB);
    let pool = Pool::builder("local", || Rc::new(0_u8))
        .max(1)
        .fail_when_exhausted()
        .build_on_thread_in(&domain)
        .unwrap();
    let lease = pool.try_acquire().unwrap();
    let mut waits = pin!(pool.acquire_async());
    assert!(ask(waits.as_mut()).is_pending());
    drop(lease);
    assert!(matches!(ask(waits), Poll::Ready(Ok(_))));
    let waiting = Pool::builder("local", || Rc::new(0_u8)).max(1).wait().build_on_thread_in(&domain);
    assert_eq!(waiting.unwrap_err(), PoolError::WaitOnThread);
}

#[test]
fn a_plan_leaves_a_pool_what_its_leases_need() {
    let (domain, clock) = clocked(MB);
    let made = {
        let clock = clock.clone();
        move || {
            clock.advance(Duration::from_micros(50));
            vec![0_u8; 2000]
        }
    };
    let pool = Pool::builder("bursts", made).build_in(&domain).unwrap();
    let scan = Cache::<u64, [u64; 12]>::builder("scan")
        .cost(|_, _| Duration::from_micros(8))
        .build_in(&domain)
        .unwrap();
    let mut next = 0;
    let mut round = |wanted: usize| {
        for _ in 0..5 {
            let leases: Vec<_> = (0..wanted).map(|_| pool.acquire()).collect();
            drop(leases);
        }
        for key in next..next + 8000 {
            scan.get_or_insert_with(key, || [key; 12]);
        }
        next += 8000;
        clock.advance(Duration::from_secs(11));
        domain.tick();
        pool.stats().target.unwrap_or(0)
    };
    // Until the plan is there the scan takes what is idle.
    (0..6).for_each(|_| _ = round(40));
    let loads = pool.stats().loads;
    let most = (0..6).map(|_| round(40)).max().unwrap();
    assert!(most >= 40 * 2000, "{most} bytes for 40 objects of 2,000");
    assert_eq!(pool.stats().loads, loads, "none was made again");
    let least = (0..30).map(|_| round(3)).min().unwrap();
    assert!(least < 40 * 2000, "{least} bytes for 3 objects of 2,000");
    check(&domain);
}
