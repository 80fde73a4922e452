//! Proofs: what a type that is part of a key can do, in types to hand on, and the queries made with them.
//!
//! The proofs of pairs and tuples stand beside those.

use std::borrow::Borrow;
use std::fmt;
use std::hash::Hash;
use std::marker::PhantomData;
use std::mem;

use super::{CacheKey, KeyHasher, Query, ReceiverKey};
use crate::weight::{Weigher, Weighs};

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

/// Names a type without having one.
pub(super) type Of<T> = fn(&T);

/// What a type that is part of a key can do. Said by its proof, in a type: so whoever is compiled with a query calls the
/// operations themselves and no pointers to them, and asks for no bound a second time.
///
/// `T` may be what no key can be, an unsized type: then the missing bound is the one error, and this is none beside it.
#[doc(hidden)]
pub trait KeyOps<T: ?Sized>: sealed::Sealed + Copy + Send + Sync + 'static {
    /// Feeds the hasher.
    fn hash(place: &T, state: &mut KeyHasher);
    /// Whether two are equal.
    fn eq(a: &T, b: &T) -> bool;
    /// Makes another.
    fn own(place: &T) -> T
    where
        T: Sized;
}

/// The operations of a key.
#[doc(hidden)]
#[derive(Clone, Copy, Debug)]
pub struct Own;

impl sealed::Sealed for Own {}

impl<T: CacheKey> KeyOps<T> for Own {
    #[inline]
    fn hash(place: &T, state: &mut KeyHasher) {
        place.hash(state);
    }

    #[inline]
    fn eq(a: &T, b: &T) -> bool {
        a == b
    }

    #[inline]
    fn own(place: &T) -> T {
        place.clone()
    }
}

/// The operations of what is no key. Whoever comes to have them has been told so by [`key`] or its like, at the type: with
/// these nothing else is wrong, and there is no second error.
#[doc(hidden)]
#[derive(Clone, Copy, Debug)]
pub struct Missing;

impl sealed::Sealed for Missing {}

impl<T: ?Sized> KeyOps<T> for Missing {
    fn hash(_: &T, _: &mut KeyHasher) {}

    fn eq(_: &T, _: &T) -> bool {
        false
    }

    fn own(_: &T) -> T
    where
        T: Sized,
    {
        no_key()
    }
}

impl<T> RefOps<[T], Vec<T>> for Missing {
    fn hash(_: &[T], _: &mut KeyHasher) {}

    fn eq(_: &[T], _: &Vec<T>) -> bool {
        false
    }

    fn own(_: &[T]) -> Vec<T> {
        no_key()
    }
}

fn no_key() -> ! {
    unreachable!("what is no key does not compile")
}

/// Finds the operations of a key, as [`Weighed`](crate::weight::Weighed) finds its weigher: method look-up takes
/// [`Keyed`]'s where `T: CacheKey`, and goes on to what it dereferences to where not.
#[doc(hidden)]
pub struct Keyed<T: ?Sized>(Unkeyed<T>);

/// Second choice of a look-up on [`Keyed`].
#[doc(hidden)]
pub struct Unkeyed<T: ?Sized>(PhantomData<fn(&T)>);

impl<T: ?Sized> Keyed<T> {
    /// Of this type.
    pub const OF: Self = Self(Unkeyed(PhantomData));

    /// Of a type that has no name.
    #[must_use]
    pub const fn like(_: &T) -> Self {
        Self::OF
    }
}

impl<T: ?Sized> std::ops::Deref for Keyed<T> {
    type Target = Unkeyed<T>;

    fn deref(&self) -> &Unkeyed<T> {
        &self.0
    }
}

impl<T: CacheKey> Keyed<T> {
    /// What it can do.
    #[must_use]
    pub const fn ops(&self) -> Own {
        Own
    }

    /// What slices of it can do.
    #[must_use]
    pub const fn slice_ops(&self) -> Borrowed {
        Borrowed
    }

    /// An argument, as a part of a query.
    #[inline]
    #[must_use]
    pub const fn by_value<'a>(&self, place: &'a T) -> ByVal<'a, T, Own> {
        ByVal { place, ops: PhantomData }
    }

    /// A copy of an argument.
    #[must_use]
    pub fn copied(&self, place: &T) -> T {
        place.clone()
    }

    /// A slice of it, as a part of a query.
    #[inline]
    #[must_use]
    pub const fn by_slice<'a>(&self, place: &'a [T]) -> ByRef<'a, [T], Vec<T>, Borrowed> {
        ByRef { place, ops: PhantomData }
    }
}

