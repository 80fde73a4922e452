use larder::cached;

#[cached(ttl = "5m", jitter = 1.5)]
fn above_one(n: u32) -> u32 {
    n
}

#[cached(ttl = "5m", jitter = 150%)]
fn above_all(n: u32) -> u32 {
    n
}

#[cached(ttl = "5m", jitter = "a tenth")]
fn in_words(n: u32) -> u32 {
    n
}

#[cached(ttl = "5m", jitter = spread)]
fn a_name(n: u32) -> u32 {
    n
}

#[cached(ttl = "5m", jitter = 0%)]
fn nothing(n: u32) -> u32 {
    n
}

#[cached(ttl = "5m", jitter = -0.1)]
fn longer(n: u32) -> u32 {
    n
}

#[cached(ttl = "5m", jitter)]
fn alone(n: u32) -> u32 {
    n
}

#[cached(ttl = "5m", jitter = 10% 3)]
fn too_much(n: u32) -> u32 {
    n
}

fn main() {}
