//! What the system says about memory: limits, what is in use, what this process holds.
//!
//! Only reading, and asking the allocator to give back what it keeps. Who reads when, and what follows from
//! it, is the coordinator's.

#[cfg(target_os = "linux")]
mod cgroup;
pub(crate) mod process;
pub(crate) mod system;

pub(crate) use system::SystemPressure;
