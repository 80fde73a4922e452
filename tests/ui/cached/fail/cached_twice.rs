use larder::cached;

#[cached]
#[larder::cached(max_mb = 4)]
fn twice(n: u32) -> u32 {
    n
}

fn main() {
    twice(1);
    twice_cache().clear();
}
