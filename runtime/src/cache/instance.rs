//! One instance of a cache: a store, its flights, and what was compiled in for its types.
//!
//! Nothing here asks for a bound on `K` or `V`: generated code proves bounds at the user's types and hands
//! over the operations, so that a missing `Hash` is one error at the type and not five in an expansion.

use std::sync::Arc;
use std::time::Duration;

use super::listener::{Listener, OnRemove};
use super::tenant::Grant;
use super::{CacheTenant, CostOf, EqOf, Instance, TtlOf, UtilityOf, WeightOf};
use crate::curve::OFF;
use crate::domain::scope::{self, State};
use crate::flight::{Flights, Sharing, Superseded};
use crate::key::{KeyHasher, Seeded};
use crate::policy::Factory;
use crate::removal::RemovalCause;
use crate::stats::{Count, Counters};
use crate::store::{
    Charge, Displaced, Entry, Evicted, Freshness, Leaving, Linked, NotLinked, NotReweighed, Origin, Sighting,
    Store, Wanted,
};
use crate::sync::AtomicU32;
use crate::tenant::{ModeWord, ScopeId, Twins, arc};
use crate::time::{NEVER, Nanos, nanos};
use crate::weight::weigh::allocation;

/// So many times an entry is weighed again while others weigh it too.
const REWEIGHED: usize = 8;

/// What an instance needs to know of its types and its options, away from the hot path.
pub(crate) struct Ops<K, V> {
    pub(crate) eq: EqOf<K>,
    pub(crate) clone: fn(&V) -> V,
    /// Heap bytes of key and value.
    pub(crate) heap: HeapOf<K, V>,
    /// Whether the callers of a missing value share its computation.
    pub(crate) single_flight: bool,
    /// Shows the instance to its tenant; only who knows the types can.
    instance: InstanceOf<K, V>,
    /// Bytes of what the closures have in common with others.
    shared: u32,
    /// What few caches have.
    rare: Option<Box<Rare<K, V>>>,
}

/// How a key and a value are weighed.
pub(crate) enum HeapOf<K, V> {
    /// By their types, each by itself; `None` where no heap can be seen.
    Types(Option<fn(&K) -> u64>, Option<fn(&V) -> u64>),
    /// Together.
    Both(WeightOf<K, V>),
}

/// What a user may say of entries beside their weight, and of waiting for them.
struct Rare<K, V> {
    /// Replaces the measured cost.
    cost: Option<CostOf<K, V>>,
    /// Says how long an entry lives at the most, beside the tenant's own rules.
    ttl: Option<TtlOf<K, V>>,
    /// How long a caller waits for another's computation, in all.
    wait_at_most: Option<Duration>,
    /// What even fewer have.
    rarest: Option<Box<Rarest<K, V>>>,
}

/// What a user may say of who is evicted, and who hears of it.
struct Rarest<K, V> {
    /// Multiplies the cost.
    utility: Option<UtilityOf<K, V>>,
    /// Makes orders of the user's own.
    own: Option<Box<Factory>>,
    /// Hears of entries that leave.
    listener: Option<Box<Listener<K, V>>>,
}

impl<K, V> Default for Rarest<K, V> {
    fn default() -> Self {
        Self { utility: None, own: None, listener: None }
    }
}

impl<K, V> Default for Rare<K, V> {
    fn default() -> Self {
        Self { cost: None, ttl: None, wait_at_most: None, rarest: None }
    }
}

impl<K, V> Ops<K, V> {
    pub(crate) fn new(
        eq: EqOf<K>,
        clone: fn(&V) -> V,
        heap: HeapOf<K, V>,
        instance: InstanceOf<K, V>,
    ) -> Self {
        Self { eq, clone, heap, single_flight: true, instance, shared: 0, rare: None }
    }

    /// With the way callers share a computation.
    pub(crate) fn sharing(mut self, sharing: Sharing) -> Self {
        self.single_flight = sharing.single_flight;
        if sharing.wait_at_most.is_some() {
            self.rare.get_or_insert_default().wait_at_most = sharing.wait_at_most;
        }
        self
    }

    /// With so many bytes that the closures have in common with others.
    pub(crate) fn having(mut self, bytes: u64) -> Self {
        self.shared = u32::try_from(bytes).unwrap_or(u32::MAX);
        self
    }

    /// With what a user says of each entry.
    pub(crate) fn with(mut self, cost: Option<CostOf<K, V>>, ttl: Option<TtlOf<K, V>>) -> Self {
        if cost.is_some() || ttl.is_some() {
            let rare = self.rare.get_or_insert_default();
            (rare.cost, rare.ttl) = (cost, ttl);
        }
        self
    }

    /// With what a user says of who is evicted.
    pub(crate) fn evicting(mut self, utility: Option<UtilityOf<K, V>>, own: Option<Box<Factory>>) -> Self {
        if utility.is_some() || own.is_some() {
            let rarest = self.rare.get_or_insert_default().rarest.get_or_insert_default();
            (rarest.utility, rarest.own) = (utility, own);
        }
        self
    }

