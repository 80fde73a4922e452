//! A process with a real limit on its memory, and an antagonist in it that grows: caches give way before anything breaks, and
//! come back after.
//!
//! Each run is a process of its own (this program again). The limit is a control group, where one can be made, and then the address
//! space (`setrlimit`). The short form grows by 200 MB a second and looks
//! every 50 ms; the long one (`LARDER_DEEP`) by 20 MB a second, with the interval of programs that set none. This is intentional:
//! these tests sleep, because they are about real time.
#![cfg(all(target_os = "linux", target_env = "gnu"))]

use std::io::{Read, Write};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use larder::{Cache, Level};
use larder_tests::control_group::ControlGroup;
use larder_tests::short_or_deep;

const MB: u64 = 1 << 20;
/// What the process may have.
const LIMIT: u64 = 640 * MB;
/// What its caches may have of it.
const BUDGET: u64 = 200 * MB;
/// Large enough to be a mapping of its own each: what is dropped is gone from the address space at once.
const VALUE: usize = 256 << 10;
/// A few more than there is room for.
const KEYS: u64 = 1000;
const ROLE: &str = "LARDER_TEST_ANTAGONIST";

#[test]
fn caches_give_way_to_an_antagonist_in_a_control_group_and_come_back() {
    match ControlGroup::with_limit(LIMIT) {
        Ok(group) => run("group", Some(&group)),
        Err(reason) => println!("skipped: {reason}"),
    }
}

#[test]
fn caches_give_way_to_an_antagonist_in_an_address_space_and_come_back() {
    run("address space", None);
}

fn run(role: &str, group: Option<&ControlGroup>) {
    let mut command = Command::new(std::env::current_exe().expect("a test knows where it is"));
    command.args(["--exact", "antagonist", "--ignored", "--nocapture"]);
    command.env(ROLE, role);
    command.env("LARDER_BUDGET_MB", (BUDGET / MB).to_string());
    // One arena, and every value a mapping of its own, also after the first was freed.
    command.env("MALLOC_ARENA_MAX", "1").env("MALLOC_MMAP_THRESHOLD_", "131072");
    command.env("LARDER_INTERVAL", short_or_deep("50ms", "30s"));
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("this program starts");
    if let Some(group) = group {
        group.add(child.id());
    }
    // It waits for this, so that it does nothing before the limit is there.
    child.stdin.take().expect("piped").write_all(b"go\n").expect("it listens");
    let ended = child.wait_with_output().expect("it ends");
    let told = String::from_utf8_lossy(&ended.stdout);
    let errors = String::from_utf8_lossy(&ended.stderr);
    println!("{told}");
    assert!(ended.status.success(), "{}\n{told}\n{errors}", ended.status);
    if let Some(reason) = told.lines().find_map(|line| line.strip_prefix("skipped: ")) {
        println!("skipped: {reason}");
        return;
    }
    assert!(told.contains("came through"), "{told}\n{errors}");
}

/// Sets the soft limit of the address space; says why it can't.
fn limit_address_space() -> Result<(), String> {
    // SAFETY: a struct of two numbers, for which zeros are sound.
    let mut limit: libc::rlimit = unsafe { std::mem::zeroed() };
    // SAFETY: the pointer is to a struct that lives for the call.
    if unsafe { libc::getrlimit(libc::RLIMIT_AS, &mut limit) } != 0 {
        return Err(std::io::Error::last_os_error().to_string());
    }
    limit.rlim_cur = LIMIT;
    // SAFETY: as above.
    if unsafe { libc::setrlimit(libc::RLIMIT_AS, &limit) } != 0 {
        return Err(std::io::Error::last_os_error().to_string());
    }
    Ok(())
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
fn serve(cache: &Cache<u64, Vec<u8>>, requests: &mut Requests, many: u64) -> f64 {
    let before = cache.stats().hits;
    for _ in 0..many {
        let value = cache.get_or_insert_with(requests.next(), || vec![1; VALUE]);
        assert_eq!(value.len(), VALUE);
    }
    (cache.stats().hits - before) as f64 / many as f64
}

/// How full memory is, by the source that watches it.
fn fullness() -> f64 {
    larder::tick();
    let pressure = larder::stats().pressure;
    pressure.used as f64 / pressure.limit as f64
}

#[test]
#[ignore = "the other test runs it, in a process of its own with a limit"]
fn antagonist() {
    let Some(role) = std::env::var_os(ROLE) else { return };
    let _ = std::io::stdin().read(&mut [0; 8]);
    if role == "address space"
        && let Err(reason) = limit_address_space()
    {
        println!("skipped: no limit can be set: {reason}");
        return;
    }
    // The value is what a hit hands out a clone of, so it is small and shared as people would.
    let cache: Cache<u64, Vec<u8>> =
        Cache::builder("served").cost(|_, _| Duration::from_millis(1)).build().expect("sound options");
    let mut requests = Requests(1);
    if fullness() > 0.5 {
        println!("skipped: this program alone takes {:.0} % of the limit", 100.0 * fullness());
        return;
    }
    serve(&cache, &mut requests, 4_000);
    let before = serve(&cache, &mut requests, 2_000);
    larder::tick();
    let rest = larder::stats().pressure.used - cache.weight();
    println!(
        "before: {before:.3} of the requests found, {} held, {:.2} full",
        cache.weight() / MB,
        fullness()
    );

    // A megabyte each 5 ms, or each 50 ms.
    let pace = Duration::from_millis(short_or_deep(5, 50));
    let mut hoard: Vec<Vec<u8>> = Vec::new();
    let mut fullest: f64 = 0.0;
    let started = Instant::now();
    let mut reached_high = false;
    // Beside it there is room for the least that caches keep, and a little: 0.80 is where an emergency ends up.
    while (hoard.len() as u64) * MB < (0.80 * LIMIT as f64) as u64 - rest - 48 * MB {
        hoard.push(vec![1; MB as usize]);
        serve(&cache, &mut requests, 4);
        let pressure = larder::stats().pressure;
        fullest = fullest.max(pressure.used as f64 / pressure.limit as f64);
        reached_high |= pressure.level > Level::Normal;
        std::thread::sleep(pace);
    }
    println!(
        "the antagonist holds {} MB after {:.1} s; {:.2} full at most; caches hold {} MB",
        hoard.len(),
        started.elapsed().as_secs_f64(),
        fullest,
        cache.weight() / MB
    );
    assert!(reached_high, "nothing was short: {}", larder::explain());
    let stopped = Instant::now();
    while fullness() >= 0.85 {
        assert!(stopped.elapsed() < Duration::from_secs(10), "{}", larder::explain());
        serve(&cache, &mut requests, 4);
        std::thread::sleep(Duration::from_millis(20));
    }
    println!("below 0.85 after {:.2} s more", stopped.elapsed().as_secs_f64());

    drop(hoard);
    let freed = Instant::now();
    while larder::stats().budget.allowed < larder::budget().limit() {
        assert!(freed.elapsed() < Duration::from_secs(60), "{}", larder::explain());
        serve(&cache, &mut requests, 20);
        larder::tick();
    }
    serve(&cache, &mut requests, 4_000);
    let after = serve(&cache, &mut requests, 2_000);
    println!("after: {after:.3} of the requests found; {}", larder::explain());
    assert!(after >= 0.8 * before, "{after} of {before}");
    println!("came through");
}
