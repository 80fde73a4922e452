use larder::{TierState, cached};
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Page {
    lines: Vec<String>,
}

#[cached(tiers("lz4", "disk"), max_entries = 4)]
fn page(name: &str, number: u32) -> Page {
    Page { lines: vec![format!("{name} {number}"); 100] }
}

#[cached(tiers(disk(path = "/proc/nowhere", env = "PAGES", max_mb = 8, ttl = "1d", level = -3, version = 2, persist)))]
fn text(number: u64) -> Option<String> {
    (number > 0).then(|| "text".repeat(100))
}

#[cached(tiers(disk(max_mb = 0.5)))]
async fn later(number: u64) -> Result<Vec<u8>, std::fmt::Error> {
    Ok(vec![number as u8; 1000])
}

#[cached(tiers("disk"))]
fn generic<T: larder::CacheKey + larder::codec::Storable>(of: T) -> Vec<T> {
    vec![of; 10]
}

fn main() {
    // Nobody says where: the functions go without.
    assert_eq!(page("a", 1).lines[0], "a 1");
    let stats = page_cache().stats();
    assert_eq!((&*stats.tiers[0].name, &*stats.tiers[1].name), ("lz4", "disk"));
    assert_eq!(stats.tiers[1].state, TierState::Off);
    assert!(text(0).is_none() && text(1).is_some());
    assert_eq!(text_cache().stats().tiers[0].max_bytes, Some(8 << 20));
    let _ = later(1);
    assert_eq!(generic(1_u8).len(), 10);
}
