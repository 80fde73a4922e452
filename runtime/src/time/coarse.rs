//! The system's cheap clock, where it has one: the time of its last timer tick, read without asking a counter.

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

#[cfg(any(target_os = "linux", target_os = "android"))]
#[inline]
fn read(clock: libc::clockid_t) -> Option<u64> {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is a `timespec` of ours that the call writes and does not keep. An unknown clock is an
    // error and no undefined behaviour.
    let failed = unsafe { libc::clock_gettime(clock, &raw mut time) };
    nanos(failed, &time)
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn resolution(clock: libc::clockid_t) -> Option<u64> {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: as in `read`.
    let failed = unsafe { libc::clock_getres(clock, &raw mut time) };
    nanos(failed, &time)
}

#[cfg(any(target_os = "linux", target_os = "android"))]
#[inline]
fn nanos(failed: libc::c_int, time: &libc::timespec) -> Option<u64> {
    let (seconds, rest) = (u64::try_from(time.tv_sec).ok()?, u64::try_from(time.tv_nsec).ok()?);
    (failed == 0).then_some(seconds.saturating_mul(1_000_000_000).saturating_add(rest))
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
