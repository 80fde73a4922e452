//! One instance of a cache: a store, its flights, and what was compiled in for its types.
//!
//! Nothing here asks for a bound on `K` or `V`: generated code proves bounds at the user's types and hands
//! over the operations, so that a missing `Hash` is one error at the type and not five in an expansion.

use std::sync::Arc;
use std::time::Duration;

use super::listener::Listener;
use super::ops::Ops;
use super::room::{Effort, Grant};
use super::tenant::Cleared;
use super::tiers::{Below, Change};
use super::{CacheTenant, Instance};
use crate::boundary::outside;
use crate::curve::{Followed, OFF};
use crate::domain::scope::{self, State};
use crate::flight::{Flights, Superseded};
use crate::instances::Ranked;
use crate::key::{KeyHasher, Seeded};
use crate::removal::RemovalCause;
use crate::stats::{Count, Counters};
use crate::store::{
    Charge, Displaced, Entry, Evicted, Freshness, Leaving, Linked, NotLinked, NotReweighed, Origin, Sighting,
    Store, Wanted,
};
use crate::sync::{AtomicU32, Ordering};
use crate::tenant::{ModeWord, ScopeId, Twins, arc};
#[cfg(feature = "tiers")]
use crate::tier::TierStats;
use crate::time::{NEVER, Nanos, nanos};

/// So many times an entry is weighed again while others weigh it too.
const REWEIGHED: usize = 8;

/// The data behind a [`Cache`](super::Cache) handle.
pub(crate) struct Core<K, V> {
    /// Read by every look-up; thorough unless the store [is plain](Store::is_plain).
    pub(crate) mode: ModeWord,
    /// From which upper half of a hash on the tenant's curve hears of hits.
    pub(super) heard: AtomicU32,
    /// From which it follows keys.
    pub(super) followed: AtomicU32,
    /// Among the tenant's instances.
    place: AtomicU32,
    /// Where each thread counts.
    pub(super) counters: Counters,
    seeded: Seeded,
    pub(crate) store: Store<K, V>,
    /// Shared with its leads, which tasks may hold.
    pub(crate) flights: Arc<Flights<K, V>>,
    pub(crate) tenant: Arc<CacheTenant>,
    pub(crate) ops: Arc<Ops<K, V>>,
    /// What keeps entries that made room.
    pub(super) below: Below<K, V>,
    /// What stands for this instance in scopes of tests.
    twins: Twins<Self>,
}

/// How a value that was loaded finds out whether it may still be stored.
#[derive(Clone, Copy)]
pub(crate) struct Loaded<'a> {
    /// Counts the marks that writes and invalidations set on loads.
    pub(crate) marks: &'a AtomicU32,
    /// How many there were when this load was known to have none.
    pub(crate) seen: u32,
    /// `None` when it has one, otherwise how many there are by now.
    pub(crate) look_for_mark: &'a dyn Fn() -> Option<u32>,
    /// Now: an entry that is expired by then does not stand in the way.
    pub(crate) now: Nanos,
}

impl<'a> Loaded<'a> {
    fn freshness(self) -> Freshness<'a> {
        Freshness { marks: self.marks, seen: self.seen, now: self.now }
    }
}

