//! Pools of reusable objects under the shared budget: objects wait idle, or are out on lease.
//!
//! An object is charged from the moment it is made until it leaves the pool, idle or leased, at the weight it last had.
//! The budget never refuses a lease: it evicts, and where that is not enough the lease goes out uncharged, which the
//! stats show. Only idle objects are reclaimed, the one that waited longest first.
//!
//! Here is what people hold. What happens is in `core`; what a thread keeps for itself in `magazine`; what all share in
//! `depot`; who waits in `wait`.

mod bound;
mod buffer;
mod builder;
mod core;
mod depot;
#[cfg(feature = "device")]
pub(crate) mod device;
mod error;
mod instance;
mod leaks;
mod lease;
mod magazine;
mod node;
mod recipe;
mod shelf;
mod tenant;
mod wait;

pub use buffer::{Buffer, BufferPool, BufferPoolBuilder, BufferStats, ClassStats, SharedBuffer};
pub use builder::{Always, PoolBuilder, PoolError, Refuses, Sometimes};
pub use error::AcquireError;
pub use leaks::Lease;
pub use lease::Pooled;
pub use recipe::{
    BoxError, DefaultMake, PoolProof, Poolable, Recipe, ResetOutcome, ThreadProof, default_of, heap_of, keep,
    poolable, poolable_on_thread,
};
pub use shelf::{Made, Shelves, Vacancy, look_on_shelf, made_by_function};

pub(crate) use self::core::PoolCore;
use self::core::{Refusal, Room};
pub(crate) use self::tenant::PoolTenant;

use std::fmt;
use std::marker::PhantomData;
use std::panic::{Location, RefUnwindSafe, UnwindSafe};
use std::sync::Arc;
use std::time::Duration;

use crate::descriptor::{Exhausted, PooledOptions};
use crate::stats::TenantStats;
use crate::sync::Ordering;

/// In which order idle objects are lent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Order {
    /// The one that came back last goes first: it is warm, and those that nobody needs grow cold together.
    #[default]
    Lifo,
    /// The one that waited longest goes first: all of them are used. One list and one lock for all threads.
    Fifo,
}

/// The bounds and rules of one pool, whoever wrote them down.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Options {
    /// Objects, idle and leased.
    pub(crate) max: u64,
    pub(crate) max_idle: u64,
    /// So many are made ahead of need, and not dropped for their age alone.
    pub(crate) min_idle: u64,
    /// Heap bytes of one object that comes back.
    pub(crate) max_object: u64,
    /// How long an object may wait.
    pub(crate) idle: Option<Duration>,
    /// The same for those beyond `min_idle`.
    pub(crate) idle_soft: Option<Duration>,
    /// How long an object lives.
    pub(crate) lifetime: Option<Duration>,
    /// Which part of that is spread over the objects, 0 to 1.
    pub(crate) jitter: f64,
    pub(crate) order: Order,
    pub(crate) exhausted: Exhausted,
    pub(crate) validate_on_acquire: bool,
    /// Objects are told apart by what they were made for.
    pub(crate) shelved: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            max: u64::MAX,
            max_idle: u64::MAX,
            min_idle: 0,
            max_object: u64::MAX,
            idle: None,
            idle_soft: None,
            lifetime: None,
            jitter: 0.0,
            order: Order::Lifo,
            exhausted: Exhausted::Create,
            validate_on_acquire: false,
            shelved: false,
        }
    }
}

impl From<&PooledOptions> for Options {
    fn from(written: &PooledOptions) -> Self {
        let count = |count: Option<usize>| count.map_or(u64::MAX, |count| count as u64);
        Self {
            max: count(written.max),
            max_idle: count(written.max_idle),
            min_idle: written.min_idle as u64,
            max_object: written.max_object_bytes.unwrap_or(u64::MAX),
            idle: written.idle,
            idle_soft: written.idle_soft,
            lifetime: written.lifetime,
            jitter: written.jitter.unwrap_or(0.0),
            order: if written.fifo { Order::Fifo } else { Order::Lifo },
            exhausted: written.exhausted,
            validate_on_acquire: written.validate_on_acquire,
            shelved: false,
        }
    }
}

