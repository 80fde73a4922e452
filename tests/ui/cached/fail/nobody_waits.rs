use larder::cached;

#[cached(single_flight = false, wait_at_most = "2s")]
fn bounded(n: u32) -> u32 {
    n
}

#[cached(detach, single_flight = false)]
async fn detached(n: u32) -> u32 {
    n
}

fn main() {}
