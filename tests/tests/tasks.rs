//! Single-flight among tasks, and among tasks and threads: one run, no lost wake-up, nobody left behind when a leader
//! fails, panics or is cancelled. Domains of their own; the executor is tokio's, with four workers.

use std::convert::Infallible;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::task::{Context, Poll, Waker};

use larder::{Cache, Domain};
use larder_tests::{patience, short_or_deep};
use tokio::runtime::Runtime;
use tokio::sync::{Notify, oneshot};

fn cache(domain: &Domain) -> Cache<u64, u64> {
    Cache::builder("tasks").build_in(domain).expect("the options are sound")
}

fn domain() -> Domain {
    Domain::builder().limit_bytes(16 << 20).manual().build()
}

/// Runs `test` on four workers and fails, instead of hanging, when it is stuck.
fn run<F: Future<Output = ()> + Send + 'static>(test: F) {
    let runtime = Arc::new(tokio::runtime::Builder::new_multi_thread().worker_threads(4).build().unwrap());
    let (done, finished) = mpsc::channel();
    let on: Arc<Runtime> = Arc::clone(&runtime);
    let thread = std::thread::spawn(move || {
        on.block_on(test);
        let _ = done.send(());
    });
    if finished.recv_timeout(patience()) == Err(mpsc::RecvTimeoutError::Timeout) {
        panic!("stuck for {:?}: a lost wake-up or a deadlock", patience());
    }
    if let Err(panic) = thread.join() {
        std::panic::resume_unwind(panic);
    }
}

/// Polls once, with a waker that does nothing.
fn poll_once<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

#[test]
fn ten_thousand_tasks_on_one_cold_key_run_once() {
    run(async {
        for round in 0..short_or_deep(5, 100) {
            let domain = domain();
            let cache = cache(&domain);
            let runs = Arc::new(AtomicU64::new(0));
            let tasks: Vec<_> = (0..10_000)
                .map(|_| {
                    let (cache, runs) = (cache.clone(), Arc::clone(&runs));
                    tokio::spawn(async move {
                        cache
                            .get_or_insert_async(round, async {
                                runs.fetch_add(1, Ordering::SeqCst);
                                tokio::task::yield_now().await;
                                7
                            })
                            .await
                    })
                })
                .collect();
            for task in tasks {
                assert_eq!(task.await.unwrap(), 7);
            }
            assert_eq!(runs.load(Ordering::SeqCst), 1);
        }
    });
}

/// What befalls the first body of each generation.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fate {
    Fine,
    Panics,
    Fails,
    IsCancelled,
    AsksForItsOwnKey,
    AsksForOneThatAsksForIt,
}

/// How the callers ask.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Ask {
    Attached,
    Detached,
    /// With a bound that nobody reaches.
    InTime,
}

