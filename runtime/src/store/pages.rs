//! Slots in pages: found without a lock, at an index that stays while an entry lives.
//!
//! ```text
//! directory  ──►  pages[0]  [S . S S]            4 slots, and 16 in the next, so that a small shard stays small
//!                 pages[1]  [S S . S .. S]
//!                 pages[2]  [S S S . ... .]      64 slots, fewer where a slot is large; the last page is emptied first
//! ```
//!
//! What a page is made of says [`page`]; heap bytes of entries, which only some caches have, are in columns beside.
//!
//! A slot is *vacant*, or *filled*, or in limbo: out of the table, and perhaps still read. Readers reach filled
//! slots and slots in limbo; a slot is filled before an index leads to it, and not touched again (but for the words
//! that hits write) until the grace period after it was unlinked. What readers can reach is never copied, because a value
//! may have locks and cells in it: pages do not grow, and an entry moves out of a page that is given up while it is out of
//! the table, after a grace period. Nothing in the old one is dropped then.

mod page;
#[cfg(any(test, feature = "__validate"))]
mod validate;

pub(super) use page::{Fixed, Own, Slot, State};

use std::alloc::Layout;
use std::ops::Range;
use std::ptr;

use page::{MOST, Page, copy_slot};

use super::few::Few;
use super::limbo::{Block, Limbo, NONE};
use super::shard::Parting;
use crate::expiry::Expires;
use crate::policy::Touch;
use crate::removal::RemovalCause;
use crate::sync::{AtomicPtr, AtomicU64, Ordering};
#[cfg(feature = "tiers")]
use crate::time::NEVER;
use crate::weight::weigh::allocation;

/// What a slot is filled with.
pub(super) struct Contents<K, V> {
    pub(super) key: K,
    pub(super) value: V,
    pub(super) touch: Touch,
    pub(super) fixed: Fixed,
    pub(super) own: Own,
    /// Heap bytes of the entry.
    pub(super) heap: u64,
}

/// What readers start from: an array of pages.
#[derive(Debug)]
pub(super) struct Pages<K, V> {
    directory: AtomicPtr<AtomicPtr<Slot<K, V>>>,
}

/// The writer's part.
#[derive(Debug)]
pub(super) struct Filling {
    expires: Expires,
    pages: usize,
    /// How many pages the directory has room for.
    room: usize,
    /// Slots of all pages.
    slots: usize,
    /// The first of a chain of vacant slots.
    vacant: u32,
    vacancies: usize,
    /// Pages whose entries have moved out. Somebody may still have one of their indices: they are given up, or used
    /// again, after a grace period.
    retired: Range<usize>,
    /// Readers may know addresses in pages that are no longer in use. The [`Era`](crate::grace::Era) must be told before
    /// the next grace period begins.
    pub(super) has_moved: bool,
    /// Heap bytes of each slot of a page, for pages in which an entry has any.
    heaps: Vec<Option<Box<[u64]>>>,
    /// There may be such a page: where no entry has any heap bytes nobody looks for them.
    has_heaps: bool,
    /// Bytes of all that, as allocated.
    allocated: u64,
}

impl<K, V> Pages<K, V> {
    pub(super) const fn new() -> Self {
        Self { directory: AtomicPtr::new(ptr::null_mut()) }
    }

