use larder::pooled;

#[pooled]
struct Parser {
    depth: u32,
}

fn main() {
    let _ = Parser { depth: 1 }.depth;
}
