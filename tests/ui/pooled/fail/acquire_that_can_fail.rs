//! `acquire` is there only where it can't fail.
use larder::pooled;

#[pooled(max = 1, on_exhausted = fail)]
#[derive(Default)]
struct Bounded;

fn main() {
    Bounded::acquire();
    Bounded::pool().acquire();
}
