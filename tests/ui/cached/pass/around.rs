//! What stands around a function: its body, the same call computed again, and where a value came from.
#![deny(warnings, missing_docs, unreachable_pub)]

use std::sync::atomic::{AtomicU32, Ordering};

use larder::{Local, Status, cached};

static RUNS: AtomicU32 = AtomicU32::new(0);

fn run() -> u32 {
    RUNS.fetch_add(1, Ordering::Relaxed)
}

/// All three.
#[cached(uncached, refresh, status)]
pub fn plain(name: &str, (a, mut b): (u8, u8)) -> String {
    b += 1;
    format!("{name}{a}{b}{}", run())
}

#[cached(uncached, refresh, status)]
fn fallible<T: larder::CacheKey + ToString>(of: T) -> Result<u32, std::num::ParseIntError> {
    let n: u32 = of.to_string().parse()?;
    Ok(n + run())
}

#[cached(uncached, refresh, status, cache_if = |n| *n < 1000)]
async fn later(text: &str) -> Result<u32, std::num::ParseIntError> {
    let n: u32 = std::future::ready(text).await.parse()?;
    Ok(n + run())
}

#[cached(uncached)]
fn only_the_body(n: u32) -> u32 {
    n + run()
}

#[cached(refresh, handle = false)]
fn only_again(n: u32) -> u32 {
    n + run()
}

#[cached(status, key_by = |n| n / 10: u32)]
fn only_status(n: u32) -> u32 {
    n + run()
}

/// An object.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Store {
    id: u32,
    caches: Local,
}

impl Store {
    /// With all.
    #[cached(uncached, refresh, status)]
    #[expect(clippy::needless_pass_by_value, unused_mut, reason = "the cases are all of it")]
    pub fn load(mut self, n: u32) -> u32 {
        n + run() + self.id
    }

    #[cached(uncached, refresh, status, within = self.caches)]
    fn near(&self, n: u32) -> Option<u32> {
        n.checked_sub(1).map(|n| n + run() + self.id)
    }

    #[cached(uncached, refresh, status, scope = "thread", skip(self))]
    async fn far(&self, n: u32) -> u32 {
        std::future::ready(n + run() + self.id).await
    }

    #[cached(uncached, refresh, status)]
    unsafe fn dangerous(&self, n: u32) -> u32 {
        n + run() + self.id
    }
}

/// # Safety
///
/// `n` is not 0.
#[cached]
pub unsafe fn dangerous(n: u32) -> u32 {
    // SAFETY: the caller says so.
    unsafe { std::num::NonZero::new_unchecked(n) }.get() + run()
}

/// # Safety
///
/// None, in truth.
#[cached]
pub async unsafe fn dangerous_later(n: u32) -> u32 {
    std::future::ready(n + run()).await
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    match std::pin::pin!(future).poll(&mut context) {
        std::task::Poll::Ready(value) => value,
        std::task::Poll::Pending => unreachable!(),
    }
}

fn main() {
    let (first, status) = plain_with_status("a", (1, 2));
    assert_eq!((plain("a", (1, 2)), status), (first.clone(), Status::Miss));
    assert_eq!(plain_with_status("a", (1, 2)), (first.clone(), Status::Hit));
    assert_ne!(plain_uncached("a", (1, 2)), first);
    assert_eq!(plain("a", (1, 2)), first, "the body alone stores nothing");
    let again = plain_refresh("a", (1, 2));
    assert_ne!(again, first);
    assert_eq!(plain("a", (1, 2)), again);
    assert_eq!(plain_cache().len(), 1);

    assert_eq!(fallible_with_status("x").1, Status::Miss);
    assert!(fallible("x").is_err() && fallible_refresh("x").is_err() && fallible_uncached("x").is_err());
    let value = fallible("1");
    assert_eq!(fallible_with_status("1"), (value.clone(), Status::Hit));
    assert_ne!(fallible_refresh("1"), value);

    let value = block_on(later("1"));
    assert_eq!(block_on(later_with_status("1")), (value.clone(), Status::Hit));
    assert_ne!(block_on(later_refresh("1")), value);
    assert_ne!(block_on(later_uncached("1")), value);
    assert_eq!(block_on(later_with_status("5000")).1, Status::Miss);
    assert_eq!(block_on(later_with_status("5000")).1, Status::Miss);

    assert_eq!(only_the_body(1), only_the_body(1));
    assert_ne!(only_the_body_uncached(1), only_the_body_uncached(1));
    assert_ne!(only_again(1), only_again_refresh(1));
    let first = only_status(11);
    assert_eq!(only_status_with_status(12), (first, Status::Hit));

    let store = || Store { id: 0, caches: Local::new() };
    let value = store().load(1);
    assert_eq!(store().load_with_status(1), (value, Status::Hit));
    assert_ne!(store().load_refresh(1), value);
    assert_ne!(store().load_uncached(1), value);
    let one = store();
    let value = one.near(1);
    assert_eq!((one.near_with_status(1), one.near(0)), ((value, Status::Hit), None));
    let again = one.near_refresh(1);
    assert_ne!((again, one.near_uncached(1)), (value, value));
    assert_eq!(one.near(1), again);
    let value = block_on(one.far(1));
    assert_eq!(block_on(one.far_with_status(1)), (value, Status::Hit));
    assert_ne!(block_on(one.far_refresh(1)), value);
    assert_ne!(block_on(one.far_uncached(1)), value);
    // SAFETY: nothing is asked for, or it is so.
    unsafe {
        let value = one.dangerous(1);
        assert_eq!(one.dangerous_with_status(1), (value, Status::Hit));
        assert_ne!((one.dangerous_refresh(1), one.dangerous_uncached(1)), (value, value));
        assert_eq!(dangerous(1), dangerous(1));
        assert_eq!(block_on(dangerous_later(1)), block_on(dangerous_later(1)));
    }
}
