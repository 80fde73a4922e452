//! An allocator that counts what this thread holds. Tests only.
//!
//! It counts twice: by the model, block by block as they were asked for, and by what the system's allocator says.
//! The first is the same in every run, and shows whether a type's layout is understood; the second has the noise
//! of reused blocks in it, and shows whether the model is.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use crate::weight::allocator::block_of;

#[global_allocator]
static COUNTING: Counting = Counting;

thread_local! {
    static HELD: Cell<Held> = const { Cell::new(Held { modelled: 0, real: 0 }) };
}

/// Bytes of the blocks that a thread allocated and did not free.
#[derive(Clone, Copy, Debug)]
pub(super) struct Held {
    /// Each block as the model rounds what was asked for.
    pub(super) modelled: u64,
    /// Each block as the system's allocator says, its header included.
    pub(super) real: u64,
}

/// What `make` returns, and what it holds.
pub(super) fn held_by<T>(make: impl FnOnce() -> T) -> (T, Held) {
    let before = HELD.get();
    let made = make();
    let after = HELD.get();
    // A thread that frees the blocks of others wraps around, and so comes back right.
    let held = Held {
        modelled: after.modelled.wrapping_sub(before.modelled),
        real: after.real.wrapping_sub(before.real),
    };
    (made, held)
}

struct Counting;

impl Held {
    fn of(block: *mut u8, layout: Layout) -> Self {
        let modelled = block_of(layout);
        #[cfg(all(target_os = "linux", target_env = "gnu"))]
        let real = {
            // SAFETY: the callers pass a live block of the system's allocator, which is glibc's.
            let usable = unsafe { libc::malloc_usable_size(block.cast()) };
            (usable + size_of::<usize>()) as u64
        };
        #[cfg(not(all(target_os = "linux", target_env = "gnu")))]
        let (real, _) = (modelled, block);
        Self { modelled, real }
    }
}

fn add(block: *mut u8, layout: Layout) {
    let new = Held::of(block, layout);
    // The thread-local has no destructor, but the thread may be on its way out.
    let _ = HELD.try_with(|held| {
        let Held { modelled, real } = held.get();
        held.set(Held { modelled: modelled.wrapping_add(new.modelled), real: real.wrapping_add(new.real) });
    });
}

fn subtract(old: Held) {
    let _ = HELD.try_with(|held| {
        let Held { modelled, real } = held.get();
        held.set(Held { modelled: modelled.wrapping_sub(old.modelled), real: real.wrapping_sub(old.real) });
    });
}

// SAFETY: every call goes to `System` as it came; counting neither allocates nor touches the blocks.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller keeps `alloc`'s contract.
        let block = unsafe { System.alloc(layout) };
        if !block.is_null() {
            add(block, layout);
        }
        block
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller keeps `alloc_zeroed`'s contract.
        let block = unsafe { System.alloc_zeroed(layout) };
        if !block.is_null() {
            add(block, layout);
        }
        block
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        subtract(Held::of(block, layout));
        // SAFETY: the caller keeps `dealloc`'s contract.
        unsafe { System.dealloc(block, layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        let before = Held::of(block, layout);
        // SAFETY: the caller keeps `realloc`'s contract.
        let moved = unsafe { System.realloc(block, layout, size) };
        if !moved.is_null() {
            // SAFETY: the caller promises that `size` with this alignment is a layout.
            let layout = unsafe { Layout::from_size_align_unchecked(size, layout.align()) };
            subtract(before);
            add(moved, layout);
        }
        moved
    }
}
