//! A cache as a tenant: its bounds, its part of the budget, and the instances that share both.
//!
//! A run-time cache has one instance. An annotated generic function has one for each set of types it was
//! called with; all of them are one tenant, with one ceiling, one price and one row in the stats.

use std::sync::{Arc, Weak};

use super::rate::Rate;
use crate::cost::{Measure, Median};
use crate::curve::{Curve, Followed, Reuse, Sampling};
use crate::domain::DomainCore;
use crate::domain::scope::State;
use crate::expiry::{Expires, Lifetime};
use crate::instances::{Instances, Ranked};
use crate::policy::{Moment, Policy};
use crate::stats::{Count, TenantStats};
use crate::store::{Evicted, Wanted};
use crate::sync::{AtomicU64, Ordering, RwLock, fence, fork};
use crate::tenant::{Card, Claim, Given, Need, ScopeId, Tenant, Twins, arc};
#[cfg(feature = "tiers")]
use crate::tier::TierStats;
use crate::time::Nanos;
use crate::unwind::each_to_the_end;
use crate::weight::weigh::allocation;

/// So many bytes above a floor are claimed at once, at least, so that several can reclaim there at a time.
const CLAIM: u64 = 64 * 1024;
/// Where the cheapest instance had nothing to give, so many others are asked before all of them are.
const OTHERS: usize = 8;
/// So many instances at the most are asked for what is expired, each time.
const EXPIRED: usize = 16;

/// An instance as others hold it.
type Held = Arc<dyn Instance + Send + Sync>;

/// One cache of a tenant, whatever its types.
pub(crate) trait Instance: Ranked {
    /// What each byte of its next victim saves, in nanoseconds of compute, and that victim's credit.
    fn next_victim(&self) -> Option<(f64, f64)>;

    /// Evicts what is wanted, at least one entry if one may go; counts them as `why`.
    fn evict(&self, tenant: &CacheTenant, wanted: Wanted, why: Count) -> Evicted;

    /// Takes out what is expired by `now`; returns the number of entries.
    fn expire(&self, tenant: &CacheTenant, now: Nanos) -> u64;

    /// Takes out some of what is expired by `now`, from one shard, waiting for it only if `patient`; returns the
    /// number of entries, 0 when there is nothing to take.
    fn expire_some(&self, tenant: &CacheTenant, now: Nanos, patient: bool) -> u64;

    /// Drops what left and was still read then.
    fn collect(&self, tenant: &CacheTenant);

    /// Takes everything out.
    fn clear(&self, tenant: &CacheTenant);

    /// Figures of what is below, from the top.
    #[cfg(feature = "tiers")]
    fn tiers(&self) -> Vec<TierStats> {
        Vec::new()
    }

    /// Has what waits to be written outlive the process; `false` where that was not possible in time.
    #[cfg(feature = "tiers")]
    fn flush(&self, _until: std::time::Instant) -> bool {
        true
    }

    /// What outlived the process is all known: some of it comes into memory.
    #[cfg(feature = "tiers")]
    fn bring_up(&self) {}

    /// How many calls of its removal listener panicked.
    fn listener_panics(&self) -> u64;

    /// The curve follows the keys whose hashes have an upper half from this one on.
    fn follow_keys(&self, followed: Followed);

    /// Takes over the mode of the domain.
    fn follow_mode(&self);

    /// Drops the instance's twin of this scope.
    fn leave(&self, scope: ScopeId);
}

/// The bounds and books that the instances of one cache share.
pub(crate) struct CacheTenant {
    pub(crate) card: Arc<Card>,
    pub(crate) core: Arc<DomainCore>,
    pub(crate) policy: Policy,
    /// The bound on `entries`, `u64::MAX` without one.
    max_entries: AtomicU64,
    /// Entries linked or about to be; never rises above `max_entries`.
    entries: AtomicU64,
    /// Bits of how far evictions for the tenant's own bound have aged it beyond the domain's inflation.
    /// Prices are published without it, so that they compare.
    lead: AtomicU64,
    /// Between credits and prices; `None` until the priority changes.
    rate: RwLock<Option<Box<Rate>>>,
    pub(crate) costs: Median,
    /// What of a load is its cost.
    pub(crate) measure: Measure,
    /// What its uses tell of its curve.
    pub(super) sampling: Sampling,
    /// How long entries live; `None` when nothing expires. Boxed, because most caches have none.
    pub(crate) lifetime: Option<Box<Lifetime>>,
    instances: Instances<dyn Instance + Send + Sync>,
    /// What stands for this tenant in scopes of tests.
    twins: Twins<Self>,
}

