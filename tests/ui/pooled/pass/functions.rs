//! Functions that make objects: a shelf of idle ones for each set of arguments.
#![deny(warnings, missing_docs, unreachable_pub)]

use std::sync::atomic::{AtomicU32, Ordering};

use larder::{Pooled, Shelves, Weigh, pooled};

static MADE: AtomicU32 = AtomicU32::new(0);

/// A connection.
#[derive(Debug, PartialEq, Weigh)]
pub struct Conn {
    dsn: String,
    tls: bool,
    used: u32,
    broken: bool,
}

impl Conn {
    fn open(dsn: &str, tls: bool) -> Result<Self, String> {
        MADE.fetch_add(1, Ordering::Relaxed);
        if dsn.is_empty() { Err("no dsn".to_owned()) } else { Ok(Self { dsn: dsn.to_owned(), tls, used: 0, broken: false }) }
    }
}

/// The signature is what callers get, the body makes the object.
///
/// # Errors
///
/// When there is no name.
#[pooled(max = 4, max_mb = 1, priority = 0.5, reset = |conn| !conn.broken, name = "connections")]
pub fn connect(dsn: &str, tls: bool) -> Result<Pooled<Conn>, String> {
    let conn = Conn::open(dsn, tls)?;
    Ok(conn)
}

#[pooled(reset = Vec::clear)]
fn buffer(size: usize) -> Pooled<Vec<u8>> {
    MADE.fetch_add(1, Ordering::Relaxed);
    if size == 0 {
        return Vec::new();
    }
    Vec::with_capacity(size)
}

#[pooled]
fn maybe(name: Option<String>, (a, mut b): (u8, u8), _unread: f64) -> Option<larder::Pooled<String>> {
    b += a;
    Some(format!("{}{b}", name?))
}

#[pooled]
async fn later(dsn: &str) -> std::io::Result<Pooled<Conn>> {
    std::future::ready(()).await;
    Conn::open(dsn, false).map_err(std::io::Error::other)
}

#[pooled]
async fn later_plain(n: u32) -> Pooled<Vec<u32>> {
    vec![std::future::ready(n).await]
}

#[pooled]
fn generic<T: larder::CacheKey + Default, const N: usize>(like: &T) -> Pooled<[T; N]> {
    std::array::from_fn(|_| like.clone())
}

#[pooled(max = 2)]
fn only() -> Pooled<String> {
    MADE.fetch_add(1, Ordering::Relaxed);
    "only".to_owned()
}

#[pooled(skip(log))]
fn skipped(n: u32, log: &mut Vec<u32>) -> Pooled<u32> {
    log.push(n);
    n
}

#[pooled(key(name.trim(): &str))]
fn trimmed(name: String, _unread: u8) -> Option<Pooled<String>> {
    Some(name)
}

mod another {
    /// Of the same name.
    #[larder::pooled]
    pub(super) fn buffer(size: usize) -> larder::Pooled<Vec<u8>> {
        vec![1; size]
    }
}

fn made<T>(run: impl FnOnce() -> T) -> u32 {
    let before = MADE.load(Ordering::Relaxed);
    drop(run());
    MADE.load(Ordering::Relaxed) - before
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    match std::pin::pin!(future).poll(&mut context) {
        std::task::Poll::Ready(value) => value,
        std::task::Poll::Pending => unreachable!(),
    }
}

fn main() -> Result<(), String> {
    assert_eq!(made(|| connect("a", false).unwrap().used += 1), 1);
    assert_eq!(made(|| assert_eq!(connect("a", false).unwrap().used, 1)), 0, "the same one again");
    assert_eq!(made(|| assert!(connect("a", true).unwrap().tls)), 1, "another shelf");
    assert_eq!(made(|| assert_eq!(connect("b", false).unwrap().dsn, "b")), 1);
    assert_eq!((connect_pool().idle(), connect_pool().leased()), (3, 0));
    assert_eq!((connect("", true).unwrap_err(), connect_pool().stats().load_failures), ("no dsn".to_owned(), 1));
    connect("b", false)?.broken = true;
    assert_eq!(connect_pool().idle(), 2, "it was dropped");
    let leases: Vec<_> = (0..4).map(|n| connect(&n.to_string(), false)).collect::<Result<_, _>>()?;
    assert_eq!((connect_pool().idle(), connect_pool().leased()), (0, 4), "others made way");
    drop(leases);
    assert_eq!(connect_pool().stats().entries, 4);
    let shelves: &'static Shelves<Conn> = connect_pool();
    assert!(shelves.weight() > 0 && shelves.stats().name == "connections");
    shelves.clear();
    assert_eq!(shelves.idle(), 0);

    buffer(100).push(1);
    assert!(buffer(100).is_empty() && buffer(100).capacity() >= 100 && buffer(0).capacity() == 0);
    assert_eq!(another::buffer(2).len(), 2);
    assert_eq!((buffer_pool().idle(), another::buffer_pool().idle()), (2, 1));
    assert_eq!(maybe(Some("a".to_owned()), (1, 2), 0.5).as_deref().map(String::as_str), Some("a3"));
    assert!(maybe(None, (1, 2), 0.5).is_none());
    block_on(later("a")).unwrap().used = 7;
    assert_eq!((block_on(later("a")).unwrap().used, block_on(later("")).is_err()), (7, true));
    block_on(later_plain(1)).push(2);
    assert_eq!(*block_on(later_plain(1)), [1, 2]);
    generic::<u8, 2>(&1)[0] = 9;
    assert_eq!((*generic::<u8, 2>(&1), *generic::<u8, 2>(&2), *generic::<u16, 1>(&1)), ([9, 1], [2, 2], [1]));
    assert_eq!(generic_pool::<u8, 2>().idle(), 2);
    assert_eq!((made(only), made(only)), (1, 0));
    let mut log = Vec::new();
    assert_eq!((*skipped(1, &mut log), *skipped(2, &mut log)), (1, 2));
    assert_eq!((*skipped(1, &mut log), log.len()), (1, 2));
    drop((trimmed("a".to_owned(), 1), trimmed("b ".to_owned(), 2)));
    assert_eq!(trimmed(" b".to_owned(), 3).as_deref().map(String::as_str), Some("b "));
    let kept = Pooled::detach(only());
    assert_eq!((kept.as_str(), only_pool().idle(), only_pool().leased()), ("only", 0, 0));
    Ok(())
}
