//! What a tier on disk has beside its records: what was learned, places in memory, threads.

use std::env;
use std::fs;
use std::time::Duration;

use larder::codec::Serde;
use larder::disk::Disk;
use larder::testing::ManualClock;
use larder::{Cache, Domain, Tiers};
use larder_tests::patience;

use super::process::{Child, argument, say};
use super::{MB, check, domain, flush, text, texts, tier};

/// A cache that is asked for more keys than it has room for, in turn, for so many epochs.
fn asked(domain: &Domain, clock: &ManualClock, disk: Disk, epochs: u64) -> Cache<u64, Vec<u8>> {
    let cache = Cache::<u64, Vec<u8>>::builder("asked")
        .cost(|_, _| Duration::from_millis(1))
        .tiers(Tiers::new(Serde).cold(disk))
        .build_in(domain)
        .unwrap();
    for _ in 0..epochs {
        (0..5000).for_each(|key| drop(cache.get_or_insert_with(key, || vec![key as u8; 1000])));
        clock.advance(Duration::from_secs(10));
        domain.tick();
    }
    cache
}

/// What is learned is charged: about so many bytes.
const LEARNED: u64 = 16 << 10;

#[test]
fn what_was_learned_goes_on_after_a_restart() {
    let scratch = tempfile::tempdir().unwrap();
    let open = |epochs| {
        let clock = ManualClock::new();
        let domain = Domain::builder().limit_bytes(8 * MB).clock(clock.clone()).manual().build();
        let cache = asked(&domain, &clock, Disk::at(scratch.path()).persist(), epochs);
        // Enough of it is in memory that nobody begins to learn anew.
        assert!(cache.len() > 1000 && domain.budget().used() > 4 * MB, "{}", cache.len());
        (domain, cache, clock)
    };
    {
        let (domain, _cache, _) = open(6);
        flush(&domain);
        check(&domain);
    }
    let bytes = || {
        let (domain, cache, clock) = open(0);
        clock.advance(Duration::from_secs(10));
        domain.tick();
        check(&domain);
        cache.stats().bytes
    };
    let goes_on = bytes();
    // Damaged, it is as if there were none.
    let folders = fs::read_dir(scratch.path().join("larder-1")).unwrap().flatten();
    let file = folders.map(|entry| entry.path().join("curve")).find(|file| file.exists()).unwrap();
    let mut damaged = fs::read(&file).unwrap();
    damaged[100] ^= 1;
    fs::write(&file, damaged).unwrap();
    let anew = bytes();
    assert!(goes_on > anew + LEARNED, "{goes_on} {anew}");
}

#[test]
fn places_of_records_make_way_where_nothing_else_is_left() {
    let scratch = tempfile::tempdir().unwrap();
    {
        let domain = domain();
        let cache = texts(&domain, 1, Disk::at(scratch.path()));
        (0..8000).for_each(|key| {
            cache.insert(key, text(key));
            if key % 500 == 0 {
                flush(&domain);
            }
        });
        flush(&domain);
    }
    let limit = 2 * MB;
    let domain = Domain::builder().limit_bytes(limit).manual().build();
    let idle = texts(&domain, 1, Disk::at(scratch.path()));
    let places = tier(&idle).entries;
    assert!(places > 7000 && idle.is_empty(), "{places}");
    let busy = Cache::<u64, Vec<u8>>::builder("busy").build_in(&domain).unwrap();
    busy.insert(0, vec![0; limit as usize * 8 / 10]);
    assert!(busy.contains(0), "there was room but for the places");
    assert!(tier(&idle).entries < places, "{:?}", tier(&idle));
    check(&domain);
    flush(&domain);
}

#[test]
#[ignore = "started by another test"]
fn with_one_thread() {
    let Some(path) = argument("PATH") else { return };
    larder::budget().set_limit_mb(64);
    let cache = Cache::<u64, String>::builder("texts")
        .max_entries(1)
        .cost(|_, _| Duration::from_millis(10))
        .tiers(Tiers::new(Serde).cold(Disk::at(path)))
        .build()
        .unwrap();
    (0..100).for_each(|key| cache.insert(key, text(key)));
    larder::flush(patience()).unwrap();
    for key in 0..99 {
        assert_eq!(cache.get(key), Some(text(key)), "{key}");
    }
    let names = fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    let names = names.filter_map(|task| fs::read_to_string(task.path().join("comm")).ok());
    let own = names.filter(|name| name.starts_with("larder")).count();
    say(&format!("{own} threads"));
}

#[test]
fn a_process_with_one_thread_has_none_for_the_disk() {
    if !cfg!(target_os = "linux") || env::var_os("LARDER_THREADS").is_some() {
        return;
    }
    for (threads, own) in [(None, "2 threads"), (Some("1"), "1 threads"), (Some("0"), "0 threads")] {
        let scratch = tempfile::tempdir().unwrap();
        let mut child =
            Child::with("beside::with_one_thread", &[("PATH", scratch.path().as_os_str())], |command| {
                command.env("LARDER_PRESSURE", "off");
                if let Some(threads) = threads {
                    command.env("LARDER_THREADS", threads);
                }
            });
        assert_eq!(child.line().as_deref(), Some(own), "{threads:?}");
    }
}
