//! How long things take that do the same in several ways: each in turn, round after round, and of each the median.

use std::time::{Duration, Instant};

/// How much is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effort {
    /// Enough to see that it runs.
    Quick,
    /// Enough for times that mean something.
    Full,
}

/// A round of one call takes about as long.
const ROUND: Duration = Duration::from_millis(20);

impl Effort {
    /// The median time of each call. They take turns, so that what else goes on meets all of them.
    pub(crate) fn compare<const N: usize>(self, calls: [&mut dyn FnMut(); N]) -> [Duration; N] {
        let mut calls = calls.map(|call| {
            let once = Self::round(call, 1);
            let times = ROUND.as_nanos() / once.as_nanos().max(1);
            (call, if self == Self::Quick { 1 } else { times.clamp(3, 500) as u32 }, Vec::new())
        });
        for _ in 0..if self == Self::Quick { 1 } else { 11 } {
            for (call, times, all) in &mut calls {
                all.push(Self::round(call, *times));
            }
        }
        calls.map(|(_, _, mut all)| {
            all.sort();
            all[all.len() / 2]
        })
    }

    fn round(call: &mut dyn FnMut(), times: u32) -> Duration {
        let start = Instant::now();
        (0..times).for_each(|_| call());
        start.elapsed() / times
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
