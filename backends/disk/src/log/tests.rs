//! A log against what was told to it: opened again, torn, flipped, full.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use larder_runtime::StoreWrite;
use tempfile::TempDir;

use super::files::{Kind, file_in, ids};
use super::{LEAST, Log};

const MB: u64 = 1 << 20;
const PLENTY: u64 = 1 << 40;

fn record(number: u64, length: usize) -> Vec<u8> {
    (0..length).map(|at| (number as usize * 31 + at) as u8).collect()
}

fn put(log: &Log, number: u64, length: usize) {
    let (label, record) = (number.to_le_bytes(), record(number, length));
    log.write(&[StoreWrite::Put { number, label: &label, record: &record }]).unwrap();
}

fn remove(log: &Log, number: u64) {
    log.write(&[StoreWrite::Remove { number }]).unwrap();
}

/// All labels, in parts.
fn listed(log: &Log) -> Vec<u64> {
    let (mut numbers, mut from) = (Vec::new(), Some(0));
    while let Some(start) = from {
        from = log
            .labels(start, 3, &mut |number, label| {
                assert_eq!(label, number.to_le_bytes());
                numbers.push(number);
            })
            .unwrap();
    }
    numbers
}

fn found(log: &Log) -> Vec<u64> {
    let mut numbers = log.numbers();
    numbers.sort_unstable();
    numbers
}

/// A folder with a log in it, in several files, and what it has: some came, some went, some both.
fn filled() -> (TempDir, BTreeMap<u64, usize>) {
    let folder = tempfile::tempdir().unwrap();
    let log = Log::open(folder.path(), 1).unwrap();
    let mut there = BTreeMap::new();
    for number in 0..40 {
        let length = if number % 8 == 7 { LEAST as usize } else { 100 };
        put(&log, number, length);
        there.insert(number, length);
        if number % 3 == 2 {
            remove(&log, number - 2);
            there.remove(&(number - 2));
        }
    }
    (folder, there)
}

/// Everything that is there is right, and nothing of what went is there.
#[track_caller]
fn check(log: &Log, there: &BTreeMap<u64, usize>) {
    for number in found(log) {
        let length = there.get(&number).unwrap_or_else(|| panic!("{number} went"));
        if let Some(read) = log.read(number).unwrap() {
            assert_eq!(read, record(number, *length), "{number}");
        }
    }
}

#[test]
fn what_came_is_there_and_what_went_is_not_when_it_is_opened_again() {
    let (folder, there) = filled();
    assert!(ids(folder.path(), Kind::Labels).unwrap().len() > 3);
    for _ in 0..2 {
        let log = Log::open(folder.path(), PLENTY).unwrap();
        assert_eq!(found(&log), there.keys().copied().collect::<Vec<_>>());
        assert_eq!(listed(&log), found(&log));
        check(&log, &there);
        assert_eq!((log.next(), log.read(1000).unwrap()), (40, None));
        let sizes = |entry: fs::DirEntry| entry.metadata().unwrap().len();
        assert_eq!(log.bytes(), fs::read_dir(folder.path()).unwrap().flatten().map(sizes).sum::<u64>());
    }
}

#[test]
fn what_is_cleared_is_gone_and_its_files_too() {
    let (folder, _) = filled();
    let log = Log::open(folder.path(), PLENTY).unwrap();
    let (label, whole) = (50_u64.to_le_bytes(), record(50, 10));
    let new = StoreWrite::Put { number: 50, label: &label, record: &whole };
    let old = StoreWrite::Put { number: 49, label: &label, record: &whole };
    log.write(&[old, StoreWrite::Clear, new]).unwrap();
    assert_eq!(found(&log), [50]);
    assert!(log.bytes() < 1000);
    drop(log);
    let log = Log::open(folder.path(), PLENTY).unwrap();
    assert_eq!((found(&log), log.next()), (vec![50], 51));
    assert_eq!(ids(folder.path(), Kind::Labels).unwrap().len(), 1);
}

