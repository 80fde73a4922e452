//! Policies by what they hit: whole caches on traces that are the same each time, against an exact LRU and what is known.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use larder::{BuildError, Builder, Cache, EntryFacts, Evict, Policy, Uses};

use crate::support::{MB, Random, blob, check, domain};

/// The part of the keys that are found, when each that is not is stored.
fn ratio(build: impl FnOnce(Builder<u64, u64>) -> Builder<u64, u64>, keys: &[u64]) -> f64 {
    let domain = domain(64 * MB);
    let cache = build(Cache::builder("replay")).build_in(&domain).unwrap();
    let hits = keys.iter().filter(|key| {
        let found = cache.get(**key).is_some();
        if !found {
            cache.insert(**key, **key);
        }
        found
    });
    let ratio = hits.count() as f64 / keys.len() as f64;
    check(&domain);
    ratio
}

fn by(policy: Policy, entries: u64, keys: &[u64]) -> f64 {
    ratio(|builder| builder.policy(policy).max_entries(entries), keys)
}

/// What a list that moves each used key to its front hits.
fn exact_lru(entries: usize, keys: &[u64]) -> f64 {
    let (mut latest, mut by_age) = (std::collections::HashMap::new(), std::collections::BTreeMap::new());
    let mut hits = 0;
    for (at, key) in keys.iter().enumerate() {
        if let Some(before) = latest.insert(*key, at) {
            by_age.remove(&before);
            hits += 1;
        } else if latest.len() > entries {
            let (_, oldest) = by_age.pop_first().unwrap();
            latest.remove(&oldest);
        }
        by_age.insert(at, *key);
    }
    f64::from(hits) / keys.len() as f64
}

/// Few keys come often, many seldom.
fn skewed(count: usize) -> Vec<u64> {
    let mut random = Random::new(7);
    // The product of numbers is small more often than it is large.
    let mut draw = || random.below(30) * random.below(30) * random.below(30) / 3;
    std::iter::repeat_with(&mut draw).take(count).collect()
}

/// The same keys over and over, in the same order.
fn in_a_loop(keys: u64, count: u64) -> Vec<u64> {
    (0..count).map(|n| n % keys).collect()
}

/// Skewed keys, and others of which none comes back.
fn with_scans(count: usize) -> Vec<u64> {
    let keys = skewed(count).into_iter().enumerate();
    keys.map(|(at, key)| if at % 4000 < 1500 { 1_000_000 + at as u64 } else { key }).collect()
}

#[test]
fn hybrid_keeps_half_of_a_loop_twice_its_size() {
    let keys = in_a_loop(1024, 100_000);
    assert_eq!(exact_lru(512, &keys), 0.0);
    let found = by(Policy::Hybrid, 512, &keys);
    assert!(found > 0.48, "{found}");
    let keys = in_a_loop(8192, 250_000);
    let found = by(Policy::Hybrid, 4096, &keys);
    assert!(found > 0.47, "{found} with several shards");
}

#[test]
fn hybrid_beats_lru_on_skewed_keys_and_more_so_beside_scans() {
    for (keys, part) in [(skewed(100_000), 0.95), (with_scans(100_000), 0.92)] {
        for entries in [300, 600, 1200] {
            let (hybrid, lru) = (by(Policy::Hybrid, entries, &keys), exact_lru(entries as usize, &keys));
            assert!(1.0 - hybrid < (1.0 - lru) * part, "{entries} entries: {hybrid} against {lru}");
        }
    }
}

#[test]
fn hybrid_follows_when_the_favourites_change() {
    let shift = |(at, key): (usize, u64)| key + (at / 10_000) as u64 * 100_000;
    let keys: Vec<u64> = skewed(100_000).into_iter().enumerate().map(shift).collect();
    for entries in [300, 1200] {
        let (hybrid, lru) = (by(Policy::Hybrid, entries, &keys), exact_lru(entries as usize, &keys));
        assert!(hybrid > lru - 0.05, "{entries} entries: {hybrid} against {lru}");
    }
}

#[test]
fn lru_is_exact_with_one_shard_and_nearly_so_with_more() {
    let keys = with_scans(100_000);
    for entries in [64, 500, 4000] {
        let exact = exact_lru(entries as usize, &keys);
        let one = ratio(|builder| builder.policy(Policy::Lru).shards(1).max_entries(entries), &keys);
        assert!((one - exact).abs() < 1e-9, "{entries} entries: {one} against {exact}");
        let several = by(Policy::Lru, entries, &keys);
        assert!((several - exact).abs() < 0.003, "{entries} entries: {several} against {exact}");
    }
}

#[test]
fn the_plain_policies_hit_what_they_are_known_for() {
    let keys = skewed(100_000);
    let [lfu, fifo, random, s3fifo, utility] =
        [Policy::Lfu, Policy::Fifo, Policy::Random, Policy::S3Fifo, Policy::Utility]
            .map(|policy| by(policy, 1000, &keys));
    let lru = exact_lru(1000, &keys);
    assert!(lfu > lru && utility > lru && s3fifo > lru, "{lfu}, {utility}, {s3fifo} against {lru}");
    assert!(fifo < lru && random < lru, "{fifo}, {random} against {lru}");
    assert!(
        (fifo - random).abs() < 0.02,
        "{fifo} and {random}, which are near each other when keys are independent"
    );
    // A loop: whoever keeps the latest finds nothing; chance finds x of them where x = exp(-2 (1 - x)).
    let keys = in_a_loop(1024, 60_000);
    assert_eq!(by(Policy::Fifo, 512, &keys), 0.0);
    let random = by(Policy::Random, 512, &keys);
    assert!((0.19..0.22).contains(&random), "{random}");
}

