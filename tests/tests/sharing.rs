//! How the callers of one missing value share its computation: no longer than `wait_at_most`, not at all without
//! `single_flight`, and beyond their own lives with a detached load. Domains of their own; most tests poll by hand.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Barrier, Mutex, mpsc};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use larder::testing::ManualClock;
use larder::{BuildError, Builder, Cache, Domain, Task};
use larder_tests::patience;
use tokio::sync::{Notify, oneshot};

const SECOND: Duration = Duration::from_secs(1);
const NANO: Duration = Duration::from_nanos(1);

fn clocked() -> (Domain, ManualClock) {
    let clock = ManualClock::new();
    (Domain::builder().limit_bytes(64 << 20).clock(clock.clone()).manual().build(), clock)
}

fn build(domain: &Domain, rules: impl FnOnce(Builder<u64, u64>) -> Builder<u64, u64>) -> Cache<u64, u64> {
    rules(Cache::builder("shared")).build_in(domain).expect("the options are sound")
}

/// Counts how often it is woken.
#[derive(Default)]
struct Woken(AtomicU64);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// A future that is polled by hand, and knows whether it was woken since.
struct Hand<F> {
    future: Pin<Box<F>>,
    woken: Arc<Woken>,
}

impl<F: Future> Hand<F> {
    fn new(future: F) -> Self {
        Self { future: Box::pin(future), woken: Arc::default() }
    }

    fn poll(&mut self) -> Poll<F::Output> {
        self.woken.0.store(0, Ordering::SeqCst);
        let waker = Waker::from(Arc::clone(&self.woken));
        self.future.as_mut().poll(&mut Context::from_waker(&waker))
    }

    fn is_woken(&self) -> bool {
        self.woken.0.load(Ordering::SeqCst) > 0
    }
}

/// An executor that runs its tasks when it is told to.
#[derive(Clone, Default)]
struct Queue(Arc<Mutex<Vec<Hand<Task>>>>);

impl Queue {
    fn spawn(&self) -> impl Fn(Task) + Send + Sync + 'static {
        let queue = self.clone();
        move |task| queue.0.lock().unwrap().push(Hand::new(task))
    }

    /// Polls each task once; how many are left.
    fn turn(&self) -> usize {
        let mut tasks = std::mem::take(&mut *self.0.lock().unwrap());
        tasks.retain_mut(|task| task.poll().is_pending());
        let mut all = self.0.lock().unwrap();
        all.append(&mut tasks);
        all.len()
    }

    fn is_woken(&self) -> bool {
        self.0.lock().unwrap().iter().any(Hand::is_woken)
    }

    /// Drops all tasks.
    fn shut_down(&self) {
        let tasks = std::mem::take(&mut *self.0.lock().unwrap());
        drop(tasks);
    }
}

fn queued() -> (Domain, Queue) {
    let queue = Queue::default();
    (Domain::builder().limit_bytes(64 << 20).manual().executor(queue.spawn()).build(), queue)
}

/// Says when it is dropped.
struct Told(Arc<AtomicBool>);

impl Drop for Told {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// Runs on a thread of its own, and fails instead of hanging.
fn in_time<R: Send + 'static>(what: &str, work: impl FnOnce() -> R + Send + 'static) -> R {
    let (done, finished) = mpsc::channel();
    let thread = std::thread::spawn(move || {
        let _ = done.send(work());
    });
    match finished.recv_timeout(patience()) {
        Ok(result) => {
            thread.join().expect("it has ended well");
            result
        }
        Err(mpsc::RecvTimeoutError::Timeout) => panic!("stuck: {what}"),
        Err(mpsc::RecvTimeoutError::Disconnected) => {
            std::panic::resume_unwind(thread.join().expect_err("it has panicked"))
        }
    }
}

// How long a caller waits.

