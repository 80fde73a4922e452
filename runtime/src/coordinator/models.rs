//! A domain under controlled schedules: limits, floors, scopes, pools, registration, expiry and snapshots, each
//! against somebody who is in the middle of something.

use std::sync::Arc;
use std::time::Duration;

use shuttle::thread;

use crate::models::check;
use crate::pool::Pool;
use crate::{
    Cache, Domain,
    testing::{self, ManualClock},
};

const MB: u64 = 1 << 20;

fn domain(limit: u64) -> Arc<Domain> {
    Arc::new(Domain::builder().limit_bytes(limit).clock(ManualClock::new()).manual().build())
}

/// A cache whose values weigh what they say.
fn sized(domain: &Domain, name: &str) -> Cache<u64, u64> {
    Cache::builder(name).max_entries(63).weigh(|_, size: &u64| *size).build_in(domain).unwrap()
}

fn pool(domain: &Domain) -> Pool<Vec<u8>> {
    Pool::builder("buffers", || Vec::with_capacity(500)).max(2).build_in(domain).unwrap()
}

/// The books at rest.
fn check_books(domain: &Domain, caches: &[&Cache<u64, u64>]) {
    let stats = domain.stats();
    let held: u64 = stats.tenants.iter().map(|tenant| tenant.reserved).sum();
    assert_eq!((held, stats.budget.over_released), (stats.budget.used, 0));
    for cache in caches {
        assert_eq!(cache.core.validate(), cache.weight());
        assert_eq!(cache.core.tenant.entries(), cache.len() as u64);
    }
}

#[test]
fn a_limit_that_is_lowered_beside_inserts_holds_when_both_are_done() {
    check(|| {
        let domain = domain(20_000);
        let cache = sized(&domain, "squeezed");
        let writer = {
            let (cache, domain) = (cache.clone(), Arc::clone(&domain));
            thread::spawn(move || {
                for key in 0..5 {
                    cache.insert(key, 3000);
                    assert!(domain.budget().used() <= 20_000);
                }
            })
        };
        domain.budget().set_limit(9_000);
        // What is on its way just now may stand in the way of that until it is in.
        writer.join().unwrap();
        assert!(domain.budget().used() <= 9_000);
        check_books(&domain, &[&cache]);
    });
}

#[test]
fn targets_that_change_beside_relief_break_no_books_and_stop_nobody() {
    check(|| {
        let domain = domain(20_000);
        let caches = ["a", "b"].map(|name| sized(&domain, name));
        caches.iter().for_each(|cache| (0..2).for_each(|key| cache.insert(key, 3000)));
        let threads = caches.clone().map(|cache| {
            let domain = Arc::clone(&domain);
            thread::spawn(move || {
                for key in 10..13 {
                    cache.insert(key, 3000);
                    assert!(domain.budget().used() <= 20_000);
                }
            })
        });
        // What a plan does: one after the other, with relief in between.
        for targets in [[4000, 16_000], [16_000, 4000], [u64::MAX, u64::MAX]] {
            for (cache, target) in caches.iter().zip(targets) {
                cache.core.tenant.card.set_target(target, false);
            }
            domain.tick();
        }
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        assert!(domain.budget().used() <= 20_000);
        check_books(&domain, &[&caches[0], &caches[1]]);
    });
}

#[test]
fn two_that_need_room_at_once_leave_a_third_its_floor() {
    check(|| {
        let domain = domain(4 * MB);
        let kept = Cache::<u64, u64>::builder("kept")
            .max_entries(63)
            .min_mb(1)
            .weigh(|_, size| *size)
            .build_in(&domain)
            .unwrap();
        (0..5).for_each(|key| kept.insert(key, 300_000));
        let threads: Vec<_> = ["a", "b"]
            .map(|name| sized(&domain, name))
            .into_iter()
            .map(|cache| {
                let kept = kept.clone();
                thread::spawn(move || {
                    for key in 0..3 {
                        cache.insert(key, 1_300_000);
                        assert!(kept.weight() >= MB, "{} bytes are left", kept.weight());
                    }
                    cache
                })
            })
            .collect();
        let caches: Vec<_> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
        assert!(kept.len() >= 4, "four entries are above the floor, three below");
        check_books(&domain, &[&kept, &caches[0], &caches[1]]);
    });
}

