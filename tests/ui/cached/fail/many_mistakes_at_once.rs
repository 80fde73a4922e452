//! Every mistake is reported in one go, and the function and its handle are there all the same.
use larder::cached;

#[cached(polcy = "lru", policy = "lfru", max_mb = -1, priority = "high", ttl = "5 parsecs", skip(n))]
fn f(n: u32) -> u32 {
    n
}

fn main() {
    let _: u32 = f(1);
    let _ = f_cache().get(1);
}
