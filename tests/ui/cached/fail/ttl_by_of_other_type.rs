use std::time::Duration;

use larder::cached;

fn by_value(value: &u32) -> Duration {
    Duration::from_secs(u64::from(*value))
}

#[cached(ttl_by = by_value)]
fn one_argument(n: u32) -> u32 {
    n
}

#[cached(ttl_by = "5m")]
fn a_time(n: u32) -> u32 {
    n
}

#[cached(ttl_by)]
fn no_value(n: u32) -> u32 {
    n
}

fn main() {}
