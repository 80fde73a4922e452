use larder::cached;

#[cached(skip(nme))]
fn slip(name: &str, n: u32) -> usize {
    name.len() + n as usize
}

#[cached(key(user, n))]
fn other(name: &str, n: u32) -> usize {
    name.len() + n as usize
}

#[cached(skip(self))]
fn no_method(n: u32) -> u32 {
    n
}

#[cached(commutative(a, c))]
fn of_pair(a: u32, b: u32) -> u32 {
    a + b
}

#[cached(skip(a))]
fn pattern((a, b): (u32, u32)) -> u32 {
    a + b
}

fn main() {
    slip("a", 1);
    other("a", 1);
    no_method(of_pair(1, pattern((1, 2))));
}
