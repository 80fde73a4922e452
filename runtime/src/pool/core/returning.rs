//! How objects come back: reset, weighed, and put where the next lease finds them, or dropped.
//!
//! The usual return is [`PoolCore::give_back`], which ends in the thread's magazine; everything else here is off that path.

use std::sync::Arc;

use super::PoolCore;
use crate::pool::magazine::{Gate, Pushed};
use crate::pool::node::{Kind, List, Node, Own, Way};
use crate::pressure::Level;
use crate::sync::Ordering;

impl<T> PoolCore<T> {
    /// Whether nothing is to be done with an object that comes back now, but to keep it.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(in crate::pool) fn is_plain(own: &Own<T>) -> bool {
        own.way == Way::Plain && !std::thread::panicking()
    }

    /// The end of a lease: the object is reset and waits for the next, or goes. Said to be [plain](Self::is_plain) by the
    /// caller, who has not taken the object then: so the look needs no code for a panic.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(in crate::pool) fn give_back(mut own: Own<T>, is_plain: bool) {
        own.seen = 0;
        if is_plain {
            // SAFETY: the object keeps its pool, and nobody else has the object until it is pushed. Nothing is asked of the pool
            // after that.
            let core = unsafe { &*Arc::as_ptr(&own.core) };
            if let Some(magazine) = core.magazine_of_last() {
                // SAFETY: the object keeps the pool until it is pushed.
                match unsafe { magazine.push_near(&raw const core.gate, own) } {
                    Ok(()) => return,
                    Err(back) => own = back,
                }
            }
        }
        // One call for all else: this is compiled into whatever drops a lease.
        Self::give_back_used(own);
    }

    /// The same, where something has to be done with the object first, or another pool lent last.
    #[inline(never)]
    fn give_back_used(mut own: Own<T>) {
        // SAFETY: as in `give_back`.
        let core = unsafe { &*Arc::as_ptr(&own.core) };
        if own.way != Way::Afar && !std::thread::panicking() {
            if own.way == Way::Plain {
                return Self::put_near(core, own);
            }
            if let Some(renew) = core.at_once
                && !core.mode.get().is_bypass()
            {
                return match renew(&mut own.object) {
                    Some(heap) if heap == own.heap => Self::put_near(core, own),
                    Some(heap) => Self::renew_afar(own, heap),
                    None => drop(own),
                };
            }
        }
        Self::renew(own);
    }

    /// Puts an object that is as good as new into the thread's magazine, or wherever else it belongs.
    ///
    /// `core` is the object's.
    #[cfg_attr(not(debug_assertions), inline(always))]
    fn put_near(core: &Self, own: Own<T>) {
        match core.magazine_of_last().or_else(|| core.magazine()) {
            // SAFETY: the object keeps the pool until it is pushed.
            Some(magazine) => match unsafe { magazine.push_near(&raw const core.gate, own) } {
                Ok(()) => {}
                Err(own) => Self::come_back(own),
            },
            None => Self::come_back(own),
        }
    }

    /// The end of a lease where there is more to do.
    ///
    /// User code runs before the object is anywhere else, so that a panic finds it owned, and drops it.
    #[inline(never)]
    fn renew(mut own: Own<T>) {
        // SAFETY: as in `give_back`.
        let core = unsafe { &*Arc::as_ptr(&own.core) };
        if own.kind != Kind::Member || core.mode.get().is_bypass() || std::thread::panicking() {
            return drop(own);
        }
        let Some(heap) = core.recipe.renews(&mut own.object) else { return drop(own) };
        let label = own.shelf.as_ref().map_or(0, |place| place.bytes());
        let heap = heap + label;
        if heap != own.heap || own.way == Way::Afar {
            return Self::renew_afar(own, heap);
        }
        if core.looks {
            own.since = core.domain.clock.recent();
        }
        Self::put_near(core, own);
    }

    /// [`renew`](Self::renew) of an object that weighs something else, or is not for magazines.
    #[cold]
    #[inline(never)]
    fn renew_afar(mut own: Own<T>, heap: u64) {
        let core = Arc::clone(&own.core);
        if heap != own.heap || own.charged == 0 || heap > core.options.max_object {
            match core.reweigh(own, heap) {
                Some(weighed) => own = weighed,
                None => return,
            }
        }
        if core.looks {
            own.since = core.domain.clock.recent();
        }
        if own.way == Way::Afar {
            return core.come_back_to(own);
        }
        Self::put_near(&core, own);
    }

    /// An object that found no place near.
    #[cold]
    #[inline(never)]
    fn come_back(mut own: Own<T>) {
        // SAFETY: as in `give_back`.
        let core = unsafe { &*Arc::as_ptr(&own.core) };
        if own.way != Way::Afar
            && !core.mode.get().is_bypass()
            && let Some(magazine) = core.magazine()
        {
            // SAFETY: the object keeps the pool until it is pushed.
            match unsafe { magazine.push(&raw const core.gate, own) } {
                Pushed::Kept => return,
                Pushed::Spilled(list) => return Self::spill(list, magazine.home),
                Pushed::Refused(refused) => own = refused,
            }
        }
        let core = Arc::clone(&own.core);
        core.come_back_to(own);
    }

    /// The same, where this thread has no magazine, or it is shut.
    fn come_back_to(&self, own: Own<T>) {
        self.heed();
        if self.mode.get().is_bypass() {
            return drop(own);
        }
        if own.way == Way::Afar || self.magazine().is_some() || !self.gate.is_open() {
            return self.stow_back(own);
        }
        (self.proof.enlist)(&self.me());
        match self.magazine() {
            None => self.stow_back(own),
            // SAFETY: the pool is borrowed.
            Some(magazine) => match unsafe { magazine.push(&self.gate, own) } {
                Pushed::Kept => {}
                Pushed::Spilled(list) => self.stow(magazine.home, list),
                Pushed::Refused(own) => self.stow_back(own),
            },
        }
    }

    /// A batch that a magazine had no room for. Its objects keep the pool.
    fn spill(list: List<T>, home: usize) {
        let Some(core) = list.coldest().map(|node| Arc::clone(&node.core)) else { return };
        core.stow(home, list);
    }

    /// An object that comes back by way of the depot, where it is looked at more closely.
    pub(in crate::pool) fn stow_back(&self, own: Own<T>) {
        if self.gate.has(Gate::CLOSED | Gate::ALERT) && !self.heeds() {
            return drop(own);
        }
        let own = match self.hand_over(own) {
            Ok(()) => return,
            Err(own) => own,
        };
        let home = self.magazine().map_or(0, |magazine| magazine.home);
        let mut list = List::new();
        list.push_warm(own);
        self.stow(home, list);
    }

    /// Whether an object that comes back may stay. Not above the limit: nobody may come soon to take it away again.
    fn heeds(&self) -> bool {
        let ledger = &self.domain.ledger;
        if self.gate.has(Gate::CLOSED)
            || self.domain.level() == Level::Emergency
            || ledger.used() > ledger.allowed()
            || self.members.load(Ordering::SeqCst) > self.max.load(Ordering::SeqCst)
        {
            return false;
        }
        self.gate.open(Gate::ALERT);
        self.charge_magazines();
        true
    }

    /// Puts objects into the depot, says what they are worth, and gives them to who waits.
    pub(in crate::pool) fn stow(&self, home: usize, mut list: List<T>) {
        self.appraise(&mut list);
        self.depot.put_all(home, list);
        let beyond = self.keep_bounds();
        self.publish();
        self.serve();
        drop(beyond);
    }

    /// Says what objects are worth that come to wait in the depot from here on.
    pub(super) fn appraise(&self, list: &mut List<T>) {
        let level = self.domain.inflation() / self.card.scale();
        list.for_each_mut(|node| {
            node.credit = level + self.density_of(node.weight());
        });
    }

    /// The object weighs something else than when it was lent: shrinks it if it is too large, and charges it anew.
    /// `None` when it had to go.
    #[cold]
    fn reweigh(&self, mut own: Own<T>, heap: u64) -> Option<Own<T>> {
        let mut heap = heap;
        if heap > self.options.max_object {
            let node = &mut *own;
            if let Some(trim) = &self.recipe.trim {
                // A little less, so that what the allocator adds to each block fits, too.
                let label = node.shelf.as_ref().map_or(0, |place| place.bytes());
                let most = self.options.max_object;
                trim(&mut node.object, (most - most / 8).saturating_sub(label));
            }
            heap = self.heap(&own.object, &own.shelf);
            if heap > self.options.max_object {
                return None;
            }
        }
        let weight = Node::<T>::block() + heap;
        self.typical.store(weight, Ordering::Relaxed);
        if own.charged == 0 {
            // It went out without: now it stays only if there is room, and nobody is evicted for it.
            self.card.reservation.try_grow(weight, self.card.ceiling()).ok()?;
            self.uncharged.fetch_sub(own.weight(), Ordering::Relaxed);
        } else if weight > own.charged {
            self.card.reservation.try_grow(weight - own.charged, self.card.ceiling()).ok()?;
        } else {
            self.card.reservation.shrink(own.charged - weight);
        }
        (own.heap, own.charged) = (heap, weight);
        own.way = self.way_of(&own);
        Some(own)
    }
}
