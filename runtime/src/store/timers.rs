//! What a shard of expiring entries knows of time beside each slot's own deadline: the wheel, and last uses.
//!
//! ```text
//! slots   [ hash, key, value, touch, deadline, .. ]   in every cache; NEVER where nothing expires
//! wheel   [ next, prev ]                              where entries expire
//! used    [ last use ]                                where idle entries expire
//! ```
//!
//! A hit writes the last use under the shared lock and leaves the wheel alone: a slot that comes up there is
//! asked when it was used, and put where that says.

use crate::expiry::{Expires, Turned, Wheel};
use crate::sync::{AtomicU64, Ordering};
use crate::time::{NEVER, Nanos};
use crate::weight::weigh::allocation;

/// The wheel and the last uses of one shard.
#[derive(Debug)]
pub(super) struct Timers {
    wheel: Wheel,
    /// How long an entry may be idle; `NEVER` where that does not matter.
    tti: Nanos,
    /// When each slot was last used; empty where that does not matter.
    used: Vec<AtomicU64>,
}

impl Timers {
    /// Bytes of the struct itself.
    pub(super) const BYTES: usize = size_of::<Self>();

    /// `None` where nothing expires.
    pub(super) fn new(expires: Expires, now: Nanos) -> Option<Self> {
        let tti = match expires {
            Expires::Never => return None,
            Expires::ByAge => NEVER,
            Expires::ByUse(tti) => tti,
        };
        Some(Self { wheel: Wheel::new(now), tti, used: Vec::new() })
    }

    pub(super) fn allocated(&self) -> u64 {
        self.wheel.allocated() + allocation(self.used.capacity() * size_of::<AtomicU64>())
    }

    /// Bytes of the lists with room for `slots` indices, `entries` of them filled.
    pub(super) fn allocated_for(&self, slots: usize, entries: usize) -> u64 {
        let used = allocation(self.used_for(slots) * size_of::<AtomicU64>());
        self.wheel.allocated_for(slots, entries) + used
    }

    /// Makes room for `slots` indices, `entries` of them filled; `false` when memory is exhausted.
    pub(super) fn try_reserve(&mut self, slots: usize, entries: usize) -> bool {
        let used = self.used_for(slots);
        if self.used.try_reserve_exact(used - self.used.len()).is_err() {
            return false;
        }
        if used > 0 && self.used.len() < slots {
            self.used.resize_with(slots, AtomicU64::default);
        }
        self.wheel.try_reserve(slots, entries)
    }

    fn used_for(&self, slots: usize) -> usize {
        let capacity = self.used.capacity();
        match self.tti {
            NEVER => 0,
            _ if slots <= capacity => capacity,
            _ => slots.max(capacity + capacity / 2),
        }
    }

    /// Gives back what is mostly empty; there are `slots` indices now, `entries` of them filled.
    pub(super) fn shrink(&mut self, slots: usize, entries: usize) {
        self.wheel.shrink(slots, entries);
        self.used.truncate(slots);
        if slots * 4 < self.used.capacity() {
            self.used.shrink_to(slots * 2);
        }
    }

    /// A slot was filled, or filled anew, `now`.
    pub(super) fn written(&mut self, slot: u32, deadline: Nanos, now: Nanos) {
        if let Some(used) = self.used.get_mut(slot as usize) {
            *used = AtomicU64::new(now);
        }
        self.wheel.schedule(slot, self.deadline(slot, deadline));
    }

    /// A slot was used. A use that another thread noted with a later time stands.
    #[inline]
    pub(super) fn note_use(&self, slot: u32, now: Nanos) {
        // Looked at first: most hits come while the clock stands still, and write nothing.
        if let Some(used) = self.used.get(slot as usize)
            && used.load(Ordering::Relaxed) < now
        {
            used.fetch_max(now, Ordering::Relaxed);
        }
    }

    /// When a slot expires that must not outlive `deadline`.
    #[inline]
    pub(super) fn deadline(&self, slot: u32, deadline: Nanos) -> Nanos {
        idle_deadline(&self.used, self.tti, slot).min(deadline)
    }

    pub(super) fn cancel(&mut self, slot: u32) {
        self.wheel.cancel(slot);
    }

    /// An entry moved to another slot.
    pub(super) fn renamed(&mut self, from: u32, to: u32) {
        self.wheel.renamed(from, to);
        if let Some(used) = self.used.get(from as usize) {
            let used = used.load(Ordering::Relaxed);
            self.used[to as usize] = AtomicU64::new(used);
        }
    }

    /// No slot is due earlier.
    pub(super) fn next(&self) -> Nanos {
        self.wheel.next()
    }

    /// Finds the next slot that is expired by `now`, within so many looks; see [`Wheel::advance`]. `deadline`
    /// knows the slots' own deadlines.
    pub(super) fn advance(
        &mut self,
        now: Nanos,
        looks: &mut usize,
        deadline: impl Fn(u32) -> Nanos,
    ) -> Turned {
        let Self { wheel, tti, used } = self;
        wheel.advance(now, looks, |slot| idle_deadline(used, *tti, slot).min(deadline(slot)))
    }

    /// Checks the wheel; `deadline` knows the slots' own deadlines, `None` for vacant ones.
    #[cfg(test)]
    pub(super) fn validate(&self, slots: usize, deadline: impl Fn(u32) -> Option<Nanos>) {
        let deadline = |slot| deadline(slot).map(|own| self.deadline(slot, own));
        let scheduled = self.wheel.validate(|slot| deadline(slot).expect("a vacant slot is scheduled"));
        let expiring = (0..slots as u32).filter(|&slot| deadline(slot).is_some_and(|at| at != NEVER));
        let expiring =
            expiring.inspect(|&slot| assert!(self.wheel.is_scheduled(slot), "slot {slot} is forgotten"));
        // What no longer expires for its uses alone may still be scheduled.
        assert!(expiring.count() <= scheduled);
    }
}

/// When a slot has been idle for too long.
#[inline]
fn idle_deadline(used: &[AtomicU64], tti: Nanos, slot: u32) -> Nanos {
    used.get(slot as usize).map_or(NEVER, |used| used.load(Ordering::Relaxed).saturating_add(tti))
}
