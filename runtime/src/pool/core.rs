//! The works of one pool: how objects are lent, come back, are made and let go, with every byte on the books.
//!
//! The usual lease and return are [`PoolCore::lend_near`] and [`PoolCore::give_back`], which end in the thread's magazine.
//! Everything else is here, too, off that path: batches from and to the depot, bounds, pressure, waiting. Not here: the
//! handles that people hold, and what a pool is to its domain.

use std::sync::{Arc, Weak};

use super::depot::Depot;
use super::magazine::{self, Gate, Magazine, Place, Pushed};
use super::node::{Facts, Kind, List, Node, Own};
use super::recipe::{Failure, PoolProof, Recipe};
use super::shelf::Shelf;
use super::wait::{Gift, Queue, Ticket, Waiter};
use super::{Options, Order};
use crate::budget::Refused;
use crate::cost::{self, Median};
use crate::descriptor::Exhausted;
use crate::domain::DomainCore;
use crate::domain::scope::{self, State};
use crate::policy;
use crate::pressure::Level;
use crate::stats::Count;
use crate::sync::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Mutex, Ordering};
use crate::tenant::{Card, ModeWord, Terms, Twins, arc};
use crate::time::{self, NEVER, Nanos};
use crate::weight::weigh::allocation;

/// Most objects in each of the two stacks of a magazine.
const HALF: u64 = 16;
/// So many objects go through the depot after some were wanted that lay with other threads.
const CALM: u32 = 512;

pub(crate) struct PoolCore<T> {
    /// Read by every acquire and every return, like the fields up to `recipe`.
    mode: ModeWord,
    pub(super) gate: Gate,
    place: Place,
    /// Objects in each stack of a magazine; 0 where all go through the depot.
    half: u32,
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
    pub(crate) card: Arc<Card>,
    pub(super) domain: Arc<DomainCore>,
    /// What stands for this pool in scopes of tests.
    pub(super) twins: Twins<Self>,
    /// Handles that people hold; with the last one idle objects go.
    pub(super) handles: AtomicUsize,
    me: Weak<Self>,
    #[cfg(feature = "leak-report")]
    pub(super) leases: super::leaks::Leases,
}

struct Magazines<T> {
    list: Vec<Arc<Magazine<T>>>,
    /// Bytes charged for the list and for what is on it.
    charged: u64,
    /// For the next one's home in the depot.
    next: usize,
}

impl<T> Magazines<T> {
    fn bytes(&self) -> u64 {
        PoolCore::<T>::bytes_of(self.list.capacity(), self.list.len())
    }
}

// SAFETY: the pool moves objects between threads and gives none of them shared access to one, so `T: Send` is enough; its
// functions and books are `Send + Sync` by themselves.
unsafe impl<T: Send> Send for PoolCore<T> {}
// SAFETY: as above.
unsafe impl<T: Send> Sync for PoolCore<T> {}

/// A constructor at work. Dropped before it succeeded, it counts as a failure.
pub(super) struct Run<'a, T> {
    pool: &'a PoolCore<T>,
    start: Nanos,
    failed: bool,
}

impl<'a, T> Run<'a, T> {
    pub(super) fn start(pool: &'a PoolCore<T>) -> Self {
        Self { pool, start: pool.domain.now(), failed: true }
    }

    pub(super) fn succeed(mut self) {
        let nanos = self.pool.domain.now().saturating_sub(self.start);
        self.failed = false;
        self.pool.costs.observe(nanos);
        self.pool.card.tally.load(nanos);
    }
}

impl<T> Drop for Run<'_, T> {
    fn drop(&mut self) {
        if self.failed {
            self.pool.card.tally.add(Count::LoadFailures, 1);
        }
    }
}

/// A place among the pool's objects, for one that is about to be made. Dropped, it goes to whoever waits.
pub(crate) struct Room<T>(Option<Arc<PoolCore<T>>>);

impl<T> Room<T> {
    /// An object has it now.
    fn fill(mut self) {
        self.0 = None;
    }
}

impl<T> Drop for Room<T> {
    fn drop(&mut self) {
        if let Some(core) = self.0.take() {
            core.members.fetch_sub(1, Ordering::SeqCst);
            core.serve();
        }
    }
}

/// What a pool can do for who wants an object.
pub(super) enum Offer<T> {
    Object(Own<T>),
    Room(Room<T>),
    /// All are lent, or others were here before.
    Exhausted,
    Closed,
}

/// Why there is no object.
pub(super) enum Refusal {
    Exhausted,
    TimedOut,
    Closed,
    Failed(Failure),
}

