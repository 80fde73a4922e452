//! What was taken out of readers' reach and may still be under the eyes of some: slots, and blocks of memory.
//!
//! Not here: how one knows that they are done. See [`crate::grace`].

use std::alloc::{self, Layout};
use std::ptr::NonNull;

use crate::weight::block_of;

/// Memory to be freed; nothing in it is to be dropped any more.
#[derive(Debug)]
pub(super) struct Block {
    at: NonNull<u8>,
    layout: Layout,
}

/// What waits for a grace period.
#[derive(Debug)]
pub(super) struct Limbo {
    /// The first of a chain of slots whose entries are to be dropped; [`NONE`] when there is none. The chain is the
    /// slots' own, so that unlinking any number of entries allocates nothing.
    pub(super) first: u32,
    /// How many there are.
    pub(super) slots: usize,
    /// Heap bytes of their entries.
    pub(super) heap: u64,
    blocks: Vec<Block>,
    /// Bytes of the blocks, as allocated.
    block_bytes: u64,
}

/// No slot.
pub(super) const NONE: u32 = u32::MAX;

impl Block {
    /// Allocates memory; `None` when there is none left.
    pub(super) fn new(layout: Layout) -> Option<Self> {
        debug_assert!(layout.size() > 0);
        // SAFETY: the size is not zero.
        let at = NonNull::new(unsafe { alloc::alloc(layout) })?;
        Some(Self { at, layout })
    }

    /// Allocates memory and fills it with `count` of what `make` makes; `None` when there is none left.
    pub(super) fn filled<T>(layout: Layout, count: usize, make: impl Fn() -> T) -> Option<Self> {
        debug_assert!(layout.size() >= count * size_of::<T>() && layout.align() >= align_of::<T>());
        let block = Self::new(layout)?;
        for position in 0..count {
            // SAFETY: the block has room for so many, and is aligned for them.
            unsafe { block.cast::<T>().add(position).write(make()) };
        }
        Some(block)
    }

    /// The memory of `at`, which came from [`Block::new`] with this layout and is nobody else's.
    pub(super) fn of<T>(at: *mut T, layout: Layout) -> Self {
        let at = NonNull::new(at.cast()).expect("blocks are never null");
        Self { at, layout }
    }

    pub(super) fn cast<T>(&self) -> *mut T {
        self.at.as_ptr().cast()
    }

    /// What it takes, as allocated.
    pub(super) fn bytes(layout: Layout) -> u64 {
        block_of(layout)
    }

    /// Frees the memory.
    ///
    /// # Safety
    ///
    /// Nobody may use it any more, and nothing in it needs to be dropped.
    pub(super) unsafe fn free(self) {
        // SAFETY: it was allocated with this layout, and by the caller's promise it is not used any more.
        unsafe { alloc::dealloc(self.at.as_ptr(), self.layout) };
    }
}

impl Limbo {
    pub(super) const fn new() -> Self {
        Self { first: NONE, slots: 0, heap: 0, blocks: Vec::new(), block_bytes: 0 }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.slots == 0 && self.blocks.is_empty()
    }

    pub(super) fn take_block(&mut self, block: Block) {
        self.block_bytes += Block::bytes(block.layout);
        self.blocks.push(block);
    }

    /// Bytes of the blocks that wait, as allocated. The list of them is left out: it is short, and gone in a moment.
    pub(super) fn allocated(&self) -> u64 {
        self.block_bytes
    }

    /// Frees the blocks. The slots are the caller's to empty.
    ///
    /// # Safety
    ///
    /// No reader may be left that began before the last block came.
    pub(super) unsafe fn free_blocks(&mut self) {
        for block in self.blocks.drain(..) {
            // SAFETY: nobody reads it any more, by the caller's promise.
            unsafe { block.free() };
        }
        self.blocks = Vec::new();
        self.block_bytes = 0;
    }
}

// SAFETY: a block is memory without an owner, whichever thread frees it.
unsafe impl Send for Block {}
