//! A pool as a tenant: its part of the budget, and the instances that share it.
//!
//! A run-time pool has one instance. An annotated generic type has one for each set of types that it was used with, and a
//! type whose objects stay on their threads one for each thread: all of them are one tenant, with one ceiling, one price
//! and one row in the statistics. Bounds in objects are each instance's own. Not here: what an instance does.

use std::sync::{Arc, Weak};

use super::core::Dropped;
use crate::curve::Curve;
use crate::domain::DomainCore;
use crate::domain::scope::State;
use crate::instances::{Instances, Ranked};
use crate::stats::{Count, TenantStats};
use crate::sync::{AtomicUsize, Ordering};
use crate::tenant::{Card, Claim, Given, Need, ScopeId, Tenant, Terms, Twins, arc};
use crate::time::Nanos;
use crate::unwind::each_to_the_end;

/// An instance as others hold it.
type Held = Arc<dyn Instance>;

/// One pool of a tenant, whatever its type. Its credit is what the next object to go is worth.
pub(crate) trait Instance: Ranked + Send + Sync {
    /// What each byte of the next object to go saves, in nanoseconds.
    fn density(&self) -> f64;

    /// What its leases say of more objects and fewer, if that is enough to go by. An epoch ends.
    fn learn(&self) -> Option<Curve>;

    /// Drops idle objects, the coldest first, and counts them as `why`.
    fn reclaim(&self, claim: Claim, why: Count) -> Dropped;

    /// Drops what is too old; returns the bytes that left.
    fn sweep(&self, now: Nanos) -> u64;

    /// Drops all that is idle, because memory is short; returns the bytes that left.
    fn drop_idle(&self) -> u64;

    /// Drops all that is idle, because the user says so.
    fn clear(&self);

    /// Takes over the mode of the domain.
    fn follow_mode(&self);

    /// Drops the instance's twin of this scope.
    fn leave(&self, scope: ScopeId);

    /// How many objects there are.
    fn figures(&self) -> Figures;
}

/// Where the cheapest instance had nothing to give, so many others are asked before all of them are.
const OTHERS: usize = 8;

/// How many objects an instance has.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Figures {
    /// Those that count against `max`.
    pub(crate) members: u64,
    pub(crate) leased: u64,
    /// Bytes that no reservation covers.
    pub(crate) uncharged: u64,
    /// The bound; [`u64::MAX`] without one.
    pub(crate) max: u64,
}

/// What the instances of one pool share.
pub(crate) struct PoolTenant {
    pub(crate) card: Arc<Card>,
    pub(crate) domain: Arc<DomainCore>,
    instances: Instances<dyn Instance>,
    /// How many ever came; while it is one, its price is the tenant's.
    adopted: AtomicUsize,
    /// What stands for this tenant in scopes of tests.
    twins: Twins<Self>,
}

impl PoolTenant {
    /// A new tenant of this domain, without instances; runs nothing of the user's.
    pub(crate) fn new(domain: &Arc<DomainCore>, terms: Terms) -> Arc<Self> {
        let card = domain.enroll(terms);
        let tenant = Arc::new(Self {
            card: Arc::clone(&card),
            domain: Arc::clone(domain),
            instances: Instances::new(false),
            adopted: AtomicUsize::new(0),
            twins: Twins::new(),
        });
        card.add_base(arc::<Self>());
        let weak: Weak<Self> = Arc::downgrade(&tenant);
        domain.admit(&card, weak);
        tenant
    }

    /// Adds an instance, which hears of changes of the mode from now on.
    pub(super) fn adopt(&self, instance: &Held) {
        self.card.add_base(self.instances.add(instance));
        self.adopted.fetch_add(1, Ordering::SeqCst);
        // Once it is on the list: a change of mode either finds it there, or is seen here.
        instance.follow_mode();
    }

    /// An instance is gone.
    pub(super) fn forget(&self, instance: &(impl Ranked + ?Sized)) {
        self.card.remove_base(self.instances.remove(instance));
        self.card.publish(self.instances.lowest_credit());
    }

    /// What stands for this tenant in a scope of a test: made on first use there, for all instances.
    pub(super) fn twin(&self, scope: &State) -> Arc<Self> {
        self.twins.find_or_make(scope.id(), || Self::new(&scope.twin_of(&self.domain), self.card.terms()))
    }

    /// Handles, because what they drop is dropped before they return, and a user's `Drop` may call a new instance into
    /// being. Not where somebody waits for room: there may be thousands.
    fn live(&self) -> impl Iterator<Item = Held> {
        self.instances.live().into_iter()
    }

    /// What all instances say together. A user's `Drop` that panics in one keeps none from being asked.
    fn sum(&self, mut ask: impl FnMut(Held) -> u64) -> u64 {
        let mut sum = 0;
        each_to_the_end(self.live(), |instance| sum += ask(instance));
        sum
    }

    /// Whether there is more than the instance that asks.
    pub(super) fn has_several(&self) -> bool {
        self.adopted.load(Ordering::SeqCst) > 1
    }

    /// Says what the next object to go is worth, after it changed in this instance.
    pub(super) fn publish(&self, instance: &(impl Ranked + ?Sized)) {
        if !self.has_several() {
            return self.card.publish(instance.credit());
        }
        self.instances.renew(instance);
        self.card.publish(self.instances.lowest_credit());
    }

    /// Drops about so many bytes of idle objects for the tenant's own bound; returns what went.
    pub(super) fn make_way(&self, bytes: u64) -> Dropped {
        let claim = Claim { bytes, upto: f64::INFINITY, level: f64::INFINITY, need: Need::Own };
        self.drop_cheapest(claim, Count::Evictions)
    }

