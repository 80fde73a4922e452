//! One pooled object with what the pool knows of it, and lists of those that wait.
//!
//! An object lives in a block of its own from the moment it is made until it leaves the pool, idle or leased: lending
//! it moves a pointer, waiting in a list needs no memory, and the block is charged once. Here is also the end of every
//! object: [`Own`] is a node that nobody else knows, and dropping it settles the books. Not here: who holds which list.

use std::alloc::Layout;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};
use std::ptr::{self, NonNull};
use std::sync::Arc;

use super::PoolCore;
use super::shelf::{Index, Label, Shelf};
use crate::boundary::outside;
use crate::time::Nanos;
use crate::unwind::each_to_the_end;
use crate::weight::block_of;
use crate::weight::weigh::allocation;

/// A pooled object and its facts.
pub(crate) struct Node<T> {
    /// The next colder one of the list that it waits in.
    next: *mut Node<T>,
    /// The next warmer one.
    prev: *mut Node<T>,
    pub(super) object: T,
    pub(super) core: Arc<PoolCore<T>>,
    /// Where it belongs.
    pub(super) shelf: Shelf<T>,
    /// Heap bytes of the object and of its label, as weighed last.
    pub(super) heap: u64,
    /// Bytes charged for it: its block and its heap, or nothing where there was no room.
    pub(super) charged: u64,
    /// What keeping it is worth; set when it comes into the depot.
    pub(super) credit: f64,
    /// When it came back, in pools whose objects age.
    pub(super) since: Nanos,
    /// When its lifetime is over.
    pub(super) until: Nanos,
    pub(super) kind: Kind,
    pub(super) way: Way,
    /// So many sweeps found it idle since its last lease.
    pub(super) seen: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Counts among the pool's objects; goes back.
    Member,
    /// Made beyond the bound; charged, dropped at the end.
    Surplus,
    /// Made while pooling was off: the pool knows nothing of it.
    Outside,
}

/// How an object comes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// By the depot, or not at all.
    Afar,
    /// To a magazine, if it weighs what it did: it is a member, charged, and not too heavy.
    Near,
    /// The same, and there is nothing to be done with it before.
    Plain,
}

impl<T> Node<T> {
    /// Bytes of the block that each object lives in.
    pub(super) fn block() -> u64 {
        block_of(Layout::new::<Self>())
    }

    pub(super) fn weight(&self) -> u64 {
        Self::block() + self.heap
    }
}

/// A node that belongs to whoever has this, alone. Dropped, its object leaves the pool: books first, then the user's
/// `Drop`.
pub(crate) struct Own<T> {
    node: NonNull<Node<T>>,
    _owns: PhantomData<Node<T>>,
}

// SAFETY: an owned node is in nobody's list, so its links mean nothing; what moves with it is the object, and the pool,
// which any thread may use as long as objects may move between threads.
unsafe impl<T: Send> Send for Own<T> {}
// SAFETY: a shared one gives shared access to the object, and to the pool as above.
unsafe impl<T: Send + Sync> Sync for Own<T> {}

/// What is known of a node beside its object, as [`Own::new`] takes it.
pub(super) struct Facts<T> {
    pub(super) shelf: Shelf<T>,
    pub(super) heap: u64,
    pub(super) charged: u64,
    pub(super) until: Nanos,
    pub(super) kind: Kind,
}

impl<T> Own<T> {
    pub(super) fn new(core: Arc<PoolCore<T>>, object: T, facts: Facts<T>) -> Self {
        let Facts { shelf, heap, charged, until, kind } = facts;
        let node = Box::new(Node {
            next: ptr::null_mut(),
            prev: ptr::null_mut(),
            object,
            core,
            shelf,
            heap,
            charged,
            credit: 0.0,
            since: 0,
            until,
            kind,
            way: Way::Afar,
            seen: 0,
        });
        Self { node: NonNull::from(Box::leak(node)), _owns: PhantomData }
    }

    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(super) fn into_raw(self) -> *mut Node<T> {
        let node = self.node.as_ptr();
        std::mem::forget(self);
        node
    }

