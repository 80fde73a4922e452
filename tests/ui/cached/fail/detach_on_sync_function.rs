use larder::cached;

#[cached(detach)]
fn blocking(n: u32) -> u32 {
    n
}

fn main() {}
