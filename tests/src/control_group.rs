//! A control group with a limit on its memory, for a process that a test starts: the kernel ends who passes it.

use std::path::{Path, PathBuf};

/// Names a directory below which groups can be made: of version 2, delegated to us, or of the memory controller of version 1.
pub const VARIABLE: &str = "LARDER_TEST_CGROUP";

/// A control group for one test, removed after it.
#[derive(Debug)]
pub struct ControlGroup(PathBuf);

impl ControlGroup {
    /// A group of so many bytes below the one that [`VARIABLE`] names, or else below our own.
    ///
    /// # Errors
    ///
    /// Why there can be none here.
    pub fn with_limit(bytes: u64) -> Result<Self, String> {
        let parent = match std::env::var_os(VARIABLE) {
            Some(named) => PathBuf::from(named),
            None => own().ok_or("no control group of ours limits memory")?,
        };
        let path = parent.join(format!("larder-test-{}", std::process::id()));
        let said = |error: std::io::Error| format!("{}: {error}", path.display());
        std::fs::create_dir(&path).map_err(said)?;
        let group = Self(path.clone());
        // Of version 1, of version 2; the second file of each exists where there is swap, which would hide what is tested.
        let is_limited = [
            ("memory.limit_in_bytes", "memory.memsw.limit_in_bytes", bytes),
            ("memory.max", "memory.swap.max", 0),
        ]
        .into_iter()
        .any(|(limit, swap, swapped)| {
            let limit = path.join(limit);
            let is_set = limit.exists() && std::fs::write(&limit, bytes.to_string()).is_ok();
            if is_set {
                let _ = std::fs::write(path.join(swap), swapped.to_string());
            }
            is_set
        });
        if is_limited { Ok(group) } else { Err(format!("{}: no limit can be set", path.display())) }
    }

    /// Puts a process there.
    ///
    /// # Panics
    ///
    /// When the group does not take it.
    pub fn add(&self, process: u32) {
        std::fs::write(self.0.join("cgroup.procs"), process.to_string())
            .unwrap_or_else(|error| panic!("{}: {error}", self.0.display()));
    }
}

impl Drop for ControlGroup {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir(&self.0);
    }
}

/// The group of this process that counts its memory.
fn own() -> Option<PathBuf> {
    let groups = std::fs::read_to_string("/proc/self/cgroup").ok()?;
    let of = |wanted: &str| {
        groups.lines().find_map(|line| {
            let mut parts = line.splitn(3, ':').skip(1);
            let (controllers, path) = (parts.next()?, parts.next()?);
            controllers.split(',').any(|name| name == wanted).then(|| path.trim_start_matches('/').to_owned())
        })
    };
    let version_1 = of("memory").map(|path| Path::new("/sys/fs/cgroup/memory").join(path));
    let version_2 = of("").map(|path| Path::new("/sys/fs/cgroup").join(path));
    // In a container the path may be the host's: then its root is what we have.
    let roots = [version_1, Some(PathBuf::from("/sys/fs/cgroup/memory")), version_2];
    roots.into_iter().flatten().find(|path| path.join("cgroup.procs").exists())
}
