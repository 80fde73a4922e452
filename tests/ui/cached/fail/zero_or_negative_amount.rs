use larder::cached;

#[cached(max_mb = 0, max_entries = 0, min_mb = 0, priority = 0, ttl = "0s")]
fn zero(n: u32) -> u32 {
    n
}

#[cached(max_mb = -1, max_entries = -5, min_mb = -0.5, priority = -2.0)]
fn negative(n: u32) -> u32 {
    n
}

#[cached(max_bytes = 0)]
fn no_bytes(n: u32) -> u32 {
    n
}

#[cached(max_bytes = "0 MiB")]
fn no_bytes_in_quotes(n: u32) -> u32 {
    n
}

fn main() {}
