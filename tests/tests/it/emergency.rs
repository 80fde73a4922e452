//! Memory that is nearly out: who goes in which order, whether that helped, what the allocator is asked, and how slowly
//! things grow back.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use larder::{
    Builder, Cache, Cause, Domain, DomainBuilder, Level, Pool,
    testing::{FixedPressure, ManualClock},
};

use crate::support::{MB, check, panics, pressed};

struct World {
    domain: Domain,
    clock: ManualClock,
    memory: FixedPressure,
}

impl World {
    fn new(limit: u64, configure: impl FnOnce(DomainBuilder) -> DomainBuilder) -> Self {
        let (domain, clock, memory) = pressed(limit, configure);
        Self { domain, clock, memory }
    }

    fn builder(name: &str, priority: f64) -> Builder<u64, u64> {
        let builder = Cache::builder(name).priority(priority).weigh(|_, value| *value);
        builder.cost(|_, _| Duration::from_millis(1))
    }

    fn cache(&self, name: &str, priority: f64) -> Cache<u64, u64> {
        Self::builder(name, priority).build_in(&self.domain).unwrap()
    }

    fn second(&self) {
        self.clock.advance(Duration::from_secs(1));
        self.domain.tick();
    }

    fn percent(&self, percent: u64) {
        self.memory.set(percent * 10 * MB, 1000 * MB);
        self.second();
    }

    fn allowed(&self) -> u64 {
        self.domain.stats().budget.allowed
    }
}

fn fill(cache: &Cache<u64, u64>, megabytes: u64) {
    for key in 0..megabytes * 10 {
        cache.insert(key, MB / 10);
    }
}

/// So many hits on what is in the cache.
fn hit(cache: &Cache<u64, u64>, hits: u64) {
    let held = cache.len() as u64;
    (0..hits).for_each(|at| assert!(cache.get(at % held).is_some(), "{at} of {held}"));
}

#[test]
fn idle_objects_go_first_then_what_is_expired_then_whole_tenants_by_what_their_bytes_earn() {
    let world = World::new(400 * MB, |builder| builder);
    let pool: Pool<Vec<u8>> = Pool::builder("pool", || vec![0; 100_000]).build_in(&world.domain).unwrap();
    let leases: Vec<_> = (0..20).map(|_| pool.acquire()).collect();
    drop(leases);
    let second = Duration::from_secs(3);
    let expiring = World::builder("expiring", 100.0).ttl(second).build_in(&world.domain).unwrap();
    let caches =
        [("busy", 1.0), ("lazy", 1.0), ("wanted", 50.0)].map(|(name, priority)| world.cache(name, priority));
    let [busy, lazy, wanted] = &caches;
    fill(&expiring, 40);
    caches.iter().for_each(|cache| fill(cache, 100));
    for _ in 0..5 {
        // Hits count, not what each entry has been through: the front of `lazy` is no cheaper than that of `busy`.
        hit(busy, 2000);
        hit(lazy, 200);
        hit(wanted, 100);
        world.second();
    }
    assert!(expiring.is_empty());
    let before = world.domain.budget().used();
    world.percent(96);
    assert_eq!(world.domain.pressure(), Level::Emergency);
    assert_eq!(pool.idle(), 0);
    // 160 MB are missing to 80 % of 1000 MB: all of the tenant whose bytes earn least, and part of the next.
    let freed = before - world.domain.budget().used();
    assert!((160 * MB..162 * MB).contains(&freed), "{freed}");
    assert_eq!((lazy.len(), wanted.len()), (0, 1000), "{}", world.domain.explain());
    assert!((300..500).contains(&busy.len()), "{}", busy.len());
    let decision = &world.domain.explain().decisions[0];
    assert_eq!((decision.cause, decision.gave[0].0.as_str()), (Cause::Emergency, "lazy"));
    check(&world.domain);
}

#[test]
fn an_emergency_leaves_floors_and_what_is_pinned() {
    let world = World::new(200 * MB, |builder| builder);
    let floor = World::builder("floor", 1.0).min_mb(30).build_in(&world.domain).unwrap();
    let pinned = World::builder("pinned", 1.0).pinned().build_in(&world.domain).unwrap();
    let other = world.cache("other", 1.0);
    [&floor, &pinned].iter().for_each(|cache| fill(cache, 50));
    fill(&other, 90);
    hit(&other, 1000);
    world.second();
    world.second();
    (0..20).for_each(|_| world.percent(100));
    assert!(floor.weight() >= 30 * MB && pinned.len() == 500, "{}", world.domain.explain());
    assert_eq!(other.len(), 0);
    let reason = &world.domain.explain().decisions[0].reason;
    assert!(reason.starts_with("fixed 100 % full of 1000.0 MB"), "{reason}");
    check(&world.domain);
}

