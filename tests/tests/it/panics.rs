//! User code that panics, or that calls back: nothing is left half done, and the others go on.

use std::hash::{Hash, Hasher};
use std::sync::{Arc, mpsc};
use std::time::Duration;

use larder::{Cache, Domain, testing::ManualClock};
use larder_tests::patience;

use crate::support::{
    Counter, MB, OnDrop, Switch, all_at_once, blob, check, check_emptied, clocked, domain, in_time, panics,
};

/// What may go wrong with a key or a value; off unless a test switches it on.
#[derive(Clone, Default)]
struct Faults {
    hash: Switch,
    eq: Switch,
    clone: Switch,
    weigh: Switch,
    cost: Switch,
    drop: Switch,
}

struct Key(u64, Faults);

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        assert!(!self.1.hash.is_on(), "a hash that fails, on purpose");
        // Few hashes, so that `Eq` has something to do.
        (self.0 % 4).hash(state);
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        assert!(!self.1.eq.is_on(), "a comparison that fails, on purpose");
        self.0 == other.0
    }
}

impl Eq for Key {}

struct Value(u64, Faults);

impl Clone for Value {
    fn clone(&self) -> Self {
        assert!(!self.1.clone.is_on(), "a clone that fails, on purpose");
        Self(self.0, self.1.clone())
    }
}

impl Drop for Value {
    fn drop(&mut self) {
        if self.1.drop.is_on() && !std::thread::panicking() {
            panic!("a drop that fails, on purpose");
        }
    }
}

