//! How larder's tiers write keys and values: [`Serde`] for all that serde knows, `Lz4` and `Zstd` to make it smaller.
//!
//! Not here: when anything is written, and where to.
//!
//! # Features
//!
//! | feature | default | what it adds | cost |
//! |---|---|---|---|
//! | `lz4` | no | `Lz4`: compresses at some 400 MB a second, for records in memory | lz4_flex 0.14, safe Rust |
//! | `zstd` | no | `Zstd`: smaller, and slower by its level, for records on disk | zstd 0.14 with the C library |

#[cfg(any(feature = "lz4", feature = "zstd"))]
mod chunks;
#[cfg(feature = "lz4")]
mod lz4;
mod record;
mod schema;
mod serde;
#[cfg(feature = "zstd")]
mod zstd;

#[cfg(feature = "lz4")]
pub use lz4::Lz4;
pub use record::{HEADER, Record, Unread, is_whole, key_bytes};
pub use schema::Schema;
pub use serde::{Serde, Storable};
#[cfg(feature = "zstd")]
pub use zstd::Zstd;
