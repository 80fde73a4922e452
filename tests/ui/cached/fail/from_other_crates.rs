//! What users of other crates write in the first minute.
use larder::cached;

#[cached(max_size = 100, ttl_secs = 60, refresh = true)]
fn of_cached(n: u32) -> u32 {
    n
}

#[cached(in_impl = true, sync_writes = "by_key", result_fallback = true, ttl_millis = 250, companions = false)]
fn of_cached_more(n: u32) -> Result<u32, u32> {
    Ok(n)
}

#[cached(disk = true, disk_dir = "/tmp", durable = false, map_error = |e| e, cache_prefix_block = { "a" }, redis = true)]
fn of_cached_io(n: u32) -> Result<u32, u32> {
    Ok(n)
}

#[cached(key = "u64", convert = "{ n }", ttl = "Duration::from_secs(60)")]
fn of_cached_key(n: u64) -> u64 {
    n
}

#[cached(Capacity: 100, TimeToLive: std::time::Duration::from_secs(60), SharedCache, Ignore: n, CustomHasher: Fx, HasherInit: Fx::new())]
fn of_memoize(n: u32) -> u32 {
    n
}

#[cached(limit = 100, max_memory = "100MB", tags = ["a"], events = ["b"], invalidate_on = is_stale)]
fn of_cachelito(n: u32) -> u32 {
    n
}

#[cached(max = 64, reset = clear)]
fn of_pooled(n: u32) -> u32 {
    n
}

fn main() {}
