use larder::cached;

#[cached(refresh_after = "5m", tags = ["a"], remote = [warm, disk])]
fn later(n: u32) -> u32 {
    n
}

#[cached(stale_for = "1h")]
fn elsewhere(n: u32) -> u32 {
    n
}

fn main() {}
