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
/// of 16, whole pages from 128 KiB on. With the feature `jemalloc` or `mimalloc` it is that allocator's: size
/// classes, four to a doubling for most sizes.
///
/// # Examples
///
/// ```
/// # #[cfg(all(target_pointer_width = "64", not(any(feature = "jemalloc", feature = "mimalloc"))))] {
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

/// The bytes of the value and of its heap, as the `get-size2` crate measures them: for `weigh = ..`.
///
/// Bridges types that implement its trait and not [`Weigh`]. It counts the bytes that were asked for, not what the
/// allocator makes of them: a large buffer is right, many small blocks count too little.
///
/// # Examples
///
/// ```
/// use get_size2::GetSize;
/// use larder_runtime::{Cache, Domain, weigh};
///
/// #[derive(Clone)]
/// struct Image {
///     pixels: Vec<u8>,
/// }
///
/// impl GetSize for Image {
///     fn get_heap_size(&self) -> usize {
///         self.pixels.get_heap_size()
///     }
/// }
///
/// let domain = Domain::builder().limit_bytes(1 << 20).manual().build();
/// let images = Cache::<u64, Image>::builder("images")
///     .weigh(|id, image| weigh::deep(id) + weigh::get_size(image))
///     .build_in(&domain)?;
/// images.insert(1, Image { pixels: vec![0; 10_000] });
/// assert!(images.weight() > 10_000);
/// # Ok::<(), larder_runtime::BuildError>(())
/// ```
#[cfg(feature = "get-size2")]
#[inline]
#[must_use]
pub fn get_size<T: get_size2::GetSize>(value: &T) -> u64 {
    value.get_size() as u64
}

/// The heap bytes of the value, as the `get-size2` crate measures them: for `#[weigh(with = ..)]`.
///
/// Rounded like [`get_size`].
///
/// # Examples
///
/// ```
/// use larder_runtime::weigh;
///
/// assert_eq!(weigh::get_heap_size(&vec![0_u8; 100]), 100);
/// ```
#[cfg(feature = "get-size2")]
#[inline]
#[must_use]
pub fn get_heap_size<T: get_size2::GetSize>(value: &T) -> u64 {
    value.get_heap_size() as u64
}
