//! What a hit leaves behind: one word in the slot, written only when something changes.
//!
//! ```text
//!  31                             4  3..0
//! +---------------------------------+------+
//! | tick of the last use (28 bits)  | uses |
//! +---------------------------------+------+
//! ```
//!
//! Uses are those since the order last took them. What is noted beside them, and how far they are counted, is the
//! policy's to say ([`Noted`]): what it has no use for would only cost other threads their line of cache. The tick
//! moves with the cache's insertions, not with time. Two threads may overwrite each other's update, and the order may
//! overwrite both: one use is lost, which only makes the count an estimate.

use crate::sync::{AtomicU32, Ordering};

const USES_MASK: u32 = 0b1111;
const TICK_SHIFT: u32 = 4;
const TICK_BITS: u32 = 32 - TICK_SHIFT;
const TICK_MASK: u64 = (1 << TICK_BITS) - 1;

/// Of the ticks that count uses: in so many, each slot must be looked at once, because after a few times as many its word
/// would seem to be new.
const ROUND: u64 = 1 << (TICK_BITS - 4);

/// Whether it is time to look at all slots, if nobody has: so many ticks say so that one of those who use slots sees it.
#[inline]
pub(crate) fn is_round(tick: u64) -> bool {
    tick % ROUND < 64
}

/// Whether all slots were looked at in this round.
pub(super) fn same_round(tick: u64, other: u64) -> bool {
    tick.abs_diff(other) < ROUND / 2
}

/// So many uses the word can count.
pub(super) const MOST: u8 = USES_MASK as u8;

/// What hits note: uses below this.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Noted(u8);

impl Noted {
    /// Nothing: the order looks at no use.
    pub(crate) const NOTHING: Self = Self(0);
    /// How often the slot was used, and at which tick last. Hits between two ticks write nothing once the count is full.
    pub(crate) const LAST: Self = Self(MOST + 1);

    /// How often the slot was used, up to `most` times, at most [`MOST`]. After that a hit writes nothing.
    pub(crate) const fn uses(most: u8) -> Self {
        assert!(most <= MOST);
        Self(most)
    }
}

/// The word in a slot that hits write.
#[derive(Debug)]
pub(crate) struct Touch(AtomicU32);

impl Touch {
    /// Of a slot that was filled at `tick`, and not used since.
    pub(crate) fn new(tick: u64) -> Self {
        Self(AtomicU32::new(low_bits(tick) << TICK_SHIFT))
    }

    /// Says what another says.
    pub(crate) fn copy(&self, other: &Self) {
        self.0.store(other.0.load(Ordering::Relaxed), Ordering::Relaxed);
    }

    /// Notes a use. The tick is asked for only where it is noted: inserts write it, and others need not wait for that.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(crate) fn record(&self, noted: Noted, tick: impl FnOnce() -> u64) {
        let word = self.0.load(Ordering::Relaxed);
        if word & USES_MASK < u32::from(noted.0) {
            self.renew(word, noted, tick);
        }
    }

    /// Seldom: a slot that is used often has its count.
    #[inline]
    fn renew(&self, word: u32, noted: Noted, tick: impl FnOnce() -> u64) {
        let next = if noted == Noted::LAST {
            (low_bits(tick()) << TICK_SHIFT) | ((word & USES_MASK) + 1).min(USES_MASK)
        } else {
            word + 1
        };
        if next != word {
            self.0.store(next, Ordering::Relaxed);
        }
    }

    /// Uses noted and not taken yet.
    pub(crate) fn uses(&self) -> u32 {
        self.0.load(Ordering::Relaxed) & USES_MASK
    }

    /// Sets the count of uses. Under the shard's exclusive lock; a hit beside it may be lost.
    pub(crate) fn set_uses(&self, uses: u32) {
        let word = self.0.load(Ordering::Relaxed);
        self.0.store((word & !USES_MASK) | uses.min(USES_MASK), Ordering::Relaxed);
    }

    /// Takes the uses out: the next ones count from 0.
    pub(crate) fn take_uses(&self) -> u32 {
        let uses = self.uses();
        if uses > 0 {
            self.set_uses(0);
        }
        uses
    }

    /// The tick that was noted last. `now` is the current tick: it supplies the bits that the word has no room for. Who uses
    /// the slot beside us may have noted a later one; so half of what the word can tell is before `now`, and half after.
    pub(crate) fn stamp(&self, now: u64) -> u64 {
        let noted = self.0.load(Ordering::Relaxed) & !USES_MASK;
        let ahead = noted.wrapping_sub(low_bits(now) << TICK_SHIFT) as i32 >> TICK_SHIFT;
        now.saturating_add_signed(i64::from(ahead))
    }
}

/// The part of a tick that the word keeps.
fn low_bits(tick: u64) -> u32 {
    (tick & TICK_MASK) as u32
}
