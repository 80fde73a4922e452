use larder::cached;

#[cached(policy = lru)]
fn recent(n: u32) -> u32 {
    n
}

#[cached(policy = S3Fifo)]
fn filtered(n: u32) -> u32 {
    n
}

#[cached(policy = larder::Policy::Lru)]
fn by_our_type(n: u32) -> u32 {
    n
}

fn main() {}