impl CacheTenant {
    /// `alone` promises that there will be one instance only.
    pub(crate) fn new(
        core: &Arc<DomainCore>,
        card: Arc<Card>,
        policy: Policy,
        max_entries: Option<u64>,
        lifetime: Option<Lifetime>,
        measure: Measure,
        alone: bool,
    ) -> Arc<Self> {
        let tenant = Arc::new(Self {
            card: Arc::clone(&card),
            core: Arc::clone(core),
            policy,
            max_entries: AtomicU64::new(max_entries.unwrap_or(u64::MAX)),
            entries: AtomicU64::new(0),
            lead: AtomicU64::new(0.0_f64.to_bits()),
            rate: RwLock::new(None),
            costs: Median::default(),
            measure,
            sampling: Sampling::default(),
            lifetime: lifetime.map(Box::new),
            instances: Instances::new(alone),
            twins: Twins::new(),
        });
        let lifetime = tenant.lifetime.as_ref().map_or(0, |_| allocation(size_of::<Lifetime>()));
        card.add_base(arc::<Self>() + lifetime);
        let weak: Weak<Self> = Arc::downgrade(&tenant);
        core.admit(&card, weak);
        tenant
    }

    /// Adds an instance that takes `base` bytes while it is empty, and charges them if anybody can make way; if
    /// not, the first entry tries again. The instance hears of mode changes from now on.
    pub(crate) fn adopt(&self, instance: &Held, base: u64) {
        let grown = self.instances.add(instance);
        instance.follow_mode();
        self.card.add_base(base + grown);
    }

    /// An instance that took `base` bytes while it was empty is gone.
    pub(super) fn forget(&self, instance: &dyn Instance, base: u64) {
        self.card.remove_base(base + self.instances.remove(instance));
    }

    /// What stands for this tenant in a scope of a test: made on first use there, for all instances.
    pub(super) fn twin(&self, scope: &State) -> Arc<Self> {
        self.twins.find_or_make(scope.id(), || {
            let core = scope.twin_of(&self.core);
            let card = core.enroll(self.card.terms());
            card.set_estimated(self.card.is_estimated());
            let lifetime = self.lifetime.as_deref().copied();
            let (max_entries, alone) = (Some(self.max_entries()), self.instances.is_alone());
            Self::new(&core, card, self.policy, max_entries, lifetime, self.measure, alone)
        })
    }

    /// Bytes that everything but one entry can give at the most: an entry that takes more with all it needs is
    /// never stored.
    #[inline]
    pub(crate) fn room(&self) -> u64 {
        self.card.ceiling().min(self.core.ledger.limit()).saturating_sub(self.card.base())
    }

    /// How entries expire.
    #[inline]
    pub(crate) fn expires(&self) -> Expires {
        self.lifetime.as_deref().map_or(Expires::Never, Lifetime::expires)
    }

    /// The time, where entries expire; where they do not, no clock is read.
    #[inline]
    pub(crate) fn now(&self) -> Nanos {
        if self.lifetime.is_some() { self.core.now() } else { 0 }
    }

    #[inline]
    pub(crate) fn entries(&self) -> u64 {
        self.entries.load(Ordering::Relaxed)
    }

    #[inline]
    pub(super) fn max_entries(&self) -> u64 {
        self.max_entries.load(Ordering::Relaxed)
    }

    #[inline]
    pub(crate) fn is_full(&self) -> bool {
        self.entries() >= self.max_entries()
    }

    /// Sets the bound on bytes, and evicts what is above.
    pub(super) fn set_max_bytes(&self, bytes: u64) {
        self.card.set_ceiling(bytes);
        self.fit_bytes();
        self.card.reservation.release_credit();
    }

    fn fit_bytes(&self) {
        while let over @ 1.. = self.card.reservation.spent().saturating_sub(self.card.ceiling()) {
            let evicted = self.evict_own(over);
            if evicted.is_nothing() {
                // Not even the empty cache fits, or what is pinned; or what left is read still.
                if self.card.reservation.pinned() == 0 && evicted.waiting == 0 {
                    self.card.uncover();
                }
                break;
            }
        }
    }

    /// Sets the bound on entries, and evicts what is above.
    pub(super) fn set_max_entries(&self, entries: u64) {
        self.max_entries.store(entries, Ordering::Relaxed);
        self.fit_entries();
        self.card.reservation.release_credit();
    }

