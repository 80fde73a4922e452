//! An allocator that counts what each thread holds.
//!
//! It counts twice: by the model, block by block as they were asked for, and by what the allocator inside says of
//! each block. The first is the same in every run, and shows whether a type's layout is understood; the second has
//! the noise of reused blocks in it, and shows whether the model is. Not a profiler: it knows how much, not where.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::fmt;

use crate::weight::block_of;

thread_local! {
    static HELD: Cell<Held> = const { Cell::new(Held { modelled: 0, real: 0 }) };
}

/// Bytes of the blocks that a thread allocated and did not free.
///
/// A thread that frees the blocks of others wraps around, and so comes back right.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Held {
    /// Each block as the model rounds what was asked for.
    pub(crate) modelled: u64,
    /// Each block as the allocator says, its header included.
    pub(crate) real: u64,
}

impl Held {
    const fn plus(self, other: Self) -> Self {
        Self {
            modelled: self.modelled.wrapping_add(other.modelled),
            real: self.real.wrapping_add(other.real),
        }
    }

    const fn minus(self, other: Self) -> Self {
        Self {
            modelled: self.modelled.wrapping_sub(other.modelled),
            real: self.real.wrapping_sub(other.real),
        }
    }
}

/// What `make` returns, and what it holds, counted both ways.
pub(crate) fn measured<T>(make: impl FnOnce() -> T) -> (T, Held) {
    let before = HELD.get();
    let made = make();
    (made, HELD.get().minus(before))
}

/// What `make` returns, and the heap bytes that this thread allocated for it and did not free again.
///
/// For what [`audit`](super::audit) cannot take: a cache that is filled, a value that is changed.
///
/// # Panics
///
/// When [`CountingAllocator`] is not the program's allocator.
///
/// # Examples
///
/// ```
/// use larder_runtime::testing::{CountingAllocator, held_by};
///
/// #[global_allocator]
/// static COUNTING: CountingAllocator = CountingAllocator::system();
///
/// let (text, bytes) = held_by(|| "seven".repeat(100));
/// assert!(bytes >= text.len() as u64);
/// ```
pub fn held_by<T>(make: impl FnOnce() -> T) -> (T, u64) {
    let (_, probe) = measured(|| std::hint::black_box(Box::new(0_u8)));
    assert!(probe.modelled > 0, "no block is counted: make `CountingAllocator` the `#[global_allocator]`");
    let (made, held) = measured(make);
    (made, held.real)
}

/// Counts the bytes that each thread holds, and leaves the work to the allocator inside.
///
/// Install it in a test binary, around the allocator that the program uses:
///
/// ```
/// use larder_runtime::testing::CountingAllocator;
///
/// #[global_allocator]
/// static COUNTING: CountingAllocator = CountingAllocator::system();
/// # fn main() {}
/// ```
///
/// # Cost
///
/// A few nanoseconds for each block, in the thread's own memory. Nothing is allocated, nothing shared.
pub struct CountingAllocator<A = System> {
    inner: A,
    sizes: Sizes,
}

/// Where the real size of a block comes from.
#[derive(Clone, Copy)]
enum Sizes {
    /// Nobody can tell; the model is taken for it.
    Modelled,
    /// The allocator says how much of a block can be used; so much more is its header.
    Asked { usable: unsafe fn(*mut u8) -> usize, header: u64 },
}

impl CountingAllocator {
    /// Around the system's allocator; on Linux with glibc, each block counts as large as it really is.
    #[must_use]
    pub const fn system() -> Self {
        #[cfg(all(target_os = "linux", target_env = "gnu"))]
        let sizes = {
            unsafe fn usable(block: *mut u8) -> usize {
                // SAFETY: the caller passes a live block of `System`, which is glibc's.
                unsafe { libc::malloc_usable_size(block.cast()) }
            }
            Sizes::Asked { usable, header: size_of::<usize>() as u64 }
        };
        #[cfg(not(all(target_os = "linux", target_env = "gnu")))]
        let sizes = Sizes::Modelled;
        Self { inner: System, sizes }
    }
}

impl<A> CountingAllocator<A> {
    /// Around any allocator; each block counts as [`weigh::allocation`](crate::weigh::allocation) rounds it.
    #[must_use]
    pub const fn new(inner: A) -> Self {
        Self { inner, sizes: Sizes::Modelled }
    }

    /// Around an allocator that says how large a block is, and keeps no header in front of it: jemalloc's
    /// `malloc_usable_size`, mimalloc's `mi_usable_size`.
    ///
    /// # Safety
    ///
    /// `usable` takes any live block of `inner`, returns its size, and does not allocate.
    #[must_use]
    pub const unsafe fn with_sizes(inner: A, usable: unsafe fn(*mut u8) -> usize) -> Self {
        Self { inner, sizes: Sizes::Asked { usable, header: 0 } }
    }

    fn sizes_of(&self, block: *mut u8, layout: Layout) -> Held {
        let modelled = block_of(layout);
        let real = match self.sizes {
            Sizes::Modelled => modelled,
            // SAFETY: the block is live and of `inner`, which `usable` belongs to.
            Sizes::Asked { usable, header } => header + unsafe { usable(block) } as u64,
        };
        Held { modelled, real }
    }

    fn add(&self, block: *mut u8, layout: Layout) {
        let new = self.sizes_of(block, layout);
        // The thread-local has no destructor, but the thread may be on its way out.
        let _ = HELD.try_with(|held| held.set(held.get().plus(new)));
    }
}

fn subtract(old: Held) {
    let _ = HELD.try_with(|held| held.set(held.get().minus(old)));
}

impl<A> fmt::Debug for CountingAllocator<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CountingAllocator").finish_non_exhaustive()
    }
}

// SAFETY: every call goes to `inner` as it came; counting neither allocates nor touches the blocks.
unsafe impl<A: GlobalAlloc> GlobalAlloc for CountingAllocator<A> {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller keeps `alloc`'s contract.
        let block = unsafe { self.inner.alloc(layout) };
        if !block.is_null() {
            self.add(block, layout);
        }
        block
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller keeps `alloc_zeroed`'s contract.
        let block = unsafe { self.inner.alloc_zeroed(layout) };
        if !block.is_null() {
            self.add(block, layout);
        }
        block
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        subtract(self.sizes_of(block, layout));
        // SAFETY: the caller keeps `dealloc`'s contract.
        unsafe { self.inner.dealloc(block, layout) }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        let before = self.sizes_of(block, layout);
        // SAFETY: the caller keeps `realloc`'s contract.
        let moved = unsafe { self.inner.realloc(block, layout, size) };
        if !moved.is_null() {
            // SAFETY: the caller promises that `size` with this alignment is a layout.
            let layout = unsafe { Layout::from_size_align_unchecked(size, layout.align()) };
            subtract(before);
            self.add(moved, layout);
        }
        moved
    }
}

#[cfg(all(test, not(larder_shuttle)))]
#[global_allocator]
static COUNTING: CountingAllocator = CountingAllocator::system();