#[test]
fn a_scope_beside_loads_and_inserts_leaks_neither_way() {
    check(|| {
        let domain = domain(MB);
        let cache = sized(&domain, "shared");
        cache.insert(1, 10);
        let scoped = {
            let cache = cache.clone();
            thread::spawn(move || {
                let scope = testing::isolated();
                assert_eq!(cache.get(1), None);
                assert_eq!(cache.get_or_insert_with(1, || 20), 20);
                cache.insert(2, 20);
                assert_eq!((cache.get(1), cache.get(2), cache.len()), (Some(20), Some(20), 2));
                drop(scope);
                assert_ne!(cache.get(1), Some(20));
            })
        };
        let off = {
            let cache = cache.clone();
            thread::spawn(move || {
                let _scope = testing::bypassed();
                assert_eq!(cache.get_or_insert_with(1, || 30), 30);
                assert_eq!(cache.get(2), None);
            })
        };
        assert_eq!(cache.get_or_insert_with(1, || 11), 10);
        assert_eq!(cache.get_or_insert_with(2, || 12), 12);
        assert!(cache.invalidate(1));
        scoped.join().unwrap();
        off.join().unwrap();
        assert_eq!((cache.get(1), cache.get(2), cache.len()), (None, Some(12), 1));
        assert!(cache.core.mode.get().is_normal(), "no scope lives");
        check_books(&domain, &[&cache]);
    });
}

#[test]
fn a_cache_that_is_made_while_scopes_and_the_switch_change_follows_both() {
    check(|| {
        let domain = domain(MB);
        let switch = {
            let domain = Arc::clone(&domain);
            thread::spawn(move || {
                domain.set_bypass(true);
                domain.set_bypass(false);
                domain.set_bypass(true);
            })
        };
        let scope = thread::spawn(|| drop(testing::isolated()));
        let made = sized(&domain, "made meanwhile");
        switch.join().unwrap();
        scope.join().unwrap();
        let mode = made.core.mode.get();
        assert!(mode.is_bypass() && !mode.is_scoped(), "{mode:?}");
    });
}

#[test]
fn a_lease_that_comes_back_beside_a_trim_and_a_clear_is_counted_once() {
    check(|| {
        let domain = domain(MB);
        let pool = Arc::new(pool(&domain));
        drop(pool.acquire());
        let threads: Vec<_> = (0..2)
            .map(|_| {
                let pool = Arc::clone(&pool);
                thread::spawn(move || {
                    let lease = pool.acquire();
                    thread::yield_now();
                    drop(lease);
                })
            })
            .collect();
        let _ = domain.trim(10);
        pool.clear();
        let _ = domain.trim(u64::MAX);
        for thread in threads {
            thread.join().unwrap();
        }
        let stats = pool.stats();
        assert_eq!((stats.leased, stats.entries, stats.uncharged), (0, pool.idle() as u64, 0));
        check_books(&domain, &[]);
        pool.clear();
        // But for what an empty pool takes, and what its threads had.
        let empty = pool.core.card.base() + pool.core.magazine_bytes();
        assert_eq!((pool.weight(), domain.budget().used()), (empty, empty));
    });
}

#[test]
fn tenants_that_come_and_go_beside_ticks_leave_unique_names_and_no_bytes() {
    check(|| {
        let domain = domain(MB);
        let threads: Vec<_> = (0..2)
            .map(|_| {
                let domain = Arc::clone(&domain);
                thread::spawn(move || {
                    let short = sized(&domain, "same");
                    short.insert(1, 100);
                    drop(short);
                    let stays = sized(&domain, "same");
                    stays.insert(1, 100);
                    stays
                })
            })
            .collect();
        domain.tick();
        let _ = domain.stats();
        domain.clear_all();
        let stay: Vec<_> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
        assert_ne!(stay[0].name(), stay[1].name());
        assert_eq!(domain.stats().tenants.len(), 2);
        check_books(&domain, &[&stay[0], &stay[1]]);
        drop(stay);
        domain.clear_all();
        assert_eq!(domain.budget().used(), 0, "who left took nothing along");
    });
}

