//! Proofs: what a type that is part of a key can do, as functions to hand on, and the queries made with them.
//!
//! The proofs of pairs and tuples stand beside those.

use std::borrow::Borrow;
use std::hash::Hash;
use std::mem;

use super::{CacheKey, KeyHasher, Query, ReceiverKey};
use crate::weight::Weigher;

/// The proofs of a key's parts, together: what a store needs of keys that it holds already.
///
/// Sealed: whoever holds one may rely on `Key` being all that [`CacheKey`] asks for. The bounds written here
/// are of the proofs, or speak of lifetimes only, which are checked after types are: no second error beside
/// [`key`]'s.
#[doc(hidden)]
pub trait KeyShape: sealed::Sealed + Send + Sync + 'static {
    /// The key that is stored.
    type Key: 'static;
    /// Whether two keys are equal.
    fn eq(&self, a: &Self::Key, b: &Self::Key) -> bool;
    /// Bytes that the key owns beyond its own size.
    fn heap_bytes(&self, key: &Self::Key) -> u64;
    /// Whether `heap_bytes` sees everything.
    fn exact(&self) -> bool;
}

pub(super) mod sealed {
    /// Implemented by proofs, which only [`key`](super::key) can start.
    pub trait Sealed {}
}

/// Proof that `T` is a key, as the operations that a key has.
///
/// `T` may be what no key can be, an unsized type: then the missing bound is the one error, and this is none beside it.
#[doc(hidden)]
#[derive(Debug)]
pub struct KeyProof<T: ?Sized + 'static> {
    /// A constant that each use sees through: one word to hand on, and not four.
    ops: &'static KeyOps<T>,
    weigher: Weigher<T>,
}

#[derive(Debug)]
struct KeyOps<T: ?Sized> {
    hash: fn(&T, &mut KeyHasher),
    eq: fn(&T, &T) -> bool,
    own: fn(&T) -> T,
}

/// The only place that asks for [`CacheKey`], beside [`slice_key`].
#[doc(hidden)]
#[inline]
#[must_use]
pub const fn key<T: CacheKey>() -> KeyProof<T> {
    let ops = const { &KeyOps { hash: T::hash::<KeyHasher>, eq: T::eq, own: T::clone } };
    KeyProof { ops, weigher: Weigher::shallow() }
}

/// [`key`] for `self`; it asks for [`ReceiverKey`].
#[doc(hidden)]
#[inline]
#[must_use]
pub const fn receiver<T: ReceiverKey>() -> KeyProof<T> {
    key::<T>()
}

/// [`key`] for a value whose type has no name.
#[doc(hidden)]
#[inline]
#[must_use]
pub const fn key_like<T: CacheKey>(_: &T) -> KeyProof<T> {
    key::<T>()
}

impl<T: ?Sized> KeyProof<T> {
    /// This argument, as a part of a query.
    #[inline]
    #[must_use]
    pub fn of(self, place: &T) -> ByVal<'_, T> {
        ByVal { place, ops: self.ops }
    }

    /// With a way to weigh what a key owns.
    #[inline]
    #[must_use]
    pub fn weighed(self, weigher: Weigher<T>) -> Self {
        Self { weigher, ..self }
    }
}

impl<T: 'static> sealed::Sealed for KeyProof<T> {}

impl<T: 'static> KeyShape for KeyProof<T> {
    type Key = T;

    #[inline]
    fn eq(&self, a: &T, b: &T) -> bool {
        (self.ops.eq)(a, b)
    }

    #[inline]
    fn heap_bytes(&self, key: &T) -> u64 {
        (self.weigher.heap)(key)
    }

    #[inline]
    fn exact(&self) -> bool {
        self.weigher.exact
    }
}

/// An argument that is hashed as it is and owned by a clone.
#[doc(hidden)]
#[derive(Debug)]
pub struct ByVal<'a, T: ?Sized + 'static> {
    place: &'a T,
    ops: &'static KeyOps<T>,
}

impl<T: ?Sized> Clone for ByVal<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T: ?Sized> Copy for ByVal<'_, T> {}

impl<T> Query for ByVal<'_, T> {
    type Key = T;

    #[inline]
    fn hash(&self, state: &mut KeyHasher) {
        (self.ops.hash)(self.place, state);
    }

    #[inline]
    fn eq(&self, key: &T) -> bool {
        (self.ops.eq)(self.place, key)
    }

    #[inline]
    fn own(&self) -> T {
        (self.ops.own)(self.place)
    }
}

/// Proof that slices of `T` are keys.
#[doc(hidden)]
#[derive(Debug)]
pub struct SliceProof<T: 'static> {
    ops: &'static SliceOps<T>,
    weigher: Weigher<Vec<T>>,
}

#[derive(Debug)]
struct SliceOps<T> {
    hash: fn(&[T], &mut KeyHasher),
    eq: fn(&[T], &[T]) -> bool,
    own: fn(&[T]) -> Vec<T>,
}

/// [`key`] for slices of `T`, which are owned as vectors.
#[doc(hidden)]
#[inline]
#[must_use]
pub const fn slice_key<T: CacheKey>() -> SliceProof<T> {
    let ops = const { &SliceOps { hash: <[T]>::hash::<KeyHasher>, eq: <[T]>::eq, own: <[T]>::to_vec } };
    SliceProof { ops, weigher: Weigher::shallow() }
}

