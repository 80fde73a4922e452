//! The best static split: each function's cache is replayed alone at many sizes, with what its values are known to weigh and
//! to cost, and the cheapest sum that fits is taken.

use std::time::Duration;

use larder::testing::ManualClock;
use larder::{Cache, Domain};
use larder_benches::split::search::{For, Table};

use super::bodies::FUNCTIONS;
use super::load::{Facts, Load};

/// Sizes that are tried, each so much larger than the one before.
const SIZES: i32 = 14;
const STEP: f64 = 1.6;

/// What every split of this load costs.
pub fn table(load: &Load, facts: &Facts) -> Table {
    let largest = facts.footprint() as f64;
    let sizes: Vec<u64> = (0..SIZES).rev().map(|step| (largest / STEP.powi(step)) as u64).collect();
    let mut cost = vec![Vec::new(); FUNCTIONS.len()];
    for size in &sizes {
        for (cost, nanos) in cost.iter_mut().zip(replay(load, facts, *size)) {
            cost.push(vec![nanos]);
        }
    }
    Table::of_costs(sizes, cost)
}

/// The best for a budget.
pub fn best(table: &Table, budget: u64) -> Vec<u64> {
    table.best(budget, For::All)
}

/// Nanoseconds computed again by each function, with a cache of so many bytes for each.
fn replay(load: &Load, facts: &Facts, size: u64) -> Vec<u64> {
    let clock = ManualClock::new();
    let domains: Vec<Domain> = FUNCTIONS
        .iter()
        .map(|_| Domain::builder().limit_bytes(size).clock(clock.clone()).manual().build())
        .collect();
    let caches: Vec<Cache<u32, [u64; 5]>> = domains
        .iter()
        .zip(&FUNCTIONS)
        .map(|(domain, function)| {
            // The value is its own weight; it is as large as a real one is beside its heap.
            let builder = Cache::builder(function.name).weigh(|_, value: &[u64; 5]| value[0]);
            let builder = builder.cost(|_, value| Duration::from_nanos(value[1]));
            builder.build_in(domain).unwrap_or_else(|error| panic!("{}: {error}", function.name))
        })
        .collect();
    let mut spent = vec![0; FUNCTIONS.len()];
    for (at, request) in load.requests.iter().enumerate() {
        let function = usize::from(request.0);
        caches[function].get_or_insert_with(request.1, || {
            let nanos = facts.cost(*request).as_nanos() as u64;
            if at >= load.warm {
                spent[function] += nanos;
            }
            [facts.heap(*request), nanos, 0, 0, 0]
        });
    }
    spent
}
