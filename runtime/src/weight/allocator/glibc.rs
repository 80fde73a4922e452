//! glibc's `malloc`, which a Rust program on Linux uses unless it chose another.
//!
//! ```text
//! request     1 .. 24        ->  32                        the smallest chunk
//!            25 .. 131,048   ->  request + 8, in steps of 16
//!       131,049 ..           ->  request + 16, in whole pages
//!       aligned above 16     ->  up to 32 more, or a page more where it is mapped
//! ```
//!
//! The rules are those of `request2size` and `sysmalloc` in its `malloc.c`. glibc raises the size from which it maps
//! pages when such a block is freed, so a large block may come from the heap in steps of 16 after all. The model
//! keeps to whole pages: never under, and at most 3 % over.

use std::alloc::Layout;

/// The size field in front of each chunk.
const HEADER: u64 = size_of::<usize>() as u64;
/// Chunks are multiples of this.
const GRANULE: u64 = 2 * HEADER;
/// A freed chunk must have room for its list pointers.
const SMALLEST: u64 = 4 * HEADER;
/// Chunks from this size on are mapped by themselves.
const MAPPED_FROM: u64 = 128 * 1024;
/// What a mapped chunk is rounded to. Larger pages exist; with them large blocks are a little under.
const PAGE: u64 = 4096;
/// `malloc` serves alignments up to this; Rust asks for larger ones by another call.
const PLAIN_ALIGN: usize = 2 * size_of::<usize>();

#[inline]
pub(super) const fn block(layout: Layout) -> u64 {
    let bytes = layout.size() as u64;
    if layout.align() <= PLAIN_ALIGN { plain(bytes) } else { aligned(bytes, layout.align() as u64) }
}

/// An aligned block is cut out of a larger one, as `_int_memalign` does it. What is left of that one stays with the block
/// when it is too small for a chunk of its own: nothing or 32 bytes, as the address of the larger one falls, which depends
/// on all that was allocated before. Only the allocator could tell, and it need not be this one that a program uses; so
/// each block is charged the most it can be. One that is mapped by itself keeps all pages behind its beginning.
const fn aligned(bytes: u64, align: u64) -> u64 {
    let chunk = chunk(bytes);
    let larger = up(chunk + align + SMALLEST + HEADER, GRANULE);
    if larger < MAPPED_FROM {
        return chunk + SMALLEST;
    }
    let mapped = up(larger + HEADER, PAGE);
    // In front of the aligned address lie the header and, where there is anything else, a chunk's least.
    let before =
        if align > PAGE || align - GRANULE < SMALLEST { SMALLEST + GRANULE } else { align - GRANULE };
    mapped - before
}

#[inline]
const fn plain(bytes: u64) -> u64 {
    let chunk = chunk(bytes);
    // A mapped chunk has no neighbour to borrow its last word from.
    if chunk >= MAPPED_FROM { up(chunk + HEADER, PAGE) } else { chunk }
}

#[inline]
const fn chunk(bytes: u64) -> u64 {
    let chunk = up(bytes + HEADER, GRANULE);
    if chunk < SMALLEST { SMALLEST } else { chunk }
}

/// Up to a multiple of a power of two. No allocation is large enough to overflow; `next_multiple_of` would allow for that,
/// and this runs whenever a pooled object comes back.
#[inline]
const fn up(bytes: u64, step: u64) -> u64 {
    (bytes + (step - 1)) & !(step - 1)
}