    fn drop_cheapest(&self, claim: Claim, why: Count) -> Dropped {
        let Some(cheapest) = self.instances.cheapest() else { return Dropped::default() };
        let dropped = cheapest.reclaim(claim, why);
        if dropped.count > 0 {
            return dropped;
        }
        if !self.has_several() {
            self.card.publish(cheapest.credit());
            return dropped;
        }
        // Seldom: what it had went in the meantime, or only its own thread can take it.
        self.instances.renew(&*cheapest);
        let others = [OTHERS, usize::MAX].into_iter().flat_map(|most| self.instances.by_credit(most));
        let mut others = others.map(|instance| {
            let dropped = instance.reclaim(claim, why);
            self.instances.renew(&*instance);
            dropped
        });
        let dropped = others.find(|dropped| dropped.count > 0).unwrap_or_default();
        self.card.publish(self.instances.lowest_credit());
        dropped
    }
}

impl Tenant for PoolTenant {
    fn card(&self) -> &Card {
        &self.card
    }

    fn reclaim(&self, claim: Claim) -> Given {
        let dropped = self.drop_cheapest(claim, Count::Reclaims);
        if let Some(price) = dropped.price {
            self.domain.raise_inflation(price.min(claim.level));
        }
        Given { bytes: dropped.bytes, entries: dropped.count, waiting: 0 }
    }

    fn sweep(&self, now: Nanos) -> u64 {
        self.sum(|instance| instance.sweep(now))
    }

    fn learn(&self) -> Option<Curve> {
        // One that lends next to nothing has no use for more.
        let mut curves: Vec<Curve> = self.live().filter_map(|instance| instance.learn()).collect();
        if curves.len() > 1 { Some(Curve::merged(&curves)) } else { curves.pop() }
    }

    fn drop_idle(&self) -> u64 {
        self.sum(|instance| instance.drop_idle())
    }

    fn clear(&self) {
        each_to_the_end(self.live(), |instance| instance.clear());
    }

    fn follow_mode(&self) {
        self.live().for_each(|instance| instance.follow_mode());
    }

    fn leave(&self, scope: ScopeId) {
        each_to_the_end(self.live(), |instance| instance.leave(scope));
        drop(self.twins.leave(scope));
    }

    fn marginal(&self) -> f64 {
        match self.instances.cheapest() {
            Some(cheapest) if cheapest.credit().is_finite() => cheapest.density() * self.card.scale(),
            _ => 0.0,
        }
    }

    fn stats(&self) -> TenantStats {
        let mut stats = TenantStats::empty(self.card.name.to_string(), self.card.kind);
        let mut max = 0_u64;
        for figures in self.live().map(|instance| instance.figures()) {
            stats.entries += figures.members;
            stats.leased += figures.leased;
            stats.uncharged += figures.uncharged;
            max = max.saturating_add(figures.max);
        }
        stats.uncharged += self.card.uncovered();
        stats.max_entries = (max > 0 && max < u64::MAX).then_some(max);
        stats
    }
}

impl Drop for PoolTenant {
    /// The card stays on the domain's list until the next tenant comes; its bytes must not.
    fn drop(&mut self) {
        self.card.close();
    }
}

#[cfg(all(test, not(larder_shuttle)))]
mod tests {
    use super::*;
    use crate::descriptor::Kind;
    use crate::pool::recipe::{Recipe, poolable};
    use crate::pool::{Options, Pool, PoolCore};
    use crate::weight::Weigher;
    use crate::{Domain, testing::ManualClock};

    /// Instances of one tenant, each with one idle object, the first of them the heaviest.
    fn instances(tenant: &Arc<PoolTenant>, count: usize) -> Vec<Pool<Vec<u8>>> {
        let instance = |n: usize| {
            let recipe = Recipe::new(move || Vec::with_capacity(1000 + 100 * (count - n)));
            let recipe = Arc::new(recipe.or_weighed(Weigher::deep()));
            let core = PoolCore::new(tenant, Options::default(), recipe, poolable());
            let pool = Pool::from_core(core);
            drop(pool.acquire());
            pool.core.gather();
            pool
        };
        (0..count).map(instance).collect()
    }

    #[test]
    fn of_hundreds_of_instances_the_cheapest_gives_and_its_price_is_the_tenants() {
        let domain = Domain::builder().limit_bytes(64 << 20).clock(ManualClock::new()).manual().build();
        let terms = Terms {
            name: "instances".to_owned(),
            kind: Kind::Pool,
            descriptor: None,
            priority: 1.0,
            floor: 0,
            ceiling: u64::MAX,
        };
        let base = domain.budget().used();
        let tenant = PoolTenant::new(&domain.core, terms);
        let mut pools = instances(&tenant, 300);
        let claim = Claim { bytes: 1, upto: f64::INFINITY, level: f64::INFINITY, need: Need::Others };
        for n in 0..200 {
            let credit = pools[n].core.credit();
            assert_eq!(tenant.card.price(), credit, "the heaviest is worth least a byte");
            assert!(pools[n + 1..].iter().all(|pool| pool.core.credit() > credit));
            assert_eq!(tenant.reclaim(claim).entries, 1);
            assert_eq!((pools[n].idle(), pools[n].core.credit()), (0, f64::INFINITY));
        }
        // Who goes leaves its place, and what it took.
        drop(pools.drain(..250));
        assert_eq!(tenant.card.price(), pools[0].core.credit());
        let figures = tenant.stats();
        assert_eq!(figures.entries, 50);
        drop(pools);
        assert_eq!((tenant.card.price(), tenant.reclaim(claim).entries), (f64::INFINITY, 0));
        drop(tenant);
        assert_eq!(domain.budget().used(), base);
    }
}
