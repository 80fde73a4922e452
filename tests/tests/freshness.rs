//! How long values live: age, idleness, bounds of their own, spread; what reads the clock, and when bytes go back.
//!
//! Each test has a domain and a clock of its own. Not here: that bodies run again, and invalidation.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use larder::{BuildError, Builder, Cache, Domain, testing::ManualClock};
use larder_tests::{patience, short_or_deep};

const SECOND: Duration = Duration::from_secs(1);
const NANO: Duration = Duration::from_nanos(1);

/// Options that say how long values live.
type Rules<V> = fn(Builder<u64, V>) -> Builder<u64, V>;

fn clocked() -> (Domain, ManualClock) {
    let clock = ManualClock::new();
    (Domain::builder().limit_bytes(64 << 20).clock(clock.clone()).manual().build(), clock)
}

fn build(
    rules: impl FnOnce(Builder<u64, u64>) -> Builder<u64, u64>,
) -> (Cache<u64, u64>, Domain, ManualClock) {
    let (domain, clock) = clocked();
    let cache = rules(Cache::builder("fresh")).build_in(&domain).unwrap();
    (cache, domain, clock)
}

/// Holds at rest.
#[track_caller]
fn check(domain: &Domain) {
    let stats = domain.stats();
    let parts: u64 = stats.tenants.iter().map(|tenant| tenant.reserved).sum();
    assert_eq!(parts, stats.budget.used, "{stats}");
    assert!(stats.budget.used <= stats.budget.limit && stats.budget.over_released == 0, "{stats}");
}

/// How often `run` reads the clock.
fn reads(clock: &ManualClock, run: impl FnOnce()) -> u64 {
    let before = clock.reads();
    run();
    clock.reads() - before
}

#[test]
fn without_freshness_options_nothing_but_a_load_reads_the_clock() {
    let (cache, _domain, clock) = build(|builder| builder.max_entries(100));
    let read = reads(&clock, || {
        for key in 0..200 {
            cache.insert(key, key);
        }
        for key in 0..200 {
            let _ = (cache.get(key), cache.peek(key), cache.contains(key), cache.invalidate(key + 150));
        }
        cache.insert(7, 7);
        for _ in 0..1000 {
            assert_eq!(cache.get(7), Some(7));
            assert_eq!(cache.get_or_insert_with(7, || unreachable!()), 7);
            assert_eq!(cache.try_get_or_insert_with(7, || Err(())), Ok(7));
        }
    });
    assert_eq!(read, 0);
    // What the body took is measured.
    assert_eq!(reads(&clock, || assert_eq!(cache.get_or_insert_with(500, || 1), 1)), 2);
}

#[test]
fn where_values_expire_a_hit_reads_the_clock_once() {
    let rules: [Rules<u64>; 3] = [
        |builder| builder.ttl(SECOND),
        |builder| builder.tti(SECOND),
        |builder| builder.ttl(SECOND).tti(SECOND).ttl_by(|_, _| SECOND).jitter(0.1),
    ];
    for rules in rules {
        let (cache, _domain, clock) = build(rules);
        cache.insert(1, 1);
        assert_eq!(reads(&clock, || assert_eq!(cache.get(1), Some(1))), 1);
        assert_eq!(
            reads(&clock, || assert_eq!(cache.get(2), None)),
            0,
            "nothing was found that could be too old"
        );
    }
    let (cache, _domain, clock) = build(|builder| builder.ttl_by(|_, _| Duration::MAX));
    cache.insert(1, 1);
    assert_eq!(reads(&clock, || assert_eq!(cache.get(1), Some(1))), 0, "this one never expires");
    let (cache, _domain, clock) = build(|builder| builder.ttl(Duration::MAX).tti(Duration::MAX));
    assert_eq!(reads(&clock, || cache.insert(1, 1)), 0, "nor does anything here");
}

