use larder::cached;

#[cached(cache_err)]
fn plain(n: u32) -> u32 {
    n
}

#[cached(cache_err)]
fn option(n: u32) -> Option<u32> {
    Some(n)
}

#[cached(cache_none)]
fn result(n: u32) -> Result<u32, String> {
    Ok(n)
}

fn main() {
    option(plain(1));
    let _ = result(1);
}
