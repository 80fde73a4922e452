use std::rc::Rc;

use larder::cached;

#[derive(Clone)]
struct Shared(Rc<u32>);

#[derive(PartialEq, Eq, Hash)]
struct Handle(u32);

#[cached(detach)]
async fn value(n: u32) -> Shared {
    Shared(Rc::new(n))
}

#[cached(detach, status)]
async fn value_of_a_result(n: u32) -> Result<Shared, String> {
    Ok(Shared(Rc::new(n)))
}

#[cached(detach, cache_if = |n| *n > 0)]
async fn error(n: u32) -> Result<u32, Shared> {
    Err(Shared(Rc::new(n)))
}

#[cached(detach)]
async fn argument(handle: &Handle) -> u32 {
    handle.0
}

#[cached(detach, skip(handle, others))]
async fn skipped(handle: &Handle, others: &[Handle], n: u32) -> u32 {
    handle.0 + others.len() as u32 + n
}

fn main() {}
