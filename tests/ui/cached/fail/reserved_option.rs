use larder::cached;

#[cached(skip(n))]
fn skipped(n: u32) -> u32 {
    n
}

#[cached(refresh_after = "5m", cache_err, tiers = [warm, disk])]
fn later(n: u32) -> u32 {
    n
}

#[cached(crate = other::larder, domain = gpu)]
fn elsewhere(n: u32) -> u32 {
    n
}

fn main() {}
