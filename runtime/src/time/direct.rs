//! The system's clocks, read without a detour, where it has two that share one time: an exact one, and a cheap one that
//! shows the last timer tick without asking a counter.

#[cfg(any(target_os = "linux", target_os = "android"))]
use super::posix::{read, resolution};

/// A reading of the exact clock that others are counted from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Direct(#[cfg(any(target_os = "linux", target_os = "android"))] u64);

#[cfg(any(target_os = "linux", target_os = "android"))]
impl Direct {
    /// The time now as the origin; `None` when the system has no such clocks, or a cheap one that ticks too slowly.
    pub(super) fn start() -> Option<Self> {
        let tick = resolution(libc::CLOCK_MONOTONIC_COARSE)?;
        if tick > super::TICK {
            return None;
        }
        read(libc::CLOCK_MONOTONIC).map(Self)
    }

    /// Nanoseconds since the origin.
    #[inline]
    pub(super) fn exact(self) -> Option<u64> {
        read(libc::CLOCK_MONOTONIC).map(|now| now.saturating_sub(self.0))
    }

    /// The same as of the last tick: the cheap clock lags behind.
    #[inline]
    pub(super) fn coarse(self) -> Option<u64> {
        read(libc::CLOCK_MONOTONIC_COARSE).map(|now| now.saturating_sub(self.0))
    }
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
impl Direct {
    pub(super) fn start() -> Option<Self> {
        None
    }

    pub(super) fn exact(self) -> Option<u64> {
        None
    }

    pub(super) fn coarse(self) -> Option<u64> {
        None
    }
}