impl<T> PoolCore<T> {
    /// A new pool of this domain, charged.
    pub(crate) fn new(
        domain: &Arc<DomainCore>,
        terms: Terms,
        options: Options,
        recipe: Arc<Recipe<T>>,
        proof: PoolProof<T>,
    ) -> Arc<Self> {
        let core = Self::uncharged(domain, terms, options, recipe, proof);
        core.charge_base();
        core
    }

    /// A new pool of this domain, to be [charged](Self::charge_base); runs nothing of the user's.
    pub(crate) fn uncharged(
        domain: &Arc<DomainCore>,
        terms: Terms,
        options: Options,
        recipe: Arc<Recipe<T>>,
        proof: PoolProof<T>,
    ) -> Arc<Self> {
        let card = domain.enroll(terms);
        card.estimated.store(!recipe.exact, Ordering::Relaxed);
        let bounded = options.max.min(options.max_idle);
        let direct = options.order == Order::Fifo || options.shelved;
        let half = if direct || options.max_idle < 4 { 0 } else { (bounded / 8).clamp(1, HALF) };
        let cores = std::thread::available_parallelism().map_or(4, std::num::NonZero::get);
        let shards = if direct || bounded <= 32 { 1 } else { cores.min(4) };
        let depot = Depot::new(shards, options.order == Order::Fifo);
        card.add_base(arc::<Self>() + depot.bytes() + recipe.bytes());
        let core = Arc::new_cyclic(|me| Self {
            me: Weak::clone(me),
            mode: ModeWord::new(),
            gate: Gate::new(),
            place: Place::new(),
            half: half as u32,
            large: (magazine::BYTES / 8).min(card.ceiling() / 8),
            looks: options.ages() || options.validate_on_acquire,
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
            card: Arc::clone(&card),
            domain: Arc::clone(domain),
            twins: Twins::new(),
            handles: AtomicUsize::new(1),
            #[cfg(feature = "leak-report")]
            leases: super::leaks::Leases::new(),
        });
        if domain.level() == Level::Emergency {
            core.gate.shut(Gate::ALERT);
        }
        let tenant = (proof.tenant)(Arc::clone(&core));
        domain.admit(&card, Arc::downgrade(&tenant));
        // Once it is on the list: a change of mode either finds it there, or is seen here.
        tenant.follow_mode();
        core
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
        if self.mode.get().is_scoped() { Some(self.twin_in(&*scope::current()?)) } else { None }
    }

    #[cold]
    fn twin_in(&self, scope: &State) -> Arc<Self> {
        let mut is_new = false;
        let twin = self.twins.find_or_make(scope.id(), || {
            is_new = true;
            let domain = scope.twin_of(&self.domain);
            let options = Options { max: self.max.load(Ordering::Relaxed), ..self.options };
            Self::uncharged(&domain, self.card.terms(), options, Arc::clone(&self.recipe), self.proof)
        });
        if is_new {
            twin.charge_base();
        }
        twin
    }

    pub(super) fn follow_mode(&self) {
        self.mode.follow(|| self.domain.mode());
    }

    /// This thread's magazine, if it has one.
    #[inline(always)]
    fn magazine(&self) -> Option<&Magazine<T>> {
        // SAFETY: this pool's objects are `T`s.
        unsafe { self.place.find::<T>() }
    }

    // Lending.

    /// The object that came back last to this thread, if that is all there is to it.
    #[inline(always)]
    pub(super) fn lend_near(&self) -> Option<Own<T>> {
        if !self.mode.get().is_normal() || self.looks {
            return None;
        }
        let magazine = self.magazine()?;
        magazine.pop(&self.gate)
    }

    /// An idle object of this thread's, or of the depot.
    fn lend_idle(&self) -> Option<Own<T>> {
        loop {
            let own = self.next_idle()?;
            if self.is_fit(&own) {
                self.card.tally.hit(cost::decode(self.costs.current()));
                self.quieten();
                return Some(own);
            }
            // Too old, or broken: its `Drop` runs here.
            self.card.tally.add(Count::Expirations, 1);
            drop(own);
        }
    }

    fn next_idle(&self) -> Option<Own<T>> {
        if self.magazine().is_none() && self.half > 0 && self.gate.is_open() {
            (self.proof.enlist)(&self.me());
        }
        let Some(magazine) = self.magazine() else {
            return self.depot.take(0, 0, |_| {});
        };
        // Not looked into yet where the pool stands for another, or its objects are looked at first.
        if let Some(own) = magazine.pop(&self.gate) {
            // Counted with the others when it turns out to be fit.
            magazine.uncount();
            return Some(own);
        }
        let batch = if self.gate.is_open() { self.half as usize / 2 } else { 0 };
        self.depot.take(magazine.home, batch, |own| {
            // SAFETY: the pool is borrowed.
            match unsafe { magazine.push(&self.gate, self.half, own) } {
                Pushed::Kept => {}
                Pushed::Spilled(list) => self.depot.put_all(magazine.home, list),
                Pushed::Refused(own) => self.depot.put(magazine.home, own),
            }
        })
    }