#[test]
fn a_task_waits_as_long_as_it_may_and_not_longer() {
    let (domain, clock) = clocked();
    let cache = build(&domain, |builder| builder.wait_at_most(2 * SECOND));
    let gate = Notify::new();
    let mut leader = Hand::new(cache.get_or_insert_async(1, async {
        gate.notified().await;
        10
    }));
    assert!(leader.poll().is_pending());
    let mut waiter = Hand::new(cache.get_or_insert_async(1, async { 20 }));
    assert!(waiter.poll().is_pending());
    clock.advance(2 * SECOND - NANO);
    assert!(!waiter.is_woken());
    assert!(waiter.poll().is_pending(), "not yet");
    clock.advance(NANO);
    assert!(waiter.is_woken() && !leader.is_woken());
    assert_eq!(waiter.poll(), Poll::Ready(20));
    assert_eq!(cache.get(1), Some(20));
    gate.notify_one();
    assert_eq!(leader.poll(), Poll::Ready(10), "who leads has its own value");
    assert_eq!(cache.get(1), Some(20), "and what is there stays");
    assert_eq!((cache.stats().loads, cache.stats().waits), (2, 1));
}

#[test]
fn the_time_is_for_the_whole_call() {
    let (domain, clock) = clocked();
    let cache = build(&domain, |builder| builder.wait_at_most(2 * SECOND));
    let forever = || Hand::new(cache.get_or_insert_async(1, std::future::pending()));
    let mut first = forever();
    assert!(first.poll().is_pending());
    let mut second = forever();
    let mut waiter = Hand::new(cache.get_or_insert_async(1, async { 3 }));
    assert!(second.poll().is_pending() && waiter.poll().is_pending());
    clock.advance(SECOND);
    drop(first);
    assert!(second.is_woken() && waiter.is_woken());
    assert!(second.poll().is_pending(), "the second leads now");
    assert!(waiter.poll().is_pending());
    clock.advance(SECOND);
    assert!(waiter.is_woken());
    assert_eq!(waiter.poll(), Poll::Ready(3));
    drop(second);
    assert_eq!(cache.stats().load_failures, 2);
}

#[test]
fn a_cancelled_waiter_leaves_no_alarm() {
    let (domain, clock) = clocked();
    let cache = build(&domain, |builder| builder.wait_at_most(SECOND));
    let mut leader = Hand::new(cache.get_or_insert_async(1, std::future::pending()));
    assert!(leader.poll().is_pending());
    let woken = {
        let mut waiter = Hand::new(cache.get_or_insert_async(1, async { 2 }));
        assert!(waiter.poll().is_pending());
        Arc::clone(&waiter.woken)
    };
    assert_eq!(Arc::strong_count(&woken), 1, "neither the flight nor the clock knows it any more");
    clock.advance(SECOND);
    assert_eq!(woken.0.load(Ordering::SeqCst), 0);
    let reads = clock.reads();
    domain.tick();
    assert_eq!(clock.reads() - reads, 1, "without an alarm a tick reads the time for expiry alone");
}

#[test]
fn a_bound_costs_a_hit_and_a_leader_no_look_at_the_clock() {
    let (domain, clock) = clocked();
    let cache = build(&domain, |builder| builder.wait_at_most(SECOND));
    assert_eq!(cache.get_or_insert_with(1, || 5), 5);
    let reads = clock.reads();
    for _ in 0..100 {
        assert_eq!((cache.get(1), cache.get_or_insert_with(1, || unreachable!())), (Some(5), 5));
    }
    assert_eq!(clock.reads(), reads);
    assert_eq!(cache.get_or_insert_with(2, || 6), 6);
    assert_eq!(clock.reads(), reads + 2, "what the body took is measured, and nothing else");
}

#[test]
fn threads_stop_waiting_when_a_manual_clock_says_so() {
    let (domain, clock) = clocked();
    let cache = build(&domain, |builder| builder.wait_at_most(SECOND));
    in_time("threads whose time is over", move || {
        let (open, gate) = mpsc::channel::<()>();
        std::thread::scope(|scope| {
            let (begun, has_begun) = mpsc::channel();
            let leads = &cache;
            let leader = scope.spawn(move || {
                leads.get_or_insert_with(1, || {
                    begun.send(()).unwrap();
                    gate.recv().unwrap();
                    10
                })
            });
            has_begun.recv().unwrap();
            let waiters: Vec<_> = (0..8)
                .map(|at| {
                    scope.spawn({
                        let cache = &cache;
                        move || cache.get_or_insert_with(1, || 20 + at)
                    })
                })
                .collect();
            // Whoever begins to wait after one of these steps is met by the next.
            while !waiters.iter().all(std::thread::ScopedJoinHandle::is_finished) {
                clock.advance(SECOND);
                std::thread::yield_now();
            }
            for waiter in waiters {
                assert!((20..28).contains(&waiter.join().unwrap()));
            }
            assert!(cache.get(1).is_some_and(|value| value >= 20));
            open.send(()).unwrap();
            assert_eq!(leader.join().unwrap(), 10);
            assert!(cache.get(1).is_some_and(|value| value >= 20), "the leader came too late to store");
        });
    });
}

