use larder::cached;

#[cached(skip)]
fn without_list(n: u32) -> u32 {
    n
}

#[cached(skip = n, commutative = (n, n))]
fn like_a_value(n: u32) -> u32 {
    n
}

#[cached(skip())]
fn empty(n: u32) -> u32 {
    n
}

#[cached(key())]
fn empty_key(n: u32) -> u32 {
    n
}

#[cached(skip(2, n.id))]
fn no_names(n: u32) -> u32 {
    n
}

#[cached(skip(n, n))]
fn twice(n: u32) -> u32 {
    n
}

#[cached(skip(,))]
fn comma(n: u32) -> u32 {
    n
}

fn main() {
    without_list(like_a_value(empty(empty_key(no_names(twice(comma(1)))))));
}
