use larder::cached;

#[cached(policy = "lru" max_mb = 3 priority = 2.0)]
fn side_by_side(n: u32) -> u32 {
    n
}

#[cached(ttl = "5" m, max_mb = 3 MB)]
fn with_a_word(n: u32) -> u32 {
    n
}

fn main() {}
