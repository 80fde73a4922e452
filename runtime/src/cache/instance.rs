//! One instance of a cache: a store, its flights, and what was compiled in for its types.
//!
//! Nothing here asks for a bound on `K` or `V`: generated code proves bounds at the user's types and hands
//! over the operations, so that a missing `Hash` is one error at the type and not five in an expansion.

use std::sync::Arc;

use super::tenant::{Evicted, Grant};
use super::{CacheTenant, CostOf, EqOf, Instance, TtlOf, WeightOf};
use crate::domain::scope::{self, State};
use crate::expiry::{Expires, Lifetime};
use crate::flight::Flights;
use crate::stats::Count;
use crate::store::{Entry, Freshness, Linked, NotLinked, Origin, Removed, Store, Wanted};
use crate::sync::RwLock;
use crate::tenant::{ModeWord, ScopeId};
use crate::time::{NEVER, Nanos};

/// What an instance needs to know of its types, away from the hot path.
pub(crate) struct Ops<K, V> {
    pub(crate) eq: EqOf<K>,
    pub(crate) clone: fn(&V) -> V,
    /// Heap bytes of key and value.
    pub(crate) heap: WeightOf<K, V>,
    /// Replaces the measured cost.
    pub(crate) cost: Option<CostOf<K, V>>,
    /// Says how long an entry lives at the most, beside the tenant's own rules.
    pub(crate) ttl: Option<TtlOf<K, V>>,
    /// Shows the instance to its tenant; only who knows the types can.
    pub(crate) instance: InstanceOf<K, V>,
}

/// Forgets the types of an instance.
pub(crate) type InstanceOf<K, V> = fn(Arc<Core<K, V>>) -> Arc<dyn Instance + Send + Sync>;

/// The data behind a [`Cache`](super::Cache) handle.
pub(crate) struct Core<K, V> {
    /// Read by every look-up.
    pub(crate) mode: ModeWord,
    pub(crate) store: Store<K, V>,
    pub(crate) flights: Flights<K, V>,
    pub(crate) tenant: Arc<CacheTenant>,
    pub(crate) ops: Arc<Ops<K, V>>,
    /// How many the store was made with.
    shards: usize,
    /// What stands for this instance in scopes of tests.
    twins: RwLock<Vec<(ScopeId, Arc<Self>)>>,
}

/// An entry that was not stored.
pub(crate) struct Unstored<K> {
    pub(crate) key: K,
}

impl<K, V> Core<K, V> {
    /// A new instance of this tenant.
    pub(crate) fn new(tenant: &Arc<CacheTenant>, shards: usize, ops: Arc<Ops<K, V>>) -> Arc<Self> {
        let expires = tenant.lifetime.as_ref().map_or(Expires::Never, Lifetime::expires);
        let core = Arc::new(Self {
            mode: ModeWord::new(),
            store: Store::new(shards, tenant.policy, expires),
            flights: Flights::new(),
            tenant: Arc::clone(tenant),
            ops,
            shards,
            twins: RwLock::new(Vec::new()),
        });
        tenant.adopt(&(core.ops.instance)(Arc::clone(&core)));
        core
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
        let find = |twins: &[(ScopeId, Arc<Self>)]| {
            twins.iter().find(|(of, _)| *of == scope.id()).map(|(_, twin)| Arc::clone(twin))
        };
        let found = find(&self.twins.read());
        found.or_else(|| {
            let mut twins = self.twins.write();
            // Another thread of the scope may have come first.
            find(&twins).or_else(|| {
                let tenant = self.tenant.twin(scope);
                let twin = Self::new(&tenant, self.shards, Arc::clone(&self.ops));
                twins.push((scope.id(), Arc::clone(&twin)));
                Some(twin)
            })
        })
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
        freshness: Option<Freshness<'_>>,
        entry: bool,
    ) -> Result<(), Unstored<K>> {
        let tenant = &*self.tenant;
        let heap = (self.ops.heap)(&key, &value);
        let written = tenant.now();
        let deadline = self.deadline(written, hash, &key, &value);
        let too_large = heap.saturating_add(Store::<K, V>::SLOT_BYTES) > tenant.largest();
        let grant = if too_large || deadline <= written { None } else { tenant.reserve(heap, entry) };
        let Some(grant) = grant else {
            tenant.card.tally.add(Count::Rejections, 1);
            return Err(Unstored { key });
        };
        let entry = Entry { hash, key, value, heap, cost, deadline, written };
        match self.link(entry, freshness, grant) {
            Ok(()) => Ok(()),
            Err(entry) => {
                tenant.card.tally.add(Count::Rejections, 1);
                Err(Unstored { key: entry.key })
            }
        }
    }

