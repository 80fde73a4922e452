//! The best splits, found offline: each tenant is replayed alone at many sizes, and the cheapest sum that fits is taken.
//!
//! Tenants of a split do not touch each other, so that the sum is exactly what the split costs.

use super::Outcome;
use super::caches::{Caches, Larder, replay};
use super::loads::Load;

/// Sizes that are tried, each so much larger than the one before.
const SIZES: usize = 18;
const STEP: f64 = 1.5;
/// Parts of a budget that a split is made of.
const PARTS: usize = 2000;

/// What each tenant costs at each size, in each phase.
#[derive(Debug)]
pub struct Table {
    sizes: Vec<u64>,
    /// By tenant, size and phase.
    cost: Vec<Vec<Vec<u64>>>,
}

/// What a split is to be best for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum For {
    /// All that is counted.
    All,
    /// One phase.
    Phase(usize),
}

impl Table {
    /// Replays everything; `arrange` makes the caches for limits of all tenants.
    pub fn new<C: Caches>(load: &Load, arrange: impl Fn(&Load, &[u64]) -> C) -> Self {
        let footprint = load.footprint();
        let sizes: Vec<u64> =
            (0..SIZES).rev().map(|step| (footprint as f64 / STEP.powi(step as i32)) as u64).collect();
        let outcomes: Vec<Outcome> = sizes
            .iter()
            .map(|size| replay(load, &mut arrange(load, &vec![*size; load.tenants.len()]), |_, _| ()))
            .collect();
        let of = |tenant: usize, size: usize| {
            outcomes[size].cost.iter().map(|phase| phase[tenant]).collect::<Vec<u64>>()
        };
        let cost =
            (0..load.tenants.len()).map(|tenant| (0..SIZES).map(|size| of(tenant, size)).collect()).collect();
        Self { sizes, cost }
    }

    /// From what each tenant was seen to cost at each of these sizes, which rise: by tenant, size and phase.
    #[must_use]
    pub fn of_costs(sizes: Vec<u64>, cost: Vec<Vec<Vec<u64>>>) -> Self {
        Self { sizes, cost }
    }

    /// The same for larder's own caches.
    #[must_use]
    pub fn of_larder(load: &Load) -> Self {
        Self::new(load, |load, limits| Larder::split(load, vec![limits.to_vec()]))
    }

    /// The split of a budget that costs least.
    #[must_use]
    pub fn best(&self, budget: u64, what: For) -> Vec<u64> {
        let part = budget as f64 / PARTS as f64;
        let parts: Vec<usize> = self.sizes.iter().map(|size| (*size as f64 / part).ceil() as usize).collect();
        let cost = |tenant: usize, size: usize| match what {
            For::All => self.cost[tenant][size].iter().sum::<u64>(),
            For::Phase(phase) => self.cost[tenant][size][phase],
        };
        // The least cost of the tenants so far with so many parts, and the size of the last one.
        let mut best: Vec<Vec<(u64, usize)>> = Vec::new();
        for tenant in 0..self.cost.len() {
            let mut row = vec![(u64::MAX, 0); PARTS + 1];
            for (left, cell) in row.iter_mut().enumerate() {
                for (size, &taken) in parts.iter().enumerate() {
                    if taken > left {
                        break;
                    }
                    let before = match best.last() {
                        Some(row) => row[left - taken].0,
                        None => 0,
                    };
                    let sum = before.saturating_add(cost(tenant, size));
                    if sum < cell.0 {
                        *cell = (sum, size);
                    }
                }
            }
            best.push(row);
        }
        let (mut left, mut split) = (PARTS, vec![0; self.cost.len()]);
        for tenant in (0..self.cost.len()).rev() {
            let size = best[tenant][left].1;
            split[tenant] = self.sizes[size];
            left = left.saturating_sub(parts[size]);
        }
        // What is left over belongs to all.
        let rest = budget.saturating_sub(split.iter().sum()) / split.len() as u64;
        split.iter().map(|bytes| bytes + rest).collect()
    }
}
