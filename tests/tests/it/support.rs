//! What tests share: a domain that stands still, checks of its books, values that misbehave, and patience.

use std::hash::{Hash, Hasher};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc;

use larder::testing::{FixedPressure, ManualClock};
use larder::{Cache, Domain, DomainBuilder};
use larder_tests::patience;

/// A megabyte, as larder counts.
pub(crate) const MB: u64 = 1 << 20;

/// A domain with a clock of its own, and no thread.
pub(crate) fn domain(limit: u64) -> Domain {
    clocked(limit).0
}

/// The same, and its clock.
pub(crate) fn clocked(limit: u64) -> (Domain, ManualClock) {
    let clock = ManualClock::new();
    (Domain::builder().limit_bytes(limit).clock(clock.clone()).manual().build(), clock)
}

/// The same with a memory of 1,000 MB, of which 100 are used.
pub(crate) fn pressed(
    limit: u64,
    configure: impl FnOnce(DomainBuilder) -> DomainBuilder,
) -> (Domain, ManualClock, FixedPressure) {
    let (clock, memory) = (ManualClock::new(), FixedPressure::new(100 * MB, 1000 * MB));
    let builder = Domain::builder().limit_bytes(limit).clock(clock.clone()).pressure(memory.clone()).manual();
    (configure(builder).build(), clock, memory)
}

/// A cache of byte strings without bounds of its own.
pub(crate) fn bytes(domain: &Domain, name: &str) -> Cache<u64, Vec<u8>> {
    Cache::builder(name).build_in(domain).unwrap()
}

/// A value that takes `size` bytes and says so.
pub(crate) fn blob(size: usize) -> Vec<u8> {
    vec![7; size]
}

/// Holds at rest, whatever happened: the budget is kept, and its parts are the whole.
#[track_caller]
pub(crate) fn check(domain: &Domain) {
    let stats = domain.stats();
    let parts: u64 = stats.tenants.iter().map(|tenant| tenant.reserved).sum();
    assert_eq!(parts, stats.budget.used, "the reservations are not what is used: {stats}");
    assert!(stats.budget.used <= stats.budget.limit, "over the limit: {stats}");
    assert_eq!(stats.budget.over_released, 0, "{stats}");
    for tenant in &stats.tenants {
        assert!(tenant.bytes <= tenant.reserved, "{tenant:?}");
        assert!(tenant.max_bytes.is_none_or(|max| tenant.bytes <= max), "{tenant:?}");
        assert!(tenant.max_entries.is_none_or(|max| tenant.entries <= max), "{tenant:?}");
    }
}

/// What a cache without entries may weigh, with a listener and a function of the user's or two; the `weights` test
/// measures it exactly.
pub(crate) const EMPTY: u64 = 1024 + 320;

/// Holds for each cache at rest: it counts what it has, and empties to what an empty cache is.
#[track_caller]
pub(crate) fn check_emptied<K, V>(cache: &Cache<K, V>) {
    assert_eq!(cache.stats().entries, cache.len() as u64, "{cache:?}");
    cache.clear();
    let stats = cache.stats();
    assert_eq!((cache.len(), stats.entries, stats.reserved), (0, 0, cache.weight()), "{cache:?}");
    assert!(cache.weight() <= EMPTY, "{cache:?}");
    let weight = cache.weight();
    cache.clear();
    assert_eq!(cache.weight(), weight, "{cache:?}");
}

