//! Memory that is no cache's and counts all the same.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use larder::{Kind, Tracked};

use crate::support::{MB, blob, bytes, check, domain};

#[test]
fn a_charge_makes_caches_smaller_and_ends_with_its_handle() {
    let domain = domain(MB);
    let cache = bytes(&domain, "cache");
    (0..90).for_each(|key| cache.insert(key, blob(10_000)));
    let full = cache.len();
    let charge = domain.charge("foreign", MB / 2);
    assert!(cache.len() < full * 6 / 10, "{} of {full} are left", cache.len());
    let stats = domain.stats();
    let foreign = stats.tenant("foreign").unwrap();
    assert_eq!((foreign.kind, foreign.entries, foreign.uncharged), (Kind::Tracked, 1, 0));
    assert!(foreign.bytes >= MB / 2 && foreign.bytes < MB / 2 + 2048);
    check(&domain);
    charge.set(1000);
    assert_eq!(charge.bytes(), 1000);
    (0..90).for_each(|key| cache.insert(key, blob(10_000)));
    assert!(cache.len() > full * 9 / 10);
    drop(charge);
    assert!(domain.stats().tenant("foreign").is_none(), "nothing is left of it");
    check(&domain);
}

#[test]
fn what_is_shared_is_off_the_books_once_it_is_found_gone() {
    let domain = domain(MB);
    let model = Arc::new(blob(300_000));
    let tracking = domain.track("model", 300_000, &model);
    assert_eq!(tracking.bytes(), 300_000);
    let other = Arc::clone(&model);
    drop(model);
    assert_eq!((domain.cleanup(), tracking.bytes()), (0, 300_000), "somebody still has it");
    drop(other);
    assert_eq!((domain.cleanup(), tracking.bytes()), (300_000, 0));
    drop(tracking);
    assert_eq!(domain.budget().used(), 0);
    // Without a handle, and found by a tick.
    drop(domain.track("model", 100_000, &Arc::new(())));
    assert!(domain.budget().used() > 100_000);
    domain.tick();
    // But for what is unspent, and the empty tenant.
    assert!(domain.budget().used() < 40_000);
    assert_eq!((domain.cleanup(), domain.budget().used()), (0, 0));
}

#[test]
fn what_is_gone_gives_way_before_anything_that_is_used() {
    let domain = domain(MB);
    let cache = bytes(&domain, "cache");
    (0..40).for_each(|key| cache.insert(key, blob(10_000)));
    drop(domain.track("gone", 500_000, &Arc::new(())));
    (40..80).for_each(|key| cache.insert(key, blob(10_000)));
    assert_eq!(cache.len(), 80, "{}", domain.stats());
    check(&domain);
}

#[test]
fn who_offers_to_give_memory_back_is_asked_first_and_outside_all_locks() {
    let domain = Arc::new(domain(MB));
    let cache = bytes(&domain, "cache");
    (0..40).for_each(|key| cache.insert(key, blob(10_000)));
    let arena = Arc::new(AtomicU64::new(500_000));
    let tracking = domain.track("arena", 500_000, &arena);
    let (inner, looks) = (Arc::downgrade(&arena), Arc::clone(&domain));
    tracking.on_reclaim(move |wanted| {
        let _ = looks.stats();
        let freed = wanted.max(50_000);
        inner.upgrade().map_or(0, |arena| {
            arena.fetch_sub(freed, Ordering::Relaxed);
            freed
        })
    });
    (40..80).for_each(|key| cache.insert(key, blob(10_000)));
    assert_eq!((cache.len(), tracking.bytes()), (80, arena.load(Ordering::Relaxed)));
    assert!(tracking.bytes() < 400_000, "{tracking:?}");
    check(&domain);
    // One that panics gave nothing, and the cache makes room itself.
    tracking.on_reclaim(|_| panic!("a callback that fails, on purpose"));
    (80..200).for_each(|key| cache.insert(key, blob(10_000)));
    assert!(cache.get(199).is_some());
    check(&domain);
}

#[test]
fn nothing_is_refused_and_what_has_no_room_is_reported() {
    let domain = domain(10_000);
    let tracked = Tracked::new_in(&domain, "large", 50_000, vec![1]);
    let stats = domain.stats();
    assert_eq!(stats.tenant("large").unwrap().uncharged, 50_000);
    check(&domain);
    Tracked::set_bytes(&tracked, 5000);
    assert_eq!(domain.stats().tenant("large").unwrap().uncharged, 0);
    assert_eq!((Tracked::bytes(&tracked), tracked[0]), (5000, 1));
    assert_eq!((Tracked::into_inner(tracked), domain.budget().used()), (vec![1], 0));
}

#[test]
fn all_of_a_name_are_one_tenant() {
    let domain = domain(MB);
    let charges: Vec<_> = (0..100).map(|_| domain.charge("many", 100)).collect();
    let stats = domain.stats();
    assert_eq!((stats.tenants.len(), stats.tenants[0].entries), (1, 100));
    check(&domain);
    drop(charges);
    assert_eq!((domain.stats().tenants.len(), domain.budget().used()), (0, 0));
}
