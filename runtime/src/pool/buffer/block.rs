//! A block of memory that buffers are made of: aligned, of a fixed size, with a mark up to where it was ever written.
//!
//! What was written once stays initialised however often the block is lent: so reading into it needs no zeroing, and
//! nothing that was never written is ever shown. Not here: whom the block is lent to.

use std::alloc::{Layout, alloc, alloc_zeroed, dealloc, handle_alloc_error};
use std::mem::MaybeUninit;
use std::ptr::NonNull;
use std::sync::Arc;

use crate::sync::{AtomicU64, Ordering};
use crate::weight::block_of;

/// A page, and the alignment of blocks unless another is asked for.
pub(super) const PAGE: usize = 4096;
/// From here on the system is asked for large pages.
const HUGE: usize = 2 << 20;

/// What all blocks of a pool count together. Blocks that live count for themselves, in plain fields, and add up here
/// when they go.
#[derive(Debug, Default)]
pub(super) struct Totals {
    /// Bytes of blocks that are alive.
    pub(super) bytes: AtomicU64,
    /// Leases, bytes asked for and bytes lent, of blocks that are gone.
    pub(super) leases: AtomicU64,
    pub(super) asked: AtomicU64,
    pub(super) lent: AtomicU64,
    /// Leases beyond the largest class.
    pub(super) oversize: AtomicU64,
    /// Leases beyond `max_bytes`.
    pub(super) surplus: AtomicU64,
    pub(super) locked: AtomicU64,
    pub(super) lock_failures: AtomicU64,
}

/// How blocks are made.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kind {
    pub(super) align: usize,
    pub(super) lock: bool,
}

/// Memory of a fixed size.
#[derive(Debug)]
pub(crate) struct Block {
    at: NonNull<u8>,
    layout: Layout,
    /// So many bytes from the start were written at some time. Never more than the layout has.
    written: usize,
    is_locked: bool,
    /// So often it was lent, and the bytes that were asked for then.
    leases: u64,
    asked: u64,
    totals: Arc<Totals>,
}

// SAFETY: a block owns its memory, and shared access to it only reads.
unsafe impl Send for Block {}
// SAFETY: as above.
unsafe impl Sync for Block {}

impl Block {
    /// # Panics
    ///
    /// When `bytes` are more than any allocation may have.
    pub(super) fn new(bytes: usize, kind: Kind, totals: &Arc<Totals>, zeroed: bool) -> Self {
        let layout = Layout::from_size_align(bytes.max(1), kind.align);
        let layout =
            layout.unwrap_or_else(|_| panic!("a buffer of {bytes} bytes is more than any memory holds"));
        // SAFETY: the layout has a size.
        let at = unsafe { if zeroed { alloc_zeroed(layout) } else { alloc(layout) } };
        let Some(at) = NonNull::new(at) else { handle_alloc_error(layout) };
        let mut block = Self {
            at,
            layout,
            written: if zeroed { layout.size() } else { 0 },
            is_locked: false,
            leases: 0,
            asked: 0,
            totals: Arc::clone(totals),
        };
        totals.bytes.fetch_add(layout.size() as u64, Ordering::Relaxed);
        block.advise();
        if kind.lock {
            block.lock();
        }
        block
    }

    pub(super) fn capacity(&self) -> usize {
        self.layout.size()
    }

    /// Bytes on the heap, as the allocator rounds them.
    pub(super) fn weight(&self) -> u64 {
        block_of(self.layout)
    }