/// Where a value that is to be stored comes from.
#[derive(Clone, Copy)]
pub(crate) enum Source<'a> {
    /// A load.
    Load(Loaded<'a>),
    /// A write; maybe it says how long the entry lives.
    Write { ttl: Option<Duration> },
    /// A write that follows from what was seen of the key; maybe of a value that was computed.
    After { seen: Option<Sighting>, load: Option<Loaded<'a>> },
    /// A tier below; with when the entry is too old.
    #[cfg(feature = "tiers")]
    Raised { loaded: Loaded<'a>, deadline: Nanos },
}

impl Source<'_> {
    /// The value is the one that is below.
    fn is_raised(&self) -> bool {
        #[cfg(feature = "tiers")]
        return matches!(self, Self::Raised { .. });
        #[cfg(not(feature = "tiers"))]
        false
    }
}

/// An entry that was not stored.
pub(crate) struct Unstored<K> {
    pub(crate) key: K,
    /// Not for want of room: what its write followed from is no longer so.
    pub(crate) changed: bool,
}

impl<K, V> Core<K, V> {
    /// A new instance of this tenant.
    pub(crate) fn new(tenant: &Arc<CacheTenant>, shards: usize, ops: Arc<Ops<K, V>>) -> Arc<Self> {
        let core = Self::uncharged(tenant, shards, ops);
        core.charge_base();
        core
    }

    /// [`new`](Self::new), but for [`charge_base`](Self::charge_base): runs nothing of the user's.
    pub(crate) fn uncharged(tenant: &Arc<CacheTenant>, shards: usize, ops: Arc<Ops<K, V>>) -> Arc<Self> {
        let store = Store::new(shards, tenant.policy, ops.wants_entries() || ops.weighs_them());
        let below = Below::new(&ops, tenant);
        let core = Arc::new(Self {
            mode: ModeWord::new_for(!store.is_plain(tenant.expires())),
            heard: AtomicU32::new(OFF),
            followed: AtomicU32::new(OFF),
            place: AtomicU32::new(0),
            counters: tenant.card.tally.counters(),
            seeded: Seeded::new(),
            store,
            flights: Arc::new(Flights::new()),
            tenant: Arc::clone(tenant),
            ops,
            below,
            twins: Twins::new(),
        });
        tenant.adopt(&(core.ops.instance)(Arc::clone(&core)), core.base_bytes());
        core
    }

    /// Charges what it takes while it is empty, if anybody can make way for that. What makes way is dropped here, so
    /// no lock may be held, and whoever is to find the instance must be able to: a `Drop` may call its function.
    pub(crate) fn charge_base(&self) {
        self.tenant.core.cover(&self.tenant.card);
    }

    /// Bytes that it takes while it is empty.
    pub(crate) fn base_bytes(&self) -> u64 {
        arc::<Self>()
            + arc::<Flights<K, V>>()
            + self.store.base_bytes()
            + self.below.base_bytes()
            + arc::<Ops<K, V>>()
            + self.ops.bytes()
    }

    /// The hash of a key that `feed` puts into a hasher.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(crate) fn hash_of(&self, feed: impl FnOnce(&mut KeyHasher)) -> u64 {
        self.seeded.hash_of(feed)
    }

    #[inline]
    pub(crate) fn is_bypassed(&self) -> bool {
        self.mode.get().is_bypass()
    }

    /// What stands for this instance in the scope that the thread is in, if it is in one.
    pub(super) fn twin(&self) -> Option<Arc<Self>> {
        if self.mode.get().is_scoped() { self.twin_in(&*scope::current()?) } else { None }
    }

    #[cold]
    fn twin_in(&self, scope: &State) -> Option<Arc<Self>> {
        let mut is_new = false;
        let twin = self.twins.find_or_make(scope.id(), || {
            is_new = true;
            let tenant = self.tenant.twin(scope);
            Self::uncharged(&tenant, self.store.shards(), Arc::clone(&self.ops))
        });
        if is_new {
            twin.charge_base();
        }
        Some(twin)
    }

    /// Weighs, reserves, makes way, and links. `entry` says whether a place of its own is needed. What would be
    /// expired at once is not stored.
    ///
    /// # Errors
    ///
    /// The key, when the value was not stored; counted as a rejection.
    pub(crate) fn store_new(
        &self,
        hash: u64,
        key: K,
        value: V,
        cost: u8,
        source: Source<'_>,
        entry: bool,
    ) -> Result<(), Unstored<K>> {
        let tenant = &*self.tenant;
        if (matches!(source, Source::Load(_)) || source.is_raised()) && self.is_bypassed() {
            // Switched off while the value was loading.
            return Err(Unstored { key, changed: false });
        }
        let heap = self.ops.heap(&key, &value);
        let written = tenant.now();
        let deadline = match source {
            Source::Write { ttl: Some(ttl) } => written.saturating_add(nanos(ttl)),
            #[cfg(feature = "tiers")]
            Source::Raised { deadline, .. } => deadline,
            _ => self.deadline(written, hash, &key, &value),
        };
        self.learn_store(hash, heap, cost, deadline);
        let too_large = self.is_too_large(heap);
        let mut grant = if too_large || deadline <= written { None } else { tenant.reserve(heap, entry) };
        let mut pinned = false;
        if grant.is_none() && deadline > written && !too_large && matches!(source, Source::Write { .. }) {
            // A pinned value gives its own bytes for the one that replaces it.
            pinned = self.give_up_pinned(hash, &key, written);
            grant = if pinned { tenant.reserve(heap, true) } else { None };
        }
        let Some(grant) = grant else {
            tenant.card.tally.add(Count::Rejections, (!source.is_raised()).into());
            return Err(Unstored { key, changed: false });
        };
        let factor = self.ops.factor(&key, &value);
        let mut arriving = Some(Entry { hash, key, value, heap, cost, factor, deadline, written, pinned });
        // What is below is older than what comes, unless that came from there.
        let change = (!source.is_raised()).then(|| self.change(hash));
        let changed = self.link(&mut arriving, source, grant);
        change.map(Change::end);
        if tenant.core.ledger.is_exceeded() {
            // The limit was lowered when our bytes were taken already, and nobody could evict them yet.
            tenant.core.relief().fit(&tenant.core);
        }
        let Some(entry) = arriving else { return Ok(()) };
        tenant.card.tally.add(Count::Rejections, u64::from(!changed && !source.is_raised()));
        Err(Unstored { key: entry.key, changed })
    }

    /// Links the entry that is `arriving`, and takes it, making way for the growth of tables and pages. Where it does
    /// not, it returns whether that is because the entry's write followed from what is no longer so.
    fn link(&self, arriving: &mut Option<Entry<K, V>>, mut source: Source<'_>, mut grant: Grant<'_>) -> bool {
        let tenant = &*self.tenant;
        let mut effort = Effort::default();
        let Some(Entry { hash, .. }) = *arriving else { return false };
        loop {
            let eq = |a: &K, b: &K| (self.ops.eq)(a, b);
            let origin = match source {
                Source::Load(load) => Origin::Load(load.freshness()),
                Source::Write { .. } => Origin::Write,
                Source::After { seen, load } => Origin::After(seen, load.map(Loaded::freshness)),
                #[cfg(feature = "tiers")]
                Source::Raised { loaded, .. } => Origin::Load(loaded.freshness()),
            };
            let charge = self.charge(grant.has_place());
            let (mut leaving, mut superseded) = (Leaving::default(), Superseded::new());
            // The key is in the store by then; its hash says enough.
            let supersede = || self.flights.supersede_into(hash, |_| true, &mut superseded);
            let linked = self.store.link(arriving, &origin, eq, &charge, &mut leaving, supersede);
            match linked {
                Linked::Done { displaced: Displaced { replaced, evicted }, expired, told } => {
                    grant.keep(!replaced && !evicted);
                    tenant.card.tally.add(Count::Replacements, u64::from(replaced));
                    if evicted {
                        tenant.card.tally.evicted();
                    }
                    tenant.left(Count::Expirations, expired);
                    if evicted && told {
                        tenant.renew(self);
                        tenant.made_way(self.credit());
                    } else {
                        tenant.offer(self, || self.store.credit_beside(hash));
                    }
                    let above = replaced && tenant.entries() > tenant.max_entries();
                    self.let_go(leaving);
                    if above {
                        // What was pinned above the bound, and has expired, left its place and not its pin.
                        tenant.fit_bounds();
                    }
                    return false;
                }
                Linked::Not { why, displaced: Displaced { replaced, evicted } } => {
                    if replaced {
                        tenant.card.tally.add(Count::Replacements, 1);
                        // Its place is the entry's now, that need not take another's.
                        if grant.has_place() {
                            tenant.give_places(1);
                        } else {
                            grant.inherit_place();
                        }
                    }
                    if evicted {
                        tenant.card.tally.evicted();
                        grant.inherit_place();
                    }
                    if let Source::After { seen, .. } = &mut source
                        && replaced
                    {
                        // What was seen is what made room: there is none to follow from now.
                        *seen = None;
                    }
                    // With no lock held, and before others have to go.
                    self.let_go(leaving);
                    match why {
                        NotLinked::NoRoom(refused) => {
                            if effort.note(tenant.make_way(refused)).is_none() {
                                return false;
                            }
                        }
                        NotLinked::NoPlace => {
                            if grant.take_place(&mut effort).is_none() {
                                return false;
                            }
                        }
                        NotLinked::Exhausted | NotLinked::Present => return false,
                        NotLinked::Changed => return true,
                    }
                }
                Linked::Marked => {
                    // Nearly always it is another key's.
                    let (load, changed) = match &mut source {
                        Source::Load(load) => (load, false),
                        Source::After { load: Some(load), .. } => (load, true),
                        #[cfg(feature = "tiers")]
                        Source::Raised { loaded, .. } => (loaded, false),
                        Source::Write { .. } | Source::After { load: None, .. } => return false,
                    };
                    let Some(seen) = (load.look_for_mark)() else { return changed };
                    load.seen = seen;
                }
            }
        }
    }

    /// Lets entries go that have left: tells the listener of them, or drops them. With no lock held.
    pub(super) fn let_go(&self, leaving: Leaving<K, V>) {
        outside(|| {
            let departed = leaving.into_entries();
            self.demote(&departed);
            if let Some(listener) = self.ops.listener()
                && !departed.is_empty()
            {
                listener.tell(departed);
            }
        });
    }

    pub(super) fn charge(&self, placed: bool) -> Charge<'_> {
        let tenant = &*self.tenant;
        Charge {
            reservation: &tenant.card.reservation,
            ceiling: tenant.card.ceiling(),
            expires: tenant.expires(),
            policy: tenant.policy,
            own: self.ops.own_order(),
            placed,
            moment: tenant.moment(),
        }
    }

    /// Whether an entry with so much heap finds no room even if it is alone.
    fn is_too_large(&self, heap: u64) -> bool {
        let room = self.tenant.room();
        // Nearly all are far from that.
        if heap.saturating_add(Store::<K, V>::FIRST_BYTES_MOST) <= room {
            return false;
        }
        heap.saturating_add(Store::<K, V>::first_bytes(self.tenant.expires(), self.tenant.policy)) > room
    }

    /// Weighs the entry of a key again, outside all locks, and charges the difference; see
    /// [`Cache::reweigh`](super::Cache::reweigh). Returns its heap bytes.
    pub(crate) fn reweigh(
        &self,
        hash: u64,
        eq: impl Fn(&K) -> bool,
        clone_key: impl Fn(&K) -> K,
    ) -> Option<u64> {
        if self.is_bypassed() {
            return None;
        }
        let tenant = &*self.tenant;
        let reservation = &tenant.card.reservation;
        let look = |key: &K, value: &V| (clone_key(key), (self.ops.clone)(value));
        let ((key, value), sighting) =
            self.store.sight(hash, &eq, || tenant.core.clock.recent(), reservation, look)?;
        let heap = self.ops.heap(&key, &value);
        let mut charged = sighting.heap();
        for _ in 0..REWEIGHED {
            let grant = if self.is_too_large(heap) {
                None
            } else {
                tenant.reserve(heap.saturating_sub(charged), false)
            };
            let Some(grant) = grant else { return self.outgrown(hash, &eq, sighting, charged) };
            match self.store.reweigh(sighting, heap, grant.heap(), tenant.moment(), reservation) {
                Ok(before) => {
                    // It was charged `before`, and the grant on top.
                    let surplus = before + grant.heap() - heap;
                    grant.keep(false);
                    reservation.shrink(surplus);
                    tenant.offer(self, || self.store.credit_beside(hash));
                    if reservation.spent() > tenant.card.ceiling() {
                        // The first that weighs anything: its page got a column for that.
                        tenant.fit_bounds();
                    }
                    return Some(heap);
                }
                Err(NotReweighed::Shrunk { heap }) => charged = heap,
                Err(NotReweighed::Gone) => return None,
                Err(NotReweighed::NoRoom) => return self.outgrown(hash, &eq, sighting, charged),
            }
        }
        // Others weigh it too, again and again; theirs is as good as ours.
        Some(charged)
    }

    /// There is no room for what an entry has grown by: it goes, unless it is pinned. Returns the heap bytes that it
    /// stays charged.
    fn outgrown(&self, hash: u64, eq: impl Fn(&K) -> bool, sighting: Sighting, charged: u64) -> Option<u64> {
        if self.is_pinned(hash, eq) {
            return Some(charged);
        }
        self.evict_sighted(sighting);
        None
    }

    /// Takes out an entry for want of room.
    fn evict_sighted(&self, sighting: Sighting) {
        let cause = RemovalCause::Evicted;
        let (removed, leaving) = self.store.remove_sighted(sighting, cause, &self.tenant.card.reservation);
        self.tenant.left(Count::Evictions, removed.into());
        self.let_go(leaving);
        self.tenant.renew(self);
        self.tenant.publish();
    }

    /// Evicts entries, whatever is below.
    pub(super) fn evict_here(&self, tenant: &CacheTenant, wanted: Wanted, why: Count) -> Evicted {
        let worth = self.store.credit(tenant.policy.is_by_credit());
        let cause = match why {
            Count::Reclaims => RemovalCause::Reclaimed,
            _ => RemovalCause::Evicted,
        };
        let (mut evicted, leaving) =
            self.store.evict(tenant.moment(), wanted, cause, &tenant.card.reservation);
        if !tenant.policy.is_by_credit() && worth.is_finite() {
            // Where credit is not the order, the victim is not what the tenant was asked for: others age by what was.
            // What came only after we looked says nothing, and ages nobody.
            evicted.credit = worth;
        }
        tenant.left(why, evicted.entries);
        tenant.renew(self);
        // With no lock held, and off the books: a `Drop` may panic, or look.
        self.let_go(leaving);
        evicted
    }

    /// When an entry written `now` is too old. The user's function runs with no lock held.
    fn deadline(&self, now: Nanos, hash: u64, key: &K, value: &V) -> Nanos {
        let Some(lifetime) = &self.tenant.lifetime else { return NEVER };
        let own = self.ops.ttl().map(|ttl| ttl(key, value));
        lifetime.deadline(now, hash, own)
    }
}