    /// Whether an idle object may be lent.
    fn is_fit(&self, own: &Own<T>) -> bool {
        if self.options.ages() {
            let now = self.domain.clock.recent();
            if now >= own.until
                || self.options.idle.is_some_and(|most| now >= own.since.saturating_add(time::nanos(most)))
            {
                return false;
            }
        }
        !self.options.validate_on_acquire || self.recipe.validates(&own.object)
    }

    /// So many leases without anybody in want, and magazines are used again.
    fn quieten(&self) {
        if self.gate.has(Gate::SCARCE) && self.calm.fetch_add(1, Ordering::Relaxed) >= CALM {
            self.calm.store(0, Ordering::Relaxed);
            self.gate.open(Gate::SCARCE);
        }
    }

    /// What there is for who wants an object.
    pub(super) fn offer(&self) -> Offer<T> {
        if self.gate.has(Gate::CLOSED) {
            return Offer::Closed;
        }
        if !self.filled.load(Ordering::Relaxed) && !self.filled.swap(true, Ordering::Relaxed) {
            self.fill_up();
        }
        if !self.queue.is_empty() {
            return Offer::Exhausted;
        }
        if let Some(own) = self.lend_idle() {
            return Offer::Object(own);
        }
        if let Some(room) = self.try_room() {
            return Offer::Room(room);
        }
        // All there may be are alive, and some may lie with other threads.
        self.calm.store(0, Ordering::Relaxed);
        if self.gate.shut(Gate::SCARCE) {
            self.gather();
        }
        match self.lend_idle() {
            Some(own) => Offer::Object(own),
            None => self.try_room().map_or(Offer::Exhausted, Offer::Room),
        }
    }

    /// An object by the pool's rule: an idle one, a new one, or as it says for when all are lent.
    pub(super) fn lend(&self) -> Result<Own<T>, Refusal> {
        if self.is_bypassed() {
            return self.make_outside();
        }
        match self.offer() {
            Offer::Object(own) => Ok(own),
            Offer::Room(room) => self.make(Some(room)),
            Offer::Closed if self.options.exhausted == Exhausted::Create => self.make_outside(),
            Offer::Closed => Err(Refusal::Closed),
            Offer::Exhausted => match self.options.exhausted {
                Exhausted::Create => self.make(None),
                Exhausted::Wait(most) => self.wait(most),
                Exhausted::Fail => {
                    self.card.tally.add(Count::Rejections, 1);
                    Err(Refusal::Exhausted)
                }
            },
        }
    }

    /// An object within the bound, waiting for one if all are lent.
    pub(super) fn lend_within(&self, most: Option<std::time::Duration>) -> Result<Own<T>, Refusal> {
        if self.is_bypassed() {
            return self.make_outside();
        }
        match self.offer() {
            Offer::Object(own) => Ok(own),
            Offer::Room(room) => self.make(Some(room)),
            Offer::Closed => Err(Refusal::Closed),
            Offer::Exhausted => self.wait(most),
        }
    }

    /// [`lend_within`](Self::lend_within) for a task.
    pub(super) async fn lend_async(
        self: Arc<Self>,
        most: Option<std::time::Duration>,
    ) -> Result<Own<T>, Refusal> {
        if self.is_bypassed() {
            return self.make_outside();
        }
        match self.offer() {
            Offer::Object(own) => return Ok(own),
            Offer::Room(room) => return self.make(Some(room)),
            Offer::Closed => return Err(Refusal::Closed),
            Offer::Exhausted => {}
        }
        let deadline = self.deadline(most);
        loop {
            let gift = Ticket::new(&self.me(), deadline).wait_async().await;
            if let Some(result) = self.unwrap(gift) {
                return result;
            }
        }
    }

    fn deadline(&self, most: Option<std::time::Duration>) -> Nanos {
        self.card.tally.add(Count::Waits, 1);
        most.map_or(NEVER, |most| self.domain.now().saturating_add(time::nanos(most)).min(NEVER - 1))
    }

    fn wait(&self, most: Option<std::time::Duration>) -> Result<Own<T>, Refusal> {
        let deadline = self.deadline(most);
        loop {
            let gift = Ticket::new(&self.me(), deadline).wait();
            if let Some(result) = self.unwrap(gift) {
                return result;
            }
        }
    }

