//! Memory that fills and empties by injected ramps and steps: who leaves when, how often direction changes, and each reason to
//! evict alone.

use std::time::Duration;

use larder::{
    Cache, Cause, Domain, Level,
    testing::{FixedPressure, ManualClock},
};
use larder_tests::short_or_deep;

use crate::support::{MB, check, pressed};

const ENTRY: u64 = MB / 4;

struct World {
    domain: Domain,
    clock: ManualClock,
    memory: FixedPressure,
}

impl World {
    fn new(limit: u64) -> Self {
        let (domain, clock, memory) = pressed(limit, |builder| builder);
        Self { domain, clock, memory }
    }

    fn cache(&self, name: &str, priority: f64, micros: u64) -> Cache<u64, u64> {
        let builder = Cache::builder(name).priority(priority).weigh(|_, value| *value);
        builder.cost(move |_, _| Duration::from_micros(micros)).build_in(&self.domain).unwrap()
    }

    /// One look at memory that is used by so much beside the caches.
    fn look(&self, rest: u64) {
        self.memory.set(rest + self.domain.budget().used(), 1000 * MB);
        self.clock.advance(Duration::from_secs(1));
        self.domain.tick();
    }

    fn causes(&self) -> Vec<Cause> {
        self.domain.explain().decisions.iter().map(|decision| decision.cause).collect()
    }
}

fn fill(cache: &Cache<u64, u64>, bytes: u64) {
    (0..bytes / ENTRY).for_each(|key| cache.insert(key, ENTRY));
}

/// Random numbers, the same in each run.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

#[test]
fn pressure_alone_takes_the_cheapest_of_all() {
    let world = World::new(200 * MB);
    let (cheap, dear) = (world.cache("cheap", 1.0, 10), world.cache("dear", 1.0, 1000));
    fill(&cheap, 80 * MB);
    fill(&dear, 80 * MB);
    world.look(500 * MB);
    assert!(world.causes().is_empty());
    world.look(740 * MB);
    assert_eq!(world.domain.pressure(), Level::High);
    assert_eq!(world.causes(), [Cause::Pressure]);
    assert!(cheap.stats().reclaims == 0, "it is not full: nothing needs to go");
    world.look(780 * MB);
    assert!(cheap.stats().reclaims > 0 && dear.stats().reclaims == 0, "{}", world.domain.explain());
    assert_eq!(cheap.stats().evictions + dear.stats().evictions, 0);
    check(&world.domain);
}

#[test]
fn the_budget_alone_takes_the_cheapest_of_all_at_the_insert() {
    let world = World::new(100 * MB);
    let (cheap, dear) = (world.cache("cheap", 1.0, 10), world.cache("dear", 1.0, 1000));
    fill(&cheap, 90 * MB);
    fill(&dear, 50 * MB);
    assert!(cheap.stats().reclaims > 0 && dear.stats().reclaims == 0);
    assert!(world.domain.budget().used() <= 100 * MB);
    assert_eq!(
        (world.domain.pressure(), world.causes()),
        (Level::Normal, Vec::new()),
        "nobody looked at memory"
    );
    check(&world.domain);
}

#[test]
fn a_bound_of_its_own_alone_takes_its_own() {
    let world = World::new(100 * MB);
    let builder = Cache::<u64, u64>::builder("bounded").max_bytes(10 * MB).weigh(|_, value| *value);
    let bounded = builder.build_in(&world.domain).unwrap();
    let cheap = world.cache("cheap", 0.001, 1);
    fill(&cheap, 20 * MB);
    fill(&bounded, 30 * MB);
    assert!(bounded.stats().evictions > 0 && bounded.weight() <= 10 * MB);
    assert_eq!((cheap.stats().reclaims, cheap.stats().evictions, bounded.stats().reclaims), (0, 0, 0));
    assert_eq!((world.domain.pressure(), world.causes()), (Level::Normal, Vec::new()));
    check(&world.domain);
}

#[test]
fn an_emergency_alone_takes_whole_tenants() {
    let world = World::new(400 * MB);
    let (lazy, busy) = (world.cache("lazy", 1.0, 1000), world.cache("busy", 1.0, 10));
    fill(&lazy, 100 * MB);
    fill(&busy, 100 * MB);
    world.look(100 * MB);
    // Cheap entries that are used all the time are worth more than dear ones that nobody wants.
    (0..4000).for_each(|at| _ = busy.get(at % 400));
    world.look(100 * MB);
    world.look(770 * MB);
    assert_eq!((world.domain.pressure(), world.causes()), (Level::Emergency, vec![Cause::Emergency]));
    assert_eq!(lazy.len(), 0, "{}", world.domain.explain());
    assert!(busy.len() > 100);
    check(&world.domain);
}

