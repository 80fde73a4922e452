//! Pools of reusable objects under the shared budget: objects wait idle, or are out on lease.
//!
//! An object in the pool is charged while it is idle (by its heap; its slot is part of the charged list)
//! and while it is leased (itself and its heap, at the weight it last had). The budget never refuses a
//! lease: it evicts, and where that is not enough the lease goes out uncharged, which the stats show.
//! Only idle objects are reclaimed, the one that waited longest first.

mod recipe;
mod shelf;

pub use recipe::{DefaultMake, PoolProof, Poolable, Recipe, ResetOutcome, default_of, keep, poolable};

pub use shelf::{Made, Shelves, Vacancy, look_on_shelf, made_by_function};

use std::collections::VecDeque;
use std::fmt;
use std::mem::ManuallyDrop;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use crate::budget::Refused;
use crate::cost::{self, Median};
use crate::domain::DomainCore;
use crate::domain::scope::{self, State};
use crate::policy;
use crate::pressure::Level;
use crate::stats::{Count, TenantStats};
use crate::sync::{AtomicU64, Mutex, Ordering};
use crate::tenant::{Card, Claim, Given, ModeWord, ScopeId, Tenant, Terms, Twins, arc};
use crate::time::Nanos;
use crate::weight::weigh::allocation;
use shelf::Shelf;

/// A pool of objects of one type; `#[pooled]` makes one for a struct.
///
/// # Locking
///
/// One lock around the list of idle objects, held for a push or a pop. Constructors, resets and drops run
/// outside it.
pub struct Pool<T> {
    pub(crate) core: Arc<PoolCore<T>>,
}

pub(crate) struct PoolCore<T> {
    /// Read by every acquire.
    mode: ModeWord,
    idle: Mutex<IdleList<T>>,
    /// Objects of the pool, idle and leased; never above `max`.
    objects: AtomicU64,
    /// Objects out on lease, those outside the bound included.
    leased: AtomicU64,
    /// Bytes of leases that no reservation covers.
    uncharged: AtomicU64,
    max: u64,
    recipe: Recipe<T>,
    proof: PoolProof<T>,
    costs: Median,
    pub(crate) card: Arc<Card>,
    domain: Arc<DomainCore>,
    /// What stands for this pool in scopes of tests.
    twins: Twins<Self>,
}

struct IdleList<T> {
    /// The one that waited longest is in front; acquires take from the back.
    objects: VecDeque<Idle<T>>,
    /// Bytes of the list that the reservation was charged.
    charged: u64,
}

struct Idle<T> {
    object: T,
    /// Where it belongs.
    shelf: Shelf,
    /// Heap bytes, as charged.
    heap: u64,
    /// What keeping it is worth, computed when it came back.
    credit: f64,
}

/// A constructor at work. Dropped before it succeeded, it counts as a failure.
struct Run<'a, T> {
    pool: &'a PoolCore<T>,
    start: Nanos,
    failed: bool,
}

impl<'a, T> Run<'a, T> {
    fn start(pool: &'a PoolCore<T>) -> Self {
        Self { pool, start: pool.domain.now(), failed: true }
    }

    fn succeed(mut self) {
        let nanos = self.pool.domain.now().saturating_sub(self.start);
        self.failed = false;
        self.pool.costs.observe(nanos);
        self.pool.card.tally.add(Count::Loads, 1);
        self.pool.card.tally.add(Count::LoadNanos, nanos);
    }
}

impl<T> Drop for Run<'_, T> {
    fn drop(&mut self) {
        if self.failed {
            self.pool.card.tally.add(Count::LoadFailures, 1);
        }
    }
}

/// What left the idle list.
struct Dropped {
    count: u64,
    bytes: u64,
    /// What the last of them was worth.
    price: Option<f64>,
}

/// Bytes of the object itself.
const fn inline<T>() -> u64 {
    size_of::<T>() as u64
}

impl<T> PoolCore<T> {
    /// A new pool of this domain.
    pub(crate) fn new(
        domain: &Arc<DomainCore>,
        terms: Terms,
        max: Option<u64>,
        recipe: Recipe<T>,
        proof: PoolProof<T>,
    ) -> Arc<Self> {
        let card = domain.enroll(terms);
        card.estimated.store(!proof.weigher.exact, Ordering::Relaxed);
        card.add_base(arc::<Self>());
        domain.cover(&card);
        let core = Arc::new(Self {
            mode: ModeWord::new(),
            idle: Mutex::new(IdleList { objects: VecDeque::new(), charged: 0 }),
            objects: AtomicU64::new(0),
            leased: AtomicU64::new(0),
            uncharged: AtomicU64::new(0),
            max: max.unwrap_or(u64::MAX),
            recipe,
            proof,
            costs: Median::default(),
            card: Arc::clone(&card),
            domain: Arc::clone(domain),
            twins: Twins::new(),
        });
        let tenant = (proof.tenant)(Arc::clone(&core));
        domain.admit(&card, Arc::downgrade(&tenant));
        // Once it is on the list: a change of mode either finds it there, or is seen here.
        tenant.follow_mode();
        core
    }