    /// What became of a wait; `None` if the object it got is of no use, and there is no place for another.
    fn unwrap(&self, gift: Option<Gift<T>>) -> Option<Result<Own<T>, Refusal>> {
        match gift {
            Some(Gift::Object(own)) if self.is_fit(&own) => {
                self.card.tally.hit(cost::decode(self.costs.current()));
                Some(Ok(own))
            }
            Some(Gift::Object(own)) => {
                self.card.tally.add(Count::Expirations, 1);
                drop(own);
                self.try_room().map(|room| self.make(Some(room)))
            }
            Some(Gift::Room(room)) => Some(self.make(Some(room))),
            Some(Gift::Nothing) => Some(Err(Refusal::Closed)),
            None => {
                self.card.tally.add(Count::Rejections, 1);
                Some(Err(Refusal::TimedOut))
            }
        }
    }

    /// Puts a waiter at the end of the queue, behind a gate through which everything that comes back has to pass.
    pub(super) fn queue_up(&self, waiter: &Arc<Waiter<T>>) {
        let mut queue = self.queue.lock();
        queue.push(Arc::clone(waiter));
        self.gate.shut(Gate::WAITED);
        drop(queue);
        self.calm.store(0, Ordering::Relaxed);
        if self.gate.shut(Gate::SCARCE) {
            self.gather();
        }
        if self.gate.has(Gate::CLOSED) {
            self.turn_away();
        }
        self.serve();
    }

    /// Gives those who wait what there is for them.
    pub(super) fn serve(&self) {
        while !self.queue.is_empty() || self.gate.has(Gate::WAITED) {
            let mut queue = self.queue.lock();
            if queue.is_empty() {
                self.gate.open(Gate::WAITED);
                return;
            }
            let gift = match self.depot.take(0, 0, |_| {}) {
                Some(own) => Gift::Object(own),
                None => match self.try_room() {
                    Some(room) => Gift::Room(room),
                    None => return,
                },
            };
            let waiter = queue.pop();
            if queue.is_empty() {
                self.gate.open(Gate::WAITED);
            }
            drop(queue);
            let kept = match waiter {
                Some(waiter) => waiter.give(gift),
                None => Err(gift),
            };
            match kept {
                // It was gone; the next one gets it.
                Err(Gift::Object(own)) => self.depot.put(0, own),
                Err(Gift::Room(mut room)) => {
                    room.0 = None;
                    self.members.fetch_sub(1, Ordering::SeqCst);
                }
                Ok(()) | Err(Gift::Nothing) => {}
            }
        }
        self.publish();
    }

    /// Tells all who wait that the pool is closed.
    fn turn_away(&self) {
        loop {
            let waiter = self.queue.lock().pop();
            match waiter {
                Some(waiter) => drop(waiter.give(Gift::Nothing)),
                None => return,
            }
        }
    }

    // Shelves.

    /// An idle object that belongs where it is said.
    pub(super) fn lend_from_shelf(&self, belongs: impl Fn(&Shelf) -> bool) -> Option<Own<T>> {
        loop {
            let own = self.depot.find(|node| belongs(&node.shelf))?;
            self.publish();
            if self.is_fit(&own) {
                self.card.tally.hit(cost::decode(self.costs.current()));
                return Some(own);
            }
            self.card.tally.add(Count::Expirations, 1);
            drop(own);
        }
    }

    /// An object that was made for a shelf. Where the pool is full it takes the place of the one that waited longest:
    /// what waits on other shelves is not what is wanted.
    pub(super) fn fill_shelf(&self, object: T, shelf: Shelf) -> Own<T> {
        if self.is_bypassed() || self.is_closed() {
            return self.outside(object);
        }
        let room = self.try_room().or_else(|| {
            let dropped = self.drop_coldest(1, f64::INFINITY);
            self.card.tally.add(Count::Evictions, dropped.count);
            self.try_room()
        });
        self.wrap(object, room, shelf)
    }

    // Making.

