use std::collections::HashMap;

use super::*;

/// A budget that no key is too far away for.
const ENDLESS: u64 = u64::MAX / 4;

/// A small generator with a fixed sequence.
struct Random(u64);

impl Random {
    fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }

    fn unit(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1_u64 << 53) as f64
    }
}

fn mix(bits: u64) -> u64 {
    // Not 0 for 0, whose rank is the last of all.
    let mut x = bits.wrapping_add(0x51ed_270b);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// Keys of a trace, by their distribution.
fn zipf(keys: u64, skew: f64, count: usize) -> Vec<u64> {
    let mut sum = 0.0;
    let cumulative: Vec<f64> = (1..=keys)
        .map(|rank| {
            sum += (rank as f64).powf(-skew);
            sum
        })
        .collect();
    let mut random = Random(7);
    (0..count)
        .map(|_| {
            let at = random.unit() * sum;
            cumulative.partition_point(|weight| *weight <= at) as u64
        })
        .collect()
}

/// What each key weighs, and what it costs: not the same for all.
fn fact(key: u64) -> Fact {
    let bits = mix(key ^ 0xface);
    Fact { bytes: 500 + bits % 2000, cost: (bits >> 20) as u8 % 80, deadline: NO_DEADLINE }
}

/// What every cache size saves, by a stack of all keys: slow, and plainly right.
fn exact(trace: &[u64]) -> Vec<(u64, f64)> {
    let mut stack: Vec<u64> = Vec::new();
    let mut saved: HashMap<u64, f64> = HashMap::new();
    for key in trace {
        if let Some(at) = stack.iter().rposition(|other| other == key) {
            let distance: u64 = stack[at..].iter().map(|key| fact(*key).bytes).sum();
            *saved.entry(distance).or_default() += cost::decode(fact(*key).cost) as f64;
            stack.remove(at);
        }
        stack.push(*key);
    }
    let mut points: Vec<_> = saved.into_iter().collect();
    points.sort_unstable_by_key(|(distance, _)| *distance);
    let mut sum = 0.0;
    points
        .into_iter()
        .map(|(distance, value)| {
            sum += value;
            (distance, sum)
        })
        .collect()
}

fn learned(trace: &[u64], budget: u64) -> Reuse {
    let mut reuse = Reuse::new(NO_DEADLINE, 0);
    for key in trace {
        let hash = mix(*key);
        reuse.used(hash, None, 0);
        reuse.stored(hash, fact(*key), 0, budget);
    }
    reuse
}

/// Compares what was learned with what is true: how far they are apart on the average of all sizes, as a part of what can be
/// saved.
/// As if everything that was used had been so within an epoch.
fn watch_all(reuse: &mut Reuse) {
    reuse.watch.reaches_far();
    (0..2).for_each(|_| reuse.watch.end_epoch(0.0));
}

#[track_caller]
fn check(trace: &[u64], within: f64) {
    let exact = Curve::from_points(exact(trace), 0.0);
    let mut reuse = Reuse::new(NO_DEADLINE, 0);
    reuse.threshold = ALL / 8;
    for key in trace {
        reuse.used(mix(*key), None, 0);
        reuse.stored(mix(*key), fact(*key), 0, ENDLESS);
    }
    watch_all(&mut reuse);
    let curve = reuse.curve().expect("enough was seen");
    // The sample has more or fewer hot keys than its part, which says nothing of sizes: both are taken relative to all.
    let most = |curve: &Curve| curve.points().last().map_or(1.0, |(_, value)| *value);
    let footprint = exact.points().last().map_or(0, |(edge, _)| *edge);
    let sizes = (1..=50).map(|step| footprint * step / 50);
    let apart: f64 = sizes
        .map(|size| (curve.value(size) / most(&curve) - exact.value(size) / most(&exact)).abs())
        .sum::<f64>()
        / 50.0;
    assert!(apart <= within, "{apart} apart, {} keys followed", reuse.keys.len());
}

#[test]
fn a_sample_knows_the_curves_of_skewed_even_and_looping_uses() {
    check(&zipf(3000, 0.9, 10_000), 0.12);
    check(&zipf(3000, 0.0, 10_000), 0.08);
    check(&(0..8_000).map(|at| at % 2000).collect::<Vec<u64>>(), 0.08);
}

#[test]
fn all_keys_of_a_small_set_are_followed_and_the_curve_is_exact_to_a_bucket() {
    let trace = zipf(60, 0.5, 5000);
    let mut reuse = Reuse::new(NO_DEADLINE, 0);
    reuse.threshold = ALL;
    for key in &trace {
        reuse.used(mix(*key), None, 0);
        reuse.stored(mix(*key), fact(*key), 0, ENDLESS);
    }
    watch_all(&mut reuse);
    let (curve, exact) = (reuse.curve().expect("enough was seen"), exact(&trace));
    let exact = Curve::from_points(exact, 0.0);
    let ends = |curve: &Curve| curve.points().last().map_or(0.0, |(_, value)| *value);
    assert!((ends(&curve) / ends(&exact) - 1.0).abs() < 0.001, "{} {}", ends(&curve), ends(&exact));
    for size in [20_000_u64, 40_000, 80_000, 160_000] {
        let (low, high) =
            (exact.value((size as f64 / 1.12) as u64), exact.value((size as f64 * 1.12) as u64));
        let found = curve.value(size);
        assert!(found >= low * 0.97 && found <= high * 1.03, "{size}: {found} not in {low}..{high}");
    }
}

#[test]
fn a_hash_below_the_threshold_is_what_a_cache_would_follow() {
    let mut reuse = Reuse::new(NO_DEADLINE, 0);
    for threshold in [1, 2, ALL / 32, ALL / 2, ALL] {
        reuse.threshold = threshold;
        for hash in [0, 1 << 32, 5 << 40, u64::MAX, u64::MAX - (1 << 32), mix(3), mix(4)] {
            assert_eq!(
                reuse.follows(hash),
                (hash >> 32) as u32 >= reuse.followed().from,
                "{threshold} {hash:x}"
            );
        }
    }
}

#[test]
fn what_is_expired_or_invalidated_earns_nothing() {
    let hash = u64::MAX;
    let fact = Fact { bytes: 1000, cost: 8, deadline: 50 };
    let earned = |between: &dyn Fn(&mut Reuse), now| {
        let mut reuse = Reuse::new(30, 0);
        reuse.stored(hash, fact, 0, ENDLESS);
        between(&mut reuse);
        reuse.used(hash, None, now);
        reuse.saved.iter().sum::<f32>() > 0.0
    };
    assert!(earned(&|_| (), 10));
    assert!(!earned(&|_| (), 50), "past its deadline");
    assert!(!earned(&|_| (), 31), "idle for too long");
    assert!(earned(&|reuse| reuse.used(hash, None, 20), 49), "used in between");
    assert!(!earned(&|reuse| reuse.forget(hash), 10), "invalidated");
    assert!(!earned(&|reuse| reuse.forget_like(hash as u32), 10), "invalidated, with half of its hash known");
    assert!(earned(&|reuse| reuse.forget_like(!hash as u32), 10), "another's");
}

#[test]
fn what_is_too_far_away_for_the_budget_goes_before_the_threshold_falls() {
    let scan: Vec<u64> = (0..50_000).collect();
    let reuse = learned(&scan, 4 << 20);
    assert_eq!(reuse.threshold, ALL / ONE_IN, "a scan has no keys worth following");
    assert!(reuse.keys.len() <= MOST);
    let reuse = learned(&scan, ENDLESS);
    assert!(reuse.threshold < ALL / ONE_IN && reuse.keys.len() <= MOST);
    assert!(reuse.keys.iter().all(|key| reuse.follows(key.id)));
}

#[test]
fn a_small_set_is_followed_more_and_more_closely() {
    let trace = zipf(400, 0.9, 3000);
    let mut reuse = Reuse::new(NO_DEADLINE, 0);
    for _ in 0..12 {
        for key in &trace {
            reuse.used(mix(*key), None, 0);
            reuse.stored(mix(*key), fact(*key), 0, ENDLESS);
        }
        reuse.end_epoch(0, 0, 0);
        // Keys that are followed from now on are heard of with their next store, as in a cache.
    }
    assert!(reuse.keys.len() >= LEAST, "{}", reuse.keys.len());
}

#[test]
fn old_epochs_fade() {
    let mut reuse = learned(&zipf(3000, 0.9, 20_000), ENDLESS);
    let sum = |reuse: &Reuse| reuse.saved.iter().sum::<f32>();
    let before = sum(&reuse);
    for _ in 0..50 {
        reuse.end_epoch(0, 0, 0);
    }
    assert!(sum(&reuse) < before / 100.0);
}

/// How many look-ups there are is known at once; what each saves with so many bytes is remembered.
#[test]
fn a_crowd_that_comes_or_goes_is_seen_at_once() {
    let trace = zipf(1000, 0.9, 500);
    let mut reuse = Reuse::new(NO_DEADLINE, 500);
    let mut lookups = 500;
    let mut epoch = |keys: &[u64]| {
        for key in keys {
            reuse.used(mix(*key), None, 0);
            reuse.stored(mix(*key), fact(*key), 0, ENDLESS);
        }
        lookups += keys.len() as u64;
        reuse.end_epoch(0, lookups, 0);
        reuse.curve().map_or(0.0, |curve| curve.points().last().map_or(0.0, |(_, value)| *value))
    };
    let quiet = (0..20).map(|_| epoch(&trace)).last().unwrap_or(0.0);
    let crowded = epoch(&trace.repeat(8));
    // Half of the pace is the last epoch's: eight times as many look-ups.
    assert!((crowded / quiet - 4.5).abs() < 0.5, "{crowded} after {quiet}");
    let later = (0..3).map(|_| epoch(&trace)).last().unwrap_or(0.0);
    assert!(later < 2.0 * quiet, "{later} after {quiet}");
    assert!(epoch(&[]) < 0.55 * later, "nobody asks any more");
}

#[test]
fn it_takes_no_more_than_it_says() {
    let reuse = learned(&zipf(30_000, 0.2, 60_000), ENDLESS);
    let parts = [
        size_of::<Reuse>(),
        reuse.keys.capacity() * size_of::<Key>(),
        reuse.sums.capacity() * size_of::<u64>(),
        BUCKETS * size_of::<f32>(),
    ];
    let taken: u64 = parts.into_iter().chain(reuse.index.capacities()).map(allocation).sum();
    assert!(taken <= Reuse::most_bytes(), "{taken} of {}", Reuse::most_bytes());
}

/// The sums over the order are those of the keys, whatever was done.
#[test]
fn books_are_kept_through_any_operations() {
    let mut random = Random(3);
    let mut reuse = Reuse::new(NO_DEADLINE, 0);
    reuse.threshold = ALL;
    for step in 0..20_000 {
        let hash = mix(random.bits() % 700);
        match random.bits() % 10 {
            0 => reuse.forget(hash),
            1..5 => reuse.stored(hash, fact(random.bits()), 0, if step % 2 == 0 { 1 << 20 } else { ENDLESS }),
            _ => reuse.used(hash, Some(9), 0),
        }
        if step % 500 == 0 {
            reuse.end_epoch(0, 0, 0);
        }
        if step % 97 == 0 {
            let total: u64 = reuse.keys.iter().map(|key| u64::from(key.bytes)).sum();
            assert_eq!(reuse.total, total);
            assert_eq!(reuse.index.len(), reuse.keys.len());
            for (at, key) in reuse.keys.iter().enumerate() {
                assert_eq!(reuse.find(key.id), Some(at));
                let newer = reuse.keys.iter().filter(|other| other.place > key.place);
                assert_eq!(reuse.newer(key.place), newer.map(|key| u64::from(key.bytes)).sum::<u64>());
            }
        }
    }
}

#[test]
fn what_was_there_before_is_followed_from_its_first_hit_on() {
    let mut reuse = Reuse::new(NO_DEADLINE, 0);
    reuse.hit(u64::MAX, 8, 0, 1000, ENDLESS);
    assert_eq!(reuse.saved.iter().sum::<f32>(), 0.0, "nothing is known of the use before");
    reuse.hit(u64::MAX, 8, 0, 1000, ENDLESS);
    assert!(reuse.saved.iter().sum::<f32>() > 0.0);
    reuse.missed(u64::MAX - (1 << 8), 0);
    assert_eq!((reuse.keys.len(), reuse.total), (1, 1000), "a miss tells nothing of what there will be");
}

/// In a small cache that is asked all the time each hit would pay for the curve.
#[test]
fn of_many_hits_some_are_heard_and_stand_for_all() {
    let run = |rounds: u64| {
        let mut reuse = Reuse::new(NO_DEADLINE, 0);
        let mut hits = 0;
        for _ in 0..40 {
            for key in 0..100_u64 {
                let hash = !(key << 40);
                reuse.stored(hash, Fact { bytes: 1000, cost: 40, deadline: NO_DEADLINE }, 0, ENDLESS);
            }
            for _ in 0..rounds {
                for key in 0..100_u64 {
                    hits += 1;
                    if reuse.followed().hits_from != crate::curve::OFF {
                        reuse.hit(!(key << 40), 40, 0, 1000, ENDLESS);
                    }
                }
            }
            let followed = reuse.followed();
            assert_eq!(followed.hits_from == crate::curve::OFF, rounds * 100 >= u64::from(HEARD));
            assert!(followed.from < crate::curve::OFF, "what becomes of keys is heard all the time");
            reuse.end_epoch(hits, hits, 0);
            assert_eq!(reuse.followed().hits_from, reuse.followed().from);
        }
        let curve = reuse.curve().unwrap();
        curve.points().last().unwrap().1
    };
    // Twenty rounds are all heard, of two hundred a tenth.
    let (few, many) = (run(20), run(200));
    assert!((many / few - 10.0).abs() < 0.5, "{many} is not ten times {few}");
}

/// Everything once, in an epoch that is over then.
fn round(reuse: &mut Reuse, keys: u64, budget: u64) {
    for key in 0..keys {
        reuse.used(mix(key), None, 0);
        reuse.stored(mix(key), fact(key), 0, budget);
    }
    reuse.end_epoch(0, 0, 0);
}

#[test]
fn a_reuse_that_only_half_of_the_epochs_could_show_counts_for_more() {
    let mut reuse = Reuse::new(NO_DEADLINE, 0);
    reuse.threshold = ALL;
    (0..2).for_each(|_| round(&mut reuse, 100, ENDLESS));
    let seen: f64 = reuse.saved.iter().map(|saved| f64::from(*saved)).sum();
    let (_, value) = *reuse.curve().expect("enough was seen").points().last().expect("all came again");
    assert!(value > seen * 1.4 && value < seen * 2.1, "{value} of {seen}");
}

#[test]
fn what_no_budget_could_hold_was_watched_for_long_enough() {
    let mut reuse = Reuse::new(NO_DEADLINE, 0);
    reuse.threshold = ALL;
    (0..2).for_each(|_| round(&mut reuse, 2 * MOST as u64, 1));
    assert!(reuse.watch.stands_for(u64::MAX / 2) < 1.1);
}

#[test]
fn a_cache_whose_hits_an_lru_would_need_more_bytes_for_has_a_higher_curve() {
    const HELD: u64 = 1000;
    let mut reuse = Reuse::new(NO_DEADLINE, 0);
    reuse.threshold = ALL;
    for epoch in 1..=3 {
        for key in 0..100 {
            reuse.hit(mix(key), fact(key).cost, 0, fact(key).bytes, ENDLESS);
        }
        reuse.end_epoch(epoch * 100, epoch * 100, HELD);
    }
    let curve = reuse.curve().expect("enough was seen");
    let (bytes, all) = *curve.points().last().expect("all were used again");
    assert!(bytes > 2 * HELD, "an LRU needs more: {bytes}");
    assert!(curve.value(HELD) > all * 0.4, "{} of {all}", curve.value(HELD));
}
