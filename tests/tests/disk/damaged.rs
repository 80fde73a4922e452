//! Files that are not what was written: torn, flipped, gone. Either the directory says so, or what is found is right.

use std::fs;
use std::hash::{BuildHasher, RandomState};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use larder::disk::Disk;
use larder::testing::ManualClock;
use larder::{BuildError, Domain, StoreError, TierState};
use larder_tests::short_or_deep;

use super::{check, domain, fill, flush, text, texts, tier, try_texts};

fn files(of: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(of).unwrap().flatten() {
        if entry.path().is_dir() {
            files.extend(self::files(&entry.path()));
        } else {
            files.push(entry.path());
        }
    }
    files.sort();
    files
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().flatten() {
        let to = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).unwrap();
        }
    }
}

/// So many keys are removed before anything is damaged. Where a file ends too soon the last removals may be missing, as after
/// a crash.
const REMOVED: u64 = 20;

#[test]
fn damaged_files_are_told_of_or_harmless() {
    let scratch = tempfile::tempdir().unwrap();
    let whole = scratch.path().join("whole");
    {
        let domain = domain();
        let cache = texts(&domain, 8, Disk::at(&whole));
        (0..4).for_each(|_| fill(&cache));
        flush(&domain);
        (0..REMOVED).for_each(|key| assert!(cache.invalidate(key)));
        flush(&domain);
    }
    let random = RandomState::new();
    let mut opened = 0;
    for turn in 0..short_or_deep(30, 1000_u64) {
        let seed = random.hash_one(turn);
        let copied = scratch.path().join("copy");
        copy(&whole, &copied);
        let files: Vec<PathBuf> =
            files(&copied).into_iter().filter(|file| fs::metadata(file).unwrap().len() > 0).collect();
        let file = &files[(seed >> 32) as usize % files.len()];
        let mut bytes = fs::read(file).unwrap();
        let at = (seed >> 3) as usize % bytes.len();
        let torn = turn % 3 == 0;
        if torn {
            bytes.truncate(at);
        } else {
            bytes[at] ^= 1 << (seed & 7);
        }
        fs::write(file, &bytes).unwrap();
        let domain = domain();
        match try_texts(&domain, 8, Disk::at(&copied)) {
            Ok(cache) => {
                opened += 1;
                for key in 0..100 {
                    let found = cache.get(key);
                    assert!(
                        found.is_none() || found == Some(text(key)) && (torn || key >= REMOVED),
                        "seed {seed} {}: {found:?}",
                        file.display()
                    );
                }
                cache.insert(1, text(2001));
                assert_eq!(cache.get(1), Some(text(2001)));
                // Whatever is wrong there, it is no caller's.
                drop(cache);
            }
            Err(BuildError::Store(StoreError::Damaged(_))) if file.ends_with("version") => {}
            Err(other) => panic!("seed {seed} {}: {other}", file.display()),
        }
        drop(domain);
        fs::remove_dir_all(&copied).unwrap();
    }
    assert!(opened > 0);
}

#[test]
fn what_cannot_be_opened_is_emptied_if_the_user_says_so() {
    let scratch = tempfile::tempdir().unwrap();
    {
        let domain = domain();
        let cache = texts(&domain, 8, Disk::at(scratch.path()));
        fill(&cache);
        flush(&domain);
    }
    let version = files(scratch.path()).into_iter().find(|file| file.ends_with("version")).unwrap();
    fs::write(version, "another's").unwrap();
    let error = try_texts(&domain(), 8, Disk::at(scratch.path())).unwrap_err();
    assert!(matches!(&error, BuildError::Store(StoreError::Damaged(_))), "{error}");
    let domain = domain();
    let cache = texts(&domain, 8, Disk::at(scratch.path()).empty_if_damaged());
    assert_eq!(tier(&cache).entries, 0);
    fill(&cache);
    flush(&domain);
    assert_eq!(cache.get(3), Some(text(3)));
}

/// A file system of eight megabytes, gone when this is dropped.
struct Tiny(PathBuf);

impl Tiny {
    /// `None` where this user may not.
    fn mount(at: &Path) -> Option<Self> {
        let mounted =
            Command::new("mount").args(["-t", "tmpfs", "-o", "size=8m", "larder"]).arg(at).output().ok()?;
        mounted.status.success().then(|| Self(at.to_owned()))
    }
}

impl Drop for Tiny {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).output();
    }
}

#[test]
fn a_disk_that_really_is_full_fails_nobody() {
    // It mounts something: not on every run.
    if !short_or_deep(false, true) {
        return;
    }
    let scratch = tempfile::tempdir().unwrap();
    let Some(_tiny) = Tiny::mount(scratch.path()) else { return };
    let clock = ManualClock::new();
    let domain = Domain::builder().limit_bytes(32 << 20).clock(clock.clone()).manual().build();
    let cache = texts(&domain, 8, Disk::at(scratch.path()).max_mb(64));
    let mut key = 0;
    while tier(&cache).breaks == 0 {
        for _ in 0..100 {
            key += 1;
            assert_eq!(cache.get_or_insert_with(key, || text(key)), text(key));
        }
        domain.tick();
        assert!(key < 1_000_000, "eight megabytes are full: {:?}", tier(&cache));
    }
    let told = tier(&cache);
    assert_eq!(told.state, TierState::Broken, "{told:?}");
    for turn in 0..20 {
        clock.advance(Duration::from_secs(60));
        domain.tick();
        assert!(cache.get(key - turn).is_none_or(|found| found == text(key - turn)));
        cache.insert(turn, text(turn + 5000));
        assert_eq!(cache.get(turn), Some(text(turn + 5000)));
    }
    check(&domain);
}