#[test]
fn random_repeats_itself_in_a_thread() {
    // One shard: keys are spread over more by a hash that is another in each process, not in each cache.
    let keys = skewed(20_000);
    assert_eq!(by(Policy::Random, 1000, &keys), by(Policy::Random, 1000, &keys));
}

#[test]
fn costs_and_factors_decide_who_stays() {
    for policy in [Policy::Hybrid, Policy::Utility] {
        let domain = domain(64 * MB);
        // One in ten is dear: by its cost, by its factor, or by its size.
        type Build = fn(Builder<u64, Vec<u8>>) -> Builder<u64, Vec<u8>>;
        let builds: [(&str, Build); 3] = [
            ("cost", |b| {
                b.cost(|key, _| Duration::from_millis(if key.is_multiple_of(10) { 100 } else { 1 }))
            }),
            ("utility", |b| b.utility(|key, _| if key.is_multiple_of(10) { 100.0 } else { 1.0 })),
            ("size", |b| b),
        ];
        for (by, build) in builds {
            let cache = build(Cache::builder(by).policy(policy).max_bytes(MB)).build_in(&domain).unwrap();
            // So many that no more than a third has room.
            let keys = if by == "size" { 600 } else { 4000 };
            let mut random = Random::new(11);
            for _ in 0..60_000 {
                let key = random.below(keys);
                let size = if by == "size" && !key.is_multiple_of(10) { 30_000 } else { 1000 };
                if cache.get(key).is_none() {
                    cache.insert(key, blob(size));
                }
            }
            let kept = (0..keys).step_by(10).filter(|key| cache.contains(*key)).count() as u64;
            assert!(
                kept * 10 > keys * 9 / 10,
                "{policy}, {by}: {kept} of {keys} are kept, a tenth of them dear"
            );
        }
        check(&domain);
    }
}

#[test]
fn a_factor_that_makes_no_sense_is_put_right() {
    let domain = domain(MB);
    let factors = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -1.0, 0.0, 1e-300, 1e300];
    let cache = Cache::<u64, u64>::builder("odd")
        .utility(move |key, _| factors[*key as usize % factors.len()])
        .max_entries(20)
        .build_in(&domain)
        .unwrap();
    for key in 0..2000 {
        cache.insert(key, key);
        assert!(cache.contains(key));
    }
    assert_eq!(cache.len(), 20);
    check(&domain);
}

/// The newest goes, unless it panics: each call counts, and the one of this number panics.
struct Newest {
    slots: Vec<u32>,
    calls: Arc<AtomicUsize>,
    panics_at: usize,
}

impl Evict for Newest {
    fn insert(&mut self, slot: u32, facts: &EntryFacts) {
        assert!(facts.weight > 0 && facts.cost >= 1000 && facts.utility > 0.0);
        self.slots.push(slot);
    }

    fn remove(&mut self, slot: u32) {
        self.slots.retain(|other| *other != slot);
    }

    fn rename(&mut self, from: u32, to: u32) {
        self.slots.iter_mut().filter(|slot| **slot == from).for_each(|slot| *slot = to);
    }

    fn victim(&mut self, _uses: &mut Uses<'_>) -> Option<u32> {
        let call = self.calls.fetch_add(1, Ordering::Relaxed);
        assert!(call != self.panics_at, "on purpose");
        self.slots.last().copied()
    }
}

#[test]
fn an_order_of_the_users_own_decides_until_it_panics() {
    let domain = domain(16 * MB);
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&calls);
    let cache = Cache::<u64, Vec<u8>>::builder("own")
        .shards(1)
        .max_entries(100)
        .policy_with(move || Newest { slots: Vec::new(), calls: Arc::clone(&counted), panics_at: 500 })
        .build_in(&domain)
        .unwrap();
    assert_eq!(cache.stats().policy, Some(Policy::Custom));
    (0..600).for_each(|key| cache.insert(key, blob(100)));
    assert!((0..99).all(|key| cache.contains(key)), "the first ones stay, because the newest goes");
    assert!(cache.contains(599));
    // The call of number 500 panics; from then on the oldest goes.
    (600..700).for_each(|key| cache.insert(key, blob(100)));
    assert_eq!((cache.len(), calls.load(Ordering::Relaxed)), (100, 501));
    assert!((601..700).all(|key| cache.contains(key)));
    assert!(!cache.contains(0));
    cache.invalidate(650);
    check(&domain);
    // Empty once, it has another.
    cache.clear();
    (0..300).for_each(|key| cache.insert(key, blob(100)));
    assert!((0..99).all(|key| cache.contains(key)));
    check(&domain);
}

#[test]
fn a_policy_of_ones_own_needs_an_order() {
    let domain = domain(MB);
    let error = Cache::<u64, u64>::builder("none").policy(Policy::Custom).build_in(&domain).unwrap_err();
    assert_eq!(error, BuildError::CustomPolicy);
    assert!(error.to_string().contains("policy_with"));
}
