//! Who sees what after a write or an invalidation: never a value from before it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, mpsc};

use larder::{Cache, Domain};
use larder_tests::short_or_deep;

use crate::support::{MB, Random, all_at_once, check, check_emptied, domain, in_time};

fn build(domain: &Domain) -> Cache<u64, u64> {
    Cache::builder("cache").build_in(domain).unwrap()
}

/// Starts a load of key 1 that is to return 1; while its body runs, `meanwhile` happens. Returns the cache after
/// the load ended.
fn during_a_load(meanwhile: impl FnOnce(&Cache<u64, u64>) + Send + 'static) -> Cache<u64, u64> {
    let domain = domain(MB);
    let cache = build(&domain);
    let worker = cache.clone();
    in_time("something during a load", move || {
        let (started, start) = mpsc::channel();
        let (finish, finished) = mpsc::channel();
        let loader = worker.clone();
        let thread = std::thread::spawn(move || {
            loader.get_or_insert_with(1, || {
                started.send(()).unwrap();
                finished.recv().unwrap();
                1
            })
        });
        start.recv().unwrap();
        meanwhile(&worker);
        finish.send(()).unwrap();
        assert_eq!(thread.join().unwrap(), 1, "the caller of the load gets its value");
    });
    check(&domain);
    cache
}

#[test]
fn a_load_that_was_invalidated_is_not_stored() {
    let cache = during_a_load(|cache| assert!(!cache.invalidate(1)));
    assert_eq!(cache.get(1), None);
    assert_eq!(cache.get_or_insert_with(1, || 2), 2);
    check_emptied(&cache);
}

#[test]
fn a_load_that_was_cleared_is_not_stored() {
    let cache = during_a_load(Cache::clear);
    assert_eq!((cache.get(1), cache.len()), (None, 0));
    check_emptied(&cache);
}

#[test]
fn a_load_of_another_key_is_stored_whatever_happens_to_this_one() {
    let cache = during_a_load(|cache| cache.insert(2, 5));
    assert_eq!((cache.get(1), cache.get(2)), (Some(1), Some(5)));
}

#[test]
fn an_insert_during_a_load_wins() {
    let cache = during_a_load(|cache| cache.insert(1, 5));
    assert_eq!((cache.get(1), cache.len()), (Some(5), 1));
    check_emptied(&cache);
}

#[test]
fn an_insert_during_a_load_wins_even_if_it_is_gone_again() {
    let cache = during_a_load(|cache| {
        cache.insert(1, 5);
        cache.invalidate(1);
    });
    assert_eq!(cache.get(1), None);
}

#[test]
fn a_caller_after_an_invalidation_does_not_wait_for_the_older_load() {
    for change in [|cache: &Cache<u64, u64>| _ = cache.invalidate(1), Cache::clear] {
        let cache = during_a_load(move |cache| {
            change(cache);
            // The older load is still running; joining it would hang here, and answer 1 elsewhere.
            assert_eq!(cache.get_or_insert_with(1, || 2), 2);
            assert_eq!(cache.get(1), Some(2));
        });
        assert_eq!(cache.get(1), Some(2), "the older load ended last, and does not overwrite");
        check_emptied(&cache);
    }
}

/// Starts a load of key 1, which is to return 1, while an insert of 2 is being weighed; the load ends after the
/// insert, and `meanwhile` happens in between. Returns what is found at the end.
fn a_load_inside_an_insert(meanwhile: fn(&Domain)) -> Option<u64> {
    type Hook = Box<dyn FnOnce() + Send>;
    let domain = domain(MB);
    let hook = Arc::new(Mutex::new(None::<Hook>));
    let weighed = Arc::clone(&hook);
    let cache = Cache::<u64, u64>::builder("slow to weigh")
        .weigh(move |_, _| {
            let hook = weighed.lock().unwrap().take();
            if let Some(hook) = hook {
                hook();
            }
            64
        })
        .build_in(&domain)
        .unwrap();
    in_time("a load inside an insert", move || {
        let (finish, finished) = mpsc::channel();
        let (started, start) = mpsc::channel();
        let (hand_over, handed_over) = mpsc::channel();
        let loader = cache.clone();
        *hook.lock().unwrap() = Some(Box::new(move || {
            // The load finds nothing: the insert is not done yet.
            let thread = std::thread::spawn(move || {
                loader.get_or_insert_with(1, || {
                    started.send(()).unwrap();
                    finished.recv().unwrap();
                    1
                })
            });
            start.recv().unwrap();
            hand_over.send(thread).unwrap();
        }));
        cache.insert(1, 2);
        assert_eq!(cache.get(1), Some(2));
        meanwhile(&domain);
        finish.send(()).unwrap();
        handed_over.recv().unwrap().join().unwrap();
        let found = cache.get(1);
        check(&domain);
        check_emptied(&cache);
        found
    })
}

#[test]
fn an_insert_wins_over_a_load_that_starts_while_it_is_weighed() {
    assert_eq!(a_load_inside_an_insert(|_| {}), Some(2), "the load began before the insert ended");
}

#[test]
fn an_insert_wins_over_a_load_even_if_its_entry_is_evicted_meanwhile() {
    assert_eq!(
        a_load_inside_an_insert(|domain| _ = domain.trim(u64::MAX)),
        None,
        "nothing is better than the old"
    );
}

