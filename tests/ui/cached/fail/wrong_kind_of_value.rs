use larder::cached;

#[cached(policy = lru, max_mb = "64", max_bytes = [1], max_entries = 1.5)]
fn first(n: u32) -> u32 {
    n
}

#[cached(priority = "high", ttl = 300, weigh = 3, name = me, min_mb = LIMIT)]
fn second(n: u32) -> u32 {
    n
}

#[cached(max_mb = 50MB, max_bytes = 10.5, priority = 1e999)]
fn third(n: u32) -> u32 {
    n
}

fn main() {}
