//! A pool as a tenant: its part of the budget, and the instances that share it.
//!
//! A run-time pool has one instance. An annotated generic type has one for each set of types that it was used with, and a
//! type whose objects stay on their threads one for each thread: all of them are one tenant, with one ceiling, one price
//! and one row in the statistics. Bounds in objects are each instance's own. Not here: what an instance does.

use std::sync::{Arc, Weak};

use smallvec::SmallVec;

use super::core::Dropped;
use crate::curve::Curve;
use crate::domain::DomainCore;
use crate::domain::scope::State;
use crate::stats::{Count, TenantStats};
use crate::sync::{AtomicUsize, Ordering, RwLock, fork};
use crate::tenant::{Card, Claim, Given, Need, ScopeId, Tenant, Terms, Twins, arc};
use crate::time::Nanos;

/// One pool of a tenant, whatever its type.
pub(crate) trait Instance: Send + Sync {
    /// What the next object to go is worth; infinite without one.
    fn price(&self) -> f64;

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
    instances: RwLock<SmallVec<[Weak<dyn Instance>; 1]>>,
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
            instances: RwLock::new(SmallVec::new()),
            adopted: AtomicUsize::new(0),
            twins: Twins::new(),
        });
        card.add_base(arc::<Self>());
        let weak: Weak<Self> = Arc::downgrade(&tenant);
        domain.admit(&card, weak);
        tenant
    }

    /// Adds an instance, which hears of changes of the mode from now on.
    pub(super) fn adopt(&self, instance: &Arc<dyn Instance>) {
        let mut instances = self.instances.write();
        if instances.len() == instances.capacity() {
            instances.retain(|instance| instance.strong_count() > 0);
        }
        instances.push(Arc::downgrade(instance));
        self.adopted.fetch_add(1, Ordering::SeqCst);
        drop(instances);
        // Once it is on the list: a change of mode either finds it there, or is seen here.
        instance.follow_mode();
    }

    /// What stands for this tenant in a scope of a test: made on first use there, for all instances.
    pub(super) fn twin(&self, scope: &State) -> Arc<Self> {
        self.twins.find_or_make(scope.id(), || Self::new(&scope.twin_of(&self.domain), self.card.terms()))
    }

    /// Handles, because what they drop is dropped before they return, and a user's `Drop` may call a new instance into
    /// being. Nearly always there is one.
    fn live(&self) -> SmallVec<[Arc<dyn Instance>; 1]> {
        let instances = fork::read(&self.instances);
        instances.iter().flat_map(|instances| instances.iter().filter_map(Weak::upgrade)).collect()
    }

    /// Whether there is more than the instance that asks.
    pub(super) fn has_several(&self) -> bool {
        self.adopted.load(Ordering::SeqCst) > 1
    }

    /// Says what the next object to go is worth, after an instance found another `price` for its own.
    pub(super) fn publish(&self, price: f64) {
        if !self.has_several() {
            return self.card.publish(price);
        }
        self.card.publish(self.live().iter().fold(f64::INFINITY, |least, other| least.min(other.price())));
    }

    /// Drops about so many bytes of idle objects for the tenant's own bound; returns what went.
    pub(super) fn make_way(&self, bytes: u64) -> Dropped {
        let claim = Claim { bytes, upto: f64::INFINITY, level: f64::INFINITY, need: Need::Own };
        self.drop_cheapest(claim, Count::Evictions)
    }

    fn drop_cheapest(&self, claim: Claim, why: Count) -> Dropped {
        let mut instances = self.live();
        instances.sort_by(|a, b| a.price().total_cmp(&b.price()));
        let mut dropped = instances.iter().map(|instance| instance.reclaim(claim, why));
        dropped.find(|dropped| dropped.count > 0).unwrap_or_default()
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
        self.live().iter().map(|instance| instance.sweep(now)).sum()
    }

    fn learn(&self) -> Option<Curve> {
        // One that lends next to nothing has no use for more.
        let mut curves: Vec<Curve> = self.live().iter().filter_map(|instance| instance.learn()).collect();
        if curves.len() > 1 { Some(Curve::merged(&curves)) } else { curves.pop() }
    }

    fn drop_idle(&self) -> u64 {
        self.live().iter().map(|instance| instance.drop_idle()).sum()
    }

    fn clear(&self) {
        self.live().iter().for_each(|instance| instance.clear());
    }

    fn follow_mode(&self) {
        self.live().iter().for_each(|instance| instance.follow_mode());
    }

    fn leave(&self, scope: ScopeId) {
        self.live().iter().for_each(|instance| instance.leave(scope));
        drop(self.twins.leave(scope));
    }

    fn marginal(&self) -> f64 {
        let cheapest = self.live().into_iter().min_by(|a, b| a.price().total_cmp(&b.price()));
        match cheapest {
            Some(cheapest) if cheapest.price().is_finite() => cheapest.density() * self.card.scale(),
            _ => 0.0,
        }
    }

    fn stats(&self) -> TenantStats {
        let mut stats = TenantStats::empty(self.card.name.to_string(), self.card.kind);
        let mut max = 0_u64;
        for figures in self.live().iter().map(|instance| instance.figures()) {
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
