//! The memory of the machine or container that this process runs in, as a pressure source.
//!
//! What binds the process is the fullest of: the groups that limit it, its address space if that is limited, and,
//! where neither is, the host. A host that its other tenants fill is not looked at from inside a limit.

#[cfg(target_os = "linux")]
use std::path::{Path, PathBuf};

#[cfg(target_os = "linux")]
use super::{cgroup, psi};
#[cfg(target_os = "linux")]
use crate::pressure::Trigger;
use crate::pressure::{MemorySample, PressureSource};
use crate::settings::MB;
use crate::sync::{AtomicU8, Ordering};

/// The budget of a process that sets none, where memory is plenty.
const DEFAULT_BUDGET: u64 = 500 * MB;
/// The part of the effective limit that such a budget never exceeds.
const DEFAULT_PART: u64 = 4;

/// The most bytes this process could ever have: the least of the machine's memory, the limits of its groups, and
/// its address space. `u64::MAX` where nothing is known.
pub(crate) fn effective_limit() -> u64 {
    let limits = Limits::read();
    let all = limits.groups.iter().chain(&limits.address_space).chain(&limits.host);
    all.map(|sample| sample.limit).min().unwrap_or(u64::MAX).min(usize::MAX as u64)
}

/// The budget of a process that sets none: 500 MB, or a quarter of what it could ever have.
pub(crate) fn default_budget() -> u64 {
    DEFAULT_BUDGET.min(effective_limit() / DEFAULT_PART)
}

/// Reads the system's memory each time it is asked.
#[derive(Debug)]
pub(crate) struct SystemPressure {
    /// What the last sample was about, for the name.
    bound: AtomicU8,
}

impl SystemPressure {
    pub(crate) fn new() -> Self {
        Self { bound: AtomicU8::new(Bound::Host as u8) }
    }
}

impl PressureSource for SystemPressure {
    fn sample(&self) -> Option<MemorySample> {
        let (bound, sample) = Limits::read().binding()?;
        self.bound.store(bound as u8, Ordering::Relaxed);
        Some(sample)
    }

    fn name(&self) -> &'static str {
        match self.bound.load(Ordering::Relaxed) {
            group if group == Bound::Group as u8 => "cgroup",
            space if space == Bound::AddressSpace as u8 => "address space",
            _ => "host",
        }
    }

    fn resident(&self) -> Option<u64> {
        super::process::resident_bytes()
    }

    fn is_shared(&self) -> bool {
        self.bound.load(Ordering::Relaxed) == Bound::Host as u8
    }

    #[cfg(target_os = "linux")]
    fn at_limit(&self) -> Option<u64> {
        let counts: Vec<u64> =
            event_groups().iter().filter_map(|group| cgroup::times_at_limit(group)).collect();
        (!counts.is_empty()).then(|| counts.iter().sum())
    }

    #[cfg(target_os = "linux")]
    fn triggers(&self) -> Vec<Trigger> {
        psi::open(Path::new("/"), &psi::Wish::read(|name| std::env::var_os(name)), &event_groups())
    }
}

/// What limits a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
enum Bound {
    /// The memory of the machine.
    Host,
    /// A control group.
    Group,
    /// The process's own limit on what it may map.
    AddressSpace,
}

/// Everything that limits this process, at one moment.
#[derive(Debug, Default)]
struct Limits {
    host: Option<MemorySample>,
    /// Only groups that are tighter than the host.
    groups: Vec<MemorySample>,
    address_space: Option<MemorySample>,
}

impl Limits {
    fn read() -> Self {
        let host = host();
        let total = host.map_or(u64::MAX, |host| host.limit);
        #[cfg(target_os = "linux")]
        let (mut groups, address_space) = (groups(), address_space());
        #[cfg(not(target_os = "linux"))]
        let (mut groups, address_space) = (Vec::new(), None);
        groups.retain(|group: &MemorySample| group.limit < total);
        Self { host, groups, address_space }
    }

    /// The limit that will be hit first, and what it is.
    fn binding(&self) -> Option<(Bound, MemorySample)> {
        let groups = self.groups.iter().map(|sample| (Bound::Group, *sample));
        let address_space = self.address_space.iter().map(|sample| (Bound::AddressSpace, *sample));
        let fullest =
            groups.chain(address_space).max_by(|(_, a), (_, b)| a.fullness().total_cmp(&b.fullness()));
        fullest.or_else(|| self.host.map(|host| (Bound::Host, host)))
    }
}

#[cfg(target_os = "linux")]
fn host() -> Option<MemorySample> {
    sample_of(&std::fs::read_to_string("/proc/meminfo").ok()?)
}

/// What `/proc/meminfo` says of the machine. Kernels before 3.14 do not say what is available: there it is what is free, and
/// what caches would give back.
#[cfg(target_os = "linux")]
fn sample_of(table: &str) -> Option<MemorySample> {
    let field = |name: &str| {
        let value = table.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
        // They are kibibytes, though the file calls them "kB".
        value.split_ascii_whitespace().next()?.parse::<u64>().ok()?.checked_mul(1024)
    };
    let estimate = || {
        let given_back =
            ["Buffers", "Cached", "SReclaimable"].into_iter().filter_map(field).fold(0, u64::saturating_add);
        let free = field("MemFree")?;
        Some(free.saturating_add(given_back).saturating_sub(field("Shmem").unwrap_or(0)))
    };
    let limit = field("MemTotal").filter(|total| *total > 0)?;
    Some(MemorySample { used: limit.saturating_sub(field("MemAvailable").or_else(estimate)?), limit })
}

