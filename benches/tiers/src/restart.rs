//! A restart with 1 GB on disk: one process fills, asks and ends, another opens what it left and asks for the same.
//!
//! Values of 4 KB under a quarter of a million keys, asked for by Zipf's law; 64 MB of memory for values, with `persist`.
//! What was written is still in the system's page cache.

use std::error::Error;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use larder::codec::Serde;
use larder::disk::Disk;
use larder::{Cache, Domain, Tiers};

use crate::table::{line, markdown, verdict};
use crate::texts::{Zipf, blob};
use crate::{MB, fresh, on_disk};

const SIZE: usize = 4 << 10;
const KEYS: u32 = 262_144;
/// Look-ups that tell a rate.
const WINDOW: u64 = 2000;
const PATIENCE: Duration = Duration::from_secs(120);

pub fn print(dir: &Path) -> Result<(), Box<dyn Error>> {
    println!("\n### A restart with 1 GB on disk\n");
    let place = fresh(dir, "restart")?;
    let run = |what: &[&str]| -> Result<Vec<f64>, Box<dyn Error>> {
        let output = Command::new(std::env::current_exe()?).arg("--child").arg(&place).args(what).output()?;
        if !output.status.success() {
            return Err(format!("{what:?}: {}", String::from_utf8_lossy(&output.stderr)).into());
        }
        let text = String::from_utf8(output.stdout)?;
        Ok(text.split_whitespace().map(str::parse).collect::<Result<_, _>>()?)
    };
    let [rate] = run(&["fill"])?[..] else { return Err("no rate".into()) };
    let bytes = on_disk(&place);
    let opened = run(&["open", &rate.to_string()])?;
    let [first, recovered, later] = opened[..] else { return Err("no times".into()) };
    let seconds = |at: f64| if at.is_finite() { format!("{at:.3} s") } else { "never".to_owned() };
    markdown(&[
        line(["", "measured", "bar", "holds"]),
        vec!["on disk".to_owned(), format!("{} MB", bytes / MB), String::new(), String::new()],
        vec!["hit rate before".to_owned(), format!("{:.1} %", rate * 100.0), String::new(), String::new()],
        vec!["first hit after".to_owned(), seconds(first), "< 1 s".to_owned(), verdict(first < 1.0)],
        vec![
            "90 % of that rate after".to_owned(),
            seconds(recovered),
            "< 10 s".to_owned(),
            verdict(recovered < 10.0),
        ],
        vec!["hit rate then".to_owned(), format!("{:.1} %", later * 100.0), String::new(), String::new()],
    ]);
    Ok(())
}

pub fn child(mut args: impl Iterator<Item = String>) -> Result<(), Box<dyn Error>> {
    let began = Instant::now();
    let (dir, what) = (args.next().ok_or("where?")?, args.next().ok_or("what?")?);
    match &*what {
        "fill" => fill(Path::new(&dir)),
        _ => open(Path::new(&dir), args.next().ok_or("which rate?")?.parse()?, began),
    }
}

/// Asks for keys; says which part of them were found.
struct Asking {
    cache: Cache<u64, Bytes>,
    zipf: Zipf,
    state: u64,
    loads: AtomicU64,
}

impl Asking {
    fn new(cache: Cache<u64, Bytes>, state: u64) -> Self {
        // Some are never there.
        Self { cache, zipf: Zipf::new(KEYS + KEYS / 4, 0.9), state, loads: AtomicU64::new(0) }
    }

    /// Whether the next is found.
    fn next(&mut self) -> bool {
        let key = self.zipf.next(&mut self.state);
        let before = self.loads.load(Ordering::Relaxed);
        self.cache.get_or_insert_with(key, || {
            self.loads.fetch_add(1, Ordering::Relaxed);
            blob(key, SIZE)
        });
        self.loads.load(Ordering::Relaxed) == before
    }

    fn rate(&mut self, times: u64) -> f64 {
        (0..times).filter(|_| self.next()).count() as f64 / times as f64
    }
}

fn values(dir: &Path, domain: &Domain) -> Result<Cache<u64, Bytes>, Box<dyn Error>> {
    Ok(Cache::<u64, Bytes>::builder("values")
        .max_mb(64)
        .weigh(|_, value| value.len() as u64)
        .cost(|_, _| Duration::from_millis(1))
        .tiers(Tiers::new(Serde).cold(Disk::at(dir).max_mb(2048).patience(PATIENCE).persist()))
        .build_in(domain)?)
}

fn domain() -> Domain {
    Domain::builder().limit_bytes(512 * MB).build()
}

fn fill(dir: &Path) -> Result<(), Box<dyn Error>> {
    let domain = domain();
    let cache = values(dir, &domain)?;
    for key in 0..u64::from(KEYS) {
        cache.insert(key, blob(key, SIZE));
        // A sixteenth of the cache's bytes may wait, and no more.
        while key % 256 == 0 && cache.stats().tiers.iter().any(|tier| tier.waiting > MB) {
            thread::sleep(Duration::from_micros(500));
        }
    }
    domain.flush(PATIENCE)?;
    println!("{}", Asking::new(cache, 1).rate(50_000));
    domain.flush(PATIENCE)?;
    Ok(())
}

/// Asks until nine tenths of the rate from before are reached.
fn open(dir: &Path, before: f64, began: Instant) -> Result<(), Box<dyn Error>> {
    let domain = domain();
    let mut asking = Asking::new(values(dir, &domain)?, 2);
    let mut first = f64::INFINITY;
    let mut recovered = f64::INFINITY;
    while recovered.is_infinite() && began.elapsed() < PATIENCE {
        let mut found = 0;
        for _ in 0..WINDOW {
            if asking.next() {
                found += 1;
                first = first.min(began.elapsed().as_secs_f64());
            }
        }
        if f64::from(found) >= 0.9 * before * WINDOW as f64 {
            recovered = began.elapsed().as_secs_f64();
        }
    }
    println!("{first} {recovered} {}", asking.rate(50_000));
    Ok(())
}
