//! What is there after a restart: a new domain and a new cache on the same directory.

use std::env;
use std::fs;
use std::future::Future;
use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::Duration;

use larder::codec::{Lz4, Serde};
use larder::disk::{Disk, inspect};
use larder::testing::ManualClock;
use larder::{BuildError, Cache, Domain, Policy, StoreError, TierState, Tiers, Warm};
use larder_tests::{patience, short_or_deep};

use super::{MB, Texts, check, domain, fill, flush, text, texts, tier, try_texts};

#[test]
fn what_made_room_is_found_after_a_restart() {
    let scratch = tempfile::tempdir().unwrap();
    {
        let domain = domain();
        let cache = texts(&domain, 8, Disk::at(scratch.path()));
        fill(&cache);
        assert_eq!(cache.get(3), Some(text(3)), "from what waits to be written");
        flush(&domain);
        assert_eq!(cache.get(4), Some(text(4)), "from the disk");
        check(&domain);
    }
    let domain = domain();
    let cache = texts(&domain, 8, Disk::at(scratch.path()));
    for key in 0..90 {
        assert_eq!(cache.get(key), Some(text(key)), "{key}");
    }
    assert_eq!(cache.get(99), None, "it was in memory");
    let tier = tier(&cache);
    assert_eq!((tier.state, tier.hits, tier.failures), (TierState::On, 90, 0), "{tier:?}");
    check(&domain);
}

#[test]
fn what_was_removed_or_replaced_stays_so() {
    let scratch = tempfile::tempdir().unwrap();
    {
        let domain = domain();
        let cache = texts(&domain, 8, Disk::at(scratch.path()));
        fill(&cache);
        flush(&domain);
        assert!(cache.invalidate(1) && !cache.contains(1), "it was on disk");
        cache.insert(2, text(1002));
        assert_eq!(cache.invalidate_if(|key, _| key % 10 == 5), 10);
        assert_eq!(cache.compute(6, |_| larder::Change::Remove), None);
        flush(&domain);
    }
    let domain = domain();
    let cache = texts(&domain, 8, Disk::at(scratch.path()));
    for key in [1, 5, 6, 15, 85] {
        assert_eq!(cache.get(key), None, "{key}");
    }
    let second = cache.get(2);
    assert!(second.is_none() || second == Some(text(1002)), "{second:?}");
    assert_eq!(cache.get(3), Some(text(3)));
    cache.clear();
    assert_eq!(cache.get(4), None);
    flush(&domain);
    drop((cache, domain));
    let domain = super::domain();
    let cache = texts(&domain, 8, Disk::at(scratch.path()));
    assert_eq!((cache.get(3), tier(&cache).entries), (None, 0), "it was cleared");
}

#[test]
fn with_persist_what_was_in_memory_is_there_again() {
    let scratch = tempfile::tempdir().unwrap();
    {
        let domain = domain();
        let cache = texts(&domain, 200, Disk::at(scratch.path()).persist());
        fill(&cache);
        assert_eq!(tier(&cache).demotions, 0, "there is room for all");
        flush(&domain);
        assert_eq!(tier(&cache).demotions, 100);
        flush(&domain);
        assert_eq!(tier(&cache).demotions, 100, "they are there already");
        check(&domain);
    }
    let domain = domain();
    let cache = texts(&domain, 200, Disk::at(scratch.path()).persist());
    assert_eq!(cache.len(), 100);
    assert_eq!(cache.peek(7), Some(text(7)));
    check(&domain);
}

#[test]
fn the_dearest_come_back_first() {
    let scratch = tempfile::tempdir().unwrap();
    let build = |domain: &Domain, entries| {
        Cache::<u64, String>::builder("texts")
            .max_entries(entries)
            .cost(|key, _| Duration::from_millis(10 + 50 * (key % 10)))
            .tiers(Tiers::new(Serde).cold(Disk::at(scratch.path()).persist()))
            .build_in(domain)
            .unwrap()
    };
    {
        let domain = domain();
        let cache = build(&domain, 200);
        fill(&cache);
        flush(&domain);
    }
    let domain = domain();
    let cache = build(&domain, 40);
    let keys: Vec<u64> = cache.iter().map(|(key, _)| key).collect();
    assert!(keys.len() >= 30 && keys.iter().all(|key| key % 10 >= 6), "{keys:?}");
}