    /// A place for one object more, if the bounds allow it.
    pub(super) fn try_room(&self) -> Option<Room<T>> {
        loop {
            let max = self.max.load(Ordering::SeqCst);
            let counted = self.members.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |members| {
                (members < max).then_some(members + 1)
            });
            // Looked at again: either we see that the bound was lowered meanwhile, or who lowered it sees us.
            if counted.ok()? < self.max.load(Ordering::SeqCst) {
                break;
            }
            // Who found no room for our sake is served when what has it comes back, or by us.
            self.members.fetch_sub(1, Ordering::SeqCst);
        }
        if self.options.exhausted != Exhausted::Create && self.card.ceiling() < u64::MAX {
            let typical = self.typical.load(Ordering::Relaxed);
            if self.card.reservation.spent().saturating_add(typical) > self.card.ceiling() {
                self.members.fetch_sub(1, Ordering::SeqCst);
                return None;
            }
        }
        Some(Room(Some(self.me())))
    }

    /// A new object, within the bound if there is room.
    fn make(&self, room: Option<Room<T>>) -> Result<Own<T>, Refusal> {
        self.card.tally.miss();
        self.make_uncounted(room)
    }

    /// The same, where nobody asked for it.
    fn make_uncounted(&self, room: Option<Room<T>>) -> Result<Own<T>, Refusal> {
        let run = Run::start(self);
        let object = (self.recipe.make)().map_err(Refusal::Failed)?;
        run.succeed();
        Ok(self.wrap(object, room, None))
    }

    /// A new object that the pool has nothing to do with.
    pub(super) fn make_outside(&self) -> Result<Own<T>, Refusal> {
        let run = Run::start(self);
        let object = (self.recipe.make)().map_err(Refusal::Failed)?;
        run.succeed();
        Ok(self.outside(object))
    }

    pub(super) fn outside(&self, object: T) -> Own<T> {
        let facts = Facts { shelf: None, heap: 0, charged: 0, until: NEVER, kind: Kind::Outside };
        Own::new(self.me(), object, facts)
    }

    /// A new object beyond every bound of the pool's.
    pub(super) fn create(&self) -> Result<Own<T>, Refusal> {
        if self.is_bypassed() || self.gate.has(Gate::CLOSED) { self.make_outside() } else { self.make(None) }
    }

    /// Puts an object that was made on the books.
    pub(super) fn wrap(&self, object: T, room: Option<Room<T>>, shelf: Shelf) -> Own<T> {
        let heap = self.heap(&object, &shelf);
        let weight = Node::<T>::block() + heap;
        self.typical.store(weight, Ordering::Relaxed);
        let charged = self.charge(weight);
        let kind = if room.is_some() { Kind::Member } else { Kind::Surplus };
        if self.nodes.fetch_add(1, Ordering::SeqCst) == 0 {
            self.publish();
        }
        if let Some(room) = room {
            room.fill();
        }
        let facts = Facts { shelf, heap, charged, until: self.end_of_life(), kind };
        let mut own = Own::new(self.me(), object, facts);
        if self.looks {
            // It may wait before its first lease.
            own.since = self.domain.clock.recent();
        }
        own
    }

    /// When a new object's lifetime is over: some sooner than others, so that they do not all end at once.
    fn end_of_life(&self) -> Nanos {
        let Some(lifetime) = self.options.lifetime else { return NEVER };
        let nodes = self.card.tally.loads();
        // Steps of the golden section are spread evenly, however many there are.
        let part = (nodes as f64 * 0.618_033_988_749_895).fract();
        let lived = time::nanos(lifetime) as f64 * (1.0 - self.options.jitter * part);
        self.domain.now().saturating_add(lived as Nanos)
    }

    /// Heap bytes of an object, and what it takes to tell where it belongs.
    pub(super) fn heap(&self, object: &T, shelf: &Shelf) -> u64 {
        self.recipe.heap_of(object) + shelf.as_ref().map_or(0, |label| label.bytes())
    }

    /// Charges an object as far as there can be made room for it: wholly, or not at all, which is noted.
    fn charge(&self, bytes: u64) -> u64 {
        if !self.card.is_covered() {
            self.domain.cover(&self.card);
        }
        let mut futile = 0;
        while futile < 8 {
            match self.card.reservation.try_grow(bytes, self.card.ceiling()) {
                Ok(()) => return bytes,
                Err(Refused::Ceiling { over }) => {
                    let dropped = self.drop_coldest(over, f64::INFINITY);
                    self.card.tally.add(Count::Evictions, dropped.count);
                    if dropped.count == 0 {
                        // What is idle may lie with threads.
                        futile += 1;
                        self.gather();
                        if self.depot.len() == 0 {
                            break;
                        }
                    }
                }
                Err(Refused::Budget { short }) => {
                    let freed = self.domain.relief().make_room(&self.domain, &self.card, short);
                    futile += u32::from(freed == 0);
                }
            }
        }
        self.uncharged.fetch_add(bytes, Ordering::Relaxed);
        0
    }

    /// Makes objects until as many are idle as always should be.
    pub(super) fn fill_up(&self) {
        while (self.idle() as u64) < self.options.min_idle
            && !self.gate.has(Gate::CLOSED)
            && let Some(room) = self.try_room()
        {
            let Ok(own) = self.make_uncounted(Some(room)) else { return };
            if own.charged == 0 {
                return;
            }
            self.stow_back(own);
        }
    }

    // Coming back.

    /// The end of a lease: the object is reset and waits for the next, or goes.
    ///
    /// User code runs before the object is anywhere else, so that a panic finds it owned, and drops it.
    #[inline]
    pub(super) fn give_back(mut own: Own<T>) {
        let core = Arc::as_ptr(&own.core);
        // SAFETY: the object keeps its pool, and nobody else has the object until it is pushed. Nothing is asked of the pool
        // after that.
        let core = unsafe { &*core };
        if own.kind != Kind::Member || core.mode.get().is_bypass() || std::thread::panicking() {
            return drop(own);
        }
        let own_ref = &mut *own;
        if !core.recipe.renews(&mut own_ref.object) {
            return drop(own);
        }
        let heap = core.heap(&own.object, &own.shelf);
        if heap != own.heap || own.charged == 0 || heap > core.options.max_object {
            match core.reweigh(own, heap) {
                Some(weighed) => own = weighed,
                None => return,
            }
        }
        own.seen = 0;
        if core.looks {
            own.since = core.domain.clock.recent();
        }
        let refused = match core.magazine() {
            Some(magazine) if own.heap <= core.large => {
                // SAFETY: the object keeps the pool until it is pushed.
                match unsafe { magazine.push(&raw const core.gate, core.half, own) } {
                    Pushed::Kept => return,
                    Pushed::Spilled(list) => return Self::spill(list, magazine.home),
                    Pushed::Refused(own) => own,
                }
            }
            _ => own,
        };
        let core = Arc::clone(&refused.core);
        core.come_back(refused);
    }

    /// An object that found no place in a magazine.
    #[cold]
    fn come_back(&self, own: Own<T>) {
        // SAFETY: this pool's objects are `T`s.
        if own.heap > self.large || self.half == 0 || !self.gate.is_open() || self.magazine().is_some() {
            return self.stow_back(own);
        }
        (self.proof.enlist)(&self.me());
        match self.magazine() {
            None => self.stow_back(own),
            // SAFETY: the pool is borrowed.
            Some(magazine) => match unsafe { magazine.push(&self.gate, self.half, own) } {
                Pushed::Kept => {}
                Pushed::Spilled(list) => self.stow(magazine.home, list),
                Pushed::Refused(own) => self.stow_back(own),
            },
        }
    }

    /// A batch that a magazine had no room for. Its objects keep the pool.
    #[cold]
    fn spill(list: List<T>, home: usize) {
        let Some(core) = list.coldest().map(|node| Arc::clone(&node.core)) else { return };
        core.stow(home, list);
    }

    /// An object that comes back by way of the depot, where it is looked at more closely.
    pub(super) fn stow_back(&self, own: Own<T>) {
        if self.gate.has(Gate::CLOSED | Gate::ALERT) && !self.heeds() {
            return drop(own);
        }
        let home = self.magazine().map_or(0, |magazine| magazine.home);
        let mut list = List::new();
        list.push_warm(own);
        self.stow(home, list);
    }

    /// Whether an object that comes back may stay.
    fn heeds(&self) -> bool {
        if self.gate.has(Gate::CLOSED)
            || self.domain.level() == Level::Emergency
            || self.members.load(Ordering::SeqCst) > self.max.load(Ordering::SeqCst)
        {
            return false;
        }
        self.gate.open(Gate::ALERT);
        self.charge_magazines();
        true
    }

    /// Takes the magazines' bytes off the books: the limit is too low even for them.
    pub(super) fn uncharge_magazines(&self) -> u64 {
        let mut magazines = self.magazines.lock();
        let charged = std::mem::take(&mut magazines.charged);
        self.card.reservation.shrink(charged);
        charged
    }

    /// The other way round, if there is room by now.
    fn charge_magazines(&self) {
        let mut magazines = self.magazines.lock();
        let more = magazines.bytes().saturating_sub(magazines.charged);
        if self.card.reservation.try_grow(more, self.card.ceiling()).is_ok() {
            magazines.charged += more;
        }
    }

    /// Bytes of magazines that are not charged, because there was no room for them.
    pub(super) fn uncharged_magazines(&self) -> u64 {
        let magazines = self.magazines.lock();
        magazines.bytes().saturating_sub(magazines.charged)
    }

    /// Puts objects into the depot, says what they are worth, and gives them to who waits.
    pub(super) fn stow(&self, home: usize, mut list: List<T>) {
        self.appraise(&mut list);
        self.depot.put_all(home, list);
        self.keep_bounds();
        self.publish();
        self.serve();
    }

    fn appraise(&self, list: &mut List<T>) {
        let level = self.domain.inflation() / self.card.scale();
        list.for_each_mut(|node| node.credit = level + self.density(node.weight()));
    }

    /// Drops what is idle beyond the bounds, or came back when it was too late.
    fn keep_bounds(&self) {
        if self.gate.has(Gate::CLOSED) {
            // Who closed it may have looked before this came.
            drop(self.depot.take_all(|_| true));
            return;
        }
        if self.options.max_idle < u64::MAX {
            while self.idle() as u64 > self.options.max_idle
                && let Some(own) = self.depot.take_coldest(f64::INFINITY)
            {
                self.card.tally.add(Count::Evictions, 1);
                drop(own);
            }
        }
    }

    /// The object weighs something else than when it was lent: shrinks it if it is too large, and charges it anew.
    /// `None` when it had to go.
    #[cold]
    fn reweigh(&self, mut own: Own<T>, heap: u64) -> Option<Own<T>> {
        let mut heap = heap;
        if heap > self.options.max_object {
            let node = &mut *own;
            if let Some(trim) = &self.recipe.trim {
                // A little less, so that what the allocator adds to each block fits, too.
                let label = node.shelf.as_ref().map_or(0, |label| label.bytes());
                let most = self.options.max_object;
                trim(&mut node.object, (most - most / 8).saturating_sub(label));
            }
            heap = self.heap(&own.object, &own.shelf);
            if heap > self.options.max_object {
                return None;
            }
        }
        let weight = Node::<T>::block() + heap;
        self.typical.store(weight, Ordering::Relaxed);
        if own.charged == 0 {
            // It went out without: now it stays only if there is room, and nobody is evicted for it.
            self.card.reservation.try_grow(weight, self.card.ceiling()).ok()?;
            self.uncharged.fetch_sub(own.weight(), Ordering::Relaxed);
        } else if weight > own.charged {
            self.card.reservation.try_grow(weight - own.charged, self.card.ceiling()).ok()?;
        } else {
            self.card.reservation.shrink(own.charged - weight);
        }
        (own.heap, own.charged) = (heap, weight);
        Some(own)
    }

    /// What the object that was weighed last weighs.
    pub(super) fn typical(&self) -> u64 {
        self.typical.load(Ordering::Relaxed)
    }

    /// What each byte of an idle object of this weight saves: what making another costs, once.
    pub(super) fn density(&self, weight: u64) -> f64 {
        policy::density(1, cost::decode(self.costs.current()) as f64, weight)
    }

    /// Says what the next object to go is worth.
    pub(super) fn publish(&self) {
        let coldest = self.depot.coldest();
        let scale = self.card.scale();
        let price = if coldest.is_finite() {
            coldest * scale
        } else if self.nodes.load(Ordering::SeqCst) > 0 && !self.gate.has(Gate::ALERT) {
            // There may be some in magazines.
            self.domain.inflation() + self.density(self.typical.load(Ordering::Relaxed)) * scale
        } else {
            f64::INFINITY
        };
        self.card.publish(price);
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

    // What waits.

    /// Objects that wait, here and there; exact while nobody acquires or returns.
    pub(super) fn idle(&self) -> usize {
        let magazines: usize = self.magazines.lock().list.iter().map(|magazine| magazine.len()).sum();
        self.depot.len() + magazines
    }

    /// Gives this thread a magazine, if there is room for one.
    pub(super) fn enlist(&self)
    where
        T: Send + 'static,
    {
        let mut magazines = self.magazines.lock();
        // What magazines may hold is part of what may be idle.
        let granted = (magazines.list.len() as u64 + 1) * u64::from(self.half) * 2;
        if self.options.max_idle < u64::MAX && granted > self.options.max_idle {
            return;
        }
        let list = &magazines.list;
        let capacity = if list.len() < list.capacity() { list.capacity() } else { list.len() + 8 };
        let all = Self::bytes_of(capacity, list.len() + 1);
        let more = all.saturating_sub(magazines.charged);
        if self.card.reservation.try_grow(more, self.card.ceiling()).is_err() {
            return;
        }
        magazines.charged += more;
        let spare = capacity - magazines.list.len();
        magazines.list.reserve_exact(spare);
        let home = magazines.next;
        magazines.next += 1;
        let magazine = Arc::new(Magazine::new(Weak::clone(&self.me), home));
        magazines.list.push(Arc::clone(&magazine));
        drop(magazines);
        self.place.sit(&magazine);
    }

    /// Bytes of magazines and of their list.
    fn bytes_of(capacity: usize, len: usize) -> u64 {
        allocation(capacity * size_of::<Arc<Magazine<T>>>()) + arc::<Magazine<T>>() * len as u64
    }

    /// Takes a magazine back from a thread that ends, or has no use for it.
    pub(super) fn retire(&self, magazine: &Arc<Magazine<T>>) {
        let mut magazines = self.magazines.lock();
        let Some(at) = magazines.list.iter().position(|other| Arc::ptr_eq(other, magazine)) else { return };
        let gone = magazines.list.swap_remove(at);
        self.count(&gone);
        // Its owner is here, and not at it.
        let left = gone.empty();
        if magazines.list.len() * 4 < magazines.list.capacity() {
            let keep = magazines.list.len();
            magazines.list.shrink_to(keep);
        }
        let surplus = magazines.charged.saturating_sub(magazines.bytes());
        magazines.charged -= surplus;
        drop(magazines);
        drop(gone);
        self.card.reservation.shrink(surplus);
        if let Some(list) = left {
            self.stow(magazine.home, list);
        }
    }

    /// Counts the leases of a magazine for the pool. With the list of magazines locked.
    fn count(&self, magazine: &Magazine<T>) {
        let hits = magazine.hits();
        let new = hits.wrapping_sub(magazine.counted.swap(hits, Ordering::Relaxed));
        self.card.tally.fold(new, new.saturating_mul(cost::decode(self.costs.current())));
    }

    /// Counts the leases of all magazines.
    pub(super) fn count_all(&self) {
        self.magazines.lock().list.iter().for_each(|magazine| self.count(magazine));
    }

    /// Moves what waits in magazines to the depot.
    pub(super) fn gather(&self) {
        self.gather_from(|_| true);
    }

    /// The same for those who have not used their magazine since the last time.
    pub(super) fn gather_stale(&self) {
        self.gather_from(|magazine| {
            let hits = magazine.hits().wrapping_add(1);
            magazine.swept.swap(hits, Ordering::Relaxed) == hits
        });
    }

    fn gather_from(&self, mut chosen: impl FnMut(&Magazine<T>) -> bool) {
        let magazines = self.magazines.lock();
        let chosen: Vec<_> = magazines.list.iter().filter(|magazine| chosen(magazine)).collect();
        if chosen.is_empty() {
            return;
        }
        self.gate.shut(Gate::DRAINED);
        let mut all = Vec::with_capacity(chosen.len());
        if self.gate.settle() {
            all.extend(chosen.iter().filter_map(|magazine| Some((magazine.home, magazine.empty()?))));
        }
        for (home, list) in &mut all {
            self.appraise(list);
            let list = std::mem::replace(list, List::new());
            self.depot.put_all(*home, list);
        }
        self.gate.open(Gate::DRAINED);
        drop(magazines);
        self.keep_bounds();
        self.publish();
        self.serve();
    }

    /// Takes out idle objects, the coldest first, until about `bytes` went, or, after the first, one is worth more than
    /// `upto`.
    pub(super) fn drop_coldest(&self, bytes: u64, upto: f64) -> Dropped {
        let mut dropped = Dropped::default();
        let mut list = List::new();
        let scale = self.card.scale();
        while dropped.bytes < bytes.max(1) {
            let upto = if dropped.count == 0 { f64::INFINITY } else { upto / scale };
            let Some(own) = self.depot.take_coldest(upto) else { break };
            dropped.price = Some(own.credit * scale);
            dropped.bytes += own.charged;
            dropped.count += 1;
            list.push_warm(own);
        }
        self.publish();
        drop(list);
        dropped
    }

    /// Drops the idle objects for which `goes` says so.
    pub(super) fn drop_where(&self, goes: impl FnMut(&mut Node<T>) -> bool) -> Dropped {
        let list = self.depot.take_all(goes);
        let mut dropped = Dropped { count: list.len() as u64, ..Dropped::default() };
        list.for_each(|node| dropped.bytes += node.charged);
        self.publish();
        drop(list);
        dropped
    }

    /// Drops every idle object, wherever it waits.
    pub(super) fn drop_all(&self) -> Dropped {
        self.gather();
        self.drop_where(|_| true)
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
            while self.members.load(Ordering::SeqCst) > max
                && let Some(own) = self.depot.take_coldest(f64::INFINITY)
            {
                self.card.tally.add(Count::Evictions, 1);
                drop(own);
            }
            self.publish();
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

/// What left the pool.
#[derive(Default)]
pub(super) struct Dropped {
    pub(super) count: u64,
    pub(super) bytes: u64,
    /// What the last of them was worth.
    pub(super) price: Option<f64>,
}

impl<T> Drop for PoolCore<T> {
    fn drop(&mut self) {
        self.card.close();
    }
}
