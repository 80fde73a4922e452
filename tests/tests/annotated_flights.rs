//! What the options of `#[cached]` for freshness and flights do, by their effect: one test, in order, because all of it
//! is about the one global domain and its executor; a process of its own. Time itself is tested in `freshness.rs`, on a
//! clock that can be moved.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Barrier, Mutex, mpsc};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use larder::{Task, cached};
use larder_tests::patience;

static MEET: Barrier = Barrier::new(4);

/// What is not found lives for no time at all.
#[cached(ttl_by = |_, found: &Vec<u32>| if found.is_empty() { Duration::ZERO } else { Duration::MAX }, jitter = 50%)]
fn divisors(n: u32, below: u32) -> Vec<u32> {
    (2..below).filter(|d| n.is_multiple_of(*d)).collect()
}

#[cached(ttl_by = of_its_own)]
fn of_one(n: u64) -> Option<u64> {
    Some(n)
}

fn of_its_own(key: &u64, value: &u64) -> Duration {
    assert_eq!(key, value, "the key is the argument, the value what `Some` holds");
    Duration::from_secs(3600 * value)
}

#[cached(tti = "1h", ttl = "2h")]
fn idle(n: u32) -> u32 {
    n
}

#[cached(single_flight = false)]
fn everybody(n: u64) -> u64 {
    // Four bodies meet, or this would never end.
    MEET.wait();
    n
}

type Gate = Mutex<Option<mpsc::Receiver<()>>>;
static GATE: Gate = Mutex::new(None);

#[cached(wait_at_most = "1ms")]
fn stalls(n: u64) -> u64 {
    let gate = GATE.lock().unwrap().take();
    if let Some(gate) = gate {
        gate.recv().unwrap();
        return n;
    }
    n + 100
}

static RUNS: AtomicU64 = AtomicU64::new(0);
static OPEN: AtomicU64 = AtomicU64::new(0);

#[cached(detach)]
async fn outlives(text: &str, n: u64) -> Result<String, String> {
    RUNS.fetch_add(1, Ordering::SeqCst);
    std::future::poll_fn(|_| if OPEN.load(Ordering::SeqCst) == 0 { Poll::Pending } else { Poll::Ready(()) })
        .await;
    if n == 0 { Err(text.to_owned()) } else { Ok(format!("{text} {n}")) }
}

fn poll<F: Future + ?Sized>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

#[test]
fn the_options_do_what_they_say() {
    assert_eq!((divisors(12, 5), divisors(13, 13)), (vec![2, 3, 4], vec![]));
    assert_eq!((divisors_cache().len(), divisors_cache().contains((12, 5))), (1, true));
    assert_eq!((of_one(0), of_one(3)), (Some(0), Some(3)));
    assert_eq!((of_one_cache().contains(0), of_one_cache().contains(3)), (false, true));
    assert_eq!((idle(1), idle(1), idle_cache().stats().hits), (1, 1, 1));

    let threads: Vec<_> = (0..4).map(|_| std::thread::spawn(|| everybody(7))).collect();
    for thread in threads {
        assert_eq!(thread.join().unwrap(), 7);
    }
    assert_eq!((everybody_cache().stats().loads, everybody_cache().len()), (4, 1));

    let (open, gate) = mpsc::channel();
    *GATE.lock().unwrap() = Some(gate);
    let leader = std::thread::spawn(|| stalls(1));
    while GATE.lock().unwrap().is_some() {
        std::thread::yield_now();
    }
    let (done, value) = mpsc::channel();
    std::thread::spawn(move || done.send(stalls(1)));
    assert_eq!(value.recv_timeout(patience()), Ok(101), "it did not wait for the one that stalls");
    open.send(()).unwrap();
    assert_eq!((leader.join().unwrap(), stalls(1)), (1, 101), "the first value stays");

    // Nobody runs it yet.
    let call = || poll(std::pin::pin!(outlives("none", 1)).as_mut()).is_ready();
    let panic = catch_unwind(AssertUnwindSafe(call)).unwrap_err();
    assert!(panic.downcast_ref::<String>().is_some_and(|text| text.contains("larder::set_executor")));
    static TASKS: Mutex<Vec<Task>> = Mutex::new(Vec::new());
    larder::set_executor(|task| TASKS.lock().unwrap().push(task));
    let turn = || TASKS.lock().unwrap().retain_mut(|task| poll(task.as_mut()).is_pending());
    for (n, expected) in [(1, Ok("a 1".to_owned())), (0, Err("a".to_owned()))] {
        OPEN.store(0, Ordering::SeqCst);
        RUNS.store(0, Ordering::SeqCst);
        // What was borrowed for the call is gone before the body ends.
        let text = "a".to_owned();
        let mut began = Box::pin(outlives(&text, n));
        let mut waits = Box::pin(outlives("a", n));
        assert!(poll(began.as_mut()).is_pending() && poll(waits.as_mut()).is_pending());
        turn();
        drop(began);
        drop(text);
        OPEN.store(1, Ordering::SeqCst);
        turn();
        let value = poll(waits.as_mut());
        if n == 0 {
            // The error was that of the caller that is gone: who waits runs a body of its own.
            assert!(value.is_pending());
            turn();
            assert_eq!(poll(waits.as_mut()), Poll::Ready(expected));
            assert_eq!(RUNS.load(Ordering::SeqCst), 2);
        } else {
            assert_eq!(value, Poll::Ready(expected));
            assert_eq!(RUNS.load(Ordering::SeqCst), 1);
        }
    }
    assert_eq!(outlives_cache().len(), 1);
}
