//! What several benches share: keys with a fixed, uneven distribution.
//!
//! Not a random-number library: one generator and one distribution, the same in every run and on every machine.

pub mod split;

/// A small generator with a fixed sequence for each seed (splitmix64).
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// The sequence of `seed`.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = self.0;
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ (x >> 31)
    }

    /// The next number of `0.0..1.0`.
    pub fn unit(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1_u64 << 53) as f64
    }
}

/// `count` keys of `0..keys`, where the key of rank `n` comes with a weight of `1 / n^skew`.
///
/// Drawn by inverting the cumulative weights: exact, and slow only while it is being prepared.
#[must_use]
pub fn zipf(keys: usize, skew: f64, count: usize, seed: u64) -> Vec<u64> {
    let mut sum = 0.0;
    let cumulative: Vec<f64> = (1..=keys)
        .map(|rank| {
            sum += (rank as f64).powf(-skew);
            sum
        })
        .collect();
    let mut random = Random::new(seed);
    (0..count)
        .map(|_| {
            let at = random.unit() * sum;
            cumulative.partition_point(|weight| *weight <= at) as u64
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::zipf;

    #[test]
    fn the_first_keys_come_most_often() {
        let keys = zipf(1000, 0.99, 10_000, 1);
        let count = |key| keys.iter().filter(|k| **k == key).count();
        assert!(keys.iter().all(|key| *key < 1000));
        assert!(count(0) > 2 * count(9) && count(9) > count(99));
    }
}
