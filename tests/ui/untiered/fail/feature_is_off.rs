use larder::cached;

#[cached(tiers("plain"))]
fn plain(n: u32) -> u32 {
    n
}

#[cached(tiers("lz4"))]
fn lz4(n: u32) -> u32 {
    n
}

#[cached(tiers(zstd(level = 3)))]
fn zstd(n: u32) -> u32 {
    n
}

#[cached(tiers(disk(max_mb = 3)))]
fn disk(n: u32) -> u32 {
    n
}

fn main() {
    plain(lz4(zstd(disk(1))));
}
