//! Random histories of one cache beside its model: what a fuzzer looks for in `fuzz/`, in a few seconds.

use larder_tests::{history, short_or_deep};

/// A seed that fails tells the same history again; only where keys hash to differs between processes.
#[test]
fn histories_of_every_kind_agree_with_the_model() {
    for seed in 0..short_or_deep(200, 100_000) {
        let bytes = history::random(seed, 300 + seed as usize % 5 * 300);
        let outcome = std::panic::catch_unwind(|| history::run(&bytes));
        assert!(outcome.is_ok(), "the history of seed {seed} fails");
    }
}
