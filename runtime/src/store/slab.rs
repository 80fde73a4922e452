//! Slots in pages: stable indices while an entry lives, and pages that go back when they are empty.
//!
//! ```text
//! pages[0]  [S . S S]            grows 4 -> 16 -> 64 slots, so that a small shard stays small
//! pages[1]  [S S . S ... S]      64 slots
//! pages[2]  [S S S . ... .]      64 slots; the last page is emptied first
//! vacant    [2, 66, 127, ...]    every free slot of every page
//! ```
//!
//! When a page and a half of slots is vacant, the entries of the last page move into vacancies and the page
//! is freed. The slack of half a page keeps a shard that evicts and inserts in turn from moving at all.

use crate::weight::buffer;
use crate::weight::weigh::allocation;

/// Slots in a full page.
const PAGE: usize = 64;
const PAGE_SHIFT: u32 = PAGE.trailing_zeros();
/// So many vacancies and the last page is emptied.
const SLACK: usize = PAGE + PAGE / 2;

/// A paged slab.
#[derive(Debug)]
pub(super) struct Slab<T> {
    pages: Vec<Vec<Option<T>>>,
    /// Every index below `capacity` that holds nothing, once.
    vacant: Vec<u32>,
}

impl<T> Slab<T> {
    pub(super) const fn new() -> Self {
        Self { pages: Vec::new(), vacant: Vec::new() }
    }

    #[inline]
    pub(super) fn get(&self, index: u32) -> Option<&T> {
        let page = self.pages.get((index >> PAGE_SHIFT) as usize)?;
        page.get(index as usize % PAGE)?.as_ref()
    }

    pub(super) fn get_mut(&mut self, index: u32) -> Option<&mut T> {
        self.cell(index)?.as_mut()
    }

    fn cell(&mut self, index: u32) -> Option<&mut Option<T>> {
        self.pages.get_mut((index >> PAGE_SHIFT) as usize)?.get_mut(index as usize % PAGE)
    }

    /// Bytes of the pages and lists, as allocated.
    pub(super) fn allocated(&self) -> u64 {
        // All pages but the last are full-sized.
        let Some((last, full)) = self.pages.split_last() else { return 0 };
        full.len() as u64 * page_bytes::<T>(PAGE) + page_bytes::<T>(last.capacity()) + self.lists()
    }

    fn lists(&self) -> u64 {
        allocation(self.pages.capacity() * size_of::<Vec<Option<T>>>())
            + allocation(self.vacant.capacity() * size_of::<u32>())
    }

    /// Bytes as allocated after room for one more was made: never less than it will be.
    pub(super) fn allocated_for_one_more(&self) -> u64 {
        if !self.vacant.is_empty() {
            return self.allocated();
        }
        let headers = (self.pages.capacity() * 2).max(4) * size_of::<Vec<Option<T>>>();
        let (_, most_vacant) = self.growth();
        let vacant = self.vacant.capacity().max(most_vacant);
        let lists = allocation(headers) + allocation(vacant * size_of::<u32>());
        match self.pages.as_slice() {
            [first] if first.len() < PAGE => page_bytes::<T>(grown(first.len())) + lists,
            pages => {
                let full = pages.len() as u64 * page_bytes::<T>(PAGE);
                let next = if pages.is_empty() { grown(0) } else { PAGE };
                full + page_bytes::<T>(next) + lists
            }
        }
    }

    /// How many slots there are, filled or vacant: their indices are below.
    pub(super) fn slots(&self) -> usize {
        self.pages.split_last().map_or(0, |(last, full)| full.len() * PAGE + last.len())
    }

    /// How many slots there are after room for one more was made.
    pub(super) fn slots_for_one_more(&self) -> usize {
        let slots = self.slots();
        match self.pages.as_slice() {
            _ if !self.vacant.is_empty() => slots,
            [] => grown(0),
            [first] if first.len() < PAGE => grown(slots),
            _ => slots + PAGE,
        }
    }

    /// The size of the page that grows or comes next, and how many slots can be vacant at once then: beyond
    /// the slack a page goes back.
    fn growth(&self) -> (usize, usize) {
        match self.pages.as_slice() {
            [] => (grown(0), grown(0)),
            [first] if first.len() < PAGE => (grown(first.len()), grown(first.len())),
            _ => (PAGE, SLACK),
        }
    }

