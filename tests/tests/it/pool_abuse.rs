//! Pools used as nobody should: from inside their own constructors, resets and drops, with weights that are lies, with leases
//! that are lost, late, or kept where threads end.

use std::cell::Cell;
use std::ops::Bound::{Excluded, Included, Unbounded};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use larder::{AcquireError, BufferPool, Cache, Domain, Pool, Pooled};

use crate::support::{MB, check, clocked, domain, in_time, panics};

/// Where a pool's own functions find it.
type Late = Arc<std::sync::OnceLock<Pool<Vec<u8>>>>;

#[test]
fn a_constructor_may_take_from_the_pool_that_it_makes_for() {
    let domain = domain(MB);
    let (late, depth) = (Late::default(), Arc::new(AtomicU64::new(0)));
    let (pool, turn) = (Arc::clone(&late), Arc::clone(&depth));
    let made = Pool::builder("nested", move || {
        let inner = (turn.fetch_add(1, Ordering::Relaxed) < 3).then(|| pool.get().unwrap().acquire());
        vec![0; 10 + inner.map_or(0, |inner| inner.len())]
    });
    let pool = late.get_or_init(|| made.max(8).build_in(&domain).unwrap());
    assert_eq!(pool.acquire().len(), 40);
    assert_eq!((pool.idle(), pool.leased(), pool.stats().loads), (4, 0, 4));
    check(&domain);
}

#[test]
fn a_reset_may_use_empty_or_close_the_pool_that_it_resets_for() {
    let domain = domain(MB);
    let late = Late::default();
    let pool = Arc::clone(&late);
    let built = Pool::builder("busy", || vec![0_u8; 10]).reset(move |object: &mut Vec<u8>| {
        let pool = pool.get().unwrap();
        match object[0] {
            1 => drop(Pooled::detach(pool.acquire())),
            2 => pool.clear(),
            3 => pool.close(),
            _ => {}
        }
    });
    let pool = late.get_or_init(|| built.build_in(&domain).unwrap());
    for (order, idle) in [(1, 1), (2, 1), (0, 1), (3, 0), (0, 0)] {
        let mut lease = pool.acquire();
        lease[0] = order;
        drop(lease);
        assert_eq!((pool.idle(), pool.leased()), (idle, 0), "after {order}");
        check(&domain);
    }
}

#[test]
fn objects_may_use_their_pool_while_they_are_dropped() {
    struct Meddler(Arc<std::sync::OnceLock<Pool<Meddler>>>, bool);
    impl Drop for Meddler {
        fn drop(&mut self) {
            if let Some(pool) = self.0.get()
                && std::mem::take(&mut self.1)
            {
                let mut lease = pool.acquire();
                lease.1 = false;
                let _ = (pool.stats(), pool.trim(1));
                pool.clear();
            }
        }
    }
    let domain = domain(MB);
    let late = Arc::<std::sync::OnceLock<Pool<Meddler>>>::default();
    let inner = Arc::clone(&late);
    let built = Pool::builder("meddlers", move || Meddler(Arc::clone(&inner), true)).max(4);
    let pool = late.get_or_init(|| built.build_in(&domain).unwrap());
    drop((0..6).map(|_| pool.acquire()).collect::<Vec<_>>());
    in_time("no lock is held while objects drop", {
        let pool = pool.clone();
        move || {
            pool.clear();
            pool.resize(1);
            drop((0..3).map(|_| pool.acquire()).collect::<Vec<_>>());
        }
    });
    let _ = domain.trim(u64::MAX);
    domain.tick();
    assert_eq!(pool.leased(), 0);
    check(&domain);
    pool.close();
    assert_eq!((pool.idle(), pool.stats().entries), (0, 0));
}

