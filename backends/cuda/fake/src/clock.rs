//! What is known to be before what: of each stream, how many steps.

use std::collections::BTreeMap;

/// So many steps of each stream.
#[derive(Clone, Debug, Default)]
pub(crate) struct Clock(BTreeMap<u64, u64>);

impl Clock {
    pub(crate) fn of(&self, stream: u64) -> u64 {
        self.0.get(&stream).copied().unwrap_or(0)
    }

    pub(crate) fn set(&mut self, stream: u64, steps: u64) {
        self.0.insert(stream, steps);
    }

    /// All that either knows.
    pub(crate) fn join(&mut self, other: &Self) {
        for (stream, steps) in &other.0 {
            let known = self.0.entry(*stream).or_default();
            *known = (*known).max(*steps);
        }
    }
}