    fn fit_entries(&self) {
        while self.entries() > self.max_entries() && self.evict_own(0).entries > 0 {}
    }

    /// Evicts what is above the bounds: what they could not take while it was pinned, or what grew under a lock.
    pub(super) fn fit_bounds(&self) {
        self.publish();
        self.fit_entries();
        self.fit_bytes();
        if self.core.ledger.used() > self.core.ledger.allowed() {
            self.core.relief().fit(&self.core);
        }
    }

    /// Sets what prices are multiplied with, from the level that eviction has reached on: what is there keeps its
    /// distance to that level, on the new scale.
    pub(super) fn set_priority(&self, priority: f64) {
        let mut rate = self.rate.write();
        let inflation = self.core.inflation();
        let level = self.rate_of(rate.as_deref()).level(inflation);
        self.card.set_priority(priority);
        *rate = Some(Box::new(Rate { credit: level, price: inflation, scale: self.card.scale() }));
        self.card.set_repriced();
        drop(rate);
        self.publish();
    }

    /// What orders depend on now. The store fills in its own tick, and how exact it is.
    #[inline]
    pub(crate) fn moment(&self) -> Moment {
        let inflation = self.level() + self.lead();
        Moment { tick: 0, exact: false, inflation, filling: self.is_filling() }
    }

    /// Whether more than a tenth of each bound is free.
    #[inline]
    fn is_filling(&self) -> bool {
        let ledger = &self.core.ledger;
        let has_room = |taken: u64, bound: u64| taken.saturating_mul(10) < bound.saturating_mul(9);
        has_room(self.entries(), self.max_entries())
            && has_room(self.card.reservation.spent(), self.card.ceiling())
            && has_room(ledger.used(), ledger.limit())
    }

    #[inline]
    fn rate(&self) -> Rate {
        if self.card.is_repriced() { self.rate_of(self.rate.read().as_deref()) } else { self.rate_of(None) }
    }

    #[inline]
    fn rate_of(&self, changed: Option<&Rate>) -> Rate {
        changed.copied().unwrap_or_else(|| Rate { credit: 0.0, price: 0.0, scale: self.card.scale() })
    }

    /// The domain's inflation on this tenant's scale.
    #[inline]
    fn level(&self) -> f64 {
        self.rate().level(self.core.inflation())
    }

    #[inline]
    fn lead(&self) -> f64 {
        f64::from_bits(self.lead.load(Ordering::Relaxed))
    }

    /// What a credit of ours is worth on the domain's scale.
    fn price(&self, credit: f64) -> f64 {
        if credit == f64::INFINITY { credit } else { self.rate().price(credit - self.lead()) }
    }

    /// A new entry may be the cheapest of `instance` now, or the first, or the first to expire.
    #[inline]
    pub(crate) fn offer(&self, instance: &dyn Instance, credit: impl FnOnce() -> f64) {
        self.announce(instance);
        if self.policy.is_by_credit() || !self.card.price().is_finite() {
            self.card.publish_lower(self.price(credit()));
        }
    }

    /// Entries of an instance may be cheaper now, or due earlier.
    #[inline]
    pub(super) fn announce(&self, instance: &dyn Instance) {
        if !self.instances.is_alone() {
            self.instances.announce(instance);
        }
    }

    /// What an instance would give next is no longer what it was.
    pub(super) fn renew(&self, instance: &dyn Instance) {
        self.instances.renew(instance);
    }

    pub(super) fn publish(&self) {
        loop {
            let credit = self.instances.lowest_credit();
            self.card.publish(self.price(credit));
            if credit.is_finite() {
                return;
            }
            // Who linked a first entry since we looked may have found the price that we have just written over: then
            // nobody would ask for it. Either that one sees our price, or we see its credit.
            fence(Ordering::SeqCst);
            if !self.instances.lowest_credit().is_finite() {
                return;
            }
        }
    }

    /// The instances, as handles: what they drop may call a new one into being. Not where a miss waits: there may be
    /// thousands.
    pub(super) fn live(&self) -> impl Iterator<Item = Held> {
        self.instances.live().into_iter()
    }

