//! What a miss costs, in one byte: eighths of an octave above a microsecond.
//!
//! One noisy measurement must not decide for long: costs are clamped to a sixteenth up to sixteen times the
//! tenant's running median, so that a body which once stalled does not make its value immortal.

use crate::sync::{AtomicU32, Ordering};

/// What of a load is its cost, unless the user says what it costs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Measure {
    /// The time that passes while the body runs.
    #[default]
    Elapsed,
    /// The processor time of the threads that run the body, while they do.
    Computed,
}

/// The cheapest cost that is told apart: 1 us, in nanoseconds.
const FLOOR: u64 = 1000;
/// Steps for each doubling.
const STEPS: f64 = 8.0;
/// Four octaves: a factor of sixteen.
const REACH: u32 = 4 * STEPS as u32;

/// 1000 x 2^(i/8), rounded.
const EIGHTHS: [u64; 8] = [1000, 1091, 1189, 1297, 1414, 1542, 1682, 1834];

/// The byte of what is gone: nobody saves anything by it.
pub(crate) const NOTHING: u8 = 255;

/// The byte for a cost in nanoseconds; below 1 us it is 0, above 45 minutes 254.
pub(crate) fn encode(nanos: u64) -> u8 {
    if nanos <= FLOOR {
        return 0;
    }
    // The exponent says the octave, and the mantissa how many of its eighths are more than half behind.
    let bits = (nanos as f64 / FLOOR as f64).to_bits();
    let (octaves, mantissa) = ((bits >> 52) - 1023, bits % (1 << 52));
    let eighths = HALVES.iter().map(|half| u64::from(mantissa >= *half)).sum::<u64>();
    (octaves * 8 + eighths).min(u64::from(NOTHING - 1)) as u8
}

/// The mantissas of 2^((i + 1/2)/8).
const HALVES: [u64; 8] = {
    let halves: [f64; 8] = [
        1.044_273_782_427_413_8,
        1.138_788_634_756_691_6,
        1.241_857_812_073_484,
        1.354_255_546_936_892_7,
        1.476_826_145_939_499_3,
        1.610_490_331_949_254_3,
        1.756_252_160_373_299_5,
        1.915_206_561_397_147_4,
    ];
    let (mut mantissas, mut at) = ([0; 8], 0);
    while at < 8 {
        mantissas[at] = halves[at].to_bits() % (1 << 52);
        at += 1;
    }
    mantissas
};

/// The nanoseconds that each byte stands for.
static DECODED: [u64; 256] = {
    let mut decoded = [0; 256];
    let mut cost = 0;
    while cost < NOTHING as usize {
        decoded[cost] = EIGHTHS[cost % 8] << (cost / 8);
        cost += 1;
    }
    decoded
};

/// The nanoseconds that a byte stands for.
#[inline]
pub(crate) fn decode(cost: u8) -> u64 {
    DECODED[usize::from(cost)]
}

/// 2^(i/8).
const FACTORS: [f64; 8] = [
    1.0,
    1.090_507_732_665_257_7,
    1.189_207_115_002_721,
    1.296_839_554_651_009_6,
    std::f64::consts::SQRT_2,
    1.542_210_825_407_940_7,
    1.681_792_830_507_429,
    1.834_008_086_409_342_3,
];

/// The byte for a user's factor, in the same steps: 0 is 1.0. From 1/65536 to 60,000; what is below, 0 and negative
/// included, counts as the least, what is above as the most, and what is no number as 1.0.
pub(crate) fn encode_factor(factor: f64) -> i8 {
    if factor.is_nan() {
        return 0;
    }
    // A conversion saturates: minus infinity, the logarithm of 0, is the least.
    (factor.max(0.0).log2() * STEPS).round() as i8
}

/// The factor that a byte stands for.
pub(crate) fn factor(byte: i8) -> f64 {
    let byte = i32::from(byte);
    let octaves = (1023 + byte.div_euclid(8)) as u64;
    FACTORS[byte.rem_euclid(8) as usize] * f64::from_bits(octaves << 52)
}

