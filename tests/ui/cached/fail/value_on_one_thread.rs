use std::cell::RefCell;
use std::error::Error;
use std::rc::Rc;

use larder::cached;

#[cached]
fn counted(n: u32) -> Rc<u32> {
    Rc::new(n)
}

#[cached]
fn in_a_cell(n: u32) -> RefCell<u32> {
    RefCell::new(n)
}

#[cached(cache_err)]
fn with_its_error(n: u32) -> Result<u32, Box<dyn Error>> {
    Ok(n)
}

fn main() {}
