//! The attribute macros, each on the same two bodies.

use std::sync::Arc;

#[larder::cached]
pub fn by_larder(key: u64) -> u64 {
    key.wrapping_mul(3)
}

/// cached's macro with its defaults: one lock around one store.
#[cached::macros::cached]
pub fn by_cached(key: u64) -> u64 {
    key.wrapping_mul(3)
}

/// cached's macro for several threads: locks by shard.
#[cached::macros::concurrent_cached]
pub fn by_concurrent_cached(key: u64) -> u64 {
    key.wrapping_mul(3)
}

#[memoize::memoize]
pub fn by_memoize(key: u64) -> u64 {
    key.wrapping_mul(3)
}

#[memoize::memoize(SharedCache)]
pub fn by_memoize_shared(key: u64) -> u64 {
    key.wrapping_mul(3)
}

#[larder::cached]
pub fn text_by_larder(name: &str, id: u32) -> Arc<str> {
    text(name, id)
}

#[cached::macros::cached(key = "(String, u32)", convert = { (name.to_owned(), id) })]
pub fn text_by_cached(name: &str, id: u32) -> Arc<str> {
    text(name, id)
}

/// It takes owned arguments only.
#[memoize::memoize(SharedCache)]
pub fn text_by_memoize(name: String, id: u32) -> Arc<str> {
    text(&name, id)
}

fn text(name: &str, id: u32) -> Arc<str> {
    Arc::from(format!("{name}-{id}"))
}
