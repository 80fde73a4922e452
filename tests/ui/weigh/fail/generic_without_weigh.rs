use larder::{Weigh, weigh};

struct Foreign;

#[derive(Weigh)]
struct Page<T> {
    it: T,
}

fn main() {
    weigh::deep(&Page { it: 1_u8 });
    weigh::deep(&Page { it: Foreign });
}
