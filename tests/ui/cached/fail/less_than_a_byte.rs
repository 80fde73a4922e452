use larder::cached;

#[cached(max_mb = 0.0000001)]
fn tiny(n: u32) -> u32 {
    n
}

fn main() {}
