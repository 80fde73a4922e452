//! A process that is killed: what it was told is on disk is there, and what it removed is not.
//!
//! A child works on a cache by a plan that follows from a number, and says how far it was when it flushed. It is killed
//! after a random time, and its parent compares what is on disk with the plan. Then the next one goes on from there.

use std::collections::HashMap;
use std::ffi::OsString;
use std::hash::{BuildHasher, RandomState};
use std::path::Path;
use std::thread;
use std::time::Duration;

use larder::codec::{Lz4, Serde};
use larder::disk::Disk;
use larder::{Cache, Domain, Policy, Tiers, Warm};
use larder_tests::{patience, short_or_deep};

use super::process::{self, Child};

/// Which life of a round, and which step of it wrote a value; and the value.
type Stored = (u64, u64, Vec<u8>);
type Values = Cache<u64, Stored>;

const KEYS: u64 = 64;

/// What a child does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Work {
    Inserts,
    Removes,
    Updates,
    Clears,
    Predicates,
    Large,
    Loads,
}

const WORKS: [Work; 7] =
    [Work::Inserts, Work::Removes, Work::Updates, Work::Clears, Work::Predicates, Work::Large, Work::Loads];

/// A step of the plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Write(u64),
    Load(u64),
    Remove(u64),
    /// Of the keys that leave this rest by four.
    RemoveIf(u64),
    Clear,
    Look(u64),
}

