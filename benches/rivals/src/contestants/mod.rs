//! Each crate behind the few operations that the workloads need, written as its own documentation writes them.
//!
//! Every peer that lets its user choose a hasher gets larder's, so that a row compares caches and not hashes. Nothing
//! else is tuned: a cache is told how many entries to hold, and the rest is its default.

pub mod annotated;
mod larders;
mod limits;
mod numbers;
mod texts;

pub use larders::{Larder, Learning};
pub use limits::{OnePerThread, RwLocked};
pub use numbers::{
    Cached, Foyer, FoyerLfu, FoyerS3Fifo, LruInMutex, MiniMoka, Moka, QuickCache, SieveCache, TinyUfo,
};
pub use texts::TextLru;

use std::sync::Arc;

/// larder's own hasher, with a seed of the process.
pub type Hashers = foldhash::quality::RandomState;

/// What a contestant is compared as.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Whose times the others are divided by.
    Ours,
    /// A cache that threads share.
    Rival,
    /// Another way into larder, for comparison with the first.
    Beside,
    /// No cache that threads share: what the machine could do at best, or what people write without one.
    Limit,
}

/// A cache of numbers, bounded by entries.
pub trait Numbers: Send + Sync + 'static {
    const NAME: &'static str;
    const KIND: Kind = Kind::Rival;

    /// Whether it puts off evicting, so that for a while it holds more than it counts.
    const DEFERS: bool = false;

    /// As its users make it.
    fn with_capacity(entries: usize) -> Self;

    /// The same in one piece, where it can be asked for: splitting costs hits that the policy is not to blame for.
    fn in_one_piece(entries: usize) -> Self
    where
        Self: Sized,
    {
        Self::with_capacity(entries)
    }

    fn get(&self, key: u64) -> Option<u64>;
    fn insert(&self, key: u64, value: u64);
    fn get_or_compute(&self, key: u64, compute: impl FnOnce() -> u64) -> u64;

    /// Does now what the cache put off.
    fn settle(&self) {}

    /// How many entries it holds; `None` if it cannot tell.
    fn resident(&self) -> Option<u64>;
}

/// A cache of texts under a name and a number, asked with a borrowed name.
pub trait Texts: Send + Sync + 'static {
    const NAME: &'static str;
    const KIND: Kind = Kind::Rival;

    fn with_capacity(entries: usize) -> Self;
    fn get(&self, name: &str, id: u32) -> Option<Arc<str>>;
    fn insert(&self, name: &str, id: u32, value: Arc<str>);
}
