use larder::cached;

#[cached("lru", 64)]
fn values_only(n: u32) -> u32 {
    n
}

#[cached(,)]
fn comma_only(n: u32) -> u32 {
    n
}

fn main() {}
