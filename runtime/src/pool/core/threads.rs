//! What threads keep of a pool for themselves: the list of its magazines, their bytes, and how what lies in them is found.
//!
//! Not here: what a magazine is.

use std::sync::{Arc, Weak};

use super::PoolCore;
use crate::cost;
use crate::pool::magazine::{Gate, Magazine};
use crate::pool::node::List;
use crate::sync::Ordering;
use crate::tenant::arc;
use crate::weight::weigh::allocation;

/// The magazines of a pool.
pub(super) struct Magazines<T> {
    pub(super) list: Vec<Arc<Magazine<T>>>,
    /// Bytes charged for the list and for what is on it.
    pub(super) charged: u64,
    /// For the next one's home in the depot.
    pub(super) next: usize,
}

impl<T> Magazines<T> {
    pub(super) fn bytes(&self) -> u64 {
        PoolCore::<T>::bytes_of(self.list.capacity(), self.list.len())
    }
}

impl<T> PoolCore<T> {
    /// Gives this thread a magazine, if there is room for one.
    pub(in crate::pool) fn enlist(&self)
    where
        T: 'static,
    {
        let mut magazines = self.magazines.lock();
        // What magazines may hold is part of what may be idle.
        let granted = (magazines.list.len() as u64 + 1) * u64::from(self.most);
        if self.options.max_idle < u64::MAX && granted > self.options.max_idle {
            return;
        }
        let list = &magazines.list;
        let capacity = if list.len() < list.capacity() { list.capacity() } else { list.len() + 8 };
        let all = Self::bytes_of(capacity, list.len() + 1);
        let more = all.saturating_sub(magazines.charged);
        if self.card.reservation.try_grow(more, self.card.ceiling()).is_err() {
            return;
        }
        magazines.charged += more;
        let spare = capacity - magazines.list.len();
        magazines.list.reserve_exact(spare);
        let home = magazines.next;
        magazines.next += 1;
        let magazine = Arc::new(Magazine::new(Weak::clone(&self.me), self.most, home));
        magazines.list.push(Arc::clone(&magazine));
        if let Some(stand_in) = self.stand_in.get() {
            stand_in.watch(&magazine);
        }
        drop(magazines);
        self.place.sit(&magazine);
    }

    /// Bytes of magazines and of their list.
    fn bytes_of(capacity: usize, len: usize) -> u64 {
        allocation(capacity * size_of::<Arc<Magazine<T>>>()) + arc::<Magazine<T>>() * len as u64
    }

    /// Takes a magazine back from a thread that ends, or has no use for it.
    pub(in crate::pool) fn retire(&self, magazine: &Arc<Magazine<T>>) {
        let mut magazines = self.magazines.lock();
        let Some(at) = magazines.list.iter().position(|other| Arc::ptr_eq(other, magazine)) else { return };
        let gone = magazines.list.swap_remove(at);
        self.count(&gone);
        if let Some(stand_in) = self.stand_in.get() {
            stand_in.forget(&gone);
        }
        // Its owner is here, and not at it.
        let left = gone.empty();
        if magazines.list.len() * 4 < magazines.list.capacity() {
            let keep = magazines.list.len();
            magazines.list.shrink_to(keep);
        }
        let surplus = magazines.charged.saturating_sub(magazines.bytes());
        magazines.charged -= surplus;
        drop(magazines);
        drop(gone);
        self.card.reservation.shrink(surplus);
        if let Some(list) = left {
            self.stow(magazine.home, list);
        }
    }

    /// Counts the leases of a magazine for the pool. With the list of magazines locked.
    pub(super) fn count(&self, magazine: &Magazine<T>) {
        let hits = magazine.hits();
        let new = hits.wrapping_sub(magazine.counted.swap(hits, Ordering::Relaxed));
        self.card.tally.fold(new, new.saturating_mul(cost::decode(self.costs.current())));
        let leases = magazine.leases();
        self.depths.lent_near(leases.wrapping_sub(magazine.learned.swap(leases, Ordering::Relaxed)));
    }

    /// Counts the leases of all magazines.
    pub(in crate::pool) fn count_all(&self) {
        self.magazines.lock().list.iter().for_each(|magazine| self.count(magazine));
    }

    /// Moves what waits in magazines to the depot.
    pub(in crate::pool) fn gather(&self) {
        self.gather_from(|_| true);
    }

    /// The same for those who have not used their magazine since the last time.
    pub(in crate::pool) fn gather_stale(&self) {
        self.gather_from(|magazine| {
            let hits = magazine.hits().wrapping_add(1);
            magazine.swept.swap(hits, Ordering::Relaxed) == hits
        });
    }

    fn gather_from(&self, mut chosen: impl FnMut(&Magazine<T>) -> bool) {
        let magazines = self.magazines.lock();
        let chosen: Vec<_> = magazines.list.iter().filter(|magazine| chosen(magazine)).collect();
        if chosen.is_empty() {
            return;
        }
        self.gate.shut(Gate::DRAINED);
        let mut all = Vec::with_capacity(chosen.len());
        if self.gate.settle() {
            all.extend(chosen.iter().filter_map(|magazine| Some((magazine.home, magazine.empty()?))));
        }
        for (home, list) in &mut all {
            self.appraise(list);
            let list = std::mem::replace(list, List::new());
            self.depot.put_all(*home, list);
        }
        self.gate.open(Gate::DRAINED);
        drop(magazines);
        let beyond = self.keep_bounds();
        self.publish();
        self.serve();
        drop(beyond);
    }

    /// Takes the magazines' bytes off the books: the limit is too low even for them.
    pub(in crate::pool) fn uncharge_magazines(&self) -> u64 {
        let mut magazines = self.magazines.lock();
        let charged = std::mem::take(&mut magazines.charged);
        self.card.reservation.shrink(charged);
        charged
    }

    /// The other way round, if there is room by now.
    pub(super) fn charge_magazines(&self) {
        let mut magazines = self.magazines.lock();
        let more = magazines.bytes().saturating_sub(magazines.charged);
        if self.card.reservation.try_grow(more, self.card.ceiling()).is_ok() {
            magazines.charged += more;
        }
    }

    /// Bytes of magazines that are not charged, because there was no room for them.
    pub(in crate::pool) fn uncharged_magazines(&self) -> u64 {
        let magazines = self.magazines.lock();
        magazines.bytes().saturating_sub(magazines.charged)
    }
}