#[test]
fn records_of_other_code_are_not_read() {
    let scratch = tempfile::tempdir().unwrap();
    let numbers = |domain: &Domain, version| {
        Cache::<u64, u64>::builder("numbers")
            .policy(Policy::Lru)
            .max_entries(1)
            .cost(|_, _| Duration::from_millis(10))
            .tiers(Tiers::new(Serde).cold(Disk::at(scratch.path()).version(version)))
            .build_in(domain)
            .unwrap()
    };
    {
        let domain = domain();
        let cache = numbers(&domain, 1);
        (0..10).for_each(|key| cache.insert(key, key));
        flush(&domain);
    }
    {
        let domain = domain();
        let cache = numbers(&domain, 2);
        assert_eq!((cache.get(3), tier(&cache).entries), (None, 0));
        // They are gone for good: nobody may find them below newer ones.
        flush(&domain);
    }
    let domain = domain();
    assert_eq!(numbers(&domain, 1).get(3), None);
}

/// The system's clock, as a test sets it.
static WALL: AtomicU64 = AtomicU64::new(1_700_000_000_000);

fn wall() -> u64 {
    WALL.load(Ordering::SeqCst)
}

#[test]
fn ages_go_on_and_a_clock_that_is_set_back_makes_nothing_younger() {
    let scratch = tempfile::tempdir().unwrap();
    let build = || {
        let clock = ManualClock::new();
        let domain = Domain::builder().limit_bytes(32 * MB).clock(clock.clone()).manual().build();
        let cache: Texts = Cache::builder("texts")
            .policy(Policy::Lru)
            .max_entries(1)
            .ttl(Duration::from_secs(100))
            .cost(|_, _| Duration::from_millis(10))
            .tiers(Tiers::new(Serde).cold(Disk::at(scratch.path()).system_clock(wall)))
            .build_in(&domain)
            .unwrap();
        (domain, cache, clock)
    };
    let start = wall();
    {
        let (domain, cache, clock) = build();
        fill(&cache);
        // Set back an hour while it runs: that changes nothing.
        WALL.fetch_sub(3_600_000, Ordering::SeqCst);
        clock.advance(Duration::from_secs(40));
        assert_eq!(cache.time_left(3), Some(Duration::from_secs(60)));
        assert_eq!(cache.get(3), Some(text(3)));
        assert_eq!(cache.time_left(3), Some(Duration::from_secs(60)), "it comes up as old as it is");
        flush(&domain);
    }
    {
        WALL.store(start + 70_000, Ordering::SeqCst);
        let (_domain, cache, clock) = build();
        assert_eq!(cache.time_left(5), Some(Duration::from_secs(30)));
        clock.advance(Duration::from_secs(30));
        assert_eq!(cache.get(5), None);
    }
    // Before they were written: nobody knows how old they are.
    WALL.store(start - 50_000, Ordering::SeqCst);
    let (_domain, cache, _) = build();
    assert_eq!((cache.get(6), tier(&cache).entries), (None, 0));
}

#[test]
fn an_entry_that_gets_another_age_has_no_older_record() {
    let scratch = tempfile::tempdir().unwrap();
    let clock = ManualClock::new();
    let domain = Domain::builder().limit_bytes(32 * MB).clock(clock.clone()).manual().build();
    let cache: Texts = Cache::builder("texts")
        .policy(Policy::Lru)
        .max_entries(4)
        .ttl(Duration::from_secs(100))
        .cost(|_, _| Duration::from_millis(10))
        .tiers(Tiers::new(Serde).cold(Disk::at(scratch.path())))
        .build_in(&domain)
        .unwrap();
    fill(&cache);
    flush(&domain);
    assert_eq!(cache.set_ttl(3, Duration::from_secs(10)), Ok(true));
    fill(&cache.clone());
    clock.advance(Duration::from_secs(10));
    let again = cache.get(3);
    assert!(again.is_none() || cache.time_left(3) > Some(Duration::from_secs(50)), "written anew, or gone");
}

#[test]
fn a_directory_is_one_processs_and_a_name_one_caches() {
    let scratch = tempfile::tempdir().unwrap();
    let domain = domain();
    let first = texts(&domain, 8, Disk::at(scratch.path()));
    match try_texts(&domain, 8, Disk::at(scratch.path())) {
        Err(BuildError::Store(StoreError::Taken(_))) => {}
        other => panic!("{other:?}"),
    }
    drop(first);
    let again = texts(&domain, 8, Disk::at(scratch.path()));
    assert_eq!(tier(&again).state, TierState::On);
    let mut child =
        super::process::Child::start("restart::holds_the_directory", &[("DIR", scratch.path().as_os_str())]);
    assert_eq!(child.line().as_deref(), Some("locked"));
}

/// What another process is told of the directory that its parent has.
#[test]
#[ignore = "a process of its own"]
fn holds_the_directory() {
    let Some(dir) = super::process::argument("DIR") else { return };
    let told = try_texts(&domain(), 8, Disk::at(&dir)).unwrap_err();
    match &told {
        BuildError::Store(StoreError::Locked(path)) => {
            assert!(path.starts_with(std::fs::canonicalize(&dir).unwrap()), "{told}");
            super::process::say("locked");
        }
        other => super::process::say(&format!("{other}")),
    }
}