    /// Counts a lease for which so many bytes were asked.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(super) fn count(&mut self, asked: usize) {
        self.leases += 1;
        self.asked += asked as u64;
    }

    /// Leases, bytes asked for, and bytes lent.
    pub(super) fn counts(&self) -> [u64; 3] {
        [self.leases, self.asked, self.leases * self.layout.size() as u64]
    }

    /// The first bytes, which have been written.
    ///
    /// # Panics
    ///
    /// When they have not.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(super) fn bytes(&self, len: usize) -> &[u8] {
        assert!(len <= self.written);
        // SAFETY: so many bytes are in the block, and were written.
        unsafe { std::slice::from_raw_parts(self.at.as_ptr(), len) }
    }

    /// The same, to write.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(super) fn bytes_mut(&mut self, len: usize) -> &mut [u8] {
        assert!(len <= self.written);
        // SAFETY: as above, and the block is borrowed alone.
        unsafe { std::slice::from_raw_parts_mut(self.at.as_ptr(), len) }
    }

    /// What is behind the first `len` bytes.
    pub(super) fn spare(&mut self, len: usize) -> &mut [MaybeUninit<u8>] {
        let len = len.min(self.layout.size());
        // SAFETY: the rest of the block, borrowed alone; nothing is said of what is in it.
        unsafe { std::slice::from_raw_parts_mut(self.at.as_ptr().add(len).cast(), self.layout.size() - len) }
    }

    /// The first `len` bytes are written from here on.
    ///
    /// # Safety
    ///
    /// They are, and are in the block.
    pub(super) unsafe fn note_written(&mut self, len: usize) {
        self.written = self.written.max(len);
    }

    /// Sees to it that the first `len` bytes can be shown: zeroes what was never written.
    pub(super) fn write_up_to(&mut self, len: usize) {
        if len > self.written {
            let from = self.written;
            let missing = len.min(self.layout.size()) - from;
            // SAFETY: `missing` bytes from there are in the block.
            unsafe { self.at.as_ptr().add(from).write_bytes(0, missing) };
            self.written = from + missing;
        }
    }

    /// Has the system find memory for it now, and not with the first write to each page.
    pub(super) fn touch(&mut self) {
        for at in (0..self.capacity()).step_by(PAGE) {
            // SAFETY: in the block; what is there stays.
            unsafe {
                let byte = self.at.as_ptr().add(at);
                byte.cast::<MaybeUninit<u8>>().write_volatile(byte.cast::<MaybeUninit<u8>>().read_volatile());
            }
        }
    }

    /// Asks for large pages where the block has room for one.
    fn advise(&self) {
        #[cfg(target_os = "linux")]
        if self.layout.size() >= HUGE && self.layout.align() >= PAGE {
            // SAFETY: the range is the block's, from the start of a page. Advice changes no contents, and may fail.
            unsafe { libc::madvise(self.at.as_ptr().cast(), self.layout.size(), libc::MADV_HUGEPAGE) };
        }
        #[cfg(not(target_os = "linux"))]
        let _ = HUGE;
    }

    /// Keeps the block in memory, never on a disk, if the system allows it.
    fn lock(&mut self) {
        #[cfg(unix)]
        {
            // SAFETY: the range is the block's; locking changes no contents.
            self.is_locked = unsafe { libc::mlock(self.at.as_ptr().cast(), self.layout.size()) } == 0;
        }
        if self.is_locked {
            self.totals.locked.fetch_add(self.layout.size() as u64, Ordering::Relaxed);
        } else {
            self.totals.lock_failures.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        let size = self.layout.size() as u64;
        if self.is_locked {
            #[cfg(unix)]
            // SAFETY: the range is the block's.
            unsafe {
                libc::munlock(self.at.as_ptr().cast(), self.layout.size());
            }
            self.totals.locked.fetch_sub(size, Ordering::Relaxed);
        }
        let [leases, asked, lent] = self.counts();
        self.totals.leases.fetch_add(leases, Ordering::Relaxed);
        self.totals.asked.fetch_add(asked, Ordering::Relaxed);
        self.totals.lent.fetch_add(lent, Ordering::Relaxed);
        self.totals.bytes.fetch_sub(size, Ordering::Relaxed);
        // SAFETY: allocated with this layout, once.
        unsafe { dealloc(self.at.as_ptr(), self.layout) };
    }
}
