use larder::cached;

#[cached(name = " ")]
fn nameless(n: u32) -> u32 {
    n
}

fn main() {}
