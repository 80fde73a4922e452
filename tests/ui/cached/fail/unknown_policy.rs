use larder::cached;

#[cached(policy = "lfru")]
fn near(n: u32) -> u32 {
    n
}

#[cached(policy = "best")]
fn far(n: u32) -> u32 {
    n
}

fn main() {}
