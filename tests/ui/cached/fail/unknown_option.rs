use larder::cached;

#[cached(polcy = "lru")]
fn slip(n: u32) -> u32 {
    n
}

#[cached(color = "blue")]
fn no_such_thing(n: u32) -> u32 {
    n
}

#[cached(skp(n), size = 3, ttl_secs = 60, Ignore: n, force_refresh = { n > 1 }, refesh_after = "1m")]
fn of_other_crates(n: u32) -> u32 {
    n
}

#[cached(result = true, unbound, ty = "LruCache<u32, u32>", sync_lock = "mutex")]
fn of_one_that_needs_them(n: u32) -> u32 {
    n
}

fn main() {}