/// The last file may end anywhere; what it says before that holds.
#[test]
fn a_torn_end_loses_the_last_changes_and_nothing_else() {
    let (folder, there) = filled();
    let last = *ids(folder.path(), Kind::Labels).unwrap().last().unwrap();
    let file = file_in(folder.path(), last, Kind::Labels);
    let whole = fs::read(&file).unwrap();
    for len in (0..whole.len()).rev() {
        fs::write(&file, &whole[..len]).unwrap();
        let log = Log::open(folder.path(), PLENTY).unwrap();
        // The last removals may be missing, and then there is something that went.
        assert!(found(&log).iter().all(|number| there.contains_key(number) || *number >= 30), "{len}");
        assert!(there.range(..24).all(|(number, _)| log.read(*number).unwrap().is_some()), "{len}");
        put(&log, 100, 10);
        drop(log);
        let log = Log::open(folder.path(), PLENTY).unwrap();
        assert_eq!(log.read(100).unwrap(), Some(record(100, 10)), "{len}");
    }
}

fn copy(from: &Path) -> TempDir {
    let to = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(from).unwrap().flatten() {
        fs::copy(entry.path(), to.path().join(entry.file_name())).unwrap();
    }
    to
}

/// A flipped bit may be one of a removal: nothing comes back by it, at once or later.
#[test]
fn a_flipped_bit_brings_nothing_back() {
    let (folder, there) = filled();
    for id in ids(folder.path(), Kind::Labels).unwrap() {
        let whole = fs::read(file_in(folder.path(), id, Kind::Labels)).unwrap();
        for at in (0..whole.len()).step_by(3) {
            let copied = copy(folder.path());
            let mut flipped = whole.clone();
            flipped[at] ^= 1 << (at % 8);
            fs::write(file_in(copied.path(), id, Kind::Labels), flipped).unwrap();
            for _ in 0..2 {
                let log = Log::open(copied.path(), PLENTY).unwrap();
                check(&log, &there);
                assert!(found(&log).len() < there.len(), "{id} {at}");
                put(&log, 90, 20);
                assert_eq!(log.read(90).unwrap(), Some(record(90, 20)));
                remove(&log, 90);
            }
        }
    }
}

#[test]
fn a_file_that_is_gone_or_ends_too_soon_brings_nothing_back() {
    let (folder, there) = filled();
    let all = ids(folder.path(), Kind::Labels).unwrap();
    for &id in &all[..all.len() - 1] {
        let copied = copy(folder.path());
        fs::remove_file(file_in(copied.path(), id, Kind::Labels)).unwrap();
        (0..2).for_each(|_| check(&Log::open(copied.path(), PLENTY).unwrap(), &there));
        let copied = copy(folder.path());
        let file = file_in(copied.path(), id, Kind::Labels);
        let whole = fs::read(&file).unwrap();
        fs::write(&file, &whole[..whole.len() - 21]).unwrap();
        (0..2).for_each(|_| check(&Log::open(copied.path(), PLENTY).unwrap(), &there));
        let copied = copy(folder.path());
        fs::write(file_in(copied.path(), id, Kind::Records), "short").unwrap();
        let log = Log::open(copied.path(), PLENTY).unwrap();
        check(&log, &there);
        assert!(!found(&log).is_empty(), "what is elsewhere is whole");
    }
}

