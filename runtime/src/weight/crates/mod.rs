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
#[cfg(all(test, not(larder_shuttle)))]
mod tests;
#[cfg(feature = "url")]
mod url;
#[cfg(feature = "uuid")]
mod uuid;