    /// # Safety
    ///
    /// The node came from [`into_raw`](Self::into_raw), and nobody else has it.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(super) unsafe fn from_raw(node: NonNull<Node<T>>) -> Self {
        Self { node, _owns: PhantomData }
    }

    /// Where its block is, which tells it from all others that are alive.
    #[cfg(feature = "leak-report")]
    pub(super) fn block_at(&self) -> usize {
        self.node.as_ptr().addr()
    }

    /// Takes the object out of the pool and of its books.
    pub(super) fn take_apart(self) -> T {
        let node = self.node.as_ptr();
        std::mem::forget(self);
        // SAFETY: the block was boxed in `new`, and `self`, which alone knew it, is gone.
        let node = *unsafe { Box::from_raw(node) };
        let Node { object, core, shelf, heap, charged, kind, .. } = node;
        drop(shelf);
        core.let_go(kind, Self::weight_of(heap), charged);
        object
    }

    fn weight_of(heap: u64) -> u64 {
        Node::<T>::block() + heap
    }
}

impl<T> Drop for Own<T> {
    #[cold]
    fn drop(&mut self) {
        // SAFETY: `self` is not used again.
        let own = unsafe { Self::from_raw(self.node) };
        let apart = own.take_apart();
        // The user's `Drop` runs here, with no lock of ours.
        outside(|| drop(apart));
    }
}

impl<T> Deref for Own<T> {
    type Target = Node<T>;
    #[cfg_attr(not(debug_assertions), inline(always))]
    fn deref(&self) -> &Node<T> {
        // SAFETY: the node lives as long as `self`, which owns it.
        unsafe { self.node.as_ref() }
    }
}

impl<T> DerefMut for Own<T> {
    #[cfg_attr(not(debug_assertions), inline(always))]
    fn deref_mut(&mut self) -> &mut Node<T> {
        // SAFETY: as above, and nobody else knows it.
        unsafe { self.node.as_mut() }
    }
}

/// Nodes that wait, from the warmest to the coldest. Needs no memory. Dropped, all of them leave the pool.
///
/// ```text
///   warm ──next──► ● ──next──► ● ──next──► ● ◄── cold
///                    ◄──prev──   ◄──prev──
/// ```
pub(super) struct List<T> {
    warm: *mut Node<T>,
    cold: *mut Node<T>,
    len: usize,
    /// Of a list in which objects are looked for by what they were made for.
    index: Option<Box<Index<T>>>,
}

// SAFETY: a list owns its nodes; see `Own`.
unsafe impl<T: Send> Send for List<T> {}

impl<T> List<T> {
    pub(super) const fn new() -> Self {
        Self { warm: ptr::null_mut(), cold: ptr::null_mut(), len: 0, index: None }
    }

