//! Grace periods: how readers that take no lock say that they read, and how a writer learns that they are done.
//!
//! A reader marks itself before its first look and clears the mark after its last. A writer takes something out of
//! everybody's reach first, *turns* the era, and waits until no mark is left from the era before: what it took out
//! can be dropped or used again. The idea is that of epoch-based reclamation (Fraser, 2004), with an era for each
//! protected structure instead of one for the process, so that a slow reader of one cache delays no other.
//!
//! ```text
//! reader                          writer (under the structure's lock)
//! mark = era                      unlink
//! fence                           era += 1
//! look, clone                     fence
//! mark = 0                        no mark from an older era?  then drop
//! ```
//!
//! Either the writer's fence comes first, and the reader finds nothing of what was unlinked; or the reader's does,
//! and the writer sees its mark. Where dropping can wait for long, the reader's fence is only the compiler's, and
//! the writer makes up for it with a barrier across all cores (`membarrier` on Linux), which is dear, and which it
//! therefore asks for once for many. Everywhere else both fence.
//!
//! Not here: what is protected, and the lock that writers hold.

mod marks;
mod near;

use std::ptr::NonNull;

use crate::sync::{AtomicU32, AtomicU64, Ordering, barrier, fence};

use marks::Mark;
pub(crate) use marks::is_reading;
pub(crate) use near::Name;

/// A mark that stands for every era: a reader inside another reader.
const ALL: u64 = u64::MAX;

/// The readers of one protected structure, told apart by when they began.
#[derive(Debug)]
pub(crate) struct Era {
    /// [`LIGHT`], then 31 bits of an id, then the number. The id is never 0, and of this structure alone unless two
    /// billion were made since.
    word: AtomicU64,
    /// Of no other structure, and another one each time that memory is about to be freed whose addresses readers know.
    layout: AtomicU32,
    /// The highest layout under which somebody noted an address: below that of now, nobody has.
    noted: AtomicU32,
}

/// Readers leave the barrier to the writer.
const LIGHT: u64 = 1 << 63;

impl Era {
    /// `rare` says that the writer can put off reclaiming for long, so that its readers need no fence.
    pub(crate) fn new(rare: bool) -> Self {
        static IDS: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(1);
        let id = IDS.fetch_add(1, std::sync::atomic::Ordering::Relaxed) % (u32::MAX / 2 - 1) + 1;
        let light = if rare && barrier::is_available() { LIGHT } else { 0 };
        let layout = AtomicU32::new(near::new_layout());
        Self { word: AtomicU64::new(light | u64::from(id) << 32), layout, noted: AtomicU32::new(0) }
    }

