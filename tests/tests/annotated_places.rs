//! Where the caches of annotated functions live, what they give back, and what happens around a call: refreshing,
//! forcing, pinning. Functions touch the process's own domain, so this file is a process of its own; each test has
//! functions of its own.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Barrier, Mutex, mpsc};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use larder::testing::ManualClock;
use larder::{Local, Status, cached};
use larder_tests::patience;

/// A body that says when it runs and waits until it may go on.
struct Gate {
    arrived: mpsc::Sender<()>,
    open: mpsc::Receiver<()>,
}

/// A gate, and the other side of it.
fn gate() -> (Gate, mpsc::Receiver<()>, mpsc::Sender<()>) {
    let (arrived, arrives) = mpsc::channel();
    let (opens, open) = mpsc::channel();
    (Gate { arrived, open }, arrives, opens)
}

type Slot = Mutex<Option<Gate>>;

/// Waits at the gate, if there is one.
fn pass(slot: &Slot) {
    let gate = slot.lock().unwrap().take();
    if let Some(gate) = gate {
        gate.arrived.send(()).unwrap();
        gate.open.recv().unwrap();
    }
}

#[test]
fn while_a_value_is_refreshed_others_get_what_was_there() {
    static SLOT: Slot = Mutex::new(None);
    static SOURCE: AtomicU32 = AtomicU32::new(1);

    #[cached(refresh)]
    fn read(key: u32) -> u32 {
        let value = SOURCE.load(Ordering::SeqCst) + key;
        pass(&SLOT);
        value
    }

    assert_eq!(read(0), 1);
    let (inside, arrives, opens) = gate();
    *SLOT.lock().unwrap() = Some(inside);
    SOURCE.store(2, Ordering::SeqCst);
    let refreshing = std::thread::spawn(|| read_refresh(0));
    arrives.recv_timeout(patience()).unwrap();
    assert_eq!(read(0), 1);
    opens.send(()).unwrap();
    assert_eq!(refreshing.join().unwrap(), 2);
    assert_eq!((read(0), read_cache().len(), read_cache().stats().loads), (2, 1, 2));
}

#[test]
fn what_is_written_or_invalidated_while_a_value_is_refreshed_is_newer() {
    static SLOT: Slot = Mutex::new(None);
    static SOURCE: AtomicU32 = AtomicU32::new(1);

    #[cached(refresh)]
    fn read(key: u32) -> u32 {
        let value = SOURCE.load(Ordering::SeqCst) + key;
        pass(&SLOT);
        value
    }

    fn during(meanwhile: impl FnOnce()) -> u32 {
        let (inside, arrives, opens) = gate();
        *SLOT.lock().unwrap() = Some(inside);
        let refreshing = std::thread::spawn(|| read_refresh(0));
        arrives.recv_timeout(patience()).unwrap();
        meanwhile();
        opens.send(()).unwrap();
        refreshing.join().unwrap()
    }

    // With an entry that is there, and with none.
    for there in [true, false] {
        read_cache().clear();
        if there {
            read(0);
        }
        let before = SOURCE.load(Ordering::SeqCst);
        let returned = during(|| {
            SOURCE.store(before + 1, Ordering::SeqCst);
            read_cache().invalidate(0);
        });
        assert_eq!(returned, before, "its caller began before");
        assert_eq!(read_cache().peek(0), None);
        assert_eq!(read(0), before + 1);

        read_cache().clear();
        if there {
            read(0);
        }
        during(|| read_cache().insert(0, 700));
        assert_eq!(read_cache().peek(0), Some(700));
    }
}

#[test]
fn a_load_that_began_before_a_refresh_stores_nothing_over_it() {
    static SLOT: Slot = Mutex::new(None);
    static SOURCE: AtomicU32 = AtomicU32::new(1);

    #[cached(refresh)]
    fn read(key: u32) -> u32 {
        let value = SOURCE.load(Ordering::SeqCst) + key;
        pass(&SLOT);
        value
    }

    let (inside, arrives, opens) = gate();
    *SLOT.lock().unwrap() = Some(inside);
    let loading = std::thread::spawn(|| read(0));
    arrives.recv_timeout(patience()).unwrap();
    SOURCE.store(2, Ordering::SeqCst);
    assert_eq!(read_refresh(0), 2);
    opens.send(()).unwrap();
    assert_eq!(loading.join().unwrap(), 1);
    assert_eq!(read(0), 2);
}

