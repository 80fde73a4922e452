//! Annotated functions with a disk, each test in processes of their own: the directory comes from the environment.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use larder::{TierState, cached};
use larder_tests::patience;

use super::process::{self, Child};

static COMPUTED: AtomicU64 = AtomicU64::new(0);

#[cached(tiers("lz4", disk(max_mb = 64, persist)), max_entries = 4, cost = "10ms")]
fn page(number: u64) -> String {
    COMPUTED.fetch_add(1, Ordering::SeqCst);
    format!("page {number} ").repeat(100)
}

#[cached(tiers("disk"), max_entries = 4, policy = "lru", cost = "10ms")]
async fn later(number: u64) -> Vec<u64> {
    COMPUTED.fetch_add(1, Ordering::SeqCst);
    vec![number; 200]
}

#[cached(tiers(disk(path = "/proc/nowhere", level = 3, version = 2, ttl = "1d")), cost = "10ms")]
fn nowhere(number: u64) -> u64 {
    number
}

fn block<T>(future: impl Future<Output = T>) -> T {
    use std::task::{Context, Poll, Waker};
    let mut future = std::pin::pin!(future);
    loop {
        if let Poll::Ready(value) = future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            return value;
        }
        std::thread::yield_now();
    }
}

/// Calls the functions, and says how many bodies ran.
#[test]
#[ignore = "a process of its own"]
fn calls() {
    if process::argument("DIR").is_none() {
        return;
    }
    let mut right = true;
    for number in 0..50 {
        right &= page(number) == format!("page {number} ").repeat(100);
        right &= block(later(number)) == vec![number; 200];
    }
    larder::flush(patience()).unwrap();
    process::say(&format!("{right} {}", COMPUTED.load(Ordering::SeqCst)));
    page_cache().invalidate(7);
    larder::shutdown(Duration::from_secs(60)).unwrap();
    process::say("ended");
}

#[test]
fn a_restarted_process_computes_nothing_again() {
    let scratch = tempfile::tempdir().unwrap();
    for (turn, computed) in [(0, 100..=100), (1, 5..=6)] {
        let dir = scratch.path().as_os_str();
        let mut child = Child::with("annotated::calls", &[("DIR", dir)], |command| {
            command.env("LARDER_DISK", dir);
        });
        let line = child.line().unwrap();
        let bodies: u64 = line.strip_prefix("true ").expect("the values are right").parse().unwrap();
        // The four of `later` that were in memory, and page 7.
        assert!(computed.contains(&bodies), "turn {turn}: {bodies}");
        assert_eq!(child.line().as_deref(), Some("ended"));
    }
}

/// Calls a function whose directory cannot be.
#[test]
#[ignore = "a process of its own"]
fn calls_without_a_disk() {
    if process::argument("DIR").is_none() {
        return;
    }
    assert_eq!((nowhere(3), nowhere(3)), (3, 3));
    let tier = nowhere_cache().stats().tiers.pop().unwrap();
    assert_eq!(tier.state, TierState::Off);
    assert!(
        larder::stats().warnings.iter().any(|warning| warning.contains("nowhere")),
        "{}",
        larder::stats()
    );
    larder::flush(patience()).unwrap();
    process::say("fine");
}

#[test]
fn a_function_whose_directory_cannot_be_goes_without() {
    let mut child = Child::with("annotated::calls_without_a_disk", &[("DIR", "any".as_ref())], |command| {
        command.env_remove("LARDER_DISK");
    });
    assert_eq!(child.line().as_deref(), Some("fine"));
}