#[test]
fn a_value_in_use_stays_and_an_idle_one_goes() {
    let (cache, domain, clock) = build(|builder| builder.tti(10 * SECOND));
    cache.insert(1, 10);
    cache.insert(2, 20);
    for _ in 0..100 {
        clock.advance(10 * SECOND - NANO);
        assert_eq!(cache.get(1), Some(10));
    }
    assert_eq!(cache.get(2), None);
    domain.tick();
    assert_eq!((cache.len(), cache.stats().expirations), (1, 1));
    clock.advance(10 * SECOND - NANO);
    assert!(cache.contains(1));
    clock.advance(NANO);
    assert_eq!((cache.contains(1), cache.peek(1), cache.get(1)), (false, None, None));
}

#[test]
fn only_a_hit_and_a_write_are_uses() {
    let (cache, domain, clock) = build(|builder| builder.tti(2 * SECOND));
    for key in 1..=5 {
        cache.insert(key, key);
    }
    clock.advance(SECOND);
    assert!(cache.peek(1).is_some() && cache.contains(2));
    assert_eq!(cache.get(3), Some(3));
    assert_eq!(cache.get_or_insert_with(4, || unreachable!()), 4);
    cache.insert(5, 50);
    domain.tick();
    clock.advance(SECOND);
    let alive: Vec<u64> = (1..=5).filter(|key| cache.contains(*key)).collect();
    assert_eq!(alive, [3, 4, 5]);
    domain.tick();
    assert_eq!(cache.len(), 3);
}

#[test]
fn an_idle_value_is_loaded_anew() {
    let (cache, _domain, clock) = build(|builder| builder.tti(SECOND));
    assert_eq!(cache.get_or_insert_with(1, || 10), 10);
    clock.advance(SECOND);
    assert_eq!(cache.get_or_insert_with(1, || 11), 11);
    assert_eq!((cache.stats().loads, cache.stats().expirations), (2, 1));
}

#[test]
fn use_does_not_stretch_an_age() {
    let (cache, domain, clock) = build(|builder| builder.ttl(10 * SECOND).tti(3 * SECOND));
    cache.insert(1, 10);
    for _ in 0..4 {
        clock.advance(2 * SECOND);
        assert_eq!(cache.get(1), Some(10));
        domain.tick();
    }
    clock.advance(2 * SECOND - NANO);
    assert_eq!(cache.get(1), Some(10));
    clock.advance(NANO);
    assert_eq!(cache.get(1), None, "ten seconds after the write, however much it was used");
}

#[test]
fn each_value_has_a_time_of_its_own() {
    let (cache, domain, clock) =
        build(|builder| builder.ttl(10 * SECOND).ttl_by(|key, _| *key as u32 * SECOND));
    for key in 1..=20 {
        cache.insert(key, key);
    }
    for passed in 1..=10 {
        clock.advance(SECOND - NANO);
        assert!(cache.contains(passed));
        clock.advance(NANO);
        assert!(!cache.contains(passed));
        domain.tick();
        assert_eq!(cache.len() as u64, if passed < 10 { 20 - passed } else { 0 }, "the shorter time holds");
    }
}

#[test]
fn a_value_without_any_time_is_not_stored() {
    let (cache, domain, _clock) = build(|builder| builder.ttl_by(|_, value| *value as u32 * SECOND));
    cache.insert(1, 5);
    cache.insert(1, 0);
    assert_eq!((cache.get(1), cache.len()), (None, 0), "the older value is not the value any more");
    assert_eq!(cache.get_or_insert_with(2, || 0), 0);
    assert_eq!((cache.get(2), cache.len(), cache.stats().rejections), (None, 0, 2));
    check(&domain);
}

#[test]
fn a_time_that_cannot_be_told_stores_nothing_and_breaks_nothing() {
    let (cache, domain, _clock) =
        build(|builder| builder.ttl_by(|_, value| if *value == 13 { panic!("on purpose") } else { SECOND }));
    for _ in 0..3 {
        assert!(catch_unwind(AssertUnwindSafe(|| cache.insert(1, 13))).is_err());
        assert!(catch_unwind(AssertUnwindSafe(|| cache.get_or_insert_with(1, || 13))).is_err());
    }
    assert_eq!((cache.len(), cache.get_or_insert_with(1, || 14)), (0, 14));
    check(&domain);
}

