//! Cached functions under rayon: a thread that waits in its pool runs other jobs meanwhile, so that a computation may
//! come back to a cache from inside its own wait.
//!
//! What a thread blocks on, all flights it leads depend on, however far below on its stack their bodies are: a circle
//! of such waits is seen, and runs a body instead. That covers every circle in which each wait is for a flight, and
//! so every program whose bodies split off only pieces that neither call cached functions nor wait in the pool
//! themselves (`leaf` below): a piece ends by itself then, whoever took it.
//!
//! What cannot be seen is a wait for the pool: who leads flight 1 and waits for a piece of its body that another
//! thread took depends on that thread, and nobody outside the pool knows. If that piece, or a job that its thread
//! steals while the piece waits in turn, blocks on a flight that depends on flight 1, no one moves any more. There is
//! no such test here, because it would hang. Bodies like that want a bound on waiting, or no single-flight at all.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;

use larder::{Cache, Domain, cached};
use larder_tests::{patience, short_or_deep};
use rayon::prelude::*;

/// Runs on a pool of so many threads, and fails where it would hang.
#[track_caller]
fn on_threads<R: Send + 'static>(what: &str, threads: usize, work: impl FnOnce() -> R + Send + 'static) -> R {
    let (done, finished) = mpsc::channel();
    std::thread::spawn(move || {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let _ = done.send(pool.install(work));
    });
    match finished.recv_timeout(patience()) {
        Ok(result) => result,
        Err(mpsc::RecvTimeoutError::Timeout) => panic!("stuck: {what}"),
        Err(mpsc::RecvTimeoutError::Disconnected) => panic!("it panicked: {what}"),
    }
}

/// Work in two pieces, which call nothing of larder and do not wait.
fn leaf(n: u64) -> u64 {
    let count = |numbers: std::ops::Range<u64>| numbers.map(std::hint::black_box).count() as u64;
    let (a, b) = rayon::join(|| count(0..n / 2), || count(n / 2..n));
    a + b
}

#[cached(max_entries = 40)]
fn base(n: u64) -> u64 {
    leaf(n % 16 + 1) + n
}

/// Depends on smaller numbers, and waits in the pool before, between and after.
#[cached(max_entries = 40)]
fn tower(n: u64) -> u64 {
    let work = leaf(8);
    let below = if n == 0 { 0 } else { tower(n / 2) + base(n) };
    below + leaf(8) + work
}

fn tower_alone(n: u64) -> u64 {
    if n == 0 { 16 } else { tower_alone(n / 2) + (n % 16 + 1) + n + 16 }
}

#[test]
fn bodies_that_split_their_work_share_keys_on_few_threads() {
    for threads in [1, 2, 3, 4] {
        on_threads("a parallel iterator over cached functions", threads, move || {
            for round in 0..short_or_deep(30, 3000) {
                (0..400_u64).into_par_iter().for_each(|n| {
                    let n = (n * 7 + round) % 64;
                    assert_eq!(tower(n), tower_alone(n));
                });
                if round % 3 == 0 {
                    tower_cache().clear();
                }
            }
        });
    }
    assert!(tower_cache().stats().loads > 0);
}

#[test]
fn a_leader_that_steals_a_job_for_its_own_key_computes_it() {
    on_threads("a leader that meets its own key", 1, || {
        let domain = Domain::builder().limit_bytes(1 << 20).manual().build();
        let cache = Cache::<u64, u64>::builder("own").build_in(&domain).unwrap();
        let runs = AtomicU64::new(0);
        let load = || {
            runs.fetch_add(1, Ordering::SeqCst);
            // The only thread runs what is pending: the other half of the `join` below.
            while rayon::yield_local() == Some(rayon::Yield::Executed) {}
            7
        };
        let both = rayon::join(|| cache.get_or_insert_with(1, load), || cache.get_or_insert_with(1, load));
        assert_eq!((both, runs.load(Ordering::SeqCst)), ((7, 7), 2), "computed twice, and never waited for");
    });
}

#[test]
fn two_leaders_that_take_each_others_keys_do_not_wait_in_a_circle() {
    on_threads("two leaders that want each other's values", 2, || {
        let domain = Domain::builder().limit_bytes(1 << 20).manual().build();
        let cache = Cache::<u64, u64>::builder("crossed").build_in(&domain).unwrap();
        for round in 0..short_or_deep(300, 30_000) {
            let led = AtomicU64::new(0);
            let value = |own: u64, other: u64| {
                cache.get_or_insert_with(own, || {
                    led.fetch_add(1, Ordering::SeqCst);
                    while led.load(Ordering::SeqCst) < 2 {
                        std::hint::spin_loop();
                    }
                    // Either half may be stolen by the other leader, whose own key one of them wants.
                    let wanted = || cache.get_or_insert_with(other, || other * 10);
                    let (a, b) = rayon::join(wanted, || leaf(4));
                    assert_eq!((a, b), (other * 10, 4));
                    own * 10
                })
            };
            // One job for each of the two threads: both lead before either goes on.
            let broadcast = rayon::broadcast(|context| match context.index() {
                0 => value(1, 2),
                _ => value(2, 1),
            });
            assert_eq!(broadcast, [10, 20], "round {round}");
            cache.clear();
        }
    });
}