    /// The slot at an index that the table led to.
    ///
    /// # Safety
    ///
    /// The index was read from the table under the [`Era`](crate::grace::Era) by which both are reclaimed, and the
    /// read goes on while the reference is used; or the caller is the writer.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(super) unsafe fn slot(&self, index: u32) -> &Slot<K, V> {
        let (page, at) = self.page_of(index);
        // SAFETY: the table leads to indices of pages that exist.
        unsafe { &*page.slots().add(at) }
    }

    #[cfg_attr(not(debug_assertions), inline(always))]
    fn page_of(&self, index: u32) -> (Page<K, V>, usize) {
        let (page, at) = (index >> Page::<K, V>::SHIFT, index as usize % Page::<K, V>::PAGE);
        // Acquire, twice: what a page holds was there before the page was.
        let directory = self.directory.load(Ordering::Acquire);
        // SAFETY: the directory has an entry for each page, and indices lie in pages.
        let page = unsafe { &*directory.add(page as usize) }.load(Ordering::Acquire);
        (Page(page), at)
    }

    /// When the slot is too old, however much it is used; for caches whose entries expire.
    ///
    /// # Safety
    ///
    /// As for [`slot`](Self::slot); the entries expire.
    #[inline]
    pub(super) unsafe fn deadline(&self, index: u32) -> &AtomicU64 {
        let (page, at) = self.page_of(index);
        // SAFETY: pages of such caches have the column.
        unsafe { &*page.times().add(at) }
    }

    /// When the slot was last used; for caches whose entries expire when idle.
    ///
    /// # Safety
    ///
    /// As for [`slot`](Self::slot); the entries expire by use.
    #[inline]
    pub(super) unsafe fn used(&self, index: u32) -> &AtomicU64 {
        let (page, at) = self.page_of(index);
        // SAFETY: pages of such caches have the column, behind that of the deadlines.
        unsafe { &*page.times().add(page.len() + at) }
    }
}

impl Filling {
    pub(super) const fn new(expires: Expires) -> Self {
        Self {
            expires,
            pages: 0,
            room: 0,
            slots: 0,
            vacant: NONE,
            vacancies: 0,
            retired: 0..0,
            has_moved: false,
            heaps: Vec::new(),
            has_heaps: false,
            allocated: 0,
        }
    }

    pub(super) fn allocated(&self) -> u64 {
        self.allocated
    }

    /// Whether pages wait to be given up: a reader may have the index of one of their slots.
    pub(super) fn is_retiring(&self) -> bool {
        !self.retired.is_empty()
    }

    /// The last page in use.
    fn last(&self) -> usize {
        if self.retired.is_empty() { self.pages - 1 } else { self.retired.start - 1 }
    }

    /// How many slots there are.
    pub(super) fn slots(&self) -> usize {
        self.slots
    }

    /// Indices of slots are below. Not each number below is one: the first pages are short.
    pub(super) fn bound<K, V>(&self) -> usize {
        self.pages << Page::<K, V>::SHIFT
    }

    /// The same after room for one more was made.
    pub(super) fn bound_for_one_more<K, V>(&self) -> usize {
        (self.pages + usize::from(self.vacancies == 0)) << Page::<K, V>::SHIFT
    }

    /// Whether this is the index of a slot.
    pub(super) fn has<K, V>(&self, index: u32) -> bool {
        let page = (index >> Page::<K, V>::SHIFT) as usize;
        page < self.pages && index as usize % Page::<K, V>::PAGE < Page::<K, V>::len_of(page)
    }

    /// The indices of a page's slots.
    fn indices<K, V>(page: usize) -> Range<u32> {
        let first = (page << Page::<K, V>::SHIFT) as u32;
        first..first + Page::<K, V>::len_of(page) as u32
    }

    /// The most bytes that room for one more entry, of so many heap bytes, will take.
    pub(super) fn growth<K, V>(&self, heap: u64) -> u64 {
        let heaps = |page: usize| if heap > 0 { heaps_bytes(Page::<K, V>::len_of(page)) } else { 0 };
        if self.vacancies > 0 {
            return heaps((self.vacant >> Page::<K, V>::SHIFT) as usize);
        }
        let directory = if self.pages == self.room { directory_bytes(grown(self.room)) } else { 0 };
        let page = Page::<K, V>::bytes(Page::<K, V>::len_of(self.pages), self.expires);
        directory + page + heaps(self.pages)
    }
}

/// Room in the directory when it is full.
fn grown(room: usize) -> usize {
    (room * 2).max(1)
}

fn directory_layout(room: usize) -> Layout {
    Layout::array::<AtomicPtr<u8>>(room).expect("an index has 32 bits")
}

/// With the list of heaps beside it.
fn directory_bytes(room: usize) -> u64 {
    Block::bytes(directory_layout(room)) + allocation(room * size_of::<Option<Box<[u64]>>>())
}

