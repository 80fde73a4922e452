use larder::pooled;

#[pooled(mx = 3)]
#[derive(Default)]
struct Slip;

#[pooled(size = 3, tti = "5m", acquire = "take")]
#[derive(Default)]
struct Others;

fn main() {
    Slip::acquire();
}