/// One ramp: tenants of different worth, each entry used alike, and memory that fills.
fn ramp(seed: u64) {
    let mut random = Random(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
    let world = World::new(400 * MB);
    let tenants = 3 + random.below(4);
    // Worth is cost x priority, and each is worth three times the one before.
    let mut order: Vec<u64> = (0..tenants).collect();
    (1..tenants).rev().for_each(|at| order.swap(at as usize, random.below(at + 1) as usize));
    let caches: Vec<Cache<u64, u64>> = order
        .iter()
        .map(|&rank| {
            let by_priority = random.below(rank + 1);
            let priority = 3_f64.powi(by_priority as i32);
            let cache =
                world.cache(&format!("{rank}"), priority, 10 * 3_u64.pow((rank - by_priority) as u32));
            fill(&cache, 360 / tenants * MB);
            cache
        })
        .collect();
    for _ in 0..3 {
        for cache in &caches {
            (0..cache.len() as u64).for_each(|key| assert!(cache.get(key).is_some()));
        }
        world.look(100 * MB);
    }
    let full: Vec<u64> = caches.iter().map(Cache::weight).collect();
    let mut left: Vec<u64> = Vec::new();
    let mut rest = 300 * MB;
    while rest < 980 * MB {
        world.look(rest);
        for (at, cache) in caches.iter().enumerate() {
            if cache.weight() < full[at] / 2 && !left.contains(&order[at]) {
                // What goes in one look goes in one: then the cheaper one is the emptier.
                left.push(order[at]);
            }
        }
        let by_worth = |at: &usize| order[*at];
        let mut places: Vec<usize> = (0..caches.len()).collect();
        places.sort_by_key(by_worth);
        for pair in places.windows(2) {
            let part = |at: usize| caches[at].weight() as f64 / full[at] as f64;
            assert!(
                part(pair[0]) <= part(pair[1]) + 0.05,
                "ramp {seed}: {} holds {:.2}, and {} only {:.2}\n{}",
                order[pair[0]],
                part(pair[0]),
                order[pair[1]],
                part(pair[1]),
                world.domain.explain()
            );
        }
        rest += (5 + random.below(60)) * MB;
    }
    assert!(left.len() >= 2, "ramp {seed}: memory was that full: {left:?}");
    // Never below what neighbours can't take.
    assert!(world.domain.stats().budget.allowed >= 16 * MB);
    check(&world.domain);
}

#[test]
fn tenants_leave_in_the_order_of_what_they_are_worth() {
    (1..=short_or_deep(100, 1000)).for_each(ramp);
}

/// What is needed beside the caches changes at once, and they fill what they may; `Some` says how often what is allowed
/// changed its direction.
fn step(seed: u64) -> usize {
    let mut random = Random(seed.wrapping_mul(0xD134_2543_DE82_EF95) | 1);
    let world = World::new((200 + random.below(300)) * MB);
    let cache = world.cache("cache", 1.0, 100);
    let mut key = 0;
    let mut run = |rest: u64, looks: usize| {
        let mut all = Vec::with_capacity(looks);
        for _ in 0..looks {
            while world.domain.budget().used() + 2 * ENTRY < world.domain.stats().budget.allowed {
                cache.insert(key, ENTRY);
                key += 1;
            }
            world.look(rest);
            all.push(world.domain.stats().budget.allowed);
        }
        all
    };
    let before = (100 + random.below(300)) * MB;
    run(before, 60);
    let after = (100 + random.below(700)) * MB;
    let allowed = run(after, 120);
    let moves = allowed.windows(2).map(|pair| pair[1].cmp(&pair[0])).filter(|order| order.is_ne());
    let moves: Vec<_> = moves.collect();
    moves.windows(2).filter(|pair| pair[0] != pair[1]).count()
}

#[test]
fn a_step_does_not_swing_what_is_allowed() {
    for seed in 1..=short_or_deep(100, 1000) {
        let flips = step(seed);
        assert!(flips <= 3, "step {seed}: {flips} changes of direction");
    }
}
