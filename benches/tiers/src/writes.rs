//! Writes with eviction: four times what there is room for, as fast as it is taken, and what the files take meanwhile.
//!
//! Who writes waits while much waits to be written, so nothing is refused; it ends when everything is in the files.

use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::stores::{Foyer, Larder, Store};
use crate::table::{line, markdown, verdict};
use crate::texts::blob;
use crate::{MB, fresh, on_disk};

/// Sizes of values, and the bound.
const WORK: [(usize, u64); 4] =
    [(4 << 10, 32 * MB), (64 << 10, 32 * MB), (4 << 10, 512 * MB), (64 << 10, 512 * MB)];
/// So many times the bound is written.
const TIMES: u64 = 4;
/// At the least.
const LEAST: u64 = 512 * MB;
/// larder's throughput beside foyer's.
const BAR: f64 = 0.5;
/// Until what is put off is done.
const REST: Duration = Duration::from_secs(4);

/// What one of them did.
struct Did {
    seconds: f64,
    bytes: u64,
    peak: u64,
    rest: u64,
    found: u64,
}

pub fn print(dir: &Path) -> Result<(), Box<dyn Error>> {
    println!("\n### Writes with eviction at the bound\n");
    let mut lines = vec![line([
        "value, bound",
        "cache",
        "MB/s",
        "beside foyer",
        ">= 0.5",
        "most on disk",
        "at rest",
        "allowed",
        "holds",
        "values kept",
    ])];
    for (size, bound) in WORK {
        let name = |store: &str| format!("{store}-writes");
        let place = fresh(dir, &name("foyer"))?;
        let foyer = write(Box::new(Foyer::open(&place, bound)?), &place, size, bound);
        std::fs::remove_dir_all(place)?;
        let place = fresh(dir, &name("larder"))?;
        let larder = write(Box::new(Larder::open(&place, bound)?), &place, size, bound);
        std::fs::remove_dir_all(place)?;
        let allowed = bound + (bound / 10).max(64 * MB);
        let speed = |did: &Did| did.bytes as f64 / MB as f64 / did.seconds;
        let part = speed(&larder) / speed(&foyer);
        let megabytes = |bytes: u64| format!("{} MB", bytes.div_ceil(MB));
        for (store, did) in [("larder", larder), ("foyer", foyer)] {
            let is_own = store == "larder";
            lines.push(vec![
                format!("{} KB, {}", size >> 10, megabytes(bound)),
                store.to_owned(),
                format!("{:.0}", speed(&did)),
                if is_own { format!("{part:.2}") } else { String::new() },
                if is_own { verdict(part >= BAR) } else { String::new() },
                megabytes(did.peak),
                megabytes(did.rest),
                megabytes(allowed),
                verdict(did.peak.max(did.rest) <= allowed),
                megabytes(did.found * size as u64),
            ]);
        }
    }
    markdown(&lines);
    Ok(())
}

fn write(mut store: Box<dyn Store>, place: &Path, size: usize, bound: u64) -> Did {
    let (ended, peak) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let looking = thread::spawn({
        let (ended, peak, place) = (Arc::clone(&ended), Arc::clone(&peak), place.to_owned());
        move || {
            while !ended.load(Ordering::Relaxed) {
                peak.fetch_max(on_disk(&place), Ordering::Relaxed);
                thread::sleep(Duration::from_millis(10));
            }
        }
    });
    // Made before: nobody's throughput is how fast noise is made.
    let keys = (bound * TIMES).max(LEAST) / size as u64;
    let blobs: Vec<_> = (0..64).map(|key| blob(key, size)).collect();
    // The bound is reached first.
    let first = bound / size as u64;
    (0..first).for_each(|key| store.put(key, blobs[key as usize % blobs.len()].clone()));
    store.settle();
    let began = Instant::now();
    (first..first + keys).for_each(|key| store.put(key, blobs[key as usize % blobs.len()].clone()));
    store.settle();
    let seconds = began.elapsed().as_secs_f64();
    thread::sleep(REST);
    ended.store(true, Ordering::Relaxed);
    looking.join().expect("it only looks");
    let found = (0..first + keys).filter(|key| store.peek(*key).is_some()).count() as u64;
    Did {
        seconds,
        bytes: keys * size as u64,
        peak: peak.load(Ordering::Relaxed),
        rest: on_disk(place),
        found,
    }
}
