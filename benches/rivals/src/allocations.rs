//! Counts allocations while asked to; otherwise the system's allocator behind one predictable branch.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use larder::testing::CountingAllocator;

/// The program's allocator.
pub struct Metered;

#[global_allocator]
static ALLOCATOR: Metered = Metered;

static COUNTING: CountingAllocator = CountingAllocator::system();
static IS_ON: AtomicBool = AtomicBool::new(false);
static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

/// What `work` returns, and how many blocks were asked for meanwhile, by any thread.
pub fn counted<T>(work: impl FnOnce() -> T) -> (T, u64) {
    ALLOCATIONS.store(0, Ordering::Relaxed);
    let result = while_on(work);
    (result, ALLOCATIONS.load(Ordering::Relaxed))
}

/// What `make` returns, and the bytes that this thread allocated for it and did not free, as the system's allocator
/// rounds them and with its headers.
pub fn held_by<T>(make: impl FnOnce() -> T) -> (T, u64) {
    while_on(|| larder::testing::held_by(make))
}

fn while_on<T>(work: impl FnOnce() -> T) -> T {
    IS_ON.store(true, Ordering::Relaxed);
    let result = work();
    IS_ON.store(false, Ordering::Relaxed);
    result
}

fn is_on() -> bool {
    IS_ON.load(Ordering::Relaxed)
}

fn count() {
    ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
}

// SAFETY: every call goes as it came to `System`, or to `COUNTING`, which passes it on to `System`: a block may be
// taken through the one and given back through the other.
unsafe impl GlobalAlloc for Metered {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if !is_on() {
            // SAFETY: the caller keeps `alloc`'s contract.
            return unsafe { System.alloc(layout) };
        }
        count();
        // SAFETY: as above.
        unsafe { COUNTING.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if !is_on() {
            // SAFETY: the caller keeps `alloc_zeroed`'s contract.
            return unsafe { System.alloc_zeroed(layout) };
        }
        count();
        // SAFETY: as above.
        unsafe { COUNTING.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        if is_on() {
            // SAFETY: the caller keeps `dealloc`'s contract.
            unsafe { COUNTING.dealloc(block, layout) }
        } else {
            // SAFETY: as above.
            unsafe { System.dealloc(block, layout) }
        }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if !is_on() {
            // SAFETY: the caller keeps `realloc`'s contract.
            return unsafe { System.realloc(block, layout, size) };
        }
        count();
        // SAFETY: as above.
        unsafe { COUNTING.realloc(block, layout, size) }
    }
}

#[cfg(test)]
mod tests {
    use super::held_by;

    #[test]
    fn a_block_is_counted_with_its_header() {
        let (block, bytes) = held_by(|| Box::new([0_u8; 1000]));
        assert!((1000..1100).contains(&bytes), "{bytes}");
        drop(block);
    }
}
