use larder::cached;

#[cached(max_mb = 9_000_000_000_000, max_entries = 99999999999999999999999999999999999999999999, min_mb = 1e300)]
fn numbers(n: u32) -> u32 {
    n
}

#[cached(max_bytes = "9999999 TB")]
fn in_quotes(n: u32) -> u32 {
    n
}

fn main() {}
