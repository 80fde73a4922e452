//! Readers without a lock under controlled schedules: what they hold is never dropped, and what stays is always found.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use shuttle::thread;

use super::Cache;
use crate::models::check;
use crate::{Domain, testing::ManualClock};

/// A value that notices when it is read after it was dropped. What it looks at outlives it, so that noticing is not
/// itself a read of freed memory.
struct Watched {
    key: u64,
    alive: Arc<shuttle::sync::atomic::AtomicBool>,
}

impl Watched {
    fn new(key: u64) -> Self {
        Self { key, alive: Arc::new(shuttle::sync::atomic::AtomicBool::new(true)) }
    }
}

impl Clone for Watched {
    fn clone(&self) -> Self {
        assert!(self.alive.load(Ordering::SeqCst), "read after it was dropped");
        thread::yield_now();
        assert!(self.alive.load(Ordering::SeqCst), "dropped while it was read");
        Self::new(self.key)
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.alive.store(false, Ordering::SeqCst);
    }
}

fn domain() -> Domain {
    Domain::builder().limit_bytes(1 << 20).clock(ManualClock::new()).manual().build()
}

fn cache<V: Clone + Send + Sync + 'static>(domain: &Domain, entries: u64) -> Cache<u64, V> {
    Cache::builder("model").max_entries(entries).weigh(|_, _| 0).build_in(domain).unwrap()
}

/// Runs `look` again and again beside `change`, which has many more steps than a look.
fn beside(look: impl Fn() + Send + 'static, change: impl FnOnce()) {
    let done = Arc::new(shuttle::sync::atomic::AtomicBool::new(false));
    let reader = {
        let done = Arc::clone(&done);
        thread::spawn(move || {
            while !done.load(Ordering::SeqCst) {
                look();
                // Schedules of priorities would let us look for ever.
                thread::yield_now();
            }
        })
    };
    change();
    done.store(true, Ordering::SeqCst);
    reader.join().unwrap();
}

#[test]
fn what_is_read_is_not_dropped() {
    check(|| {
        let domain = domain();
        let cache = cache::<Watched>(&domain, 2);
        cache.insert(1, Watched::new(1));
        let reader = cache.clone();
        beside(
            move || assert!(reader.get(1).is_none_or(|value| value.key == 1)),
            || {
                cache.insert(1, Watched::new(1));
                cache.invalidate(1);
                for key in 1..5 {
                    cache.insert(key, Watched::new(key));
                }
                cache.clear();
            },
        );
        domain.tick();
        assert_eq!(cache.core.validate(), cache.weight());
        assert_eq!(cache.weight(), cache.core.tenant.card.base(), "something stays in limbo");
    });
}

#[test]
fn a_value_in_place_of_another_is_always_found() {
    check(|| {
        let domain = domain();
        let cache = cache::<u64>(&domain, 64);
        cache.insert(1, 0);
        let last = Arc::new(AtomicU64::new(0));
        let reader = {
            let (cache, last) = (cache.clone(), Arc::clone(&last));
            thread::spawn(move || {
                for _ in 0..4 {
                    let before = last.load(Ordering::SeqCst);
                    let found = cache.get(1).expect("it was never out");
                    assert!(found >= before, "{found} after {before}");
                }
            })
        };
        for value in 1..5 {
            cache.insert(1, value);
            last.store(value, Ordering::SeqCst);
        }
        reader.join().unwrap();
    });
}

#[test]
fn a_reader_never_finds_an_older_value_than_another_did() {
    check(|| {
        let domain = domain();
        let cache = cache::<u64>(&domain, 64);
        cache.insert(1, 0);
        // Known by address to this thread only.
        let seen = Arc::new(AtomicU64::new(0));
        let look = |cache: &Cache<u64, u64>, seen: &AtomicU64| {
            let before = seen.load(Ordering::SeqCst);
            let found = cache.get(1).expect("it was never out");
            assert!(found >= before, "{found} after {before}");
            seen.fetch_max(found, Ordering::SeqCst);
        };
        look(&cache, &seen);
        look(&cache, &seen);
        let other = {
            let (cache, seen) = (cache.clone(), Arc::clone(&seen));
            thread::spawn(move || (0..5).for_each(|_| look(&cache, &seen)))
        };
        let writer = {
            let cache = cache.clone();
            thread::spawn(move || (1..5).for_each(|value| cache.insert(1, value)))
        };
        (0..6).for_each(|_| look(&cache, &seen));
        other.join().unwrap();
        writer.join().unwrap();
        look(&cache, &seen);
        assert_eq!(seen.load(Ordering::SeqCst), 4);
    });
}

