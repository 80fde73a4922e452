use larder::cached;

#[cached(max_mb = 4, min_mb = 8)]
fn floor_above_ceiling(n: u32) -> u32 {
    n
}

#[cached(min_mb = 1, max_bytes = "512KiB")]
fn floor_above_bytes(n: u32) -> u32 {
    n
}

#[cached(max_mb = 4, max_bytes = "512KiB")]
fn two_ceilings(n: u32) -> u32 {
    n
}

fn main() {}
