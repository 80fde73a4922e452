//! Traces that this program makes: the same in every run, so that hit ratios can be compared without any file.
//!
//! Each is one pattern alone, on purpose: they show what a policy does with it, not what a program asks for.

use larder_benches::{Random, zipf};

use super::Trace;

pub const NAMES: [&str; 4] = ["zipf", "scan", "shift", "loop"];

/// Different keys of the uneven ones.
const KEYS: usize = 100_000;

/// No trace is longer: the patterns have repeated often enough by then.
const ACCESSES: usize = 1_000_000;

pub fn make(name: &str, accesses: usize) -> Trace {
    let count = accesses.min(ACCESSES);
    let keys = match name {
        "zipf" => scattered(zipf(KEYS, 0.9, count, 1)),
        "scan" => scan(count),
        "shift" => shift(count),
        "loop" => (0..count as u64).map(|n| n % 5_000).collect(),
        name => unreachable!("no synthetic trace is called {name}"),
    };
    Trace::new(format!("synthetic-{name}"), keys, false)
}

/// Uneven keys, and every so often a run of keys that are asked for once and never again.
fn scan(count: usize) -> Vec<u64> {
    const BETWEEN: usize = 20_000;
    const RUN: usize = 10_000;
    let mut fresh = 1 << 32..;
    let mut keys = Vec::with_capacity(count + RUN);
    for part in scattered(zipf(KEYS, 0.9, count, 2)).chunks(BETWEEN) {
        keys.extend_from_slice(part);
        keys.extend(fresh.by_ref().take(RUN));
    }
    keys.truncate(count);
    keys
}

/// Uneven keys whose popular ones change every so often: what was learnt before is worth nothing after.
fn shift(count: usize) -> Vec<u64> {
    let phase = (count / 8).max(1);
    let draws = zipf(KEYS, 0.9, count, 3);
    let place = |(at, rank): (usize, u64)| (rank + (at / phase * (KEYS / 8)) as u64) % KEYS as u64;
    scattered(draws.into_iter().enumerate().map(place).collect())
}

/// The same keys under other numbers: neighbours in popularity are no neighbours.
fn scattered(keys: Vec<u64>) -> Vec<u64> {
    keys.into_iter().map(|key| Random::new(key).bits()).collect()
}

#[cfg(test)]
mod tests {
    use super::{NAMES, make};

    #[test]
    fn every_trace_is_the_same_each_time_and_as_long_as_asked() {
        for name in NAMES {
            let (once, again) = (make(name, 50_000), make(name, 50_000));
            assert_eq!(once.keys, again.keys);
            assert_eq!(once.keys.len(), 50_000);
            assert!(once.distinct < once.keys.len() && once.distinct > 1_000, "{name}: {}", once.distinct);
        }
    }
}
