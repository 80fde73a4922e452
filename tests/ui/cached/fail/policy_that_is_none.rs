use larder::cached;

#[derive(Default)]
struct Order;

mod orders {
    pub(crate) fn number() -> u32 {
        7
    }
}

#[cached(policy = Order)]
fn by_type(n: u32) -> u32 {
    n
}

#[cached(policy = orders::number)]
fn by_function(n: u32) -> u32 {
    n
}

#[cached(policy = |n: u32| n)]
fn by_closure(n: u32) -> u32 {
    n
}

#[cached(utility = 2.0)]
fn by_number(n: u32) -> u32 {
    n
}

fn main() {}
