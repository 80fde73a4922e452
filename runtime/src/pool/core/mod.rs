//! The works of one pool: its state and its books, and how it ends.
//!
//! What is done with it is told by subject: how objects are lent in `lending`, who waits for one in `waiting`, how they
//! are made and charged in `making`, how they come back in `returning`, what threads keep for themselves in `threads`, and
//! how idle ones are let go in `idle`. Not here: the handles that people hold, and what a pool is to its domain.

mod idle;
mod lending;
mod making;
mod returning;
mod threads;
mod waiting;

pub(crate) use idle::Dropped;
pub(super) use lending::Refusal;
pub(crate) use making::Room;
pub(super) use making::Run;
use threads::Magazines;

use std::sync::{Arc, OnceLock, Weak};

use super::bound::StandIn;
use super::depot::Depot;
use super::magazine::{self, Gate, Magazine, Place};
use super::node::{Kind, List};
use super::recipe::{PoolProof, Recipe};
use super::tenant::PoolTenant;
use super::wait::Queue;
use super::{Options, Order};
use crate::cost::{self, Median};
use crate::curve::{Curve, Depths, Stock};
use crate::domain::DomainCore;
use crate::domain::scope::{self, State};
use crate::policy;
use crate::pressure::Level;
use crate::stats::Count;
use crate::sync::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Mutex, Ordering};
use crate::tenant::{Card, ModeWord, Twins, arc};

/// A price that others read.
#[derive(Debug)]
pub(super) struct Price(AtomicU64);

impl Price {
    pub(super) fn new() -> Self {
        Self(AtomicU64::new(f64::INFINITY.to_bits()))
    }

    pub(super) fn get(&self) -> f64 {
        f64::from_bits(self.0.load(Ordering::Relaxed))
    }

    pub(super) fn set(&self, price: f64) {
        self.0.store(price.to_bits(), Ordering::Relaxed);
    }
}

/// Half of what a magazine holds at the most.
const HALF: u64 = magazine::PLACES_OF_ONE as u64 / 2;

pub(crate) struct PoolCore<T> {
    /// Read by every acquire and every return, like the fields up to `mode`.
    pub(super) gate: Gate,
    place: Place,
    mode: ModeWord,
    /// There is nothing to be done with an object that comes back but to keep it.
    keeps: bool,
    /// Or all of it is done by this.
    at_once: Option<fn(&mut T) -> Option<u64>>,
    /// Objects in a magazine at the most; 0 where all go through the depot.
    most: u32,
    /// An object that weighs more goes to the depot at once.
    large: u64,
    /// Objects are looked at when they are lent: they age, or have to be validated.
    looks: bool,
    recipe: Arc<Recipe<T>>,
    pub(super) options: Options,
    pub(super) depot: Depot<T>,
    magazines: Mutex<Magazines<T>>,
    pub(super) queue: Queue<T>,
    /// Objects that are alive, idle and leased, those outside the bound included.
    pub(super) nodes: AtomicU64,
    /// Those that count against `max`, and places that are taken for some that are being made.
    pub(super) members: AtomicU64,
    pub(super) max: AtomicU64,
    /// Bytes of objects that no reservation covers.
    pub(super) uncharged: AtomicU64,
    /// What the object that was weighed last weighs.
    typical: AtomicU64,
    /// Leases since some objects were scarce.
    calm: AtomicU32,
    filled: AtomicBool,
    proof: PoolProof<T>,
    pub(super) costs: Median,
    /// What leases say of more objects and fewer.
    pub(super) depths: Depths,
    /// What the next object to go is worth, as it was said last.
    pub(super) price: Price,
    /// Its place among the tenant's instances, unless another stands for it there.
    pub(super) rank: AtomicU32,
    /// Shared with the other instances, if there are any.
    pub(super) tenant: Arc<PoolTenant>,
    /// The tenant's.
    pub(crate) card: Arc<Card>,
    pub(super) domain: Arc<DomainCore>,
    /// What stands for this pool in scopes of tests.
    pub(super) twins: Twins<Self>,
    /// Handles that people hold; with the last one idle objects go.
    pub(super) handles: AtomicUsize,
    me: Weak<Self>,
    /// What others know instead of a pool that is bound to its thread.
    pub(super) stand_in: OnceLock<Arc<StandIn>>,
    #[cfg(feature = "leak-report")]
    pub(super) leases: super::leaks::Leases,
}

// SAFETY: the pool moves objects between threads and gives none of them shared access to one, so `T: Send` is enough; its
// functions and books are `Send + Sync` by themselves.
unsafe impl<T: Send> Send for PoolCore<T> {}
// SAFETY: as above.
unsafe impl<T: Send> Sync for PoolCore<T> {}

