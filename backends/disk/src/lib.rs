//! A tier on disk for larder's caches: [`Disk`] says where and how much, and a cache that has one survives a restart.
//!
//! One directory holds the records of many caches, and belongs to one process at a time. What is in it is a cache:
//! removing it, while nobody uses it, costs nothing but computing again. [`inspect`] looks into one.
//!
//! ```
//! use larder_codec::Serde;
//! use larder_disk::Disk;
//! use larder_runtime::{Cache, Domain, Tiers};
//!
//! # let scratch = tempfile::tempdir()?;
//! # let path = scratch.path();
//! # let domain = Domain::builder().limit_bytes(1 << 20).build();
//! let pages = Cache::<String, String>::builder("pages")
//!     .tiers(Tiers::new(Serde).cold(Disk::at(path).max_mb(256).persist()))
//!     .build_in(&domain)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # What survives what
//!
//! Records are written behind, by a thread of larder's. After [`flush`](larder_runtime::flush) returned, what was removed
//! or replaced before stays so, whatever happens to the process or the machine. Without it the last moments may be
//! missing: a record that was on its way is not there, and one that was being removed may still be.
//!
//! # Memory
//!
//! About ninety bytes for each record, charged to its cache. Beside that, and not charged: up to 16 MB (at most a
//! sixteenth of the budget) that wait to be written, a megabyte while it is written, and the labels while a directory is
//! opened. What was read is the system's to keep. A cache has some forty files open.

mod directory;
mod disk;
mod envelope;
pub mod inspect;
mod log;
mod place;
mod space;

pub use disk::Disk;
pub use place::set_path;

/// What can be read of a file of labels, written anew. For fuzzing.
#[doc(hidden)]
#[must_use]
pub fn __frames(file: &[u8]) -> Vec<u8> {
    log::again(file)
}