#[test]
fn a_value_that_is_replaced_while_the_old_one_expires_stays() {
    check(|| {
        let clock = ManualClock::new();
        let domain = Domain::builder().limit_bytes(MB).clock(clock.clone()).manual().build();
        let domain = Arc::new(domain);
        let second = Duration::from_secs(1);
        let cache =
            Cache::<u64, u64>::builder("renewed").max_entries(8).ttl(second).build_in(&domain).unwrap();
        cache.insert(1, 1);
        clock.advance(second - Duration::from_nanos(1));
        let writer = {
            let cache = cache.clone();
            thread::spawn(move || cache.insert(1, 2))
        };
        let sweeper = {
            let (domain, clock) = (Arc::clone(&domain), clock.clone());
            thread::spawn(move || {
                clock.advance(Duration::from_nanos(1));
                domain.tick();
            })
        };
        let found = cache.get(1);
        assert!(matches!(found, None | Some(1 | 2)), "{found:?}");
        writer.join().unwrap();
        sweeper.join().unwrap();
        assert_eq!(cache.get(1), Some(2), "written when the other was still good, or later");
        assert_eq!((cache.core.validate(), cache.len()), (cache.weight(), 1));
        clock.advance(second);
        assert_eq!(cache.get(1), None);
        domain.tick();
        assert_eq!((cache.len(), cache.weight()), (0, cache.core.tenant.card.base()));
    });
}

#[test]
fn bounds_that_shrink_beside_inserts_hold_when_both_are_done() {
    check(|| {
        let domain = domain(MB);
        let cache = sized(&domain, "resized");
        (0..3).for_each(|key| cache.insert(key, 100));
        let writer = {
            let cache = cache.clone();
            thread::spawn(move || (3..6).for_each(|key| cache.insert(key, 100)))
        };
        cache.set_max_entries(2);
        assert!(cache.core.tenant.entries() <= 2, "nobody is let in beyond it from here on");
        cache.set_priority(2.0).unwrap();
        writer.join().unwrap();
        assert!(cache.len() <= 2);
        cache.set_max_bytes(0);
        assert_eq!((cache.len(), cache.weight()), (0, 0));
        check_books(&domain, &[&cache]);
    });
}

#[test]
fn a_snapshot_beside_inserts_evictions_and_a_clear_reads_sound_figures() {
    check(|| {
        let domain = domain(12_000);
        let cache = sized(&domain, "read");
        let writer = {
            let cache = cache.clone();
            thread::spawn(move || {
                for key in 0..4 {
                    cache.insert(key, 2500);
                    let _ = cache.get(key);
                }
                cache.clear();
            })
        };
        for _ in 0..3 {
            let stats = domain.stats();
            assert!(stats.budget.used <= stats.budget.limit && stats.budget.peak <= stats.budget.limit);
            let row = &stats.tenants[0];
            assert!(row.bytes <= 12_000 && row.entries <= 4 && row.hits <= 4, "{row:?}");
        }
        writer.join().unwrap();
        let stats = domain.stats();
        let row = &stats.tenants[0];
        let left = row.evictions + row.reclaims + row.invalidations + row.rejections;
        let empty = cache.core.tenant.card.base();
        assert_eq!(
            (row.entries, row.reserved, left),
            (0, empty, 4),
            "each of four came and went, or never came"
        );
        check_books(&domain, &[&cache]);
    });
}

#[test]
fn an_emergency_shares_and_an_explanation_beside_inserts_leave_sound_books() {
    check(|| {
        let (clock, memory) = (ManualClock::new(), testing::FixedPressure::new(100, 1000));
        let domain = Domain::builder().limit_bytes(20_000).clock(clock.clone()).pressure(memory.clone());
        let domain = Arc::new(domain.manual().build());
        let (first, second) = (sized(&domain, "a::first"), sized(&domain, "b::second"));
        (0..3).for_each(|key| first.insert(key, 2000));
        // Two looks at different times: what bytes earn is known, so whole tenants go.
        domain.tick();
        clock.advance(Duration::from_secs(1));
        domain.tick();
        let writer = {
            let (second, domain) = (second.clone(), Arc::clone(&domain));
            thread::spawn(move || {
                for key in 0..4 {
                    second.insert(key, 2000);
                    assert!(domain.budget().used() <= 20_000);
                }
            })
        };
        let reader = {
            let domain = Arc::clone(&domain);
            thread::spawn(move || {
                domain.namespace("a").set_share(0.5).unwrap();
                let explanation = domain.explain();
                assert!(explanation.tenants.len() == 2 && explanation.budget.used <= 20_000);
                domain.namespace("b").set_share(0.5).unwrap();
                // One that may only fall, so that the writer knows what holds.
                domain.budget().set_auto(crate::Auto::default().most_mb(0));
            })
        };
        memory.set(970, 1000);
        clock.advance(Duration::from_secs(1));
        domain.tick();
        domain.budget().set_limit(9_000);
        writer.join().unwrap();
        reader.join().unwrap();
        assert!(domain.budget().used() <= 9_000);
        check_books(&domain, &[&first, &second]);
    });
}