#[test]
fn a_refresh_that_panics_leaves_what_was_there() {
    static FAILS: AtomicU32 = AtomicU32::new(0);

    #[cached(refresh)]
    fn fragile(n: u32) -> u32 {
        assert_eq!(FAILS.load(Ordering::SeqCst), 0, "fails, on purpose");
        n
    }

    assert_eq!(fragile(1), 1);
    FAILS.store(1, Ordering::SeqCst);
    assert!(catch_unwind(AssertUnwindSafe(|| fragile_refresh(1))).is_err());
    assert_eq!((fragile(1), fragile_cache().stats().load_failures), (1, 1));
}

#[test]
fn a_caller_that_waited_is_told_so() {
    static SLOT: Slot = Mutex::new(None);

    #[cached(status)]
    fn slow(n: u32) -> u32 {
        pass(&SLOT);
        n
    }

    let (inside, arrives, opens) = gate();
    *SLOT.lock().unwrap() = Some(inside);
    let leader = std::thread::spawn(|| slow_with_status(1));
    arrives.recv_timeout(patience()).unwrap();
    let waiter = std::thread::spawn(|| slow_with_status(1));
    while slow_cache().stats().waits == 0 {
        std::thread::yield_now();
    }
    opens.send(()).unwrap();
    assert_eq!(leader.join().unwrap(), (1, Status::Miss));
    assert_eq!(waiter.join().unwrap(), (1, Status::Waited));
    assert_eq!(slow_with_status(1), (1, Status::Hit));
}

#[test]
fn a_value_that_is_not_kept_is_every_callers_own() {
    #[cached(cache_if = |value| *value % 2 == 0, status)]
    fn even(n: u32) -> u32 {
        n
    }

    assert_eq!([even_with_status(1).1, even_with_status(1).1], [Status::Miss, Status::Miss]);
    assert_eq!([even_with_status(2).1, even_with_status(2).1], [Status::Miss, Status::Hit]);
    assert_eq!(even_cache().len(), 1);
}

#[test]
fn the_caches_of_objects_go_with_them_and_take_their_bytes_along() {
    #[derive(Default)]
    struct Object {
        caches: Local,
    }

    impl Object {
        #[cached(within = self.caches, handle)]
        fn text(&self, n: usize) -> String {
            "x".repeat(n)
        }
    }

    let keeper = Object::default();
    keeper.text(10);
    let stats = || keeper.text_cache().stats();
    let (weight, entries) = (keeper.text_cache().weight(), stats().entries);
    for _ in 0..20 {
        let objects: Vec<Object> = (0..10).map(|_| Object::default()).collect();
        for object in &objects {
            for n in 0..50 {
                assert_eq!(object.text(n * 10).len(), n * 10);
            }
            assert_eq!(object.text_cache().len(), 50);
        }
        assert_eq!(stats().entries, entries + 500);
        assert!(keeper.text_cache().weight() > weight + 10 * 50 * 250);
        drop(objects);
        assert_eq!((keeper.text_cache().weight(), stats().entries), (weight, entries));
    }
    assert_eq!(keeper.text_cache().len(), 1, "the others' entries were never its own");
}

#[test]
fn the_bounds_of_a_method_hold_for_all_of_its_objects_together() {
    #[derive(Default)]
    struct Object {
        caches: Local,
    }

    impl Object {
        #[cached(within = self.caches, max_entries = 6, handle)]
        fn few(&self, n: u32) -> u32 {
            n
        }
    }

    let objects: [Object; 4] = Default::default();
    for n in 0..30 {
        for object in &objects {
            assert_eq!(object.few(n), n);
            assert!(object.few_cache().stats().entries <= 6);
        }
    }
    assert_eq!(objects.iter().map(|object| object.few_cache().len()).sum::<usize>(), 6);
}

