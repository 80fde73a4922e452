//! What a trim frees goes back to the system, where the program says how its allocator is asked.
#![cfg(any(feature = "jemalloc", feature = "mimalloc"))]

use larder::{Cache, Domain};
use larder_allocators::purge;

#[cfg(feature = "jemalloc")]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

#[cfg(all(feature = "mimalloc", not(feature = "jemalloc")))]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[test]
fn a_trim_gives_memory_back() {
    let domain = Domain::builder().limit_bytes(200 << 20).manual().build();
    domain.set_purge(purge);
    let cache = Cache::<u64, Vec<u8>>::builder("values").build_in(&domain).expect("plain options");
    for key in 0..50_000_u64 {
        cache.insert(key, vec![1; 500 + key as usize % 3000]);
    }
    let trimmed = domain.trim(u64::MAX);
    assert!(trimmed.freed > 90 << 20, "{trimmed:?}");
    let (Some(before), Some(after)) = (trimmed.rss_before, trimmed.rss_after) else { return };
    let returned = before.saturating_sub(after);
    assert!(returned > trimmed.freed / 10 * 7, "{returned} of {}", trimmed.freed);
}
