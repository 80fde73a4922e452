//! Calls of annotated items while the budget is full: what makes room for them may call them itself.
//!
//! A process of its own, because it fills the global domain; one test, because there is one such domain. It does not
//! show what a first call costs.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use larder::{Cache, Local, Weigh, cached, pooled, testing};

/// Whether values call when they are dropped, and how many have.
static ARMED: AtomicBool = AtomicBool::new(false);
static CALLS: AtomicU64 = AtomicU64::new(0);

thread_local! {
    /// What a dropped value calls.
    static CALL: std::cell::Cell<fn(u64)> = const { std::cell::Cell::new(|_| ()) };
}

/// A value that calls a function when it is dropped.
#[derive(Clone)]
#[expect(dead_code, reason = "bytes of the entry, which nobody reads")]
struct Caller([u8; 100]);

impl Drop for Caller {
    fn drop(&mut self) {
        if ARMED.load(Ordering::Relaxed) {
            let others = CALLS.fetch_add(1, Ordering::Relaxed);
            CALL.get()(others);
        }
    }
}

/// Each `N` has a cache of its own, so each has a first call.
#[cached]
fn plain<const N: usize>(n: u64) -> u64 {
    n + N as u64
}

#[cached]
fn of_one_key<const N: usize>(n: u64) -> u64 {
    n + N as u64
}

#[cached(scope = "thread")]
fn of_thread<const N: usize>(n: u64) -> u64 {
    n + N as u64
}

#[derive(Default)]
struct Object {
    caches: Local,
}

impl Object {
    #[cached(within = self.caches)]
    fn method<const N: usize>(&self, n: u64) -> u64 {
        n + N as u64
    }
}

static OBJECT: Object = Object { caches: Local::new() };

#[pooled]
#[derive(Weigh)]
struct Buffer<const N: usize> {
    bytes: Vec<u8>,
}

impl<const N: usize> Default for Buffer<N> {
    /// With bytes of its own: a pool takes few.
    fn default() -> Self {
        Self { bytes: Vec::with_capacity(2048) }
    }
}

/// Calls that are first calls, and take more bytes than anybody has in reserve.
macro_rules! calls {
    ($($n:literal)*; $number:ident, $const:ident => $call:expr) => {
        |$number| { $({ const $const: usize = $n; $call; })* }
    };
    ($number:ident, $const:ident => $call:expr) => {
        calls!(1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16; $number, $const => $call)
    };
}

/// Fills the budget with callers, and runs `call`, which they call, too, each with another number.
fn while_full(what: &str, call: fn(u64)) {
    larder::clear_all();
    // Worth less than all that others have.
    let holder = Cache::<u64, Caller>::builder(what).cost(|_, _| Duration::ZERO).priority(0.001);
    let holder = holder.build().expect("a cache");
    let evicted = || holder.stats().evictions + holder.stats().reclaims;
    let mut key = 0;
    while evicted() < 3 {
        holder.insert(key, Caller([0; 100]));
        key += 1;
    }
    let before = CALLS.load(Ordering::Relaxed);
    CALL.set(call);
    ARMED.store(true, Ordering::Relaxed);
    call(u64::MAX / 2);
    ARMED.store(false, Ordering::Relaxed);
    assert!(CALLS.load(Ordering::Relaxed) > before, "{what}: nothing made room, so this shows nothing");
    CALL.set(|_| ());
}

#[test]
fn what_makes_room_for_a_first_call_may_make_that_call() {
    larder::budget().set_limit(256 << 10);
    let (done, wait) = mpsc::channel();
    let calls = thread::spawn(move || {
        while_full("plain", calls!(n, N => assert_eq!(plain::<N>(n), n + N as u64)));
        while_full("of a thread", calls!(n, N => assert_eq!(of_thread::<N>(n), n + N as u64)));
        while_full("in an object", calls!(n, N => assert_eq!(OBJECT.method::<N>(n), n + N as u64)));
        while_full("pooled", calls!(_n, N => assert!(Buffer::<N>::acquire().bytes.is_empty())));
        let scope = testing::isolated();
        while_full("in a scope", calls!(n, N => assert_eq!(plain::<N>(n), n + N as u64)));
        drop(scope);
        // All ask for the key whose value room is being made for.
        while_full("of the same key", calls!(_n, N => assert_eq!(of_one_key::<N>(7), 7 + N as u64)));
        done.send(()).expect("somebody waits");
    });
    match wait.recv_timeout(Duration::from_secs(120)) {
        Err(mpsc::RecvTimeoutError::Timeout) => panic!("a call waits for itself"),
        // Its own panic, if it had one.
        Ok(()) | Err(mpsc::RecvTimeoutError::Disconnected) => calls.join().expect("the calls"),
    }
}
