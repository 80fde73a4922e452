//! Ways to arrange the caches: larder's own, and the simplest strong rival, one pool under GDSF.

use std::collections::{BinaryHeap, HashMap};
use std::time::Duration;

use larder::testing::ManualClock;
use larder::{Cache, Domain, Policy};

use super::Outcome;
use super::loads::{EPOCH, Load, Request, WARM};

/// Something that holds entries for all tenants.
pub trait Caches {
    /// Whether the entry is there. Otherwise it was computed, and stored if it may be.
    fn request(&mut self, load: &Load, request: Request) -> bool;

    /// An epoch is over.
    fn end_epoch(&mut self) {}

    /// Another phase begins.
    fn begin_phase(&mut self, _phase: usize) {}

    /// Bytes that each tenant holds.
    fn held(&self) -> Vec<u64> {
        Vec::new()
    }
}

/// Replays a load. `at_epoch` is called with the caches after each epoch.
pub fn replay<C: Caches>(load: &Load, caches: &mut C, mut at_epoch: impl FnMut(usize, &C)) -> Outcome {
    let mut outcome = Outcome::new(load.phases(), load.tenants.len());
    let mut phase = usize::MAX;
    for (at, request) in load.requests.iter().enumerate() {
        if load.phase(at) != phase {
            phase = load.phase(at);
            caches.begin_phase(phase);
        }
        if !caches.request(load, *request) && at >= WARM {
            outcome.cost[phase][usize::from(request.0)] += load.nanos(*request);
        }
        if (at + 1) % EPOCH == 0 {
            caches.end_epoch();
            at_epoch((at + 1) / EPOCH, caches);
        }
    }
    outcome
}

/// What is left out, to see what it brings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Without {
    /// All misses are said to cost the same.
    pub cost: bool,
    /// Nothing is learned or planned: the next victims' prices decide.
    pub curves: bool,
    /// Caches let go what was used least recently.
    pub policy: bool,
}

/// larder: one domain for all tenants, or one for each.
#[derive(Debug)]
pub struct Larder {
    domains: Vec<Domain>,
    clock: ManualClock,
    caches: Vec<Cache<u64, ()>>,
    ticks: bool,
    /// Limits of the domains, for each phase.
    limits: Vec<Vec<u64>>,
}

impl Larder {
    /// One budget.
    #[must_use]
    pub fn shared(load: &Load, budget: u64, without: Without) -> Self {
        let clock = ManualClock::new();
        let domain = Domain::builder().limit_bytes(budget).clock(clock.clone()).manual().build();
        let caches = (0..load.tenants.len()).map(|at| cache(load, at, &domain, without)).collect();
        Self { domains: vec![domain], clock, caches, ticks: !without.curves, limits: Vec::new() }
    }

    /// A budget for each tenant, and for each phase; what is held stays from phase to phase.
    #[must_use]
    pub fn split(load: &Load, limits: Vec<Vec<u64>>) -> Self {
        let clock = ManualClock::new();
        let domain =
            |limit: &u64| Domain::builder().limit_bytes(*limit).clock(clock.clone()).manual().build();
        let domains: Vec<Domain> = limits[0].iter().map(domain).collect();
        let caches =
            domains.iter().enumerate().map(|(at, domain)| cache(load, at, domain, Without::default()));
        let caches = caches.collect();
        Self { domains, clock, caches, ticks: false, limits }
    }
}

fn cache(load: &Load, at: usize, domain: &Domain, without: Without) -> Cache<u64, ()> {
    let kind = load.kind;
    // What the weigher asks is known beforehand, so that it does not need the load.
    let weights = Load::new_like(load);
    let builder = Cache::<u64, ()>::builder(load.tenants[at].name)
        .weigh(move |key, ()| weights.bytes((at as u8, *key)))
        .policy(if without.policy { Policy::Lru } else { Policy::Hybrid });
    let builder = if without.cost { builder.cost(|_, ()| Duration::from_millis(1)) } else { builder };
    builder.build_in(domain).unwrap_or_else(|error| panic!("{kind:?}: {error}"))
}

impl Larder {
    /// What the plan gives each tenant.
    #[must_use]
    pub fn targets(&self) -> Vec<Option<u64>> {
        self.caches.iter().map(|cache| cache.stats().target).collect()
    }
}