fn mix(seed: u64) -> u64 {
    let mut mixed = seed.wrapping_add(0x9E37_79B9_7F4A_7C15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}

impl Work {
    fn step(self, seed: u64, at: u64) -> Step {
        let roll = mix(seed ^ mix(at));
        let (key, die) = ((roll >> 16) % KEYS, roll % 100);
        match self {
            Self::Inserts | Self::Large => Step::Write(key),
            Self::Removes if die < 40 => Step::Remove(key),
            Self::Updates => Step::Write(key % 12),
            Self::Clears if die < 3 => Step::Clear,
            Self::Predicates if die < 5 => Step::RemoveIf(key % 4),
            Self::Loads if die < 50 => Step::Load(key),
            Self::Loads if die < 65 => Step::Remove(key),
            Self::Loads if die < 80 => Step::Look(key),
            _ => Step::Write(key),
        }
    }

    fn value(self, life: u64, at: u64, key: u64) -> Vec<u8> {
        let seed = mix(life << 48 ^ at << 8 ^ key);
        let most = if self == Self::Large { 400_000 } else { 3_000 };
        let length = 200 + seed % most;
        (0..length).map(|byte| (seed >> (byte % 7 * 8)) as u8 ^ byte as u8).collect()
    }
}

fn build(domain: &Domain, work: Work, path: &Path) -> Values {
    let disk = Disk::at(path).max_mb(64);
    let tiers = Tiers::new(Serde);
    let tiers = match work {
        Work::Loads => tiers.warm(Warm::compressed(Lz4::default()).max_bytes(30_000)).cold(disk.persist()),
        _ => tiers.cold(disk),
    };
    Cache::builder("values")
        .policy(Policy::Lru)
        .max_entries(6)
        .cost(|_, _| Duration::from_millis(10))
        .tiers(tiers)
        .build_in(domain)
        .unwrap()
}

/// Works until it is killed.
#[test]
#[ignore = "a process of its own"]
fn child() {
    let Some(dir) = process::argument("DIR") else { return };
    let number = |name| process::argument(name).unwrap().into_string().unwrap().parse::<u64>().unwrap();
    let (work, seed, life) = (WORKS[number("WORK") as usize], number("SEED"), number("LIFE"));
    let domain = Domain::builder().limit_bytes(64 << 20).build();
    let cache = build(&domain, work, Path::new(&dir));
    process::say("begins");
    for at in 0..1_000_000 {
        let value = |key| (life, at, work.value(life, at, key));
        match work.step(seed, at) {
            Step::Write(key) => cache.insert(key, value(key)),
            Step::Load(key) => drop(cache.get_or_insert_with(key, || value(key))),
            Step::Remove(key) => drop(cache.invalidate(key)),
            Step::RemoveIf(rest) => drop(cache.invalidate_if(|key, _| key % 4 == rest)),
            Step::Clear => cache.clear(),
            Step::Look(key) => drop(cache.get(key)),
        }
        if mix(seed ^ at).is_multiple_of(41) {
            domain.flush(patience()).unwrap();
            process::say(&at.to_string());
        }
    }
}

/// What may be found of a key.
#[derive(Clone, Debug, Default)]
struct Known {
    /// What was there when the child began.
    before: Option<(u64, u64)>,
    /// The last step that changed the key and was flushed; whether it wrote.
    last: Option<(u64, bool)>,
}

fn round(work: Work, number: usize, round_seed: u64) {
    let scratch = tempfile::tempdir().unwrap();
    let mut known: HashMap<u64, Known> = HashMap::new();
    for life in 0..2 {
        let seed = mix(round_seed ^ life);
        let text = |number: u64| OsString::from(number.to_string());
        let (at, seed_text, life_text) = (text(number as u64), text(seed), text(life));
        let arguments =
            [("DIR", scratch.path().as_os_str()), ("WORK", &at), ("SEED", &seed_text), ("LIFE", &life_text)];
        let mut child = Child::start("killed::child", &arguments);
        assert_eq!(child.line().as_deref(), Some("begins"), "{work:?} {round_seed}");
        // Not for anything to happen, but for it to be anywhere.
        thread::sleep(Duration::from_micros(mix(seed) % 60_000));
        child.kill();
        let mut flushed = None;
        while let Some(line) = child.line() {
            flushed = Some(line.parse::<u64>().unwrap());
        }
        drop(child);
        for at in 0..flushed.map_or(0, |at| at + 1) {
            match work.step(seed, at) {
                Step::Write(key) => known.entry(key).or_default().last = Some((at, true)),
                Step::Remove(key) => known.entry(key).or_default().last = Some((at, false)),
                Step::RemoveIf(rest) => {
                    for key in (0..KEYS).filter(|key| key % 4 == rest) {
                        known.entry(key).or_default().last = Some((at, false));
                    }
                }
                Step::Clear => {
                    (0..KEYS).for_each(|key| known.entry(key).or_default().last = Some((at, false)));
                }
                // Writes only where there is nothing; never older than what is known.
                Step::Load(_) | Step::Look(_) => {}
            }
        }
        let domain = Domain::builder().limit_bytes(64 << 20).manual().build();
        let cache = build(&domain, work, scratch.path());
        for key in 0..KEYS {
            let known = known.entry(key).or_default();
            let found = cache.peek(key);
            let context = format!("{work:?}, seed {round_seed}, life {life}, key {key}, {known:?}");
            if let Some((of, at, value)) = &found {
                assert!(*value == work.value(*of, *at, key), "wrong bytes: {context}");
                if *of == life {
                    let step = work.step(seed, *at);
                    assert!(
                        step == Step::Write(key) || step == Step::Load(key),
                        "phantom {step:?}: {context}"
                    );
                    if let Some((last, wrote)) = known.last {
                        assert!(*at > last || (wrote && *at == last), "{at} after {last}: {context}");
                    }
                } else {
                    assert_eq!(known.before, Some((*of, *at)), "phantom: {context}");
                    assert!(known.last.is_none(), "came back: {context}");
                }
            }
            *known = Known { before: found.map(|(of, at, _)| (of, at)), last: None };
        }
        assert_eq!(super::tier(&cache).failures, 0, "{work:?} {round_seed}");
    }
}

#[test]
fn a_killed_process_leaves_nothing_wrong_behind() {
    let random = RandomState::new();
    for (number, work) in WORKS.into_iter().enumerate() {
        for turn in 0..short_or_deep(10, 100) {
            round(work, number, random.hash_one((number, turn)));
        }
    }
}
