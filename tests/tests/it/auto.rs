//! A limit that follows memory: what the rest of the process leaves, and what the user says over it.

use std::time::Duration;

use larder::{
    Auto, Cache, Cause, Domain,
    testing::{FixedPressure, ManualClock},
};

use crate::support::{MB, check};

struct World {
    domain: Domain,
    clock: ManualClock,
    memory: FixedPressure,
    cache: Cache<u64, u64>,
}

impl World {
    fn new(auto: Auto) -> Self {
        let (clock, memory) = (ManualClock::new(), FixedPressure::new(0, 1000 * MB));
        let domain =
            Domain::builder().auto(auto).clock(clock.clone()).pressure(memory.clone()).manual().build();
        let cache = Cache::builder("cache").weigh(|_, value| *value).build_in(&domain).unwrap();
        Self { domain, clock, memory, cache }
    }

    /// So many ticks, with so much used beside the caches, and caches that take all they can.
    fn run(&self, rest: u64, ticks: usize) {
        for _ in 0..ticks {
            for key in 0..10_000 {
                if self.domain.budget().used() + MB > self.domain.stats().budget.allowed {
                    break;
                }
                self.cache.insert(key, MB);
            }
            self.memory.set(rest * MB + self.domain.budget().used(), 1000 * MB);
            self.clock.advance(Duration::from_secs(30));
            self.domain.tick();
        }
    }

    fn limit(&self) -> u64 {
        self.domain.budget().limit() / MB
    }
}

#[test]
fn it_is_what_the_rest_leaves_up_to_where_pressure_ends() {
    let world = World::new(Auto::default());
    world.run(300, 60);
    assert!((440..=459).contains(&world.limit()), "{}", world.limit());
    // The rest needs more: at once.
    world.run(500, 1);
    assert!((245..=250).contains(&world.limit()), "{}", world.limit());
    assert!(world.domain.budget().used() <= world.domain.budget().limit());
    let explanation = world.domain.explain();
    let told = explanation.decisions.iter().find(|decision| decision.cause == Cause::Auto).unwrap();
    assert_eq!(told.reason, "of 1000.0 MB the rest needs 500.0 MB");
    // What it needed lately it may need again.
    world.run(100, 10);
    assert!((245..=250).contains(&world.limit()), "{}", world.limit());
    world.run(100, 60);
    assert!(world.limit() > 600, "{}", world.limit());
    assert_eq!(explanation.coordinator.near_misses, 0, "it never got that far");
    check(&world.domain);
}

#[test]
fn bounds_hold_whatever_the_rest_does() {
    let world = World::new(Auto::default().least_mb(40).most_mb(200));
    world.run(300, 60);
    assert_eq!(world.limit(), 200);
    world.run(950, 5);
    assert_eq!(world.limit(), 40);
}

#[test]
fn a_limit_that_is_said_stays_until_it_is_to_follow_again() {
    let world = World::new(Auto::default());
    world.run(300, 60);
    world.domain.budget().set_limit_mb(77);
    world.run(10, 60);
    assert_eq!(world.limit(), 77);
    world.domain.budget().set_auto(Auto::default());
    world.run(300, 60);
    assert!((440..=459).contains(&world.limit()), "{}", world.limit());
    let said = Domain::builder().auto(Auto::default()).limit_bytes(5 * MB).manual().build();
    assert_eq!(said.budget().limit(), 5 * MB, "the last of the two counts");
}

#[test]
fn of_a_host_half_of_what_is_free_stays_free() {
    let world = World::new(Auto::default());
    world.memory.set_shared(true);
    world.run(200, 200);
    // x + 200 are used, and as much is free as is held: x = 400.
    assert!((380..=560).contains(&world.limit()), "{}", world.limit());
    world.run(900, 3);
    assert!(world.limit() >= 16, "neighbours do not take the rest: {}", world.limit());
}

#[test]
fn without_a_source_it_stays_where_it_begins() {
    let domain = Domain::builder().auto(Auto::default().most_mb(3)).manual().build();
    domain.tick();
    assert_eq!(domain.budget().limit(), 3 * MB);
    let memory = FixedPressure::new(0, 0);
    let domain = Domain::builder().auto(Auto::default().most_mb(3)).pressure(memory.clone()).manual().build();
    domain.tick();
    memory.set_unknown();
    domain.tick();
    assert_eq!(domain.budget().limit(), 3 * MB, "no limit is no reason");
}
