//! Clocks of the C library, in nanoseconds.

/// What a clock shows; `None` when the system does not have it.
#[inline]
pub(super) fn read(clock: libc::clockid_t) -> Option<u64> {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `time` is a `timespec` of ours that the call writes and does not keep. An unknown clock is an
    // error and no undefined behaviour.
    let failed = unsafe { libc::clock_gettime(clock, &raw mut time) };
    nanos(failed, &time)
}

/// How finely a clock ticks.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(super) fn resolution(clock: libc::clockid_t) -> Option<u64> {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: as in `read`.
    let failed = unsafe { libc::clock_getres(clock, &raw mut time) };
    nanos(failed, &time)
}

#[inline]
fn nanos(failed: libc::c_int, time: &libc::timespec) -> Option<u64> {
    let (seconds, rest) = (u64::try_from(time.tv_sec).ok()?, u64::try_from(time.tv_nsec).ok()?);
    (failed == 0).then_some(seconds.saturating_mul(1_000_000_000).saturating_add(rest))
}
