use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Barrier};

use super::node::Node;
use super::{Pool, PoolBuilder, Pooled};
use crate::weight::Weigher;
use crate::{Domain, testing::FixedPressure};

type Buffer = Vec<u8>;

/// Buffers that come back empty.
fn buffers() -> PoolBuilder<Buffer> {
    Pool::builder("buffers", || Vec::with_capacity(1000)).reset(|buffer: &mut Buffer| buffer.clear())
}

fn pool(domain: &Domain) -> Pool<Buffer> {
    buffers().build_in(domain).unwrap()
}

fn domain(limit: u64) -> Domain {
    Domain::builder().limit_bytes(limit).manual().build()
}

/// The charge is what objects, their blocks and the threads' magazines occupy.
fn charged(pool: &Pool<Buffer>, heap: u64) {
    let blocks = (pool.leased() + pool.idle() as u64) * Node::<Buffer>::block();
    let magazines = pool.core.magazine_bytes();
    assert_eq!(pool.weight(), heap + blocks + magazines + pool.core.card.base());
}

#[test]
fn objects_come_back_reset_and_the_last_goes_out_first() {
    let domain = domain(1 << 20);
    let pool = pool(&domain);
    let mut lease = pool.acquire();
    lease.extend_from_slice(b"dirt");
    let address = lease.as_ptr();
    let other = pool.acquire();
    drop(other);
    drop(lease);
    let again = pool.acquire();
    assert_eq!((again.len(), again.as_ptr()), (0, address));
    let stats = pool.stats();
    assert_eq!((stats.hits, stats.misses, stats.entries, stats.leased), (1, 2, 2, 1));
}

#[test]
fn every_byte_is_charged_while_leased_and_while_idle() {
    let domain = domain(1 << 20);
    let pool = pool(&domain);
    let heap = Weigher::<Vec<u8>>::deep().heap;
    let lease = pool.acquire();
    let one = heap(&lease);
    charged(&pool, one);
    drop(lease);
    charged(&pool, one);
    let mut grown = pool.acquire();
    grown.reserve_exact(100_000);
    let big = heap(&grown);
    drop(grown);
    charged(&pool, big);
    pool.clear();
    let empty = pool.core.card.base() + pool.core.magazine_bytes();
    assert!(empty > 0);
    assert_eq!((pool.weight(), domain.budget().used()), (empty, empty));
}

#[test]
fn the_bound_holds_and_surplus_objects_are_dropped() {
    let domain = domain(1 << 20);
    let pool = buffers().max(2).build_in(&domain).unwrap();
    let leases: Vec<_> = (0..5).map(|_| pool.acquire()).collect();
    assert_eq!((pool.leased(), pool.stats().entries), (5, 2));
    drop(leases);
    assert_eq!((pool.leased(), pool.idle(), pool.stats().entries), (0, 2, 2));
}

#[test]
fn a_reset_that_refuses_or_panics_drops_the_object() {
    let domain = domain(1 << 20);
    let refusing = buffers().reset(|_| false).build_in(&domain).unwrap();
    drop(refusing.acquire());
    assert_eq!((refusing.idle(), refusing.leased()), (0, 0));
    charged(&refusing, 0);
    let panicking =
        buffers().reset(|_| -> () { panic!("a reset that fails, on purpose") }).build_in(&domain).unwrap();
    let lease = panicking.acquire();
    assert!(catch_unwind(AssertUnwindSafe(|| drop(lease))).is_err());
    assert_eq!((panicking.idle(), panicking.leased()), (0, 0));
    charged(&panicking, 0);
}

#[test]
fn a_lease_is_never_refused_and_what_has_no_room_is_reported() {
    let domain = domain(0);
    let pool = pool(&domain);
    let lease = pool.acquire();
    assert_eq!(domain.budget().used(), 0);
    assert!(pool.stats().uncharged >= 1024);
    drop(lease);
    assert_eq!((pool.stats().uncharged, pool.idle()), (pool.core.card.uncovered(), 0));
}

