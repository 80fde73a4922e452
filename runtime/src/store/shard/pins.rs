//! Entries that must not go to make room: they are in the table and in the pages, and not in the order of eviction.
//!
//! A pin is a mark on the slot and nothing else. Who evicts asks the order, and so never comes upon one; who removes by
//! key, expires or clears finds the entry as any other. Not here: who pins, and what becomes of an entry that finds no
//! room in the order again.

use super::super::pages::Own;
use super::super::{Charge, Store};
use super::{Inner, NotLinked, View, Writer};
use crate::budget::Reservation;
use crate::policy::{Moment, Order};
use crate::time::Nanos;

impl<K, V> Store<K, V> {
    /// Pins the entry with this key; `false` when there is none, or an expired one.
    pub(crate) fn pin(
        &self,
        hash: u64,
        eq: impl FnMut(&K) -> bool,
        now: Nanos,
        reservation: &Reservation,
    ) -> bool {
        let mut locked = self.lock(self.at(hash), reservation);
        let pinned = locked.writer().is_some_and(|mut shard| shard.pin(hash, eq, now));
        locked.publish();
        pinned
    }

    /// Whether the entry with this key is pinned.
    pub(crate) fn is_pinned(
        &self,
        hash: u64,
        eq: impl FnMut(&K) -> bool,
        now: Nanos,
        reservation: &Reservation,
    ) -> bool {
        let mut locked = self.lock(self.at(hash), reservation);
        locked.writer().is_some_and(|shard| shard.is_pinned(hash, eq, now))
    }

    /// Puts the entry with this key into the order again; `false` when there is none that is pinned.
    ///
    /// # Errors
    ///
    /// When the order has no room for it, and cannot grow: the entry stays pinned.
    pub(crate) fn unpin(
        &self,
        hash: u64,
        eq: impl FnMut(&K) -> bool,
        charge: &Charge<'_>,
    ) -> Result<bool, NotLinked> {
        let mut moment = charge.moment;
        moment.exact = self.exact;
        moment.tick = self.tick();
        let mut locked = self.lock(self.at(hash), charge.reservation);
        let Some(mut shard) = locked.writer() else { return Ok(false) };
        let unpinned = shard.unpin(hash, eq, moment, charge.ceiling);
        locked.publish();
        unpinned
    }
}

impl<K, V> Writer<'_, K, V> {
    fn pin(&mut self, hash: u64, eq: impl FnMut(&K) -> bool, now: Nanos) -> bool {
        let found = self.find(hash, eq).filter(|&index| self.shard.deadline(index) > now);
        let Some(index) = found else { return false };
        if !self.own(index).pinned {
            self.leave_order(index);
            self.mark(index, true);
            self.reservation.pin(self.weight(index));
        }
        true
    }

    fn is_pinned(&self, hash: u64, eq: impl FnMut(&K) -> bool, now: Nanos) -> bool {
        self.find(hash, eq).is_some_and(|index| self.hands_on_pin(index, now))
    }

    fn unpin(
        &mut self,
        hash: u64,
        eq: impl FnMut(&K) -> bool,
        moment: Moment,
        ceiling: u64,
    ) -> Result<bool, NotLinked> {
        let found = self.find(hash, eq).filter(|&index| self.own(index).pinned);
        let Some(index) = found else { return Ok(false) };
        self.grow_order(ceiling)?;
        self.reservation.unpin(self.weight(index));
        self.mark(index, false);
        let (order, mut slots) = self.order();
        order.push(index, &mut slots, moment);
        Ok(true)
    }

    /// Makes room for one more in the order alone; reserves the bytes before.
    fn grow_order(&mut self, ceiling: u64) -> Result<(), NotLinked> {
        let order = &mut self.inner.order;
        let bytes = order.allocated_for_one_more().saturating_sub(order.allocated());
        if bytes > 0 {
            self.reservation.try_grow(bytes, ceiling).map_err(NotLinked::NoRoom)?;
            self.inner.charged += bytes;
        }
        let grown = order.try_reserve_one();
        self.inner.recount::<K, V>();
        self.inner.settle::<K, V>(self.reservation, u64::MAX);
        if grown { Ok(()) } else { Err(NotLinked::Exhausted) }
    }

    pub(super) fn order(&mut self) -> (&mut Order, View<'_, K, V>) {
        let Inner { filling, order, .. } = &mut *self.inner;
        (order, View { shard: self.shard, filling })
    }

    /// Takes an entry out of the order, or its pin off the books if it is not in.
    pub(super) fn leave_order(&mut self, index: u32) {
        if self.own(index).pinned {
            self.reservation.unpin(self.weight(index));
        } else {
            let (order, mut slots) = self.order();
            order.remove(index, &mut slots);
        }
    }

    /// Whether what replaces this entry `now` is pinned, too: not if this one has expired, and only nobody came by.
    pub(super) fn hands_on_pin(&self, index: u32, now: Nanos) -> bool {
        self.own(index).pinned && self.shard.deadline(index) > now
    }

    fn mark(&mut self, index: u32, pinned: bool) {
        let own = self.own(index);
        self.shard.pages.set_own(&mut self.inner.filling, index, Own { pinned, ..own });
    }

    fn weight(&self, index: u32) -> u64 {
        self.shard.weight(&self.inner.filling, index)
    }
}
