//! What annotated functions do: the same as without the attribute, and only once. Functions touch the process's own
//! domain, so this file is a process of its own; each test has functions of its own.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Barrier, Mutex, mpsc};

use larder::cached;
use larder_tests::patience;

/// Runs `test` on a thread of its own and fails, instead of hanging, when it is stuck.
fn within_patience(test: impl FnOnce() + Send + 'static) {
    let (done, finished) = mpsc::channel();
    let thread = std::thread::spawn(move || {
        test();
        // The receiver may have given up already.
        let _ = done.send(());
    });
    match finished.recv_timeout(patience()) {
        Err(mpsc::RecvTimeoutError::Timeout) => panic!("stuck for {:?}: a deadlock", patience()),
        _ => {
            if let Err(panic) = thread.join() {
                std::panic::resume_unwind(panic);
            }
        }
    }
}

#[test]
fn recursion_fills_the_cache_and_ends() {
    #[cached]
    fn fib(n: u64) -> u64 {
        if n < 2 { n } else { fib(n - 1) + fib(n - 2) }
    }
    within_patience(|| {
        assert_eq!(fib(90), 2_880_067_194_370_816_120);
        assert_eq!(fib_cache().len(), 91);
        assert_eq!(fib_cache().stats().loads, 91);
    });
}

#[test]
fn two_functions_that_call_each_other_from_two_threads_do_not_deadlock() {
    static MEET: Mutex<Option<Arc<Barrier>>> = Mutex::new(None);

    /// Makes both threads lead before either asks for the other's key.
    fn meet() {
        let barrier = MEET.lock().unwrap().clone();
        if let Some(barrier) = barrier {
            barrier.wait();
        }
    }

    thread_local! {
        static OUTER: std::cell::Cell<bool> = const { std::cell::Cell::new(false) };
    }

    #[cached]
    fn even(n: u64) -> bool {
        if OUTER.replace(false) {
            meet();
        }
        n == 0 || odd(n - 1)
    }

    #[cached]
    fn odd(n: u64) -> bool {
        if OUTER.replace(false) {
            meet();
        }
        n != 0 && even(n - 1)
    }

    for round in 0..50_u64 {
        within_patience(move || {
            *MEET.lock().unwrap() = Some(Arc::new(Barrier::new(2)));
            let call = |which: fn(u64) -> bool, n| {
                move || {
                    OUTER.set(true);
                    which(n)
                }
            };
            // `even(n)` needs `odd(n - 1)`, which needs `even(n - 2)`: the two chains meet in the same keys.
            let n = 20 + round * 6;
            let a = std::thread::spawn(call(even, n));
            let b = std::thread::spawn(call(odd, n - 1));
            assert_eq!(a.join().unwrap(), n % 2 == 0);
            assert_eq!(b.join().unwrap(), (n - 1) % 2 == 1);
            *MEET.lock().unwrap() = None;
        });
    }
}

#[test]
fn functions_that_need_each_others_value_at_once_run_instead_of_waiting() {
    static BOTH: Barrier = Barrier::new(2);

    thread_local! {
        static DEPTH: std::cell::Cell<u32> = const { std::cell::Cell::new(0) };
    }

    fn nested(other: fn(u32) -> u32) -> u32 {
        let depth = DEPTH.replace(DEPTH.get() + 1);
        let value = match depth {
            // Both lead now; each asks for what the other is computing.
            0 => {
                BOTH.wait();
                other(0)
            }
            _ => 1,
        };
        DEPTH.set(depth);
        value
    }

    #[cached]
    fn left(_key: u32) -> u32 {
        nested(right)
    }

    #[cached]
    fn right(_key: u32) -> u32 {
        nested(left)
    }

    within_patience(|| {
        let a = std::thread::spawn(|| left(0));
        let b = std::thread::spawn(|| right(0));
        assert_eq!((a.join().unwrap(), b.join().unwrap()), (1, 1));
    });
}

#[test]
fn a_thousand_threads_on_one_cold_key_run_the_body_once() {
    static RUNS: AtomicU64 = AtomicU64::new(0);

    #[cached]
    fn slow(key: &str) -> Arc<str> {
        RUNS.fetch_add(1, Ordering::SeqCst);
        // Long enough for others to arrive; correctness does not depend on it.
        for _ in 0..200 {
            std::thread::yield_now();
        }
        Arc::from(key)
    }

    within_patience(|| {
        let start = Arc::new(Barrier::new(1000));
        let threads: Vec<_> = (0..1000)
            .map(|_| {
                let start = Arc::clone(&start);
                std::thread::Builder::new()
                    .stack_size(128 * 1024)
                    .spawn(move || {
                        start.wait();
                        slow("cold")
                    })
                    .unwrap()
            })
            .collect();
        for thread in threads {
            assert_eq!(&*thread.join().unwrap(), "cold");
        }
        assert_eq!(RUNS.load(Ordering::SeqCst), 1);
    });
}

