//! Age: exact on a clock that a test moves, and gone from the budget once swept.

use std::collections::HashMap;
use std::time::Duration;

use larder::{Cache, Domain, testing::ManualClock};

use crate::support::{Colliding, MB, Random, blob, check, check_emptied, clocked};

const SECOND: Duration = Duration::from_secs(1);

fn build(ttl: Duration) -> (Cache<u64, u64>, Domain, ManualClock) {
    let (domain, clock) = clocked(16 * MB);
    let cache = Cache::builder("ageing").ttl(ttl).build_in(&domain).unwrap();
    (cache, domain, clock)
}

#[test]
fn a_value_expires_at_its_age_and_not_before() {
    let (cache, domain, clock) = build(10 * SECOND);
    let empty = cache.weight();
    cache.insert(1, 10);
    clock.advance(10 * SECOND - Duration::from_nanos(1));
    assert_eq!((cache.get(1), cache.peek(1), cache.contains(1)), (Some(10), Some(10), true));
    clock.advance(Duration::from_nanos(1));
    assert_eq!(
        (cache.peek(1), cache.contains(1), cache.len()),
        (None, false, 1),
        "looking does not remove it"
    );
    assert_eq!((cache.get(1), cache.len(), cache.weight()), (None, 0, empty));
    assert_eq!((cache.stats().expirations, cache.stats().hits, cache.stats().misses), (1, 1, 1));
    check(&domain);
}

#[test]
fn an_expired_value_is_loaded_anew() {
    let (cache, _domain, clock) = build(SECOND);
    assert_eq!(cache.get_or_insert_with(1, || 10), 10);
    clock.advance(SECOND);
    assert_eq!(cache.get_or_insert_with(1, || 11), 11);
    assert_eq!(cache.try_get_or_insert_with(1, || Err(())), Ok(11));
    assert_eq!((cache.stats().loads, cache.stats().expirations, cache.len()), (2, 1, 1));
}

#[test]
fn a_value_ages_from_its_last_write() {
    let (cache, _domain, clock) = build(10 * SECOND);
    cache.insert(1, 10);
    clock.advance(9 * SECOND);
    let _ = cache.get(1);
    cache.insert(1, 11);
    clock.advance(9 * SECOND);
    assert_eq!(cache.get(1), Some(11));
    clock.advance(SECOND);
    assert_eq!(cache.get(1), None, "reading it made it no younger");
}

#[test]
fn a_load_ages_from_its_end() {
    let (cache, _domain, clock) = build(10 * SECOND);
    cache.get_or_insert_with(1, || {
        clock.advance(30 * SECOND);
        10
    });
    clock.advance(9 * SECOND);
    assert_eq!(cache.get(1), Some(10));
    clock.advance(SECOND);
    assert_eq!(cache.get(1), None);
}

#[test]
fn an_insert_over_an_expired_value_is_fresh() {
    let (cache, domain, clock) = build(SECOND);
    cache.insert(1, 10);
    clock.advance(SECOND);
    cache.insert(1, 11);
    assert_eq!((cache.get(1), cache.len()), (Some(11), 1));
    domain.tick();
    assert_eq!(cache.get(1), Some(11));
}

#[test]
fn a_tick_sweeps_everything_that_is_expired() {
    let (cache, domain, clock) = build(SECOND);
    let single = Cache::<Colliding, u64>::builder("one shard").ttl(SECOND).build_in(&domain).unwrap();
    let lasting = Cache::<u64, u64>::builder("lasting").build_in(&domain).unwrap();
    let empty = (cache.weight(), single.weight());
    for key in 0..10_000 {
        cache.insert(key, key);
        lasting.insert(key, key);
    }
    for key in 0..700 {
        single.insert(Colliding(key), key);
    }
    domain.tick();
    assert_eq!((cache.len(), single.len()), (10_000, 700));
    clock.advance(SECOND);
    domain.tick();
    assert_eq!((cache.len(), single.len(), (cache.weight(), single.weight())), (0, 0, empty));
    assert_eq!((cache.stats().expirations, single.stats().expirations), (10_000, 700));
    assert_eq!(lasting.len(), 10_000);
    check(&domain);
}

