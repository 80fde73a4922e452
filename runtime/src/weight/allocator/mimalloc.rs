//! mimalloc's bins, as a Rust program gets them from the `mimalloc` crate: version 3 on 64 bits.
//!
//! ```text
//! request     1 .. 16        ->  8, 16
//!            17 .. 128       ->  steps of 16
//!           129 .. 512 KiB   ->  four bins to a doubling
//!       512 KiB .. 2 MiB     ->  steps of 64 KiB
//!         2 MiB .. 8 MiB     ->  steps of 256 KiB
//!         8 MiB .. 32 MiB    ->  steps of 1 MiB
//!        32 MiB ..           ->  steps of 4 MiB
//! ```
//!
//! The bins are those of `mi_bin` in its `page-queue.c`, the steps those of `_mi_os_good_alloc_size` in `os.c`. Of a
//! large block's last step, pages that nobody touched cost no memory; they are charged, as the allocator counts them.

use std::alloc::Layout;

use super::four_to_a_doubling;

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
/// Blocks up to this size share a page with others.
const SHARED: u64 = 512 * KIB;
/// All bins that are not a single word are multiples of it.
const PLAIN_ALIGN: u64 = 16;
/// Powers of two up to this size always lie right.
const NATURAL: u64 = 4 * KIB;
/// For requests up to this size, a free block that lies right is looked for.
const SEARCHED: u64 = KIB;

/// A block that isn't known to lie right is cut out of one that is larger by the alignment. For small ones that is
/// rare as soon as the bin is also used for requests without an alignment, such as text; so it is not charged.
#[inline]
pub(super) const fn block(layout: Layout) -> u64 {
    let (size, align) = (layout.size() as u64, layout.align() as u64);
    let plain = plain(size);
    let natural = plain.is_power_of_two() && plain <= NATURAL;
    let found = size <= SEARCHED && align <= PLAIN_ALIGN;
    if natural || found { plain } else { self::plain(size + align - 1) }
}

#[inline]
const fn plain(size: u64) -> u64 {
    match size {
        0..=8 => 8,
        9..=16 => 16,
        17..=128 => size.next_multiple_of(16),
        129..=SHARED => four_to_a_doubling(size),
        _ => size.next_multiple_of(step(size)),
    }
}

const fn step(size: u64) -> u64 {
    if size < 2 * MIB {
        64 * KIB
    } else if size < 8 * MIB {
        256 * KIB
    } else if size < 32 * MIB {
        MIB
    } else {
        4 * MIB
    }
}
