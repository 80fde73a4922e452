//! A body that leaves its caller, and a parameter that may not: one error for each function.
use std::hash::Hash;

use larder::{CacheKey, CacheValue, cached};

trait Fetch {
    fn fetch(&self, n: u32) -> impl Future<Output = u32> + Send;
}

#[cached(detach, skip(client))]
async fn skipped<C: Fetch + Send>(client: C, n: u32) -> u32 {
    client.fetch(n).await
}

#[cached(detach, skip(client))]
async fn copied<C: Fetch + Clone + Send + Sync>(client: &C, n: u32) -> u32 {
    client.fetch(n).await
}

#[cached(detach)]
async fn key<T: Hash + Eq + Clone + Send + Sync>(of: T) -> bool {
    of == of
}

#[cached(detach)]
async fn no_value<T: Default>(n: u32) -> Option<T> {
    (n > 0).then(T::default)
}

#[cached(detach)]
async fn error<E: From<u32> + Send>(n: u32) -> Result<u32, E> {
    Err(E::from(n))
}

#[cached(detach, skip(client))]
async fn not_send<C: Fetch, K: CacheKey, V: CacheValue + From<u32>>(client: C, of: K) -> V {
    V::from(client.fetch(u32::from(of == of)).await)
}

fn main() {}