/// SplitMix64.
fn mix(seed: u64) -> u64 {
    let mut mixed = seed.wrapping_add(0x9E37_79B9_7F4A_7C15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}

/// Files never take more than they may, and what is there stays, however often it is moved; opened again now and then.
#[test]
fn files_take_no_more_than_they_may_and_nothing_is_lost_by_that() {
    let folder = tempfile::tempdir().unwrap();
    let most = MB;
    let mut log = Log::open(folder.path(), most).unwrap();
    let mut there = BTreeMap::new();
    let mut kept = 0;
    for number in 0..6000_u64 {
        let length = 100 + (mix(number) % 900) as usize;
        put(&log, number, length);
        there.insert(number, length);
        kept += length as u64;
        while kept > most / 10 * 6 {
            // Not the oldest: some stay for long.
            let (&gone, &length) =
                there.range(mix(kept) % number..).next().unwrap_or_else(|| there.iter().next().unwrap());
            remove(&log, gone);
            there.remove(&gone);
            kept -= length as u64;
        }
        assert!(log.bytes() <= most, "{} at {number}", log.bytes());
        if number % 1400 == 1399 {
            drop(log);
            log = Log::open(folder.path(), most).unwrap();
            if number % 2 == 1 {
                assert_eq!(listed(&log), there.keys().copied().collect::<Vec<_>>());
            }
        }
    }
    assert_eq!(found(&log), there.keys().copied().collect::<Vec<_>>());
    there
        .iter()
        .for_each(|(&number, &length)| assert_eq!(log.read(number).unwrap(), Some(record(number, length))));
    let files = ids(folder.path(), Kind::Labels).unwrap().len();
    assert!(files < 200, "{files} files");
}

/// What a failed write left is taken back before anything else is written.
#[test]
fn a_write_that_fails_leaves_nothing_once_it_is_mended() {
    let (folder, mut there) = filled();
    let log = Log::open(folder.path(), PLENTY).unwrap();
    {
        let mut writer = log.writer();
        writer.broken = true;
        std::io::Write::write_all(&mut &*writer.labels, b"the beginning of something").unwrap();
        std::io::Write::write_all(&mut &*writer.records, b"and of another").unwrap();
    }
    assert!(log.write(&[StoreWrite::Remove { number: 1 }]).is_err());
    log.mend().unwrap();
    put(&log, 60, 30);
    there.insert(60, 30);
    check(&log, &there);
    log.sync().unwrap();
    drop(log);
    let log = Log::open(folder.path(), PLENTY).unwrap();
    assert_eq!(found(&log), there.keys().copied().collect::<Vec<_>>());
    check(&log, &there);
}

/// The file that was to be written over was counted for ever, so that there was less and less room.
#[test]
fn a_failure_between_two_files_leaves_the_count_of_bytes_right() {
    let (folder, _) = filled();
    let log = Log::open(folder.path(), PLENTY).unwrap();
    listed(&log);
    let sizes =
        |entry: fs::DirEntry| entry.metadata().map_or(0, |file| if file.is_file() { file.len() } else { 0 });
    let on_disk = || fs::read_dir(folder.path()).unwrap().flatten().map(sizes).sum::<u64>();
    // Something to be written over.
    for number in 0..40 {
        remove(&log, number);
    }
    let kept = log.writer().spares.len();
    assert_eq!((kept, log.bytes()), (1, on_disk()));
    let last = *ids(folder.path(), Kind::Labels).unwrap().last().unwrap();
    let in_the_way = file_in(folder.path(), last + 1, Kind::Labels);
    fs::create_dir(&in_the_way).unwrap();
    assert!(log.write(&[StoreWrite::Clear]).is_err());
    log.mend().unwrap();
    assert_eq!(log.bytes(), on_disk());
    fs::remove_dir(&in_the_way).unwrap();
    log.write(&[StoreWrite::Clear]).unwrap();
    put(&log, 70, 100);
    assert_eq!((found(&log), log.bytes()), (vec![70], on_disk()));
}

/// A number that went is not given again.
#[test]
fn numbers_go_on_behind_those_that_went() {
    let folder = tempfile::tempdir().unwrap();
    let log = Log::open(folder.path(), PLENTY).unwrap();
    remove(&log, 900);
    drop(log);
    assert_eq!(Log::open(folder.path(), PLENTY).unwrap().next(), 901);
}
