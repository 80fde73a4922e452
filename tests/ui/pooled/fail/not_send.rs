use std::rc::Rc;

use larder::pooled;

#[pooled]
#[derive(Default)]
struct Parser {
    shared: Rc<u32>,
}

fn main() {
    Parser::acquire();
}
