//! The proof that a value can be cached, and what is stored of what may fail.

use std::fmt;
use std::marker::PhantomData;
use std::mem;

use super::CacheValue;
use super::proof::{Missing, Of, sealed};
use crate::weight::Weighs;

/// What a cached value can do, said by its proof as [`KeyOps`](super::KeyOps) are.
#[doc(hidden)]
pub trait ValueOps<V>: sealed::Sealed + Copy + Send + Sync + 'static {
    /// What a hit returns.
    fn another(value: &V) -> V;
}

/// The operations of a value.
#[doc(hidden)]
#[derive(Clone, Copy, Debug)]
pub struct Cloned;

impl sealed::Sealed for Cloned {}

impl<V: CacheValue> ValueOps<V> for Cloned {
    #[inline]
    fn another(value: &V) -> V {
        value.clone()
    }
}

impl<V> ValueOps<V> for Missing {
    fn another(_: &V) -> V {
        unreachable!("what is no cached value does not compile")
    }
}

/// Finds the operations of a value, as [`Keyed`](super::Keyed) those of a key.
#[doc(hidden)]
pub struct Valued<V>(Unvalued<V>);

/// Second choice of a look-up on [`Valued`].
#[doc(hidden)]
pub struct Unvalued<V>(PhantomData<fn(&V)>);

impl<V> Valued<V> {
    /// Of this type.
    pub const OF: Self = Self(Unvalued(PhantomData));
}

impl<V> std::ops::Deref for Valued<V> {
    type Target = Unvalued<V>;

    fn deref(&self) -> &Unvalued<V> {
        &self.0
    }
}

impl<V: CacheValue> Valued<V> {
    /// What it can do.
    #[must_use]
    pub const fn ops(&self) -> Cloned {
        Cloned
    }
}

impl<V> Unvalued<V> {
    /// Nothing.
    #[must_use]
    pub const fn ops(&self) -> Missing {
        Missing
    }
}

impl<V> fmt::Debug for Valued<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Valued")
    }
}

impl<V> fmt::Debug for Unvalued<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Unvalued")
    }
}

/// Proof that `V` is a cached value, with the operations that a value has.
#[doc(hidden)]
pub struct ValueProof<V, O> {
    of: PhantomData<(Of<V>, O)>,
}

impl<V, O> fmt::Debug for ValueProof<V, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ValueProof").finish_non_exhaustive()
    }
}

/// What a store needs of values: their proof, and a way to weigh them.
///
/// Sealed, as [`KeyShape`](super::KeyShape) is: whoever holds one may rely on `V` being all that [`CacheValue`] asks for.
#[doc(hidden)]
pub trait ValueShape<V>: sealed::Sealed + Send + Sync + 'static {
    /// What a hit returns.
    fn another(value: &V) -> V;
    /// Bytes that the value owns beyond its own size.
    fn heap_bytes(&self, value: &V) -> u64;
    /// Whether `heap_bytes` sees everything.
    fn exact(&self) -> bool;
}

/// A [`ValueProof`] with a way to weigh what a value owns: it says so itself, or is known to own nothing, or cannot be seen
/// into.
#[doc(hidden)]
pub struct WeighedValue<V, O, W> {
    of: PhantomData<(Of<V>, O, W)>,
}

impl<V, O, W> fmt::Debug for WeighedValue<V, O, W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WeighedValue").finish_non_exhaustive()
    }
}

impl<V, O, W> sealed::Sealed for WeighedValue<V, O, W> {}

impl<V: 'static, O: ValueOps<V>, W: Weighs<V>> ValueShape<V> for WeighedValue<V, O, W> {
    #[inline]
    fn another(value: &V) -> V {
        O::another(value)
    }

    #[inline]
    fn heap_bytes(&self, value: &V) -> u64 {
        (W::WEIGHER.heap)(value)
    }

    #[inline]
    fn exact(&self) -> bool {
        W::WEIGHER.exact
    }
}

/// A [`ValueProof`] with the user's weigher, which gives all bytes, the value's own size included.
#[doc(hidden)]
#[derive(Debug)]
pub struct WeighedBy<V, O> {
    total: fn(&V) -> u64,
    of: PhantomData<O>,
}

impl<V, O> sealed::Sealed for WeighedBy<V, O> {}

