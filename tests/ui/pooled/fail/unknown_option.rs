use larder::pooled;

#[pooled(mx = 3)]
#[derive(Default)]
struct Slip;

#[pooled(size = 3, shards = 4, acquire = "take", ttl = "5m")]
#[derive(Default)]
struct Others;

fn main() {
    Slip::acquire();
}