    /// The name of what may be found under a hash, for who reads.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(crate) fn name(&self, hash: u64) -> Name {
        // Acquire: who notes an address under this layout does not find it in what was out of reach before.
        Name::new(self.layout.load(Ordering::Acquire), hash)
    }

    /// Memory that readers know the address of is about to be freed, or used for something else, after the next grace
    /// period: they find nothing by it from here on.
    pub(crate) fn relocate(&self) {
        // Swapped and not stored: who sees the layout of one writer sees what all writers before it took out of reach. And
        // only risen: a layout that is below the one of now never comes again.
        loop {
            let layout = near::new_layout();
            let before = self.layout.fetch_max(layout, Ordering::AcqRel);
            if before < layout || layout == near::NO_LAYOUT {
                return;
            }
        }
    }

    /// The layout of now.
    pub(crate) fn layout(&self) -> u32 {
        self.layout.load(Ordering::Relaxed)
    }

    /// Whether somebody may have noted an address under this layout, or a later one: if nobody has, there is no need to
    /// [`relocate`](Self::relocate). Whoever reads meanwhile may note one still, of what is out of reach by now; so it is
    /// asked again after the grace period, of the layout before.
    pub(crate) fn is_noted_since(&self, layout: u32) -> bool {
        self.noted.load(Ordering::Relaxed) >= layout
    }

    /// [`read`](Self::read) by a thread that has read before and reads nothing else now, as nearly all are; `None` for
    /// others.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(crate) fn read_alone(&self) -> Option<Reading> {
        let word = self.word.load(Ordering::Acquire);
        let mark = marks::mine();
        if mark.get() != 0 {
            return None;
        }
        mark.set(word);
        barrier::often(word & LIGHT != 0);
        Some(Reading { mark, before: 0 })
    }

    /// Begins a read. What the reader finds stays valid until the guard is dropped.
    #[inline]
    pub(crate) fn read(&self) -> Reading {
        // Acquire: who sees that an era ended finds nothing that was unlinked in it.
        let word = self.word.load(Ordering::Acquire);
        let mark = marks::mine();
        let before = mark.get();
        let reading = if before == 0 { Reading { mark, before } } else { marks::mine_again(mark) };
        // A reader in a reader (the `Clone` of a value looks into a cache) keeps what both see.
        reading.mark.set(if reading.before == 0 { word } else { ALL });
        barrier::often(word & LIGHT != 0);
        reading
    }

    /// Ends the era: from here on readers count as new, and find nothing that was unlinked before. Returns the
    /// number of the era that ended.
    ///
    /// Several writers of parts of the structure may do so at a time.
    pub(crate) fn turn(&self) -> u32 {
        let next = |word: u64| word & !u64::from(u32::MAX) | u64::from((word as u32).wrapping_add(1));
        let ended = self.word.fetch_update(Ordering::AcqRel, Ordering::Acquire, |word| Some(next(word)));
        ended.map_or(0, |word| word as u32)
    }

    /// Makes what was unlinked before visible to all readers that are not marked yet. Once before any number of
    /// [`is_over`](Self::is_over).
    pub(crate) fn settle(&self) -> bool {
        fence(Ordering::SeqCst);
        self.word.load(Ordering::Relaxed) & LIGHT == 0 || marks::only_mine() || barrier::all_cores()
    }

    /// Whether nobody reads any more who began in this era or before. After [`settle`](Self::settle).
    pub(crate) fn is_over(&self, ended: u32) -> bool {
        let now = self.word.load(Ordering::Relaxed);
        marks::all(|word| match word {
            0 => true,
            ALL => false,
            word => word >> 32 != now >> 32 || is_after(word as u32, ended, now as u32),
        })
    }
}

/// Whether a reader began after an era ended that is over by now: numbers come again after 2^32, and a read may last for
/// many of them.
fn is_after(began: u32, ended: u32, now: u32) -> bool {
    began.wrapping_sub(ended).wrapping_sub(1) < now.wrapping_sub(ended)
}

impl Reading {
    /// The address that this thread noted under a name. While the read goes on it points to what it was noted for, or to
    /// what came there since in memory of the same structure.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(crate) fn recall(&self, name: Name) -> Option<NonNull<()>> {
        // SAFETY: the mark of a thread that reads is not nobody's.
        unsafe { self.mark.near.recall(name) }
    }

    /// Under this name something was found, at this address, of this era.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(crate) fn found(&self, name: Name, at: NonNull<()>, era: &Era) {
        self.mark.near.found(name, at, &era.noted);
    }
}

/// A read under way.
#[must_use]
pub(crate) struct Reading {
    mark: &'static Mark,
    /// What the mark said before; 0 unless the thread was reading already.
    before: u64,
}

impl Drop for Reading {
    #[cfg_attr(not(debug_assertions), inline(always))]
    fn drop(&mut self) {
        // Release: whoever sees the mark cleared may drop what was read under it.
        if self.before == 0 {
            self.mark.set(0);
        } else {
            marks::resume(self.mark, self.before);
        }
    }
}

#[cfg(all(test, not(larder_shuttle)))]
mod tests {
    use super::*;

    #[test]
    fn a_read_that_lasts_for_billions_of_eras_is_not_taken_for_a_new_one() {
        for ended in [5, u32::MAX - 1, 1 << 31] {
            let now = ended.wrapping_add(3);
            for after in 1..=3 {
                assert!(is_after(ended.wrapping_add(after), ended, now));
            }
            for before in [0, 1, 1 << 30, (1 << 31) - 1, 1 << 31, (1 << 31) + 1, u32::MAX - 3] {
                assert!(!is_after(ended.wrapping_sub(before), ended, now), "{before} eras before");
            }
        }
    }
}
