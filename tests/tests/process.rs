//! The process as a whole: what is declared before any call, the bypass switch, trim, clear, shut-down. One test, in
//! order, because all of it is about the one global domain; a process of its own.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use larder::{Kind, cached, pooled};

static RUNS: AtomicU64 = AtomicU64::new(0);

#[cached(max_mb = 8, priority = 2.0)]
fn squared(n: u64) -> Vec<u64> {
    RUNS.fetch_add(1, Ordering::SeqCst);
    vec![n * n; 100]
}

#[cached(name = "never::called")]
#[expect(dead_code, reason = "it is declared, and never called")]
fn never(n: u64) -> u64 {
    n
}

#[pooled(max = 3, reset = Self::clear)]
#[derive(Default, larder::Weigh)]
struct Scratch {
    bytes: Vec<u8>,
}

impl Scratch {
    fn clear(&mut self) {
        self.bytes.clear();
    }
}

mod inner {
    #[larder::cached]
    pub(super) fn private(n: u8) -> u8 {
        n
    }
}

#[test]
fn the_process_from_its_first_moment_to_shutdown() {
    // Before any call.
    let names: Vec<_> = larder::declared().map(|item| item.name).collect();
    assert_eq!(names, ["never::called", "process::Scratch", "process::inner::private", "process::squared"]);
    let item = larder::declared().find(|item| item.name == "process::squared").expect("declared");
    assert_eq!((item.kind, item.max_bytes, item.file), (Kind::Cache, Some(8 << 20), file!()));
    assert!(item.line > 10);
    let before = larder::stats();
    assert_eq!(before.tenants.len(), 4);
    assert!(before.tenants.iter().all(|tenant| !tenant.live && tenant.bytes == 0));
    assert_eq!(before.budget.used, 0);
    let table = before.to_string();
    assert!(names.iter().all(|name| table.contains(name)), "{table}");

    // Some work.
    larder::init().expect("the environment of the tests is sound");
    larder::budget().set_limit_mb(4);
    assert_eq!(larder::budget().limit(), 4 << 20);
    for n in 0..100 {
        assert_eq!(squared(n)[0], n * n);
        assert_eq!(squared(n)[0], n * n);
    }
    assert_eq!(RUNS.load(Ordering::SeqCst), 100);
    let mut lease = Scratch::acquire();
    lease.bytes.extend_from_slice(&[1; 1000]);
    drop(lease);
    assert!(Scratch::acquire().bytes.is_empty());
    assert_eq!(Scratch::pool().idle(), 1);
    assert_eq!(inner::private(1), 1);

    let stats = larder::stats();
    let row = stats.tenant("process::squared").expect("it was called");
    assert_eq!((row.hits, row.misses, row.entries, row.live), (100, 100, 100, true));
    assert!(row.time_saved >= Duration::from_micros(100));
    let pool = stats.tenant("process::Scratch").expect("it was acquired");
    assert_eq!((pool.kind, pool.hits, pool.misses, pool.entries), (Kind::Pool, 1, 1, 1));
    assert!(!stats.tenant("never::called").expect("declared").live);
    let reserved: u64 = stats.tenants.iter().map(|tenant| tenant.reserved).sum();
    assert_eq!(reserved, larder::budget().used());

    // The switch.
    larder::set_bypass(true);
    let _ = squared(1);
    assert_eq!(squared_cache().get(1), None);
    assert_eq!(RUNS.load(Ordering::SeqCst), 101);
    drop(Scratch::acquire());
    larder::set_bypass(false);
    let _ = squared(1);
    assert_eq!(RUNS.load(Ordering::SeqCst), 101);
    assert_eq!(Scratch::pool().idle(), 1);

    // Giving back.
    let trimmed = larder::trim(10_000);
    assert!(trimmed.freed >= 10_000, "{trimmed:?}");
    assert!(!trimmed.by_tenant.is_empty());
    larder::clear_all();
    let stats = larder::stats();
    assert!(
        stats.budget.used <= 2048 * stats.tenants.len() as u64,
        "what is empty takes next to nothing: {stats}"
    );
    assert_eq!((squared_cache().len(), Scratch::pool().idle()), (0, 0));

    larder::flush(Duration::from_secs(5)).expect("nothing is pending");
    larder::shutdown(Duration::from_secs(60)).expect("the thread ends");
    assert_eq!(squared(3)[0], 9, "caches go on after a shutdown");
}
