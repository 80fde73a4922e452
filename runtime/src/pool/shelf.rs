//! Shelves: idle objects of one pool, told apart by the arguments that they were made for.
//!
//! A function that makes objects has one pool for all its arguments: one bound, one list, in which the one that waited
//! longest is reclaimed first, whatever its shelf. Beside the list stands an [`Index`] of what waits in it, by the hash of
//! the arguments: what is on a shelf is found in as many steps however many shelves there are, the warmest first.
//!
//! An object that comes back needs no memory: the links of the index are in its label, and its buckets grow when objects
//! are made.

use std::any::Any;
use std::fmt;
use std::future::Future;
use std::ptr;
use std::sync::Arc;

use super::core::Run;
use super::node::Node;
use super::{Pool, PoolCore, Pooled};
use crate::key::{KeyShape, Query, hash_of};
use crate::stats::TenantStats;
use crate::weight::weigh::allocation;

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
    pub fn stats(&self) -> TenantStats {
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
pub(super) type Shelf<T> = Option<Box<Place<T>>>;

/// The place of an object on its shelf, for as long as the object is there.
pub(super) struct Place<T> {
    label: Box<dyn Label>,
    hash: u64,
    /// The next colder and the next warmer one of its bucket, while it waits.
    colder: *mut Node<T>,
    warmer: *mut Node<T>,
}

// SAFETY: the links mean something only while the node that has the place is in a list, to whoever may change that list;
// the label may be moved and shared.
unsafe impl<T> Send for Place<T> {}
// SAFETY: as above.
unsafe impl<T> Sync for Place<T> {}

impl<T> Place<T> {
    /// Bytes that it takes, those of its label included.
    pub(super) fn bytes(&self) -> u64 {
        allocation(size_of::<Self>()) + self.label.bytes()
    }

    pub(super) fn label(&self) -> &dyn Label {
        &*self.label
    }
}

/// What waits in a list, by the hash of what it was made for: chains through the nodes' places, the warmest first.
pub(super) struct Index<T> {
    /// A power of two of them, or none yet.
    buckets: Box<[*mut Node<T>]>,
}

// SAFETY: it is a part of a list, and points to the nodes of that.
unsafe impl<T: Send> Send for Index<T> {}

impl<T> Index<T> {
    /// The fewest buckets, and how many for one object.
    const LEAST: usize = 8;

    pub(super) fn new() -> Self {
        Self { buckets: vec![ptr::null_mut(); Self::LEAST].into_boxed_slice() }
    }

    pub(super) fn bytes(&self) -> u64 {
        allocation(size_of_val(&*self.buckets))
    }

    /// Makes chains short for so many objects, all of which may wait here; `nodes` visits those that do, coldest first.
    pub(super) fn grow(&mut self, objects: usize, nodes: impl FnOnce(&mut dyn FnMut(*mut Node<T>))) {
        if objects <= self.buckets.len() {
            return;
        }
        self.buckets = vec![ptr::null_mut(); objects.next_power_of_two()].into_boxed_slice();
        nodes(&mut |node| {
            // SAFETY: whoever visits has the list to itself, and each node is put into the new buckets once.
            unsafe { self.insert(node) };
        });
    }

    fn at(&self, hash: u64) -> usize {
        (hash >> 32) as usize & (self.buckets.len() - 1)
    }

    /// Takes a node in that was not in it, as its warmest.
    ///
    /// # Safety
    ///
    /// The node is in the index's list, or comes there now, and nobody else looks at it.
    pub(super) unsafe fn insert(&mut self, node: *mut Node<T>) {
        // SAFETY: the caller's word.
        let Some(place) = (unsafe { (*node).shelf.as_mut() }) else { return };
        let at = self.at(place.hash);
        let head = std::mem::replace(&mut self.buckets[at], node);
        (place.colder, place.warmer) = (head, ptr::null_mut());
        // SAFETY: what a bucket points to is in the list; only nodes with a place are in a bucket.
        if let Some(next) = unsafe { head.as_mut() }.and_then(|head| head.shelf.as_mut()) {
            next.warmer = node;
        }
    }

    /// Takes a node out that is in it.
    ///
    /// # Safety
    ///
    /// As of [`insert`](Self::insert).
    pub(super) unsafe fn remove(&mut self, node: *mut Node<T>) {
        // SAFETY: the caller's word.
        let Some(place) = (unsafe { (*node).shelf.as_ref() }) else { return };
        let (at, colder, warmer) = (self.at(place.hash), place.colder, place.warmer);
        // SAFETY: neighbours of a node in the list are in it, too, and have places.
        match unsafe { warmer.as_mut() }.and_then(|warmer| warmer.shelf.as_mut()) {
            Some(place) => place.colder = colder,
            None => self.buckets[at] = colder,
        }
        // SAFETY: as above.
        if let Some(place) = unsafe { colder.as_mut() }.and_then(|colder| colder.shelf.as_mut()) {
            place.warmer = warmer;
        }
    }

    /// The warmest node that is wanted.
    pub(super) fn find(&self, hash: u64, wanted: impl Fn(&dyn Label) -> bool) -> *mut Node<T> {
        let mut at = self.buckets[self.at(hash)];
        // SAFETY: what the index points to is in its list.
        while let Some(place) = unsafe { at.as_ref() }.and_then(|node| node.shelf.as_ref()) {
            if place.hash == hash && wanted(place.label()) {
                return at;
            }
            at = place.colder;
        }
        ptr::null_mut()
    }
}

/// What an object was made for, owned by it.
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
    shelf: Shelf<T>,
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
    let hash = hash_of(|state| query.hash(state));
    let is_wanted = |label: &dyn Label| label.key().downcast_ref().is_some_and(|key: &P::Key| query.eq(key));
    if !core.is_bypassed() {
        if let Some(found) = core.lend_from_shelf(hash, is_wanted) {
            return Ok(Pooled::new(found));
        }
        core.card.tally.miss();
    }
    let key = query.own();
    let bytes = allocation(size_of::<LabelOf<P::Key>>()) + keys.heap_bytes(&key);
    let label = Box::new(LabelOf { key, bytes });
    let place = Place { label, hash, colder: ptr::null_mut(), warmer: ptr::null_mut() };
    Err(Vacancy { pool: core, shelf: Some(Box::new(place)) })
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