#[test]
fn thousands_of_objects_share_a_bound_and_what_is_expired_in_any_of_them_goes_first() {
    #[derive(Default)]
    struct Object {
        caches: Local,
    }

    impl Object {
        #[cached(within = self.caches, max_entries = 1_000, ttl = "1m", handle)]
        fn few(&self, n: u32) -> u32 {
            n
        }

        #[cached(within = self.caches, max_entries = 1_000, policy = "lru", handle)]
        fn latest(&self, n: u32) -> u32 {
            n
        }
    }

    let clock = ManualClock::new();
    let _scope = larder::testing::isolated_at(clock.clone());
    let objects: Vec<Object> = std::iter::repeat_with(Object::default).take(3_000).collect();
    let held = |objects: &[Object]| objects.iter().map(|object| object.few_cache().len()).sum::<usize>();
    let (old, others) = objects.split_at(500);
    let (young, new) = others.split_at(500);
    for (n, object) in (0..).zip(old) {
        object.few(n);
    }
    clock.advance(Duration::from_secs(40));
    for (n, object) in (0..).zip(young) {
        object.few(n);
    }
    clock.advance(Duration::from_secs(30));
    for (n, object) in (0..).zip(&new[..400]) {
        object.few(n);
    }
    assert_eq!(held(young), 500, "others were expired");
    for (n, object) in (0..).zip(new) {
        object.few(n);
        object.latest(n);
        assert!(object.few_cache().stats().entries <= 1_000);
    }
    assert_eq!((held(old), held(&objects)), (0, 1_000));
    let latest: usize = objects.iter().map(|object| object.latest_cache().len()).sum();
    let last = new[1_500..].iter().filter(|object| object.latest_cache().len() == 1).count();
    assert_eq!(latest, 1_000);
    assert!(last > 400, "of 500 that came last {last} are there");
    drop(objects);
}

#[test]
fn threads_that_meet_in_a_new_object_share_one_cache() {
    static RUNS: AtomicU32 = AtomicU32::new(0);

    #[derive(Default)]
    struct Object {
        caches: Local,
    }

    impl Object {
        #[cached(within = self.caches)]
        fn meet(&self, n: u32) -> u32 {
            RUNS.fetch_add(1, Ordering::SeqCst) + n
        }
    }

    for round in 0..50 {
        let (object, start) = (Object::default(), Barrier::new(4));
        std::thread::scope(|scope| {
            let call = || {
                start.wait();
                object.meet(1)
            };
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(call)).collect();
            for thread in threads {
                assert_eq!(thread.join().unwrap(), round + 1);
            }
        });
        assert_eq!(RUNS.load(Ordering::SeqCst), round + 1, "one body for all four");
    }
}

