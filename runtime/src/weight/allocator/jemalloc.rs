//! jemalloc's size classes, as a Rust program gets them from the `tikv-jemallocator` crate.
//!
//! ```text
//! request     1 .. 16        ->  8, 16
//!            17 .. 128       ->  steps of 16
//!           129 .. 16,384    ->  four classes to a doubling
//!        16,385 ..           ->  whole pages
//! ```
//!
//! The classes are the table "Size classes" of jemalloc's manual. From 16 KiB on, that table too goes on with four to
//! a doubling, but since 5.3.1 a large block is as long as its pages. Earlier ones take up to a fifth more for a block
//! above 32 KiB than is charged here. The bookkeeping, a few percent, lies elsewhere and is not charged, and neither
//! is the page by which large blocks are shifted against each other.

use std::alloc::Layout;

use super::four_to_a_doubling;

/// The largest request that comes out of a slab.
const SMALL: u64 = 14 << 10;
const PAGE: u64 = 4096;

/// An aligned block is one of the size that is a multiple of its alignment; large ones start on a page anyway.
#[inline]
pub(super) const fn block(layout: Layout) -> u64 {
    let (size, align) = (layout.size() as u64, layout.align() as u64);
    let aligned = if align < PAGE { align } else { PAGE };
    match size.next_multiple_of(aligned) {
        0..=8 => 8,
        9..=16 => 16,
        size @ 17..=128 => size.next_multiple_of(16),
        size @ 129..=SMALL => four_to_a_doubling(size),
        _ => size.next_multiple_of(PAGE),
    }
}
