//! Functions that weigh values, for `weigh = ..` and for [`Weigh`] implementations by hand.
//!
//! All answer bytes. Nothing here remembers anything: a weight is taken once, when a value is inserted.

use super::{Weigh, allocator};

/// The bytes of the value itself, without anything it points to.
///
/// `weigh = larder::weigh::shallow` charges a shared `Arc` as a pointer, for caches whose values are kept
/// alive elsewhere anyway.
///
/// # Examples
///
/// ```
/// use larder_runtime::weigh;
///
/// assert_eq!(weigh::shallow(&7_u64), 8);
/// assert_eq!(weigh::shallow("seven"), 5);
/// ```
#[inline]
#[must_use]
pub fn shallow<T: ?Sized>(value: &T) -> u64 {
    size_of_val(value) as u64
}

/// The bytes of the value and of everything it owns on the heap, as the allocator rounds it.
///
/// # Examples
///
/// ```
/// use larder_runtime::weigh;
///
/// let name = String::from("seven");
/// assert_eq!(weigh::deep(&name), weigh::shallow(&name) + weigh::allocation(name.capacity()));
/// ```
#[inline]
#[must_use]
pub fn deep<T: Weigh + ?Sized>(value: &T) -> u64 {
    shallow(value) + value.heap_bytes()
}

/// What the allocator takes for one request of `bytes`, header and rounding included; 0 for 0.
///
/// The building block of a [`Weigh`] written by hand. The model is glibc's `malloc`: at least 32 bytes, steps
/// of 16, whole pages from 128 KiB on.
///
/// # Examples
///
/// ```
/// # #[cfg(all(target_os = "linux", target_env = "gnu", target_pointer_width = "64"))] {
/// use larder_runtime::weigh;
///
/// assert_eq!(weigh::allocation(0), 0);
/// assert_eq!(weigh::allocation(1), 32);
/// assert_eq!(weigh::allocation(1000), 1008);
/// # }
/// ```
#[inline]
#[must_use]
pub fn allocation(bytes: usize) -> u64 {
    allocator::block(bytes)
}

/// The bytes of a key and its value together, each [`deep`].
///
/// Has the shape that `Cache::builder(..).weigh(..)` takes.
///
/// # Examples
///
/// ```
/// use larder_runtime::weigh;
///
/// assert_eq!(weigh::entry(&1_u32, &2_u64), 12);
/// ```
#[inline]
#[must_use]
pub fn entry<K: Weigh + ?Sized, V: Weigh + ?Sized>(key: &K, value: &V) -> u64 {
    deep(key) + deep(value)
}
