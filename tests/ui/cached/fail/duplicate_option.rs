use larder::cached;

#[cached(max_mb = 1, priority = 2.0, max_mb = 2)]
fn twice(n: u32) -> u32 {
    n
}

fn main() {}
