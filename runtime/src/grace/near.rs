//! Where a thread found something lately: a small table of addresses, of the thread's own, in which hits look first.
//!
//! ```text
//! name = layout, 32 bits of hash ──► set [ (name, address) (name, address) ]        2,048 sets, 64 KiB
//! ```
//!
//! An address is as good as the *layout* of the structure that it points into. A layout is a number that no two
//! structures have in common; a structure takes another one before memory that readers have the address of is freed, and
//! frees it after a grace period. So who reads, and finds the structure's layout in a name, may look at the address;
//! whether what was there is still there, the thing itself must say.
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

/// A layout that nobody had before; 0 when there are no more: then nothing is noted under it.
pub(super) fn new_layout() -> u32 {
    use std::sync::atomic::{AtomicU32, Ordering};
    /// The next one; 0 when they have run out.
    static NEXT: AtomicU32 = AtomicU32::new(1);
    let next = NEXT
        .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |next| (next != 0).then(|| next.wrapping_add(1)));
    next.unwrap_or(0)
}

impl Name {
    #[inline(always)]
    pub(super) fn new(layout: u32, hash: u64) -> Self {
        Self(u64::from(layout) << 32 | hash & u64::from(u32::MAX))
    }

    #[inline(always)]
    fn set(self) -> usize {
        (self.0 >> 7) as usize % SETS
    }

    /// Nothing is noted under a name without: a table of zeros names nothing.
    fn has_layout(self) -> bool {
        self.0 >> 32 != 0
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
    /// Never freed, as the mark is not. Null where there is no memory for it.
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

    fn set(&self, name: Name) -> Option<&Set> {
        // SAFETY: it is null, or was leaked.
        let sets = unsafe { self.sets.load(Ordering::Relaxed).as_ref() }?;
        Some(&sets[name.set()])
    }

    /// The address that was noted under a name.
    #[inline(always)]
    pub(super) fn recall(&self, name: Name) -> Option<NonNull<()>> {
        let found = self.set(name)?.iter().find(|found| found.name.load(Ordering::Relaxed) == name.0)?;
        NonNull::new(found.at.load(Ordering::Relaxed))
    }

    /// A hit that found no address found the thing there.
    #[inline(always)]
    pub(super) fn found(&self, name: Name, at: *mut ()) {
        let hits = self.hits.load(Ordering::Relaxed).wrapping_add(1);
        self.hits.store(hits, Ordering::Relaxed);
        if hits.is_multiple_of(EVERY) {
            self.note(name, at, hits);
        }
    }

    #[inline(never)]
    fn note(&self, name: Name, at: *mut (), hits: u32) {
        if hits < FREQUENT || !name.has_layout() {
            return;
        }
        if let Some(set) = self.set(name) {
            let found = &set[(hits / EVERY) as usize % 2];
            found.name.store(name.0, Ordering::Relaxed);
            found.at.store(at, Ordering::Relaxed);
        }
    }
}

/// A table in which nothing was found; null where memory is exhausted.
#[cfg(not(larder_shuttle))]
fn empty() -> *mut [Set; SETS] {
    use std::alloc::{Layout, alloc_zeroed};
    // SAFETY: the size is not zero, and atomics of zeros are names of nothing and null addresses.
    unsafe { alloc_zeroed(Layout::new::<[Set; SETS]>()).cast() }
}

#[cfg(larder_shuttle)]
fn empty() -> *mut [Set; SETS] {
    let nothing = || Found { name: AtomicU64::new(0), at: AtomicPtr::new(ptr::null_mut()) };
    Box::leak(Box::new(std::array::from_fn(|_| [nothing(), nothing()])))
}