#[test]
fn what_comes_and_goes_is_found_by_all_or_by_none() {
    check(|| {
        let domain = domain();
        let cache = cache::<u64>(&domain, 64);
        // Its slot is known to this thread, and used again and again.
        cache.insert(1, 0);
        assert_eq!((cache.get(1), cache.get(1)), (Some(0), Some(0)));
        let version = Arc::new(AtomicU64::new(0));
        let writer = {
            let (cache, version) = (cache.clone(), Arc::clone(&version));
            thread::spawn(move || {
                for value in 1..3 {
                    assert!(cache.invalidate(1));
                    version.store(2 * value - 1, Ordering::SeqCst);
                    cache.insert(1, value);
                    version.store(2 * value, Ordering::SeqCst);
                }
            })
        };
        let other = cache.clone();
        let pair = thread::spawn(move || {
            let (first, second) = (other.get(1), other.get(1));
            assert!(first.is_none() || second.is_none() || first <= second);
        });
        for _ in 0..4 {
            let before = version.load(Ordering::SeqCst);
            let found = cache.get(1);
            let after = version.load(Ordering::SeqCst);
            match found {
                // Written by then, and not removed before the look began.
                Some(value) => {
                    assert!(2 * value + 1 > before && 2 * value <= after + 1, "{value}: {before}-{after}")
                }
                None => assert!(before < 4, "it is there for good"),
            }
        }
        writer.join().unwrap();
        pair.join().unwrap();
        assert_eq!(cache.get(1), Some(2));
        assert_eq!(cache.core.validate(), cache.weight());
    });
}

#[test]
fn what_stays_is_found_while_table_and_pages_grow_and_shrink() {
    check(|| {
        let domain = domain();
        let cache = cache::<u64>(&domain, 400);
        cache.insert(1000, 7);
        let reader = cache.clone();
        beside(
            move || assert_eq!(reader.get(1000), Some(7)),
            || {
                for key in 0..24 {
                    cache.insert(key, key);
                }
                for key in 0..24 {
                    cache.invalidate(key);
                }
            },
        );
        domain.tick();
        assert_eq!((cache.get(1000), cache.len()), (Some(7), 1));
        assert_eq!(cache.core.validate(), cache.weight());
    });
}

#[test]
fn a_reader_inside_a_reader_keeps_what_both_see() {
    /// Looks into another cache while it is cloned.
    struct Nested(Watched, Cache<u64, Watched>);

    impl Clone for Nested {
        fn clone(&self) -> Self {
            let inner = self.1.get(1);
            assert!(inner.is_none_or(|value| value.key == 1));
            Self(self.0.clone(), self.1.clone())
        }
    }

    check(|| {
        let domain = domain();
        let (outer, inner) = (cache::<Nested>(&domain, 2), cache::<Watched>(&domain, 2));
        inner.insert(1, Watched::new(1));
        outer.insert(1, Nested(Watched::new(1), inner.clone()));
        let reader = outer.clone();
        beside(
            move || drop(reader.get(1)),
            || {
                inner.insert(1, Watched::new(1));
                outer.invalidate(1);
                inner.invalidate(1);
            },
        );
        domain.tick();
        assert_eq!(outer.weight(), outer.core.tenant.card.base());
        assert_eq!(inner.weight(), inner.core.tenant.card.base());
    });
}

#[test]
fn each_entry_is_told_of_once_beside_readers_and_writers() {
    check(|| {
        let told = Arc::new(std::sync::Mutex::new(Vec::new()));
        let domain = domain();
        let cache = {
            let told = Arc::clone(&told);
            Cache::<u64, u64>::builder("model")
                .max_entries(2)
                .on_remove(move |_, value, _| told.lock().unwrap().push(value))
                .build_in(&domain)
                .unwrap()
        };
        let threads = [10, 20].map(|first| {
            let cache = cache.clone();
            thread::spawn(move || {
                cache.insert(1, first);
                assert!(cache.get(1).is_none_or(|value| value >= 10));
                cache.insert(first, first + 1);
                cache.invalidate(1);
                cache.insert(2, first + 2);
            })
        });
        let reader = cache.clone();
        assert!(reader.get(2).is_none_or(|value| value >= 12));
        drop(reader);
        for thread in threads {
            thread.join().unwrap();
        }
        let rejections = cache.stats().rejections as usize;
        domain.tick();
        assert_eq!(
            told.lock().unwrap().len() + rejections + cache.len(),
            6,
            "nothing stays in limbo after a tick"
        );
        drop(cache);
        let mut told = told.lock().unwrap().clone();
        told.sort_unstable();
        told.dedup();
        assert_eq!(told.len() + rejections, 6);
        assert_eq!(domain.budget().used(), 0);
    });
}

#[test]
fn a_pinned_entry_is_found_beside_who_needs_room() {
    check(|| {
        let domain = domain();
        let cache = cache::<u64>(&domain, 2);
        cache.insert(1, 0);
        assert!(cache.pin(1));
        let writers = [10, 20].map(|first| {
            let cache = cache.clone();
            thread::spawn(move || {
                cache.insert(first, first);
                cache.pin(first);
                cache.insert(1, first);
                cache.unpin(first);
            })
        });
        for _ in 0..3 {
            assert!(cache.get(1).is_some());
        }
        for writer in writers {
            writer.join().unwrap();
        }
        assert!(cache.is_pinned(1) && cache.len() <= 2);
        assert_eq!(cache.core.validate(), cache.weight());
    });
}