/// Runs what must not block on a thread of its own, and fails where it would hang.
#[track_caller]
pub(crate) fn in_time<R: Send + 'static>(what: &str, work: impl FnOnce() -> R + Send + 'static) -> R {
    let (done, finished) = mpsc::channel();
    let worker = std::thread::spawn(move || {
        let result = work();
        let _ = done.send(());
        result
    });
    // A worker that panics hangs up, and `join` says why.
    if finished.recv_timeout(patience()) == Err(mpsc::RecvTimeoutError::Timeout) {
        panic!("stuck: {what}");
    }
    worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// Runs `work` once for each number below `threads`, all at once, and fails if they do not end.
#[track_caller]
pub(crate) fn all_at_once(what: &str, threads: usize, work: impl Fn(usize) + Send + Sync + 'static) {
    in_time(what, move || {
        let start = std::sync::Barrier::new(threads);
        std::thread::scope(|scope| {
            let spawn = |at| {
                let (start, work) = (&start, &work);
                let builder = std::thread::Builder::new();
                // A thousand stacks of the usual size are more than some containers grant.
                let builder = if threads > 64 { builder.stack_size(256 * 1024) } else { builder };
                let spawned = builder.spawn_scoped(scope, move || {
                    start.wait();
                    work(at);
                });
                spawned.expect("the system has room for another thread")
            };
            let threads: Vec<_> = (0..threads).map(spawn).collect();
            // A scope waits for what its threads do, and not for what they do while they end.
            for thread in threads {
                thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
            }
        });
    });
}

/// Runs `work` without the message of a panic that is meant to happen; whether it panicked.
pub(crate) fn panics(work: impl FnOnce()) -> bool {
    quietly();
    EXPECTED.with(|expected| expected.set(true));
    let caught = catch_unwind(AssertUnwindSafe(work));
    EXPECTED.with(|expected| expected.set(false));
    caught.is_err()
}

thread_local! {
    static EXPECTED: std::cell::Cell<bool> = const { std::cell::Cell::new(false) };
}

/// From now on, expected panics print nothing.
fn quietly() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        let loud = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if !EXPECTED.try_with(std::cell::Cell::get).unwrap_or(false) {
                loud(info);
            }
        }));
    });
}

/// A switch that clones share; off at first.
#[derive(Clone, Debug, Default)]
pub(crate) struct Switch(Arc<AtomicBool>);

impl Switch {
    pub(crate) fn set(&self, on: bool) {
        self.0.store(on, Ordering::SeqCst);
    }

    pub(crate) fn is_on(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}

/// A counter that clones share.
#[derive(Clone, Debug, Default)]
pub(crate) struct Counter(Arc<AtomicUsize>);

impl Counter {
    pub(crate) fn add(&self) -> usize {
        self.0.fetch_add(1, Ordering::SeqCst)
    }

    pub(crate) fn get(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

/// A key whose hash is the same for all: what is told apart is told apart by `Eq` alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Colliding(pub(crate) u64);

impl Hash for Colliding {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(7);
    }
}

/// Runs a piece of code each time a value that holds it is dropped; clones do the same.
#[derive(Clone)]
pub(crate) struct OnDrop(pub(crate) Arc<dyn Fn() + Send + Sync>);

impl OnDrop {
    pub(crate) fn new(run: impl Fn() + Send + Sync + 'static) -> Self {
        Self(Arc::new(run))
    }
}

impl Drop for OnDrop {
    fn drop(&mut self) {
        (self.0)();
    }
}

/// Random numbers, the same in each run.
#[derive(Clone, Debug)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }
}

/// Looks at a number all the time, on a thread of its own, until dropped; the highest seen is kept.
pub(crate) struct Sampler {
    stop: Switch,
    highest: Arc<AtomicU64>,
    thread: Option<std::thread::JoinHandle<u64>>,
}

impl Sampler {
    pub(crate) fn start(mut look: impl FnMut() -> u64 + Send + 'static) -> Self {
        let (stop, highest) = (Switch::default(), Arc::new(AtomicU64::new(0)));
        let (stopped, max) = (stop.clone(), Arc::clone(&highest));
        let thread = std::thread::spawn(move || {
            let mut looks = 0;
            while !stopped.is_on() {
                max.fetch_max(look(), Ordering::SeqCst);
                looks += 1;
            }
            looks
        });
        Self { stop, highest, thread: Some(thread) }
    }

    /// The highest number seen, and how often was looked.
    pub(crate) fn finish(mut self) -> (u64, u64) {
        self.stop.set(true);
        let looks = self.thread.take().expect("it ends once").join().expect("looking does not panic");
        (self.highest.load(Ordering::SeqCst), looks)
    }
}