    fn is_bypassed(&self) -> bool {
        self.mode.get().is_bypass()
    }

    /// What stands for this pool in the scope that the thread is in, if it is in one.
    fn twin(&self) -> Option<Arc<Self>> {
        if self.mode.get().is_scoped() { Some(self.twin_in(&*scope::current()?)) } else { None }
    }

    #[cold]
    fn twin_in(&self, scope: &State) -> Arc<Self> {
        self.twins.find_or_make(scope.id(), || {
            let domain = scope.twin_of(&self.domain);
            let max = Some(self.max).filter(|max| *max < u64::MAX);
            Self::new(&domain, self.card.terms(), max, self.recipe, self.proof)
        })
    }

    /// The object that came back last of those that belong where it is said.
    fn take_idle(&self, belongs: impl Fn(&Shelf) -> bool) -> Option<Idle<T>> {
        let mut idle = self.idle.lock();
        // Nearly always the last one, or none at all.
        let at = idle.objects.iter().rposition(|idle| belongs(&idle.shelf))?;
        let taken = idle.objects.remove(at)?;
        self.publish(&idle);
        Some(taken)
    }

    fn publish(&self, idle: &IdleList<T>) {
        let price = idle.objects.front().map_or(f64::INFINITY, |idle| idle.credit * self.card.scale());
        self.card.publish(price);
    }

    /// Charges `bytes` of a lease as far as the budget can make room; the rest is noted as uncharged.
    fn charge(&self, bytes: u64) -> u64 {
        if !self.card.is_covered() {
            self.domain.cover(&self.card);
        }
        let mut futile = 0;
        while futile < 8 {
            match self.card.reservation.try_grow(bytes, self.card.ceiling()) {
                Ok(()) => return bytes,
                Err(Refused::Ceiling { .. }) => break,
                Err(Refused::Budget { short }) => {
                    let freed = self.domain.relief().make_room(&self.domain, &self.card, short);
                    futile += u32::from(freed == 0);
                }
            }
        }
        self.uncharged.fetch_add(bytes, Ordering::Relaxed);
        0
    }

    /// Takes back what [`charge`](Self::charge) charged of `bytes`.
    fn uncharge(&self, charged: u64, bytes: u64) {
        self.card.reservation.shrink(charged);
        self.uncharged.fetch_sub(bytes - charged, Ordering::Relaxed);
    }

    /// Runs the constructor; a panic counts as a failure and leaves the pool as it was.
    fn make(&self) -> T {
        let run = Run::start(self);
        let object = (self.recipe.make)();
        run.succeed();
        object
    }

    /// Heap bytes of an object, and what it takes to tell where it belongs.
    fn heap(&self, object: &T, shelf: &Shelf) -> u64 {
        (self.proof.weigher.heap)(object) + shelf.as_ref().map_or(0, |label| label.bytes())
    }

    /// Counts one object more, if the bound allows.
    fn try_count(&self) -> bool {
        let counted = self.objects.fetch_update(Ordering::AcqRel, Ordering::Acquire, |objects| {
            (objects < self.max).then_some(objects + 1)
        });
        counted.is_ok()
    }

    /// What each byte of an idle object of this weight saves: what making another costs, once.
    fn density(&self, weight: u64) -> f64 {
        policy::density(1, cost::decode(self.costs.current()) as f64, weight)
    }

    /// Keeps a returned object for the next lease, if it is worth it and there is room for it.
    fn put(&self, object: T, shelf: Shelf, heap: u64, was_charged: u64) -> Result<(), (T, Shelf)> {
        let credit = self.domain.inflation() / self.card.scale() + self.density(heap + inline::<T>());
        // What the lease was charged becomes the idle object's heap; only a grown object needs more.
        let more = heap.saturating_sub(was_charged);
        if self.card.reservation.try_grow(more, self.card.ceiling()).is_err() {
            return Err((object, shelf));
        }
        let mut idle = self.idle.lock();
        if !idle.grow(&self.card) {
            drop(idle);
            self.card.reservation.shrink(more);
            return Err((object, shelf));
        }
        idle.objects.push_back(Idle { object, shelf, heap, credit });
        self.publish(&idle);
        drop(idle);
        self.card.reservation.shrink((was_charged + more).saturating_sub(heap));
        Ok(())
    }

