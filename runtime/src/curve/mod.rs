//! What a tenant would save with more bytes, or lose with fewer: learned from its uses while it runs.
//!
//! `reuse` learns, from a sample of the keys, how many bytes of other entries are used between two uses of one; such a
//! reuse is a hit in a cache that holds at least as many. `watch` says what it stands for while the tenant was not watched
//! for long, and `shape` is what comes of it. `depth` counts how many objects of a pool its leases need. `sampling` stands
//! between that and the threads that use the cache. Not here: what is done with a curve, which is the coordinator's.

mod depth;
mod reuse;
mod sampling;
mod shape;
mod watch;

pub(crate) use depth::{Depths, Stock};
pub(crate) use reuse::{Fact, Followed, NO_DEADLINE, Reuse};
pub(crate) use sampling::{OFF, Sampling};
pub(crate) use shape::Curve;
pub(crate) use watch::KEPT;
