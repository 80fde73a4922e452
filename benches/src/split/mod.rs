//! Eight caches under one budget, and loads that change: who computes least again?
//!
//! Everything is counted and nothing is timed. A body takes the time that its key was given, on a clock that is advanced by
//! hand, and an entry has the bytes that its key was given; so each figure is the same on every machine. It says
//! nothing of what a look-up costs.

pub mod caches;
pub mod loads;
pub mod search;

/// What a run cost, from the first request on that counts.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// Nanoseconds computed again, for each phase and tenant.
    pub cost: Vec<Vec<u64>>,
}

impl Outcome {
    /// Nothing yet, for so many phases and tenants.
    #[must_use]
    pub fn new(phases: usize, tenants: usize) -> Self {
        Self { cost: vec![vec![0; tenants]; phases] }
    }

    /// Nanoseconds in all.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.cost.iter().flatten().sum()
    }
}
