//! Somebody in the process grows while caches hold a good part of what there is: by resident memory, as this program's allocator
//! leaves it, caches give way and come back.
//!
//! Once under a limit that the source of the figures names and nothing enforces, and once, where a control group can be made, under
//! one at which the kernel would end the process; `tests/tests/real_limit.rs` does that with the C library's allocator.
#![cfg(all(target_os = "linux", any(feature = "jemalloc", feature = "mimalloc")))]

#[path = "../../src/control_group.rs"]
mod control_group;

use std::io::{Read, Write};
use std::process::{Command, Stdio};
use std::time::Duration;

use control_group::ControlGroup;
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

const ROLE: &str = "LARDER_TEST_ANTAGONIST";

#[test]
fn caches_give_way_and_come_back() {
    come_through(&Domain::builder().limit_bytes(BUDGET).pressure(Resident).purge(purge).manual().build());
}

#[test]
fn caches_give_way_in_a_control_group_and_come_back() {
    let group = match ControlGroup::with_limit(LIMIT) {
        Ok(group) => group,
        Err(reason) => {
            println!("skipped: {reason}");
            return;
        }
    };
    let mut command = Command::new(std::env::current_exe().expect("a test knows where it is"));
    command.args(["--exact", "in_the_group", "--ignored", "--nocapture"]).env(ROLE, "group");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("this program starts");
    group.add(child.id());
    // It waits for this, so that it does nothing before the limit is there.
    child.stdin.take().expect("piped").write_all(b"go\n").expect("it listens");
    let ended = child.wait_with_output().expect("it ends");
    let told = [&ended.stdout, &ended.stderr].map(|bytes| String::from_utf8_lossy(bytes));
    assert!(
        ended.status.success() && told[0].contains("came through"),
        "{}\n{}",
        ended.status,
        told.join("\n")
    );
}

#[test]
#[ignore = "the other test runs it, in a process of its own with a limit"]
fn in_the_group() {
    if std::env::var_os(ROLE).is_none() {
        return;
    }
    let _ = std::io::stdin().read(&mut [0; 8]);
    larder::set_purge(purge);
    larder::budget().set_limit(BUDGET);
    larder::tick();
    assert_eq!(larder::stats().pressure.limit, LIMIT, "{}", larder::explain());
    come_through(Domain::global());
    println!("came through");
}

fn come_through(domain: &Domain) {
    let caches: Vec<Cache<u64, Vec<u8>>> = ["a", "b", "c", "d"]
        .iter()
        .map(|name| {
            let builder = Cache::builder(*name).cost(|_, _| Duration::from_millis(1));
            builder.build_in(domain).expect("plain options")
        })
        .collect();
    let fullness = || {
        domain.tick();
        let pressure = domain.stats().pressure;
        pressure.used as f64 / pressure.limit as f64
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
