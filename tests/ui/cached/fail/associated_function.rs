//! Nothing in the function itself says that it stands in an `impl`; the name of what is not found does.
use larder::cached;

struct Store;

impl Store {
    #[cached]
    fn open(n: u32) -> u32 {
        n
    }
}

/// A free function of the same name and types is not mistaken for it.
#[cached]
fn open(n: u32) -> u32 {
    n + 1
}

fn main() {
    Store::open(open(1));
}