impl<T> PoolCore<T> {
    /// A new pool of this tenant, charged.
    pub(crate) fn new(
        tenant: &Arc<PoolTenant>,
        options: Options,
        recipe: Arc<Recipe<T>>,
        proof: PoolProof<T>,
    ) -> Arc<Self> {
        let core = Self::uncharged(tenant, options, recipe, proof);
        core.charge_base();
        core
    }

    /// A new pool of this tenant, to be [charged](Self::charge_base); runs nothing of the user's.
    pub(crate) fn uncharged(
        tenant: &Arc<PoolTenant>,
        options: Options,
        recipe: Arc<Recipe<T>>,
        proof: PoolProof<T>,
    ) -> Arc<Self> {
        let card = Arc::clone(&tenant.card);
        if !recipe.exact {
            card.set_estimated(true);
        }
        let bounded = options.max.min(options.max_idle);
        let direct = options.order == Order::Fifo || options.shelved;
        let most = if direct || options.max_idle < 4 { 0 } else { (bounded / 8).clamp(1, HALF) * 2 };
        let looks = options.ages() || options.validate_on_acquire;
        let cores = std::thread::available_parallelism().map_or(4, std::num::NonZero::get);
        let shards = if direct || bounded <= 32 { 1 } else { cores.min(4) };
        let depot = Depot::new(shards, options.order == Order::Fifo, options.shelved);
        card.add_base(Self::base(&depot, &recipe));
        let core = Arc::new_cyclic(|me| Self {
            me: Weak::clone(me),
            mode: ModeWord::new(),
            gate: Gate::new(looks),
            place: Place::new(),
            keeps: recipe.is_empty() && !looks,
            at_once: if looks { None } else { recipe.at_once },
            most: most as u32,
            large: (magazine::BYTES / most.max(1)).min(tenant.card.ceiling() / 8),
            looks,
            recipe,
            depot,
            magazines: Mutex::new(Magazines { list: Vec::new(), charged: 0, next: 0 }),
            queue: Queue::new(),
            nodes: AtomicU64::new(0),
            members: AtomicU64::new(0),
            max: AtomicU64::new(options.max),
            uncharged: AtomicU64::new(0),
            typical: AtomicU64::new(0),
            calm: AtomicU32::new(0),
            filled: AtomicBool::new(options.min_idle == 0),
            options,
            proof,
            costs: Median::default(),
            depths: Depths::new(),
            price: Price::new(),
            rank: AtomicU32::new(0),
            tenant: Arc::clone(tenant),
            card,
            domain: Arc::clone(&tenant.domain),
            twins: Twins::new(),
            handles: AtomicUsize::new(1),
            stand_in: OnceLock::new(),
            #[cfg(feature = "leak-report")]
            leases: super::leaks::Leases::new(),
        });
        if core.domain.level() == Level::Emergency {
            core.gate.shut(Gate::ALERT);
        }
        tenant.adopt(&(proof.instance)(&core));
        core
    }

    /// Bytes that it takes while it is empty.
    fn base(depot: &Depot<T>, recipe: &Recipe<T>) -> u64 {
        arc::<Self>() + depot.bytes() + recipe.bytes()
    }

    /// A handle that keeps the pool.
    fn me(&self) -> Arc<Self> {
        self.me.upgrade().expect("whoever calls the pool keeps it")
    }

    /// Charges what it takes while it is empty, if anybody can make way for that; if not, its first object tries again.
    /// What makes way is dropped here, so no lock may be held.
    pub(crate) fn charge_base(&self) {
        self.domain.cover(&self.card);
    }

    pub(super) fn is_bypassed(&self) -> bool {
        self.mode.get().is_bypass()
    }

    /// What stands for this pool in the scope that the thread is in, if it is in one.
    pub(super) fn twin(&self) -> Option<Arc<Self>> {
        self.heed();
        if self.mode.get().is_scoped() {
            let twin = self.twin_in(&*scope::current()?);
            twin.heed();
            Some(twin)
        } else {
            None
        }
    }

    #[cold]
    fn twin_in(&self, scope: &State) -> Arc<Self> {
        let mut is_new = false;
        let twin = self.twins.find_or_make(scope.id(), || {
            is_new = true;
            let tenant = self.tenant.twin(scope);
            let options = Options { max: self.max.load(Ordering::Relaxed), ..self.options };
            Self::uncharged(&tenant, options, Arc::clone(&self.recipe), self.proof)
        });
        if is_new {
            twin.charge_base();
        }
        twin
    }

    pub(super) fn follow_mode(&self) {
        self.mode.follow(|| self.domain.mode());
        self.gate.follow(|| self.mode.get().is_normal());
    }

