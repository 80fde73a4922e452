//! Entries that are looked at now and changed later: known again by their version.

use std::cell::Cell;

use super::{Inner, View, Writer, hash_at, reserve};
use crate::policy::{Moment, Replaced, Slots};
use crate::removal::RemovalCause;

/// An entry as it was seen once.
#[derive(Clone, Copy, Debug)]
pub(in crate::store) struct Sighted {
    /// Its hash, but for the bit that the table does not know.
    pub(in crate::store) hash: u32,
    pub(in crate::store) version: u32,
    /// Heap bytes that it was charged then.
    pub(in crate::store) heap: u64,
}

/// Why an entry was not given another weight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NotReweighed {
    /// It was replaced, or left.
    Gone,
    /// Somebody else gave it a lower weight meanwhile, so that it has more to grow.
    Shrunk {
        /// Heap bytes that it is charged now.
        heap: u64,
    },
    /// There is no room to note its heap bytes, of which it had none before.
    NoRoom,
}

impl<K, V> Writer<'_, K, V> {
    /// The slot of the entry with this key, its version and its heap bytes.
    pub(in crate::store) fn sight(&self, hash: u64, eq: impl FnMut(&K) -> bool) -> Option<(u32, Sighted)> {
        let index = self.find(hash, eq)?;
        Some((index, self.sighted(hash as u32, index)))
    }

    pub(super) fn sighted(&self, hash: u32, index: u32) -> Sighted {
        let heap = self.shard.pages.heap(&self.inner.filling, index);
        Sighted { hash, version: self.own(index).mark, heap }
    }

    /// All entries.
    pub(in crate::store) fn sight_all(&self, mut each: impl FnMut(Sighted)) {
        self.each_sighted(|_, entry| each(entry));
    }

    /// All entries, with their slots.
    pub(super) fn each_sighted(&self, mut each: impl FnMut(u32, Sighted)) {
        self.shard.table.each(&self.inner.shape, |index| {
            let hash = hash_at(self.shard, &self.inner.filling, index);
            each(index, self.sighted(hash, index));
        });
    }

    /// The slot of an entry that was sighted, if it is still there.
    pub(in crate::store) fn find_sighted(&self, sighted: Sighted) -> Option<u32> {
        let is = |index| self.own(index).mark == sighted.version;
        self.shard.table.find_mine(&self.inner.shape, sighted.hash, is)
    }

    /// What is known of an entry that was sighted, if it is still there.
    #[cfg(feature = "tiers")]
    pub(in crate::store) fn facts(&self, sighted: Sighted) -> Option<super::Parting> {
        let index = self.find_sighted(sighted)?;
        Some(self.shard.pages.linked(&self.inner.filling, index))
    }

    /// Takes out the entry that was sighted.
    pub(in crate::store) fn remove_sighted(&mut self, sighted: Sighted, cause: RemovalCause) -> bool {
        let found = self.find_sighted(sighted);
        found.is_some_and(|index| {
            self.unlink(index, cause);
            true
        })
    }

    /// Gives the entry that was sighted another weight, and the place among the victims that follows from it. What
    /// it grows by is covered by `granted` bytes; what it was charged before comes back.
    pub(in crate::store) fn reweigh(
        &mut self,
        sighted: Sighted,
        heap: u64,
        granted: u64,
        moment: Moment,
    ) -> Result<u64, NotReweighed> {
        let index = self.find_sighted(sighted).ok_or(NotReweighed::Gone)?;
        let before = self.shard.pages.heap(&self.inner.filling, index);
        if heap > before + granted {
            return Err(NotReweighed::Shrunk { heap: before });
        }
        let old = {
            let slots = View { shard: self.shard, filling: &mut self.inner.filling };
            Replaced { slot: index, weight: slots.weight(index), uses: slots.touch(index).uses() }
        };
        let Self { shard, inner, reservation, .. } = self;
        let extra = Cell::new(0);
        let reserve = |bytes| reserve(reservation, &extra, bytes);
        let noted = shard.pages.set_heap(&mut inner.filling, index, heap, &reserve);
        inner.charged += extra.get();
        if !noted {
            return Err(NotReweighed::NoRoom);
        }
        if self.own(index).pinned {
            self.reservation.unpin(old.weight);
            self.reservation.pin(old.weight - before + heap);
            return Ok(before);
        }
        let Inner { filling, order, .. } = &mut *self.inner;
        order.replaced(old, index, &mut View { shard: self.shard, filling }, moment);
        Ok(before)
    }
}