#[test]
fn a_thread_needs_nobody_to_wake_it() {
    let domain = Domain::builder().limit_bytes(1 << 20).manual().build();
    let cache = build(&domain, |builder| builder.wait_at_most(Duration::from_millis(1)));
    let mut leader = Hand::new(cache.get_or_insert_async(1, std::future::pending()));
    assert!(leader.poll().is_pending());
    let waits = cache.clone();
    assert_eq!(in_time("a thread with the real clock", move || waits.get_or_insert_with(1, || 7)), 7);
    assert_eq!(cache.get(1), Some(7));
}

#[test]
fn the_background_thread_wakes_tasks() {
    // Two waits, a long one first: the thread has to be told of the sooner alarm.
    let domain = Domain::builder().limit_bytes(1 << 20).build();
    let long = build(&domain, |builder| builder.wait_at_most(3600 * SECOND));
    let short = build(&domain, |builder| builder.wait_at_most(Duration::from_millis(1)));
    let mut leaders =
        [&long, &short].map(|cache| Hand::new(cache.get_or_insert_async(1, std::future::pending())));
    assert!(leaders.iter_mut().all(|leader| leader.poll().is_pending()));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
    let (long, short) = (long.clone(), short.clone());
    let waits = runtime.spawn(async move { long.get_or_insert_async(1, async { 1 }).await });
    let value = runtime.spawn(async move { short.get_or_insert_async(1, async { 2 }).await });
    let on = runtime.handle().clone();
    assert_eq!(in_time("a task with the real clock", move || on.block_on(value).unwrap()), 2);
    assert!(!waits.is_finished());
}

#[test]
fn without_a_background_thread_a_tick_wakes_tasks() {
    let domain = Domain::builder().limit_bytes(1 << 20).manual().build();
    let cache = build(&domain, |builder| builder.wait_at_most(Duration::from_millis(1)));
    let mut leader = Hand::new(cache.get_or_insert_async(1, std::future::pending()));
    assert!(leader.poll().is_pending());
    let mut waiter = Hand::new(cache.get_or_insert_async(1, async { 2 }));
    if let Poll::Ready(value) = waiter.poll() {
        // A machine that stood still for a millisecond.
        return assert_eq!(value, 2);
    }
    while !waiter.is_woken() {
        domain.tick();
        std::thread::yield_now();
    }
    assert_eq!(waiter.poll(), Poll::Ready(2));
}

#[test]
fn options_that_make_no_sense_say_so() {
    let (domain, _) = clocked();
    let error = |rules: fn(Builder<u64, u64>) -> Builder<u64, u64>| {
        rules(Cache::builder("odd")).build_in(&domain).map(drop).unwrap_err()
    };
    assert_eq!(error(|builder| builder.wait_at_most(Duration::ZERO)), BuildError::ZeroWait);
    let nobody = error(|builder| builder.wait_at_most(SECOND).single_flight(false));
    assert_eq!(nobody, BuildError::WaitWithoutFlight);
    assert!(nobody.to_string().contains("nobody waits"), "{nobody}");
    build(&domain, |builder| builder.wait_at_most(Duration::MAX).single_flight(true));
}

// Everybody alone.

#[test]
fn without_single_flight_everybody_runs_and_the_first_value_stays() {
    let (domain, _) = clocked();
    let cache = build(&domain, |builder| builder.single_flight(false));
    let worker = cache.clone();
    in_time("eight bodies that meet", move || {
        let (meet, order) = (Barrier::new(8), AtomicU64::new(0));
        std::thread::scope(|scope| {
            for at in 0..8 {
                let (meet, order, worker) = (&meet, &order, &worker);
                scope.spawn(move || {
                    let value = worker.get_or_insert_with(1, || {
                        // Nobody waits for another, or this would never end.
                        meet.wait();
                        order.fetch_add(1, Ordering::SeqCst);
                        at
                    });
                    assert_eq!(value, at, "everybody has its own");
                });
            }
        });
        assert_eq!(order.into_inner(), 8);
    });
    let stats = cache.stats();
    assert_eq!((stats.loads, stats.waits, stats.rejections, cache.len()), (8, 0, 7, 1));
}