/// Tells a tenant how an instance stands after a look at all of it, also when the drop of an entry panicked.
struct Renew<'a, K, V>(&'a Core<K, V>);

impl<K, V> Drop for Renew<'_, K, V> {
    fn drop(&mut self) {
        self.0.tenant.renew(self.0);
    }
}

impl<K, V> Drop for Core<K, V> {
    /// With the last handle everything that is left leaves. The tenant may stay, when this was one object's cache: it
    /// gets everything back.
    fn drop(&mut self) {
        self.tenant.forget(self, self.base_bytes());
        let Self { store, tenant, ops, below, .. } = self;
        below.dissolve(tenant);
        store.dissolve(&tenant.card.reservation, |entries, leaving| {
            tenant.give_places(entries);
            match ops.listener() {
                Some(listener) => listener.tell(leaving.into_entries()),
                None => drop(leaving),
            }
        });
    }
}

impl<K, V> Ranked for Core<K, V> {
    fn set_place(&self, place: u32) {
        self.place.store(place, Ordering::Relaxed);
    }

    fn place(&self) -> u32 {
        self.place.load(Ordering::Relaxed)
    }

    fn credit(&self) -> f64 {
        self.store.credit(self.tenant.policy.is_by_credit()).min(self.credit_below())
    }

    fn due(&self) -> Nanos {
        self.store.due()
    }
}