impl Caches for Larder {
    fn request(&mut self, load: &Load, request: Request) -> bool {
        let mut found = true;
        self.caches[usize::from(request.0)].get_or_insert_with(request.1, || {
            found = false;
            self.clock.advance(Duration::from_nanos(load.nanos(request)));
        });
        found
    }

    fn end_epoch(&mut self) {
        if self.ticks {
            self.domains[0].tick();
        }
    }

    fn begin_phase(&mut self, phase: usize) {
        let Some(limits) = self.limits.get(phase) else { return };
        // Those that shrink first.
        for pass in [true, false] {
            for (domain, limit) in self.domains.iter().zip(limits) {
                if (*limit < domain.budget().limit()) == pass {
                    domain.budget().set_limit(*limit);
                }
            }
        }
    }

    fn held(&self) -> Vec<u64> {
        self.caches.iter().map(Cache::weight).collect()
    }
}

/// One pool for all entries: what goes is what saves least for each byte, at the frequency seen, aged by what went before
/// (GreedyDual-Size-Frequency; Cherkasova, 1998).
#[derive(Debug)]
pub struct Gdsf {
    budget: u64,
    used: u64,
    level: f64,
    entries: HashMap<Request, Pooled>,
    /// Lowest first; those that were used since are stale.
    heap: BinaryHeap<Next>,
}

#[derive(Debug)]
struct Pooled {
    bytes: u64,
    uses: u32,
    worth: f64,
}

#[derive(Debug, PartialEq)]
struct Next {
    worth: f64,
    request: Request,
}

impl Eq for Next {}

impl Ord for Next {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        other.worth.total_cmp(&self.worth).then_with(|| other.request.cmp(&self.request))
    }
}

impl PartialOrd for Next {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

/// Bytes that an entry takes beside its value, as larder charges them.
const BESIDE: u64 = 64;

impl Gdsf {
    /// An empty pool.
    #[must_use]
    pub fn new(budget: u64) -> Self {
        Self { budget, used: 0, level: 0.0, entries: HashMap::new(), heap: BinaryHeap::new() }
    }
}

impl Caches for Gdsf {
    fn request(&mut self, load: &Load, request: Request) -> bool {
        let (nanos, bytes) = (load.nanos(request) as f64, load.bytes(request) + BESIDE);
        if let Some(entry) = self.entries.get_mut(&request) {
            entry.uses += 1;
            entry.worth = self.level + f64::from(entry.uses) * nanos / entry.bytes as f64;
            return true;
        }
        while self.used + bytes > self.budget {
            let Some(next) = self.heap.pop() else { return false };
            let Some(entry) = self.entries.get(&next.request) else { continue };
            if entry.worth > next.worth {
                let worth = entry.worth;
                self.heap.push(Next { worth, request: next.request });
                continue;
            }
            self.level = next.worth;
            self.used -= entry.bytes;
            self.entries.remove(&next.request);
        }
        let worth = self.level + nanos / bytes as f64;
        self.used += bytes;
        self.entries.insert(request, Pooled { bytes, uses: 1, worth });
        self.heap.push(Next { worth, request });
        false
    }

    fn held(&self) -> Vec<u64> {
        let mut held = vec![0; 8];
        for (request, entry) in &self.entries {
            held[usize::from(request.0)] += entry.bytes;
        }
        held
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::split::loads::Kind;

    #[test]
    fn gdsf_keeps_within_its_budget_and_lets_go_what_saves_least() {
        let load = Load::new(Kind::Steady, 1);
        let mut pool = Gdsf::new(1 << 20);
        for request in &load.requests[..50_000] {
            pool.request(&load, *request);
            assert!(pool.used <= pool.budget);
        }
        assert_eq!(pool.held().iter().sum::<u64>(), pool.used);
        // Lookups are the cheapest for their size, and asked for most often.
        assert!(pool.held()[0] < pool.used / 4, "{:?}", pool.held());
    }

    #[test]
    fn larder_keeps_within_its_budget() {
        let mut load = Load::new(Kind::Shift, 1);
        load.requests.truncate(2 * EPOCH);
        let mut larder = Larder::shared(&load, 4 << 20, Without::default());
        replay(&load, &mut larder, |_, larder| assert!(larder.held().iter().sum::<u64>() <= 4 << 20));
    }
}
