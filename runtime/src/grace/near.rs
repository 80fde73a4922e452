//! Where a thread found something lately: a small table of addresses, of the thread's own, in which hits look first.
//!
//! ```text
//! name = layout, 32 bits of hash ──► set [ (name, address) (name, address) ]        2,048 sets, 64 KiB
//! ```
//!
//! An address is as good as the *layout* of the structure that it points into. A layout is a number that no two
//! structures have in common; a structure takes another one before memory that readers have the address of is freed, and
//! frees it after a grace period. (Only if an address was noted under the one that it has: there are 2^32.) So who reads,
//! and finds the structure's layout in a name, may look at the address; whether what was there is still there, the thing
//! itself must say.
//!
//! Addresses are noted with every eighth hit that did not find its own: what is used often is soon there, and a loop over
//! more than the table holds does not write it all the time. A thread has the table from its first read on, because later
//! ones must not allocate; the system gives its memory when it is written, which begins after some thousand hits. It stays
//! with the thread's mark, for the next thread.
//!
//! Not here: keys, values, and whether an entry was removed.

use std::ptr::{self, NonNull};

use crate::sync::{AtomicPtr, AtomicU32, AtomicU64, Ordering};

/// Sets of the table.
const SETS: usize = if cfg!(larder_shuttle) { 2 } else { 2048 };
/// A thread that has had so many hits writes its table.
const FREQUENT: u32 = if cfg!(larder_shuttle) { 0 } else { 4096 };
/// One in so many hits that found no address notes it.
const EVERY: u32 = if cfg!(larder_shuttle) { 1 } else { 8 };

/// A structure's layout, and bits of a hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Name(u64);

/// The layout of who came when there were no more: nothing is noted under it.
pub(super) const NO_LAYOUT: u32 = u32::MAX;

/// A layout that nobody had before, or [`NO_LAYOUT`]; never 0, which is that of a table in which nothing was noted.
pub(super) fn new_layout() -> u32 {
    use std::sync::atomic::{AtomicU32, Ordering};
    static NEXT: AtomicU32 = AtomicU32::new(1);
    let next =
        NEXT.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |next| (next != NO_LAYOUT).then(|| next + 1));
    next.unwrap_or(NO_LAYOUT)
}

impl Name {
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(super) fn new(layout: u32, hash: u64) -> Self {
        Self(u64::from(layout) << 32 | hash & u64::from(u32::MAX))
    }

    #[cfg_attr(not(debug_assertions), inline(always))]
    fn set(self) -> usize {
        (self.0 >> 7) as usize % SETS
    }

    fn layout(self) -> u32 {
        (self.0 >> 32) as u32
    }

    fn has_layout(self) -> bool {
        self.layout() != NO_LAYOUT
    }
}

/// An address that was found under a name. Written by one thread at a time, the owner of the mark.
#[derive(Debug)]
struct Found {
    name: AtomicU64,
    at: AtomicPtr<()>,
}

type Set = [Found; 2];

/// A thread's part.
#[derive(Debug)]
pub(super) struct Near {
    /// Never freed, as the mark is not. [`NOTHING`] where there is no memory for it; of who is nobody null, and never
    /// looked at.
    sets: AtomicPtr<[Set; SETS]>,
    /// Hits that found no address.
    hits: AtomicU32,
}

impl Near {
    /// Without a table.
    #[cfg(not(larder_shuttle))]
    pub(super) const fn nowhere() -> Self {
        Self { sets: AtomicPtr::new(ptr::null_mut()), hits: AtomicU32::new(0) }
    }

    /// With an empty table.
    pub(super) fn new() -> Self {
        Self { sets: AtomicPtr::new(empty()), hits: AtomicU32::new(0) }
    }

    /// The address that was noted under a name.
    ///
    /// # Safety
    ///
    /// The part is not [`nowhere`](Self::nowhere).
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(super) unsafe fn recall(&self, name: Name) -> Option<NonNull<()>> {
        // SAFETY: it is a static, or was leaked; it is null nowhere else.
        let sets = unsafe { &*self.sets.load(Ordering::Relaxed) };
        let [first, second] = &sets[name.set()];
        let found = if first.name.load(Ordering::Relaxed) == name.0 {
            first
        } else if second.name.load(Ordering::Relaxed) == name.0 {
            second
        } else {
            return None;
        };
        // SAFETY: addresses that are noted are, and no name has the layout of those that are not.
        Some(unsafe { NonNull::new_unchecked(found.at.load(Ordering::Relaxed)) })
    }

    /// A hit that found no address found the thing there.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(super) fn found(&self, name: Name, at: NonNull<()>, noted: &AtomicU32) {
        let hits = self.hits.load(Ordering::Relaxed).wrapping_add(1);
        self.hits.store(hits, Ordering::Relaxed);
        if hits.is_multiple_of(EVERY) {
            self.note(name, at, hits, noted);
        }
    }

    #[inline(never)]
    fn note(&self, name: Name, at: NonNull<()>, hits: u32, noted: &AtomicU32) {
        let sets = self.sets.load(Ordering::Relaxed);
        if hits < FREQUENT || !name.has_layout() || !is_ones_own(sets) {
            return;
        }
        // Before the mark is cleared, with which whoever waits for us sees it.
        if noted.load(Ordering::Relaxed) < name.layout() {
            noted.fetch_max(name.layout(), Ordering::Relaxed);
        }
        // SAFETY: it was leaked.
        let found = &unsafe { &*sets }[name.set()][(hits / EVERY) as usize % 2];
        // Before the name: an address is never null where a name says that there is one.
        found.at.store(at.as_ptr(), Ordering::Relaxed);
        found.name.store(name.0, Ordering::Relaxed);
    }
}

/// Whether a thread may write there.
#[cfg(not(larder_shuttle))]
fn is_ones_own(sets: *mut [Set; SETS]) -> bool {
    !sets.is_null() && !ptr::eq(sets, &raw const NOTHING)
}

#[cfg(larder_shuttle)]
fn is_ones_own(_: *mut [Set; SETS]) -> bool {
    true
}

/// For threads that got no memory for a table. Never written.
#[cfg(not(larder_shuttle))]
static NOTHING: [Set; SETS] =
    [const { [const { Found { name: AtomicU64::new(0), at: AtomicPtr::new(ptr::null_mut()) } }; 2] }; SETS];

/// A table in which nothing was found.
#[cfg(not(larder_shuttle))]
fn empty() -> *mut [Set; SETS] {
    use std::alloc::{Layout, alloc_zeroed};
    // SAFETY: the size is not zero, and atomics of zeros are names of nothing and null addresses.
    let sets: *mut [Set; SETS] = unsafe { alloc_zeroed(Layout::new::<[Set; SETS]>()).cast() };
    if sets.is_null() { (&raw const NOTHING).cast_mut() } else { sets }
}

#[cfg(larder_shuttle)]
fn empty() -> *mut [Set; SETS] {
    let nothing = || Found { name: AtomicU64::new(0), at: AtomicPtr::new(ptr::null_mut()) };
    Box::leak(Box::new(std::array::from_fn(|_| [nothing(), nothing()])))
}
