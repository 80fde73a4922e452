//! What was evicted lately: a few bits of each key's hash, and when.
//!
//! ```text
//! page 0   [ set, .. 64 sets ]         a set: up to ten ghosts, newest first, in one line of cache
//! page 1   [ set, .. 64 sets ]            prints [16 bits x 10]  laps [16 x 10]  let go [side 1, clock 15 x 10]
//! page 2   ...
//! ```
//!
//! A ghost that comes to a full set pushes the oldest out, so there is no list over all, and nothing to age. Two keys
//! with equal bits are taken for one: that costs a wrong guess, once in some ten thousand.
//!
//! The table grows a page at a time, each time by one new entry, so that no insert pays for all: pages are addressed
//! by linear hashing (Litwin, 1980), and a new page begins as a copy of the one that it is split from. Each of the two
//! then holds ghosts that belong to the other; nobody finds those, and they are the oldest soon. Lookups and clocks
//! are the caller's business, and so is what follows from a ghost.

use crate::weight::weigh::allocation;

/// Ghosts in a set.
const WAYS: usize = 10;
/// Sets in a full page.
const PAGE: usize = 64;

/// A ghost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ghost {
    /// When its last lap began, on the caller's coarse clock.
    pub(super) lap: u16,
    /// Whether it was let go by main.
    pub(super) from_main: bool,
    /// How much its part had let go by then, in 15 bits.
    pub(super) gone: u16,
}

impl Ghost {
    /// The bits of [`gone`](Self::gone).
    pub(super) const GONE: u16 = 0x7FFF;
}

/// Arrays beside each other, so that a search looks at 20 bytes.
#[derive(Clone, Copy, Debug)]
struct Set {
    prints: [u16; WAYS],
    laps: [u16; WAYS],
    gone: [u16; WAYS],
    len: u16,
}

impl Set {
    const EMPTY: Self = Self { prints: [0; WAYS], laps: [0; WAYS], gone: [0; WAYS], len: 0 };

    fn position(&self, print: u16) -> Option<usize> {
        self.prints[..usize::from(self.len)].iter().position(|other| *other == print)
    }

    /// Takes the ghost at `at` out, or makes room for one in front if it is beyond the last: all before `at` move.
    fn shift(&mut self, at: usize) {
        self.prints.copy_within(..at, 1);
        self.laps.copy_within(..at, 1);
        self.gone.copy_within(..at, 1);
    }

    fn put(&mut self, print: u16, ghost: Ghost) {
        let at = self.position(print).unwrap_or_else(|| {
            let last = usize::from(self.len).min(WAYS - 1);
            self.len = last as u16 + 1;
            last
        });
        self.shift(at);
        self.prints[0] = print;
        self.laps[0] = ghost.lap;
        self.gone[0] = (ghost.gone & Ghost::GONE) | u16::from(ghost.from_main) << 15;
    }

    fn take(&mut self, print: u16) -> Option<Ghost> {
        let at = self.position(print)?;
        let (lap, gone) = (self.laps[at], self.gone[at]);
        self.prints.copy_within(at + 1.., at);
        self.laps.copy_within(at + 1.., at);
        self.gone.copy_within(at + 1.., at);
        self.len -= 1;
        Some(Ghost { lap, from_main: gone >> 15 == 1, gone: gone & Ghost::GONE })
    }
}

/// The table. Empty until it is asked to grow.
#[derive(Debug)]
pub(super) struct Ghosts {
    /// One page of a power of two of sets, or several full ones.
    pages: Vec<Box<[Set]>>,
}

impl Ghosts {
    pub(super) const fn new() -> Self {
        Self { pages: Vec::new() }
    }

    fn sets(&self) -> usize {
        match self.pages.as_slice() {
            [only] => only.len(),
            pages => pages.len() * PAGE,
        }
    }

    /// Which page and set a hash belongs to, and what is kept of it.
    #[inline]
    fn address(&self, hash: u32) -> (usize, usize, u16) {
        let mixed = u64::from(hash).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let (index, print) = ((mixed >> 16) as u32 as usize, (mixed >> 48) as u16);
        match self.pages.len() {
            0 | 1 => (0, index & (self.sets().max(1) - 1), print),
            pages => {
                let above = index / PAGE;
                let wide = pages.next_power_of_two();
                let page = match above & (wide - 1) {
                    page if page < pages => page,
                    page => page & (wide / 2 - 1),
                };
                (page, index % PAGE, print)
            }
        }
    }

    pub(super) fn put(&mut self, hash: u32, ghost: Ghost) {
        let (page, set, print) = self.address(hash);
        if let Some(page) = self.pages.get_mut(page) {
            page[set].put(print, ghost);
        }
    }

    /// Takes the ghost of a key out, if there is one.
    pub(super) fn take(&mut self, hash: u32) -> Option<Ghost> {
        let (page, set, print) = self.address(hash);
        self.pages.get_mut(page)?[set].take(print)
    }

    /// How many sets the page has that comes next beside so many entries; `None` when there are enough: from 1.25 to
    /// 2.5 ghosts for each entry.
    fn next(&self, entries: usize) -> Option<usize> {
        match self.sets() {
            0 => Some((entries / 8).next_power_of_two().min(PAGE)),
            sets if sets < PAGE => (sets * 8 < entries).then_some(sets * 2),
            sets => (sets * 20 < entries * 3).then_some(PAGE),
        }
    }

    /// Whether [`try_grow`](Self::try_grow) would add a page.
    #[inline]
    pub(super) fn would_grow(&self, entries: usize) -> bool {
        self.next(entries).is_some()
    }

