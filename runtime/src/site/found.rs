//! A cache that a generic function found, in a type that says nothing of how long its keys live.

use std::fmt;

use crate::cache::Cache;

/// What the accessor of a generic function returns. `&'static Cache<K, V>` would have its callers prove that `K` and `V` live for
/// ever: one more error beside the one that says what they lack. For generated code.
#[doc(hidden)]
pub struct Found<K, V>(*const Cache<K, V>);

impl<K, V> Clone for Found<K, V> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<K, V> Copy for Found<K, V> {}

// SAFETY: it is a reference to a cache, and there is no way to a cache but through proofs that key and value are `Send + Sync`.
unsafe impl<K, V> Send for Found<K, V> {}
// SAFETY: as above.
unsafe impl<K, V> Sync for Found<K, V> {}

impl<K, V> Found<K, V> {
    /// Of a cache that is there for ever.
    #[inline]
    #[must_use]
    pub const fn of(cache: &'static Cache<K, V>) -> Self {
        Self(cache)
    }

    /// The cache.
    #[inline]
    #[must_use]
    pub fn cache(&self) -> &Cache<K, V> {
        // SAFETY: it was a reference to what is there for ever.
        unsafe { &*self.0 }
    }

    /// The cache, for who knows that its keys live for ever.
    #[inline]
    #[must_use]
    pub fn forever(self) -> &'static Cache<K, V>
    where
        K: 'static,
        V: 'static,
    {
        // SAFETY: as above.
        unsafe { &*self.0 }
    }
}

impl<K, V> fmt::Debug for Found<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Found")
    }
}
