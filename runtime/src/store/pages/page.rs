//! A page: slots, before them the writer's notes on each, behind them the times of those that expire.
//!
//! ```text
//! [ own n-1 .. own 1, own 0 | slot 0, slot 1, .. slot n-1 | deadlines | times of use ]
//!                             ^ the page's address; its unused bits say how many
//! ```
//!
//! Not here: which slots are filled, and where pages are.

use std::alloc::Layout;
use std::cell::UnsafeCell;
use std::mem::MaybeUninit;
use std::ptr;

use crate::cost::NOTHING;
use crate::expiry::Expires;
use crate::policy::{Node, Touch};
use crate::removal::RemovalCause;
use crate::store::limbo::Block;
use crate::sync::{AtomicU32, AtomicU64, Ordering};
use crate::time::NEVER;

/// Slots in a full page.
pub(super) const MOST: usize = 64;

/// The most bytes of a page with more than one slot.
const PAGE_BYTES: usize = 8192;

/// The slots of a page start at a multiple of this, so that its length fits into the bits below.
const ALIGN: usize = 16;

/// An entry and what is known of it.
pub(in crate::store) struct Slot<K, V> {
    pub(super) key: UnsafeCell<MaybeUninit<K>>,
    pub(super) value: UnsafeCell<MaybeUninit<V>>,
    pub(in crate::store) touch: Touch,
    pub(super) fixed: AtomicU32,
}

/// What is known of an entry for as long as it is in the table: the hash without its lowest byte, and below it what a
/// miss would cost, on the scale of [`crate::cost`]; outside the table that is [`NOTHING`], so that who comes by a slot's
/// address alone sees that the entry is gone.
#[derive(Clone, Copy, Debug)]
pub(in crate::store) struct Fixed(pub(super) u32);

impl Fixed {
    /// Of an entry that is not in the table yet.
    pub(in crate::store) fn new(hash: u32) -> Self {
        Self(hash & !0xFF | u32::from(NOTHING))
    }

    fn at_cost(self, cost: u8) -> Self {
        Self(self.0 & !0xFF | u32::from(cost))
    }

    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(in crate::store) fn is_linked(self) -> bool {
        self.0 as u8 != NOTHING
    }

    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(in crate::store) fn may_be(self, hash: u32) -> bool {
        (self.0 ^ hash) >> 8 == 0
    }

    /// The hash but for its lowest byte, which only the table knows.
    pub(in crate::store) fn hash(self) -> u32 {
        self.0 & !0xFF
    }

    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(in crate::store) fn cost(self) -> u8 {
        self.0 as u8
    }
}

/// Where a slot is in its life.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::store) enum State {
    /// In nobody's reach.
    #[default]
    Vacant,
    /// In the table.
    Filled,
    /// Out of the table, for this reason, and perhaps still read.
    Limbo(RemovalCause),
    /// In a page that is given up; its entry, if it had one, is in another slot by now, and perhaps still read here.
    Retired,
}

/// The writer's notes.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::store) struct Own {
    pub(in crate::store) state: State,
    /// The user's factor, as a byte of [`crate::cost`].
    pub(in crate::store) factor: i8,
    /// The byte of the hash that the slot has no room for; of no meaning unless filled.
    pub(in crate::store) low: u8,
    /// The entry must not go to make room: it is filled, and not in the order.
    pub(in crate::store) pinned: bool,
    /// While the slot is filled its version: another one for each entry that is linked, so that one which was replaced
    /// is not taken for it. Otherwise the next slot that is vacant or in limbo, too.
    pub(in crate::store) mark: u32,
    /// The order's.
    pub(in crate::store) node: Node,
}

/// The state says why an entry left, and takes no more than a byte for it.
const _: () = assert!(size_of::<Own>() == 24);

/// How many times there are of each slot: its deadline, and its last use.
const fn columns(expires: Expires) -> usize {
    match expires {
        Expires::Never => 0,
        Expires::ByAge => 1,
        Expires::ByUse(_) => 2,
    }
}

/// A page's slots; the exponent of their number, a power of two, is packed into the unused bits of the address.
pub(super) struct Page<K, V>(pub(super) *mut Slot<K, V>);

impl<K, V> Clone for Page<K, V> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<K, V> Copy for Page<K, V> {}

impl<K, V> Page<K, V> {
    pub(super) const PAGE: usize = {
        let mut slots = MOST;
        while slots > 1 && slots * size_of::<Slot<K, V>>() > PAGE_BYTES {
            slots /= 2;
        }
        slots
    };
    pub(super) const SHIFT: u32 = Self::PAGE.trailing_zeros();

    /// How many slots the page at this place of the directory has.
    #[inline]
    pub(super) const fn len_of(page: usize) -> usize {
        let short = match page {
            0 => 4,
            1 => 16,
            _ => MOST,
        };
        if short < Self::PAGE { short } else { Self::PAGE }
    }

    fn layout(slots: usize, expires: Expires) -> Layout {
        let columns = columns(expires);
        let layout = || {
            let head = Layout::from_size_align(Self::head(slots), align_of::<Slot<K, V>>())?;
            let (layout, _) = head.extend(Layout::array::<Slot<K, V>>(slots)?)?;
            let (layout, _) = layout.extend(Layout::array::<AtomicU64>(slots * columns)?)?;
            Ok::<_, std::alloc::LayoutError>(layout.align_to(ALIGN)?.pad_to_align())
        };
        layout().expect("slots of this size exist elsewhere")
    }