    /// The capacity of the list of pages when another comes.
    fn list_for_one_more(&self) -> usize {
        let capacity = self.pages.capacity();
        if self.pages.len() < capacity { capacity } else { capacity + capacity / 2 + 1 }
    }

    fn bytes(list: usize, pages: usize, sets: usize) -> u64 {
        allocation(list * size_of::<Box<[Set]>>()) + pages as u64 * allocation(sets * size_of::<Set>())
    }

    pub(super) fn allocated(&self) -> u64 {
        let sets = self.pages.first().map_or(0, |page| page.len());
        Self::bytes(self.pages.capacity(), self.pages.len(), sets)
    }

    /// Bytes after [`try_grow`](Self::try_grow) beside so many entries: never less than it will be.
    pub(super) fn allocated_to_grow(&self, entries: usize) -> u64 {
        match (self.next(entries), self.pages.len()) {
            (None, _) => self.allocated(),
            // The old page goes when the new one is there.
            (Some(sets), 1) if self.sets() < PAGE => self.allocated() + Self::bytes(0, 1, sets),
            (Some(sets), pages) => Self::bytes(self.list_for_one_more(), pages + 1, sets),
        }
    }

    /// Adds a page if there are too few for so many entries; `false` when memory is exhausted.
    pub(super) fn try_grow(&mut self, entries: usize) -> bool {
        let Some(sets) = self.next(entries) else { return true };
        let mut page = Vec::new();
        if page.try_reserve_exact(sets).is_err() {
            return false;
        }
        if self.pages.len() == 1 && self.sets() < PAGE {
            // One more bit of the hash counts: both halves begin as the old page.
            page.extend_from_slice(&self.pages[0]);
            page.extend_from_slice(&self.pages[0]);
            self.pages[0] = page.into_boxed_slice();
            return true;
        }
        let more = self.list_for_one_more() - self.pages.len();
        if self.pages.try_reserve_exact(more).is_err() {
            return false;
        }
        match self.pages.len() {
            0 => page.resize(sets, Set::EMPTY),
            at => page.extend_from_slice(&self.pages[at ^ (1 << at.ilog2())]),
        }
        self.pages.push(page.into_boxed_slice());
        true
    }

    /// Frees a page, if there are far too many for so many entries.
    pub(super) fn shrink(&mut self, entries: usize) {
        match self.pages.len() {
            0 => {}
            1 if self.sets() > entries => self.clear(),
            1 => {}
            // Above four ghosts for each entry.
            pages if pages * PAGE * WAYS > entries * 4 => {
                self.pages.pop();
                if self.pages.len() * 4 < self.pages.capacity() {
                    let capacity = self.pages.len() * 2;
                    crate::weight::move_to_smaller(&mut self.pages, capacity);
                }
            }
            _ => {}
        }
    }

    pub(super) fn clear(&mut self) {
        self.pages = Vec::new();
    }

    #[cfg(test)]
    pub(super) fn validate(&self) {
        let full = if self.pages.len() > 1 { PAGE } else { self.sets() };
        assert!(self.pages.iter().all(|page| page.len() == full && full.is_power_of_two()));
        let sets = self.pages.iter().flatten();
        assert!(sets.into_iter().all(|set| usize::from(set.len) <= WAYS));
    }
}

#[cfg(all(test, not(larder_shuttle)))]
mod tests {
    use super::*;

    fn ghost(n: u32) -> Ghost {
        Ghost { lap: n as u16, from_main: n.is_multiple_of(3), gone: (n / 7) as u16 & Ghost::GONE }
    }

    fn hash(n: u32) -> u32 {
        n.wrapping_mul(0x85EB_CA6B) ^ 0x1234_5678
    }

    #[test]
    fn a_set_keeps_the_ten_newest() {
        let mut set = Set::EMPTY;
        for print in 0..25 {
            set.put(print, ghost(u32::from(print)));
        }
        set.put(20, ghost(99));
        assert_eq!(set.take(14), None);
        assert_eq!(set.take(15), Some(ghost(15)));
        assert_eq!(set.take(15), None);
        assert_eq!(set.take(20), Some(ghost(99)));
        assert_eq!(set.len, 8);
        set.put(30, ghost(30));
        assert_eq!((set.prints[0], set.take(24)), (30, Some(ghost(24))));
    }

    #[test]
    fn growth_loses_nobody_and_bytes_are_promised() {
        let mut ghosts = Ghosts::new();
        assert_eq!((ghosts.allocated(), ghosts.take(5)), (0, None));
        let mut missing = 0;
        for n in 0..30_000_u32 {
            let promised = ghosts.allocated_to_grow(n as usize + 1);
            assert!(ghosts.try_grow(n as usize + 1));
            assert!(ghosts.allocated() <= promised, "at {n}: {} > {promised}", ghosts.allocated());
            ghosts.put(hash(n), ghost(n));
            // One of before: a quarter as old as the table has room for.
            let before = n - n / 4;
            if before.is_multiple_of(5) && before < n {
                missing += u32::from(ghosts.take(hash(before)) != Some(ghost(before)));
                ghosts.put(hash(before), ghost(before));
            }
        }
        ghosts.validate();
        assert!(missing < 200, "{missing} of some 6,000 are lost");
        assert!(ghosts.sets() * WAYS >= 45_000, "{} ghosts for 30,000 entries", ghosts.sets() * WAYS);
        for entries in (0..30_000).rev() {
            ghosts.shrink(entries);
        }
        assert_eq!(ghosts.allocated(), 0);
    }
}