/// What the writer does: whoever has the [`Filling`] is the only one.
impl<K, V> Pages<K, V> {
    /// The slot at an index below the number of slots.
    pub(super) fn slot_mine(&self, _filling: &Filling, index: u32) -> &Slot<K, V> {
        // SAFETY: only the writer replaces pages, and the borrow of the filling keeps it from that.
        unsafe { self.slot(index) }
    }

    pub(super) fn own(&self, filling: &Filling, index: u32) -> Own {
        let _ = filling;
        let (page, at) = self.page_of(index);
        // SAFETY: only the writer looks at it, and the index lies in a page.
        unsafe { *page.own(at) }
    }

    pub(super) fn set_own(&self, filling: &mut Filling, index: u32, own: Own) {
        *self.own_mut(filling, index) = own;
    }

    #[inline]
    pub(super) fn own_ref<'a>(&'a self, _filling: &'a Filling, index: u32) -> &'a Own {
        let (page, at) = self.page_of(index);
        // SAFETY: only the writer looks at it, the index lies in a page, and the borrow of the filling keeps the writer
        // from changing it.
        unsafe { &*page.own(at) }
    }

    #[inline]
    pub(super) fn own_mut<'a>(&'a self, _filling: &'a mut Filling, index: u32) -> &'a mut Own {
        let (page, at) = self.page_of(index);
        // SAFETY: only the writer looks at it, the index lies in a page, and the borrow of the filling keeps it alone.
        unsafe { &mut *page.own(at) }
    }

    /// What the order asks of a slot: one look at its page.
    #[inline]
    pub(super) fn fixed_and_factor(&self, _filling: &Filling, index: u32) -> (Fixed, i8) {
        let (page, at) = self.page_of(index);
        // SAFETY: the index lies in a page, only the writer replaces those, and looks at its notes.
        unsafe { ((*page.slots().add(at)).fixed(), (*page.own(at)).factor) }
    }

    /// Whether a slot is vacant, and so many heap bytes can be noted for it: [`try_reserve_one`](Self::try_reserve_one)
    /// would do nothing.
    #[inline]
    pub(super) fn has_room(&self, filling: &Filling, heap: u64) -> bool {
        filling.vacancies > 0
            && (heap == 0 || filling.heaps[(filling.vacant >> Page::<K, V>::SHIFT) as usize].is_some())
    }

    /// The heap bytes of a slot's entry.
    #[inline]
    pub(super) fn heap(&self, filling: &Filling, index: u32) -> u64 {
        if !filling.has_heaps {
            return 0;
        }
        let page = (index >> Page::<K, V>::SHIFT) as usize;
        filling.heaps[page].as_ref().map_or(0, |heaps| heaps[index as usize % Page::<K, V>::PAGE])
    }

    /// Notes other heap bytes of a slot's entry; `false` when the column that takes finds no memory or, says `reserve`,
    /// no budget.
    pub(super) fn set_heap(
        &self,
        filling: &mut Filling,
        index: u32,
        heap: u64,
        reserve: &dyn Fn(u64) -> bool,
    ) -> bool {
        let (page, at) = ((index >> Page::<K, V>::SHIFT) as usize, index as usize % Page::<K, V>::PAGE);
        if filling.heaps[page].is_none() {
            if heap == 0 {
                return true;
            }
            if !reserve(heaps_bytes(Page::<K, V>::len_of(page))) || !self.note_heaps(filling, page) {
                return false;
            }
        }
        if let Some(heaps) = &mut filling.heaps[page] {
            heaps[at] = heap;
        }
        true
    }

    /// Makes sure that one slot is vacant, and that heap bytes can be noted for it; `false` when memory is exhausted.
    pub(super) fn try_reserve_one(&self, filling: &mut Filling, heap: u64, limbo: &mut Limbo) -> bool {
        (filling.vacancies > 0 || self.add_slots(filling, limbo))
            && (heap == 0 || self.note_heaps(filling, (filling.vacant >> Page::<K, V>::SHIFT) as usize))
    }

