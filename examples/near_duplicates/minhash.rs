//! Minhash signatures, and the bands that turn them into candidates.
//!
//! Two sets agree in one position of their signatures with a probability equal to their similarity. A band is a run of
//! positions; two files become candidates when all positions of some band agree, so that files much alike are almost
//! sure to meet and others almost sure not to, and nobody compares every file with every other.

use crate::shingles::mix;

/// Positions of a signature.
pub(crate) const POSITIONS: usize = 128;

/// The lowest of each permutation's hashes.
pub(crate) type Signature = [u32; POSITIONS];

/// The signature of a set of shingles.
pub(crate) fn signature(shingles: &[u64]) -> Signature {
    let mut lowest = [u32::MAX; POSITIONS];
    for shingle in shingles {
        for (position, lowest) in (1_u64..).zip(&mut lowest) {
            // One multiplication a permutation: the odd factor differs for each, and the top half is well mixed
            // because shingles are. The constant is 2^64 divided by the golden ratio.
            let factor = position.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
            let hash = ((shingle ^ factor.rotate_left(32)).wrapping_mul(factor) >> 32) as u32;
            *lowest = (*lowest).min(hash);
        }
    }
    lowest
}

/// The share of positions that agree: similarity, give or take 0.04.
pub(crate) fn estimate(left: &Signature, right: &Signature) -> f64 {
    let agree = left.iter().zip(right).filter(|(a, b)| a == b).count();
    agree as f64 / POSITIONS as f64
}

/// How signatures are cut into bands.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Bands {
    rows: usize,
}

impl Bands {
    /// The longest bands, so the fewest candidates, that find a pair at `threshold` with at least 99 %.
    pub(crate) fn for_threshold(threshold: f64) -> Self {
        let rows = [64, 32, 16, 8, 4, 2]
            .into_iter()
            .find(|&rows| Self { rows }.recall(threshold) >= 0.99)
            // Single positions: every file that shares one is a candidate.
            .unwrap_or(1);
        Self { rows }
    }

    pub(crate) fn count(self) -> usize {
        POSITIONS / self.rows
    }

    /// The chance that a pair of this similarity shares a band.
    pub(crate) fn recall(self, similarity: f64) -> f64 {
        1.0 - (1.0 - similarity.powi(self.rows as i32)).powi(self.count() as i32)
    }

    /// One key for each band: equal keys mean candidates.
    pub(crate) fn keys(self, signature: &Signature) -> Vec<u64> {
        signature
            .chunks_exact(self.rows)
            .map(|rows| rows.iter().fold(0, |key: u64, row| mix(key.rotate_left(29) ^ u64::from(*row))))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::{Bands, POSITIONS, estimate, signature};
    use crate::shingles::{jaccard, mix};

    /// Two sets of 2,000 shingles that share `common` of them.
    fn two_sets(common: u64) -> (Vec<u64>, Vec<u64>) {
        let set = |from: u64| {
            let mut set: Vec<u64> = (from..from + 2000).map(|n| mix(n + 1)).collect();
            set.sort_unstable();
            set
        };
        (set(0), set(2000 - common))
    }

    #[test]
    fn the_estimate_is_near_the_similarity() {
        for common in [0, 500, 1000, 1500, 1800, 1950, 2000] {
            let (left, right) = two_sets(common);
            let (real, estimated) = (jaccard(&left, &right), estimate(&signature(&left), &signature(&right)));
            assert!((real - estimated).abs() < 0.16, "similarity {real}, estimate {estimated}");
        }
    }

    #[test]
    fn bands_find_the_threshold_and_divide_the_signature() {
        for percent in 30..=100 {
            let threshold = f64::from(percent) / 100.0;
            let bands = Bands::for_threshold(threshold);
            assert!(bands.recall(threshold) >= 0.99, "{bands:?} at {threshold}");
            assert_eq!(bands.count() * bands.rows, POSITIONS);
        }
    }

    #[test]
    fn equal_signatures_share_every_band() {
        let (left, _) = two_sets(0);
        let bands = Bands::for_threshold(0.85);
        assert_eq!(bands.keys(&signature(&left)), bands.keys(&signature(&left.clone())));
        assert_eq!(bands.keys(&signature(&left)).len(), bands.count());
    }
}