/// 10,000 tasks on four workers and one key, an invalidation before each generation. In each, exactly one body brings
/// a value, everybody gets that one, and of the bodies before it exactly one had a fate.
fn storm(fate: Fate, ask: Ask) {
    const TASKS: u64 = 10_000;
    run(async move {
        let spawn = |task| drop(tokio::spawn(task));
        let domain = Domain::builder().limit_bytes(16 << 20).manual().executor(spawn).build();
        let builder = Cache::<u64, u64>::builder("storm");
        let builder = if ask == Ask::InTime { builder.wait_at_most(2 * patience()) } else { builder };
        let (cache, other) = (builder.build_in(&domain).expect("sound"), self::cache(&domain));
        let generations = short_or_deep(2, 50);
        for generation in 0..generations {
            cache.invalidate(1);
            other.invalidate(1);
            let (begun, good) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
            let (leads, has_led) = oneshot::channel();
            let leads = Arc::new(std::sync::Mutex::new(Some(leads)));
            let tasks: Vec<_> = (0..TASKS)
                .map(|_| {
                    let (cache, other) = (cache.clone(), other.clone());
                    let (begun, good, leads) = (Arc::clone(&begun), Arc::clone(&good), Arc::clone(&leads));
                    tokio::spawn(async move {
                        let own = cache.clone();
                        let load = async move {
                            let first = begun.fetch_add(1, Ordering::SeqCst) == 0;
                            tokio::task::yield_now().await;
                            let fate = if first { fate } else { Fate::Fine };
                            match fate {
                                Fate::Fine => {}
                                Fate::Panics => panic!("a leader that panics, on purpose"),
                                Fate::Fails => return Err("a leader that fails, on purpose"),
                                Fate::IsCancelled => {
                                    let leads = leads.lock().unwrap().take().expect("one leader is first");
                                    leads.send(tokio::task::try_id()).expect("the test listens");
                                    std::future::pending::<()>().await;
                                }
                                Fate::AsksForItsOwnKey => {
                                    // It can't wait for itself.
                                    let own = own.get_or_insert_async(1, async { generation });
                                    assert_eq!(own.await, generation);
                                }
                                Fate::AsksForOneThatAsksForIt => {
                                    let inner = own.clone();
                                    let asks = async move {
                                        inner.get_or_insert_async(1, async { generation }).await
                                    };
                                    assert_eq!(other.get_or_insert_async(1, asks).await, generation);
                                }
                            }
                            good.fetch_add(1, Ordering::SeqCst);
                            Ok(generation)
                        };
                        match ask {
                            Ask::Detached => cache.try_get_or_insert_detached(1, load).await,
                            Ask::Attached | Ask::InTime => cache.try_get_or_insert_async(1, load).await,
                        }
                    })
                })
                .collect();
            if fate == Fate::IsCancelled {
                let leader = has_led.await.expect("somebody leads");
                let leader = leader.expect("in a task");
                tasks.iter().find(|task| task.id() == leader).expect("one of ours").abort();
            }
            let (mut values, mut failed, mut lost) = (0, 0, 0);
            for task in tasks {
                match task.await {
                    Ok(Ok(value)) => {
                        assert_eq!(value, generation, "a value from before the invalidation");
                        values += 1;
                    }
                    Ok(Err(_)) => failed += 1,
                    Err(_) => lost += 1,
                }
            }
            let expected = match fate {
                Fate::Fails => (TASKS - 1, 1, 0),
                Fate::Panics | Fate::IsCancelled => (TASKS - 1, 0, 1),
                _ => (TASKS, 0, 0),
            };
            assert_eq!((values, failed, lost), expected, "generation {generation}");
            assert_eq!(good.load(Ordering::SeqCst), 1, "exactly one run of generation {generation}");
            let spoilt = u64::from(matches!(fate, Fate::Panics | Fate::Fails | Fate::IsCancelled));
            assert_eq!(begun.load(Ordering::SeqCst), 1 + spoilt);
            assert_eq!(cache.get(1), Some(generation));
        }
        // With the runs that could not wait: those of a key that asks for itself.
        let alone = u64::from(matches!(fate, Fate::AsksForItsOwnKey | Fate::AsksForOneThatAsksForIt));
        assert_eq!(cache.stats().loads, generations * (1 + alone));
    });
}

#[test]
fn ten_thousand_tasks_run_one_body_in_each_generation() {
    for ask in [Ask::Attached, Ask::Detached, Ask::InTime] {
        storm(Fate::Fine, ask);
    }
}

#[test]
fn ten_thousand_tasks_whose_leader_panics() {
    storm(Fate::Panics, Ask::Attached);
    storm(Fate::Panics, Ask::Detached);
}

#[test]
fn ten_thousand_tasks_whose_leader_fails() {
    storm(Fate::Fails, Ask::Attached);
    storm(Fate::Fails, Ask::Detached);
}

#[test]
fn ten_thousand_tasks_whose_leader_is_cancelled() {
    storm(Fate::IsCancelled, Ask::Attached);
    storm(Fate::IsCancelled, Ask::InTime);
}

#[test]
fn ten_thousand_tasks_whose_leader_asks_for_its_own_key() {
    for ask in [Ask::Attached, Ask::Detached, Ask::InTime] {
        storm(Fate::AsksForItsOwnKey, ask);
    }
}

#[test]
fn ten_thousand_tasks_whose_leader_asks_for_one_that_asks_for_it() {
    for ask in [Ask::Attached, Ask::Detached] {
        storm(Fate::AsksForOneThatAsksForIt, ask);
    }
}

#[test]
fn detached_loads_survive_any_half_of_their_callers() {
    run(async {
        let spawn = |task| drop(tokio::spawn(task));
        let domain = Domain::builder().limit_bytes(16 << 20).manual().executor(spawn).build();
        let cache = cache(&domain);
        for round in 0..short_or_deep(5, 200) {
            let runs = Arc::new(AtomicU64::new(0));
            let gate = Arc::new(tokio::sync::Semaphore::new(0));
            let tasks: Vec<_> = (0..2_000)
                .map(|_| {
                    let (cache, runs, gate) = (cache.clone(), Arc::clone(&runs), Arc::clone(&gate));
                    tokio::spawn(async move {
                        let load = async move {
                            runs.fetch_add(1, Ordering::SeqCst);
                            let _ = gate.acquire().await;
                            round
                        };
                        cache.get_or_insert_detached(round, load).await
                    })
                })
                .collect();
            // All of them wait, for the one body; who began it is among those that leave as likely as not.
            while cache.stats().waits < (round + 1) * 1_999 {
                tokio::task::yield_now().await;
            }
            for (at, task) in tasks.iter().enumerate() {
                if at % 2 == round as usize % 2 {
                    task.abort();
                }
            }
            gate.add_permits(2_000);
            let mut served = 0;
            for task in tasks {
                if let Ok(value) = task.await {
                    assert_eq!(value, round);
                    served += 1;
                }
            }
            assert!(served >= 1_000);
            assert_eq!((runs.load(Ordering::SeqCst), cache.get(round)), (1, Some(round)));
        }
    });
}

