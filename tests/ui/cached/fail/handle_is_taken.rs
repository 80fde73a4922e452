//! The user's own function of that name.
use larder::cached;

#[cached]
fn load(n: u32) -> u32 {
    n
}

fn load_cache() -> u32 {
    1
}

fn main() {
    load(load_cache());
}
