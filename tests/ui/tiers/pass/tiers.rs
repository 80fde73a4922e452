use larder::cached;
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Page {
    lines: Vec<String>,
}

#[cached(tiers("lz4"), max_entries = 4)]
fn page(name: &str, number: u32) -> Page {
    Page { lines: vec![format!("{name} {number}"); 100] }
}

#[cached(tiers(zstd(max_mb = 8, ttl = "10m", level = -3, chunk = "64KiB")))]
fn text(number: u64) -> Option<String> {
    (number > 0).then(|| "text".repeat(100))
}

#[cached(tiers(lz4(max_mb = 0.5)))]
async fn later(number: u64) -> Result<Vec<u8>, std::fmt::Error> {
    Ok(vec![number as u8; 1000])
}

#[cached(tiers("plain"))]
fn generic<T: larder::CacheKey + larder::codec::Storable>(of: T) -> Vec<T> {
    vec![of; 10]
}

struct Shop;

impl Shop {
    #[cached(skip(self), tiers("lz4"))]
    fn price(&self, of: &str) -> u64 {
        of.len() as u64
    }
}

fn main() {
    for number in 0..50 {
        assert_eq!(page("a", number).lines[0], format!("a {number}"));
    }
    let stats = page_cache().stats();
    assert_eq!(stats.tiers[0].name, "lz4");
    assert!(text(0).is_none() && text(1).is_some());
    let _ = later(1);
    assert_eq!(generic(1_u8).len() + generic("a".to_owned()).len(), 20);
    assert_eq!(Shop.price("abc"), 3);
    assert_eq!(text_cache().stats().tiers[0].max_bytes, Some(8 << 20));
}
