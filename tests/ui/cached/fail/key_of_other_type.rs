//! What the key says and what it is differ: the compiler's own words, at the user's.
use larder::cached;

#[cached(key(name.len(): &str))]
fn expression(name: &str) -> usize {
    name.len()
}

#[cached(key_by = length: u64)]
fn function(name: &str) -> usize {
    name.len()
}

fn length(name: &str) -> usize {
    name.len()
}

fn main() {
    expression("a");
    function("a");
}
