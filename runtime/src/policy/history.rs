//! What the level of inflation was when a lap began: a few samples instead of a credit in each slot.
//!
//! Orders of lists know when a slot's lap began, by their clock of misses. Its credit counts from the level of that
//! moment. The samples lie the closer together the younger they are, because that is where victims are told apart.

/// Samples kept.
const SAMPLES: usize = 8;

/// The clock and the level at a few moments, oldest first.
#[derive(Clone, Debug)]
pub(super) struct History {
    clocks: [u32; SAMPLES],
    levels: [f64; SAMPLES],
    len: usize,
}

impl History {
    pub(super) const fn new() -> Self {
        Self { clocks: [0; SAMPLES], levels: [0.0; SAMPLES], len: 0 }
    }

    /// The level is this from `now` on. Samples closer to each other than `apart` are left out.
    pub(super) fn note(&mut self, now: u32, level: f64, apart: u32) {
        if let Some(last) = self.len.checked_sub(1) {
            if self.levels[last] == level || now.wrapping_sub(self.clocks[last]) < apart {
                return;
            }
            if self.len == SAMPLES {
                self.forget(now);
            }
        }
        self.clocks[self.len] = now;
        self.levels[self.len] = level;
        self.len += 1;
    }

    /// Drops the sample that is missed least: where the gap that it leaves is the smallest for its age.
    fn forget(&mut self, now: u32) {
        let gap = |at: usize| {
            let (before, age) = (self.clocks[at - 1], now.wrapping_sub(self.clocks[at]));
            f64::from(self.clocks[at + 1].wrapping_sub(before)) / (f64::from(age) + 1.0)
        };
        let inner = 1..SAMPLES - 1;
        let least = inner.min_by(|&a, &b| gap(a).total_cmp(&gap(b))).unwrap_or(0);
        self.clocks.copy_within(least + 1.., least);
        self.levels.copy_within(least + 1.., least);
        self.len -= 1;
    }

    /// The level when a lap began: between the samples before and after, as if it rose evenly.
    pub(super) fn level(&self, lap: u32, now: u32) -> f64 {
        let age = |clock: u32| now.wrapping_sub(clock);
        let Some(at) = (0..self.len).rev().find(|&at| age(self.clocks[at]) >= age(lap)) else {
            return if self.len > 0 { self.levels[0] } else { 0.0 };
        };
        let level = self.levels[at];
        if at + 1 == self.len {
            return level;
        }
        let (since, apart) =
            (lap.wrapping_sub(self.clocks[at]), self.clocks[at + 1].wrapping_sub(self.clocks[at]));
        level + (self.levels[at + 1] - level) * (f64::from(since) / f64::from(apart))
    }
}

#[cfg(all(test, not(larder_shuttle)))]
mod tests {
    use super::*;

    #[test]
    fn levels_are_known_closely_where_they_are_young() {
        let mut history = History::new();
        let start = u32::MAX - 5000;
        for step in 0..20_000_u32 {
            history.note(start.wrapping_add(step), f64::from(step), 10);
        }
        let now = start.wrapping_add(19_999);
        for age in [0_u32, 20, 100, 1000, 5000, 15_000] {
            let found = history.level(now.wrapping_sub(age), now);
            let true_level = f64::from(19_999 - age);
            // Between the samples it is exact here, where the level rises evenly.
            assert!((0.0..=20.0).contains(&(true_level - found)), "age {age}: {found} of {true_level}");
        }
        assert_eq!(history.level(start, now), 0.0);
        assert_eq!(History::new().level(7, 9), 0.0);
    }
}
