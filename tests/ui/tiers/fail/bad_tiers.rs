use larder::cached;

#[cached(tiers("gzip"))]
fn unknown(n: u32) -> u32 {
    n
}

#[cached(tiers("lz"))]
fn misspelled(n: u32) -> u32 {
    n
}

#[cached(tiers())]
fn none(n: u32) -> u32 {
    n
}

#[cached(tiers = "lz4")]
fn no_list(n: u32) -> u32 {
    n
}

#[cached(tiers("lz4", "zstd"))]
fn two(n: u32) -> u32 {
    n
}

#[cached(tiers(lz4(level = 3)))]
fn level_of_lz4(n: u32) -> u32 {
    n
}

#[cached(tiers(plain(chunk = "1KiB", level = 1)))]
fn options_of_plain(n: u32) -> u32 {
    n
}

#[cached(tiers(zstd(level = 23)))]
fn beyond_all_levels(n: u32) -> u32 {
    n
}

#[cached(tiers(lz4(max_bytes = 100)))]
fn other_name(n: u32) -> u32 {
    n
}

#[cached(tiers(3))]
fn no_name(n: u32) -> u32 {
    n
}

fn main() {
    unknown(misspelled(none(no_list(two(level_of_lz4(options_of_plain(beyond_all_levels(1))))))));
    other_name(no_name(1));
}