#[cfg(not(target_os = "linux"))]
fn host() -> Option<MemorySample> {
    use sysinfo::{MemoryRefreshKind, System};

    let mut system = System::new().ok()?;
    system.refresh_memory_specifics(MemoryRefreshKind::nothing().with_ram());
    let total = system.total_memory();
    // Nothing could be read.
    (total > 0).then(|| MemorySample { used: total.saturating_sub(system.available_memory()), limit: total })
}

#[cfg(target_os = "linux")]
fn groups() -> Vec<MemorySample> {
    let read = |file| std::fs::read_to_string(file).unwrap_or_default();
    cgroup::limited_groups(Path::new("/"), &read("/proc/self/cgroup"), &read("/proc/self/mountinfo"))
}

/// This process's groups that count what happens to them, the innermost first.
#[cfg(target_os = "linux")]
fn event_groups() -> Vec<PathBuf> {
    let read = |file| std::fs::read_to_string(file).unwrap_or_default();
    cgroup::event_groups(Path::new("/"), &read("/proc/self/cgroup"), &read("/proc/self/mountinfo"))
}

#[cfg(target_os = "linux")]
fn address_space() -> Option<MemorySample> {
    let limits = std::fs::read_to_string("/proc/self/limits").ok()?;
    let limit = address_space_limit(&limits)?;
    Some(MemorySample { used: super::process::address_space_bytes()?, limit })
}

/// The soft limit in `/proc/self/limits`, if there is one.
#[cfg(target_os = "linux")]
fn address_space_limit(limits: &str) -> Option<u64> {
    let fields = limits.lines().find_map(|line| line.strip_prefix("Max address space"))?;
    fields.split_ascii_whitespace().next()?.parse().ok().filter(|limit| *limit > 0)
}

#[cfg(all(test, not(larder_shuttle)))]
mod tests {
    use super::*;

    const fn sample(used: u64, limit: u64) -> MemorySample {
        MemorySample { used, limit }
    }

    #[test]
    fn the_fullest_limit_binds() {
        let host = Some(sample(99, 100));
        let alone = Limits { host, ..Limits::default() };
        assert_eq!(alone.binding(), Some((Bound::Host, sample(99, 100))));
        // The tighter group has more room than the one around it.
        let groups = vec![sample(10, 40), sample(45, 50)];
        let limits = Limits { host, groups, ..Limits::default() };
        assert_eq!(limits.binding(), Some((Bound::Group, sample(45, 50))));
        let limits = Limits { address_space: Some(sample(59, 60)), ..limits };
        assert_eq!(limits.binding(), Some((Bound::AddressSpace, sample(59, 60))));
        assert_eq!(Limits::default().binding(), None);
    }

    #[test]
    fn this_machine_has_memory() {
        let source = SystemPressure::new();
        let now = source.sample().expect("a machine that runs tests has memory");
        assert!(now.limit > 0);
        assert!(!source.name().is_empty());
        assert!(effective_limit() >= now.limit.min(MB));
        assert!(default_budget() <= DEFAULT_BUDGET && default_budget() > 0);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn what_is_available_counts_as_free() {
        let now = "MemTotal:       24689764 kB\nMemFree:         100 kB\nMemAvailable:   20000000 kB\nCached: 7 kB\n";
        assert_eq!(sample_of(now), Some(sample((24_689_764 - 20_000_000) << 10, 24_689_764 << 10)));
        let old = "MemTotal: 100 kB\nMemFree: 10 kB\nBuffers: 5 kB\nCached: 20 kB\nSwapCached: 50 kB\nShmem: 7 kB\n\
                   SReclaimable: 2 kB\n";
        assert_eq!(sample_of(old), Some(sample((100 - 30) << 10, 100 << 10)));
        for odd in [
            "",
            "MemTotal: 0 kB\nMemAvailable: 0 kB",
            "MemTotal: 5 kB",
            "MemTotal: x kB\nMemFree: 1 kB",
            "MemAvailable: 1 kB",
        ] {
            assert_eq!(sample_of(odd), None, "{odd}");
        }
        // More than there is counts as all.
        assert_eq!(sample_of("MemTotal: 5 kB\nMemAvailable: 9 kB"), Some(sample(0, 5 << 10)));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_soft_limit_counts() {
        let table = |soft: &str| {
            format!(
                "Limit                     Soft Limit           Hard Limit           Units     \n\
                 Max file locks            unlimited            unlimited            locks     \n\
                 Max address space         {soft:<20} 8589934592           bytes     \n"
            )
        };
        assert_eq!(address_space_limit(&table("4294967296")), Some(4 << 30));
        for soft in ["unlimited", "", "-1", "0x10", "99999999999999999999999"] {
            let expected = if soft.is_empty() { Some(8 << 30) } else { None };
            assert_eq!(address_space_limit(&table(soft)), expected, "{soft}");
        }
        assert_eq!(address_space_limit(""), None);
        assert_eq!(address_space_limit("Max address space"), None);
    }
}