    fn add_slots(&self, filling: &mut Filling, limbo: &mut Limbo) -> bool {
        if filling.pages == filling.room && !self.widen(filling, limbo) {
            return false;
        }
        let (at, len) = (filling.pages, Page::<K, V>::len_of(filling.pages));
        let Some(page) = Page::<K, V>::new(len, filling.expires) else { return false };
        // SAFETY: the directory has room for this page.
        unsafe { &*self.directory.load(Ordering::Relaxed).add(at) }.store(page.0, Ordering::Release);
        filling.allocated += Page::<K, V>::bytes(len, filling.expires);
        filling.pages = at + 1;
        filling.slots += len;
        // The lowest index is handed out first.
        for index in Filling::indices::<K, V>(at).rev() {
            self.vacate(filling, index);
        }
        true
    }

    /// A directory with more room.
    fn widen(&self, filling: &mut Filling, limbo: &mut Limbo) -> bool {
        let room = grown(filling.room);
        if filling.heaps.try_reserve_exact(room - filling.heaps.len()).is_err() {
            return false;
        }
        self.redirect(filling, room, limbo)
    }

    fn redirect(&self, filling: &mut Filling, room: usize, limbo: &mut Limbo) -> bool {
        let null = || AtomicPtr::new(ptr::null_mut::<Slot<K, V>>());
        let Some(block) = Block::filled(directory_layout(room), room, null) else { return false };
        let new = block.cast::<AtomicPtr<Slot<K, V>>>();
        let old = self.directory.load(Ordering::Relaxed);
        for at in 0..filling.pages {
            // SAFETY: both directories have room for all pages.
            let page = unsafe { &*old.add(at) }.load(Ordering::Relaxed);
            // SAFETY: as above; nobody else has seen the new one.
            unsafe { &*new.add(at) }.store(page, Ordering::Relaxed);
        }
        self.directory.store(new, Ordering::Release);
        if !old.is_null() {
            filling.allocated -= directory_bytes(filling.room);
            limbo.take_block(Block::of(old, directory_layout(filling.room)));
        }
        filling.heaps.resize_with(room, || None);
        filling.allocated += directory_bytes(room);
        filling.room = room;
        true
    }

    /// A page notes heap bytes from here on.
    fn note_heaps(&self, filling: &mut Filling, page: usize) -> bool {
        if filling.heaps[page].is_some() {
            return true;
        }
        let slots = Page::<K, V>::len_of(page);
        let Some(heaps) = no_heaps(slots) else { return false };
        filling.heaps[page] = Some(heaps);
        filling.has_heaps = true;
        filling.allocated += heaps_bytes(slots);
        true
    }

    /// Fills a vacant slot, after [`try_reserve_one`](Self::try_reserve_one) said `true`.
    pub(super) fn fill(&self, filling: &mut Filling, contents: Contents<K, V>) -> u32 {
        let Contents { key, value, touch, fixed, own, heap } = contents;
        let index = filling.vacant;
        let (page, at) = self.page_of(index);
        // SAFETY: only the writer looks at its notes, and the index lies in a page.
        let vacant = unsafe { std::mem::replace(&mut *page.own(at), own) };
        filling.vacant = vacant.mark;
        filling.vacancies -= 1;
        // SAFETY: as above.
        let slot = unsafe { page.slots().add(at) };
        // SAFETY: a vacant slot is in nobody's reach but the writer's. All its fields are behind `UnsafeCell` or
        // atomic; what is overwritten needs no drop.
        unsafe {
            (*(*slot).key.get()).write(key);
            (*(*slot).value.get()).write(value);
            (*slot).fixed.store(fixed.0, Ordering::Relaxed);
            (*slot).touch.copy(&touch);
        }
        if filling.has_heaps
            && let Some(heaps) = &mut filling.heaps[(index >> Page::<K, V>::SHIFT) as usize]
        {
            heaps[index as usize % Page::<K, V>::PAGE] = heap;
        }
        index
    }