impl Options {
    /// Whether objects go for their age.
    pub(crate) fn ages(&self) -> bool {
        self.idle.is_some() || self.idle_soft.is_some() || self.lifetime.is_some()
    }
}

/// A pool of objects of one type; `#[pooled]` makes one for a struct, [`Pool::builder`] one at run time.
///
/// Clones are handles of one pool. With the last one the idle objects go; leases that are out stay good.
///
/// `R` says what may stand against a lease: [`Always`], and there is [`acquire`](Self::acquire), which cannot fail; or
/// [`Sometimes`], for constructors that fail and pools that refuse, and there are only the forms that return a `Result`.
///
/// # When it pays
///
/// Where making an object costs something: a connection, a parser with its tables, a buffer whose pages the system would
/// have to hand out anew. A lease costs about as much as a small `malloc`. For small objects that are cheap to make, and
/// for buffers below some hundred kilobytes under an allocator that keeps them for each thread, a pool wins no time; it
/// still wins a bound, statistics, and memory that is given back when others need it.
///
/// # Locking
///
/// The usual lease and return take no lock: the thread has a few objects of its own. Batches of them come from and go to
/// lists with a lock each. Constructors, resets, checks and drops run outside all locks.
///
/// # Cost
///
/// An object has a block of its own, with about a hundred bytes beside it. A thread that uses the pool has a magazine of 352
/// bytes, and up to 32 objects and 4 MB in it, which count as idle. All of it is charged.
///
/// # Examples
///
/// ```
/// use larder_runtime::{Domain, Pool};
///
/// let domain = Domain::builder().limit_bytes(1 << 20).manual().build();
/// let lines = Pool::builder("lines", || Vec::<u8>::with_capacity(4096))
///     .reset(|line: &mut Vec<u8>| line.clear())
///     .weigh(|line| line.capacity() as u64)
///     .build_in(&domain)?;
/// let mut line = lines.acquire();
/// line.extend(b"to be or not");
/// drop(line);
/// assert_eq!((lines.idle(), lines.acquire().len()), (1, 0));
/// # Ok::<(), larder_runtime::PoolError>(())
/// ```
pub struct Pool<T, R = Always> {
    pub(crate) core: Arc<PoolCore<T>>,
    _refuses: PhantomData<fn() -> R>,
}

impl<T, R> Pool<T, R> {
    pub(crate) fn from_core(core: Arc<PoolCore<T>>) -> Self {
        Self { core, _refuses: PhantomData }
    }

    /// The pool, or its twin in the scope of a test.
    fn here(&self) -> Arc<PoolCore<T>> {
        self.core.twin().unwrap_or_else(|| Arc::clone(&self.core))
    }

    /// Puts an object into the pool that was made elsewhere, or [detached](Pooled::detach).
    ///
    /// It is not reset; it counts, and is weighed, like those that the pool made.
    ///
    /// # Errors
    ///
    /// Gives it back when the pool is full, closed or turned off, or the budget has no room for it. Nobody is evicted
    /// for it.
    pub fn put(&self, object: T) -> Result<(), T> {
        let core = self.here();
        if core.is_bypassed() || core.is_closed() {
            return Err(object);
        }
        let Some(room) = core.try_room() else { return Err(object) };
        core.take_in(object, room)
    }

    /// Asks of each idle object whether it stays; the others are dropped.
    ///
    /// Objects that are being asked are not there for others meanwhile.
    ///
    /// # Panics
    ///
    /// When `keep` does: what was not asked yet is dropped then, too.
    pub fn retain(&self, keep: impl FnMut(&mut T) -> bool) {
        self.here().retain(keep);
    }

    /// Drops about so many bytes of idle objects, the one that waited longest first; returns what was freed.
    pub fn trim(&self, bytes: u64) -> u64 {
        self.here().trim(bytes)
    }

    /// Drops every idle object.
    pub fn clear(&self) {
        self.here().clear_idle();
    }

    /// Sets how many objects there may be, idle and leased. What is idle beyond that goes at once, what is leased when it
    /// comes back.
    pub fn resize(&self, max: u64) {
        self.here().resize(max);
    }