#[test]
fn jitter_spreads_the_end_and_only_downwards() {
    let (cache, domain, clock) = build(|builder| builder.ttl(100 * SECOND).jitter(0.5));
    for round in 0..2 {
        for key in 0..10_000 {
            cache.insert(key, key);
        }
        clock.advance(50 * SECOND - NANO);
        domain.tick();
        assert_eq!(cache.len(), 10_000, "round {round}");
        let mut left = 10_000;
        for _ in 0..5 {
            clock.advance(10 * SECOND);
            domain.tick();
            let gone = left - cache.len();
            assert!((1_700..2_300).contains(&gone), "{gone} of 10,000 in a fifth of the spread");
            left -= gone;
        }
        clock.advance(NANO);
        domain.tick();
        assert_eq!(cache.len(), 0);
    }
}

#[test]
fn a_key_has_the_same_jitter_each_time() {
    let (cache, _domain, clock) = build(|builder| builder.ttl(1000 * SECOND).jitter(1.0));
    let mut lived = Vec::new();
    for _ in 0..3 {
        cache.insert(1, 1);
        let mut seconds = 0;
        while cache.contains(1) {
            clock.advance(SECOND);
            seconds += 1;
        }
        lived.push(seconds);
    }
    assert!(lived[0] <= 1000 && lived.iter().all(|seconds| *seconds == lived[0]), "{lived:?}");
}

#[test]
fn options_that_make_no_sense_say_so() {
    let (domain, _) = clocked();
    let error = |rules: Rules<u64>| rules(Cache::builder("odd")).build_in(&domain).map(drop).unwrap_err();
    assert_eq!(error(|builder| builder.tti(Duration::ZERO)), BuildError::ZeroTti);
    assert_eq!(error(|builder| builder.jitter(0.1)), BuildError::JitterWithoutTtl);
    assert_eq!(error(|builder| builder.tti(SECOND).jitter(0.1)), BuildError::JitterWithoutTtl);
    for odd in [-0.1, 1.1, f64::INFINITY] {
        let builder = Cache::<u64, u64>::builder("odd").ttl(SECOND).jitter(odd);
        assert_eq!(builder.build_in(&domain).map(drop).unwrap_err(), BuildError::Jitter(odd));
    }
    let not_a_number = error(|builder| builder.ttl(SECOND).jitter(f64::NAN)).to_string();
    assert!(not_a_number.contains("from 0 to 1"), "{not_a_number}");
    for whole in [0.0, 1.0] {
        assert!(Cache::<u64, u64>::builder("fine").ttl(SECOND).jitter(whole).build_in(&domain).is_ok());
    }
}

#[test]
fn what_is_expired_makes_room_before_what_is_not() {
    let (domain, clock) = clocked();
    let by = |key: &u64, _: &Vec<u8>| if key.is_multiple_of(2) { SECOND } else { 100 * SECOND };
    let entries =
        Cache::<u64, Vec<u8>>::builder("entries").max_entries(400).ttl_by(by).build_in(&domain).unwrap();
    let bytes =
        Cache::<u64, Vec<u8>>::builder("bytes").max_bytes(600_000).ttl_by(by).build_in(&domain).unwrap();
    for cache in [&entries, &bytes] {
        for key in 0..400 {
            cache.insert(key, vec![0; 1000]);
        }
    }
    clock.advance(SECOND);
    for cache in [&entries, &bytes] {
        // No tick: who needs room finds the expired ones.
        for key in 401..500 {
            cache.insert(2 * key + 1, vec![0; 1000]);
        }
        assert_eq!(cache.stats().evictions, 0, "{}", cache.name());
        assert!((0..200).all(|key| cache.contains(2 * key + 1)), "{}", cache.name());
    }
    check(&domain);
}

