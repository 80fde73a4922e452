//! Whatever calls of the user's own code panic, one after the other: the cache is whole after each.
//!
//! One script of operations calls everything that users may supply. It runs again and again, and each time the next call
//! of all those panics. `panics` has what follows from a panic of each kind; here is that no place was forgotten.

use std::collections::VecDeque;
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use larder::testing::ManualClock;
use larder::{Cache, Change, Domain, EntryFacts, Evict, Policy, Uses};
use larder_runtime::__private::validate;
use larder_tests::short_or_deep;

use crate::support::{MB, check, check_emptied, clocked, panics};

/// Counts calls of the user's code; one of them panics.
#[derive(Clone, Debug, Default)]
struct Fuse(Arc<(AtomicU64, AtomicU64)>);

impl Fuse {
    /// The call that panics, counted from 1 from now on; 0 for none.
    fn set(&self, at: u64) {
        self.0.0.store(0, Ordering::SeqCst);
        self.0.1.store(at, Ordering::SeqCst);
    }

    fn calls(&self) -> u64 {
        self.0.0.load(Ordering::SeqCst)
    }

    fn burn(&self) {
        if self.0.0.fetch_add(1, Ordering::SeqCst) + 1 == self.0.1.load(Ordering::SeqCst) {
            panic!("a call that fails, on purpose");
        }
    }
}

struct Key(u64, Fuse);

impl Clone for Key {
    fn clone(&self) -> Self {
        self.1.burn();
        Self(self.0, self.1.clone())
    }
}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.1.burn();
        state.write_u64(self.0 % 5);
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.1.burn();
        self.0 == other.0
    }
}

impl Eq for Key {}

struct Value(u64, Fuse);

impl Clone for Value {
    fn clone(&self) -> Self {
        self.1.burn();
        Self(self.0, self.1.clone())
    }
}

impl Drop for Value {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.1.burn();
        }
    }
}

/// Evicts the oldest.
struct Oldest(VecDeque<u32>, Fuse);

impl Evict for Oldest {
    fn insert(&mut self, slot: u32, _: &EntryFacts) {
        self.1.burn();
        self.0.push_back(slot);
    }

    fn remove(&mut self, slot: u32) {
        self.1.burn();
        self.0.retain(|other| *other != slot);
    }

    fn rename(&mut self, from: u32, to: u32) {
        self.1.burn();
        self.0.iter_mut().filter(|slot| **slot == from).for_each(|slot| *slot = to);
    }

    fn victim(&mut self, uses: &mut Uses<'_>) -> Option<u32> {
        self.1.burn();
        uses.take(*self.0.front()?);
        self.0.front().copied()
    }
}

impl Drop for Oldest {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.1.burn();
        }
    }
}

struct Field {
    cache: Cache<Key, Value>,
    domain: Domain,
    clock: ManualClock,
    fuse: Fuse,
}

impl Field {
    /// `own` says whether the order of eviction is the user's, too.
    fn new(own: bool, heard: bool) -> Self {
        let (domain, clock) = clocked(MB);
        let fuse = Fuse::default();
        let each = || {
            let fuse = fuse.clone();
            move || fuse.burn()
        };
        let (weigh, cost, ttl, utility, tell, make) = (each(), each(), each(), each(), each(), each());
        let of_order = fuse.clone();
        let builder = Cache::builder("field").max_entries(6).max_bytes(12_000);
        let builder = builder.weigh(move |_: &Key, value: &Value| {
            weigh();
            900 + value.0
        });
        let builder = builder.cost(move |_, _| {
            cost();
            Duration::from_millis(1)
        });
        let builder = builder.ttl_by(move |_, _| {
            ttl();
            Duration::from_secs(10)
        });
        let builder = builder.utility(move |_, _| {
            utility();
            1.0
        });
        let builder = if own {
            builder.policy_with(move || {
                make();
                Oldest(VecDeque::new(), of_order.clone())
            })
        } else {
            builder.policy(Policy::Hybrid)
        };
        let builder = if heard { builder.on_remove(move |_, _, _| tell()) } else { builder };
        Self { cache: builder.build_in(&domain).unwrap(), domain, clock, fuse }
    }

    fn key(&self, key: u64) -> Key {
        Key(key, self.fuse.clone())
    }

    fn value(&self, value: u64) -> Value {
        Value(value, self.fuse.clone())
    }