    /// Takes a place among the entries, if one is free.
    pub(super) fn try_count(&self) -> bool {
        self.entries
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |entries| {
                (entries < self.max_entries()).then_some(entries + 1)
            })
            .is_ok()
    }

    /// Takes out some entries that are expired: they give way before anything that is of use.
    pub(super) fn expire_some(&self, patient: bool) -> Option<Evicted> {
        self.lifetime.as_ref()?;
        let (now, before) = (self.core.clock.recent(), self.card.reservation.spent());
        let mut entries = 0;
        for _ in 0..EXPIRED {
            let instance = self.instances.due(now)?;
            entries = instance.expire_some(self, now, patient);
            // Its shards may be busy, or it has more to look at than at once.
            if entries > 0 || instance.due() <= now {
                break;
            }
        }
        if entries == 0 {
            return None;
        }
        let bytes = before.saturating_sub(self.card.reservation.spent());
        Some(Evicted { entries, bytes, ..Evicted::default() })
    }

    /// Frees `bytes`, at least one entry, for the tenant's own bound: what is expired goes first. What stays has
    /// aged by what was evicted. What is read still counts as freed: it will be, and others would have to wait as long.
    pub(super) fn evict_own(&self, bytes: u64) -> Evicted {
        let _publish = Publish(self);
        let mut sum = Evicted::default();
        loop {
            let wanted = bytes.saturating_sub(sum.bytes);
            let evicted = match self.expire_some(true) {
                Some(expired) => expired,
                None => self.evict_aging(wanted),
            };
            if evicted.is_nothing() {
                sum.waiting = sum.waiting.max(evicted.waiting);
                return sum;
            }
            sum.entries += evicted.entries;
            sum.bytes += evicted.bytes;
            sum.waiting += evicted.waiting;
            if sum.bytes + sum.waiting >= bytes {
                return sum;
            }
        }
    }

    /// Evicts about `bytes` from one shard, and lets what stays age by what went.
    fn evict_aging(&self, bytes: u64) -> Evicted {
        let wanted = Wanted { bytes, most: u64::MAX, upto: f64::INFINITY, patient: true };
        let evicted = self.evict(wanted, Count::Evictions);
        if evicted.entries > 0 {
            self.age(evicted.credit);
        }
        evicted
    }

    /// What was worth this made way for the tenant's own bound: what stays ages by it.
    fn age(&self, credit: f64) {
        if !self.policy.ages_by_eviction() {
            return;
        }
        let lead = credit - self.level();
        if lead > self.lead() {
            self.lead.store(lead.to_bits(), Ordering::Relaxed);
        }
    }

    /// Several entries have made way for others within an instance, which is worth so much.
    pub(super) fn made_way(&self, credit: f64) {
        if credit.is_finite() {
            self.age(credit);
        }
        self.publish();
    }

    fn evict(&self, wanted: Wanted, why: Count) -> Evicted {
        let Some(cheapest) = self.instances.cheapest() else { return Evicted::default() };
        let evicted = cheapest.evict(self, wanted, why);
        if !evicted.is_nothing() {
            return evicted;
        }
        // Seldom: its entries went in the meantime, or none of them may, or somebody is at them, or reads those that did.
        let others = [OTHERS, usize::MAX].into_iter().flat_map(|most| self.instances.by_credit(most));
        let mut others = others.map(|instance| instance.evict(self, wanted, why));
        others.find(|evicted| !evicted.is_nothing()).unwrap_or(evicted)
    }

    /// So many entries left: their places are free. Their heap bytes are given back by the store, when nobody
    /// reads them any more.
    pub(crate) fn left(&self, why: Count, entries: u64) {
        self.give_places(entries);
        self.card.tally.add(why, entries);
    }

    /// [`left`](Self::left), uncounted.
    #[inline]
    pub(crate) fn give_places(&self, entries: u64) {
        if entries > 0 {
            self.entries.fetch_sub(entries, Ordering::AcqRel);
        }
    }
}

/// Publishes a tenant's price when its victims are gone, also when the drop of one panicked.
struct Publish<'a>(&'a CacheTenant);

impl Drop for Publish<'_> {
    fn drop(&mut self) {
        self.0.publish();
    }
}

/// A tenant of which everything leaves: what follows from that, also when the drop of an entry panicked.
pub(super) struct Cleared<'a> {
    pub(super) tenant: &'a CacheTenant,
    /// Or only this one of its instances.
    pub(super) instance: Option<&'a dyn Instance>,
}

impl Drop for Cleared<'_> {
    fn drop(&mut self) {
        let Self { tenant, instance } = self;
        tenant.stop_learning();
        if let Some(instance) = instance {
            tenant.renew(*instance);
        }
        tenant.publish();
        tenant.card.reservation.release_credit();
    }
}