impl<T: ?Sized> Unkeyed<T> {
    /// Nothing.
    #[must_use]
    pub const fn ops(&self) -> Missing {
        Missing
    }

    /// As a part of a query that is never asked.
    #[must_use]
    pub const fn by_value<'a>(&self, place: &'a T) -> ByVal<'a, T, Missing> {
        ByVal { place, ops: PhantomData }
    }
}

impl<T> Unkeyed<T> {
    /// Nothing.
    #[must_use]
    pub const fn slice_ops(&self) -> Missing {
        Missing
    }

    /// A copy that is never made.
    #[must_use]
    pub fn copied(&self, _: &T) -> T {
        no_key()
    }

    /// As a part of a query that is never asked.
    #[must_use]
    pub const fn by_slice<'a>(&self, place: &'a [T]) -> ByRef<'a, [T], Vec<T>, Missing> {
        ByRef { place, ops: PhantomData }
    }
}

impl<T: ?Sized> fmt::Debug for Keyed<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keyed")
    }
}

impl<T: ?Sized> fmt::Debug for Unkeyed<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Unkeyed")
    }
}

/// Proof that `T` is a key, with the operations that a key has.
#[doc(hidden)]
pub struct KeyProof<T: ?Sized + 'static, O> {
    of: PhantomData<(Of<T>, O)>,
}

impl<T: ?Sized, O> fmt::Debug for KeyProof<T, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyProof").finish_non_exhaustive()
    }
}

/// The only place that asks for [`CacheKey`], beside those below.
#[doc(hidden)]
#[inline]
#[must_use]
pub const fn key<T: CacheKey>() -> KeyProof<T, Own> {
    KeyProof { of: PhantomData }
}

/// [`key`], with a way to weigh what a key owns.
#[doc(hidden)]
#[inline]
#[must_use]
pub const fn weighed_key<T: CacheKey, O: KeyOps<T>, W: Weighs<T>>(_: O, _: W) -> WeighedKey<T, O, W> {
    WeighedKey { of: PhantomData }
}

/// [`weighed_key`] for `self`; it asks for [`ReceiverKey`].
#[doc(hidden)]
#[inline]
#[must_use]
pub const fn weighed_receiver<T: ReceiverKey, O: KeyOps<T>, W: Weighs<T>>(_: O, _: W) -> WeighedKey<T, O, W> {
    WeighedKey { of: PhantomData }
}

/// [`key`] for a value whose type has no name.
#[doc(hidden)]
#[inline]
#[must_use]
pub const fn key_like<T: CacheKey, O: KeyOps<T>>(_: &T, _: O) -> KeyProof<T, O> {
    KeyProof { of: PhantomData }
}

impl<T: 'static, O> sealed::Sealed for KeyProof<T, O> {}

/// Of what nobody can weigh, or owns nothing.
impl<T: 'static, O: KeyOps<T>> KeyShape for KeyProof<T, O> {
    type Key = T;

    #[inline]
    fn eq(&self, a: &T, b: &T) -> bool {
        O::eq(a, b)
    }

    #[inline]
    fn heap_bytes(&self, _: &T) -> u64 {
        0
    }

    #[inline]
    fn exact(&self) -> bool {
        const { Weigher::<T>::shallow().exact }
    }
}

/// A [`KeyProof`] with a way to weigh what a key owns.
#[doc(hidden)]
pub struct WeighedKey<T: ?Sized + 'static, O, W> {
    of: PhantomData<(Of<T>, O, W)>,
}

impl<T: ?Sized, O, W> fmt::Debug for WeighedKey<T, O, W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WeighedKey").finish_non_exhaustive()
    }
}

impl<T: 'static, O, W> sealed::Sealed for WeighedKey<T, O, W> {}

impl<T: 'static, O: KeyOps<T>, W: Weighs<T>> KeyShape for WeighedKey<T, O, W> {
    type Key = T;

    #[inline]
    fn eq(&self, a: &T, b: &T) -> bool {
        O::eq(a, b)
    }

    #[inline]
    fn heap_bytes(&self, key: &T) -> u64 {
        (W::WEIGHER.heap)(key)
    }

    #[inline]
    fn exact(&self) -> bool {
        W::WEIGHER.exact
    }
}

/// An argument that is hashed as it is and owned by a clone.
#[doc(hidden)]
pub struct ByVal<'a, T: ?Sized, O> {
    place: &'a T,
    ops: PhantomData<O>,
}

impl<T: ?Sized, O> Clone for ByVal<'_, T, O> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T: ?Sized, O> Copy for ByVal<'_, T, O> {}

