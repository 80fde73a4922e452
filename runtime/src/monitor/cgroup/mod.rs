//! The memory limits that control groups put on this process, version 1 and 2.
//!
//! A process is in one group of each hierarchy, and every ancestor's limit binds it too. Reads a handful of small
//! files each time, because limits change and processes are moved. Not here: pressure stall information.
//!
//! ```text
//! /proc/self/cgroup      which group      0::/app/worker
//! /proc/self/mountinfo   where it is      .. /app /sys/fs/cgroup .. - cgroup2 ..    (this mount shows /app and below)
//!                                   =>    /sys/fs/cgroup/worker, /sys/fs/cgroup
//! ```

use std::fs;
use std::path::{Component, Path, PathBuf};

use crate::pressure::MemorySample;

#[cfg(test)]
mod tests;

/// Version 1 says "no limit" with the largest number of whole pages, whatever a page is.
const NO_LIMIT_FROM: u64 = 1 << 62;

/// What each limited group around this process says, from the innermost outwards; empty without limits.
///
/// `root` is put before every path, so that tests can bring a tree of their own; `cgroup` and `mountinfo` are the
/// contents of the files of that name in `/proc/self`.
pub(super) fn limited_groups(root: &Path, cgroup: &str, mountinfo: &str) -> Vec<MemorySample> {
    let mut groups = Vec::new();
    for mount in mountinfo.lines().filter_map(Mount::parse) {
        let Some(path) = group_path(cgroup, mount.version) else { continue };
        for directory in mount.directories(root, path) {
            groups.extend(mount.version.read(&directory));
        }
    }
    groups
}

/// The groups around this process that have `memory.events`, from the innermost outwards: those of version 2, except the root.
///
/// The arguments are those of [`limited_groups`].
pub(super) fn event_groups(root: &Path, cgroup: &str, mountinfo: &str) -> Vec<PathBuf> {
    let Some(path) = group_path(cgroup, Version::V2) else { return Vec::new() };
    let mounts = mountinfo.lines().filter_map(Mount::parse).filter(|mount| mount.version == Version::V2);
    let directories = mounts.flat_map(|mount| mount.directories(root, path));
    directories.filter(|group| group.join("memory.events").exists()).collect()
}

/// How often a group of version 2 was about to pass its limit.
pub(super) fn times_at_limit(group: &Path) -> Option<u64> {
    // Its own: the sum over all groups below is in `memory.events`, and they are counted themselves.
    let local = fs::read_to_string(group.join("memory.events.local"));
    let events = local.or_else(|_| fs::read_to_string(group.join("memory.events"))).ok()?;
    stat_field(&events, "max")
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Version {
    /// A hierarchy for each controller; memory's is used.
    V1,
    /// One hierarchy for all.
    V2,
}

/// The path of this process's group, seen from the root of its hierarchy.
fn group_path(cgroup: &str, version: Version) -> Option<&str> {
    cgroup.lines().find_map(|line| {
        let mut fields = line.splitn(3, ':');
        let (id, controllers, path) = (fields.next()?, fields.next()?, fields.next()?);
        let wanted = match version {
            Version::V1 => controllers.split(',').any(|controller| controller == "memory"),
            Version::V2 => id == "0" && controllers.is_empty(),
        };
        // A group that was removed under its last process.
        wanted.then(|| path.strip_suffix(" (deleted)").unwrap_or(path))
    })
}

/// A mounted hierarchy that may limit memory.
#[derive(Debug)]
struct Mount {
    version: Version,
    /// The group that the mount point shows.
    shows: PathBuf,
    point: PathBuf,
}

impl Mount {
    /// Reads a line of `mountinfo`; `None` for other file systems, and for what is not such a line.
    fn parse(line: &str) -> Option<Self> {
        // id parent major:minor root point options tag.. - type source options
        let (mount, file_system) = line.split_once(" - ")?;
        let mut file_system = file_system.split(' ');
        let version = match file_system.next()? {
            "cgroup2" => Version::V2,
            "cgroup" if file_system.nth(1)?.split(',').any(|option| option == "memory") => Version::V1,
            _ => return None,
        };
        let mut mount = mount.split(' ').skip(3);
        let (shows, point) = (mount.next()?, mount.next()?);
        Some(Self { version, shows: unescape(shows).into(), point: unescape(point).into() })
    }

    /// The group at `path` and its ancestors, as far as the mount shows them.
    fn directories(&self, root: &Path, path: &str) -> Vec<PathBuf> {
        let top = root.join(self.point.strip_prefix("/").unwrap_or(&self.point));
        let below = match Path::new(path).strip_prefix(&self.shows) {
            // Names with `..` are outside of what this namespace shows.
            Ok(below) if below.components().all(|part| matches!(part, Component::Normal(_))) => below,
            // In a container with its own mount but the host's names, the top is the group itself.
            _ => Path::new(""),
        };
        below.ancestors().map(|group| top.join(group)).collect()
    }
}

/// Undoes `mountinfo`'s octal escapes of space, tab, newline and backslash.
fn unescape(text: &str) -> String {
    [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")]
        .into_iter()
        .fold(text.to_owned(), |text, (escape, character)| text.replace(escape, character))
}

impl Version {
    /// The limit of one group and its working set, if it has a limit.
    ///
    /// The working set leaves out file pages that nobody used lately: the system takes those back at will, and
    /// a program that reads files would look short of memory with them.
    fn read(self, group: &Path) -> Option<MemorySample> {
        let (limits, usage, reclaimable): (&[&str], &str, &[&str]) = match self {
            // Past `memory.high` a group is not killed, but slowed until it is useless.
            Self::V2 => (&["memory.max", "memory.high"], "memory.current", &["inactive_file"]),
            Self::V1 => (
                &["memory.limit_in_bytes"],
                "memory.usage_in_bytes",
                &["total_inactive_file", "inactive_file"],
            ),
        };
        let stat = fs::read_to_string(group.join("memory.stat")).unwrap_or_default();
        // Version 1 also tells about ancestors that the mount does not show.
        let inherited = stat_field(&stat, "hierarchical_memory_limit").filter(is_limit);
        let own = limits.iter().filter_map(|file| read_number(&group.join(file)).filter(is_limit));
        let limit = own.chain(inherited).min()?;
        let usage = read_number(&group.join(usage))?;
        let reclaimable = reclaimable.iter().find_map(|field| stat_field(&stat, field)).unwrap_or(0);
        // The two files are not of one instant, so the part may be larger than the whole.
        Some(MemorySample { used: usage.saturating_sub(reclaimable), limit })
    }
}

/// The number in a file; `None` for `max`, for what is no number, and for what cannot be read.
fn read_number(file: &Path) -> Option<u64> {
    fs::read_to_string(file).ok()?.trim().parse().ok()
}

/// Whether a number is a limit. 0 is not: it asks the system to reclaim what it can.
fn is_limit(number: &u64) -> bool {
    (1..NO_LIMIT_FROM).contains(number)
}

fn stat_field(stat: &str, field: &str) -> Option<u64> {
    stat.lines().find_map(|line| {
        let (name, value) = line.split_once(' ')?;
        (name == field).then(|| value.trim().parse().ok()).flatten()
    })
}
