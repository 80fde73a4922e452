//! The body's own errors point where they would without the attribute.
use larder::cached;

#[cached]
fn f(n: u32) -> u32 {
    let unused = 1;
    if n > 1 {
        return "text";
    }
    n.does_not_exist()
}

fn main() {}
