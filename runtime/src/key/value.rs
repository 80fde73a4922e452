//! The proof that a value can be cached, and what is stored of what may fail.

use std::mem;

use super::CacheValue;
use crate::weight::Weigher;

/// Proof that `V` is a cached value, as the operations that a value has.
#[doc(hidden)]
#[derive(Debug)]
pub struct ValueProof<V> {
    clone: fn(&V) -> V,
    weight: Weight<V>,
}

/// How the heap bytes of a value are found.
#[derive(Debug)]
enum Weight<V> {
    /// It says so itself, or is known to own nothing, or cannot be seen into (`exact` is false).
    Heap(Weigher<V>),
    /// The user's weigher gives all bytes, the value's own size included.
    Total(fn(&V) -> u64),
}

/// The only place that asks for [`CacheValue`].
#[doc(hidden)]
#[inline]
#[must_use]
pub const fn value<V: CacheValue>() -> ValueProof<V> {
    ValueProof { clone: V::clone, weight: Weight::Heap(Weigher::shallow()) }
}

impl<V> ValueProof<V> {
    /// With a way to weigh what a value owns.
    #[inline]
    #[must_use]
    pub fn weighed(self, weigher: Weigher<V>) -> Self {
        Self { weight: Weight::Heap(weigher), ..self }
    }

    /// With the user's weigher, which gives all bytes of a value, its own size included.
    #[inline]
    #[must_use]
    pub fn weigh_with(self, total: fn(&V) -> u64) -> Self {
        Self { weight: Weight::Total(total), ..self }
    }

    /// What a hit returns.
    #[inline]
    #[must_use]
    pub fn clone_of(&self, value: &V) -> V {
        (self.clone)(value)
    }

    /// [`clone_of`](Self::clone_of) without the proof, for where only that is needed.
    #[inline]
    #[must_use]
    pub const fn clone_fn(&self) -> fn(&V) -> V {
        self.clone
    }

    /// Bytes that the value owns beyond its own size.
    #[inline]
    #[must_use]
    pub fn heap_bytes(&self, value: &V) -> u64 {
        match &self.weight {
            Weight::Heap(weigher) => (weigher.heap)(value),
            Weight::Total(total) => total(value).saturating_sub(mem::size_of::<V>() as u64),
        }
    }

    /// Whether `heap_bytes` sees everything.
    #[inline]
    #[must_use]
    pub const fn exact(&self) -> bool {
        match &self.weight {
            Weight::Heap(weigher) => weigher.exact,
            Weight::Total(_) => true,
        }
    }
}

/// What a `#[cached]` function returns when only its success is stored.
#[doc(hidden)]
#[diagnostic::on_unimplemented(
    message = "`{Self}` looks like a `Result` or an `Option`, and is neither",
    label = "`#[cached]` stores what a `Result` or an `Option` holds, and tells them by name",
    note = "give this type another name, or return it behind an alias that is not called `Result` or `Option`"
)]
pub trait Fallible: Sized {
    /// What is stored.
    type Value;
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

    #[inline]
    fn split(self) -> Result<T, Self> {
        self.ok_or(None)
    }

    #[inline]
    fn from_value(value: T) -> Self {
        Some(value)
    }
}