impl<T: ?Sized, O> fmt::Debug for ByVal<'_, T, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ByVal").finish_non_exhaustive()
    }
}

impl<T, O: KeyOps<T>> Query for ByVal<'_, T, O> {
    type Key = T;

    #[inline]
    fn hash(&self, state: &mut KeyHasher) {
        O::hash(self.place, state);
    }

    #[inline]
    fn eq(&self, key: &T) -> bool {
        O::eq(self.place, key)
    }

    #[inline]
    fn own(&self) -> T {
        O::own(self.place)
    }
}

/// What the borrowed form of a key can do: [`KeyOps`] for `&str`, `&[T]` and their like.
#[doc(hidden)]
pub trait RefOps<B: ?Sized, K>: sealed::Sealed + Copy + Send + Sync + 'static {
    /// Feeds the hasher what the key would.
    fn hash(place: &B, state: &mut KeyHasher);
    /// Whether this is the key.
    fn eq(place: &B, key: &K) -> bool;
    /// Makes the key.
    fn own(place: &B) -> K;
}

/// The operations of what is borrowed as something else.
#[doc(hidden)]
#[derive(Clone, Copy, Debug)]
pub struct Borrowed;

impl sealed::Sealed for Borrowed {}

impl<B: ?Sized + ToOwned + Hash + Eq> RefOps<B, B::Owned> for Borrowed {
    #[inline]
    fn hash(place: &B, state: &mut KeyHasher) {
        place.hash(state);
    }

    #[inline]
    fn eq(place: &B, key: &B::Owned) -> bool {
        place == key.borrow()
    }

    #[inline]
    fn own(place: &B) -> B::Owned {
        place.to_owned()
    }
}

/// [`weighed_key`] for slices of `T`, which are owned as vectors.
#[doc(hidden)]
#[inline]
#[must_use]
pub const fn weighed_slice<T: CacheKey, O: RefOps<[T], Vec<T>>, W: Weighs<Vec<T>>>(
    _: O,
    _: W,
) -> WeighedSlice<T, O, W> {
    WeighedSlice { of: PhantomData }
}

/// Proof that slices of `T` are keys, with a way to weigh what a key owns.
#[doc(hidden)]
pub struct WeighedSlice<T: 'static, O, W> {
    of: PhantomData<(Of<[T]>, O, W)>,
}

impl<T, O, W> fmt::Debug for WeighedSlice<T, O, W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WeighedSlice").finish_non_exhaustive()
    }
}

impl<T: 'static, O, W> sealed::Sealed for WeighedSlice<T, O, W> {}

impl<T: 'static, O: RefOps<[T], Vec<T>>, W: Weighs<Vec<T>>> KeyShape for WeighedSlice<T, O, W> {
    type Key = Vec<T>;

    #[inline]
    fn eq(&self, a: &Vec<T>, b: &Vec<T>) -> bool {
        O::eq(a, b)
    }

    #[inline]
    fn heap_bytes(&self, key: &Vec<T>) -> u64 {
        (W::WEIGHER.heap)(key)
    }

    #[inline]
    fn exact(&self) -> bool {
        W::WEIGHER.exact
    }
}

/// A part of a query for `str`, `Path`, `OsStr`, `CStr`: owned as what `ToOwned` says.
#[doc(hidden)]
#[inline]
#[must_use]
pub const fn by_ref<B: ?Sized + ToOwned + Hash + Eq>(place: &B) -> ByRef<'_, B, B::Owned, Borrowed> {
    ByRef { place, ops: PhantomData }
}

/// An argument that is hashed as it is and owned as another type.
#[doc(hidden)]
pub struct ByRef<'a, B: ?Sized, K, O> {
    place: &'a B,
    ops: PhantomData<(fn() -> K, O)>,
}

impl<B: ?Sized, K, O> Clone for ByRef<'_, B, K, O> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<B: ?Sized, K, O> Copy for ByRef<'_, B, K, O> {}

impl<B: ?Sized, K, O> fmt::Debug for ByRef<'_, B, K, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ByRef").finish_non_exhaustive()
    }
}

impl<B: ?Sized, K, O: RefOps<B, K>> Query for ByRef<'_, B, K, O> {
    type Key = K;

    #[inline]
    fn hash(&self, state: &mut KeyHasher) {
        O::hash(self.place, state);
    }

    #[inline]
    fn eq(&self, key: &K) -> bool {
        O::eq(self.place, key)
    }

    #[inline]
    fn own(&self) -> K {
        O::own(self.place)
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
