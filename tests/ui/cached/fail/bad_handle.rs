use larder::cached;

#[cached(handle = "two words")]
fn words(n: u32) -> u32 {
    n
}

#[cached(handle = 5)]
fn number(n: u32) -> u32 {
    n
}

#[cached(handle = "own_name")]
fn own_name(n: u32) -> u32 {
    n
}

fn main() {
    words(number(own_name(1)));
}
