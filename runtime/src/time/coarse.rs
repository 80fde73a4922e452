//! The system's cheap clock, where it has one: the time of its last timer tick, read without asking a counter.

#[cfg(any(target_os = "linux", target_os = "android"))]
use super::posix::{read, resolution};

/// A reading of the cheap clock that others are counted from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Coarse(#[cfg(any(target_os = "linux", target_os = "android"))] u64);

#[cfg(any(target_os = "linux", target_os = "android"))]
impl Coarse {
    /// The time now as the origin; `None` when the system has no such clock, or one that ticks too slowly.
    pub(super) fn start() -> Option<Self> {
        let tick = resolution(libc::CLOCK_MONOTONIC_COARSE)?;
        if tick > super::TICK {
            return None;
        }
        // Counted from a reading of the exact clock: both share one time, and the coarse one lags.
        read(libc::CLOCK_MONOTONIC).map(Self)
    }

    /// Nanoseconds since the origin, as of the last tick.
    #[inline]
    pub(super) fn elapsed(self) -> Option<u64> {
        read(libc::CLOCK_MONOTONIC_COARSE).map(|now| now.saturating_sub(self.0))
    }
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
impl Coarse {
    pub(super) fn start() -> Option<Self> {
        None
    }

    pub(super) fn elapsed(self) -> Option<u64> {
        None
    }
}