impl Drop for CacheTenant {
    /// The card stays on the domain's list until the next tenant comes; its bytes must not.
    fn drop(&mut self) {
        self.card.close();
    }
}

impl Tenant for CacheTenant {
    fn card(&self) -> &Card {
        &self.card
    }

    fn reclaim(&self, claim: Claim) -> Given {
        let _publish = Publish(self);
        let own = claim.need == Need::Own;
        // What is expired is worth nothing to its owner, either: no floor protects it.
        if let Some(expired) = self.expire_some(own) {
            return Given { bytes: expired.bytes, entries: expired.entries, waiting: 0 };
        }
        let why = if own { Count::Evictions } else { Count::Reclaims };
        let upto = self.rate().credit(claim.upto) + self.lead();
        // A limit is kept also where somebody looks at all entries of a shard just then.
        let patient = own || (claim.need == Need::Limit && !fork::forked());
        let evict = |most: u64| self.evict(Wanted { bytes: claim.bytes.min(most), most, upto, patient }, why);
        let evicted = if claim.need == Need::Others && self.card.floor > 0 {
            // What a batch may take; only a single entry takes more, if nobody else is at it.
            let some = self.card.claim(claim.bytes.max(CLAIM));
            match evict(some.bytes) {
                Evicted { entries: 0, bytes: 0, waiting: 0, .. } if some.bytes > 0 => {
                    drop(some);
                    let all = self.card.claim(u64::MAX);
                    evict(all.bytes)
                }
                evicted => evicted,
            }
        } else {
            evict(u64::MAX)
        };
        if evicted.entries > 0 {
            self.core.raise_inflation(self.price(evicted.credit).min(claim.level));
        }
        Given { bytes: evicted.bytes, entries: evicted.entries, waiting: evicted.waiting }
    }

    fn sweep(&self, now: Nanos) -> u64 {
        let before = self.card.reservation.spent();
        for instance in self.live() {
            instance.collect(self);
        }
        if self.lifetime.is_none() {
            return before.saturating_sub(self.card.reservation.spent());
        }
        let _publish = Publish(self);
        let expired: u64 = self.live().map(|instance| instance.expire(self, now)).sum();
        if expired == 0 {
            return 0;
        }
        // Nobody may come to spend the credit.
        self.card.reservation.release_credit();
        before.saturating_sub(self.card.reservation.spent())
    }

    fn learn(&self) -> Option<Curve> {
        self.end_epoch()
    }

    fn wants_to_learn(&self) -> u64 {
        if self.is_worth_learning() { Reuse::most_bytes() } else { 0 }
    }

    fn begin_to_learn(&self) {
        self.start_learning();
    }

    fn drop_idle(&self) -> u64 {
        0
    }

    #[cfg(feature = "tiers")]
    fn flush(&self, until: std::time::Instant) -> bool {
        // All of them, whatever becomes of the first.
        self.live().filter(|instance| !instance.flush(until)).count() == 0
    }

    fn clear(&self) {
        let _cleared = Cleared { tenant: self, instance: None };
        each_to_the_end(self.live(), |instance| instance.clear(self));
    }

    fn follow_mode(&self) {
        for instance in self.live() {
            instance.follow_mode();
        }
    }

    fn leave(&self, scope: ScopeId) {
        for instance in self.live() {
            instance.leave(scope);
        }
        let twin = self.twins.leave(scope);
        drop(twin);
    }

    fn marginal(&self) -> f64 {
        let victim = self.instances.cheapest().and_then(|instance| instance.next_victim());
        victim.map_or(0.0, |(density, _)| density * self.card.scale())
    }

    fn stats(&self) -> TenantStats {
        let mut stats = TenantStats::empty(self.card.name.to_string(), self.card.kind);
        stats.uncharged = self.card.uncovered();
        stats.policy = Some(self.policy);
        stats.entries = self.entries();
        stats.pinned = self.card.reservation.pinned();
        stats.listener_panics = self.live().map(|instance| instance.listener_panics()).sum();
        stats.max_entries = Some(self.max_entries()).filter(|max| *max < u64::MAX);
        #[cfg(feature = "tiers")]
        for tier in self.live().flat_map(|instance| instance.tiers()) {
            match stats.tiers.iter_mut().find(|sum| sum.name == tier.name) {
                Some(sum) => sum.add(&tier),
                None => stats.tiers.push(tier),
            }
        }
        stats
    }
}
