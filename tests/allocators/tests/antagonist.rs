//! Somebody in the process grows while caches hold a good part of what there is: by resident memory, as this program's allocator
//! leaves it, caches give way and come back.
//!
//! The limit is one that the source of these figures names and nothing enforces; `tests/tests/real_limit.rs` runs under one that
//! is, with the C library's allocator.
#![cfg(all(target_os = "linux", any(feature = "jemalloc", feature = "mimalloc")))]

use std::time::Duration;

use larder::{Cache, Domain, Level, MemorySample, PressureSource};
use larder_allocators::purge;

#[cfg(feature = "jemalloc")]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

#[cfg(all(feature = "mimalloc", not(feature = "jemalloc")))]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const MB: u64 = 1 << 20;
const LIMIT: u64 = 480 * MB;
const BUDGET: u64 = 200 * MB;
/// A few more than there is room for.
const KEYS: u64 = 16_000;

/// What of this process is in memory.
#[derive(Debug)]
struct Resident;

fn resident() -> Option<u64> {
    let statm = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = statm.split_whitespace().nth(1)?.parse().ok()?;
    Some(pages * 4096)
}

impl PressureSource for Resident {
    fn sample(&self) -> Option<MemorySample> {
        Some(MemorySample { used: resident()?, limit: LIMIT })
    }

    fn resident(&self) -> Option<u64> {
        resident()
    }

    fn name(&self) -> &str {
        "resident"
    }
}

/// Keys as services see them: few of them often.
struct Requests(u64);

impl Requests {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let unit = (self.0 >> 33) as f64 / (1_u64 << 31) as f64;
        (KEYS as f64 * unit * unit * unit) as u64
    }
}

/// So many requests; which part of them was found.
fn serve(caches: &[Cache<u64, Vec<u8>>], requests: &mut Requests, many: u64) -> f64 {
    let hits = || caches.iter().map(|cache| cache.stats().hits).sum::<u64>();
    let before = hits();
    for _ in 0..many {
        let key = requests.next();
        let size = 8_000 + key as usize % 16_000;
        let value = caches[key as usize % caches.len()].get_or_insert_with(key, || vec![1; size]);
        assert_eq!(value.len(), size);
    }
    (hits() - before) as f64 / many as f64
}

#[test]
fn caches_give_way_and_come_back() {
    let domain = Domain::builder().limit_bytes(BUDGET).pressure(Resident).purge(purge).manual().build();
    let caches: Vec<Cache<u64, Vec<u8>>> = ["a", "b", "c", "d"]
        .iter()
        .map(|name| {
            let builder = Cache::builder(*name).cost(|_, _| Duration::from_millis(1));
            builder.build_in(&domain).expect("plain options")
        })
        .collect();
    let fullness = || {
        domain.tick();
        resident().unwrap_or(0) as f64 / LIMIT as f64
    };
    let mut requests = Requests(1);
    serve(&caches, &mut requests, 60_000);
    let before = serve(&caches, &mut requests, 10_000);
    let held: u64 = caches.iter().map(Cache::weight).sum();
    assert!(held > BUDGET / 10 * 8 && fullness() < 0.7, "{held} held, {} full", fullness());

    let rest = resident().unwrap_or(0).saturating_sub(held);
    let mut hoard: Vec<Vec<u8>> = Vec::new();
    let mut highest = Level::Normal;
    // Beside it there is room for the least that caches keep, and for what allocators keep of pages that were thinned out: of
    // values of many sizes that is half of what the caches had.
    while hoard.len() as u64 * MB < LIMIT / 10 * 8 - rest - 140 * MB {
        hoard.push(vec![1; MB as usize]);
        serve(&caches, &mut requests, 20);
        assert!(fullness() < 1.0, "{}", domain.explain());
        highest = highest.max(domain.pressure());
    }
    assert!(highest > Level::Normal, "nothing was short: {}", domain.explain());
    let looks = (0..10).position(|_| {
        serve(&caches, &mut requests, 20);
        fullness() < 0.85
    });
    assert!(looks.is_some(), "{}", domain.explain());

    drop(hoard);
    purge();
    let looks = (0..500).position(|_| {
        serve(&caches, &mut requests, 20);
        domain.tick();
        domain.stats().budget.allowed == BUDGET
    });
    assert!(looks.is_some(), "{}", domain.explain());
    serve(&caches, &mut requests, 60_000);
    let after = serve(&caches, &mut requests, 10_000);
    assert!(after >= 0.8 * before, "{after} of {before}");
}
