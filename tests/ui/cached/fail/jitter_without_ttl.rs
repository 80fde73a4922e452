use larder::cached;

#[cached(jitter = 10%)]
fn nothing_expires(n: u32) -> u32 {
    n
}

#[cached(tti = "5m", jitter = 0.1)]
fn only_idle_ones_do(n: u32) -> u32 {
    n
}

fn main() {}
