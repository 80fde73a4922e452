use larder::cached;

#[cached(once = "yes")]
fn text(n: u32) -> u32 {
    n
}

#[cached(status = 1, refresh = no, uncached = "x", assoc = 2, cache_err = 3)]
fn several(n: u32) -> Result<u32, String> {
    Ok(n)
}

#[cached(pinned, min_mb = 2)]
fn kept(n: u32) -> u32 {
    n
}

#[cached(crate = 5)]
fn elsewhere(n: u32) -> u32 {
    n
}

#[cached(namespace = "", name = 5)]
fn nameless(n: u32) -> u32 {
    n
}

fn main() {
    text(kept(elsewhere(nameless(1))));
    let _ = several(1);
}