#[test]
fn what_is_written_or_invalidated_meanwhile_wins_over_who_computes_alone() {
    let (domain, clock) = clocked();
    let cache = build(&domain, |builder| builder.single_flight(false).ttl(SECOND));
    assert_eq!(
        cache.get_or_insert_with(1, || {
            cache.invalidate(1);
            10
        }),
        10
    );
    assert_eq!(cache.get(1), None, "computed before the invalidation, as far as anybody can tell");
    assert_eq!(
        cache.get_or_insert_with(2, || {
            cache.insert(2, 21);
            // The written value is gone again when the body ends: still, what the body read was older.
            clock.advance(SECOND);
            domain.tick();
            20
        }),
        20
    );
    assert_eq!((cache.get(2), cache.len()), (None, 0));
    assert_eq!(
        cache.get_or_insert_with(3, || {
            cache.clear();
            30
        }),
        30
    );
    assert_eq!(cache.get(3), None);
    assert_eq!(cache.get_or_insert_with(3, || 31), 31);
    assert_eq!(cache.get(3), Some(31));
}

#[test]
fn tasks_run_alone_too_and_errors_and_panics_are_their_own() {
    let (domain, queue) = queued();
    let cache = build(&domain, |builder| builder.single_flight(false));
    let gate = Arc::new(Notify::new());
    let load = |value| {
        let gate = Arc::clone(&gate);
        async move {
            gate.notified().await;
            value
        }
    };
    let mut first = Hand::new(cache.get_or_insert_async(1, load(1)));
    let mut second = Hand::new(cache.get_or_insert_detached(1, load(2)));
    assert!(first.poll().is_pending() && second.poll().is_pending());
    assert_eq!(queue.turn(), 0, "what has one caller is not detached");
    let failed: Result<u64, &str> = cache.try_get_or_insert_with(1, || Err("on purpose"));
    assert_eq!(failed, Err("on purpose"));
    assert!(catch_unwind(AssertUnwindSafe(|| cache.get_or_insert_with(1, || panic!("on purpose")))).is_err());
    gate.notify_waiters();
    assert_eq!((second.poll(), first.poll()), (Poll::Ready(2), Poll::Ready(1)));
    assert_eq!((cache.get(1), cache.stats().load_failures), (Some(2), 2));
}

// Loads that an executor runs.

#[test]
fn a_detached_load_outlives_the_caller_that_began_it() {
    let (domain, queue) = queued();
    let cache = build(&domain, |builder| builder);
    let (open, gate) = oneshot::channel::<u64>();
    let mut began = Hand::new(cache.get_or_insert_detached(1, async { gate.await.unwrap() }));
    assert!(began.poll().is_pending());
    assert_eq!(queue.turn(), 1);
    let mut waiter = Hand::new(cache.get_or_insert_async(1, async { unreachable!("somebody computes it") }));
    assert!(waiter.poll().is_pending());
    drop(began);
    assert!(!waiter.is_woken() && !queue.is_woken(), "nothing has happened");
    assert_eq!(queue.turn(), 1);
    open.send(42).unwrap();
    assert!(queue.is_woken());
    assert_eq!(queue.turn(), 0);
    assert!(waiter.is_woken());
    assert_eq!((waiter.poll(), cache.get(1)), (Poll::Ready(42), Some(42)));
    assert_eq!((cache.stats().loads, cache.stats().load_failures), (1, 0));
}