    /// Ends the pool: idle objects go now, leased ones when they come back, whoever waits is refused. Where `acquire` can't
    /// refuse, it makes objects that the pool knows nothing of from here on.
    pub fn close(&self) {
        self.here().close();
    }

    /// Whether [`close`](Self::close) was called.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.here().is_closed()
    }

    /// Objects that wait to be lent.
    #[must_use]
    pub fn idle(&self) -> usize {
        self.here().idle()
    }

    /// Objects out on lease.
    #[must_use]
    pub fn leased(&self) -> u64 {
        self.here().leased()
    }

    /// Callers that wait for an object.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.here().queue.len()
    }

    /// Bytes charged to the budget: idle and leased objects, and what the pool itself takes.
    #[must_use]
    pub fn weight(&self) -> u64 {
        self.here().card.reservation.spent()
    }

    /// The name in tables and reports.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.core.card.name
    }

    /// The leases that are out, the oldest first: who holds what, since when, and from where.
    ///
    /// Empty without the feature `leak-report`, which makes each lease and each return take a lock.
    #[must_use]
    pub fn leases(&self) -> Vec<Lease> {
        #[cfg(feature = "leak-report")]
        {
            let core = self.here();
            core.leases.list(core.domain.now())
        }
        #[cfg(not(feature = "leak-report"))]
        Vec::new()
    }

    /// The counters and figures of this pool.
    #[must_use]
    pub fn stats(&self) -> TenantStats {
        let core = self.here();
        core.count_all();
        core.domain.stats_of(&*core.tenant)
    }
}

impl<T> Pool<T> {
    /// Lends an object that somebody else made, and that goes when its lease ends.
    #[track_caller]
    fn lend_once(&self, object: T) -> Pooled<T> {
        let core = self.here();
        Pooled::new(if core.is_bypassed() { core.outside(object) } else { core.wrap(object, None, None) })
    }

    /// Visits what waits.
    fn visit_idle(&self, mut visit: impl FnMut(&T)) {
        let core = self.here();
        core.gather();
        core.depot.for_each(|node| visit(&node.object));
    }

    /// Lends an object: the one that came back last, or a new one.
    ///
    /// Never fails. With `max` objects lent it does what the pool says: it makes one more, which goes when its lease ends,
    /// or waits until one comes back.
    ///
    /// # Panics
    ///
    /// When the constructor does; the pool stays as it was.
    #[inline]
    #[must_use = "a lease ends when it is dropped"]
    #[track_caller]
    pub fn acquire(&self) -> Pooled<T> {
        match self.core.lend_near() {
            Some(own) => Pooled::new(own),
            None => self.acquire_from_afar(),
        }
    }

    #[cold]
    #[track_caller]
    fn acquire_from_afar(&self) -> Pooled<T> {
        let core = self.here();
        let own = core.lend().or_else(|_| core.make_outside());
        Pooled::new(never_fails(own))
    }

    /// Makes an object outside the bound, which is dropped when its lease ends.
    ///
    /// # Panics
    ///
    /// When the constructor does.
    #[must_use = "a lease ends when it is dropped"]
    #[track_caller]
    pub fn create(&self) -> Pooled<T> {
        Pooled::new(never_fails(self.here().create()))
    }
}

fn never_fails<O>(made: Result<O, Refusal>) -> O {
    match made {
        Ok(made) => made,
        // Its constructor returns no error, and what is closed or exhausted was dealt with.
        Err(_) => unreachable!("a pool of `Always` has nothing to refuse with"),
    }
}

impl<T, E: Send + 'static> Pool<T, Sometimes<E>> {
    /// Makes an object outside the bound, which is dropped when its lease ends.
    ///
    /// # Errors
    ///
    /// When the constructor does.
    ///
    /// # Panics
    ///
    /// When the constructor does.
    #[track_caller]
    pub fn create(&self) -> Result<Pooled<T>, AcquireError<E>> {
        let core = self.here();
        match core.create() {
            Ok(own) => Ok(Pooled::new(own)),
            Err(refusal) => Err(AcquireError::of(refusal, &core)),
        }
    }
}

