use larder::cached;

#[cached(max_bytes = "64 lots")]
fn unit(n: u32) -> u32 {
    n
}

#[cached(max_bytes = "many")]
fn words(n: u32) -> u32 {
    n
}

fn main() {}
