use std::rc::Rc;

use larder::cached;

#[cached]
fn of_rc(it: Rc<str>) -> usize {
    it.len()
}

fn main() {}
