//! What the allocator takes for a request, headers and rounding included.
//!
//! Nothing is asked at run time: a program's allocator is known when it is built, and says so by a feature. Not here:
//! what an allocator keeps after a `free`; that memory is nobody's, and resident memory shows it.

mod glibc;
mod jemalloc;
mod mimalloc;
#[cfg(all(test, not(larder_shuttle)))]
mod tests;

use std::alloc::Layout;

/// The allocators whose rounding is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Model {
    /// A header for each block and steps of two words: the C library of most Linux systems. Elsewhere it stands in
    /// for allocators that round in similar steps.
    Glibc,
    /// Size classes without headers.
    Jemalloc,
    /// Size classes without headers, others for large blocks.
    Mimalloc,
}

impl Model {
    /// The one that weights go by.
    ///
    /// This is intentional: with both features on they contradict each other, so neither counts. Cargo adds up the
    /// features of all crates of a program, and an error would leave it no way out.
    pub(crate) const CHOSEN: Self = match (cfg!(feature = "jemalloc"), cfg!(feature = "mimalloc")) {
        (true, false) => Self::Jemalloc,
        (false, true) => Self::Mimalloc,
        _ => Self::Glibc,
    };

    /// Bytes that a block of `layout` takes; `layout.size()` is not 0.
    pub(crate) const fn block(self, layout: Layout) -> u64 {
        match self {
            Self::Glibc => glibc::block(layout),
            Self::Jemalloc => jemalloc::block(layout),
            Self::Mimalloc => mimalloc::block(layout),
        }
    }
}

/// Bytes that the allocator takes for one request of `bytes`; 0 for 0, which allocates nothing.
///
/// No allocation is larger than `isize::MAX`; a larger number is taken as that.
pub(crate) const fn block(bytes: usize) -> u64 {
    let bytes = if bytes > isize::MAX as usize { isize::MAX as usize } else { bytes };
    match Layout::from_size_align(bytes, 1) {
        Ok(layout) => block_of(layout),
        // Sizes up to `isize::MAX` are layouts.
        Err(_) => 0,
    }
}

/// Like [`block`], for a layout.
pub(crate) const fn block_of(layout: Layout) -> u64 {
    if layout.size() == 0 { 0 } else { Model::CHOSEN.block(layout) }
}

/// Moves a list to a block with room for `capacity`, unless there is no memory for it.
///
/// This is intentional: `Vec::shrink_to` lets the allocator shrink the block where it is, and a large one that was
/// mapped by itself then keeps a page for what would fit in a few words.
pub(crate) fn move_to_smaller<T>(list: &mut Vec<T>, capacity: usize) {
    let mut smaller = Vec::new();
    if smaller.try_reserve_exact(capacity.max(list.len())).is_ok() {
        smaller.append(list);
        *list = smaller;
    }
}

/// The next of the classes that lie four to a doubling, for sizes above 64.
///
/// A class's distance to the next is a quarter of the power of two below it: `.. 64 80 96 112 128 160 192 224 256 ..`
#[inline]
const fn four_to_a_doubling(size: u64) -> u64 {
    size.next_multiple_of(1 << ((size - 1).ilog2() - 2))
}
