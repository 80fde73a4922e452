use larder::cached;

#[cached(ttl = "5 parsecs")]
fn unit(n: u32) -> u32 {
    n
}

#[cached(ttl = "300")]
fn no_unit(n: u32) -> u32 {
    n
}

#[cached(ttl = "-5m")]
fn negative(n: u32) -> u32 {
    n
}

#[cached(ttl = "1h30m")]
fn two(n: u32) -> u32 {
    n
}

#[cached(ttl = "1000000d")]
fn millennia(n: u32) -> u32 {
    n
}

fn main() {}