    /// Empties a slot that was filled, and that nobody can be reading any more.
    ///
    /// # Safety
    ///
    /// It is not in the table, a grace period has passed since it was, and it was not emptied since.
    unsafe fn take(&self, filling: &mut Filling, index: u32) -> (K, V) {
        let slot = self.slot_mine(filling, index);
        // SAFETY: it is filled and nobody else's, by the caller's promise; from here on it counts as vacant.
        let entry = unsafe { ((*slot.key.get()).assume_init_read(), (*slot.value.get()).assume_init_read()) };
        self.vacate(filling, index);
        entry
    }

    /// Puts a slot that is out of the table into limbo; returns its heap bytes.
    pub(super) fn bury(
        &self,
        filling: &mut Filling,
        index: u32,
        cause: RemovalCause,
        limbo: &mut Limbo,
    ) -> u64 {
        let heap = self.heap(filling, index);
        let (page, at) = self.page_of(index);
        // SAFETY: the index lies in a page, and only the writer looks at its notes.
        unsafe {
            (*page.slots().add(at)).denounce();
            let own = &mut *page.own(at);
            (own.state, own.mark, own.pinned) = (State::Limbo(cause), limbo.first, false);
        }
        limbo.first = index;
        limbo.slots += 1;
        limbo.heap += heap;
        heap
    }

    /// Takes the slots out of limbo and empties them; `each` gets what was in them, and why it left.
    ///
    /// # Safety
    ///
    /// A grace period has passed since the last of them was unlinked.
    pub(super) unsafe fn take_all(
        &self,
        filling: &mut Filling,
        limbo: &mut Limbo,
        mut each: impl FnMut((K, V), RemovalCause, Parting),
    ) {
        let mut next = std::mem::replace(&mut limbo.first, NONE);
        (limbo.slots, limbo.heap) = (0, 0);
        while next != NONE {
            let index = next;
            let Own { mark, state, .. } = *self.own_ref(filling, index);
            next = mark;
            let parting = self.parting(filling, index);
            // SAFETY: slots in limbo are filled and out of the table; nobody reads them, by the caller's promise.
            let entry = unsafe { self.take(filling, index) };
            if let State::Limbo(cause) = state {
                each(entry, cause, parting);
            } else {
                debug_assert!(false, "a slot in limbo says so");
            }
        }
    }

    #[cfg(not(feature = "tiers"))]
    fn parting(&self, _filling: &Filling, _index: u32) -> Parting {
        Parting
    }

    /// What is known of an entry in limbo.
    #[cfg(feature = "tiers")]
    fn parting(&self, filling: &Filling, index: u32) -> Parting {
        let (left, cost) = self.own_ref(filling, index).node.parted();
        Parting { cost, left, ..self.linked(filling, index) }
    }

    /// What is known of an entry that is in the table, which has not left.
    #[cfg(feature = "tiers")]
    pub(super) fn linked(&self, filling: &Filling, index: u32) -> Parting {
        let own = self.own_ref(filling, index);
        let (left, cost) = (0, self.slot_mine(filling, index).fixed().cost());
        let hash = self.slot_mine(filling, index).fixed().hash() | u32::from(own.low);
        // SAFETY: the writer looks, and the columns exist where these variants say so.
        let (deadline, idle) = unsafe {
            match filling.expires {
                Expires::Never => (NEVER, NEVER),
                Expires::ByAge => (self.deadline(index).load(Ordering::Relaxed), NEVER),
                Expires::ByUse(tti) => {
                    let idle = self.used(index).load(Ordering::Relaxed).saturating_add(tti);
                    (self.deadline(index).load(Ordering::Relaxed), idle)
                }
            }
        };
        Parting { hash, cost, factor: own.factor, heap: self.heap(filling, index), deadline, idle, left }
    }

    fn vacate(&self, filling: &mut Filling, index: u32) {
        let next = filling.vacant;
        let own = self.own_mut(filling, index);
        (own.state, own.mark, own.pinned) = (State::Vacant, next, false);
        filling.vacant = index;
        filling.vacancies += 1;
    }

