//! What the system says about memory: limits, what is in use, what this process holds.
//!
//! Only reading, waiting, and asking the allocator to give back what it keeps. Who reads when, and what follows from
//! it, is the coordinator's.

#[cfg(target_os = "linux")]
mod cgroup;
pub(crate) mod process;
#[cfg(target_os = "linux")]
mod psi;
pub(crate) mod system;
#[cfg(unix)]
mod watcher;

pub(crate) use system::SystemPressure;
#[cfg(unix)]
pub(crate) use watcher::Watcher;
