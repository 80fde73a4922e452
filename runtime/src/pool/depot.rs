//! The depot: idle objects of one pool that are in no thread's magazine, in a few lists with a lock each.
//!
//! Magazines bring and fetch batches, each thread at its home shard; who finds that one empty looks into the others. What
//! is dropped for want of room is taken from the cold ends. Not here: who decides about that.

use super::node::{List, Node, Own};
use super::shelf::Label;
use crate::sync::{AtomicU64, AtomicUsize, Mutex, Ordering};

pub(super) struct Depot<T> {
    shards: Box<[Shard<T>]>,
    /// Of all shards; behind what the lists say only while one of them is locked.
    len: AtomicUsize,
    /// Objects are lent in the order in which they came.
    is_fifo: bool,
}

#[repr(C)]
struct Shard<T> {
    list: Mutex<List<T>>,
    /// Bits of what its coldest object is worth, on the pool's own scale; infinite without one.
    coldest: AtomicU64,
    /// No two shards share a line of cache, wherever the first of them begins.
    _apart: [u64; 8],
}

impl<T> Depot<T> {
    /// `shelved` says that objects are looked for by what they were made for.
    pub(super) fn new(shards: usize, is_fifo: bool, shelved: bool) -> Self {
        let list = || if shelved { List::indexed() } else { List::new() };
        let shard = || Shard {
            list: Mutex::new(list()),
            coldest: AtomicU64::new(f64::INFINITY.to_bits()),
            _apart: [0; 8],
        };
        let shards = (0..shards.max(1)).map(|_| shard()).collect();
        Self { shards, len: AtomicUsize::new(0), is_fifo }
    }

    /// Bytes of the places.
    pub(super) fn bytes(&self) -> u64 {
        let lists: u64 = self.shards.iter().map(|shard| shard.list.lock().bytes()).sum();
        lists + crate::weight::block_of(std::alloc::Layout::for_value::<[Shard<T>]>(&self.shards))
    }

    /// Where [`len`](Self::len) is kept.
    pub(super) fn len_word(&self) -> &AtomicUsize {
        &self.len
    }

    pub(super) fn len(&self) -> usize {
        self.len.load(Ordering::Acquire)
    }

    /// What the coldest object of all is worth, before priority; infinite if there is none.
    pub(super) fn coldest(&self) -> f64 {
        let shards = self.shards.iter().map(|shard| f64::from_bits(shard.coldest.load(Ordering::Relaxed)));
        shards.fold(f64::INFINITY, f64::min)
    }

    /// Runs `act` on a shard's list, and notes what follows.
    fn with<R>(&self, at: usize, act: impl FnOnce(&mut List<T>) -> R) -> R {
        let shard = &self.shards[at % self.shards.len()];
        let mut list = shard.list.lock();
        let before = list.len();
        let result = act(&mut list);
        let coldest = list.coldest().map_or(f64::INFINITY, |node| node.credit);
        shard.coldest.store(coldest.to_bits(), Ordering::Relaxed);
        if list.len() >= before {
            self.len.fetch_add(list.len() - before, Ordering::SeqCst);
        } else {
            self.len.fetch_sub(before - list.len(), Ordering::SeqCst);
        }
        result
    }

    pub(super) fn put(&self, home: usize, own: Own<T>) {
        self.with(home, |list| list.push_warm(own));
    }

    pub(super) fn put_all(&self, home: usize, nodes: List<T>) {
        if nodes.len() > 0 {
            self.with(home, |list| list.put_warm(nodes));
        }
    }

    /// The next object to be lent, and up to `more` that would follow, which `keep` takes.
    pub(super) fn take(&self, home: usize, more: usize, mut keep: impl FnMut(Own<T>)) -> Option<Own<T>> {
        if self.len() == 0 {
            return None;
        }
        (home..home + self.shards.len()).find_map(|at| {
            let mut batch = List::new();
            let first = self.with(at, |list| {
                let first = if self.is_fifo { list.pop_cold() } else { list.pop_warm() }?;
                // Not more than half of what is there: others come, too.
                for _ in 0..more.min(list.len() / 2) {
                    list.pop_warm().into_iter().for_each(|own| batch.push_warm(own));
                }
                Some(first)
            })?;
            // Coldest first, so that the warmest is the next to be lent. Outside the lock.
            while let Some(own) = batch.pop_warm() {
                keep(own);
            }
            Some(first)
        })
    }

    /// The warmest object that was made for what is wanted.
    pub(super) fn find(&self, hash: u64, wanted: impl Fn(&dyn Label) -> bool) -> Option<Own<T>> {
        (0..self.shards.len()).find_map(|at| self.with(at, |list| list.take_from_shelf(hash, &wanted)))
    }

    /// So many objects may come to wait: says how many bytes it takes more for that.
    pub(super) fn expect(&self, objects: usize) -> u64 {
        self.shards.iter().map(|shard| shard.list.lock().expect(objects)).sum()
    }

    /// Takes the coldest object of all out, if it is worth no more than `upto`, before priority.
    pub(super) fn take_coldest(&self, upto: f64) -> Option<Own<T>> {
        let worth = |shard: &Shard<T>| f64::from_bits(shard.coldest.load(Ordering::Relaxed));
        let at = (0..self.shards.len())
            .min_by(|a, b| worth(&self.shards[*a]).total_cmp(&worth(&self.shards[*b])))?;
        self.with(at, |list| {
            let is_cheap = list.coldest().is_some_and(|node| node.credit <= upto);
            if is_cheap { list.pop_cold() } else { None }
        })
    }

    /// Takes all out for which `leaves` says so, which hears of each once, coldest first in each shard.
    pub(super) fn take_all(&self, mut leaves: impl FnMut(&mut Node<T>) -> bool) -> List<T> {
        let mut taken = List::new();
        for at in 0..self.shards.len() {
            let left = self.with(at, |list| list.take_all(&mut leaves));
            taken.put_warm(left);
        }
        taken
    }

    /// Whether no shard is locked by somebody who may never unlock it: in the child of a fork.
    pub(super) fn is_free(&self) -> bool {
        self.shards.iter().all(|shard| shard.list.try_lock().is_some())
    }

    /// Visits all, one shard's lock at a time: what is called is never the user's.
    pub(super) fn for_each(&self, mut visit: impl FnMut(&Node<T>)) {
        for shard in &self.shards {
            shard.list.lock().for_each(&mut visit);
        }
    }
}