    /// Whether more than `slack` slots are vacant beside a page of them.
    pub(super) fn is_sparse(&self, filling: &Filling, slack: usize) -> bool {
        // Pages that came after those that are given up are not in the way for long.
        let open = filling.retired.is_empty() || filling.retired.end == filling.pages;
        filling.pages > 1
            && open
            && filling.last() > 0
            && filling.vacancies >= Page::<K, V>::len_of(filling.last()) + slack
    }

    /// Begins to give up the last page: the entries in it, for which there are vacant slots in others, where heap bytes can
    /// be noted. They are to be taken out of the table until a grace period has passed; then the page [ends](Self::retire),
    /// or else [stays](Self::stay). `None` when memory or, says `reserve`, the budget is exhausted; nothing has changed
    /// then.
    pub(super) fn entries_to_move(
        &self,
        filling: &mut Filling,
        reserve: &dyn Fn(u64) -> bool,
    ) -> Option<Few> {
        const { assert!(MOST <= Few::MOST, "the entries of a page are to be listed without an allocation") };
        let last = filling.last();
        let indices = Filling::indices::<K, V>(last);
        self.forget_vacancies(filling, indices.start);
        let mut entries = Few::new();
        for index in indices {
            if self.own(filling, index).state == State::Filled {
                entries.push(index);
            }
        }
        let heaps = filling.heaps[last].is_some();
        if heaps && !self.note_heaps_ahead(filling, entries.len(), reserve) {
            self.stay(filling, &entries);
            return None;
        }
        Some(entries)
    }

    /// The last page is not given up: these entries stay in it, and its other slots are vacant.
    pub(super) fn stay(&self, filling: &mut Filling, entries: &[u32]) {
        for index in Filling::indices::<K, V>(filling.last()).rev().filter(|index| !entries.contains(index)) {
            self.vacate(filling, index);
        }
    }

    /// Moves these entries, all that the last page has, to vacant slots of others; [`thaw`](Self::thaw) gives it up.
    /// `moved` hears of each that got a new index: from and to, while both can be read.
    ///
    /// # Safety
    ///
    /// They are out of the table, and a grace period has passed since.
    pub(super) unsafe fn retire(
        &self,
        filling: &mut Filling,
        entries: &[u32],
        mut moved: impl FnMut(&mut Filling, u32, u32),
    ) {
        let last = filling.last();
        for &from in entries {
            let to = filling.vacant;
            let (heap, next) = (self.heap(filling, from), self.own(filling, to).mark);
            (filling.vacant, filling.vacancies) = (next, filling.vacancies - 1);
            let ((old, old_at), (new, new_at)) = (self.page_of(from), self.page_of(to));
            // SAFETY: both are slots of pages that nobody reaches, by the caller's promise and because one is vacant; of
            // the old one nothing will be dropped.
            unsafe { copy_slot(old, old_at, new, new_at, filling.expires) };
            if let Some(heaps) = &mut filling.heaps[(to >> Page::<K, V>::SHIFT) as usize] {
                heaps[to as usize % Page::<K, V>::PAGE] = heap;
            }
            moved(filling, from, to);
        }
        for index in Filling::indices::<K, V>(last) {
            self.set_own(filling, index, Own { state: State::Retired, ..Own::default() });
        }
        let end = if filling.retired.is_empty() { last + 1 } else { filling.retired.end };
        filling.retired = last..end;
        filling.has_moved = true;
    }

    /// A grace period has passed since the last page retired: gives them up, or where others came after them, uses
    /// their slots again.
    pub(super) fn thaw(&self, filling: &mut Filling, limbo: &mut Limbo) {
        let retired = std::mem::replace(&mut filling.retired, 0..0);
        let given_up = retired.end == filling.pages;
        for at in retired.rev() {
            let indices = Filling::indices::<K, V>(at);
            if given_up {
                let (page, _) = self.page_of(indices.start);
                filling.allocated -= Page::<K, V>::bytes(page.len(), filling.expires);
                limbo.take_block(page.block(filling.expires));
                if filling.heaps[at].take().is_some() {
                    filling.allocated -= heaps_bytes(page.len());
                }
                filling.pages = at;
                filling.slots -= page.len();
            } else {
                for index in indices.rev() {
                    self.vacate(filling, index);
                }
            }
        }
    }