impl<T> SliceProof<T> {
    /// This argument, as a part of a query.
    #[inline]
    #[must_use]
    pub fn of(self, place: &[T]) -> BySlice<'_, T> {
        BySlice { place, ops: self.ops }
    }

    /// With a way to weigh what a key owns.
    #[inline]
    #[must_use]
    pub fn weighed(self, weigher: Weigher<Vec<T>>) -> Self {
        Self { weigher, ..self }
    }
}

impl<T: 'static> sealed::Sealed for SliceProof<T> {}

impl<T: 'static> KeyShape for SliceProof<T> {
    type Key = Vec<T>;

    #[inline]
    fn eq(&self, a: &Vec<T>, b: &Vec<T>) -> bool {
        (self.ops.eq)(a, b)
    }

    #[inline]
    fn heap_bytes(&self, key: &Vec<T>) -> u64 {
        (self.weigher.heap)(key)
    }

    #[inline]
    fn exact(&self) -> bool {
        self.weigher.exact
    }
}

/// A slice that is owned as a vector.
#[doc(hidden)]
#[derive(Debug)]
pub struct BySlice<'a, T: 'static> {
    place: &'a [T],
    ops: &'static SliceOps<T>,
}

impl<T> Clone for BySlice<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for BySlice<'_, T> {}

impl<T> Query for BySlice<'_, T> {
    type Key = Vec<T>;

    #[inline]
    fn hash(&self, state: &mut KeyHasher) {
        (self.ops.hash)(self.place, state);
    }

    #[inline]
    fn eq(&self, key: &Vec<T>) -> bool {
        (self.ops.eq)(self.place, key)
    }

    #[inline]
    fn own(&self) -> Vec<T> {
        (self.ops.own)(self.place)
    }
}

/// Proof that the unsized `B` is the borrowed form of the key `O`.
#[doc(hidden)]
#[derive(Debug)]
pub struct RefProof<B: ?Sized, O> {
    hash: fn(&B, &mut KeyHasher),
    eq: fn(&B, &O) -> bool,
    own: fn(&B) -> O,
}

impl<B: ?Sized, O> Clone for RefProof<B, O> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<B: ?Sized, O> Copy for RefProof<B, O> {}

/// For `str`, `Path`, `OsStr`, `CStr`: owned as what `ToOwned` says.
#[doc(hidden)]
#[inline]
#[must_use]
pub const fn ref_key<B: ?Sized + ToOwned + Hash + Eq>() -> RefProof<B, B::Owned> {
    RefProof { hash: B::hash::<KeyHasher>, eq: |place, key| place == key.borrow(), own: B::to_owned }
}

impl<B: ?Sized, O> RefProof<B, O> {
    /// This argument, as a part of a query.
    #[inline]
    #[must_use]
    pub fn of(self, place: &B) -> ByRef<'_, B, O> {
        ByRef { place, proof: self }
    }
}

/// An argument that is hashed as it is and owned as another type.
#[doc(hidden)]
#[derive(Debug)]
pub struct ByRef<'a, B: ?Sized, O> {
    place: &'a B,
    proof: RefProof<B, O>,
}

impl<B: ?Sized, O> Clone for ByRef<'_, B, O> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<B: ?Sized, O> Copy for ByRef<'_, B, O> {}

impl<B: ?Sized, O> Query for ByRef<'_, B, O> {
    type Key = O;

    #[inline]
    fn hash(&self, state: &mut KeyHasher) {
        (self.proof.hash)(self.place, state);
    }

    #[inline]
    fn eq(&self, key: &O) -> bool {
        (self.proof.eq)(self.place, key)
    }

    #[inline]
    fn own(&self) -> O {
        (self.proof.own)(self.place)
    }
}

impl<Q: Query> Query for Option<Q> {
    type Key = Option<Q::Key>;

    #[inline]
    fn hash(&self, state: &mut KeyHasher) {
        mem::discriminant(self).hash(state);
        if let Some(part) = self {
            part.hash(state);
        }
    }

    #[inline]
    fn eq(&self, key: &Self::Key) -> bool {
        match (self, key) {
            (Some(part), Some(key)) => part.eq(key),
            (None, None) => true,
            _ => false,
        }
    }

    #[inline]
    fn own(&self) -> Self::Key {
        self.as_ref().map(Q::own)
    }
}

/// Proof that an `Option` of a key is one.
#[doc(hidden)]
#[derive(Debug)]
pub struct OptionProof<P>(P);

/// The proof of an optional argument, from that of what it holds.
#[doc(hidden)]
#[inline]
#[must_use]
pub const fn option_key<P: KeyShape>(part: P) -> OptionProof<P> {
    OptionProof(part)
}

impl<P: KeyShape> sealed::Sealed for OptionProof<P> {}

impl<P: KeyShape> KeyShape for OptionProof<P> {
    type Key = Option<P::Key>;

    #[inline]
    fn eq(&self, a: &Self::Key, b: &Self::Key) -> bool {
        match (a, b) {
            (Some(a), Some(b)) => self.0.eq(a, b),
            (None, None) => true,
            _ => false,
        }
    }

    #[inline]
    fn heap_bytes(&self, key: &Self::Key) -> u64 {
        key.as_ref().map_or(0, |part| self.0.heap_bytes(part))
    }

    #[inline]
    fn exact(&self) -> bool {
        self.0.exact()
    }
}
