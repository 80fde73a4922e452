use larder::cached;

#[cached(policy)]
fn alone(n: u32) -> u32 {
    n
}

#[cached(policy = , max_mb = )]
fn nothing_behind(n: u32) -> u32 {
    n
}

#[cached(policy("lru"), ttl: "5m", max_entries == 3)]
fn other_languages(n: u32) -> u32 {
    n
}

#[cached(pinned = , status(), cache_err: true)]
fn nothing_wanted(n: u32) -> u32 {
    n
}

fn main() {}