impl<V: 'static, O: ValueOps<V>> ValueShape<V> for WeighedBy<V, O> {
    #[inline]
    fn another(value: &V) -> V {
        O::another(value)
    }

    #[inline]
    fn heap_bytes(&self, value: &V) -> u64 {
        (self.total)(value).saturating_sub(mem::size_of::<V>() as u64)
    }

    #[inline]
    fn exact(&self) -> bool {
        true
    }
}

/// The only place that asks for [`CacheValue`].
#[doc(hidden)]
#[inline]
#[must_use]
pub const fn value<V: CacheValue, O: ValueOps<V>>(_: O) -> ValueProof<V, O> {
    ValueProof { of: PhantomData }
}

impl<V, O> ValueProof<V, O> {
    /// With a way to weigh what a value owns.
    #[inline]
    #[must_use]
    pub fn weighed<W: Weighs<V>>(self, _: W) -> WeighedValue<V, O, W> {
        WeighedValue { of: PhantomData }
    }

    /// With the user's weigher, which gives all bytes of a value, its own size included.
    #[inline]
    #[must_use]
    pub fn weigh_with(self, total: fn(&V) -> u64) -> WeighedBy<V, O> {
        WeighedBy { total, of: PhantomData }
    }
}

/// What a `#[cached]` function returns when only its success is stored: a `Result` or an `Option`. A type of your own
/// that is called so may be one, too.
#[diagnostic::on_unimplemented(
    message = "`{Self}` looks like a `Result` or an `Option`, and is neither",
    label = "`#[cached]` stores what a `Result` or an `Option` holds, and tells them by name",
    note = "give this type another name, or return it behind an alias that is not called `Result` or `Option`, and all of it is stored; or say what is stored of it: implement `larder::bounds::Fallible` for it"
)]
pub trait Fallible: Sized {
    /// What is stored.
    type Value;
    /// What is returned in its place, and not stored.
    type Rest;
    /// The value to store.
    ///
    /// # Errors
    ///
    /// All that is not stored, as it came.
    fn split(self) -> Result<Self::Value, Self>;
    /// What a hit returns.
    fn from_value(value: Self::Value) -> Self;
}

impl<T, E> Fallible for Result<T, E> {
    type Value = T;
    type Rest = E;

    #[inline]
    fn split(self) -> Result<T, Self> {
        match self {
            Ok(value) => Ok(value),
            Err(error) => Err(Err(error)),
        }
    }

    #[inline]
    fn from_value(value: T) -> Self {
        Ok(value)
    }
}

impl<T> Fallible for Option<T> {
    type Value = T;
    type Rest = ();

    #[inline]
    fn split(self) -> Result<T, Self> {
        self.ok_or(None)
    }

    #[inline]
    fn from_value(value: T) -> Self {
        Some(value)
    }
}

/// What a body that an executor runs (`#[cached(detach)]`) may return in place of a value, such as an error: all that
/// is `Send + 'static`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` can't be returned from a `#[cached(detach)]` function",
    label = "the body runs on an executor's thread, and this goes from there to the caller",
    note = "an error of a detached body needs `Send + 'static`: turn it into one that has it, such as a `String`, an enum of your own or `Box<dyn Error + Send + Sync>`, or leave `detach` out"
)]
pub trait PassedOn: Send + 'static {}

#[diagnostic::do_not_recommend]
impl<R: Send + 'static> PassedOn for R {}

/// What an argument by reference has to be of which a body that an executor runs (`#[cached(detach)]`) takes a copy:
/// all that is `Clone`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` can't be copied for the body of a `#[cached(detach)]` function",
    label = "the body outlives the call, and needs a copy of what this refers to",
    note = "derive `Clone`, or take what can be shared, such as `Arc<{Self}>`, by value"
)]
pub trait Copied: Clone {}

#[diagnostic::do_not_recommend]
impl<T: Clone> Copied for T {}

/// A copy for a detached body; the only place that asks for it, unless it is part of the key, whose proof does.
#[doc(hidden)]
pub fn copied<T: Copied>(place: &T) -> T {
    place.clone()
}

/// [`copied`] for a slice.
#[doc(hidden)]
pub fn copied_slice<T: Copied>(place: &[T]) -> Vec<T> {
    place.to_vec()
}
