//! Of a function that returns nothing it is kept that it ran: once for each key.
#![deny(warnings)]

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use larder::{CacheKey, Local, Status, cached};

static SUM: AtomicU32 = AtomicU32::new(0);

fn add(n: u32) {
    SUM.fetch_add(n, Ordering::Relaxed);
}

fn sum() -> u32 {
    SUM.swap(0, Ordering::Relaxed)
}

#[cached]
fn plain(n: u32) {
    if n == 0 {
        return;
    }
    add(n);
}

#[cached(status, refresh, uncached, force_if = n == 7)]
fn with_siblings(n: u32) {
    add(n);
}

#[cached(status, refresh, uncached)]
async fn task(n: u32) {
    std::future::ready(()).await;
    add(n);
}

#[cached]
fn once() {
    add(1);
}

#[cached(cache_if = |()| false)]
fn never_kept(n: u32) -> () {
    add(n);
}

#[cached(scope = "thread", ttl = "1h")]
fn of_each_type<T: CacheKey>(_: T) {
    add(1);
}

struct Object {
    caches: Local,
}

impl Object {
    #[cached(skip(self))]
    pub fn for_all(&self, n: u32) {
        add(n);
    }

    #[cached(within = self.caches, handle, status)]
    fn for_each(&self, n: u32) {
        add(n);
    }

    #[cached(detach, skip(self))]
    async fn detached(self: Arc<Self>, n: u32) {
        add(n);
    }
}

fn main() {
    plain(1);
    plain(1);
    plain(2);
    plain(0);
    assert_eq!((sum(), plain_cache().get(1), plain_cache().get(3)), (3, Some(()), None));
    plain_cache().invalidate(1);
    plain(1);
    assert_eq!(sum(), 1);

    with_siblings(1);
    with_siblings_refresh(1);
    with_siblings_uncached(1);
    with_siblings(7);
    with_siblings(7);
    assert_eq!((sum(), with_siblings_with_status(1).1, with_siblings_with_status(2).1), (17, Status::Hit, Status::Miss));
    drop((task(1), task_with_status(1), task_refresh(1), task_uncached(1)));

    sum();
    once();
    once();
    never_kept(1);
    never_kept(1);
    of_each_type(1_u8);
    of_each_type("a");
    of_each_type("a");
    assert_eq!(sum(), 5);

    let (one, two) = (Object { caches: Local::new() }, Object { caches: Local::new() });
    one.for_all(1);
    two.for_all(1);
    one.for_each(1);
    two.for_each(1);
    one.for_each(1);
    assert_eq!((sum(), one.for_each_cache().len()), (3, 1));
    drop(Arc::new(one).detached(1));
}