#[test]
fn growth_is_held_back_while_memory_fills_by_itself() {
    let world = World::new(100 * MB, |builder| builder);
    let cache = world.cache("cache", 1.0);
    fill(&cache, 100);
    world.percent(92);
    world.percent(40);
    let before = world.allowed();
    assert!(before < 90 * MB, "{before}");
    for percent in 41..60 {
        world.percent(percent);
        assert_eq!(world.allowed(), before, "at {percent} %");
    }
    let decision = world.domain.explain().decisions.swap_remove(0);
    assert_eq!(decision.cause, Cause::Growth);
    assert!(decision.reason.starts_with("held back: ") && decision.allowed_after <= before, "{decision:?}");
    world.percent(59);
    assert_eq!(world.allowed(), before + 2 * MB, "it stands still again");
    // What the caches themselves take again holds nobody back.
    let (mut taken, held) = (590 * MB, cache.weight());
    (20_000..20_010).for_each(|key| cache.insert(key, MB / 10));
    taken += cache.weight() - held;
    world.memory.set(taken, 1000 * MB);
    world.second();
    assert_eq!(world.allowed(), before + 4 * MB);
    check(&world.domain);
}

#[test]
fn the_allocator_is_asked_once_a_round_and_what_it_keeps_is_told_apart() {
    let asked = Arc::new(AtomicU64::new(0));
    let memory = FixedPressure::new(100 * MB, 1000 * MB);
    let (counter, gauge) = (Arc::clone(&asked), memory.clone());
    let world = World::new(400 * MB, |builder| {
        builder.pressure(memory.clone()).purge(move || {
            counter.fetch_add(1, Ordering::Relaxed);
            gauge.set_resident(600 * MB);
        })
    });
    let world = World { memory: memory.clone(), ..world };
    let cache = world.cache("cache", 1.0);
    fill(&cache, 390);
    memory.set_resident(700 * MB);
    world.second();
    assert_eq!(asked.load(Ordering::Relaxed), 0, "not without need");
    world.percent(96);
    assert_eq!(asked.load(Ordering::Relaxed), 1);
    let decision = world.domain.explain().decisions.swap_remove(0);
    assert_eq!(decision.returned, Some(100 * MB));
    let retained = world.domain.stats().coordinator.retained;
    assert_eq!(retained, decision.freed - 100 * MB);
    let text = decision.to_string();
    assert!(text.contains("100.0 MB of it returned to the system"), "{text}");
    // It comes back later.
    memory.set_resident(580 * MB);
    world.percent(70);
    assert_eq!(world.domain.stats().coordinator.retained, retained - 20 * MB);
    assert_eq!(asked.load(Ordering::Relaxed), 1);
    let _ = world.domain.trim(MB);
    assert_eq!(asked.load(Ordering::Relaxed), 2, "a trim asks, too");
    // One that panics changes nothing.
    world.domain.set_purge(|| panic!("a purge that fails, on purpose"));
    assert!(!panics(|| drop(world.domain.trim(MB))));
    assert!(!panics(|| world.percent(97)));
    check(&world.domain);
}

#[test]
fn where_evicting_does_not_help_the_rest_stays() {
    let world = World::new(400 * MB, |builder| builder.purge(|| {}));
    let cache = world.cache("cache", 1.0);
    fill(&cache, 390);
    world.memory.set_resident(700 * MB);
    world.percent(96);
    world.percent(96);
    let left = world.allowed();
    assert!(left < 240 * MB, "{left}");
    (0..10).for_each(|_| world.percent(96));
    assert_eq!(world.allowed(), left, "the allocator returns nothing, and memory is no fuller");
    world.percent(97);
    assert!(world.allowed() < left, "it is fuller");
    check(&world.domain);
}

/// Its drop uses everything that can be asked of a domain.
struct Nosy(std::sync::Weak<Domain>);

impl Drop for Nosy {
    fn drop(&mut self) {
        if let Some(domain) = self.0.upgrade() {
            ask_everything(&domain);
        }
    }
}

fn ask_everything(domain: &Domain) {
    domain.tick();
    let _ = (domain.trim(MB), domain.explain(), domain.stats());
    let _ = domain.namespace("nosy").set_share(0.1);
    let _ = domain.namespace("nosy").trim(MB);
}

#[test]
fn what_goes_in_an_emergency_may_ask_for_anything() {
    let (clock, memory) = (ManualClock::new(), FixedPressure::new(100 * MB, 1000 * MB));
    let domain = Arc::new_cyclic(|domain: &std::sync::Weak<Domain>| {
        let asked = domain.clone();
        let builder = Domain::builder().limit_bytes(400 * MB).clock(clock.clone()).pressure(memory.clone());
        builder
            .manual()
            .purge(move || asked.upgrade().iter().for_each(|domain| ask_everything(domain)))
            .build()
    });
    let builder = Cache::<u64, Arc<Nosy>>::builder("nosy::values").weigh(|_, _| MB);
    let cache = builder.build_in(&domain).unwrap();
    for key in 0..300 {
        cache.insert(key, Arc::new(Nosy(Arc::downgrade(&domain))));
    }
    for fullness in [100, 100, 850, 970, 970, 500] {
        memory.set(fullness * MB, 1000 * MB);
        clock.advance(Duration::from_secs(1));
        domain.tick();
    }
    assert!(cache.len() < 200 && domain.budget().used() <= domain.budget().limit(), "{}", domain.explain());
    check(&domain);
}