#[test]
fn an_object_that_is_dropped_by_its_own_cached_value_does_no_harm() {
    #[derive(Clone)]
    struct Nested(#[expect(dead_code, reason = "for its drop")] Arc<Object>);

    #[derive(Default)]
    struct Object {
        caches: Local,
    }

    impl Object {
        #[cached(within = self.caches)]
        fn nested(&self, depth: u32) -> Nested {
            let inner = Arc::new(Self::default());
            if depth > 0 {
                inner.nested(depth - 1);
            }
            Nested(inner)
        }
    }

    let object = Object::default();
    object.nested(20);
    drop(object);
}

#[test]
fn a_method_may_call_itself_and_may_panic() {
    #[derive(Clone, PartialEq, Eq, Hash)]
    struct Tree(Vec<Tree>);

    impl Tree {
        #[cached(handle)]
        fn size(&self) -> u64 {
            1 + self.0.iter().map(Self::size).sum::<u64>()
        }

        #[cached(handle)]
        fn fragile(&self, fails: bool) -> u64 {
            assert!(!fails, "fails, on purpose");
            self.size()
        }
    }

    let mut tree = Tree(vec![]);
    for _ in 0..12 {
        tree = Tree(vec![tree.clone(), tree]);
    }
    assert_eq!(tree.size(), 8191);
    assert_eq!((Tree::size_cache().len(), Tree::size_cache().stats().loads), (13, 13));
    assert!(catch_unwind(AssertUnwindSafe(|| tree.fragile(true))).is_err());
    assert_eq!((tree.fragile(false), Tree::fragile_cache().len()), (8191, 1));
}

#[test]
fn a_threads_cache_goes_with_the_thread() {
    #[cached(scope = "thread")]
    fn text(n: usize) -> String {
        "x".repeat(n)
    }

    struct AtExit;
    impl Drop for AtExit {
        fn drop(&mut self) {
            // The thread's caches may be gone by now; the function works all the same.
            assert_eq!(text(3), "xxx");
        }
    }
    thread_local! {
        static AT_EXIT: AtExit = const { AtExit };
    }

    text(1000);
    let weight = text_cache().weight();
    let threads: Vec<_> = (0..4)
        .map(|_| {
            std::thread::spawn(|| {
                AT_EXIT.with(|_| ());
                (0..100).for_each(|n| drop(text(n)));
                assert_eq!(text_cache().len(), 100);
            })
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
    assert_eq!((text_cache().weight(), text_cache().stats().entries), (weight, 1));
}

#[test]
fn a_test_scope_has_twins_of_objects_caches_too() {
    #[derive(Default)]
    struct Object {
        caches: Local,
    }

    impl Object {
        #[cached(within = self.caches, handle)]
        fn apart(&self, n: u32) -> u32 {
            n
        }
    }

    let object = Object::default();
    object.apart(1);
    {
        let _scope = larder::testing::isolated();
        assert_eq!(object.apart_cache().len(), 0);
        object.apart(2);
        object.apart(3);
        assert_eq!(object.apart_cache().len(), 2);
    }
    assert_eq!(object.apart_cache().len(), 1);
    let _scope = larder::testing::bypassed();
    object.apart(4);
    assert_eq!(object.apart_cache().len(), 0);
}

#[test]
fn what_is_pinned_stays_when_others_have_to_go() {
    #[cached(pinned)]
    fn kept(n: u32) -> String {
        n.to_string().repeat(100)
    }

    #[cached]
    fn loose(n: u32) -> String {
        n.to_string().repeat(100)
    }

    // A domain's twin of its own, so that nobody else's caches are trimmed.
    let _scope = larder::testing::isolated();
    for n in 0..500 {
        kept(n);
        loose(n);
    }
    let trimmed = larder::trim(u64::MAX);
    assert!(trimmed.freed > 0);
    assert_eq!((kept_cache().len(), loose_cache().len()), (500, 0));
    kept_cache().clear();
    assert!(kept_cache().is_empty(), "its owner may do what it wants");
}

#[test]
fn a_fixed_cost_is_what_a_hit_saves() {
    #[cached(cost = "1s")]
    fn fixed(n: u32) -> u32 {
        n
    }

    #[cached(cost = |n, value| Duration::from_secs(u64::from(n + value)))]
    fn computed(n: u32) -> u32 {
        n
    }

    for n in [2, 2, 2] {
        assert_eq!((fixed(n), computed(n)), (n, n));
    }
    // Costs are kept in steps of an octave's parts.
    let near = |saved: Duration, seconds: f64| (saved.as_secs_f64() / seconds - 1.0).abs() < 0.5;
    let (fixed, computed) = (fixed_cache().stats().time_saved, computed_cache().stats().time_saved);
    assert!(near(fixed, 2.0) && near(computed, 8.0), "{fixed:?} {computed:?}");
}

/// What each entry's only hit saved.
fn saved(stats: &larder::TenantStats) -> f64 {
    stats.time_saved.as_secs_f64()
}

#[test]
fn the_processor_time_of_a_body_is_its_cost_if_that_is_said() {
    #[cached(cost = "cpu", skip(clock))]
    fn by_work(n: u32, clock: &ManualClock) -> u32 {
        clock.advance(Duration::from_secs(10));
        clock.compute(Duration::from_millis(20));
        n
    }

    #[cached(skip(clock))]
    fn by_time(n: u32, clock: &ManualClock) -> u32 {
        clock.advance(Duration::from_secs(10));
        clock.compute(Duration::from_millis(20));
        n
    }

    #[cached(cost = "cpu", skip(clock), refresh)]
    fn of_the_body_below(n: u32, clock: &ManualClock) -> u32 {
        clock.compute(Duration::from_millis(60));
        // Work of another thread is not this one's.
        std::thread::scope(|scope| scope.spawn(|| clock.compute(Duration::from_secs(5))).join()).unwrap();
        by_work(n, clock)
    }

    let clock = ManualClock::new();
    let _scope = larder::testing::isolated_at(clock.clone());
    for _ in 0..2 {
        assert_eq!((of_the_body_below(1, &clock), by_work(1, &clock), by_time(1, &clock)), (1, 1, 1));
    }
    // Costs are kept in steps of an octave's parts.
    let near = |saved: f64, seconds: f64| (saved / seconds - 1.0).abs() < 0.1;
    let stats = [of_the_body_below_cache().stats(), by_work_cache().stats(), by_time_cache().stats()];
    let [below, work, time] = stats.each_ref().map(saved);
    assert!(near(below, 0.08) && near(work, 0.04) && near(time, 10.02), "{below} {work} {time}");
    let took = stats.map(|stats| stats.load_time);
    let all = [15.08, 10.02, 10.02].map(Duration::from_secs_f64);
    assert_eq!(took, all, "what loads took is told in time that passed");
    of_the_body_below_refresh(1, &clock);
    of_the_body_below(1, &clock);
    let again = saved(&of_the_body_below_cache().stats()) - below;
    assert!(near(again, 0.06), "a refreshed value's cost: {again}");
}

#[test]
fn the_processor_time_of_a_task_is_that_of_its_polls() {
    /// Computes, rests, and computes again, wherever it is polled.
    async fn work(clock: &ManualClock, first: u64, second: u64) {
        clock.compute(Duration::from_millis(first));
        let mut rested = false;
        std::future::poll_fn(|_| {
            if std::mem::replace(&mut rested, true) { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
        clock.compute(Duration::from_millis(second));
    }

    #[cached(cost = "cpu", key(n), refresh)]
    async fn in_polls(n: u32, clock: &ManualClock) -> u32 {
        work(clock, 30, 50).await;
        n
    }

    #[cached(cost = "cpu", key(n), single_flight = false)]
    async fn alone(n: u32, clock: &ManualClock) -> Result<u32, String> {
        work(clock, 10, 10).await;
        Ok(n)
    }

    let clock = ManualClock::new();
    let _scope = larder::testing::isolated_at(clock.clone());
    let mut context = Context::from_waker(Waker::noop());
    let mut run = |mut task: Pin<Box<dyn Future<Output = ()> + Send + '_>>| {
        assert!(task.as_mut().poll(&mut context).is_pending());
        // While it rests the time passes, and its thread computes for others.
        clock.advance(Duration::from_secs(3));
        clock.compute(Duration::from_secs(1));
        let moved = || task.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_ready();
        assert!(std::thread::scope(|scope| scope.spawn(moved).join()).unwrap());
    };
    run(Box::pin(async { assert_eq!(in_polls(1, &clock).await, 1) }));
    run(Box::pin(async { assert_eq!(alone(1, &clock).await, Ok(1)) }));
    let mut hit = pin!(async { (in_polls(1, &clock).await, alone(1, &clock).await) });
    assert_eq!(hit.as_mut().poll(&mut Context::from_waker(Waker::noop())), Poll::Ready((1, Ok(1))));
    let near = |saved: f64, seconds: f64| (saved / seconds - 1.0).abs() < 0.1;
    let [polls, lone] = [in_polls_cache().stats(), alone_cache().stats()].each_ref().map(saved);
    assert!(near(polls, 0.08) && near(lone, 0.02), "{polls} {lone}");
    assert_eq!(in_polls_cache().stats().load_time, Duration::from_millis(4080));
    run(Box::pin(async { assert_eq!(in_polls_refresh(1, &clock).await, 1) }));
    assert_eq!(in_polls_cache().stats().loads, 2);
}

#[test]
fn names_are_what_the_attribute_says() {
    #[cached(namespace = "billing")]
    fn invoices(n: u32) -> u32 {
        n
    }

    #[cached(namespace = "billing", name = "all of them")]
    fn customers(n: u32) -> u32 {
        n
    }

    invoices(1);
    customers(1);
    assert_eq!(invoices_cache().name(), "billing::invoices");
    assert_eq!(customers_cache().name(), "billing::all of them");
}
