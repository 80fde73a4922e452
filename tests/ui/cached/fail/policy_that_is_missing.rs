use larder::cached;

mod orders {}

#[cached(policy = orders::missing)]
fn by_nobody(n: u32) -> u32 {
    n
}

#[cached(policy = Missing)]
fn by_no_type(n: u32) -> u32 {
    n
}

fn main() {}
