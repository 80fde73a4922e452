//! What was evicted lately: a few bits of each key's hash, and when.
//!
//! ```text
//! page 0   [ set, .. 64 sets ]         a set: a ring of up to ten ghosts, in one line of cache
//! page 1   [ set, .. 64 sets ]            prints [16 bits x 10]  laps [16 x 10]  let go [side 1, fame 4, clock 11 x 10]
//! page 2   ...
//! ```
//!
//! A ghost that comes to a full set takes the oldest one's place, so there is no list over all, and nothing to age. Once in
//! four times it takes the second oldest's: of keys that come round in a loop, more of them than a set has places, each would
//! push out the one that comes next, and none would ever be known again. One that is taken out leaves its place to the oldest,
//! which so lives a little longer. Two keys with equal bits are taken for one: that costs a wrong guess, once in some ten
//! thousand.
//!
//! The table grows a page at a time, each time by one new entry, so that no insert pays for all: pages are addressed
//! by linear hashing (Litwin, 1980), and a new page begins as a copy of the one that it is split from. Each of the two
//! then holds ghosts that belong to the other; nobody finds those, and they are the oldest soon. Lookups and clocks
//! are the caller's business, and so is what follows from a ghost.

use crate::weight::weigh::allocation;

/// Ghosts in a set.
const WAYS: usize = 10;
/// Once in so many times the oldest of a full set is spared.
const SPARED: u16 = 4;
/// Odd, and otherwise as good as any: 2^16 over the golden ratio.
const MIXED: u16 = 0x9E37;
/// Sets in a full page.
const PAGE: usize = 64;

/// A ghost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ghost {
    /// When its last lap began, on the caller's coarse clock.
    pub(super) lap: u16,
    /// Whether it was let go by main.
    pub(super) from_main: bool,
    /// How much its part had let go by then, in 11 bits.
    pub(super) gone: u16,
    /// What the order remembers of its uses, in 4 bits.
    pub(super) fame: u8,
}

impl Ghost {
    /// The bits of [`gone`](Self::gone).
    pub(super) const GONE: u16 = 0x07FF;
    /// The bits of [`fame`](Self::fame).
    pub(super) const FAME: u8 = 15;

    fn pack(self) -> u16 {
        let fame = u16::from(self.fame & Self::FAME) << 11;
        self.gone & Self::GONE | fame | u16::from(self.from_main) << 15
    }

    fn unpack(lap: u16, word: u16) -> Self {
        let fame = (word >> 11) as u8 & Self::FAME;
        Self { lap, from_main: word >> 15 == 1, gone: word & Self::GONE, fame }
    }
}

/// A ring: arrays beside each other, so that a search looks at 20 bytes.
#[derive(Clone, Copy, Debug)]
struct Set {
    /// [`NOBODY`] where there is none.
    prints: [u16; WAYS],
    laps: [u16; WAYS],
    gone: [u16; WAYS],
    /// Where the next one goes: over the oldest, or into a vacancy.
    next: u16,
}

/// The print of no ghost.
const NOBODY: u16 = 0;

impl Set {
    const EMPTY: Self = Self { prints: [NOBODY; WAYS], laps: [0; WAYS], gone: [0; WAYS], next: 0 };

    #[inline]
    fn put(&mut self, print: u16, ghost: Ghost) {
        let after = |at: usize| if at + 1 == WAYS { 0 } else { at + 1 };
        let mut at = usize::from(self.next) % WAYS;
        // The lap is another one each time that a key comes round.
        let chance = (print ^ ghost.lap).wrapping_mul(MIXED);
        if self.prints[at] != NOBODY && chance < u16::MAX / SPARED {
            at = after(at);
        }
        self.prints[at] = print;
        self.laps[at] = ghost.lap;
        self.gone[at] = ghost.pack();
        self.next = after(at) as u16;
    }

    /// Takes a ghost out. The oldest moves to its place, so that the next one that is put finds a vacancy.
    #[inline]
    fn take(&mut self, print: u16) -> Option<Ghost> {
        // All are looked at, which is less work than to stop at the first.
        let equal = |at: usize| u32::from(self.prints[at] == print) << at;
        let found = (0..WAYS).fold(0, |found, at| found | equal(at));
        if found == 0 {
            return None;
        }
        let (at, oldest) = (found.trailing_zeros() as usize, usize::from(self.next) % WAYS);
        let (lap, gone) = (self.laps[at], self.gone[at]);
        self.prints[at] = self.prints[oldest];
        self.laps[at] = self.laps[oldest];
        self.gone[at] = self.gone[oldest];
        self.prints[oldest] = NOBODY;
        Some(Ghost::unpack(lap, gone))
    }
}