    /// Bytes of what waits idle, counted anew.
    #[cfg(all(test, not(larder_shuttle)))]
    pub(crate) fn idle_bytes(&self) -> u64 {
        let idle = self.idle.lock();
        idle.charged + idle.objects.iter().map(|idle| idle.heap).sum::<u64>()
    }

    fn clear_idle(&self) {
        let dropped = self.drop_coldest(u64::MAX, f64::INFINITY);
        self.card.tally.add(Count::Invalidations, dropped.count);
        self.card.reservation.release_credit();
    }

    /// Takes out idle objects from the cold end until about `bytes` went, or, after the first, one is worth more
    /// than `upto`.
    fn drop_coldest(&self, bytes: u64, upto: f64) -> Dropped {
        let mut removed = Vec::new();
        let mut heap = 0;
        let mut idle = self.idle.lock();
        while heap < bytes.max(1) {
            let dear = |idle: &Idle<T>| !removed.is_empty() && idle.credit * self.card.scale() > upto;
            if idle.objects.front().is_some_and(dear) {
                break;
            }
            let Some(coldest) = idle.objects.pop_front() else { break };
            heap += coldest.heap + inline::<T>();
            removed.push(coldest);
        }
        let list = idle.shrink(&self.card);
        self.publish(&idle);
        drop(idle);
        let freed: u64 = removed.iter().map(|idle| idle.heap).sum();
        let count = removed.len() as u64;
        self.card.reservation.shrink(freed);
        self.objects.fetch_sub(count, Ordering::AcqRel);
        let price = removed.last().map(|idle| idle.credit * self.card.scale());
        Dropped { count, bytes: freed + list, price }
        // `removed` drops here, outside the lock.
    }
}

impl<T> IdleList<T> {
    fn bytes(capacity: usize) -> u64 {
        allocation(capacity * size_of::<Idle<T>>())
    }

    /// Makes room for one more, reserving the bytes first; `false` when there is none.
    fn grow(&mut self, card: &Card) -> bool {
        if self.objects.len() < self.objects.capacity() {
            return true;
        }
        let capacity = (self.objects.capacity() * 2).max(4);
        let more = Self::bytes(capacity).saturating_sub(self.charged);
        if card.reservation.try_grow(more, card.ceiling()).is_err() {
            return false;
        }
        self.charged += more;
        let grown = self.objects.try_reserve_exact(capacity - self.objects.len()).is_ok();
        self.settle(card);
        grown
    }

    /// Gives back a list that is mostly empty; returns the bytes.
    fn shrink(&mut self, card: &Card) -> u64 {
        if self.objects.len() * 4 < self.objects.capacity() {
            self.objects.shrink_to(self.objects.len() * 2);
        }
        self.settle(card)
    }

    fn settle(&mut self, card: &Card) -> u64 {
        let surplus = self.charged.saturating_sub(Self::bytes(self.objects.capacity()));
        self.charged -= surplus;
        card.reservation.shrink(surplus);
        surplus
    }
}

impl<T> Pool<T> {
    pub(crate) fn from_core(core: Arc<PoolCore<T>>) -> Self {
        Self { core }
    }

    /// Lends an object: the one that came back last, or a new one.
    ///
    /// Never fails and never waits. With `max` objects in the pool already, the new one is outside the
    /// bound: it is dropped when its lease ends.
    ///
    /// # Panics
    ///
    /// When the constructor does; the pool stays as it was.
    #[must_use = "a lease ends when it is dropped"]
    pub fn acquire(&self) -> Pooled<T> {
        match self.core.twin() {
            Some(twin) => Self::acquire_from(&twin),
            None => Self::acquire_from(&self.core),
        }
    }

    fn acquire_from(core: &Arc<PoolCore<T>>) -> Pooled<T> {
        if core.is_bypassed() {
            return Pooled::outside(core, core.make());
        }
        if let Some(idle) = core.take_idle(|_| true) {
            return Pooled::of_idle(core, idle);
        }
        core.card.tally.miss();
        let object = core.make();
        Pooled::of_new(core, object, None)
    }

    /// The pool, or its twin in the scope of a test.
    fn here(&self) -> Arc<PoolCore<T>> {
        self.core.twin().unwrap_or_else(|| Arc::clone(&self.core))
    }

