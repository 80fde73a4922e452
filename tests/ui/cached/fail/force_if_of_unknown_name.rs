//! An expression over the arguments, and there is no such argument.
use larder::cached;

#[cached(force_if = again)]
fn unknown(n: u32) -> u32 {
    n
}

fn main() {
    unknown(1);
}