#[test]
fn tasks_and_threads_share_a_flight() {
    run(async {
        let domain = domain();
        let cache = cache(&domain);
        let runs = Arc::new(AtomicU64::new(0));
        let threads: Vec<_> = (0..16)
            .map(|_| {
                let (cache, runs) = (cache.clone(), Arc::clone(&runs));
                std::thread::spawn(move || {
                    cache.get_or_insert_with(1, || {
                        std::thread::yield_now();
                        runs.fetch_add(1, Ordering::SeqCst)
                    })
                })
            })
            .collect();
        let tasks: Vec<_> = (0..500)
            .map(|_| {
                let (cache, runs) = (cache.clone(), Arc::clone(&runs));
                tokio::spawn(async move {
                    let load = async {
                        tokio::task::yield_now().await;
                        runs.fetch_add(1, Ordering::SeqCst)
                    };
                    cache.get_or_insert_async(1, load).await
                })
            })
            .collect();
        for task in tasks {
            assert_eq!(task.await.unwrap(), 0);
        }
        for thread in threads {
            assert_eq!(thread.join().unwrap(), 0);
        }
        assert_eq!(runs.load(Ordering::SeqCst), 1);
    });
}

#[test]
fn a_cancelled_leader_hands_over() {
    run(async {
        let domain = domain();
        let cache = cache(&domain);
        let (started, has_started) = oneshot::channel();
        let leader = tokio::spawn({
            let cache = cache.clone();
            async move {
                let never = async {
                    let _ = started.send(());
                    std::future::pending().await
                };
                cache.get_or_insert_async(1, never).await
            }
        });
        has_started.await.unwrap();
        let waiters: Vec<_> = (0..100)
            .map(|n| {
                let cache = cache.clone();
                tokio::spawn(async move { cache.get_or_insert_async(1, async move { n }).await })
            })
            .collect();
        while cache.stats().waits < 100 {
            tokio::task::yield_now().await;
        }
        leader.abort();
        let mut values = Vec::new();
        for waiter in waiters {
            values.push(waiter.await.unwrap());
        }
        assert!(values.iter().all(|value| *value == values[0]), "one of the waiters computed for all");
        assert_eq!((cache.stats().loads, cache.stats().load_failures), (1, 1));
    });
}

#[test]
fn a_cancelled_waiter_is_forgotten() {
    let domain = domain();
    let cache = cache(&domain);
    let gate = Notify::new();
    let leading = cache.get_or_insert_async(1, async {
        gate.notified().await;
        5
    });
    let mut leading = std::pin::pin!(leading);
    assert!(poll_once(leading.as_mut()).is_pending());
    for _ in 0..1000 {
        let mut waiting = Box::pin(cache.get_or_insert_async(1, async { 6 }));
        assert!(poll_once(waiting.as_mut()).is_pending());
    }
    gate.notify_one();
    assert_eq!(poll_once(leading), Poll::Ready(5));
    assert_eq!(cache.get(1), Some(5));
}

#[test]
fn errors_and_panics_hand_over_and_store_nothing() {
    run(async {
        let domain = domain();
        let cache = cache(&domain);
        let runs = Arc::new(AtomicU64::new(0));
        let tasks: Vec<_> = (0..100)
            .map(|_| {
                let (cache, runs) = (cache.clone(), Arc::clone(&runs));
                tokio::spawn(async move {
                    let load = async {
                        let run = runs.fetch_add(1, Ordering::SeqCst);
                        tokio::task::yield_now().await;
                        match run {
                            0 => Err("the first fails"),
                            1 => panic!("the second panics, on purpose"),
                            _ => Ok(run),
                        }
                    };
                    cache.try_get_or_insert_async(1, load).await
                })
            })
            .collect();
        let (mut good, mut failed, mut panicked) = (0, 0, 0);
        for task in tasks {
            match task.await {
                Ok(Ok(value)) => {
                    assert_eq!(value, 2);
                    good += 1;
                }
                Ok(Err(_)) => failed += 1,
                Err(_) => panicked += 1,
            }
        }
        assert_eq!((good, failed, panicked), (98, 1, 1));
        assert_eq!(runs.load(Ordering::SeqCst), 3);
    });
}