#[test]
fn a_panicking_body_stores_nothing_and_a_waiter_goes_on() {
    static RUNS: AtomicU64 = AtomicU64::new(0);

    #[cached]
    fn fragile(key: u32) -> u32 {
        // The first run waits for company, then fails.
        if RUNS.fetch_add(1, Ordering::SeqCst) == 0 {
            while fragile_cache().stats().waits == 0 {
                std::thread::yield_now();
            }
            panic!("the first run fails, on purpose");
        }
        key * 2
    }

    within_patience(|| {
        let threads: Vec<_> = (0..8).map(|_| std::thread::spawn(|| catch_unwind(|| fragile(21)))).collect();
        let results: Vec<_> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
        assert_eq!(results.iter().filter(|result| result.is_err()).count(), 1);
        assert!(results.iter().flatten().all(|value| *value == 42));
        assert_eq!(fragile_cache().stats().load_failures, 1);
    });
}

#[test]
fn instances_of_a_generic_function_never_share_a_value_and_are_one_tenant() {
    #[cached]
    fn name_of<T: larder::CacheKey + std::fmt::Debug, const N: usize>(value: T) -> String {
        format!("{}{value:?}x{N}", std::any::type_name::<T>())
    }

    assert_eq!(name_of::<u8, 1>(1), "u81x1");
    assert_eq!(name_of::<u16, 1>(1), "u161x1");
    assert_eq!(name_of::<u16, 2>(1), "u161x2");
    assert_eq!(name_of::<u8, 1>(1), "u81x1");
    assert_eq!(name_of_cache::<u16, 2>().get(1), Some("u161x2".to_owned()));
    assert_eq!(name_of_cache::<u8, 1>().len(), 1);
    let rows = larder::stats().tenants.into_iter().filter(|tenant| tenant.name.ends_with("name_of"));
    let rows: Vec<_> = rows.collect();
    assert_eq!(rows.len(), 1, "{rows:?}");
    assert_eq!((rows[0].entries, rows[0].hits), (3, 2));
}

#[test]
fn results_and_options_are_stored_only_when_good() {
    static RUNS: AtomicU64 = AtomicU64::new(0);

    #[cached]
    fn parse(text: &str) -> Result<u64, std::num::ParseIntError> {
        RUNS.fetch_add(1, Ordering::SeqCst);
        text.parse()
    }

    #[cached]
    fn first(words: &[String]) -> Option<String> {
        RUNS.fetch_add(1, Ordering::SeqCst);
        words.first().cloned()
    }

    for _ in 0..3 {
        assert_eq!(parse("12"), Ok(12));
        assert!(parse("twelve").is_err());
        assert_eq!(first(&["a".to_owned()]).as_deref(), Some("a"));
        assert_eq!(first(&[]), None);
    }
    // The good ones once, the bad ones each time.
    assert_eq!(RUNS.load(Ordering::SeqCst), 2 + 2 * 3);
}

#[test]
fn the_handle_speaks_of_the_same_entries() {
    #[cached]
    fn double(n: u64) -> u64 {
        n * 2
    }

    assert_eq!(double_cache().peek(4), None);
    assert_eq!(double(4), 8);
    assert_eq!(double_cache().peek(4), Some(8));
    double_cache().insert(4, 9);
    assert_eq!(double(4), 9);
    assert!(double_cache().invalidate(4));
    assert_eq!(double(4), 8);
    double_cache().clear();
    assert!(double_cache().is_empty());
}

/// The newest goes first.
#[derive(Default)]
struct Newest(Vec<u32>);

impl larder::Evict for Newest {
    fn insert(&mut self, slot: u32, _facts: &larder::EntryFacts) {
        self.0.push(slot);
    }

    fn remove(&mut self, slot: u32) {
        self.0.retain(|other| *other != slot);
    }

    fn rename(&mut self, from: u32, to: u32) {
        self.0.iter_mut().filter(|slot| **slot == from).for_each(|slot| *slot = to);
    }

    fn victim(&mut self, _uses: &mut larder::Uses<'_>) -> Option<u32> {
        self.0.last().copied()
    }
}

#[test]
fn an_order_of_the_users_own_and_a_factor_reach_the_cache() {
    #[cached(policy = Newest, max_entries = 3)]
    fn by_type(n: u64) -> u64 {
        n
    }

    #[cached(policy = Newest::default, max_entries = 3)]
    fn by_function(n: u64) -> u64 {
        n
    }

    #[cached(policy = "utility", max_entries = 3, utility = |n, _| if *n < 2 { 1000.0 } else { 0.001 })]
    fn by_factor(n: u64) -> u64 {
        n
    }

    for n in 0..10 {
        assert_eq!((by_type(n), by_function(n), by_factor(n)), (n, n, n));
    }
    for cache in [by_type_cache(), by_function_cache()] {
        assert_eq!(cache.stats().policy, Some(larder::Policy::Custom));
        assert_eq!([0, 1, 8, 9].map(|n: u64| cache.contains(n)), [true, true, false, true]);
    }
    assert_eq!([0, 1, 8, 9].map(|n: u64| by_factor_cache().contains(n)), [true, true, false, true]);
}

