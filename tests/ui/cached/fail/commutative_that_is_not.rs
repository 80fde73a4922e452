use larder::cached;

#[cached(commutative(a))]
fn of_one(a: u32, b: u32) -> u32 {
    a + b
}

#[cached(commutative(a, b, c))]
fn of_three(a: u32, b: u32, c: u32) -> u32 {
    a + b + c
}

#[cached(commutative(a, b))]
fn of_two_types(a: u32, b: u64) -> u64 {
    u64::from(a) + b
}

fn main() {
    of_one(1, of_three(1, 2, 3));
    of_two_types(1, 2);
}