    /// With who hears of entries that leave.
    pub(crate) fn telling(mut self, on_remove: Option<OnRemove<K, V>>) -> Self {
        if let Some(tell) = on_remove {
            let rarest = self.rare.get_or_insert_default().rarest.get_or_insert_default();
            rarest.listener = Some(Box::new(Listener::new(tell)));
        }
        self
    }

    fn rarest(&self) -> Option<&Rarest<K, V>> {
        self.rare.as_ref()?.rarest.as_deref()
    }

    /// Hears of entries that leave.
    pub(super) fn listener(&self) -> Option<&Listener<K, V>> {
        self.rarest()?.listener.as_deref()
    }

    /// Makes orders of the user's own.
    pub(crate) fn own_order(&self) -> Option<&Factory> {
        self.rarest()?.own.as_deref()
    }

    /// What the user multiplies the cost with, as a byte of [`crate::cost`].
    pub(crate) fn factor(&self, key: &K, value: &V) -> i8 {
        let utility = self.rarest().and_then(|rarest| rarest.utility.as_ref());
        utility.map_or(0, |utility| crate::cost::encode_factor(utility(key, value)))
    }

    /// Heap bytes of key and value.
    pub(crate) fn heap(&self, key: &K, value: &V) -> u64 {
        match &self.heap {
            HeapOf::Types(of_key, of_value) => {
                of_key.map_or(0, |heap| heap(key)) + of_value.map_or(0, |heap| heap(value))
            }
            HeapOf::Both(heap) => heap(key, value),
        }
    }

    /// What a miss costs, where that is not measured.
    pub(crate) fn cost(&self) -> Option<&CostOf<K, V>> {
        self.rare.as_ref().and_then(|rare| rare.cost.as_ref())
    }

    /// How long a caller waits for another's computation, if that is bounded.
    pub(crate) fn wait_at_most(&self) -> Option<Duration> {
        self.rare.as_ref().and_then(|rare| rare.wait_at_most)
    }

    fn ttl(&self) -> Option<&TtlOf<K, V>> {
        self.rare.as_ref().and_then(|rare| rare.ttl.as_ref())
    }

    /// Bytes that it takes beside its own size.
    fn bytes(&self) -> u64 {
        let heap = match &self.heap {
            HeapOf::Types(..) => 0,
            HeapOf::Both(heap) => allocation(size_of_val(&**heap)),
        };
        let rare = self.rare.as_ref().map_or(0, |rare| {
            allocation(size_of_val(&**rare))
                + rare.cost.as_ref().map_or(0, |cost| allocation(size_of_val(&**cost)))
                + rare.ttl.as_ref().map_or(0, |ttl| allocation(size_of_val(&**ttl)))
                + rare.rarest.as_ref().map_or(0, |rarest| rarest.bytes())
        });
        allocation(size_of_val(&*self.eq)) + heap + rare + u64::from(self.shared)
    }
}

impl<K, V> Rarest<K, V> {
    /// Bytes that it takes with its functions.
    fn bytes(&self) -> u64 {
        allocation(size_of_val(self))
            + self.utility.as_ref().map_or(0, |utility| allocation(size_of_val(&**utility)))
            + self.own.as_ref().map_or(0, |own| allocation(size_of_val(&**own)))
            + self.listener.as_ref().map_or(0, |listener| listener.bytes())
    }
}

/// Forgets the types of an instance.
pub(crate) type InstanceOf<K, V> = fn(Arc<Core<K, V>>) -> Arc<dyn Instance + Send + Sync>;

