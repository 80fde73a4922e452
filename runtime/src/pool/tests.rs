use super::{Pool, PoolCore, Recipe, poolable};
use crate::descriptor::Kind;
use crate::tenant::Terms;
use crate::weight::Weigher;
use crate::{Domain, testing::FixedPressure};

fn pool(domain: &Domain, max: Option<u64>, recipe: Recipe<Vec<u8>>) -> Pool<Vec<u8>> {
    let terms = Terms {
        name: "buffers".to_owned(),
        kind: Kind::Pool,
        descriptor: None,
        priority: 1.0,
        floor: 0,
        ceiling: u64::MAX,
    };
    let proof = poolable::<Vec<u8>>().weighed(Weigher::deep());
    Pool::from_core(PoolCore::new(&domain.core, terms, max, recipe, proof))
}

const CLEARED: Recipe<Vec<u8>> = Recipe {
    make: || Vec::with_capacity(1000),
    reset: |buffer| {
        buffer.clear();
        true
    },
};

fn domain(limit: u64) -> Domain {
    Domain::builder().limit_bytes(limit).manual().build()
}

/// The charge is what idle and leased objects and the idle list occupy.
fn charged(pool: &Pool<Vec<u8>>, heap: u64) {
    let list = pool.core.idle.lock().charged;
    let leases = pool.leased() * 24;
    assert_eq!(pool.weight(), heap + list + leases + pool.core.card.base());
}

#[test]
fn objects_come_back_reset_and_the_last_goes_out_first() {
    let domain = domain(1 << 20);
    let pool = pool(&domain, None, CLEARED);
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
    let pool = pool(&domain, None, CLEARED);
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
    let empty = pool.core.card.base();
    assert!(empty > 0);
    assert_eq!((pool.weight(), domain.budget().used()), (empty, empty));
}

#[test]
fn the_bound_holds_and_surplus_objects_are_dropped() {
    let domain = domain(1 << 20);
    let pool = pool(&domain, Some(2), CLEARED);
    let leases: Vec<_> = (0..5).map(|_| pool.acquire()).collect();
    assert_eq!((pool.leased(), pool.stats().entries), (5, 2));
    drop(leases);
    assert_eq!((pool.leased(), pool.idle(), pool.stats().entries), (0, 2, 2));
}

#[test]
fn a_reset_that_refuses_or_panics_drops_the_object() {
    let domain = domain(1 << 20);
    let refusing = pool(&domain, None, Recipe { reset: |_| false, ..CLEARED });
    let empty = refusing.weight();
    drop(refusing.acquire());
    assert_eq!((refusing.idle(), refusing.leased(), refusing.weight()), (0, 0, empty));
    let panicking =
        pool(&domain, None, Recipe { reset: |_| panic!("a reset that fails, on purpose"), ..CLEARED });
    let lease = panicking.acquire();
    assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| drop(lease))).is_err());
    assert_eq!((panicking.idle(), panicking.leased(), panicking.weight()), (0, 0, empty));
}

#[test]
fn a_lease_is_never_refused_and_what_has_no_room_is_reported() {
    let domain = domain(0);
    let pool = pool(&domain, None, CLEARED);
    let lease = pool.acquire();
    assert_eq!(domain.budget().used(), 0);
    assert!(pool.stats().uncharged >= 1024);
    drop(lease);
    assert_eq!((pool.stats().uncharged, pool.idle()), (pool.core.card.uncovered(), 0));
}

#[test]
fn idle_objects_are_reclaimed_and_leases_are_not() {
    let domain = domain(1 << 20);
    let pool = pool(&domain, None, CLEARED);
    let kept = pool.acquire();
    drop((0..10).map(|_| pool.acquire()).collect::<Vec<_>>());
    let trimmed = domain.trim(u64::MAX);
    assert!(trimmed.freed >= 10 * 1000);
    assert_eq!((pool.idle(), pool.leased(), pool.stats().reclaims), (0, 1, 10));
    drop(kept);
    assert_eq!(pool.idle(), 1);
}

#[test]
fn a_detached_object_leaves_the_books() {
    let domain = domain(1 << 20);
    let pool = pool(&domain, None, CLEARED);
    let empty = pool.weight();
    let object = super::Pooled::detach(pool.acquire());
    assert_eq!((object.capacity(), pool.leased(), pool.stats().entries, pool.weight()), (1000, 0, 0, empty));
}

#[test]
fn an_emergency_keeps_nothing_idle() {
    let source = FixedPressure::new(99, 100);
    let domain = Domain::builder().limit_bytes(64 << 20).pressure(source.clone()).manual().build();
    let pool = pool(&domain, None, CLEARED);
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
