//! Frequency x cost x the user's factor / size above an inflation clock: the credit of GreedyDual-Size-Frequency.
//!
//! With equal costs and sizes this is least-frequently-used with dynamic ageing.

/// Orders slots by credit. Credits are finite and not negative, so their bits order as they do.
pub(super) fn rank(credit: f64) -> u64 {
    debug_assert!(credit >= 0.0 && credit.is_finite(), "a credit is a finite number from 0: {credit}");
    credit.to_bits()
}