#[test]
fn an_idle_cache_gives_every_byte_back_at_a_tick() {
    let rules: [Rules<Vec<u8>>; 3] = [
        |builder| builder.ttl(60 * SECOND),
        |builder| builder.tti(60 * SECOND),
        |builder| builder.ttl_by(|key, _| Duration::from_millis(key * 100 % 59_000 + 1)),
    ];
    for rules in rules {
        let (domain, clock) = clocked();
        let cache = rules(Cache::builder("idle")).build_in(&domain).unwrap();
        let empty = cache.weight();
        for key in 0..3000 {
            cache.insert(key, vec![0; 3000]);
            let _ = cache.get(key / 2);
        }
        assert!(domain.budget().used() > 9_000_000);
        clock.advance(60 * SECOND);
        domain.tick();
        assert_eq!(
            (cache.len(), cache.weight(), domain.budget().used()),
            (0, empty, empty),
            "nothing is kept, no credit either"
        );
        assert_eq!(cache.stats().expirations, 3000);
    }
}

#[test]
fn a_tick_takes_half_of_what_is_due_half_way() {
    let (cache, domain, clock) = build(|builder| builder.ttl(10 * SECOND));
    for key in 0..20_000 {
        cache.insert(key, key);
        clock.advance(Duration::from_micros(500));
    }
    let full = cache.weight();
    // The first was written ten seconds ago, the last just now.
    clock.advance(5 * SECOND);
    domain.tick();
    assert_eq!(cache.len(), 9_999);
    assert!(cache.weight() < full * 3 / 4, "{} of {full}", cache.weight());
    check(&domain);
}

/// What the cache should answer.
struct Model {
    values: HashMap<u64, Known>,
    now: u64,
}

#[derive(Clone, Copy)]
struct Known {
    value: u64,
    written: u64,
    used: u64,
}

const AGE: u64 = 1_000_000;
const IDLE: u64 = 300_000;

fn own_time(key: u64) -> u64 {
    match key % 4 {
        0 => u64::MAX,
        1 => 1 + key,
        2 => 50_000 * key,
        _ => 1 << (key % 64),
    }
}

impl Model {
    fn alive(&self, key: u64) -> Option<Known> {
        self.values.get(&key).copied().filter(|known| {
            let aged = known.written.saturating_add(AGE.min(own_time(key)));
            self.now < aged.min(known.used.saturating_add(IDLE))
        })
    }

    fn write(&mut self, key: u64, value: u64) {
        self.values.insert(key, Known { value, written: self.now, used: self.now });
    }
}

#[test]
fn no_expired_value_is_ever_returned_and_no_fresh_one_lost() {
    let mut random = 0x1234_5678_9ABC_DEF1_u64;
    let mut next = |bound: u64| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random % bound
    };
    let (cache, domain, clock) = build(|builder| {
        let own = |key: &u64, _: &u64| Duration::from_nanos(own_time(*key));
        builder.ttl(Duration::from_nanos(AGE)).tti(Duration::from_nanos(IDLE)).ttl_by(own)
    });
    let mut model = Model { values: HashMap::new(), now: 0 };
    for step in 0..short_or_deep(300_000, 10_000_000) {
        let key = next(300);
        let alive = model.alive(key).map(|known| known.value);
        match next(16) {
            0..=2 => {
                cache.insert(key, step);
                model.write(key, step);
            }
            3 | 4 => {
                assert_eq!(cache.get_or_insert_with(key, || step), alive.unwrap_or(step), "key {key}");
                match alive {
                    Some(_) => model.values.get_mut(&key).unwrap().used = model.now,
                    None => model.write(key, step),
                }
            }
            5..=8 => {
                assert_eq!(cache.get(key), alive, "key {key} at {}", model.now);
                if alive.is_some() {
                    model.values.get_mut(&key).unwrap().used = model.now;
                }
            }
            9 => assert_eq!((cache.peek(key), cache.contains(key)), (alive, alive.is_some()), "key {key}"),
            10 => {
                cache.invalidate(key);
                model.values.remove(&key);
            }
            11 if step % 100 == 0 => {
                domain.tick();
                let alive = model.values.keys().filter(|key| model.alive(**key).is_some());
                assert_eq!(cache.len(), alive.count(), "all that is expired is gone, and nothing else");
            }
            _ => {
                // Mostly small steps; now and then one over everything.
                let by = if next(10_000) == 0 { next(1 << 40) } else { next(3000) };
                clock.advance(Duration::from_nanos(by));
                model.now += by;
            }
        }
    }
    check(&domain);
}