    /// Gives back a directory that is mostly empty, if there is room for a smaller one. Nobody has the index of a page
    /// that is gone.
    pub(super) fn shrink(&self, filling: &mut Filling, limbo: &mut Limbo, reserve: &dyn Fn(u64) -> bool) {
        debug_assert!(filling.retired.is_empty(), "a reader may look for a page beyond the directory");
        let room = filling.pages * 2;
        if filling.pages * 4 < filling.room
            && room > 0
            && reserve(directory_bytes(room))
            && self.redirect(filling, room, limbo)
        {
            filling.heaps.shrink_to_fit();
        }
    }

    /// Gives up all pages: no slot is filled or in limbo.
    pub(super) fn clear(&self, filling: &mut Filling, limbo: &mut Limbo) {
        let directory = self.directory.load(Ordering::Relaxed);
        if directory.is_null() {
            return;
        }
        let retired = filling.retired.clone().map(Page::<K, V>::len_of).sum::<usize>();
        debug_assert_eq!(filling.vacancies + retired, filling.slots);
        for at in 0..filling.pages {
            // SAFETY: the directory has an entry for each page.
            let page = Page(unsafe { &*directory.add(at) }.load(Ordering::Relaxed));
            limbo.take_block(page.block(filling.expires));
        }
        self.directory.store(ptr::null_mut(), Ordering::Release);
        limbo.take_block(Block::of(directory, directory_layout(filling.room)));
        *filling = Filling { has_moved: true, ..Filling::new(filling.expires) };
    }

    /// The vacant slots from `boundary` on are no longer in the chain.
    fn forget_vacancies(&self, filling: &mut Filling, boundary: u32) {
        let mut vacant = std::mem::replace(&mut filling.vacant, NONE);
        filling.vacancies = 0;
        while vacant != NONE {
            let next = self.own(filling, vacant).mark;
            if vacant < boundary {
                self.vacate(filling, vacant);
            }
            vacant = next;
        }
    }

    /// The pages of the next `count` vacant slots note heap bytes from here on.
    fn note_heaps_ahead(&self, filling: &mut Filling, count: usize, reserve: &dyn Fn(u64) -> bool) -> bool {
        let first = filling.vacant;
        let mut noted = true;
        for _ in 0..count {
            let page = (filling.vacant >> Page::<K, V>::SHIFT) as usize;
            noted = noted
                && (filling.heaps[page].is_some()
                    || (reserve(heaps_bytes(Page::<K, V>::len_of(page))) && self.note_heaps(filling, page)));
            filling.vacant = self.own(filling, filling.vacant).mark;
        }
        filling.vacant = first;
        noted
    }

    /// Drops every entry and frees every page.
    ///
    /// # Safety
    ///
    /// Nobody reads any more, nor will.
    pub(super) unsafe fn free(&self, filling: &mut Filling) {
        let mut limbo = Limbo::new();
        let mut entries = Vec::new();
        for index in (0..filling.pages).flat_map(Filling::indices::<K, V>) {
            if matches!(self.own(filling, index).state, State::Filled | State::Limbo(_)) {
                // SAFETY: it is filled, and nobody reads, by the caller's promise.
                entries.push(unsafe { self.take(filling, index) });
            }
        }
        self.clear(filling, &mut limbo);
        // SAFETY: by the caller's promise.
        unsafe { limbo.free_blocks() };
    }
}

fn heaps_bytes(slots: usize) -> u64 {
    allocation(slots * size_of::<u64>())
}

/// The heap bytes of a page in which no entry has any; `None` when memory is exhausted.
fn no_heaps(slots: usize) -> Option<Box<[u64]>> {
    let mut heaps = Vec::new();
    heaps.try_reserve_exact(slots).ok()?;
    heaps.resize(slots, 0);
    Some(heaps.into_boxed_slice())
}
