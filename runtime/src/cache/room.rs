//! Making room for an entry that is on its way: bytes and a place are reserved before it is linked, and given back unless it
//! arrives.
//!
//! Not here: who is evicted, which the tenant's own bound and the domain's relief decide.

use super::CacheTenant;
use crate::budget::Refused;

/// After so many attempts that freed nothing, a value goes back to its caller unstored.
const FUTILE: u32 = 8;
/// Attempts in all: others may take each time what we freed.
const ATTEMPTS: u32 = 256;

impl CacheTenant {
    /// Reserves `heap` bytes and, with `entry`, a place among the entries, evicting what is worth least; where shards
    /// are only kept in balance, a place in a full cache is left to the entry's own shard.
    /// `None` when nothing could make way in time; nothing has been reserved then.
    pub(crate) fn reserve(&self, heap: u64, entry: bool) -> Option<Grant<'_>> {
        let mut grant = Grant { tenant: self, heap: 0, entries: 0 };
        let mut effort = Effort::default();
        if !self.card.is_covered() && !self.core.cover(&self.card) {
            return None;
        }
        if entry && !(self.policy.is_balanced() && self.is_full()) {
            grant.take_place(&mut effort)?;
        }
        while let Err(refused) = self.card.reservation.try_grow(heap, self.card.ceiling()) {
            effort.note(self.make_way(refused))?;
        }
        grant.heap = heap;
        Some(grant)
    }

    /// Evicts for one refusal; returns how many bytes gave way. What is only on its way, because somebody reads it, did not.
    pub(crate) fn make_way(&self, refused: Refused) -> u64 {
        let freed = match refused {
            // What can never fit beside what is pinned evicts nobody.
            Refused::Ceiling { over } if over > self.card.evictable() => 0,
            Refused::Ceiling { over } => self.evict_own(over).bytes,
            Refused::Budget { short } => self.core.relief().make_room(&self.core, &self.card, short),
        };
        if freed > 0 || self.card.reservation.pinned() == 0 {
            return freed;
        }
        // What is pinned may have expired since.
        self.expire_some(true).map_or(0, |expired| expired.bytes)
    }
}

/// Counts attempts to make room, so that an insert ends.
#[derive(Default)]
pub(crate) struct Effort {
    futile: u32,
    attempts: u32,
}

impl Effort {
    /// Notes an attempt that freed this much; `None` when it is time to give up.
    pub(crate) fn note(&mut self, freed: u64) -> Option<()> {
        self.attempts += 1;
        self.futile += u32::from(freed == 0);
        (self.futile < FUTILE && self.attempts < ATTEMPTS).then_some(())
    }
}

/// Bytes and a place reserved for an entry that is on its way; given back unless it arrives.
#[must_use]
pub(crate) struct Grant<'a> {
    tenant: &'a CacheTenant,
    heap: u64,
    entries: u64,
}

impl Grant<'_> {
    /// Takes a place among the entries, evicting what is worth least. `None` when nothing gave way in time.
    pub(crate) fn take_place(&mut self, effort: &mut Effort) -> Option<()> {
        while !self.tenant.try_count() {
            let freed = self.tenant.evict_own(0);
            effort.note(freed.entries)?;
        }
        self.entries = 1;
        Some(())
    }

    /// Heap bytes that it holds.
    pub(crate) fn heap(&self) -> u64 {
        self.heap
    }

    /// Whether it holds a place of its own; otherwise the entry can only overwrite another.
    pub(crate) fn has_place(&self) -> bool {
        self.entries > 0
    }

    /// The place of a victim, or of what the entry replaces, is the entry's now.
    pub(crate) fn inherit_place(&mut self) {
        self.entries += 1;
    }

    /// The entry is in: what was reserved is its own now. `new` says that it took the place.
    pub(crate) fn keep(mut self, new: bool) {
        debug_assert!(!new || self.has_place(), "a new entry without a place");
        self.heap = 0;
        self.entries -= u64::from(new);
    }
}

impl Drop for Grant<'_> {
    #[inline]
    fn drop(&mut self) {
        self.tenant.give_places(self.entries);
        self.tenant.card.reservation.shrink(self.heap);
    }
}
