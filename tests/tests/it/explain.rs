//! What `explain` says: standings, earnings, decisions, sums; as text and as data.

use std::time::Duration;

use larder::{
    Cache, Cause, Domain, Standing,
    testing::{FixedPressure, ManualClock},
};

use crate::support::{MB, check, domain, pressed};

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

    fn cache(&self, name: &str, priority: f64) -> Cache<u64, u64> {
        let builder = Cache::builder(name).priority(priority).weigh(|_, value| *value);
        builder.cost(|_, _| Duration::from_millis(1)).build_in(&self.domain).unwrap()
    }

    fn second(&self) {
        self.clock.advance(Duration::from_secs(1));
        self.domain.tick();
    }
}

fn fill(cache: &Cache<u64, u64>, megabytes: u64) {
    for key in 0..megabytes * 10 {
        cache.insert(key, MB / 10);
    }
}

#[test]
fn earnings_are_what_hits_save_in_a_second() {
    let world = World::new(100 * MB);
    let cache = world.cache("earns", 4.0);
    for key in 0..10 {
        cache.get_or_insert_with(key, || MB / 10);
    }
    assert!(world.domain.explain().tenants[0].saved.is_none(), "nothing is known before an interval");
    assert!(world.domain.explain().to_string().contains("earns: 1.0 MB"), "{}", world.domain.explain());
    for _ in 0..30 {
        (0..50).for_each(|key| _ = cache.get(key % 10));
        world.second();
    }
    let explanation = world.domain.explain();
    let report = explanation.tenant("earns").unwrap();
    let saved = report.saved.unwrap().as_secs_f64();
    // Costs are kept in steps of an octave's parts.
    assert!((0.03..0.08).contains(&saved), "50 hits of 1 ms: {saved}");
    assert_eq!((report.residence, report.saved_by_mb_more), (None, Some(Duration::ZERO)));
    assert!(
        report.to_string().ends_with("nothing has to leave, so more memory would save nothing"),
        "{report}"
    );
    assert!(report.to_string().contains("gives next, priority 4"), "{report}");
}

/// What ten megabytes more save can be counted, and is compared with what was foretold.
#[track_caller]
fn check_foretold(policy: larder::Policy) {
    let saved_with = |megabytes: u64| {
        let world = World::new(100 * MB);
        let builder = Cache::<u64, u64>::builder("uniform").policy(policy).weigh(|_, value| *value);
        let cache = builder
            .cost(|_, _| Duration::from_millis(1))
            .max_bytes(megabytes * MB)
            .build_in(&world.domain)
            .unwrap();
        let mut state = 1_u64;
        for step in 0..40_000_u64 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            // Uniform over 100 MB: each megabyte earns the same.
            cache.get_or_insert_with((state >> 33) % 1000, || MB / 10);
            if step % 500 == 499 {
                world.second();
            }
        }
        let report = world.domain.explain().tenants.remove(0);
        (report.saved.unwrap().as_secs_f64(), report.saved_by_mb_more.unwrap().as_secs_f64())
    };
    let ((before, foretold), (after, _)) = (saved_with(30), saved_with(40));
    let counted = (after - before) / 10.0;
    assert!(counted > 0.0, "{before} {after}");
    let off = foretold / counted;
    println!("{policy}: {foretold} s a second were foretold, {counted} came");
    assert!((0.3..3.0).contains(&off), "{policy}: {foretold} s a second were foretold, {counted} came");
}

#[test]
fn what_a_megabyte_more_would_save_is_of_the_size_of_what_it_saves() {
    use larder::Policy::{Fifo, Hybrid, Lru, Utility};
    [Hybrid, Utility, Lru, Fifo].into_iter().for_each(check_foretold);
}

#[test]
fn standings_are_the_order_in_which_tenants_give() {
    let world = World::new(100 * MB);
    let (twice, once) = (world.cache("twice", 2.0), world.cache("once", 1.0));
    let floor = Cache::<u64, u64>::builder("floor").min_mb(30).weigh(|_, value| *value);
    let floor = floor.build_in(&world.domain).unwrap();
    let empty = world.cache("empty", 1.0);
    for cache in [&twice, &once, &floor] {
        fill(cache, 10);
    }
    let explanation = world.domain.explain();
    let standings: Vec<_> =
        explanation.tenants.iter().map(|tenant| (tenant.name.as_str(), tenant.standing)).collect();
    assert_eq!(
        standings,
        [
            ("once", Standing::Turn(1)),
            ("twice", Standing::Turn(2)),
            ("floor", Standing::Floor),
            ("empty", Standing::Nothing)
        ]
    );
    let trimmed = world.domain.trim(5 * MB);
    assert_eq!(trimmed.by_tenant[0].0, "once", "as it was said");
    assert!(empty.is_empty());
    check(&world.domain);
}