#[test]
fn a_detached_load_whose_callers_all_leave_is_dropped() {
    let (domain, queue) = queued();
    let cache = build(&domain, |builder| builder);
    let dropped = Arc::new(AtomicBool::new(false));
    let told = Told(Arc::clone(&dropped));
    let mut began = Hand::new(cache.get_or_insert_detached(1, async move {
        let _told = told;
        std::future::pending().await
    }));
    let mut waiter = Hand::new(cache.get_or_insert_detached(1, async { 2 }));
    assert!(began.poll().is_pending() && waiter.poll().is_pending());
    assert_eq!(queue.turn(), 1);
    drop(began);
    assert_eq!(queue.turn(), 1);
    drop(waiter);
    assert!(queue.is_woken(), "the executor is told that it need not go on");
    // Somebody comes before it has heard: another load begins, and the old one ends all the same.
    let mut next = Hand::new(cache.get_or_insert_detached(1, async { 3 }));
    assert!(next.poll().is_pending());
    assert_eq!(queue.turn(), 0);
    assert!(dropped.load(Ordering::SeqCst));
    assert_eq!((next.poll(), cache.get(1)), (Poll::Ready(3), Some(3)));
    assert_eq!((cache.stats().loads, cache.stats().load_failures), (1, 1));
}

#[test]
fn a_thread_that_waits_keeps_a_detached_load_alive() {
    let (domain, queue) = queued();
    let cache = build(&domain, |builder| builder);
    let (open, gate) = oneshot::channel::<u64>();
    let mut began = Hand::new(cache.get_or_insert_detached(1, async { gate.await.unwrap() }));
    assert!(began.poll().is_pending());
    let waits = cache.clone();
    let thread =
        std::thread::spawn(move || waits.get_or_insert_with(1, || unreachable!("somebody computes it")));
    while cache.stats().waits < 1 {
        std::thread::yield_now();
    }
    drop(began);
    assert_eq!(queue.turn(), 1);
    open.send(8).unwrap();
    assert_eq!(queue.turn(), 0);
    assert_eq!(in_time("a thread that waits for a task", move || thread.join().unwrap()), 8);
}

#[test]
fn an_error_and_a_panic_are_those_of_the_caller_that_began() {
    let (domain, queue) = queued();
    let cache = build(&domain, |builder| builder);
    let mut began = Hand::new(cache.try_get_or_insert_detached(1, async { Err("on purpose") }));
    let mut waiter =
        Hand::new(cache.get_or_insert_detached(1, async { panic!("a body that fails, on purpose") }));
    let mut last = Hand::new(cache.get_or_insert_detached(1, async { 5 }));
    assert!(began.poll().is_pending() && waiter.poll().is_pending() && last.poll().is_pending());
    assert_eq!(queue.turn(), 0);
    assert_eq!(began.poll(), Poll::Ready(Err("on purpose")));
    assert!(waiter.poll().is_pending(), "it leads now");
    assert!(last.poll().is_pending());
    assert_eq!(queue.turn(), 0, "the executor does not see the panic");
    let panic = catch_unwind(AssertUnwindSafe(|| waiter.poll())).unwrap_err();
    assert_eq!(panic.downcast_ref::<&str>(), Some(&"a body that fails, on purpose"));
    assert!(last.poll().is_pending());
    assert_eq!(queue.turn(), 0);
    assert_eq!((last.poll(), cache.get(1)), (Poll::Ready(5), Some(5)));
    assert_eq!((cache.stats().loads, cache.stats().load_failures), (1, 2));
}

#[test]
fn a_panic_of_what_weighs_the_value_loses_nobody() {
    let (domain, queue) = queued();
    let cache = build(&domain, |builder| {
        builder.weigh(|_, value| if *value == 13 { panic!("a weigher that fails, on purpose") } else { 16 })
    });
    let mut began = Hand::new(cache.get_or_insert_detached(1, async { 13 }));
    let mut waiter = Hand::new(cache.get_or_insert_detached(1, async { 14 }));
    assert!(began.poll().is_pending() && waiter.poll().is_pending());
    assert_eq!(queue.turn(), 0);
    assert!(catch_unwind(AssertUnwindSafe(|| began.poll())).is_err());
    assert!(waiter.poll().is_pending());
    assert_eq!(queue.turn(), 0);
    assert_eq!((waiter.poll(), cache.get(1)), (Poll::Ready(14), Some(14)));
}