#[test]
fn idle_objects_are_reclaimed_and_leases_are_not() {
    let domain = domain(1 << 20);
    let pool = pool(&domain);
    let kept = pool.acquire();
    drop((0..10).map(|_| pool.acquire()).collect::<Vec<_>>());
    let trimmed = domain.trim(u64::MAX);
    assert!(trimmed.freed >= 10 * 1000, "{trimmed:?}");
    assert_eq!((pool.idle(), pool.leased(), pool.stats().reclaims), (0, 1, 10));
    drop(kept);
    assert_eq!(pool.idle(), 1);
}

#[test]
fn a_detached_object_leaves_the_books() {
    let domain = domain(1 << 20);
    let pool = pool(&domain);
    let object = Pooled::detach(pool.acquire());
    assert_eq!((object.capacity(), pool.leased(), pool.stats().entries), (1000, 0, 0));
    charged(&pool, 0);
}

#[test]
fn an_emergency_keeps_nothing_idle() {
    let source = FixedPressure::new(99, 100);
    let domain = Domain::builder().limit_bytes(64 << 20).pressure(source.clone()).manual().build();
    let pool = pool(&domain);
    drop(pool.acquire());
    assert_eq!(pool.idle(), 1);
    domain.tick();
    assert_eq!(pool.idle(), 0);
    drop(pool.acquire());
    assert_eq!(pool.idle(), 0);
    source.set(10, 100);
    domain.tick();
    drop(pool.acquire());
    assert_eq!(pool.idle(), 1);
}

#[test]
fn a_thread_keeps_a_few_and_hands_on_the_rest() {
    let domain = domain(64 << 20);
    let pool = Pool::builder("boxes", || Box::new(0_u64)).build_in(&domain).unwrap();
    drop((0..1000).map(|_| pool.acquire()).collect::<Vec<_>>());
    assert_eq!((pool.idle(), pool.leased()), (1000, 0));
    assert!(pool.core.depot.len() >= 1000 - 32, "{} are in the depot", pool.core.depot.len());
    let leases: Vec<_> = (0..1000).map(|_| pool.acquire()).collect();
    assert_eq!((pool.idle(), pool.leased(), pool.stats().loads), (0, 1000, 1000));
    let mut addresses: Vec<_> = leases.iter().map(|lease| std::ptr::from_ref(&***lease).addr()).collect();
    addresses.sort_unstable();
    addresses.dedup();
    assert_eq!(addresses.len(), 1000, "no object is lent twice");
}

#[test]
fn what_is_large_goes_to_the_depot_at_once() {
    let domain = domain(64 << 20);
    let pool = Pool::builder("large", || vec![0_u8; 1 << 20]).build_in(&domain).unwrap();
    drop(pool.acquire());
    assert_eq!((pool.idle(), pool.core.depot.len()), (1, 1));
}

#[test]
fn a_thread_that_ends_leaves_its_objects_and_takes_its_magazine() {
    let domain = domain(1 << 20);
    let pool = pool(&domain);
    std::thread::scope(|scope| {
        scope.spawn(|| drop((0..3).map(|_| pool.acquire()).collect::<Vec<_>>())).join().unwrap();
    });
    assert_eq!((pool.idle(), pool.core.depot.len(), pool.core.magazine_bytes()), (3, 3, 0));
    drop(pool.acquire());
    assert_eq!(pool.stats().hits, 1);
}

#[test]
fn what_lies_with_a_thread_that_sleeps_is_found_by_who_needs_it() {
    let domain = domain(1 << 20);
    let pool = buffers().max(2).wait().build_in(&domain).unwrap();
    let (filled, done) = (Barrier::new(2), Barrier::new(2));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            drop([pool.acquire(), pool.acquire()]);
            filled.wait();
            done.wait();
        });
        filled.wait();
        assert_eq!((pool.idle(), pool.core.depot.len()), (2, 0));
        let leases = [pool.acquire(), pool.acquire()];
        assert_eq!((pool.stats().loads, leases.len()), (2, 2));
        done.wait();
    });
}

#[test]
fn a_tick_finds_what_threads_have_not_used_since_the_last() {
    let domain = domain(1 << 20);
    let pool = pool(&domain);
    drop(pool.acquire());
    domain.tick();
    assert_eq!(pool.core.depot.len(), 0);
    domain.tick();
    assert_eq!((pool.idle(), pool.core.depot.len()), (1, 1));
}

