//! How std's collections lie in memory, as far as their public interface lets one tell.
//!
//! These are models of private types. Each is compared with a counting allocator in the tests, so that a new
//! compiler that lays them out otherwise fails there.

use std::alloc::Layout;
use std::mem::MaybeUninit;
use std::ptr::NonNull;

use super::allocator::{block, block_of};

/// The block of a buffer of `capacity` elements.
///
/// The product cannot overflow for elements with a size: no allocation exceeds `isize::MAX`. Those without
/// one report an endless capacity, and allocate nothing.
#[inline]
pub(crate) fn buffer<T>(capacity: usize) -> u64 {
    buffer_of(capacity, size_of::<T>(), align_of::<T>())
}

/// [`buffer`], compiled once and not for every type.
fn buffer_of(capacity: usize, size: usize, align: usize) -> u64 {
    if size == 0 { 0 } else { block_at(capacity * size, align) }
}

/// The block of `bytes` that begin at a multiple of `align`. What exists has a layout.
fn block_at(bytes: usize, align: usize) -> u64 {
    Layout::from_size_align(bytes, align).map_or_else(|_| block(bytes), block_of)
}

/// Control bytes that a hash table looks at together.
const GROUP: usize = if cfg!(all(target_feature = "sse2", not(miri))) {
    16
} else if cfg!(all(target_arch = "aarch64", target_feature = "neon", not(miri))) {
    8
} else {
    size_of::<usize>()
};

/// Bytes of a hash table of `capacity` that stores `T`s: elements, then a control byte for each bucket, and one
/// group more.
///
/// Removals may leave marks that a table counts against its `capacity`, and that cannot be seen from
/// outside; until such a table is rehashed, this is less than the truth.
pub(super) fn hash_table<T>(capacity: usize) -> u64 {
    hash_table_of(capacity, size_of::<T>(), align_of::<T>())
}

fn hash_table_of(capacity: usize, size: usize, align: usize) -> u64 {
    if capacity == 0 {
        return 0;
    }
    let buckets = match capacity {
        0..=3 => 4,
        4..=7 => 8,
        8..=14 => 16,
        // Seven eighths of the buckets may be full. Each has a byte in memory, so eight times as many can be counted.
        _ => (capacity * 8 / 7).next_power_of_two(),
    };
    let elements = (buckets * size).next_multiple_of(GROUP.max(align));
    block_at(elements + buckets + GROUP, GROUP.max(align))
}

/// The block of a hash table that asked for `bytes`.
#[cfg(feature = "hashbrown")]
pub(super) fn table_block<T>(bytes: usize) -> u64 {
    block_at(bytes, GROUP.max(align_of::<T>()))
}

/// What an index map keeps of an entry.
#[cfg(any(feature = "indexmap", feature = "serde_json"))]
struct Indexed<K, V> {
    _hash: usize,
    _key: K,
    _value: V,
}

/// Bytes of an index map that has room for `capacity` entries: the entries, and a table of their indices.
#[cfg(any(feature = "indexmap", feature = "serde_json"))]
pub(super) fn index_map<K, V>(capacity: usize) -> u64 {
    buffer::<Indexed<K, V>>(capacity) + hash_table::<usize>(capacity)
}

/// The capacity of a hash table of `len` that was filled one by one.
#[cfg(feature = "serde_json")]
pub(super) const fn table_capacity(len: usize) -> usize {
    match len {
        0 => 0,
        1..=3 => 3,
        4..=7 => 7,
        8..=14 => 14,
        _ => (len * 8).div_ceil(7).next_power_of_two() / 8 * 7,
    }
}

/// A node of std's doubly linked list.
struct ListNode<T> {
    _next: Option<NonNull<()>>,
    _prev: Option<NonNull<()>>,
    _element: T,
}

/// Bytes of a linked list's nodes.
pub(super) fn linked_list<T>(len: usize) -> u64 {
    block_of(Layout::new::<ListNode<T>>()) * len as u64
}

