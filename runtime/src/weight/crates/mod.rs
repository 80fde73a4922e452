//! [`Weigh`](super::Weigh) for the types of other crates, one file and one feature a crate.
//!
//! A type of the wrong version of a crate has no weight: the version is the one in this crate's manifest. Types
//! that implement the trait of another crate that measures heap are weighed through
//! [`get_size`](super::weigh::get_size) instead.

#[cfg(feature = "arrayvec")]
mod arrayvec;
#[cfg(feature = "bytes")]
mod bytes;
#[cfg(feature = "chrono")]
mod chrono;
#[cfg(feature = "hashbrown")]
mod hashbrown;
#[cfg(feature = "indexmap")]
mod indexmap;
#[cfg(feature = "serde_json")]
mod serde_json;
#[cfg(feature = "smallvec")]
mod smallvec;
// With all of them or not at all: the file's helpers serve every crate.
#[cfg(all(
    test,
    not(larder_shuttle),
    feature = "arrayvec",
    feature = "bytes",
    feature = "chrono",
    feature = "hashbrown",
    feature = "indexmap",
    feature = "serde_json",
    feature = "smallvec",
    feature = "url",
    feature = "uuid"
))]
mod tests;
#[cfg(feature = "url")]
mod url;
#[cfg(feature = "uuid")]
mod uuid;
