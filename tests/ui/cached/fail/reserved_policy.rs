use larder::cached;

#[cached(policy = "s3fifo")]
fn later(n: u32) -> u32 {
    n
}

fn main() {}