#[test]
fn a_listener_hears_of_what_leaves() {
    static GONE: Mutex<Vec<(String, larder::RemovalCause)>> = Mutex::new(Vec::new());

    fn was_removed((text, n): (String, u32), value: String, cause: larder::RemovalCause) {
        assert_eq!(value, text.repeat(n as usize));
        GONE.lock().unwrap().push((value, cause));
    }

    #[cached(max_entries = 2, policy = "fifo", on_remove = was_removed)]
    fn repeated(text: &str, n: u32) -> String {
        text.repeat(n as usize)
    }

    for n in 1..4 {
        repeated("x", n);
    }
    assert!(repeated_cache().invalidate(("x", 3)));
    let gone = std::mem::take(&mut *GONE.lock().unwrap());
    let expected = [("x", larder::RemovalCause::Evicted), ("xxx", larder::RemovalCause::Invalidated)];
    assert_eq!(gone, expected.map(|(text, cause)| (text.to_owned(), cause)));
    assert_eq!(repeated_cache().stats().listener_panics, 0);
}

#[test]
fn options_reach_the_cache() {
    /// Pretends that every value is a kilobyte.
    fn kilobyte(_: &u64) -> u64 {
        1024
    }

    #[cached(
        policy = "lru",
        max_entries = 3,
        max_mb = 2,
        min_mb = 1,
        priority = 3.5,
        ttl = "5m",
        weigh = kilobyte,
        name = "options::reach"
    )]
    fn configured(n: u64) -> u64 {
        n
    }

    for n in 0..10 {
        configured(n);
    }
    let stats = configured_cache().stats();
    assert_eq!(stats.name, "options::reach");
    assert_eq!(stats.policy, Some(larder::Policy::Lru));
    assert_eq!((stats.max_entries, stats.max_bytes, stats.min_bytes), (Some(3), Some(2 << 20), 1 << 20));
    assert!((stats.priority - 3.5).abs() < f64::EPSILON);
    assert_eq!((stats.entries, stats.evictions, stats.estimated), (3, 7, false));
    assert!(stats.bytes > 3 * 1000, "{stats:?}");
    let declared = larder::declared().find(|item| item.name == "options::reach").expect("it is declared");
    assert_eq!(declared.ttl, Some(std::time::Duration::from_secs(300)));
}

#[test]
fn values_that_own_heap_out_of_sight_are_marked() {
    #[derive(Clone)]
    struct Opaque(HashMap<u32, String>);

    #[derive(Clone, larder::Weigh)]
    struct Seen(HashMap<u32, String>);

    #[cached]
    fn opaque(n: u32) -> Opaque {
        Opaque(HashMap::from([(n, "x".repeat(1000))]))
    }

    #[cached]
    fn seen(n: u32) -> Seen {
        Seen(HashMap::from([(n, "x".repeat(1000))]))
    }

    assert_eq!((opaque(1).0.len(), seen(1).0.len()), (1, 1));
    assert!(opaque_cache().stats().estimated);
    assert!(!seen_cache().stats().estimated);
    assert!(seen_cache().weight() > opaque_cache().weight() + 1000);
}

#[test]
fn a_value_whose_drop_calls_the_function_again_does_no_harm() {
    #[derive(Clone)]
    struct Echo(u32);

    impl Drop for Echo {
        fn drop(&mut self) {
            if self.0 < 50 {
                echo_cache().invalidate(self.0 + 1);
                let _ = echo_cache().contains(self.0);
            }
        }
    }

    #[cached(max_entries = 4)]
    fn echo(n: u32) -> Echo {
        Echo(n)
    }

    within_patience(|| {
        for n in 0..200 {
            assert_eq!(echo(n % 60).0, n % 60);
        }
        assert!(echo_cache().len() <= 4);
    });
}

#[test]
fn a_panicking_key_or_value_leaves_the_cache_working() {
    #[derive(PartialEq, Eq, Hash)]
    struct Moody(u32);

    impl Clone for Moody {
        fn clone(&self) -> Self {
            assert_ne!(self.0, 13, "a clone that fails, on purpose");
            Self(self.0)
        }
    }

    #[cached]
    fn moody(n: u32) -> Arc<Moody> {
        Arc::new(Moody(n))
    }

    #[cached]
    fn plain(n: &Moody) -> u32 {
        n.0
    }

    assert!(catch_unwind(AssertUnwindSafe(|| plain(&Moody(13)))).is_err());
    assert_eq!(plain(&Moody(1)), 1);
    assert_eq!(moody(13).0, 13);
    assert_eq!(plain_cache().len(), 1);
}