#[test]
fn a_pool_that_is_gone_keeps_nothing_but_what_is_lent() {
    let domain = domain(1 << 20);
    let dropped = Arc::new(());
    let witness = Arc::clone(&dropped);
    let pool = Pool::builder("witnesses", move || Arc::clone(&witness)).build_in(&domain).unwrap();
    let other = pool.clone();
    let lease = pool.acquire();
    drop((0..3).map(|_| pool.acquire()).collect::<Vec<_>>());
    drop(pool);
    assert_eq!((other.idle(), other.is_closed()), (3, false));
    drop(other);
    // Ours, the constructor's, and the lease's.
    assert_eq!(Arc::strong_count(&dropped), 3);
    drop(lease);
    assert_eq!((Arc::strong_count(&dropped), domain.budget().used()), (1, 0));
}

#[test]
fn a_budget_of_zero_lends_and_keeps_nothing() {
    let domain = domain(0);
    let pool = buffers().max(2).fail_when_exhausted().build_in(&domain).unwrap();
    for _ in 0..3 {
        let lease = pool.try_acquire().unwrap();
        assert_eq!((domain.budget().used(), pool.leased()), (0, 1));
        drop(lease);
    }
    assert_eq!((pool.idle(), pool.stats().hits, pool.stats().loads), (0, 0, 3));
}

/// Counts itself.
struct Counted(Arc<AtomicU64>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[test]
fn threads_on_few_objects_lose_none_and_share_none() {
    let domain = domain(1 << 20);
    let alive = Arc::new(AtomicU64::new(0));
    let lent = Arc::new(std::array::from_fn::<_, 16, _>(|_| AtomicBool::new(false)));
    let made = Arc::clone(&alive);
    let pool = Pool::builder("counted", move || {
        let number = made.fetch_add(1, Ordering::Relaxed);
        (number, Counted(Arc::clone(&made)))
    })
    .max(16)
    .wait()
    .build_in(&domain)
    .unwrap();
    let take_turns = || {
        for turn in 0..2000 {
            let lease = pool.acquire();
            assert!(!lent[lease.0 as usize].swap(true, Ordering::AcqRel), "handed out twice");
            if turn % 64 == 0 {
                std::thread::yield_now();
            }
            assert!(lent[lease.0 as usize].swap(false, Ordering::AcqRel), "handed out twice");
        }
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..32).map(|_| scope.spawn(take_turns)).collect();
        // Joined one by one: the scope itself does not wait until they have given back what they keep.
        threads.into_iter().for_each(|thread| thread.join().expect("it does not panic"));
    });
    assert!(alive.load(Ordering::Relaxed) <= 16);
    assert_eq!(pool.idle() as u64, alive.load(Ordering::Relaxed));
    assert_eq!((pool.leased(), pool.waiting()), (0, 0));
    pool.clear();
    assert_eq!(alive.load(Ordering::Relaxed), 0);
}

#[cfg(feature = "bytes")]
#[test]
fn buffers_are_bytes_that_return_with_the_last_of_them() {
    use bytes::{BufMut, Bytes};

    let domain = domain(1 << 20);
    let pool = crate::BufferPool::builder("bytes").classes([16]).build_in(&domain).unwrap();
    let leased = || pool.stats().classes[0].leased;
    let mut buffer = pool.acquire(16);
    buffer.put_u16(0x6162);
    buffer.put_slice(b"cdef");
    assert_eq!((buffer.remaining_mut(), &buffer[..]), (10, &b"abcdef"[..]));
    let at = buffer.as_ptr();
    let shared = buffer.freeze();
    let bytes = Bytes::from(shared.slice(2..));
    let piece = bytes.slice(1..3);
    drop((shared, bytes));
    assert_eq!((&piece[..], piece.as_ptr(), leased()), (&b"de"[..], at.wrapping_add(3), 1));
    drop(piece);
    assert_eq!(leased(), 0);
    let mut buffer = pool.acquire(16);
    buffer.put_slice(b"whole");
    let bytes = Bytes::from(buffer);
    assert_eq!((&bytes[..], leased()), (&b"whole"[..], 1));
    drop(bytes);
    assert_eq!(leased(), 0);
}