/// A truth that changes, and a cache of it: a register for each key, which threads read through the cache and write by
/// changing the truth and telling the cache.
///
/// Writes of a key come one after another, and each writes a higher version than the one before. For such a register a
/// history is linearizable exactly if each read returns a version
///
/// 1. whose write had begun when the read ended,
/// 2. not below any whose write had ended when the read began, and
/// 3. not below any that another read had found in the cache when this one began: new, then old, would be an inversion.
///
/// Then the reads can be put in the order of their versions, each after the write of its own and before the next, and
/// no two calls of which one ended before the other began change places. So there is no history to record and no search:
/// each read takes a floor when it begins (2 and 3) and a ceiling when it ends (1), and is checked on the spot, on any
/// number of operations. The floor is read before the call and raised after it, so that the time of a call as seen here
/// covers the true one: what is found is always real. A miss says nothing and is no read.
///
/// A load is held to the floor, but raises none: its body reads the truth itself, also while a write is under way that
/// the cache has not been told of. Where another write superseded it meanwhile, what it returns is ahead of the cache
/// until that write ends.
struct Truth {
    cache: Cache<u64, u64>,
    domain: Domain,
    keys: Vec<Key>,
}

#[derive(Default)]
struct Key {
    /// What a load would read now.
    version: AtomicU64,
    /// The highest version whose write has ended, or that a read has found.
    floor: AtomicU64,
    /// One writer at a time: otherwise an older version may rightly be inserted last.
    writing: Mutex<()>,
}

impl Truth {
    fn new(keys: usize, entries: Option<u64>) -> Self {
        let domain = domain(4 * MB);
        let mut builder = Cache::builder("of the truth");
        if let Some(entries) = entries {
            builder = builder.max_entries(entries);
        }
        let cache = builder.build_in(&domain).unwrap();
        Self { cache, domain, keys: (0..keys).map(|_| Key::default()).collect() }
    }

    /// Judges what a read that began at this floor has found.
    fn check(&self, at: u64, floor: u64, read: u64, how: &str) {
        let key = &self.keys[at as usize];
        let now = key.version.load(Ordering::SeqCst);
        assert!(read >= floor, "{how} of key {at} found {read}, but {floor} was written or read before");
        assert!(read <= now, "{how} of key {at} found {read}, which is not written before {now}");
    }

    /// [`check`](Self::check) for what was in the cache: from here on it holds nothing older.
    fn check_found(&self, at: u64, floor: u64, read: Option<u64>, how: &str) {
        let Some(read) = read else { return };
        self.check(at, floor, read, how);
        self.keys[at as usize].floor.fetch_max(read, Ordering::SeqCst);
    }

    fn step(&self, random: &mut Random) {
        let at = random.below(self.keys.len() as u64);
        let key = &self.keys[at as usize];
        let load = || {
            let version = key.version.load(Ordering::SeqCst);
            // A window for the others, now and then: between reading the truth and storing it.
            if version % 16 == 1 {
                std::thread::yield_now();
            }
            version
        };
        let change = |tell: &dyn Fn(u64)| {
            let writing = key.writing.lock().unwrap();
            let version = key.version.fetch_add(1, Ordering::SeqCst) + 1;
            tell(version);
            key.floor.fetch_max(version, Ordering::SeqCst);
            drop(writing);
        };
        let floor = key.floor.load(Ordering::SeqCst);
        match random.below(100) {
            0..=49 => self.check(at, floor, self.cache.get_or_insert_with(at, load), "a load"),
            50..=69 => self.check_found(at, floor, self.cache.get(at), "a get"),
            70..=74 => self.check_found(at, floor, self.cache.peek(at), "a peek"),
            75..=79 => {
                let read = self
                    .cache
                    .try_get_or_insert_with(at, || if at.is_multiple_of(2) { Ok(load()) } else { Err(()) });
                if let Ok(read) = read {
                    self.check(at, floor, read, "a load that may fail");
                }
            }
            80..=89 => change(&|_| _ = self.cache.invalidate(at)),
            90..=98 => change(&|version| self.cache.insert(at, version)),
            _ if random.below(20) == 0 => change(&|_| self.cache.clear()),
            _ => change(&|_| _ = self.cache.invalidate(at)),
        }
    }

    fn run(self, operations: u64) {
        let truth = Arc::new(self);
        let shared = Arc::clone(&truth);
        all_at_once("a history of reads and writes", 4, move |at| {
            let mut random = Random::new(at as u64);
            for _ in 0..operations / 4 {
                shared.step(&mut random);
            }
        });
        check(&truth.domain);
        check_emptied(&truth.cache);
    }
}

#[test]
fn no_read_is_older_than_what_was_announced_before_it() {
    Truth::new(8, None).run(short_or_deep(500_000, 50_000_000));
}

#[test]
fn no_read_is_older_while_entries_are_evicted_all_the_time() {
    Truth::new(200, Some(20)).run(short_or_deep(500_000, 50_000_000));
}

#[test]
fn no_read_of_one_contended_key_is_older() {
    Truth::new(1, Some(1)).run(short_or_deep(300_000, 10_000_000));
}
