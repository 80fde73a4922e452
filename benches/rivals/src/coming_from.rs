//! larder's pages for users of other crates, as a library without code: its documentation tests are the code of both
//! sides, before and after, against the crates themselves.
//!
//! What stands for the other crate is ignored in larder's own tests, which don't have it; here
//! `cargo test --doc -- --include-ignored` runs it.

/// From `cached`.
#[doc = include_str!("../../../src/docs/from_cached.md")]
pub mod cached {}

/// From `lru`.
#[doc = include_str!("../../../src/docs/from_lru.md")]
pub mod lru {}

/// From `memoize`.
#[doc = include_str!("../../../src/docs/from_memoize.md")]
pub mod memoize {}

/// From `moka`.
#[doc = include_str!("../../../src/docs/from_moka.md")]
pub mod moka {}