/// The running median of a tenant's costs.
#[derive(Debug, Default)]
pub(crate) struct Median {
    /// 0 before the first cost; otherwise 1 + the median in 1/256 of a step.
    word: AtomicU32,
}

impl Median {
    const UNIT: u32 = 256;

    /// Learns a measured cost and returns it clamped to the median's neighbourhood.
    pub(crate) fn observe(&self, nanos: u64) -> u8 {
        let cost = encode(nanos);
        let word = self.word.load(Ordering::Relaxed);
        if word == 0 {
            self.word.store(1 + u32::from(cost) * Self::UNIT, Ordering::Relaxed);
            return cost;
        }
        // A step towards each value seen ends where as many pull up as down: at the median. Racing threads
        // may lose a step.
        let median = word - 1;
        let target = u32::from(cost) * Self::UNIT;
        let stride = Self::UNIT / 4;
        let next = if target > median {
            (median + stride).min(target)
        } else {
            median.saturating_sub(stride).max(target)
        };
        self.word.store(1 + next, Ordering::Relaxed);
        clamp(cost, median / Self::UNIT)
    }

    /// The median, for values whose cost nobody measured.
    #[inline]
    pub(crate) fn current(&self) -> u8 {
        let median = self.word.load(Ordering::Relaxed).saturating_sub(1) / Self::UNIT;
        u8::try_from(median).unwrap_or(u8::MAX)
    }
}

fn clamp(cost: u8, median: u32) -> u8 {
    let clamped = u32::from(cost).clamp(median.saturating_sub(REACH), median + REACH);
    u8::try_from(clamped).unwrap_or(u8::MAX)
}

#[cfg(all(test, not(larder_shuttle)))]
mod tests {
    use super::*;

    #[test]
    fn a_cost_survives_its_byte_within_five_percent() {
        for nanos in [1_000, 1_500, 12_345, 1_000_000, 7_654_321, 1_000_000_000, 60_000_000_000] {
            let back = decode(encode(nanos)) as f64 / nanos as f64;
            assert!((0.95..1.05).contains(&back), "{nanos}: {back}");
        }
        assert_eq!((encode(0), encode(999), decode(0)), (0, 0, 1000));
        assert_eq!(encode(u64::MAX), 254);
    }

    #[test]
    fn a_cost_is_the_nearest_step() {
        for step in 0..40_000_u32 {
            let nanos = (1000.0 * (f64::from(step) / 1000.0).exp2()) as u64 + 1;
            let exact = (nanos as f64 / 1000.0).log2() * STEPS;
            let off = (f64::from(encode(nanos)) - exact.min(254.0)).abs();
            assert!(off <= 0.5 + 1e-9, "{nanos}: {off} steps off");
        }
    }

    #[test]
    fn a_factor_survives_its_byte_within_five_percent() {
        for value in [1.0, 0.5, 2.0, 3.3, 0.001, 1e-4, 50_000.0] {
            let back = factor(encode_factor(value)) / value;
            assert!((0.95..1.05).contains(&back), "{value}: {back}");
        }
        assert_eq!((encode_factor(1.0), encode_factor(f64::NAN)), (0, 0));
        for least in [0.0, -3.0, f64::NEG_INFINITY] {
            assert_eq!(encode_factor(least), i8::MIN);
        }
        assert_eq!((encode_factor(f64::INFINITY), encode_factor(1e300)), (i8::MAX, i8::MAX));
    }

    #[test]
    fn one_stall_is_clamped_and_a_lasting_change_is_learned() {
        let median = Median::default();
        for _ in 0..100 {
            median.observe(10_000);
        }
        let stall = decode(median.observe(10_000_000_000));
        assert!(stall <= 17 * 10_000, "{stall}");
        for _ in 0..1000 {
            median.observe(10_000_000);
        }
        let learned = decode(median.current());
        assert!((9_000_000..11_000_000).contains(&learned), "{learned}");
    }
}
