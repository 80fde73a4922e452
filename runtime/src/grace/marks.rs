//! One mark for each thread that reads, in a list that only grows; marks of ended threads are used again.

#[cfg(not(larder_shuttle))]
use std::cell::Cell;
use std::ptr;

use super::Reading;
use super::near::Near;
use crate::sync::{AtomicBool, AtomicPtr, AtomicU64, AtomicUsize, Ordering, fence};

/// What one thread reads: 0 for nothing.
#[derive(Debug)]
#[repr(align(128))]
pub(super) struct Mark {
    word: AtomicU64,
    taken: AtomicBool,
    /// Where the thread found something lately.
    pub(super) near: Near,
    /// The next older mark. Never changes once the mark is in the list.
    next: *const Mark,
}

/// Lent for one read to a thread whose own mark is gone already: it goes back afterwards.
const LENT: u64 = u64::MAX - 1;

// SAFETY: `next` points to a mark that is never freed, and is not written after the mark was published.
unsafe impl Sync for Mark {}
// SAFETY: as above.
unsafe impl Send for Mark {}

impl Mark {
    /// Release: what the thread read before comes before.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(super) fn set(&self, word: u64) {
        self.word.store(word, Ordering::Release);
    }

    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(super) fn get(&self) -> u64 {
        self.word.load(Ordering::Relaxed)
    }
}

/// The list's newest mark, and how many are taken.
struct Marks {
    newest: AtomicPtr<Mark>,
    taken: AtomicUsize,
}

#[cfg(not(larder_shuttle))]
mod here {
    use super::*;

    static MARKS: Marks = Marks { newest: AtomicPtr::new(ptr::null_mut()), taken: AtomicUsize::new(0) };

    thread_local! {
        /// This thread's mark; without a destructor, so that a look-up at the very end of a thread finds nobody's.
        static HERE: Cell<&'static Mark> = const { Cell::new(&NOBODY) };
        static LEASE: Lease = Lease(take());
    }

    /// Stands for the mark of a thread that has none. Never 0, so that hits look at one word only; never written.
    static NOBODY: Mark = Mark {
        word: AtomicU64::new(crate::grace::ALL),
        taken: AtomicBool::new(true),
        near: Near::nowhere(),
        next: ptr::null(),
    };

    /// Gives the mark back when its thread ends.
    struct Lease(&'static Mark);

    impl Drop for Lease {
        fn drop(&mut self) {
            HERE.set(&NOBODY);
            give_back(self.0);
        }
    }

    pub(super) fn marks() -> &'static Marks {
        &MARKS
    }

    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(super) fn mark() -> &'static Mark {
        HERE.get()
    }

    pub(super) fn has_mark() -> bool {
        !ptr::eq(HERE.get(), &NOBODY)
    }

    /// `None` for a thread that ends.
    #[cold]
    pub(super) fn lease() -> Option<&'static Mark> {
        let mark = LEASE.try_with(|lease| lease.0).ok()?;
        HERE.set(mark);
        Some(mark)
    }
}

/// Under the model checker: nothing may outlive one run of the model.
#[cfg(larder_shuttle)]
mod here {
    use super::*;

    shuttle::lazy_static! {
        static ref MARKS: Marks = Marks { newest: AtomicPtr::new(ptr::null_mut()), taken: AtomicUsize::new(0) };
    }

    shuttle::thread_local! {
        static LEASE: &'static Mark = take();
    }

    pub(super) fn marks() -> &'static Marks {
        &MARKS
    }

    pub(super) fn mark() -> &'static Mark {
        LEASE.with(|mark| *mark)
    }

    pub(super) fn has_mark() -> bool {
        true
    }

    pub(super) fn lease() -> Option<&'static Mark> {
        Some(mark())
    }
}

/// This thread's mark, or nobody's, which is never 0.
#[cfg_attr(not(debug_assertions), inline(always))]
pub(super) fn mine() -> &'static Mark {
    here::mark()
}

/// A read by a thread that reads already, or for the first time, or is about to end.
#[cold]
pub(super) fn mine_again(mark: &'static Mark) -> Reading {
    if here::has_mark() {
        return Reading { mark, before: mark.get() };
    }
    match here::lease() {
        Some(mark) => Reading { mark, before: 0 },
        None => Reading { mark: take(), before: LENT },
    }
}

/// What the mark says again after a read that was not the thread's first.
#[cold]
pub(super) fn resume(mark: &'static Mark, before: u64) {
    if before == LENT {
        give_back(mark);
    } else {
        mark.set(before);
    }
}

/// Whether this thread reads right now: then it must not wait for readers.
pub(crate) fn is_reading() -> bool {
    here::has_mark() && here::mark().get() != 0
}

/// Whether no other thread has a mark. After a fence.
pub(super) fn only_mine() -> bool {
    let taken = here::marks().taken.load(Ordering::SeqCst);
    taken == 0 || (taken == 1 && here::has_mark())
}

/// Whether all marks pass.
pub(super) fn all(mut pass: impl FnMut(u64) -> bool) -> bool {
    // Acquire: what was read under a mark that is cleared by now came before.
    let mut next: *const Mark = here::marks().newest.load(Ordering::Acquire);
    // SAFETY: marks are never freed.
    while let Some(mark) = unsafe { next.as_ref() } {
        if !pass(mark.word.load(Ordering::Acquire)) {
            return false;
        }
        next = mark.next;
    }
    true
}

/// A free mark, or a new one.
fn take() -> &'static Mark {
    let marks = here::marks();
    // Before the first mark is set: a writer that counts only itself must have unlinked before we look.
    marks.taken.fetch_add(1, Ordering::SeqCst);
    fence(Ordering::SeqCst);
    let mut next: *const Mark = marks.newest.load(Ordering::Acquire);
    // SAFETY: marks are never freed.
    while let Some(mark) = unsafe { next.as_ref() } {
        if mark.taken.compare_exchange(false, true, Ordering::AcqRel, Ordering::Relaxed).is_ok() {
            return mark;
        }
        next = mark.next;
    }
    let mark = Box::leak(Box::new(Mark {
        word: AtomicU64::new(0),
        taken: AtomicBool::new(true),
        near: Near::new(),
        next: ptr::null(),
    }));
    loop {
        let newest = marks.newest.load(Ordering::Acquire);
        mark.next = newest;
        let published = marks.newest.compare_exchange(newest, mark, Ordering::AcqRel, Ordering::Relaxed);
        if published.is_ok() {
            return mark;
        }
    }
}

fn give_back(mark: &'static Mark) {
    mark.set(0);
    mark.taken.store(false, Ordering::Release);
    here::marks().taken.fetch_sub(1, Ordering::SeqCst);
}
