//! Coarse clocks for ghosts: 16 bits that say when, in units that follow the size of a shard.

use super::ghosts::Ghost;

/// The units of the ghosts' clocks: about 1/256 of the entries, and 1/128 of their weight.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scale {
    /// The entries and the weight that they were set for; 0 before.
    entries: u32,
    weight: u64,
    /// Logarithms of the units.
    lap: u32,
    gone: u32,
}

impl Scale {
    pub(super) const fn new() -> Self {
        Self { entries: 0, weight: 0, lap: 0, gone: 0 }
    }

    /// Sets the units anew if the shard is twice as large, or half as large, as it was. Ghosts of before are then
    /// misread once, which looks like a guess.
    pub(super) fn follow(&mut self, entries: u32, weight: u64) {
        let strays = |now: u64, then: u64| now > then.saturating_mul(2) || now < then / 2;
        if strays(u64::from(entries), u64::from(self.entries)) || strays(weight, self.weight) {
            let lap = (entries / 256).max(1).ilog2();
            let gone = (weight / 128).max(1).ilog2();
            *self = Self { entries, weight, lap, gone };
        }
    }

    pub(super) fn lap(&self, lap: u32) -> u16 {
        (lap >> self.lap) as u16
    }

    /// Misses since `lap`.
    pub(super) fn since(&self, lap: u16, now: u32) -> u32 {
        u32::from(self.lap(now).wrapping_sub(lap)) << self.lap
    }

    pub(super) fn gone(&self, gone: u64) -> u16 {
        (gone >> self.gone) as u16 & Ghost::GONE
    }

    /// Bytes that were let go since `gone`.
    pub(super) fn gone_since(&self, gone: u16, now: u64) -> u64 {
        u64::from(self.gone(now).wrapping_sub(gone) & Ghost::GONE) << self.gone
    }
}