    /// Bytes of the notes before the slots.
    fn head(slots: usize) -> usize {
        let align = if align_of::<Slot<K, V>>() > ALIGN { align_of::<Slot<K, V>>() } else { ALIGN };
        (slots * size_of::<Own>()).next_multiple_of(align)
    }

    pub(super) fn new(slots: usize, expires: Expires) -> Option<Self> {
        debug_assert!(slots.is_power_of_two() && slots <= MOST);
        let block = Block::new(Self::layout(slots, expires))?;
        // SAFETY: the notes are in the block.
        let first = unsafe { block.cast::<u8>().add(Self::head(slots)) }.cast::<Slot<K, V>>();
        let page = Self(first.map_addr(|addr| addr | slots.trailing_zeros() as usize));
        for at in 0..slots {
            // SAFETY: the layout has room for so many slots and notes, and nobody has seen the page.
            unsafe {
                page.slots().add(at).write(Slot::vacant());
                page.own(at).write(Own::default());
            }
        }
        for at in 0..slots * columns(expires) {
            // SAFETY: the layout has room for so many times behind the slots, and nobody has seen the page.
            unsafe { page.times().add(at).write(AtomicU64::new(NEVER)) };
        }
        Some(page)
    }

    pub(super) fn len(self) -> usize {
        1 << (self.0.addr() % ALIGN)
    }

    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(super) fn slots(self) -> *mut Slot<K, V> {
        self.0.map_addr(|addr| addr & !(ALIGN - 1))
    }

    /// The writer's notes on a slot: a column apart, so that what hits read lies close together.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(super) fn own(self, at: usize) -> *mut Own {
        self.slots().cast::<Own>().wrapping_sub(at + 1)
    }

    /// The columns of times, deadlines first; only where entries expire.
    pub(super) fn times(self) -> *mut AtomicU64 {
        let end = self.slots().wrapping_add(self.len()).cast::<u8>();
        end.wrapping_add(end.align_offset(align_of::<AtomicU64>())).cast()
    }

    pub(super) fn block(self, expires: Expires) -> Block {
        let start = self.slots().cast::<u8>().wrapping_sub(Self::head(self.len()));
        Block::of(start, Self::layout(self.len(), expires))
    }

    pub(super) fn bytes(slots: usize, expires: Expires) -> u64 {
        Block::bytes(Self::layout(slots, expires))
    }
}

impl<K, V> Slot<K, V> {
    fn vacant() -> Self {
        Self {
            key: UnsafeCell::new(MaybeUninit::uninit()),
            value: UnsafeCell::new(MaybeUninit::uninit()),
            touch: Touch::new(0),
            fixed: AtomicU32::new(Fixed::new(0).0),
        }
    }

    /// # Safety
    ///
    /// The slot is filled, or in limbo, and stays so while the reference is used.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(in crate::store) unsafe fn key(&self) -> &K {
        // SAFETY: by the caller's promise it is initialised, and nobody writes it.
        unsafe { (*self.key.get()).assume_init_ref() }
    }

    /// # Safety
    ///
    /// As for [`key`](Self::key).
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(in crate::store) unsafe fn value(&self) -> &V {
        // SAFETY: by the caller's promise it is initialised, and nobody writes it.
        unsafe { (*self.value.get()).assume_init_ref() }
    }

    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(in crate::store) fn fixed(&self) -> Fixed {
        Fixed(self.fixed.load(Ordering::Relaxed))
    }

    /// [`fixed`](Self::fixed), for who comes by the slot's address alone: where it is linked, the rest was there before.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(in crate::store) fn fixed_now(&self) -> Fixed {
        Fixed(self.fixed.load(Ordering::Acquire))
    }

    /// The entry is in the table from now on.
    pub(in crate::store) fn announce(&self, cost: u8) {
        // Release: who sees it may read key and value.
        self.fixed.store(self.fixed().at_cost(cost).0, Ordering::Release);
    }

    /// The entry is about to leave the table. Before it does: who has the slot's address must not find it longer than
    /// others do.
    pub(in crate::store) fn denounce(&self) {
        self.fixed.store(self.fixed().at_cost(NOTHING).0, Ordering::Release);
    }
}

/// Copies a slot with its times, all but what it is worth to who comes by its address: it is in no table.
///
/// # Safety
///
/// Both are slots of their pages, and nobody reaches either; the entry is dropped through one of the two only.
pub(super) unsafe fn copy_slot<K, V>(
    old: Page<K, V>,
    from: usize,
    new: Page<K, V>,
    to: usize,
    expires: Expires,
) {
    // SAFETY: both slots exist, and are the caller's alone.
    unsafe {
        let (source, target) = (&*old.slots().add(from), &*new.slots().add(to));
        ptr::copy_nonoverlapping(source.key.get(), target.key.get(), 1);
        ptr::copy_nonoverlapping(source.value.get(), target.value.get(), 1);
        *new.own(to) = *old.own(from);
        target.touch.copy(&source.touch);
        for column in 0..columns(expires) {
            let time = &*old.times().add(column * old.len() + from);
            (*new.times().add(column * new.len() + to))
                .store(time.load(Ordering::Relaxed), Ordering::Relaxed);
        }
        target.fixed.store(source.fixed().0, Ordering::Relaxed);
    }
}