    /// Makes sure that one slot is vacant; `false` when memory is exhausted.
    pub(super) fn try_reserve_one(&mut self) -> bool {
        if !self.vacant.is_empty() {
            return true;
        }
        let (size, most_vacant) = self.growth();
        let first_grows = self.pages.len() == 1 && self.pages[0].len() < PAGE;
        if !first_grows {
            if self.pages.try_reserve(1).is_err() {
                return false;
            }
            self.pages.push(Vec::new());
        }
        let page = self.pages.len() - 1;
        let start = self.pages[page].len();
        // Room for all that may ever be vacant, now: emptying a slot must not allocate, because what leaves
        // reserves nothing.
        let reserved = self.pages[page].try_reserve_exact(size - start).is_ok()
            && self.vacant.try_reserve_exact(most_vacant).is_ok();
        if !reserved {
            if start == 0 {
                self.pages.pop();
            }
            return false;
        }
        self.pages[page].resize_with(size, || None);
        // The lowest index is handed out first.
        self.vacant.extend((start..size).rev().map(|at| (page * PAGE + at) as u32));
        true
    }

    /// Fills a vacant slot, after [`try_reserve_one`](Self::try_reserve_one) said `true`.
    ///
    /// # Panics
    ///
    /// Without a vacancy.
    pub(super) fn insert(&mut self, value: T) -> u32 {
        let index = self.vacant.pop().expect("a slot was reserved");
        *self.cell(index).expect("vacant indices are inside the pages") = Some(value);
        index
    }

    /// Empties a slot. Whoever does so calls [`compact`](Self::compact) before the next.
    pub(super) fn take(&mut self, index: u32) -> Option<T> {
        let value = self.cell(index)?.take()?;
        self.vacant.push(index);
        Some(value)
    }

    /// Frees the last page if the others have room for what it holds. `moved` hears of each entry that got
    /// a new index, with the old one.
    pub(super) fn compact(&mut self, mut moved: impl FnMut(&mut T, u32, u32)) {
        let occupied = self.len();
        if occupied == 0 {
            *self = Self::new();
            return;
        }
        if self.vacant.len() < SLACK || self.pages.len() < 2 {
            return;
        }
        let last = self.pages.len() - 1;
        let boundary = (last * PAGE) as u32;
        self.vacant.retain(|&index| index < boundary);
        let Some(page) = self.pages.pop() else { return };
        for (at, cell) in page.into_iter().enumerate() {
            let Some(mut value) = cell else { continue };
            let index = self.vacant.pop().expect("the others have more vacancies than a page has slots");
            moved(&mut value, boundary + at as u32, index);
            *self.cell(index).expect("vacant indices are inside the pages") = Some(value);
        }
        if self.pages.len() * 4 < self.pages.capacity() {
            self.pages.shrink_to(self.pages.len() * 2);
        }
    }

    pub(super) fn len(&self) -> usize {
        self.slots() - self.vacant.len()
    }

    /// All entries and where they are.
    pub(super) fn iter(&self) -> impl Iterator<Item = (u32, &T)> {
        let cells = self.pages.iter().flatten().enumerate();
        cells.filter_map(|(at, cell)| cell.as_ref().map(|value| (at as u32, value)))
    }

    /// Takes all entries out and frees the pages.
    pub(super) fn drain(&mut self) -> impl Iterator<Item = T> + use<T> {
        std::mem::replace(self, Self::new()).pages.into_iter().flatten().flatten()
    }
}

fn page_bytes<T>(slots: usize) -> u64 {
    buffer::<Option<T>>(slots)
}

/// Sizes of the first page.
fn grown(slots: usize) -> usize {
    match slots {
        0 => 4,
        4 => 16,
        _ => PAGE,
    }
}

#[cfg(all(test, not(larder_shuttle)))]
mod tests {
    use super::*;

    #[test]
    fn pages_grow_slowly_and_go_back_when_empty() {
        let mut slab = Slab::new();
        let mut indices = Vec::new();
        for value in 0..1000_u32 {
            let (promised, slots) = (slab.allocated_for_one_more(), slab.slots_for_one_more());
            assert!(slab.try_reserve_one());
            assert_eq!(slab.slots(), slots);
            assert!(slab.allocated() <= promised, "at {value}: {} > {promised}", slab.allocated());
            indices.push(slab.insert(value));
        }
        assert_eq!(slab.len(), 1000);
        let full = slab.allocated();
        let mut places: std::collections::HashMap<u32, u32> =
            indices.iter().map(|&index| (*slab.get(index).unwrap(), index)).collect();
        for value in (0..1000).filter(|value| value % 10 != 0) {
            assert_eq!(slab.take(places.remove(&value).unwrap()), Some(value));
            slab.compact(|value, from, to| {
                assert_eq!(places.insert(*value, to), Some(from));
            });
            for (value, index) in &places {
                assert_eq!(slab.get(*index), Some(value));
            }
        }
        assert!(slab.allocated() < full / 4, "{} of {full}", slab.allocated());
        for (_, index) in places.drain() {
            slab.take(index);
        }
        slab.compact(|_, _, _| unreachable!("nothing is left to move"));
        assert_eq!((slab.len(), slab.allocated()), (0, 0));
    }
}