    /// This thread's magazine, if it has one.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(super) fn magazine(&self) -> Option<&Magazine<T>> {
        // SAFETY: the place is this pool's, whose objects are `T`s.
        unsafe { self.place.find(self) }
    }

    /// The same, for who is about to lend.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(super) fn magazine_to_lend(&self) -> Option<&Magazine<T>> {
        // SAFETY: as above.
        unsafe { self.place.find_to_lend(self) }
    }

    /// The same, if this pool lent last in this thread.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(super) fn magazine_of_last(&self) -> Option<&Magazine<T>> {
        // SAFETY: as above.
        unsafe { self.place.find_last(self) }
    }

    /// What the object that was weighed last weighs.
    pub(super) fn typical(&self) -> u64 {
        self.typical.load(Ordering::Relaxed)
    }

    /// What each byte of an idle object of this weight saves: what making another costs, once.
    pub(super) fn density_of(&self, weight: u64) -> f64 {
        policy::density(1, cost::decode(self.costs.current()) as f64, weight)
    }

    /// Objects that are not in the depot: lent, or with threads.
    pub(super) fn out(&self) -> u64 {
        self.nodes.load(Ordering::Relaxed).saturating_sub(self.depot.len() as u64)
    }

    /// Ends an epoch of the curve.
    pub(super) fn learn(&self) -> Option<Curve> {
        self.count_all();
        self.depths.end_epoch(Stock {
            alive: self.nodes.load(Ordering::Relaxed),
            out: self.out(),
            weight: self.typical(),
            cost: cost::decode(self.costs.current()),
        })
    }

    /// Says what the next object to go is worth.
    pub(super) fn publish(&self) {
        let coldest = self.depot.coldest();
        let scale = self.card.scale();
        let price = if coldest.is_finite() {
            coldest * scale
        } else if self.nodes.load(Ordering::SeqCst) > 0 && !self.gate.has(Gate::ALERT) {
            // There may be some in magazines.
            self.domain.inflation() + self.density_of(self.typical.load(Ordering::Relaxed)) * scale
        } else {
            f64::INFINITY
        };
        self.price.set(price);
        self.tell();
    }

    /// The books of an object that leaves.
    pub(super) fn let_go(&self, kind: Kind, weight: u64, charged: u64) {
        if kind == Kind::Outside {
            return;
        }
        self.card.reservation.shrink(charged);
        if charged == 0 {
            self.uncharged.fetch_sub(weight, Ordering::Relaxed);
        }
        let last = self.nodes.fetch_sub(1, Ordering::SeqCst) == 1;
        if kind == Kind::Member {
            self.members.fetch_sub(1, Ordering::SeqCst);
        }
        if last {
            self.publish();
        }
        self.serve();
    }

    /// The pool takes nothing back any more, and lends nothing.
    pub(super) fn close(&self) {
        self.gate.shut(Gate::CLOSED);
        self.turn_away();
        self.card.tally.add(Count::Invalidations, self.drop_all().count);
        self.card.reservation.release_credit();
    }

    pub(super) fn is_closed(&self) -> bool {
        self.gate.has(Gate::CLOSED)
    }

    /// The last handle is gone: so are what waits, and the twins.
    pub(super) fn abandon(&self) {
        for twin in self.twins.take_all() {
            twin.close();
        }
        self.close();
    }

    /// Another bound; what is idle beyond it goes.
    pub(super) fn resize(&self, max: u64) {
        self.max.store(max, Ordering::SeqCst);
        if self.members.load(Ordering::SeqCst) > max {
            // What comes back is looked at until there are few enough.
            self.gate.shut(Gate::ALERT);
            self.gather();
            let mut beyond = List::new();
            while self.members.load(Ordering::SeqCst).saturating_sub(beyond.len() as u64) > max
                && let Some(own) = self.depot.take_coldest(f64::INFINITY)
            {
                beyond.push_warm(own);
            }
            self.card.tally.add(Count::Evictions, beyond.len() as u64);
            self.publish();
            drop(beyond);
        }
        self.serve();
    }

    /// Whether another thread of a forked process' parent may have held one of our locks.
    pub(super) fn is_free(&self) -> bool {
        self.magazines.try_lock().is_some() && self.depot.is_free()
    }

    /// Bytes of what threads keep objects in.
    #[cfg(test)]
    pub(crate) fn magazine_bytes(&self) -> u64 {
        self.magazines.lock().charged
    }

    /// Bytes of what waits idle and of the magazines, counted anew.
    #[cfg(all(test, not(larder_shuttle)))]
    pub(crate) fn idle_bytes(&self) -> u64 {
        self.gather();
        let mut bytes = self.magazines.lock().charged;
        self.depot.for_each(|node| bytes += node.weight());
        bytes
    }
}

impl<T> Drop for PoolCore<T> {
    /// What was idle, and what is lent, is gone before; this is what the empty pool took.
    fn drop(&mut self) {
        self.price.set(f64::INFINITY);
        match self.stand_in.get() {
            Some(stand_in) => {
                stand_in.end();
                self.tenant.forget(&**stand_in);
            }
            None => self.tenant.forget(self),
        }
        self.card.remove_base(Self::base(&self.depot, &self.recipe));
        self.uncharge_magazines();
    }
}
