//! How long a thread has been computing, where the system tells.

use super::Nanos;

/// Processor time of the current thread, in user code and in the system's for it.
#[cfg(any(
    target_os = "linux",
    target_os = "android",
    target_os = "freebsd",
    target_os = "dragonfly",
    target_os = "netbsd",
    target_os = "openbsd",
    target_vendor = "apple"
))]
pub(super) fn computed() -> Option<Nanos> {
    super::posix::read(libc::CLOCK_THREAD_CPUTIME_ID)
}

/// Not here: whoever asks has to do with the time that passes.
#[cfg(not(any(
    target_os = "linux",
    target_os = "android",
    target_os = "freebsd",
    target_os = "dragonfly",
    target_os = "netbsd",
    target_os = "openbsd",
    target_vendor = "apple"
)))]
pub(super) fn computed() -> Option<Nanos> {
    None
}