#[test]
fn a_sweep_finds_the_expired_among_the_fresh_and_gives_their_bytes_back() {
    for fresh in [1, 10, 60] {
        let (domain, clock) = clocked(64 * MB);
        let cache = Cache::<Colliding, u64>::builder("one shard").ttl(SECOND).build_in(&domain).unwrap();
        let (mut random, empty) = (Random::new(fresh), cache.weight());
        // The fresh ones lie scattered among those that will expire: written anew half a life later.
        for key in 0..1000 {
            cache.insert(Colliding(key), key);
        }
        clock.advance(SECOND / 2);
        let mut kept = std::collections::BTreeSet::new();
        while kept.len() < fresh as usize {
            kept.insert(random.below(1000));
        }
        for &key in &kept {
            cache.insert(Colliding(key), key + 1);
        }
        let full = cache.weight();
        clock.advance(SECOND / 2);
        domain.tick();
        assert_eq!(cache.len(), kept.len(), "one tick sweeps all that is expired, and nothing else");
        for &key in &kept {
            assert_eq!(cache.get(&Colliding(key)), Some(key + 1));
        }
        assert!(
            cache.weight() - empty < (full - empty) / 4,
            "{} of {full} bytes for {fresh} of 1000 entries",
            cache.weight()
        );
        check(&domain);
        check_emptied(&cache);
    }
}

#[test]
fn a_sweep_gives_the_bytes_of_values_back() {
    let (domain, clock) = clocked(64 * MB);
    let cache = Cache::<u64, Vec<u8>>::builder("heavy").ttl(SECOND).build_in(&domain).unwrap();
    let empty = cache.weight();
    for key in 0..1000 {
        cache.insert(key, blob(10_000));
    }
    assert!(domain.budget().used() > 10_000_000);
    clock.advance(2 * SECOND);
    domain.tick();
    assert_eq!(cache.weight(), empty);
    check(&domain);
    check_emptied(&cache);
    assert_eq!(domain.budget().used(), empty);
}

#[test]
fn what_is_expired_makes_room_before_what_is_not() {
    let (domain, clock) = clocked(16 * MB);
    let cache = Cache::<u64, u64>::builder("ageing").max_entries(100).ttl(SECOND).build_in(&domain).unwrap();
    for key in 0..100 {
        cache.insert(key, key);
    }
    clock.advance(SECOND);
    domain.tick();
    for key in 100..200 {
        cache.insert(key, key);
    }
    assert_eq!((cache.len(), cache.stats().evictions), (100, 0));
}

#[test]
fn a_ttl_near_the_end_of_time_never_expires_early() {
    for ttl in [
        Duration::MAX,
        Duration::from_nanos(u64::MAX),
        Duration::from_nanos(u64::MAX - 1),
        Duration::from_nanos(u64::MAX / 2 + 1),
    ] {
        let (cache, domain, clock) = build(ttl);
        clock.advance(Duration::from_nanos(1000));
        cache.insert(1, 10);
        clock.advance(Duration::from_nanos(u64::MAX / 2));
        domain.tick();
        assert_eq!(cache.get(1), Some(10), "{ttl:?}");
    }
}

#[test]
fn a_clock_at_the_end_of_its_range_still_serves() {
    let (cache, domain, clock) = build(SECOND);
    cache.insert(1, 10);
    for _ in 0..3 {
        clock.advance(Duration::MAX);
    }
    assert_eq!(cache.get(1), None);
    cache.insert(1, 11);
    assert_eq!(cache.get(1), Some(11), "what does not fit in the range never expires");
    domain.tick();
    assert_eq!(cache.get(1), Some(11));
    check(&domain);
}

#[test]
fn reads_agree_with_a_model_that_knows_every_deadline() {
    const TTL: u64 = 1000;
    let (cache, domain, clock) = build(Duration::from_nanos(TTL));
    let mut model = HashMap::<u64, (u64, u64)>::new();
    let mut random = Random::new(11);
    let mut now = 0;
    for step in 0..200_000 {
        let key = random.below(300);
        let alive = model.get(&key).filter(|(_, written)| now < written + TTL).map(|(value, _)| *value);
        match random.below(10) {
            0 | 1 => {
                cache.insert(key, step);
                model.insert(key, (step, now));
            }
            2 | 3 => {
                let value = cache.get_or_insert_with(key, || step);
                assert_eq!(value, alive.unwrap_or(step));
                model.insert(key, (value, if alive.is_some() { model[&key].1 } else { now }));
            }
            4 | 5 => assert_eq!(cache.get(key), alive),
            6 => assert_eq!(cache.peek(key), alive),
            7 if step % 50 == 0 => domain.tick(),
            7 => {
                cache.invalidate(key);
                model.remove(&key);
            }
            _ => {
                let by = random.below(20);
                clock.advance(Duration::from_nanos(by));
                now += by;
            }
        }
    }
    domain.tick();
    model.retain(|_, (_, written)| now < *written + TTL);
    assert_eq!(cache.len(), model.len());
    check(&domain);
    check_emptied(&cache);
}