#[test]
fn errors_say_what_is_wrong_and_the_way_out() {
    let scratch = tempfile::tempdir().unwrap();
    let file = scratch.path().join("file");
    std::fs::write(&file, "no directory").unwrap();
    let error = try_texts(&domain(), 8, Disk::at(file.join("below"))).unwrap_err();
    assert!(matches!(error, BuildError::Store(StoreError::Io(_))), "{error}");
    let error = try_texts(&domain(), 8, Disk::new()).unwrap_err();
    assert_eq!(error, BuildError::Store(StoreError::NoPath));
    assert!(error.to_string().contains("LARDER_DISK"), "{error}");
    let error = try_texts(&domain(), 8, Disk::at("/proc/larder")).unwrap_err();
    assert!(matches!(error, BuildError::Store(_)), "{error}");
}

#[test]
fn records_from_memory_go_on_below_as_they_are() {
    let scratch = tempfile::tempdir().unwrap();
    let build = |domain: &Domain| -> Texts {
        Cache::builder("texts")
            .policy(Policy::Lru)
            .max_entries(4)
            .cost(|_, _| Duration::from_millis(10))
            .tiers(
                Tiers::new(Serde)
                    .warm(Warm::compressed(Lz4::default()).max_bytes(20_000))
                    .cold(Disk::at(scratch.path())),
            )
            .build_in(domain)
            .unwrap()
    };
    {
        let domain = domain();
        let cache = build(&domain);
        for key in 0..500 {
            cache.insert(key, text(key));
        }
        let tiers = cache.stats().tiers;
        assert_eq!((&*tiers[0].name, &*tiers[1].name), ("lz4", "disk"));
        assert!(tiers[0].evictions > 100 && tiers[1].entries > 100, "{tiers:?}");
        for key in 0..490 {
            assert_eq!(cache.get(key), Some(text(key)), "{key}");
        }
        assert!(cache.invalidate(490 - 1));
        flush(&domain);
        check(&domain);
    }
    let domain = domain();
    let cache = build(&domain);
    let found = (0..500).filter(|&key| cache.get(key) == Some(text(key))).count();
    assert!(found > 300, "{found}");
    assert_eq!(cache.get(489), None);
    check(&domain);
}

#[test]
fn the_bound_on_bytes_is_kept_and_the_dearest_stay() {
    let scratch = tempfile::tempdir().unwrap();
    let domain = domain();
    let cache: Cache<u64, Vec<u8>> = Cache::builder("blobs")
        .policy(Policy::Lru)
        .max_entries(8)
        .cost(|key, _| Duration::from_millis(if key % 8 == 0 { 1000 } else { 2 }))
        .tiers(Tiers::new(Serde).cold(Disk::at(scratch.path()).max_mb(4)))
        .build_in(&domain)
        .unwrap();
    for key in 0..4000_u64 {
        cache.insert(key, vec![key as u8; 4000]);
        if key % 64 == 0 {
            domain.tick();
        }
    }
    flush(&domain);
    let tier = tier(&cache);
    assert!(tier.bytes <= 4 * MB && tier.bytes > 3 * MB && tier.evictions > 1000, "{tier:?}");
    let kept = |of: fn(u64) -> bool| (0..3900).filter(|&key| of(key) && cache.contains(key)).count();
    let (dear, cheap) = (kept(|key| key % 8 == 0), kept(|key| key % 8 == 1));
    assert!(dear > 4 * cheap, "{dear} {cheap}");
    check(&domain);
}

/// Bytes that all files below a folder take.
fn taken_by(folder: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt;
    let of = |entry: fs::DirEntry| match entry.metadata() {
        Ok(metadata) if metadata.is_dir() => taken_by(&entry.path()),
        Ok(metadata) => metadata.blocks() * 512,
        // Gone meanwhile.
        Err(_) => 0,
    };
    fs::read_dir(folder).map_or(0, |entries| entries.flatten().map(of).sum())
}