    /// Drops every idle object.
    pub fn clear(&self) {
        self.here().clear_idle();
    }

    /// Objects that wait to be lent.
    #[must_use]
    pub fn idle(&self) -> usize {
        self.here().idle.lock().objects.len()
    }

    /// Objects out on lease.
    #[must_use]
    pub fn leased(&self) -> u64 {
        self.here().leased.load(Ordering::Relaxed)
    }

    /// Bytes charged to the budget: idle and leased objects, and the list of idle ones.
    #[must_use]
    pub fn weight(&self) -> u64 {
        self.here().card.reservation.spent()
    }

    /// The counters and figures of this pool.
    #[must_use]
    pub fn stats(&self) -> TenantStats
    where
        T: Send + 'static,
    {
        let core = self.here();
        core.domain.stats_of(&*core)
    }
}

impl<T> fmt::Debug for Pool<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool")
            .field("name", &self.core.card.name)
            .field("idle", &self.idle())
            .field("leased", &self.leased())
            .finish_non_exhaustive()
    }
}

/// An object on loan from a [`Pool`]; dropping it returns the object.
///
/// On return the object is reset and waits for the next lease. It is dropped instead when the reset says
/// so or panics, when the thread is panicking, when it is outside the pool's bound, when memory is in an
/// emergency, or when it has grown and the budget has no room for it.
pub struct Pooled<T> {
    /// Taken exactly once: by `drop` or by `detach`.
    object: ManuallyDrop<T>,
    pool: Arc<PoolCore<T>>,
    /// Where it belongs.
    shelf: Shelf,
    /// Heap bytes when it was lent.
    heap: u64,
    /// Bytes charged for it.
    charged: u64,
    kind: Lease,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lease {
    /// Counts among the pool's objects; goes back.
    Member,
    /// Made beyond the bound; charged, dropped at the end.
    Surplus,
    /// Made while pooling was off: the pool knows nothing of it.
    Outside,
}

impl<T> Pooled<T> {
    /// Lends an object that was idle.
    fn of_idle(pool: &Arc<PoolCore<T>>, idle: Idle<T>) -> Self {
        let Idle { object, shelf, heap, .. } = idle;
        pool.card.tally.hit(cost::decode(pool.costs.current()));
        pool.leased.fetch_add(1, Ordering::Relaxed);
        let charged = heap + pool.charge(inline::<T>());
        let (object, pool, kind) = (ManuallyDrop::new(object), Arc::clone(pool), Lease::Member);
        Self { object, pool, shelf, heap, charged, kind }
    }

    /// Lends an object that was made just now.
    fn of_new(pool: &Arc<PoolCore<T>>, object: T, shelf: Shelf) -> Self {
        if pool.is_bypassed() {
            return Self::outside(pool, object);
        }
        let heap = pool.heap(&object, &shelf);
        let mut counted = pool.try_count();
        if !counted && shelf.is_some() {
            // What waits on other shelves is not what is wanted.
            let dropped = pool.drop_coldest(1, f64::INFINITY);
            pool.card.tally.add(Count::Evictions, dropped.count);
            counted = pool.try_count();
        }
        pool.leased.fetch_add(1, Ordering::Relaxed);
        let charged = pool.charge(heap + inline::<T>());
        let kind = if counted { Lease::Member } else { Lease::Surplus };
        Self { object: ManuallyDrop::new(object), pool: Arc::clone(pool), shelf, heap, charged, kind }
    }

    fn outside(pool: &Arc<PoolCore<T>>, object: T) -> Self {
        let kind = Lease::Outside;
        let (object, pool) = (ManuallyDrop::new(object), Arc::clone(pool));
        Self { object, pool, shelf: None, heap: 0, charged: 0, kind }
    }

    /// Bytes that the budget was charged for this lease.
    #[cfg(all(test, not(larder_shuttle)))]
    pub(crate) fn charged(&self) -> u64 {
        self.charged
    }

    /// Keeps the object for good: it leaves the pool and the budget.
    #[must_use = "the object is not returned any more"]
    pub fn detach(lease: Self) -> T {
        let mut lease = ManuallyDrop::new(lease);
        // SAFETY: `lease` is never dropped and not used after this function, so the object is taken once.
        let object = unsafe { ManuallyDrop::take(&mut lease.object) };
        let parting = Parting::of(&lease);
        // SAFETY: the same: the pool's handle is read out once, and `lease` is not dropped.
        let pool = unsafe { std::ptr::read(&lease.pool) };
        drop(lease.shelf.take());
        parting.forget_object(&pool);
        object
    }
}

/// The books of a lease that ends.
#[derive(Clone, Copy)]
struct Parting {
    heap: u64,
    charged: u64,
    kind: Lease,
}

impl Parting {
    fn of<T>(lease: &Pooled<T>) -> Self {
        Self { heap: lease.heap, charged: lease.charged, kind: lease.kind }
    }