    /// Everything there is to do, each by itself: after a panic the next goes on.
    fn run(&self) {
        let Self { cache, domain, clock, .. } = self;
        let act = |work: &dyn Fn()| _ = panics(work);
        for key in 0..8 {
            act(&|| cache.insert(self.key(key), self.value(key)));
        }
        act(&|| cache.insert(self.key(7), self.value(70)));
        act(&|| drop(cache.get(&self.key(6))));
        act(&|| drop(cache.peek(&self.key(5))));
        act(&|| {
            drop(cache.get_or_insert_with(self.key(20), || {
                self.fuse.burn();
                self.value(20)
            }));
        });
        act(&|| drop(cache.get_or_insert_with(self.key(20), || self.value(21))));
        act(&|| {
            drop(cache.compute(self.key(20), |_| {
                self.fuse.burn();
                Change::Insert(self.value(22))
            }));
        });
        act(&|| drop(cache.compute(self.key(20), |_| Change::Remove)));
        act(&|| _ = cache.pin(&self.key(7)));
        act(&|| cache.insert(self.key(7), self.value(3000)));
        act(&|| _ = cache.reweigh(&self.key(7)));
        act(&|| _ = cache.unpin(&self.key(7)));
        act(&|| _ = cache.set_ttl(&self.key(7), Duration::from_secs(1)));
        act(&|| drop(cache.iter().collect::<Vec<_>>()));
        act(&|| drop(cache.hottest(3)));
        act(&|| _ = cache.invalidate(&self.key(6)));
        act(&|| {
            _ = cache.invalidate_if(|key, _| {
                self.fuse.burn();
                key.0 == 5
            });
        });
        act(&|| cache.set_max_entries(3));
        act(&|| drop(domain.trim(2000)));
        act(&|| cache.set_max_entries(6));
        act(&|| clock.advance(Duration::from_secs(1)));
        act(&|| drop(cache.get(&self.key(7))));
        act(&|| clock.advance(Duration::from_secs(10)));
        act(&|| cache.insert(self.key(9), self.value(9)));
        act(&|| domain.tick());
        act(&|| cache.clear());
        act(&|| cache.insert(self.key(10), self.value(10)));
    }

    /// The cache is whole, and works.
    fn check(&self) {
        self.fuse.set(0);
        // What a panic has left to be dropped goes with the next operation.
        self.domain.tick();
        validate(&self.cache);
        check(&self.domain);
        for key in 30..40 {
            self.cache.insert(self.key(key), self.value(key));
            assert_eq!(self.cache.get(&self.key(key)).map(|value| value.0), Some(key));
        }
        assert_eq!(self.cache.len(), 6);
        validate(&self.cache);
        check_emptied(&self.cache);
    }
}

#[test]
fn a_panic_in_any_call_of_the_users_leaves_the_cache_whole() {
    for (own, heard) in [(true, true), (false, false), (true, false)] {
        let field = Field::new(own, heard);
        field.run();
        let calls = field.fuse.calls();
        assert!(calls > 150, "{calls} calls of the user's code");
        for at in (1..=calls).step_by(short_or_deep(3, 1)) {
            let field = Field::new(own, heard);
            field.fuse.set(at);
            field.run();
            assert!(field.fuse.calls() >= at, "call {at} was made");
            field.check();
            let fuse = field.fuse.clone();
            drop(field);
            assert_eq!(Arc::strong_count(&fuse.0), 1, "call {at}: nothing of the user's is kept for ever");
        }
    }
}

/// What is thrown throws in turn when it is dropped.
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        assert!(std::thread::panicking(), "a payload that fails, on purpose");
    }
}

/// An order that panics as soon as it is asked for anything.
struct Panicking;

impl Evict for Panicking {
    fn insert(&mut self, _: u32, _: &EntryFacts) {
        std::panic::panic_any(Bomb);
    }

    fn remove(&mut self, _: u32) {}

    fn rename(&mut self, _: u32, _: u32) {}

    fn victim(&mut self, _: &mut Uses<'_>) -> Option<u32> {
        None
    }
}

#[test]
fn what_a_users_order_throws_is_not_dropped_under_the_lock() {
    let (domain, _) = clocked(MB);
    let cache = Cache::<u64, u64>::builder("panicking").max_entries(3).policy_with(|| Panicking);
    let cache = cache.build_in(&domain).unwrap();
    let panicked = panics(|| (0..10).for_each(|key| cache.insert(key, key)));
    assert!(!panicked, "an order that fails is dropped, and the oldest go first");
    validate(&cache);
    assert_eq!((cache.len(), cache.get(9)), (3, Some(9)));
    check_emptied(&cache);
}
