//! The time that one entry lives, where its caller says it: exact, whatever the cache's own rules are.

use std::collections::HashMap;
use std::time::Duration;

use larder::{Cache, NoExpiry};

use crate::support::{MB, Random, check, check_emptied, clocked, domain};

const SECOND: Duration = Duration::from_secs(1);
const INSTANT: Duration = Duration::from_nanos(1);

#[test]
fn a_value_comes_with_the_time_it_had_left() {
    let (domain, clock) = clocked(64 * MB);
    let aging =
        Cache::<String, u64>::builder("aging").ttl(10 * SECOND).tti(8 * SECOND).build_in(&domain).unwrap();
    aging.insert("a".to_owned(), 1);
    clock.advance(6 * SECOND);
    assert_eq!(aging.get_with_time_left("a"), Some((1, 2 * SECOND)), "as it was found");
    assert_eq!(
        aging.get_with_time_left("a"),
        Some((1, 4 * SECOND)),
        "that was a use, and the end of its time is near"
    );
    clock.advance(4 * SECOND);
    assert_eq!((aging.get_with_time_left("a"), aging.get_with_time_left("b")), (None, None));
    let figures = aging.stats();
    assert_eq!((figures.hits, figures.misses), (2, 2), "looks are counted once");
    let lasting = Cache::<u64, u64>::builder("lasting").build_in(&domain).unwrap();
    lasting.insert(1, 5);
    assert_eq!(lasting.get_with_time_left(1), Some((5, Duration::MAX)));
    check(&domain);
}

#[test]
fn an_own_time_takes_the_place_of_the_caches() {
    let (domain, clock) = clocked(64 * MB);
    let cache = Cache::<u64, u64>::builder("own")
        .ttl(10 * SECOND)
        .ttl_by(|_, value| Duration::from_secs(*value))
        .jitter(1.0)
        .build_in(&domain)
        .unwrap();
    cache.insert_with_ttl(1, 5, 3 * SECOND).unwrap();
    cache.insert_with_ttl(2, 5, 30 * SECOND).unwrap();
    cache.insert_with_ttl(3, 5, Duration::MAX).unwrap();
    assert_eq!((cache.time_left(1), cache.time_left(2)), (Some(3 * SECOND), Some(30 * SECOND)));
    assert_eq!(cache.time_left(3), Some(Duration::MAX));
    clock.advance(3 * SECOND - INSTANT);
    assert_eq!(cache.get(1), Some(5));
    clock.advance(INSTANT);
    assert_eq!((cache.get(1), cache.get(2)), (None, Some(5)));
    clock.advance(27 * SECOND - INSTANT);
    assert_eq!(cache.get(2), Some(5));
    clock.advance(INSTANT);
    domain.tick();
    assert_eq!((cache.get(2), cache.get(3), cache.len()), (None, Some(5), 1));
    cache.insert(3, 5);
    assert!(cache.time_left(3).unwrap() <= 5 * SECOND, "a later value lives by the rules");
    check(&domain);
    check_emptied(&cache);
}

#[test]
fn the_time_of_an_entry_can_be_changed_both_ways() {
    let (domain, clock) = clocked(64 * MB);
    let cache = Cache::<String, u64>::builder("changed").ttl(10 * SECOND).build_in(&domain).unwrap();
    for key in ["shorter", "longer", "for ever", "now"] {
        cache.insert(key.to_owned(), 1);
    }
    clock.advance(SECOND);
    assert_eq!(cache.set_ttl("shorter", SECOND), Ok(true));
    assert_eq!(cache.set_ttl("longer", 100 * SECOND), Ok(true));
    assert_eq!(cache.set_ttl("for ever", Duration::MAX), Ok(true));
    assert_eq!(cache.set_ttl("now", Duration::ZERO), Ok(true));
    assert_eq!(cache.set_ttl("nobody", SECOND), Ok(false));
    assert_eq!((cache.len(), cache.stats().expirations), (3, 1), "what is to expire now is gone now");
    clock.advance(SECOND);
    assert!(!cache.contains("shorter"));
    assert_eq!(cache.set_ttl("shorter", SECOND), Ok(false), "too late");
    domain.tick();
    assert_eq!(cache.len(), 2);
    clock.advance(99 * SECOND - INSTANT);
    domain.tick();
    assert!(cache.contains("longer"));
    clock.advance(INSTANT);
    domain.tick();
    assert_eq!((cache.len(), cache.contains("for ever")), (1, true));
    assert_eq!(cache.set_ttl("for ever", SECOND), Ok(true), "a bound can come back");
    clock.advance(SECOND);
    domain.tick();
    assert_eq!((cache.len(), cache.stats().expirations), (0, 4));
    let stats = cache.stats();
    assert_eq!((stats.hits, stats.replacements), (0, 0));
    check_emptied(&cache);
}