impl<T, R: Refuses> Pool<T, R> {
    /// Lends an object by the pool's rule for when all are lent: makes one more, waits as long as it says, or refuses.
    ///
    /// # Errors
    ///
    /// When all are lent and it refuses, or the wait was too long, when the pool is closed, or the constructor fails.
    ///
    /// # Panics
    ///
    /// When the constructor does; the pool stays as it was.
    #[inline]
    #[track_caller]
    pub fn try_acquire(&self) -> Result<Pooled<T>, AcquireError<R::Error>> {
        match self.core.lend_near() {
            Some(own) => Ok(Pooled::new(own)),
            None => self.result_of(|core| core.lend()),
        }
    }

    /// Lends an object within the bound: waits no longer than `most` for one to come back, whatever the pool's rule.
    ///
    /// Who waits longest is served first. The time is the domain's clock's.
    ///
    /// # Errors
    ///
    /// As [`try_acquire`](Self::try_acquire).
    ///
    /// # Panics
    ///
    /// When the constructor does; the pool stays as it was.
    #[track_caller]
    pub fn acquire_timeout(&self, most: Duration) -> Result<Pooled<T>, AcquireError<R::Error>> {
        match self.core.lend_near() {
            Some(own) => Ok(Pooled::new(own)),
            None => self.result_of(|core| core.lend_within(Some(most))),
        }
    }

    /// Lends an object within the bound to a task: waits for one to come back, as long as the pool's rule says, or as long
    /// as it takes.
    ///
    /// Who waits longest is served first. The constructor runs in the task, when there is room for another object.
    ///
    /// # Errors
    ///
    /// As [`try_acquire`](Self::try_acquire).
    ///
    /// # Panics
    ///
    /// When the constructor does; the pool stays as it was.
    ///
    /// # Cancel safety
    ///
    /// A future that is dropped leaves the queue; what it was given already goes to the next.
    #[track_caller]
    pub fn acquire_async(
        &self,
    ) -> impl Future<Output = Result<Pooled<T>, AcquireError<R::Error>>> + use<'_, T, R> {
        // Of the call, and not of whoever polls.
        let place = Location::caller();
        async move {
            if let Some(own) = self.core.lend_near() {
                return Ok(Pooled::lent_at(own, place));
            }
            let core = self.here();
            let most = match core.options.exhausted {
                Exhausted::Wait(most) => most,
                Exhausted::Create | Exhausted::Fail => None,
            };
            match Arc::clone(&core).lend_async(most).await {
                Ok(own) => Ok(Pooled::lent_at(own, place)),
                Err(refusal) => Err(AcquireError::of(refusal, &core)),
            }
        }
    }

    #[cold]
    #[track_caller]
    fn result_of(
        &self,
        lend: impl FnOnce(&Arc<PoolCore<T>>) -> Result<node::Own<T>, Refusal>,
    ) -> Result<Pooled<T>, AcquireError<R::Error>> {
        let core = self.here();
        match lend(&core) {
            Ok(own) => Ok(Pooled::new(own)),
            Err(refusal) => Err(AcquireError::of(refusal, &core)),
        }
    }
}

impl<T, R> Clone for Pool<T, R> {
    fn clone(&self) -> Self {
        self.core.handles.fetch_add(1, Ordering::Relaxed);
        Self::from_core(Arc::clone(&self.core))
    }
}

impl<T, R> Drop for Pool<T, R> {
    fn drop(&mut self) {
        if self.core.handles.fetch_sub(1, Ordering::AcqRel) == 1 {
            // Idle objects keep their pool: without this both would stay.
            self.core.abandon();
        }
    }
}

/// User code runs on objects that nobody else sees, so a panic leaves nothing half done.
impl<T, R> UnwindSafe for Pool<T, R> {}
impl<T, R> RefUnwindSafe for Pool<T, R> {}

impl<T, R> fmt::Debug for Pool<T, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool")
            .field("name", &self.core.card.name)
            .field("idle", &self.idle())
            .field("leased", &self.leased())
            .finish_non_exhaustive()
    }
}

#[cfg(all(test, larder_shuttle))]
mod models;
#[cfg(all(test, not(larder_shuttle)))]
mod tests;
