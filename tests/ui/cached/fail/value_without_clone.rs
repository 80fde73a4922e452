use larder::cached;

struct NoClone;

#[cached]
fn plain(n: u32) -> NoClone {
    let _ = n;
    NoClone
}

#[cached]
fn fallible(n: u32) -> Result<NoClone, String> {
    Err(n.to_string())
}

fn main() {
    plain(1);
}