/// Bytes of what an `Arc` or `Rc` points to: two counters in front of the payload.
#[inline]
pub(super) fn counted<T: ?Sized>(payload: &T) -> u64 {
    counted_of(size_of_val(payload), align_of_val(payload))
}

fn counted_of(size: usize, align: usize) -> u64 {
    let align = align.max(align_of::<usize>());
    let payload_at = (2 * size_of::<usize>()).next_multiple_of(align);
    block_at((payload_at + size).next_multiple_of(align), align)
}

/// Keys that fit in a node of a B-tree.
const NODE_KEYS: usize = 11;

/// A leaf of std's B-tree.
struct Leaf<K, V> {
    _parent: Option<NonNull<()>>,
    _keys: [MaybeUninit<K>; NODE_KEYS],
    _values: [MaybeUninit<V>; NODE_KEYS],
    _parent_index: u16,
    _len: u16,
}

/// An inner node of std's B-tree: a leaf's fields, then the children.
#[repr(C)]
struct Inner<K, V> {
    _data: Leaf<K, V>,
    _children: [Option<NonNull<()>>; NODE_KEYS + 1],
}

/// Entries that [`b_tree`] looks at from either end.
const SAMPLE: usize = 256;

/// Bytes of a B-tree's nodes.
///
/// Leaves hold 5 to 11 keys: full ones when the map was collected, about half-full ones when it was filled in
/// order, so the length alone is off by up to a third. But keys of one leaf lie side by side, and in key order
/// exactly one key of an inner node stands between two leaves:
///
/// ```text
///   leaf 0      inner   leaf 1        inner   leaf 2 ..
///   k k k k k     k     k k k k k k     k     k k k k k
///   +-side by side-+    +------------+        +----..
/// ```
///
/// So the addresses of some keys from both ends tell how full leaves are. Keys without a size tell nothing, and
/// need nothing: a map holds only one.
pub(super) fn b_tree<'a, K: 'a, V>(len: usize, keys: impl DoubleEndedIterator<Item = &'a K> + Clone) -> u64 {
    if len == 0 {
        return 0;
    }
    let mut seen = Leaves::default();
    if len <= 2 * SAMPLE {
        seen.walk(keys, len);
        seen.close();
    } else {
        seen.walk(keys.clone(), SAMPLE);
        seen.walk(keys.rev(), SAMPLE);
    }
    // A leaf and the key after it; as an inner node has one child more than keys, also the children of a node.
    let fill =
        ((seen.entries + seen.count) as f64 / seen.count.max(1) as f64).clamp(2.0, NODE_KEYS as f64 + 1.0);
    let leaves = if len <= 2 * SAMPLE { seen.count } else { (len as f64 / fill).ceil() as usize };
    let (mut inner, mut level) = (0, leaves);
    while level > 1 {
        level = (level as f64 / fill).ceil() as usize;
        inner += level;
    }
    block_of(Layout::new::<Leaf<K, V>>()) * leaves as u64
        + block_of(Layout::new::<Inner<K, V>>()) * inner as u64
}

/// Leaves that [`b_tree`] has seen from their first key to their last.
#[derive(Default)]
struct Leaves {
    count: usize,
    entries: usize,
    /// Keys seen of the leaf at hand, or 0 between leaves.
    open: usize,
}

impl Leaves {
    /// Counts the leaves among the first `take` keys. The last may go on, and stays open.
    fn walk<'a, K: 'a>(&mut self, keys: impl Iterator<Item = &'a K>, take: usize) {
        self.open = 0;
        let mut last = 0;
        for key in keys.take(take) {
            let address = std::ptr::from_ref(key).addr();
            if self.open == 0 {
                self.open = 1;
            } else if self.open < NODE_KEYS && address.abs_diff(last) == size_of::<K>() {
                self.open += 1;
            } else {
                // This key is the inner node's; the next one opens a leaf.
                self.close();
            }
            last = address;
        }
    }

    fn close(&mut self) {
        if self.open > 0 {
            self.count += 1;
            self.entries += self.open;
            self.open = 0;
        }
    }
}