#[test]
fn when_the_executor_drops_the_task_its_caller_goes_on() {
    let (domain, queue) = queued();
    let cache = build(&domain, |builder| builder);
    let steps = Arc::new(AtomicU64::new(0));
    let (open, gate) = oneshot::channel::<u64>();
    let load = {
        let steps = Arc::clone(&steps);
        async move {
            steps.fetch_add(1, Ordering::SeqCst);
            gate.await.unwrap()
        }
    };
    let mut began = Hand::new(cache.get_or_insert_detached(1, load));
    let mut waiter =
        Hand::new(cache.get_or_insert_detached(1, async { unreachable!("somebody computes it") }));
    assert!(began.poll().is_pending() && waiter.poll().is_pending());
    assert_eq!(queue.turn(), 1);
    queue.shut_down();
    assert!(began.is_woken() && waiter.is_woken());
    assert!(began.poll().is_pending() && waiter.poll().is_pending());
    open.send(6).unwrap();
    assert!(began.is_woken());
    assert_eq!((began.poll(), waiter.poll()), (Poll::Ready(6), Poll::Ready(6)));
    assert_eq!((steps.load(Ordering::SeqCst), cache.get(1)), (1, Some(6)), "one body, which was begun once");
    assert_eq!((cache.stats().loads, cache.stats().load_failures), (1, 0));
}

#[test]
fn when_the_executor_drops_the_task_and_its_caller_is_gone_a_waiter_takes_over() {
    let (domain, queue) = queued();
    let cache = build(&domain, |builder| builder);
    let dropped = Arc::new(AtomicBool::new(false));
    let told = Told(Arc::clone(&dropped));
    let mut began = Hand::new(cache.get_or_insert_detached(1, async move {
        let _told = told;
        std::future::pending().await
    }));
    let mut waiter = Hand::new(cache.get_or_insert_detached(1, async { 7 }));
    assert!(began.poll().is_pending() && waiter.poll().is_pending());
    drop(began);
    queue.shut_down();
    assert!(dropped.load(Ordering::SeqCst) && waiter.is_woken());
    assert!(waiter.poll().is_pending(), "on the executor, once more");
    assert_eq!(queue.turn(), 0);
    assert_eq!(waiter.poll(), Poll::Ready(7));
}

#[test]
fn a_body_that_comes_back_after_an_invalidation_is_its_callers_alone() {
    let (domain, queue) = queued();
    let cache = build(&domain, |builder| builder);
    let mut began = Hand::new(cache.get_or_insert_detached(1, async { 1 }));
    assert!(began.poll().is_pending());
    cache.invalidate(1);
    queue.shut_down();
    assert_eq!((began.poll(), cache.get(1), cache.stats().rejections), (Poll::Ready(1), None, 1));
}

#[test]
fn executors_that_run_at_once_drop_at_once_or_panic_lose_nobody() {
    let at_once = |task: Task| assert!(Hand::new(task).poll().is_ready());
    let domain = Domain::builder().limit_bytes(1 << 20).manual().executor(at_once).build();
    let cache = build(&domain, |builder| builder);
    assert_eq!(Hand::new(cache.get_or_insert_detached(1, async { 1 })).poll(), Poll::Ready(1));
    domain.set_executor(drop);
    assert_eq!(Hand::new(cache.get_or_insert_detached(2, async { 2 })).poll(), Poll::Ready(2));
    domain.set_executor(|_| panic!("an executor that fails, on purpose"));
    let failed =
        catch_unwind(AssertUnwindSafe(|| Hand::new(cache.get_or_insert_detached(3, async { 3 })).poll()));
    assert!(failed.is_err());
    assert_eq!(cache.get_or_insert_with(3, || 4), 4, "nothing is left of the load that failed");
    assert_eq!(cache.len(), 3);
}

#[test]
fn without_an_executor_it_says_what_to_do() {
    let (domain, _) = clocked();
    let cache = build(&domain, |builder| builder);
    let call = || Hand::new(cache.get_or_insert_detached(1, async { 1 })).poll();
    let panic = catch_unwind(AssertUnwindSafe(call)).unwrap_err();
    let text = panic.downcast_ref::<String>().expect("a text");
    assert!(text.contains("larder::set_executor(|task| { tokio::spawn(task); })"), "{text}");
    cache.insert(1, 5);
    assert_eq!(call(), Poll::Ready(5), "a hit needs none");
    cache.invalidate(1);
    domain.set_bypass(true);
    assert_eq!(call(), Poll::Ready(1), "nor does a cache that is off");
}

