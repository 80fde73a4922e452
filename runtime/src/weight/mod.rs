//! What values weigh, in bytes: the [`Weigh`] trait, and how a type's weigher is found.
//!
//! Weights are sums of real blocks of memory in a `u64`, so they cannot overflow: no process has 16 EiB.
//! (A value that holds one `Arc` many times counts it each time; even that stays far below.) Nothing here
//! saturates for that reason. Not here: the charge for an entry's slot and table, which the store adds.

mod allocator;
mod crates;
mod known;
mod layout;
mod std_types;
pub mod weigh;

#[cfg(all(test, not(larder_shuttle)))]
mod tests;

use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;

pub(crate) use allocator::{block_of, move_to_smaller};
pub(crate) use known::known;

/// Says how many bytes a value owns on the heap.
///
/// Derive it with `#[derive(larder::Weigh)]`. By hand: add up [`weigh::allocation`] of each block the value
/// owns, and `heap_bytes` of what lies in those blocks and in the fields.
///
/// Weights are frozen at insert: what grows inside a stored value later is not seen. An `Arc` is charged in
/// full by each cache that holds it, because any of them may be the last. What a reference points to is not
/// charged.
///
/// The trait can be a supertrait of an object-safe one: with `trait Shape: Weigh`, an `Arc<dyn Shape>` knows
/// its bytes.
///
/// # Examples
///
/// ```
/// use larder_runtime::{Weigh, weigh};
///
/// /// A grid of cells, and a name.
/// struct Grid {
///     name: String,
///     cells: Box<[f32]>,
/// }
///
/// impl Weigh for Grid {
///     fn heap_bytes(&self) -> u64 {
///         self.name.heap_bytes() + weigh::allocation(size_of_val(&*self.cells))
///     }
/// }
///
/// let grid = Grid { name: "lawn".to_owned(), cells: vec![0.0; 1000].into() };
/// assert!(weigh::deep(&grid) >= 4000 + size_of::<Grid>() as u64);
/// ```
#[diagnostic::on_unimplemented(
    message = "the heap bytes of `{Self}` are not known",
    label = "`{Self}` doesn't implement `Weigh`",
    note = "derive it with `#[derive(larder::Weigh)]`, or say what an entry weighs: `weigh = path` on `#[cached]`, \
            `.weigh(..)` on a builder"
)]
pub trait Weigh {
    /// Bytes owned on the heap, beyond the value's own `size_of_val`, each block as the allocator rounds it
    /// (see [`weigh::allocation`]).
    ///
    /// Runs outside every lock, on misses only. A collection takes time in proportion to its length unless
    /// its elements [own no heap](Self::owns_heap).
    fn heap_bytes(&self) -> u64;

    /// Whether values of this type can own heap at all.
    ///
    /// A collection whose elements cannot is weighed without visiting them. The default is right for all
    /// types but two kinds: those that need no drop and yet want to be charged for memory elsewhere, and
    /// those whose `Drop` frees no memory.
    #[inline]
    #[must_use]
    fn owns_heap() -> bool
    where
        Self: Sized,
    {
        std::mem::needs_drop::<Self>()
    }
}

/// How to weigh a type: a function, and whether it sees everything.
#[doc(hidden)]
pub struct Weigher<T: ?Sized> {
    /// Bytes on the heap, beyond `size_of::<T>()`.
    pub heap: fn(&T) -> u64,
    /// Whether `heap` sees all that a value owns; otherwise the tenant is marked `estimated`.
    pub exact: bool,
    /// Whether `heap` says 0 of every value.
    pub is_shallow: bool,
}

impl<T: ?Sized> Weigher<T> {
    /// For a type whose bytes nobody knows: no heap, which is exact where nothing is dropped.
    #[must_use]
    pub const fn shallow() -> Self {
        Self { heap: |_| 0, exact: !std::mem::needs_drop::<T>(), is_shallow: true }
    }
}

impl<T: Weigh + ?Sized> Weigher<T> {
    /// For a type that knows its bytes.
    #[must_use]
    pub const fn deep() -> Self {
        Self { heap: T::heap_bytes, exact: true, is_shallow: false }
    }
}

// By hand, because a derive would ask the same of `T`.
impl<T: ?Sized> Clone for Weigher<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T: ?Sized> Copy for Weigher<T> {}

impl<T: ?Sized> fmt::Debug for Weigher<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Weigher").field("exact", &self.exact).finish_non_exhaustive()
    }
}

/// A way to weigh a type that is known from its own type alone, so that nothing is handed on.
#[doc(hidden)]
pub trait Weighs<T: ?Sized>: Copy + Send + Sync + 'static {
    /// As functions.
    const WEIGHER: Weigher<T>;
}

/// [`Weigher::deep`] as a type.
#[doc(hidden)]
#[derive(Clone, Copy, Debug)]
pub struct Deep;

/// [`Weigher::shallow`] as a type.
#[doc(hidden)]
#[derive(Clone, Copy, Debug)]
pub struct Shallow;

impl<T: Weigh + ?Sized> Weighs<T> for Deep {
    const WEIGHER: Weigher<T> = Weigher::deep();
}

impl<T: ?Sized> Weighs<T> for Shallow {
    const WEIGHER: Weigher<T> = Weigher::shallow();
}

/// Carries a type to the method call that [`weigher!`](crate::__weigher) makes on it.
///
/// Method look-up finds [`Weighed::weigher`] where `T: Weigh`, and goes on to what it dereferences to where
/// not.
#[doc(hidden)]
pub struct Weighed<T: ?Sized>(Unweighed<T>);

/// Second choice of [`weigher!`](crate::__weigher).
#[doc(hidden)]
pub struct Unweighed<T: ?Sized>(PhantomData<fn(T)>);

impl<T: ?Sized> Weighed<T> {
    /// [`new`](Self::new), without a call.
    pub const NEW: Self = Self::new();

    #[expect(clippy::new_without_default, reason = "only generated code makes one, by this name")]
    #[must_use]
    pub const fn new() -> Self {
        Self(Unweighed(PhantomData))
    }
}

impl<T: Weigh + ?Sized> Weighed<T> {
    /// As a type that [`Weighs`].
    #[must_use]
    pub const fn way(&self) -> Deep {
        Deep
    }

    #[must_use]
    pub const fn weigher(&self) -> Weigher<T> {
        Weigher::deep()
    }
}

impl<T: ?Sized> Unweighed<T> {
    #[must_use]
    pub const fn way(&self) -> Shallow {
        Shallow
    }

    #[must_use]
    pub const fn weigher(&self) -> Weigher<T> {
        Weigher::shallow()
    }
}

impl<T: ?Sized> Deref for Weighed<T> {
    type Target = Unweighed<T>;

    fn deref(&self) -> &Unweighed<T> {
        &self.0
    }
}

impl<T: ?Sized> fmt::Debug for Weighed<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Weighed")
    }
}

impl<T: ?Sized> fmt::Debug for Unweighed<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Unweighed")
    }
}

/// The [`Weigher`] of a type: by [`Weigh`] where it is implemented, by size elsewhere. For generated code.
///
/// In a generic function only the written bounds count: `T` alone goes by size, `T: Weigh` by its trait.
#[doc(hidden)]
#[macro_export]
macro_rules! __weigher {
    ($ty:ty) => {
        $crate::__private::Weighed::<$ty>::new().weigher()
    };
}
