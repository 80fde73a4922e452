use larder::cached;

#[cached(weigh = "two words")]
fn text(n: u32) -> u32 {
    n
}

fn main() {}