    /// The object is not the pool's any more.
    fn forget_object<T>(self, pool: &PoolCore<T>) {
        if self.kind == Lease::Outside {
            return;
        }
        pool.uncharge(self.charged, self.heap + inline::<T>());
        pool.leased.fetch_sub(1, Ordering::Relaxed);
        if self.kind == Lease::Member {
            pool.objects.fetch_sub(1, Ordering::AcqRel);
        }
    }

    /// Resets the object and puts it back, or drops it.
    fn finish<T>(self, pool: &PoolCore<T>, object: T, shelf: Shelf) {
        /// Keeps the books right when the reset panics: the object is gone then.
        struct Discard<'a, T>(&'a PoolCore<T>, Option<Parting>);
        impl<T> Drop for Discard<'_, T> {
            fn drop(&mut self) {
                if let Some(parting) = self.1 {
                    parting.forget_object(self.0);
                }
            }
        }
        let keeps = self.kind == Lease::Member
            && !std::thread::panicking()
            && !pool.is_bypassed()
            && pool.domain.level() != Level::Emergency;
        let mut discard = Discard(pool, Some(self));
        let mut object = object;
        if !keeps || !(pool.recipe.reset)(&mut object) {
            return;
        }
        let heap = pool.heap(&object, &shelf);
        if pool.put(object, shelf, heap, self.charged).is_ok() {
            discard.1 = None;
            pool.uncharged.fetch_sub(self.heap + inline::<T>() - self.charged, Ordering::Relaxed);
            pool.leased.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

impl<T> Drop for Pooled<T> {
    fn drop(&mut self) {
        // SAFETY: `drop` runs once, and `detach` never lets it run.
        let object = unsafe { ManuallyDrop::take(&mut self.object) };
        Parting::of(self).finish(&self.pool, object, self.shelf.take());
    }
}

impl<T> Deref for Pooled<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.object
    }
}

impl<T> DerefMut for Pooled<T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.object
    }
}

impl<T: fmt::Debug> fmt::Debug for Pooled<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        T::fmt(self, f)
    }
}

impl<T: Send + 'static> Tenant for PoolCore<T> {
    fn card(&self) -> &Card {
        &self.card
    }

    fn reclaim(&self, claim: Claim) -> Given {
        let dropped = self.drop_coldest(claim.bytes, claim.upto);
        self.card.tally.add(Count::Reclaims, dropped.count);
        if let Some(price) = dropped.price {
            self.domain.raise_inflation(price);
        }
        Given { bytes: dropped.bytes, entries: dropped.count }
    }

    fn sweep(&self, _now: Nanos) -> u64 {
        0
    }

    fn drop_idle(&self) -> u64 {
        let dropped = self.drop_coldest(u64::MAX, f64::INFINITY);
        self.card.tally.add(Count::Reclaims, dropped.count);
        dropped.bytes
    }

    fn clear(&self) {
        self.clear_idle();
    }

    fn follow_mode(&self) {
        self.mode.follow(|| self.domain.mode());
    }

    fn leave(&self, scope: ScopeId) {
        let twin = self.twins.leave(scope);
        // The user's objects are dropped here, with no lock held.
        drop(twin);
    }

    fn marginal(&self) -> f64 {
        let weight = self.idle.lock().objects.front().map(|idle| idle.heap + inline::<T>());
        weight.map_or(0.0, |weight| self.density(weight) * self.card.scale())
    }

    fn stats(&self) -> TenantStats {
        let mut stats = TenantStats::empty(self.card.name.to_string(), self.card.kind);
        stats.entries = self.objects.load(Ordering::Relaxed);
        stats.leased = self.leased.load(Ordering::Relaxed);
        stats.uncharged = self.uncharged.load(Ordering::Relaxed) + self.card.uncovered();
        stats.max_entries = (self.max < u64::MAX).then_some(self.max);
        stats
    }
}

impl<T> Drop for PoolCore<T> {
    fn drop(&mut self) {
        self.card.close();
    }
}

#[cfg(all(test, not(larder_shuttle)))]
mod tests;
