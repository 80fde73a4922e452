use larder::cached;

#[cached]
struct Parser;

#[cached(max_mb = 0)]
const LIMIT: u32 = 3;

#[cached]
impl Parser {}

trait Load {
    #[cached]
    fn load(n: u32) -> u32;
}

fn main() {
    let _ = (Parser, LIMIT);
}