impl<K, V> Instance for Core<K, V> {
    fn next_victim(&self) -> Option<(f64, f64)> {
        self.store.next_victim(&self.tenant.card.reservation)
    }

    fn evict(&self, tenant: &CacheTenant, wanted: Wanted, why: Count) -> Evicted {
        if let Some(evicted) = self.evict_below(wanted) {
            tenant.renew(self);
            return evicted;
        }
        self.evict_here(tenant, wanted, why)
    }

    fn expire(&self, tenant: &CacheTenant, now: Nanos) -> u64 {
        if self.due() > now {
            return 0;
        }
        let _renew = Renew(self);
        let mut sum = 0;
        self.store.expire(now, &tenant.card.reservation, |expired, leaving| {
            sum += expired;
            tenant.left(Count::Expirations, expired);
            self.let_go(leaving);
        });
        sum
    }

    fn expire_some(&self, tenant: &CacheTenant, now: Nanos, patient: bool) -> u64 {
        let (expired, leaving) = self.store.expire_some(now, patient, &tenant.card.reservation);
        tenant.left(Count::Expirations, expired);
        tenant.renew(self);
        self.let_go(leaving);
        expired
    }

    fn collect(&self, tenant: &CacheTenant) {
        self.store.collect(&tenant.card.reservation, |leaving| self.let_go(leaving));
        self.sweep_below();
    }

