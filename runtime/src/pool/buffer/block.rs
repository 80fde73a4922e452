//! A block of memory that buffers are made of: aligned, of a fixed size, with a mark up to where it was ever written.
//!
//! What was written once stays initialised however often the block is lent: so reading into it needs no zeroing, and
//! nothing that was never written is ever shown. Not here: whom the block is lent to.
//!
//! Large ones come from the system itself, in whole pages: so what is charged for them is what they take, whatever an
//! allocator has learned meanwhile, large pages begin where they do, and what goes is the system's again at once.

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::mem::MaybeUninit;
use std::ptr::NonNull;
use std::sync::Arc;

use crate::sync::{AtomicU64, Ordering};
use crate::weight::block_of;

/// A page, and the alignment of blocks unless another is asked for.
pub(super) const PAGE: usize = 4096;
/// From here on the system is asked for large pages.
const HUGE: usize = 2 << 20;
/// From here on blocks come from the system: from where glibc maps them, too.
const MAPPED_FROM: usize = 128 << 10;

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
    /// Bytes that the system gave for it; 0 where it is the allocator's.
    mapped: usize,
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
    pub(super) fn new(bytes: usize, kind: Kind, totals: &Arc<Totals>) -> Self {
        let layout = Layout::from_size_align(bytes.max(1), kind.align);
        let layout =
            layout.unwrap_or_else(|_| panic!("a buffer of {bytes} bytes is more than any memory holds"));
        let (at, mapped) = match pages::map(layout) {
            Some(mapped) => mapped,
            None => {
                // SAFETY: the layout has a size.
                let at = unsafe { alloc(layout) };
                let Some(at) = NonNull::new(at) else { handle_alloc_error(layout) };
                (at, 0)
            }
        };
        let mut block = Self {
            at,
            layout,
            mapped,
            // Pages come zeroed.
            written: if mapped > 0 { layout.size() } else { 0 },
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

    /// Bytes that it takes: whole pages, or as the allocator rounds them.
    pub(super) fn weight(&self) -> u64 {
        if self.mapped > 0 { self.mapped as u64 } else { block_of(self.layout) }
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
        let _ = (HUGE, MAPPED_FROM);
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
        if self.mapped > 0 {
            // SAFETY: mapped with this length, once.
            unsafe { pages::unmap(self.at, self.mapped) };
        } else {
            // SAFETY: allocated with this layout, once.
            unsafe { dealloc(self.at.as_ptr(), self.layout) };
        }
    }
}

/// Memory of the system, in whole pages.
#[cfg(all(target_os = "linux", not(miri)))]
mod pages {
    use std::alloc::Layout;
    use std::ptr::{self, NonNull};
    use std::sync::OnceLock;

    use super::{HUGE, MAPPED_FROM, PAGE};

    /// What the system deals in.
    fn page() -> usize {
        static SIZE: OnceLock<usize> = OnceLock::new();
        // SAFETY: it only reads.
        *SIZE.get_or_init(|| usize::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).unwrap_or(PAGE))
    }

    /// Fresh pages for a large block, and how many bytes of them. `None` for a small one, or where the system has no more
    /// such places, as an allocator may have some left.
    pub(super) fn map(layout: Layout) -> Option<(NonNull<u8>, usize)> {
        if layout.size() < MAPPED_FROM {
            return None;
        }
        let page = page();
        let bytes = layout.size().checked_next_multiple_of(page)?;
        let align = if layout.size() >= HUGE { layout.align().max(HUGE) } else { layout.align() };
        // What is missing to the alignment is found in front of the block, the rest behind it, and both go back.
        let spare = align.saturating_sub(page);
        let (protection, kind) =
            (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
        let all = bytes.checked_add(spare)?;
        // SAFETY: no address is asked for, so nothing that is there is replaced.
        let at = unsafe { libc::mmap(ptr::null_mut(), all, protection, kind, -1, 0) };
        if at == libc::MAP_FAILED {
            return None;
        }
        let at = at.cast::<u8>();
        let before = at.addr().next_multiple_of(align) - at.addr();
        // SAFETY: `before` is no more than `spare`, so both ends are in what was mapped just now, and are nobody's.
        let at = unsafe {
            let start = at.add(before);
            unmap_part(at, before);
            unmap_part(start.add(bytes), spare - before);
            start
        };
        Some((NonNull::new(at)?, bytes))
    }

    /// # Safety
    ///
    /// So many bytes from there were mapped, and nobody uses them.
    unsafe fn unmap_part(at: *mut u8, bytes: usize) {
        // SAFETY: the caller's promise.
        if bytes > 0 && unsafe { libc::munmap(at.cast(), bytes) } != 0 {
            // The system has no place to note one more gap. It gets the memory back all the same, only the addresses stay.
            // SAFETY: as above.
            unsafe { libc::madvise(at.cast(), bytes, libc::MADV_DONTNEED) };
        }
    }

    /// # Safety
    ///
    /// It came from [`map`], with this length, and nobody uses it.
    pub(super) unsafe fn unmap(at: NonNull<u8>, bytes: usize) {
        // SAFETY: the caller's promise.
        unsafe { unmap_part(at.as_ptr(), bytes) };
    }
}

/// Elsewhere all blocks are the allocator's.
#[cfg(not(all(target_os = "linux", not(miri))))]
mod pages {
    use std::alloc::Layout;
    use std::ptr::NonNull;

    pub(super) fn map(_: Layout) -> Option<(NonNull<u8>, usize)> {
        None
    }

    pub(super) unsafe fn unmap(_: NonNull<u8>, _: usize) {}
}
