//! What a hit leaves behind: one word in the slot, written only when something changes.
//!
//! ```text
//!  31                             5  4        3..0
//! +--------------------------------+---------+------+
//! | tick of the last use (27 bits) | touched | uses |
//! +--------------------------------+---------+------+
//! ```
//!
//! The tick moves with the cache's insertions, not with time, so hits between two insertions write
//! nothing once `uses` is saturated. Two threads may overwrite each other's update: one use is lost, which
//! only makes the count an estimate.

use crate::sync::{AtomicU32, Ordering};

const USES_MASK: u32 = 0b1111;
const TOUCHED: u32 = 1 << 4;
const TICK_SHIFT: u32 = 5;
const TICK_BITS: u32 = 32 - TICK_SHIFT;
const TICK_MASK: u64 = (1 << TICK_BITS) - 1;

/// The word in a slot that hits write.
#[derive(Debug)]
pub(crate) struct Touch(AtomicU32);

/// What a [`Touch`] says at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Uses {
    /// Uses counted, 1 to 16.
    pub(crate) count: u32,
    /// The cache's tick at the last use.
    pub(crate) stamp: u64,
    /// Used since its place in the queue was last computed.
    pub(crate) touched: bool,
}

impl Touch {
    /// A slot that was just filled: one use, now.
    pub(crate) fn new(tick: u64) -> Self {
        Self(AtomicU32::new(low_bits(tick) << TICK_SHIFT))
    }

    /// A slot that was filled anew, with the uses its key has earned so far and this one more.
    pub(crate) fn with_uses(tick: u64, count: u32) -> Self {
        Self(AtomicU32::new((low_bits(tick) << TICK_SHIFT) | count.min(USES_MASK)))
    }

    /// Notes a use at `tick`.
    #[inline]
    pub(crate) fn record(&self, tick: u64) {
        let word = self.0.load(Ordering::Relaxed);
        let uses = ((word & USES_MASK) + 1).min(USES_MASK);
        let next = (low_bits(tick) << TICK_SHIFT) | TOUCHED | uses;
        if next != word {
            self.0.store(next, Ordering::Relaxed);
        }
    }

    /// Reads the word. `now` is the current tick: it supplies the bits that the word has no room for.
    pub(crate) fn read(&self, now: u64) -> Uses {
        let word = self.0.load(Ordering::Relaxed);
        let age = low_bits(now).wrapping_sub(word >> TICK_SHIFT) & low_bits(TICK_MASK);
        Uses {
            count: (word & USES_MASK) + 1,
            stamp: now.saturating_sub(u64::from(age)),
            touched: word & TOUCHED != 0,
        }
    }

    /// Forgets that the slot was touched. Only under the shard's exclusive lock, when no hit can write.
    pub(crate) fn settle(&mut self) {
        let word = self.0.load(Ordering::Relaxed);
        self.0.store(word & !TOUCHED, Ordering::Relaxed);
    }
}

/// The part of a tick that the word keeps.
fn low_bits(tick: u64) -> u32 {
    (tick & TICK_MASK) as u32
}