    /// A list in which objects are [found](Self::take_from_shelf) by what they were made for.
    pub(super) fn indexed() -> Self {
        Self { index: Some(Box::new(Index::new())), ..Self::new() }
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn coldest(&self) -> Option<&Node<T>> {
        // SAFETY: a list's nodes live as long as they are in it.
        unsafe { self.cold.as_ref() }
    }

    pub(super) fn push_warm(&mut self, own: Own<T>) {
        let at = own.into_raw();
        // SAFETY: it was owned until now, so nobody else looks at it.
        let node = unsafe { &mut *at };
        (node.next, node.prev) = (self.warm, ptr::null_mut());
        // SAFETY: the list's own.
        match unsafe { self.warm.as_mut() } {
            Some(warm) => warm.prev = at,
            None => self.cold = at,
        }
        self.warm = at;
        self.len += 1;
        if let Some(index) = &mut self.index {
            // SAFETY: it is in this list since a moment, and was in none before.
            unsafe { index.insert(at) };
        }
    }

    pub(super) fn pop_warm(&mut self) -> Option<Own<T>> {
        NonNull::new(self.warm).map(|at| self.unlink(at))
    }

    pub(super) fn pop_cold(&mut self) -> Option<Own<T>> {
        NonNull::new(self.cold).map(|at| self.unlink(at))
    }

    /// Puts all of `other` in front of what is there, as warm as it was.
    pub(super) fn put_warm(&mut self, mut other: Self) {
        if self.index.is_some() {
            while let Some(own) = other.pop_cold() {
                self.push_warm(own);
            }
            return;
        }
        // SAFETY: the nodes are those of the two lists.
        match (unsafe { other.cold.as_mut() }, unsafe { self.warm.as_mut() }) {
            (None, _) => return,
            (Some(_), None) => (self.warm, self.cold) = (other.warm, other.cold),
            (Some(seam), Some(warm)) => {
                seam.next = self.warm;
                warm.prev = other.cold;
                self.warm = other.warm;
            }
        }
        self.len += other.len;
        (other.warm, other.cold, other.len) = (ptr::null_mut(), ptr::null_mut(), 0);
    }

    /// Takes the warmest out that was made for what is wanted; `hash` is that of it.
    pub(super) fn take_from_shelf(
        &mut self,
        hash: u64,
        wanted: impl Fn(&dyn Label) -> bool,
    ) -> Option<Own<T>> {
        let found = self.index.as_ref()?.find(hash, wanted);
        NonNull::new(found).map(|at| self.unlink(at))
    }

    /// Makes the index fit for so many objects; says how many bytes it takes more.
    pub(super) fn expect(&mut self, objects: usize) -> u64 {
        let Some(mut index) = self.index.take() else { return 0 };
        let before = index.bytes();
        index.grow(objects, |visit| {
            let mut at = self.cold;
            while !at.is_null() {
                visit(at);
                // SAFETY: the list's own nodes.
                at = unsafe { &*at }.prev;
            }
        });
        let more = index.bytes() - before;
        self.index = Some(index);
        more
    }

    /// Bytes that the list takes beside its nodes.
    pub(super) fn bytes(&self) -> u64 {
        self.index.as_ref().map_or(0, |index| allocation(size_of::<Index<T>>()) + index.bytes())
    }

    /// Takes all out for which `leaves` says so, which is asked once for each, coldest first.
    pub(super) fn take_all(&mut self, mut leaves: impl FnMut(&mut Node<T>) -> bool) -> Self {
        let mut taken = Self::new();
        let mut at = self.cold;
        // SAFETY: the list's own nodes.
        while let Some(node) = unsafe { at.as_mut() } {
            let warmer = node.prev;
            if leaves(node)
                && let Some(at) = NonNull::new(at)
            {
                let own = self.unlink(at);
                taken.push_warm(own);
            }
            at = warmer;
        }
        taken
    }

    /// Visits all, to change what is known of them.
    pub(super) fn for_each_mut(&mut self, mut visit: impl FnMut(&mut Node<T>)) {
        let mut at = self.warm;
        // SAFETY: the list's own nodes.
        while let Some(node) = unsafe { at.as_mut() } {
            at = node.next;
            visit(node);
        }
    }

    pub(super) fn for_each(&self, mut visit: impl FnMut(&Node<T>)) {
        let mut at = self.warm;
        // SAFETY: the list's own nodes.
        while let Some(node) = unsafe { at.as_ref() } {
            visit(node);
            at = node.next;
        }
    }

    fn unlink(&mut self, at: NonNull<Node<T>>) -> Own<T> {
        if let Some(index) = &mut self.index {
            // SAFETY: `at` is in this list.
            unsafe { index.remove(at.as_ptr()) };
        }
        // SAFETY: `at` is in this list, which alone knows it; from here on its owner does.
        let own = unsafe { Own::from_raw(at) };
        // SAFETY: neighbours are in the list, too.
        match unsafe { own.prev.as_mut() } {
            Some(warmer) => warmer.next = own.next,
            None => self.warm = own.next,
        }
        // SAFETY: as above.
        match unsafe { own.next.as_mut() } {
            Some(colder) => colder.prev = own.prev,
            None => self.cold = own.prev,
        }
        self.len -= 1;
        own
    }
}

impl<T> Drop for List<T> {
    fn drop(&mut self) {
        if self.len > 0 {
            each_to_the_end(std::iter::from_fn(|| self.pop_cold()), drop);
        }
    }
}
