//! Memory that a driver in software does not get, because the process may not have it.

/// The process has so much address space beside what it has now, until this is dropped.
pub(crate) struct Shortened {
    #[cfg(target_os = "linux")]
    before: libc::rlimit,
}

#[cfg(target_os = "linux")]
impl Shortened {
    /// `None` where the system does not do that.
    pub(crate) fn to(more: u64) -> Option<Self> {
        let status = std::fs::read_to_string("/proc/self/status").ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmSize:"))?;
        let has = line.trim().strip_suffix(" kB")?.parse::<u64>().ok()? * 1024;
        let mut before = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
        // SAFETY: the place for the limits outlives the call.
        if unsafe { libc::getrlimit(libc::RLIMIT_AS, &raw mut before) } != 0 {
            return None;
        }
        let limit = libc::rlimit { rlim_cur: (has + more).min(before.rlim_max), ..before };
        // SAFETY: the limits outlive the call, and are no higher than those that cannot be raised.
        (unsafe { libc::setrlimit(libc::RLIMIT_AS, &raw const limit) } == 0).then_some(Self { before })
    }
}

#[cfg(target_os = "linux")]
impl Drop for Shortened {
    fn drop(&mut self) {
        // SAFETY: the limits outlive the call, and were there before.
        unsafe { libc::setrlimit(libc::RLIMIT_AS, &raw const self.before) };
    }
}

#[cfg(not(target_os = "linux"))]
impl Shortened {
    pub(crate) fn to(_more: u64) -> Option<Self> {
        None
    }
}
