//! One mistake, one error.
use std::rc::Rc;

use larder::{Pooled, pooled};

struct NoKey;

#[pooled]
fn of_no_key(key: &NoKey) -> Pooled<Vec<u8>> {
    let NoKey = key;
    Vec::new()
}

#[pooled]
fn not_send(n: u32) -> Pooled<Rc<u32>> {
    Rc::new(n)
}

#[pooled]
fn of_other_type(n: u32) -> Pooled<String> {
    n
}

fn main() {
    drop((of_no_key(&NoKey), not_send(1), of_other_type(1)));
}