#[test]
fn the_directory_stays_near_its_bound_while_much_goes_through_it() {
    let scratch = tempfile::tempdir().unwrap();
    let domain = domain();
    let cache: Cache<u64, Vec<u8>> = Cache::builder("blobs")
        .policy(Policy::Lru)
        .max_entries(8)
        .cost(|_, _| Duration::from_millis(10))
        .tiers(Tiers::new(Serde).cold(Disk::at(scratch.path()).max_mb(32)))
        .build_in(&domain)
        .unwrap();
    let mut most = 0;
    for key in 0..short_or_deep(20_000_u64, 500_000) {
        // Nothing gets smaller.
        cache.insert(
            key,
            (0..4000_u64).map(|at| ((key ^ at).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 56) as u8).collect(),
        );
        if key % 200 == 0 {
            domain.tick();
            if key % 5000 == 0 {
                most = most.max(taken_by(scratch.path()));
                if env::var_os("LARDER_SHOW").is_some() {
                    eprintln!("{key}: {} MB; {:?}", taken_by(scratch.path()) / MB, tier(&cache));
                }
            }
        }
    }
    flush(&domain);
    let told = tier(&cache);
    let settled = taken_by(scratch.path());
    assert!(settled <= (32 + 64) * MB, "{} MB; {told:?}", settled / MB);
    // While it is tidied up there are old files and new ones.
    assert!(most <= 2 * (32 + 64) * MB, "{} MB; {told:?}", most / MB);
    assert!(told.bytes > 16 * MB && told.on_disk > told.bytes, "{told:?}");
}

#[test]
fn writes_can_be_limited() {
    let scratch = tempfile::tempdir().unwrap();
    let (domain, cache, clock) = {
        let clock = ManualClock::new();
        let domain = Domain::builder().limit_bytes(32 * MB).clock(clock.clone()).manual().build();
        let cache = texts(&domain, 1, Disk::at(scratch.path()).writes_per_second(10_000));
        (domain, cache, clock)
    };
    fill(&cache);
    let first = tier(&cache).demotions;
    assert!((10..20).contains(&first), "{first}");
    clock.advance(Duration::from_secs(1));
    fill(&cache);
    let second = tier(&cache).demotions;
    assert!((first + 10..first + 20).contains(&second), "{first} {second}");
    flush(&domain);
}

struct Unpark(thread::Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

fn wait<T>(future: impl Future<Output = T>) -> T {
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(result) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return result;
        }
        thread::park_timeout(patience());
    }
}

#[test]
fn a_task_finds_what_is_on_disk() {
    let scratch = tempfile::tempdir().unwrap();
    let domain = Domain::builder().limit_bytes(32 * MB).build();
    let cache = texts(&domain, 8, Disk::at(scratch.path()));
    fill(&cache);
    flush(&domain);
    for key in 0..50 {
        let value = wait(cache.get_or_insert_async(key, async { unreachable!("it is on disk") }));
        assert_eq!(value, text(key));
    }
    assert_eq!(wait(cache.get_or_insert_async(1000, async { "new".to_owned() })), "new");
    domain.shutdown(patience()).unwrap();
}

#[test]
fn a_directory_can_be_looked_into() {
    let scratch = tempfile::tempdir().unwrap();
    {
        let domain = domain();
        let cache = texts(&domain, 8, Disk::at(scratch.path()));
        fill(&cache);
        flush(&domain);
        let inspected = inspect::open(scratch.path()).unwrap();
        let name = inspected.caches().unwrap().remove(0);
        assert!(matches!(inspected.verify(&name), Err(StoreError::Taken(_))), "a cache has it");
    }
    let inspected = inspect::open(scratch.path()).unwrap();
    let name = inspected.caches().unwrap().remove(0);
    assert!(name.starts_with("texts-"), "{name}");
    let contents = inspected.verify(&name).unwrap();
    assert_eq!((contents.records, contents.damaged, contents.missing), (92, 0, 0), "{contents}");
    assert!(inspected.bytes() > 0);
    let sizes = inspected.sizes(&name).unwrap();
    assert!(sizes.len() == 92 && sizes.iter().all(|&(key, value)| key == 1 && value > 500), "{sizes:?}");
    inspected.clear(&name).unwrap();
    drop(inspected);
    let domain = domain();
    assert_eq!(tier(&texts(&domain, 8, Disk::at(scratch.path()))).entries, 0);
}

#[test]
fn nothing_of_keys_and_values_is_in_what_is_shown() {
    let scratch = tempfile::tempdir().unwrap();
    let domain = domain();
    let cache: Cache<String, String> = Cache::builder("secrets")
        .policy(Policy::Lru)
        .max_entries(1)
        .cost(|_, _| Duration::from_millis(10))
        .tiers(Tiers::new(Serde).cold(Disk::at(scratch.path())))
        .build_in(&domain)
        .unwrap();
    for number in 0..20 {
        cache.insert(format!("hush-key-{number}"), format!("hush-value-{number}").repeat(30));
    }
    flush(&domain);
    let inspected = inspect::open(scratch.path()).unwrap();
    let shown = format!(
        "{} {:?} {} {inspected:?} {:?}",
        domain.stats(),
        domain.stats(),
        domain.explain(),
        cache.stats()
    );
    drop(cache);
    let contents = inspected.verify(&inspected.caches().unwrap()[0]).unwrap();
    let shown = format!("{shown} {contents} {contents:?}");
    assert!(shown.contains("secrets") && !shown.contains("hush"), "{shown}");
}
