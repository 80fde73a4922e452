use larder::cached;

#[cached(policy = "lru", utility = |_, value| f64::from(*value))]
fn read_by_nobody(n: u32) -> u32 {
    n
}

#[cached(policy = "utility", utility = |_, value| f64::from(*value))]
fn read(n: u32) -> u32 {
    n
}

fn main() {
    read_by_nobody(read(1));
}