/// The data behind a [`Cache`](super::Cache) handle.
pub(crate) struct Core<K, V> {
    /// Read by every look-up; thorough unless the store [is plain](Store::is_plain).
    pub(crate) mode: ModeWord,
    /// From which upper half of a hash on the tenant's curve follows keys.
    pub(super) followed: AtomicU32,
    /// Where each thread counts.
    pub(super) counters: Counters,
    seeded: Seeded,
    pub(crate) store: Store<K, V>,
    /// Shared with its leads, which tasks may hold.
    pub(crate) flights: Arc<Flights<K, V>>,
    pub(crate) tenant: Arc<CacheTenant>,
    pub(crate) ops: Arc<Ops<K, V>>,
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
        let store = Store::new(shards, tenant.policy, ops.listener().is_some());
        let core = Arc::new(Self {
            mode: ModeWord::new_for(!store.is_plain(tenant.expires())),
            followed: AtomicU32::new(OFF),
            counters: tenant.card.tally.counters(),
            seeded: Seeded::new(),
            store,
            flights: Arc::new(Flights::new()),
            tenant: Arc::clone(tenant),
            ops,
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
        if matches!(source, Source::Load(_)) && self.is_bypassed() {
            // Switched off while the value was loading.
            return Err(Unstored { key, changed: false });
        }
        let heap = self.ops.heap(&key, &value);
        let written = tenant.now();
        let deadline = match source {
            Source::Write { ttl: Some(ttl) } => written.saturating_add(nanos(ttl)),
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
            tenant.card.tally.add(Count::Rejections, 1);
            return Err(Unstored { key, changed: false });
        };
        let factor = self.ops.factor(&key, &value);
        let mut arriving = Some(Entry { hash, key, value, heap, cost, factor, deadline, written, pinned });
        let changed = self.link(&mut arriving, source, grant);
        if tenant.core.ledger.is_exceeded() {
            // The limit was lowered when our bytes were taken already, and nobody could evict them yet.
            tenant.core.relief().fit(&tenant.core);
        }
        let Some(entry) = arriving else { return Ok(()) };
        tenant.card.tally.add(Count::Rejections, u64::from(!changed));
        Err(Unstored { key: entry.key, changed })
    }

    /// Links the entry that is `arriving`, and takes it, making way for the growth of tables and pages. Where it does
    /// not, it returns whether that is because the entry's write followed from what is no longer so.
    fn link(&self, arriving: &mut Option<Entry<K, V>>, mut source: Source<'_>, mut grant: Grant<'_>) -> bool {
        let tenant = &*self.tenant;
        let mut effort = super::tenant::Effort::default();
        let Some(Entry { hash, .. }) = *arriving else { return false };
        loop {
            let eq = |a: &K, b: &K| (self.ops.eq)(a, b);
            let origin = match source {
                Source::Load(load) => Origin::Load(load.freshness()),
                Source::Write { .. } => Origin::Write,
                Source::After { seen, load } => Origin::After(seen, load.map(Loaded::freshness)),
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
                        tenant.made_way(self.credit());
                    } else {
                        tenant.offer(|| self.store.credit_beside(hash));
                    }
                    self.let_go(leaving);
                    return false;
                }
                Linked::Not { why, displaced: Displaced { replaced, evicted } } => {
                    tenant.left(Count::Replacements, u64::from(replaced));
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
                        Source::Write { .. } | Source::After { load: None, .. } => return false,
                    };
                    let Some(seen) = (load.look_for_mark)() else { return changed };
                    load.seen = seen;
                }
                Linked::Stale => {
                    self.let_go(leaving);
                    return false;
                }
            }
        }
    }

    /// Lets entries go that have left: tells the listener of them, or drops them. With no lock held.
    pub(super) fn let_go(&self, leaving: Leaving<K, V>) {
        let departed = leaving.into_entries();
        if let Some(listener) = self.ops.listener()
            && !departed.is_empty()
        {
            listener.tell(departed);
        }
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
                    tenant.offer(|| self.store.credit_beside(hash));
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
        self.tenant.publish();
    }

    /// When an entry written `now` is too old. The user's function runs with no lock held.
    fn deadline(&self, now: Nanos, hash: u64, key: &K, value: &V) -> Nanos {
        let Some(lifetime) = &self.tenant.lifetime else { return NEVER };
        let own = self.ops.ttl().map(|ttl| ttl(key, value));
        lifetime.deadline(now, hash, own)
    }
}

impl<K, V> Drop for Core<K, V> {
    /// With the last handle everything that is left leaves. The tenant may stay, when this was one object's cache: it
    /// gets everything back.
    fn drop(&mut self) {
        self.tenant.card.remove_base(self.base_bytes());
        let Self { store, tenant, ops, .. } = self;
        store.dissolve(&tenant.card.reservation, |entries, leaving| {
            tenant.give_places(entries);
            match ops.listener() {
                Some(listener) => listener.tell(leaving.into_entries()),
                None => drop(leaving),
            }
        });
    }
}

impl<K, V> Instance for Core<K, V> {
    fn credit(&self) -> f64 {
        self.store.credit(self.tenant.policy.is_by_credit())
    }

    fn next_victim(&self) -> Option<(f64, f64)> {
        self.store.next_victim(&self.tenant.card.reservation)
    }

    fn evict(&self, tenant: &CacheTenant, wanted: Wanted, why: Count) -> Evicted {
        let worth = self.credit();
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
        // With no lock held, and off the books: a `Drop` may panic, or look.
        self.let_go(leaving);
        evicted
    }

    fn expire(&self, tenant: &CacheTenant, now: Nanos) -> u64 {
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
        self.let_go(leaving);
        expired
    }

    fn collect(&self, tenant: &CacheTenant) {
        self.store.collect(&tenant.card.reservation, |leaving| self.let_go(leaving));
    }

    fn clear(&self, tenant: &CacheTenant) {
        self.flights.supersede_all();
        self.store.drain(RemovalCause::Invalidated, &tenant.card.reservation, |entries, leaving| {
            tenant.left(Count::Invalidations, entries);
            self.let_go(leaving);
        });
        tenant.stop_learning();
        tenant.publish();
    }

    fn listener_panics(&self) -> u64 {
        self.ops.listener().map_or(0, Listener::panics)
    }

    fn follow_keys(&self, from: u32) {
        self.follow_from(from);
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