    fn clear(&self, tenant: &CacheTenant) {
        let _cleared = Cleared { tenant, instance: Some(self) };
        let _all = self.change_all();
        self.flights.supersede_all();
        tenant.card.tally.add(Count::Invalidations, self.clear_below());
        self.store.drain(RemovalCause::Invalidated, &tenant.card.reservation, |entries, leaving| {
            tenant.left(Count::Invalidations, entries);
            self.let_go(leaving);
        });
    }

    #[cfg(feature = "tiers")]
    fn tiers(&self) -> Vec<TierStats> {
        self.stats_below()
    }

    #[cfg(feature = "tiers")]
    fn flush(&self, until: std::time::Instant) -> bool {
        self.flush_below(until)
    }

    #[cfg(feature = "tiers")]
    fn bring_up(&self) {
        self.bring_up_below();
    }

    fn listener_panics(&self) -> u64 {
        self.ops.listener().map_or(0, Listener::panics)
    }

    fn follow_keys(&self, followed: Followed) {
        self.follow_from(followed);
    }

    fn follow_mode(&self) {
        self.mode.follow(|| self.tenant.core.mode());
    }

    fn leave(&self, scope: ScopeId) {
        let twin = self.twins.leave(scope);
        // The user's values are dropped here, with no lock held.
        drop(twin);
    }
}
