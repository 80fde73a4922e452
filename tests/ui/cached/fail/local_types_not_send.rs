//! A cache of a thread's own is charged to the one budget, and others may empty it: its values cross threads.
use std::rc::Rc;

use larder::cached;

#[cached(scope = "thread")]
fn shared(n: u32) -> Rc<str> {
    n.to_string().into()
}

fn main() {
    shared(1);
}