#[test]
fn decisions_are_kept_with_their_reasons() {
    let world = World::new(100 * MB);
    let (cheap, dear) = (world.cache("cheap", 1.0), world.cache("dear", 50.0));
    fill(&cheap, 60);
    fill(&dear, 38);
    world.memory.set(840 * MB, 1000 * MB);
    world.second();
    world.second();
    world.memory.set(970 * MB, 1000 * MB);
    world.second();
    world.memory.set(500 * MB, 1000 * MB);
    (0..3).for_each(|_| world.second());
    let _ = world.domain.trim(MB);
    world.domain.budget().set_limit(4 * MB);
    let explanation = world.domain.explain();
    let causes: Vec<_> = explanation.decisions.iter().map(|decision| decision.cause).collect();
    assert_eq!(causes, [Cause::Limit, Cause::Trim, Cause::Growth, Cause::Emergency, Cause::Pressure]);
    let [limit, trim, growth, emergency, pressure] = &explanation.decisions[..] else { unreachable!() };
    assert_eq!((pressure.reason.as_str(), pressure.times), ("fixed 84 % full of 1000.0 MB", 1));
    assert_eq!((pressure.allowed_before, pressure.gave[0].0.as_str()), (100 * MB, "cheap"));
    assert!(pressure.freed > 4 * MB && pressure.ago == Duration::from_secs(5), "{pressure:?}");
    assert!(emergency.allowed_after < emergency.allowed_before && emergency.freed > 0, "{emergency:?}");
    assert_eq!((growth.times, growth.freed), (3, 0));
    assert_eq!(trim.reason, "1.0 MB were asked for");
    assert!(limit.reason == "the limit is 4.0 MB" && limit.freed > 0, "{limit:?}");
    let sums = &explanation.coordinator;
    assert_eq!((sums.decisions, sums.near_misses, sums.fullest), (7, 1, 0.97));
    let told: u64 = explanation.decisions.iter().map(|decision| decision.freed).sum();
    assert_eq!(sums.shrunk, told);
    assert_eq!(world.domain.stats().coordinator.shrunk, told, "the snapshot has the sums, too");
    let text = explanation.to_string();
    for part in
        ["decisions, latest first:\n", "ago: emergency: fixed 97 % full", "1 near misses", "(3 times)"]
    {
        assert!(text.contains(part), "{part}:\n{text}");
    }
}

#[test]
fn what_moves_between_tenants_and_what_churns_is_counted() {
    let world = World::new(20 * MB);
    let (old, new) = (world.cache("old", 1.0), world.cache("new", 100.0));
    fill(&old, 19);
    world.second();
    fill(&new, 10);
    let moved = world.domain.stats().coordinator.moved;
    assert!((8 * MB..12 * MB).contains(&moved), "{moved}");
    world.second();
    let explanation = world.domain.explain();
    assert_eq!(explanation.decisions[0].cause, Cause::Room);
    assert_eq!(explanation.decisions[0].freed, moved);
    // Some ten megabytes in one second, of two that were looked at.
    let churn = explanation.coordinator.churn;
    assert!((4 * MB..16 * MB).contains(&churn), "{churn}");
    assert_eq!(explanation.coordinator.shrunk, 0, "nothing was short");
}

#[test]
fn what_can_not_be_evicted_is_an_overshoot() {
    let domain = domain(10 * MB);
    let cache = Cache::<u64, u64>::builder("pins").weigh(|_, value| *value).build_in(&domain).unwrap();
    for key in 0..50 {
        cache.insert(key, MB / 10);
        assert!(cache.pin(key));
    }
    domain.budget().set_limit(MB);
    let over = domain.stats().coordinator.overshoot_peak;
    assert_eq!(over, domain.budget().used() - MB);
    (0..50).for_each(|key| _ = cache.unpin(key));
    domain.tick();
    assert!(domain.budget().used() <= MB);
    assert_eq!(domain.stats().coordinator.overshoot_peak, over, "a peak stays");
}

#[cfg(feature = "serde")]
#[test]
fn an_explanation_is_data() {
    let world = World::new(20 * MB);
    let cache = world.cache("data", 1.0);
    fill(&cache, 5);
    let _ = world.domain.trim(MB);
    let value = serde_json::to_value(world.domain.explain()).unwrap();
    assert_eq!(value["tenants"][0]["name"], "data");
    assert_eq!(value["tenants"][0]["standing"], serde_json::json!({ "Turn": 1 }));
    assert_eq!(value["decisions"][0]["cause"], "Trim");
    assert_eq!(value["coordinator"]["decisions"], 1);
}