/// What one can do with a minefield, and its name.
type Operation = (&'static str, fn(&Minefield));

/// A cache in which everything can fail.
struct Minefield {
    cache: Cache<Key, Value>,
    domain: Domain,
    clock: ManualClock,
    faults: Faults,
}

impl Minefield {
    fn new() -> Self {
        let (domain, clock) = clocked(MB);
        let faults = Faults::default();
        let (weigh, cost) = (faults.weigh.clone(), faults.cost.clone());
        let cache = Cache::builder("minefield")
            .max_entries(8)
            .ttl(Duration::from_secs(10))
            .weigh(move |_: &Key, _: &Value| {
                assert!(!weigh.is_on(), "a weigher that fails, on purpose");
                1000
            })
            .cost(move |_, _| {
                assert!(!cost.is_on(), "a cost that fails, on purpose");
                Duration::from_millis(1)
            })
            .build_in(&domain)
            .unwrap();
        let field = Self { cache, domain, clock, faults };
        for key in 0..8 {
            field.insert(key, 10 * key);
        }
        field
    }

    fn key(&self, key: u64) -> Key {
        Key(key, self.faults.clone())
    }

    fn value(&self, value: u64) -> Value {
        Value(value, self.faults.clone())
    }

    fn get(&self, key: u64) -> Option<u64> {
        self.cache.get(&self.key(key)).map(|value| value.0)
    }

    fn insert(&self, key: u64, value: u64) {
        self.cache.insert(self.key(key), self.value(value));
    }

    fn load(&self, key: u64, value: u64) -> u64 {
        self.cache.get_or_insert_with(self.key(key), || self.value(value)).0
    }

    /// Everything that calls user code, each under its name.
    fn operations() -> [Operation; 12] {
        [
            ("get", |field| _ = field.get(1)),
            ("get of nothing", |field| _ = field.get(101)),
            ("peek", |field| drop(field.cache.peek(&field.key(2)))),
            ("replace", |field| field.insert(3, 33)),
            ("insert", |field| field.insert(104, 1)),
            ("load", |field| _ = field.load(105, 2)),
            ("load of what is there", |field| _ = field.load(6, 2)),
            ("invalidate", |field| _ = field.cache.invalidate(&field.key(7))),
            ("clear", |field| field.cache.clear()),
            ("expire", |field| {
                field.clock.advance(Duration::from_secs(10));
                field.domain.tick();
            }),
            ("get of what is expired", |field| {
                field.clock.advance(Duration::from_secs(10));
                let _ = field.get(0);
            }),
            ("trim", |field| drop(field.domain.trim(100_000))),
        ]
    }

    /// The cache is whole: the books are right, and everything works.
    fn check(&self, after: &str) {
        check(&self.domain);
        assert_eq!(self.cache.stats().entries, self.cache.len() as u64, "after {after}");
        let used = self.domain.budget().used();
        assert!(used >= 900 * self.cache.len() as u64, "after {after}: {used}");
        for key in 0..8 {
            // Whatever is there is what was written.
            assert!(self.get(key).is_none_or(|value| value == 10 * key || value == 33), "after {after}");
        }
        for key in 200..240 {
            assert_eq!(self.load(key, key), key, "after {after}");
            self.insert(key, key + 1);
            assert_eq!(self.get(key), Some(key + 1), "after {after}");
        }
        assert_eq!(self.cache.len(), 8, "after {after}");
        check_emptied(&self.cache);
        check(&self.domain);
    }
}

/// Does everything with one fault switched on, each on a fresh cache.
#[track_caller]
fn check_fault(which: fn(&Faults) -> &Switch, must_panic: &[&str]) {
    for (name, operation) in Minefield::operations() {
        in_time(name, move || {
            let field = Minefield::new();
            which(&field.faults).set(true);
            let panicked = panics(|| operation(&field));
            which(&field.faults).set(false);
            field.check(name);
            (panicked, name)
        });
    }
    // The faults are real: at least these operations meet them.
    for name in must_panic {
        let (_, operation) = Minefield::operations().into_iter().find(|(other, _)| other == name).unwrap();
        let field = Minefield::new();
        which(&field.faults).set(true);
        assert!(panics(|| operation(&field)), "{name}");
        which(&field.faults).set(false);
    }
}

#[test]
fn a_hash_that_panics() {
    check_fault(|faults| &faults.hash, &["get", "replace", "insert", "load", "invalidate"]);
}

#[test]
fn a_comparison_that_panics() {
    check_fault(|faults| &faults.eq, &["get", "replace", "load of what is there", "invalidate"]);
}

#[test]
fn a_clone_that_panics() {
    check_fault(|faults| &faults.clone, &["get", "peek", "load", "load of what is there"]);
}

#[test]
fn a_weigher_that_panics() {
    check_fault(|faults| &faults.weigh, &["replace", "insert", "load"]);
}

#[test]
fn a_cost_that_panics() {
    check_fault(|faults| &faults.cost, &["replace", "insert", "load"]);
}

#[test]
fn a_drop_that_panics() {
    check_fault(
        |faults| &faults.drop,
        &["replace", "insert", "invalidate", "clear", "expire", "get of what is expired", "trim"],
    );
}

#[test]
fn a_load_that_panics_stores_nothing() {
    let field = Minefield::new();
    assert!(panics(|| drop(field.cache.get_or_insert_with(field.key(50), || panic!("on purpose")))));
    assert_eq!((field.get(50), field.cache.stats().load_failures, field.cache.stats().loads), (None, 1, 0));
    field.check("a load that panics");
}

#[test]
fn a_panic_of_one_does_not_stop_the_others() {
    let each: [fn(&Faults) -> &Switch; 5] = [
        |faults| &faults.hash,
        |faults| &faults.eq,
        |faults| &faults.clone,
        |faults| &faults.weigh,
        |faults| &faults.cost,
    ];
    for which in each {
        let field = Arc::new(Minefield::new());
        let shared = Arc::clone(&field);
        all_at_once("panics here and there", 6, move |at| {
            for round in 0..500 {
                if at == 0 {
                    which(&shared.faults).set(round % 2 == 0);
                }
                let key = (round + at as u64) % 30;
                panics(|| _ = shared.load(key, 10 * key));
                panics(|| _ = shared.get(key));
                panics(|| _ = shared.cache.invalidate(&shared.key(key)));
                panics(|| shared.insert(key, 10 * key));
            }
            if at == 0 {
                which(&shared.faults).set(false);
            }
        });
        which(&field.faults).set(false);
        field.cache.clear();
        field.check("panics here and there");
    }
}

#[test]
fn waiters_go_on_when_the_leaders_clone_panics() {
    let field = Arc::new(Minefield::new());
    let shared = Arc::clone(&field);
    let failures = Counter::default();
    let counted = failures.clone();
    all_at_once("a clone that fails while others wait", 8, move |_| {
        let failed = panics(|| {
            let value = shared.cache.get_or_insert_with(shared.key(60), || {
                while shared.cache.stats().waits < 7 {
                    std::thread::yield_now();
                }
                // The first leader's clone fails; the next one's does not.
                shared.faults.clone.set(counted.add() == 0);
                shared.value(600)
            });
            assert_eq!(value.0, 600);
        });
        if failed {
            shared.faults.clone.set(false);
        }
    });
    assert!(failures.get() <= 8);
    field.faults.clone.set(false);
    field.check("a clone that fails while others wait");
}

#[test]
fn a_comparison_that_panics_inside_an_insert_drops_the_value_outside_every_lock() {
    #[derive(Clone)]
    struct Careful(Switch);
    impl PartialEq for Careful {
        fn eq(&self, _: &Self) -> bool {
            assert!(!self.0.is_on(), "a comparison that fails, on purpose");
            true
        }
    }
    impl Eq for Careful {}
    impl Hash for Careful {
        fn hash<H: Hasher>(&self, state: &mut H) {
            state.write_u8(1);
        }
    }
    in_time("a drop under a lock", || {
        let domain = domain(MB);
        let cache = Cache::<Careful, OnDrop>::builder("careful").build_in(&domain).unwrap();
        let fails = Switch::default();
        let (inner, calm) = (cache.clone(), fails.clone());
        let calls_back = move || {
            // The same cache, the same shard, exclusively.
            calm.set(false);
            inner.insert(Careful(calm.clone()), OnDrop::new(|| {}));
        };
        cache.insert(Careful(fails.clone()), OnDrop::new(|| {}));
        fails.set(true);
        assert!(panics(|| cache.insert(Careful(fails.clone()), OnDrop::new(calls_back))));
        assert_eq!(cache.len(), 1);
        check_emptied(&cache);
    });
}

/// A cache whose values call back when they are dropped, while `armed`.
fn calling_back(
    domain: &Domain,
    call: impl Fn(&Cache<u64, OnDrop>) + Send + Sync + 'static,
) -> (Cache<u64, OnDrop>, impl Fn() -> OnDrop) {
    let cache = Cache::<u64, OnDrop>::builder("calling back")
        .max_entries(16)
        .ttl(Duration::from_secs(10))
        .weigh(|_, _| 2000)
        .build_in(domain)
        .unwrap();
    let weak = Arc::new(std::sync::Mutex::new(Some(cache.clone())));
    let call = Arc::new(call);
    // The values hold no handle for good: they would keep their own cache alive.
    let value = move || {
        let (weak, call) = (Arc::clone(&weak), Arc::clone(&call));
        OnDrop::new(move || {
            let cache = weak.lock().unwrap().take();
            if let Some(cache) = cache {
                call(&cache);
                *weak.lock().unwrap() = Some(cache);
            }
        })
    };
    (cache, value)
}

/// Removes values in every way there is; each way's drops call back.
fn drop_in_every_way(
    what: &'static str,
    call: impl Fn(&Domain, &Cache<u64, OnDrop>) + Send + Sync + 'static,
) {
    in_time(what, move || {
        let (domain, clock) = clocked(MB);
        let domain = Arc::new(domain);
        let inner = Arc::clone(&domain);
        let (cache, value) = calling_back(&domain, move |cache| call(&inner, cache));
        let fill = || {
            for key in 0..20 {
                cache.insert(key, value());
            }
        };
        fill();
        cache.insert(19, value());
        cache.invalidate(18);
        cache.get_or_insert_with(1000, &value);
        fill();
        cache.clear();
        fill();
        let _ = domain.trim(50_000);
        clock.advance(Duration::from_secs(10));
        let _ = cache.get(19);
        domain.tick();
        fill();
        domain.budget().set_limit(10_000);
        domain.budget().set_limit(MB);
        fill();
        domain.clear_all();
        check(&domain);
        assert!(cache.len() <= 16);
        cache.clear();
        check(&domain);
    });
}

#[test]
fn drops_that_insert() {
    drop_in_every_way("drops that insert", |_, cache| cache.insert(5, OnDrop::new(|| {})));
}

#[test]
fn drops_that_look_up_and_load() {
    drop_in_every_way("drops that load", |_, cache| {
        let _ = cache.get(3);
        cache.get_or_insert_with(7, || OnDrop::new(|| {}));
    });
}

#[test]
fn drops_that_invalidate_and_clear() {
    drop_in_every_way("drops that clear", |_, cache| {
        cache.invalidate(4);
        cache.clear();
    });
}

#[test]
fn drops_that_use_the_domain() {
    drop_in_every_way("drops that use the domain", |domain, _| {
        let _ = domain.trim(3000);
        domain.tick();
        domain.clear_all();
        domain.budget().set_limit(MB);
        let _ = domain.stats().to_string();
    });
}

#[test]
fn drops_that_use_another_cache() {
    let other = domain(MB);
    let other_cache = Cache::<u64, Vec<u8>>::builder("other").build_in(&other).unwrap();
    drop_in_every_way("drops that use another cache", move |domain, _| {
        let neighbour = Cache::<u64, Vec<u8>>::builder("neighbour").build_in(domain).unwrap();
        for key in 0..10 {
            neighbour.insert(key, blob(1000));
            other_cache.get_or_insert_with(key, || blob(100_000));
        }
    });
}

#[test]
fn drops_that_call_back_from_many_threads() {
    in_time("drops that call back from many threads", || {
        let domain = Arc::new(domain(100_000));
        let caches: Vec<Cache<u64, OnDrop>> = (0..4)
            .map(|at| Cache::builder(format!("of {at}")).weigh(|_, _| 1000).build_in(&domain).unwrap())
            .collect();
        let worker = caches.clone();
        let inner = Arc::clone(&domain);
        all_at_once("drops that call back", 4, move |at| {
            for round in 0..2000_u64 {
                let target = worker[(at + 1) % 4].clone();
                let inner = Arc::clone(&inner);
                let value = OnDrop::new(move || match round % 16 {
                    0 => drop(inner.trim(2000)),
                    1 => target.clear(),
                    2 => _ = target.invalidate(round % 50),
                    _ => target.insert(round % 50, OnDrop::new(|| {})),
                });
                worker[at].insert(round % 70, value);
            }
        });
        // The values hold handles; without them the caches can go.
        domain.clear_all();
        domain.clear_all();
        check(&domain);
    });
}

#[test]
fn a_limit_that_is_lowered_while_the_domain_ticks_is_kept() {
    let (domain, clock) = clocked(MB);
    let domain = Arc::new(domain);
    let short = Cache::<u64, OnDrop>::builder("short").ttl(Duration::from_secs(1)).build_in(&domain).unwrap();
    let long = Cache::<u64, Vec<u8>>::builder("long").build_in(&domain).unwrap();
    for key in 0..50 {
        long.insert(key, blob(10_000));
    }
    let inner = Arc::clone(&domain);
    short.insert(1, OnDrop::new(move || inner.budget().set_limit(100_000)));
    clock.advance(Duration::from_secs(1));
    domain.tick();
    assert_eq!(domain.budget().limit(), 100_000, "the drop ran");
    assert!(domain.budget().used() <= 100_000, "{} bytes used", domain.budget().used());
    check(&domain);
}

#[test]
fn a_limit_that_is_lowered_while_a_trim_runs_is_kept() {
    let domain = Arc::new(domain(MB));
    let cache = Cache::<u64, OnDrop>::builder("trimmed").weigh(|_, _| 10_000).build_in(&domain).unwrap();
    let inner = Arc::clone(&domain);
    let drop = Arc::new(move || inner.budget().set_limit(100_000));
    for key in 0..50 {
        let drop = Arc::clone(&drop);
        cache.insert(key, OnDrop::new(move || drop()));
    }
    let _ = domain.trim(50_000);
    assert!(domain.budget().used() <= 100_000, "{} bytes used", domain.budget().used());
    check(&domain);
}

#[test]
fn a_drop_that_panics_does_not_end_the_background_thread() {
    let clock = ManualClock::new();
    let domain =
        Domain::builder().limit_bytes(MB).clock(clock.clone()).interval(Duration::from_millis(1)).build();
    let cache = Cache::<u64, OnDrop>::builder("swept").ttl(Duration::from_secs(1)).build_in(&domain).unwrap();
    for round in 0..3 {
        let (dropped, drops) = mpsc::channel();
        cache.insert(
            round,
            OnDrop::new(move || {
                dropped.send(std::thread::current().name().map(str::to_owned)).unwrap();
                // Without a message: it is another thread's, and meant to happen.
                std::panic::resume_unwind(Box::new("a drop that fails, on purpose"));
            }),
        );
        clock.advance(Duration::from_secs(1));
        let by = drops.recv_timeout(patience()).expect("the background thread sweeps, after a panic too");
        assert_eq!(by.as_deref(), Some("larder"), "round {round}");
    }
    assert_eq!((cache.len(), cache.stats().expirations), (0, 3));
}