#[test]
fn tasks_that_need_each_others_value_run_instead_of_waiting() {
    run(async {
        for _ in 0..short_or_deep(200, 5000) {
            let domain = domain();
            let (left, right) = (cache(&domain), cache(&domain));
            let both = Arc::new(tokio::sync::Barrier::new(2));
            let need = |own: Cache<u64, u64>, other: Cache<u64, u64>| {
                let both = Arc::clone(&both);
                async move {
                    let load = async {
                        both.wait().await;
                        // Both lead now; each asks for what the other computes. Who finds the circle computes alone.
                        other.get_or_insert_async(0, async { 1 }).await
                    };
                    own.get_or_insert_async(0, load).await
                }
            };
            let a = tokio::spawn(need(left.clone(), right.clone()));
            let b = tokio::spawn(need(right, left));
            assert_eq!((a.await.unwrap(), b.await.unwrap()), (1, 1));
        }
    });
}

#[test]
fn a_task_that_needs_its_own_value_runs_again_instead_of_waiting() {
    run(async {
        let domain = domain();
        let cache = cache(&domain);
        let inner = cache.clone();
        let value =
            cache.get_or_insert_async(1, async move { inner.get_or_insert_async(1, async { 3 }).await });
        assert_eq!(value.await, 3);
    });
}

#[test]
fn a_body_that_polls_two_look_ups_side_by_side_is_seen_whole() {
    run(async {
        let domain = domain();
        let (a, b) = (cache(&domain), cache(&domain));
        // Of the two that the body of a(0) polls, one needs a(0) again; the other is only slow.
        let load = async {
            let slow = async {
                tokio::task::yield_now().await;
                1
            };
            let mut one = Box::pin(b.get_or_insert_async(0, slow));
            let mut two = Box::pin(a.get_or_insert_async(0, async { 2 }));
            let (mut first, mut second) = (None, None);
            std::future::poll_fn(|context| {
                if first.is_none() {
                    first = ready(one.as_mut().poll(context));
                }
                if second.is_none() {
                    second = ready(two.as_mut().poll(context));
                }
                first.zip(second).map_or(Poll::Pending, |(first, second)| Poll::Ready(first + second))
            })
            .await
        };
        assert_eq!(a.get_or_insert_async(0, load).await, 3);
    });
}

fn ready<T>(poll: Poll<T>) -> Option<T> {
    match poll {
        Poll::Ready(value) => Some(value),
        Poll::Pending => None,
    }
}

#[test]
fn a_call_after_invalidate_never_gets_the_value_of_a_flight_from_before() {
    run(async {
        let domain = domain();
        let cache = cache(&domain);
        let gate = Arc::new(Notify::new());
        let (started, has_started) = oneshot::channel();
        let old = tokio::spawn({
            let (cache, gate) = (cache.clone(), Arc::clone(&gate));
            async move {
                let load = async {
                    let _ = started.send(());
                    gate.notified().await;
                    1
                };
                cache.get_or_insert_async(0, load).await
            }
        });
        has_started.await.unwrap();
        cache.invalidate(0);
        assert_eq!(cache.get_or_insert_async(0, async { 2 }).await, 2);
        gate.notify_one();
        assert_eq!(old.await.unwrap(), 1);
        assert_eq!(cache.get(0), Some(2));
    });
}

#[test]
fn the_future_is_send_and_holds_no_lock_while_it_waits() {
    fn is_send<T: Send>(value: T) -> T {
        value
    }
    let domain = domain();
    let cache = cache(&domain);
    let mut leading = Box::pin(is_send(cache.get_or_insert_async(1, std::future::pending())));
    assert!(poll_once(leading.as_mut()).is_pending());
    // Everything else goes on beside a load that never ends.
    for key in 2..1000 {
        cache.insert(key, key);
        assert!(cache.invalidate(key));
    }
    cache.insert(1, 9);
    assert_eq!(cache.get(1), Some(9));
    cache.clear();
    drop(leading);
    let again = std::panic::catch_unwind(AssertUnwindSafe(|| cache.get_or_insert_with(1, || 4)));
    assert_eq!(again.unwrap(), 4);
    let infallible: Result<u64, Infallible> = cache.try_get_or_insert_with(1, || Ok(5));
    assert_eq!(infallible, Ok(4));
}