    /// Links an entry, making way for the growth of tables and pages.
    fn link(
        &self,
        mut entry: Entry<K, V>,
        freshness: Option<Freshness<'_>>,
        mut grant: Grant<'_>,
    ) -> Result<(), Entry<K, V>> {
        let tenant = &*self.tenant;
        let reservation = &tenant.card.reservation;
        let mut effort = super::tenant::Effort::default();
        let hash = entry.hash;
        loop {
            let moment = tenant.moment();
            let eq = |a: &K, b: &K| (self.ops.eq)(a, b);
            let origin = match freshness {
                Some(freshness) => Origin::Load(freshness),
                None if grant.has_place() => Origin::Write,
                None => Origin::Overwrite,
            };
            let writing = freshness.is_none().then(|| self.store.writing(hash));
            let linked = self.store.link(entry, origin, eq, moment, reservation, tenant.card.ceiling());
            if writing.is_some() && matches!(linked, Linked::Done { .. }) {
                // A load in flight must not put an older value over this one. The key is in the store; its hash
                // says enough.
                self.flights.supersede(hash, |_| true);
            }
            drop(writing);
            match linked {
                Linked::Done { replaced, expired } => {
                    grant.keep(replaced.is_none());
                    tenant.offer(self.store.credit_beside(hash));
                    if let Some(replaced) = replaced {
                        reservation.shrink(replaced.heap);
                        tenant.card.tally.add(Count::Replacements, 1);
                    }
                    if !expired.is_empty() {
                        leave(tenant, Count::Expirations, &expired);
                    }
                    return Ok(());
                }
                Linked::Not(back, NotLinked::NoRoom(refused)) => {
                    if effort.note(tenant.make_way(refused)).is_none() {
                        return Err(back);
                    }
                    entry = back;
                }
                Linked::Not(back, NotLinked::Vanished) => {
                    if grant.take_place(&mut effort).is_none() {
                        return Err(back);
                    }
                    entry = back;
                }
                Linked::Stale(back) | Linked::Not(back, NotLinked::Exhausted | NotLinked::Present) => {
                    return Err(back);
                }
            }
        }
    }

    /// When an entry written `now` is too old. The user's function runs with no lock held.
    fn deadline(&self, now: Nanos, hash: u64, key: &K, value: &V) -> Nanos {
        let Some(lifetime) = &self.tenant.lifetime else { return NEVER };
        let own = self.ops.ttl.as_ref().map(|ttl| ttl(key, value));
        lifetime.deadline(now, hash, own)
    }
}

impl<K, V> Instance for Core<K, V> {
    fn credit(&self) -> f64 {
        self.store.credit()
    }

    fn next_victim(&self) -> Option<(f64, f64)> {
        self.store.next_victim()
    }

    fn evict(&self, tenant: &CacheTenant, wanted: Wanted, why: Count) -> Evicted {
        let (removed, settled) = self.store.evict(tenant.moment(), wanted, &tenant.card.reservation);
        Evicted {
            entries: removed.len() as u64,
            bytes: leave(tenant, why, &removed) + settled,
            credit: removed.last().map_or(0.0, |victim| victim.credit),
        }
        // `removed` drops here, with no lock held.
    }

    fn expire(&self, tenant: &CacheTenant, now: Nanos) -> u64 {
        let mut expired = 0;
        self.store.expire(now, &tenant.card.reservation, |removed| {
            expired += removed.len() as u64;
            leave(tenant, Count::Expirations, &removed);
        });
        expired
    }

    fn expire_some(&self, tenant: &CacheTenant, now: Nanos, patient: bool) -> u64 {
        let removed = self.store.expire_some(now, patient, &tenant.card.reservation);
        leave(tenant, Count::Expirations, &removed);
        removed.len() as u64
    }

    fn clear(&self, tenant: &CacheTenant) {
        self.store.advance_all();
        self.flights.supersede_all();
        self.store.drain(&tenant.card.reservation, |removed| {
            leave(tenant, Count::Invalidations, &removed);
        });
        tenant.publish();
    }

    fn follow_mode(&self) {
        self.mode.follow(|| self.tenant.core.mode());
    }

    fn leave(&self, scope: ScopeId) {
        let mut twins = self.twins.write();
        let twin = twins.iter().position(|(of, _)| *of == scope).map(|at| twins.swap_remove(at));
        drop(twins);
        // The user's values are dropped here, with no lock held.
        drop(twin);
    }
}

/// Takes entries that are on their way out off the books, before they are dropped: a `Drop` may panic, or look.
/// Returns their heap bytes.
fn leave<K, V>(tenant: &CacheTenant, why: Count, removed: &[Removed<K, V>]) -> u64 {
    tenant.card.tally.add(why, removed.len() as u64);
    let heap = removed.iter().map(|removed| removed.heap);
    heap.inspect(|&heap| tenant.release(heap)).sum()
}