#[test]
fn detached_bodies_that_need_each_other_run_instead_of_waiting() {
    let (domain, queue) = queued();
    let (left, right) = (build(&domain, |builder| builder), build(&domain, |builder| builder));
    let need = |own: &Cache<u64, u64>, other: &Cache<u64, u64>| {
        let (own, other) = (own.clone(), other.clone());
        async move {
            let load = async move {
                tokio::task::yield_now().await;
                other.get_or_insert_detached(0, async { 1 }).await
            };
            own.get_or_insert_detached(0, load).await
        }
    };
    let (mut a, mut b) = (Hand::new(need(&left, &right)), Hand::new(need(&right, &left)));
    assert!(a.poll().is_pending() && b.poll().is_pending());
    for _ in 0..4 {
        queue.turn();
    }
    assert_eq!((a.poll(), b.poll(), queue.turn()), (Poll::Ready(1), Poll::Ready(1), 0));
}

#[test]
fn a_body_that_needs_a_detached_one_that_needs_it_runs_instead_of_waiting() {
    for at_once in [false, true] {
        let (domain, queue) = queued();
        if at_once {
            // The body runs inside the poll of the caller that began it.
            let queue = queue.clone();
            domain.set_executor(move |task| {
                let mut task = Hand::new(task);
                if task.poll().is_pending() {
                    queue.0.lock().unwrap().push(task);
                }
            });
        }
        let (outer, inner) = (build(&domain, |builder| builder), build(&domain, |builder| builder));
        let (needs, own) = (inner.clone(), outer.clone());
        let mut call = Hand::new(outer.get_or_insert_async(0, async move {
            needs
                .get_or_insert_detached(
                    0,
                    async move { own.get_or_insert_detached(0, async { 4 }).await + 1 },
                )
                .await
                + 1
        }));
        let mut turns = 0;
        let value = loop {
            if let Poll::Ready(value) = call.poll() {
                break value;
            }
            queue.turn();
            turns += 1;
            assert!(turns < 10, "stuck");
        };
        assert_eq!(value, 6);
    }
}

#[test]
fn a_waiter_of_a_detached_load_is_as_impatient_as_others() {
    let (domain, clock) = clocked();
    let queue = Queue::default();
    domain.set_executor(queue.spawn());
    let cache = build(&domain, |builder| builder.wait_at_most(SECOND));
    let (open, gate) = oneshot::channel::<u64>();
    let mut began = Hand::new(cache.get_or_insert_detached(1, async { gate.await.unwrap() }));
    let mut waiter = Hand::new(cache.get_or_insert_detached(1, async { 2 }));
    assert!(began.poll().is_pending() && waiter.poll().is_pending());
    assert_eq!(queue.turn(), 1);
    clock.advance(SECOND);
    assert!(waiter.is_woken() && !began.is_woken(), "who began does not wait for another");
    assert_eq!(waiter.poll(), Poll::Ready(2));
    open.send(1).unwrap();
    assert_eq!(queue.turn(), 0);
    assert_eq!((began.poll(), cache.get(1)), (Poll::Ready(1), Some(2)));
}

#[test]
fn a_runtime_that_shuts_down_leaves_its_bodies_to_their_callers() {
    let elsewhere = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build().unwrap();
    let handle = elsewhere.handle().clone();
    let domain = Domain::builder().limit_bytes(1 << 20).manual();
    let domain = domain.executor(move |task| drop(handle.spawn(task))).build();
    let cache = build(&domain, |builder| builder);
    let here = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
    let (started, has_started) = oneshot::channel();
    let (open, gate) = oneshot::channel::<u64>();
    let call = here.spawn({
        let cache = cache.clone();
        let load = async move {
            let _ = started.send(());
            gate.await.unwrap()
        };
        async move { cache.get_or_insert_detached(1, load).await }
    });
    in_time("a runtime that shuts down", move || {
        here.block_on(has_started).unwrap();
        elsewhere.shutdown_background();
        open.send(9).unwrap();
        assert_eq!(here.block_on(call).unwrap(), 9);
        // Nothing runs there any more; what begins later runs where it is called.
        assert_eq!(here.block_on(cache.get_or_insert_detached(2, async { 10 })), 10);
        assert_eq!((cache.get(1), cache.get(2)), (Some(9), Some(10)));
    });
}