#[test]
fn idleness_goes_on_counting() {
    let (domain, clock) = clocked(64 * MB);
    let cache = Cache::<u64, u64>::builder("idle").tti(SECOND).build_in(&domain).unwrap();
    cache.insert_with_ttl(1, 1, 10 * SECOND).unwrap();
    cache.insert_with_ttl(2, 2, SECOND / 2).unwrap();
    assert_eq!((cache.time_left(1), cache.time_left(2)), (Some(SECOND), Some(SECOND / 2)));
    clock.advance(SECOND / 2);
    assert_eq!((cache.set_ttl(1, 2 * SECOND), cache.time_left(1)), (Ok(true), Some(SECOND / 2)), "no use");
    for _ in 0..3 {
        assert_eq!(cache.get(1), Some(1));
        clock.advance(SECOND / 2);
    }
    assert_eq!((cache.get(2), cache.time_left(1)), (None, Some(SECOND / 2)));
    clock.advance(SECOND / 2);
    assert_eq!(cache.get(1), None);
    check_emptied(&cache);
}

#[test]
fn a_value_without_time_is_not_stored_and_leaves_no_older_one() {
    let (domain, _) = clocked(64 * MB);
    let cache = Cache::<u64, u64>::builder("none").ttl(SECOND).build_in(&domain).unwrap();
    cache.insert(1, 1);
    cache.insert_with_ttl(1, 2, Duration::ZERO).unwrap();
    assert_eq!((cache.get(1), cache.stats().rejections), (None, 1));
    check_emptied(&cache);
}

#[test]
fn a_cache_whose_entries_do_not_expire_says_so() {
    let domain = domain(MB);
    let cache = Cache::<u64, u64>::builder("for ever").build_in(&domain).unwrap();
    cache.insert(1, 1);
    let refused: NoExpiry = cache.insert_with_ttl(1, 2, SECOND).unwrap_err();
    assert_eq!(&*refused.cache, "for ever");
    assert_eq!(cache.set_ttl(1, SECOND), Err(refused.clone()));
    assert!(refused.to_string().starts_with("entries of `for ever` do not expire: build it with `ttl`"));
    assert_eq!(cache.get(1), Some(1), "nothing has changed");

    let cache = Cache::<u64, u64>::builder("if told").ttl_by(|_, _| Duration::MAX).build_in(&domain).unwrap();
    cache.insert(1, 1);
    assert_eq!(cache.time_left(1), Some(Duration::MAX));
    assert_eq!((cache.set_ttl(1, SECOND), cache.time_left(1)), (Ok(true), Some(SECOND)));
}

#[test]
fn a_cache_that_is_turned_off_changes_no_times() {
    let (domain, _) = clocked(MB);
    let cache = Cache::<u64, u64>::builder("off").ttl(SECOND).build_in(&domain).unwrap();
    cache.insert(1, 1);
    cache.insert(2, 2);
    domain.set_bypass(true);
    assert_eq!(cache.set_ttl(1, 5 * SECOND), Ok(false));
    cache.insert_with_ttl(2, 3, 5 * SECOND).unwrap();
    domain.set_bypass(false);
    assert_eq!((cache.time_left(1), cache.get(2)), (Some(SECOND), None));
}

#[test]
fn reads_agree_with_a_model_whatever_times_are_set() {
    let (domain, clock) = clocked(64 * MB);
    let cache = Cache::<u64, u64>::builder("model").ttl(SECOND / 10).build_in(&domain).unwrap();
    let (mut random, mut now, mut deadlines) = (Random::new(11), 0_u64, HashMap::new());
    for step in 0..50_000_u64 {
        let key = random.below(300);
        // From nanoseconds to hours.
        let time = random.next() >> (20 + random.below(40));
        let alive = deadlines.get(&key).is_some_and(|deadline| *deadline > now);
        match random.below(8) {
            0 => {
                cache.insert(key, step);
                deadlines.insert(key, now + 100_000_000);
            }
            1 => {
                cache.insert_with_ttl(key, step, Duration::from_nanos(time)).unwrap();
                deadlines.insert(key, now + time);
            }
            2 | 3 => {
                assert_eq!(cache.set_ttl(key, Duration::from_nanos(time)), Ok(alive), "{key} at {now}");
                if alive {
                    deadlines.insert(key, now + time);
                }
            }
            4 => {
                let by = random.next() >> (30 + random.below(30));
                now += by;
                clock.advance(Duration::from_nanos(by));
            }
            5 if step % 50 == 0 => {
                domain.tick();
                deadlines.retain(|_, deadline| *deadline > now);
                assert_eq!(cache.len(), deadlines.len(), "a sweep takes all that is due, and no more");
            }
            _ => {
                assert_eq!(cache.contains(key), alive, "{key} at {now}");
                let left =
                    deadlines.get(&key).map(|deadline| Duration::from_nanos(deadline.saturating_sub(now)));
                assert_eq!(cache.time_left(key), left.filter(|_| alive));
            }
        }
    }
    check(&domain);
    check_emptied(&cache);
}
