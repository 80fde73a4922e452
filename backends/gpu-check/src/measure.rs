//! How long something takes: the median of some rounds.

use std::time::{Duration, Instant};

/// How much is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effort {
    /// Enough to see that it runs.
    Quick,
    /// Enough for times that mean something.
    Full,
}

impl Effort {
    /// The median time of one call.
    pub(crate) fn time(self, mut call: impl FnMut()) -> Duration {
        let (rounds, times) = if self == Self::Quick { (1, 3) } else { (9, 200) };
        let mut all: Vec<Duration> = (0..rounds)
            .map(|_| {
                let start = Instant::now();
                (0..times).for_each(|_| call());
                start.elapsed() / times
            })
            .collect();
        all.sort();
        all[all.len() / 2]
    }
}

/// Sizes that are measured, in bytes.
pub(crate) const SIZES: [u64; 4] = [4 << 10, 64 << 10, 1 << 20, 16 << 20];

pub(crate) fn bytes(bytes: u64) -> String {
    match bytes {
        0..0x10_0000 => format!("{} KiB", bytes >> 10),
        _ => format!("{} MiB", bytes >> 20),
    }
}

pub(crate) fn ratio(ours: Duration, theirs: Duration) -> String {
    format!("{:.2}x", ours.as_secs_f64() / theirs.as_secs_f64())
}
