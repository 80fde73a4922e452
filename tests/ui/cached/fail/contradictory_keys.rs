use larder::cached;

#[cached(key(n), skip(n))]
fn skipped(n: u32) -> u32 {
    n
}

#[cached(once, key(n))]
fn only(n: u32) -> u32 {
    n
}

#[cached(key_by = of, commutative(n, m))]
fn made(n: u32, m: u32) -> u32 {
    n + m
}

#[cached(skip(n), commutative(n, m))]
fn skipped_pair(n: u32, m: u32) -> u32 {
    n + m
}

fn of(n: &u32, _: &u32) -> u32 {
    *n
}

fn main() {
    skipped(only(made(1, skipped_pair(1, 2))));
}
