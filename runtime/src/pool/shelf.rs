//! Shelves: idle objects of one pool, told apart by the arguments that they were made for.
//!
//! A function that makes objects has one pool for all its arguments: one bound, one list, in which the one that waited
//! longest is reclaimed first, whatever its shelf. What is on a shelf is found by looking through the list from its warm
//! end, which is meant for tens of idle objects and not for thousands.

use std::any::Any;
use std::fmt;
use std::future::Future;
use std::sync::Arc;

use super::core::Run;
use super::{Pool, PoolCore, Pooled};
use crate::key::{KeyShape, Query};
use crate::stats::TenantStats;
use crate::tenant::arc;

/// The pool behind a `#[pooled]` function: a shelf of idle objects for each set of arguments.
///
/// Objects are taken by calling the function; here are the figures. The bound holds for all shelves together: an object
/// for arguments that no idle one was made for takes the place of the one that waited longest.
pub struct Shelves<T> {
    pub(crate) pool: Pool<T>,
}

impl<T> Shelves<T> {
    /// Drops every idle object.
    pub fn clear(&self) {
        self.pool.clear();
    }

    /// Objects that wait to be lent, on all shelves.
    #[must_use]
    pub fn idle(&self) -> usize {
        self.pool.idle()
    }

    /// Objects out on lease.
    #[must_use]
    pub fn leased(&self) -> u64 {
        self.pool.leased()
    }

    /// Bytes charged to the budget: idle and leased objects with their arguments, and the list of idle ones.
    #[must_use]
    pub fn weight(&self) -> u64 {
        self.pool.weight()
    }

    /// The counters and figures of this pool.
    #[must_use]
    pub fn stats(&self) -> TenantStats
    where
        T: Send + 'static,
    {
        self.pool.stats()
    }
}

impl<T> Shelves<T> {
    /// The leases that are out, the oldest first; see [`Pool::leases`]. Their place is in the annotated function.
    #[must_use]
    pub fn leases(&self) -> Vec<super::Lease> {
        self.pool.leases()
    }
}

impl<T> fmt::Debug for Shelves<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.pool, f)
    }
}

/// Where an object belongs; `None` where there is one shelf.
pub(super) type Shelf = Option<Arc<dyn Label>>;

/// What an object was made for.
pub(super) trait Label: Send + Sync {
    fn key(&self) -> &dyn Any;
    /// Bytes that it takes, those of the key included.
    fn bytes(&self) -> u64;
}

struct LabelOf<K> {
    key: K,
    bytes: u64,
}

// SAFETY: a label is made with the proofs of its key, in `look_on_shelf` and nowhere else, and there is no way to a
// `KeyShape` but through functions that ask for `Send + Sync` of each part of the key. Bounds here would say the same,
// but would turn one missing bound in a user's type into several errors.
unsafe impl<K> Send for LabelOf<K> {}
// SAFETY: as above.
unsafe impl<K> Sync for LabelOf<K> {}

impl<K: 'static> Label for LabelOf<K> {
    fn key(&self) -> &dyn Any {
        &self.key
    }

    fn bytes(&self) -> u64 {
        self.bytes
    }
}

/// An empty shelf: what is needed to make an object for it.
#[doc(hidden)]
pub struct Vacancy<T> {
    pool: Arc<PoolCore<T>>,
    shelf: Shelf,
}

impl<T> fmt::Debug for Vacancy<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Vacancy").finish_non_exhaustive()
    }
}

/// Lends an idle object that was made for these arguments. For generated code.
///
/// # Errors
///
/// When there is none: what is needed to make one. The key is made here, because the body may consume the arguments.
#[doc(hidden)]
pub fn look_on_shelf<T, Q, P>(shelves: &Shelves<T>, query: &Q, keys: P) -> Result<Pooled<T>, Vacancy<T>>
where
    Q: Query<Key = P::Key>,
    P: KeyShape,
{
    let core = shelves.pool.here();
    let is_wanted = |label: &dyn Label| label.key().downcast_ref().is_some_and(|key: &P::Key| query.eq(key));
    if !core.is_bypassed() {
        if let Some(found) = core.lend_from_shelf(|shelf| shelf.as_deref().is_some_and(is_wanted)) {
            return Ok(Pooled::new(found));
        }
        core.card.tally.miss();
    }
    let key = query.own();
    let bytes = arc::<LabelOf<P::Key>>() + keys.heap_bytes(&key);
    Err(Vacancy { pool: core, shelf: Some(Arc::new(LabelOf { key, bytes })) })
}

/// What the body of a `#[pooled]` function may return: an object, or a `Result` or an `Option` of one. For generated code.
#[doc(hidden)]
#[diagnostic::on_unimplemented(
    message = "a `#[pooled]` function can't return `{Self}`",
    note = "return `Pooled<T>`, or a `Result` or an `Option` of it"
)]
pub trait Made {
    /// What is pooled.
    type Object;
    /// What callers get.
    type Lent;
    /// Lends the object, if there is one.
    fn lend(self, lend: impl FnOnce(Self::Object) -> Pooled<Self::Object>) -> Self::Lent;
    /// What callers get of an object that was there.
    fn lent(lease: Pooled<Self::Object>) -> Self::Lent;
}

impl<T, E> Made for Result<T, E> {
    type Object = T;
    type Lent = Result<Pooled<T>, E>;

    fn lend(self, lend: impl FnOnce(T) -> Pooled<T>) -> Self::Lent {
        self.map(lend)
    }

    fn lent(lease: Pooled<T>) -> Self::Lent {
        Ok(lease)
    }
}

impl<T> Made for Option<T> {
    type Object = T;
    type Lent = Option<Pooled<T>>;

    fn lend(self, lend: impl FnOnce(T) -> Pooled<T>) -> Self::Lent {
        self.map(lend)
    }

    fn lent(lease: Pooled<T>) -> Self::Lent {
        Some(lease)
    }
}

impl<T> Vacancy<T> {
    /// Makes an object and lends it.
    pub fn fill(self, make: impl FnOnce() -> T) -> Pooled<T> {
        let run = Run::start(&self.pool);
        let object = make();
        run.succeed();
        Pooled::new(self.pool.fill_shelf(object, self.shelf))
    }

    /// [`fill`](Self::fill) by what may fail.
    pub fn try_fill<R: Made<Object = T>>(self, make: impl FnOnce() -> R) -> R::Lent {
        let run = Run::start(&self.pool);
        make().lend(|object| {
            run.succeed();
            Pooled::new(self.pool.fill_shelf(object, self.shelf))
        })
    }

    /// [`fill`](Self::fill) for an `async fn`.
    pub async fn fill_async(self, make: impl Future<Output = T>) -> Pooled<T> {
        let run = Run::start(&self.pool);
        let object = make.await;
        run.succeed();
        Pooled::new(self.pool.fill_shelf(object, self.shelf))
    }

    /// [`try_fill`](Self::try_fill) for an `async fn`.
    pub async fn try_fill_async<R: Made<Object = T>>(self, make: impl Future<Output = R>) -> R::Lent {
        let run = Run::start(&self.pool);
        make.await.lend(|object| {
            run.succeed();
            Pooled::new(self.pool.fill_shelf(object, self.shelf))
        })
    }
}

/// The constructor of a pool whose objects are made by a function with arguments: nobody calls it.
#[doc(hidden)]
#[must_use]
pub fn made_by_function<T>() -> T {
    unreachable!("shelves are filled by their function")
}