#[test]
fn a_lease_may_hold_another_of_its_own_pool() {
    #[derive(Default)]
    struct Link(Option<Box<Pooled<Link>>>);
    let domain = domain(MB);
    let pool = Pool::builder("links", Link::default).max(100).build_in(&domain).unwrap();
    let mut chain = pool.acquire();
    for _ in 0..50 {
        let mut next = pool.acquire();
        next.0 = Some(Box::new(chain));
        chain = next;
    }
    drop(chain);
    // All but the last lie in the one that came back.
    assert_eq!((pool.idle(), pool.leased()), (1, 50));
    pool.clear();
    while pool.idle() > 0 {
        pool.clear();
    }
    assert_eq!((pool.leased(), pool.stats().entries), (0, 0));
    check(&domain);
}

#[test]
fn a_drop_that_panics_in_a_tick_a_trim_or_for_another_tenant_leaves_the_books_right() {
    struct Brittle(Arc<AtomicBool>, #[expect(dead_code, reason = "it weighs something")] [u64; 100]);
    impl Drop for Brittle {
        fn drop(&mut self) {
            assert!(!self.0.load(Ordering::Relaxed), "a drop that fails, on purpose");
        }
    }
    let (domain, clock) = clocked(200_000);
    let fails = Arc::new(AtomicBool::new(false));
    let fill = |pool: &Pool<Brittle>| {
        fails.store(false, Ordering::Relaxed);
        drop((0..10).map(|_| pool.acquire()).collect::<Vec<_>>());
        assert_eq!(pool.idle(), 10);
        fails.store(true, Ordering::Relaxed);
    };
    let made = Arc::clone(&fails);
    let pool = Pool::builder("brittle", move || Brittle(Arc::clone(&made), [0; 100]))
        .idle(Duration::from_secs(10))
        .build_in(&domain)
        .unwrap();
    fill(&pool);
    clock.advance(Duration::from_secs(11));
    let _ = panics(|| {
        domain.tick();
        domain.tick();
    });
    assert_eq!((pool.idle(), pool.leased()), (0, 0), "{}", domain.stats());
    check(&domain);
    fill(&pool);
    let _ = panics(|| drop(domain.trim(u64::MAX)));
    check(&domain);
    fill(&pool);
    let cache: Cache<u64, Vec<u8>> = Cache::builder("other").build_in(&domain).unwrap();
    for key in 0..30 {
        let _ = panics(|| cache.insert(key, vec![0; 10_000]));
        check(&domain);
    }
    fill(&pool);
    let _ = panics(|| pool.close());
    assert_eq!((pool.idle(), pool.leased(), pool.stats().entries), (0, 0, 0));
    fails.store(false, Ordering::Relaxed);
    check(&domain);
}

#[test]
fn weights_that_are_lies_or_panic_keep_the_books_whole() {
    let domain = domain(MB);
    let lie = Arc::new(AtomicU64::new(u64::MAX));
    let says = Arc::clone(&lie);
    let pool = Pool::builder("liars", || 0_u8)
        .weigh(move |_| says.load(Ordering::Relaxed))
        .build_in(&domain)
        .unwrap();
    let leases: Vec<_> = (0..3).map(|_| pool.acquire()).collect();
    assert!(pool.stats().uncharged > 1 << 48);
    check(&domain);
    lie.store(0, Ordering::Relaxed);
    drop(leases);
    assert_eq!((pool.idle(), pool.stats().uncharged), (3, 0));
    check(&domain);
    let panicking = Pool::builder("panicking", || 0_u8)
        .weigh(|_| panic!("a weigher that fails, on purpose"))
        .max(1)
        .fail_when_exhausted()
        .build_in(&domain)
        .unwrap();
    for _ in 0..3 {
        assert!(panics(|| drop(panicking.try_acquire())));
    }
    assert_eq!((panicking.idle(), panicking.leased(), panicking.stats().entries), (0, 0, 0));
    check(&domain);
}

#[test]
fn a_lease_that_is_forgotten_stays_lent_and_on_the_books() {
    let domain = domain(MB);
    let pool = Pool::builder("lost", || vec![0_u8; 1000]).max(2).build_in(&domain).unwrap();
    std::mem::forget(pool.acquire());
    drop(pool.acquire());
    pool.clear();
    assert_eq!((pool.idle(), pool.leased(), pool.stats().entries), (0, 1, 1));
    assert!(pool.weight() >= 1000);
    drop(pool);
    // What nobody can give back is still there.
    assert!(domain.budget().used() >= 1000);
    check(&domain);
}

#[test]
fn leases_that_end_after_their_threads_magazines_come_back() {
    struct Holder(Cell<Option<(Pool<u64>, Pooled<u64>)>>);
    impl Drop for Holder {
        fn drop(&mut self) {
            let (pool, lease) = self.0.take().unwrap();
            // Whether the thread's own places are still there or not.
            drop(pool.acquire());
            drop(lease);
        }
    }
    thread_local! {
        static HOLDER: Holder = const { Holder(Cell::new(None)) };
    }
    let domain = domain(MB);
    let made = AtomicU64::new(0);
    let pool = Pool::builder("late", move || made.fetch_add(1, Ordering::Relaxed))
        .max(10)
        .build_in(&domain)
        .unwrap();
    for first in [true, false] {
        let pool = pool.clone();
        let thread = std::thread::spawn(move || {
            if first {
                HOLDER.with(|_| ());
            }
            let lease = pool.acquire();
            HOLDER.with(|holder| holder.0.set(Some((pool, lease))));
        });
        thread.join().unwrap();
    }
    assert_eq!((pool.idle() as u64, pool.leased()), (pool.stats().entries, 0));
    pool.clear();
    assert_eq!(pool.stats().entries, 0);
    check(&domain);
}

#[test]
fn bounds_and_waits_of_nothing_and_of_everything() {
    let (domain, clock) = clocked(MB);
    let pool = Pool::builder("edges", || 0_u8).max(1).fail_when_exhausted().build_in(&domain).unwrap();
    pool.resize(0);
    let late = |error| matches!(error, Err(AcquireError::TimedOut { max: 0, .. }));
    assert!(late(pool.acquire_timeout(Duration::ZERO).map(drop)));
    assert_eq!(pool.put(1), Err(1));
    let waiting = pool.clone();
    let waiter = std::thread::spawn(move || waiting.acquire_timeout(Duration::MAX).map(|lease| *lease));
    while pool.waiting() == 0 {
        std::thread::yield_now();
    }
    clock.advance(Duration::from_secs(1 << 30));
    assert_eq!(pool.waiting(), 1, "it has time");
    pool.resize(u64::MAX);
    assert_eq!(in_time("there is room", move || waiter.join().unwrap()), Ok(0));
    assert_eq!((pool.idle(), pool.waiting()), (1, 0));
    check(&domain);
}

/// Counts how often it is woken.
#[derive(Default)]
struct Counts(AtomicU64);

impl Wake for Counts {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn a_task_that_moves_is_woken_where_it_was_asked_last_and_once() {
    let domain = domain(MB);
    let pool = Pool::builder("moving", || 0_u8).max(1).wait().build_in(&domain).unwrap();
    let lease = pool.acquire();
    let wakers: Vec<_> = (0..3).map(|_| Arc::new(Counts::default())).collect();
    let mut waits = pin!(pool.acquire_async());
    for waker in &wakers {
        let waker = Waker::from(Arc::clone(waker));
        assert!(waits.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    }
    drop(lease);
    let woken = wakers.iter().map(|waker| waker.0.load(Ordering::Relaxed)).collect::<Vec<_>>();
    assert_eq!(woken, [0, 0, 1]);
    // It is given one thing, however often it was asked, and nobody else gets that.
    assert!(matches!(pool.acquire_timeout(Duration::ZERO), Err(AcquireError::TimedOut { .. })));
    assert!(matches!(waits.as_mut().poll(&mut Context::from_waker(Waker::noop())), Poll::Ready(Ok(_))));
    assert_eq!((pool.idle(), pool.waiting(), pool.leased()), (1, 0, 0));
}

#[test]
fn objects_of_no_size_and_of_large_alignment() {
    #[repr(align(4096))]
    #[derive(Default)]
    struct Page([u8; 3]);
    let domain = domain(MB);
    let nothing = Pool::builder("nothing", || ()).max(40).build_in(&domain).unwrap();
    drop((0..40).map(|_| nothing.acquire()).collect::<Vec<_>>());
    assert_eq!((nothing.idle(), nothing.stats().loads), (40, 40));
    let pages = Pool::builder("pages", Page::default).max(40).build_in(&domain).unwrap();
    let leases: Vec<_> = (0..40).map(|_| pages.acquire()).collect();
    assert!(leases.iter().all(|page| std::ptr::from_ref(&**page).addr() % 4096 == 0 && page.0 == [0; 3]));
    assert!(pages.weight() >= 40 * 8192, "an object and what stands beside it");
    drop(leases);
    check(&domain);
}

#[test]
fn a_pool_outlives_its_domains_last_handle_and_an_object_its_pool() {
    let domain = domain(MB);
    let (first, second) = (numbers(&domain, 1), numbers(&domain, 2));
    let lease = first.acquire();
    // What is of one pool is put into another: it is the other's from then on.
    assert_eq!(second.put(Pooled::detach(lease)), Ok(()));
    assert_eq!((*second.acquire(), first.stats().entries), (1, 0));
    drop(domain);
    let lease = first.acquire();
    drop(first);
    assert_eq!((*lease, *second.acquire()), (1, 1));
    drop(second);
    drop(lease);
}

fn numbers(domain: &Domain, number: u64) -> Pool<u64> {
    Pool::builder("numbers", move || number).build_in(domain).unwrap()
}

#[test]
fn buffers_under_a_budget_of_zero_are_lent_and_not_kept() {
    let domain = domain(0);
    let pool = BufferPool::builder("none").classes([100, 200_000]).build_in(&domain).unwrap();
    for len in [0, 100, 101, 200_000, 300_000] {
        let mut buffer = pool.zeroed(len);
        assert!(buffer.iter().all(|byte| *byte == 0) && buffer.len() == len);
        buffer.resize(buffer.capacity(), 7);
        drop(buffer);
        assert_eq!((pool.stats().bytes, domain.budget().used()), (0, 0));
    }
    assert_eq!(pool.warm(3, 100), 0);
    assert!(panics(|| drop(pool.acquire(usize::MAX))));
    check(&domain);
}

#[test]
fn large_buffers_come_zeroed_on_pages_and_never_show_what_others_wrote() {
    let domain = domain(64 * MB);
    let sizes = [200_000, 3 << 20];
    let pool = BufferPool::builder("large").classes(sizes).build_in(&domain).unwrap();
    for (size, align) in sizes.into_iter().zip([4096, if cfg!(target_os = "linux") { 2 << 20 } else { 4096 }])
    {
        let mut buffer = pool.acquire(size);
        assert_eq!((buffer.capacity(), buffer.as_ptr().addr() % align), (size, 0));
        buffer.resize(size, 7);
        drop(buffer);
        let mut again = pool.zeroed(size);
        assert!(again.iter().all(|byte| *byte == 0));
        again.fill(1);
    }
    pool.clear();
    assert_eq!(pool.stats().bytes, 0);
    check(&domain);
}

#[test]
fn pieces_of_shared_buffers_are_inside_or_refused() {
    let domain = domain(MB);
    let pool = BufferPool::builder("pieces").classes([16]).build_in(&domain).unwrap();
    let mut buffer = pool.acquire(4);
    buffer.extend_from_slice(b"abcd");
    let shared = buffer.freeze();
    assert_eq!(&shared.slice((Excluded(0), Included(2)))[..], b"bc");
    assert_eq!(&shared.slice(4..)[..], b"");
    for (from, to) in [
        (Included(0), Included(4)),
        (Included(3), Excluded(2)),
        (Excluded(usize::MAX), Unbounded),
        (Included(0), Included(usize::MAX)),
    ] {
        assert!(panics(|| drop(shared.slice((from, to)))), "{from:?}, {to:?}");
    }
    // A piece of a piece can't see more of it.
    assert!(panics(|| drop(shared.slice(1..2).slice(..2))));
}