#[test]
fn the_ends_of_the_range_hold() {
    let long = [
        Duration::from_nanos(u64::MAX - 1),
        Duration::from_nanos(u64::MAX / 2),
        Duration::from_secs(1 << 33),
    ];
    for bound in long {
        let (cache, domain, clock) = build(|builder| builder.tti(bound).ttl_by(move |_, _| bound));
        cache.insert(1, 10);
        clock.advance(bound - NANO);
        domain.tick();
        assert_eq!(cache.get(1), Some(10), "{bound:?}");
        clock.advance(NANO);
        domain.tick();
        assert_eq!((cache.get(1), cache.len()), (None, 0), "{bound:?}");
    }
    let (cache, domain, clock) = build(|builder| builder.tti(NANO));
    cache.insert(1, 10);
    assert_eq!(cache.get(1), Some(10), "the clock stands still");
    clock.advance(NANO);
    assert_eq!(cache.get(1), None);
    for _ in 0..3 {
        clock.advance(Duration::MAX);
    }
    cache.insert(1, 11);
    domain.tick();
    assert_eq!(cache.get(1), Some(11), "what does not fit in the range never expires");
}

#[test]
fn the_real_clock_is_never_early() {
    let domain = Domain::builder().limit_bytes(1 << 20).manual().build();
    for ttl in [Duration::from_micros(100), Duration::from_millis(3), Duration::from_millis(30)] {
        let cache = Cache::<u64, u64>::builder("real").ttl(ttl).build_in(&domain).unwrap();
        let before = Instant::now();
        cache.insert(1, 1);
        while cache.get(1).is_some() {
            assert!(before.elapsed() < patience(), "it never expires");
            std::hint::spin_loop();
        }
        assert!(before.elapsed() >= ttl, "{:?} is too early for {ttl:?}", before.elapsed());
        assert_eq!(cache.len(), 0);
    }
}

#[test]
fn many_threads_see_nothing_expired() {
    let (domain, clock) = clocked();
    let ttl = Duration::from_millis(10);
    // A value is the time it was written at, in nanoseconds.
    let cache = Cache::<u64, u64>::builder("shared")
        .max_entries(500)
        .ttl(ttl)
        .tti(ttl / 2)
        .build_in(&domain)
        .unwrap();
    let now = std::sync::atomic::AtomicU64::new(0);
    let order = std::sync::atomic::Ordering::SeqCst;
    // Time stands still while somebody writes: a value says exactly when it was written.
    let still = std::sync::RwLock::new(());
    std::thread::scope(|scope| {
        for worker in 0..3_u64 {
            let (cache, now, still) = (&cache, &now, &still);
            scope.spawn(move || {
                for step in 0..short_or_deep(40_000, 2_000_000) {
                    let key = (step * 7919 + worker * 31) % 700;
                    // Read before the look-up: the clock is at least there, and what is older was too old.
                    let least = now.load(order);
                    match cache.get(key) {
                        Some(written) => assert!(
                            written + 10_000_000 > least,
                            "written at {written}, returned at {least} or later"
                        ),
                        None => {
                            let _still = still.read().unwrap();
                            cache.insert(key, now.load(order));
                        }
                    }
                }
            });
        }
        scope.spawn(|| {
            for _ in 0..short_or_deep(2_000, 100_000) {
                {
                    let _moving = still.write().unwrap();
                    clock.advance(Duration::from_micros(100));
                    now.fetch_add(100_000, order);
                }
                domain.tick();
            }
        });
    });
    clock.advance(ttl);
    domain.tick();
    assert_eq!((cache.len(), cache.weight()), (0, domain.budget().used()));
    check(&domain);
}