/// The table. Empty until it is asked to grow.
#[derive(Debug)]
pub(super) struct Ghosts {
    /// One page of a power of two of sets, or several full ones.
    pages: Vec<Box<[Set]>>,
    /// For so many entries there are sets enough.
    enough: usize,
}

impl Ghosts {
    pub(super) const fn new() -> Self {
        Self { pages: Vec::new(), enough: 0 }
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
        let (index, print) = ((mixed >> 16) as u32 as usize, ((mixed >> 48) as u16).max(NOBODY + 1));
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

    /// How many sets the page has that comes next beside so many entries; `None` when there are enough: a ghost for each
    /// entry, and in a small cache, where they take little, up to 2.5.
    fn next(&self, entries: usize) -> Option<usize> {
        match self.sets() {
            0 => Some((entries / 8).next_power_of_two().min(PAGE)),
            _ if entries <= self.enough => None,
            sets if sets < PAGE => Some(sets * 2),
            _ => Some(PAGE),
        }
    }

    /// The sets have changed.
    fn recount(&mut self) {
        self.enough = match self.sets() {
            sets if sets < PAGE => sets * 8,
            sets => sets * 10,
        };
    }

    /// Whether [`try_grow`](Self::try_grow) would add a page.
    #[inline]
    pub(super) fn would_grow(&self, entries: usize) -> bool {
        entries > self.enough || self.enough == 0
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
            self.recount();
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
        self.recount();
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
                self.recount();
                if self.pages.len() * 4 < self.pages.capacity() {
                    let capacity = self.pages.len() * 2;
                    crate::weight::move_to_smaller(&mut self.pages, capacity);
                }
            }
            _ => {}
        }
    }

    pub(super) fn clear(&mut self) {
        *self = Self::new();
    }

    #[cfg(any(test, feature = "__validate"))]
    pub(super) fn validate(&self) {
        let full = if self.pages.len() > 1 { PAGE } else { self.sets() };
        assert!(self.pages.iter().all(|page| page.len() == full && full.is_power_of_two()));
        assert!(self.pages.iter().flatten().all(|set| usize::from(set.next) < WAYS));
    }
}

#[cfg(all(test, not(larder_shuttle)))]
mod tests {
    use super::*;

    fn ghost(n: u32) -> Ghost {
        Ghost {
            lap: n as u16,
            from_main: n.is_multiple_of(3),
            gone: (n / 7) as u16 & Ghost::GONE,
            fame: (n / 5) as u8 & Ghost::FAME,
        }
    }

    fn hash(n: u32) -> u32 {
        n.wrapping_mul(0x85EB_CA6B) ^ 0x1234_5678
    }

    #[test]
    fn a_set_keeps_the_ten_newest() {
        // None that spares the oldest.
        let of = |print: u16| Ghost { lap: print ^ 1, ..ghost(u32::from(print)) };
        let mut set = Set::EMPTY;
        for print in 1..=25 {
            set.put(print, of(print));
        }
        assert_eq!((set.take(15), set.take(16)), (None, Some(of(16))));
        assert_eq!(set.take(16), None);
        // There is a vacancy: nobody goes for the next one.
        set.put(26, of(26));
        for print in 17..=26 {
            assert_eq!(set.take(print), Some(of(print)), "{print}");
        }
        assert_eq!(set.prints, [NOBODY; WAYS]);
    }

    /// With the oldest out each time, none of twelve keys in one set ever came back to its ghost, and a loop as large as
    /// the cache was kept out of main for good by what had been useful before it: under one seed in two thousand.
    #[test]
    fn a_loop_that_overfills_a_set_finds_ghosts_again() {
        for keys in 11..=20_u32 {
            let mut set = Set::EMPTY;
            let (mut out, mut now) = ((0..keys).collect::<Vec<u32>>(), 0);
            for _ in 0..100 {
                // Who comes back to its ghost is kept, and has none after that.
                out.retain(|&key| {
                    now += 1;
                    let print = (hash(key) >> 16) as u16;
                    let is_known = set.take(print).is_some();
                    if !is_known {
                        set.put(print, ghost(now));
                    }
                    !is_known
                });
            }
            assert!(out.is_empty(), "of {keys} these never come back: {out:?}");
        }
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
        assert!(ghosts.sets() * WAYS >= 30_000, "{} ghosts for 30,000 entries", ghosts.sets() * WAYS);
        for entries in (0..30_000).rev() {
            ghosts.shrink(entries);
        }
        assert_eq!(ghosts.allocated(), 0);
    }
}
