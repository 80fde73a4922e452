//! What this process takes of the machine: memory, and time on a core.

use std::time::Duration;

/// Bytes in memory.
pub fn resident() -> Option<u64> {
    let statm = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = statm.split_whitespace().nth(1)?.parse().ok()?;
    // Linux tells sizes in pages, which nearly everywhere are of 4 KB.
    Some(pages * rustix::param::page_size() as u64)
}

/// How long all threads together were on a core.
#[cfg(target_os = "linux")]
pub fn time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec as u32)
}

/// Elsewhere nothing is known of it.
#[cfg(not(target_os = "linux"))]
pub fn time() -> Duration {
    Duration::ZERO
}

/// How long the threads of this name were on a core.
pub fn time_of(name: &str) -> Option<Duration> {
    let mut sum = None;
    for task in std::fs::read_dir("/proc/self/task").ok()?.flatten() {
        let read = |file| std::fs::read_to_string(task.path().join(file)).ok();
        if read("comm").is_some_and(|comm| comm.trim() == name) {
            let nanos: u64 = read("schedstat")?.split_whitespace().next()?.parse().ok()?;
            sum = Some(sum.unwrap_or(Duration::ZERO) + Duration::from_nanos(nanos));
        }
    }
    sum
}
