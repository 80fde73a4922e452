use larder::cached;

#[cached]
const fn constant(n: u32) -> u32 {
    n
}

#[cached]
extern "C" fn foreign(n: u32) -> u32 {
    n
}

fn main() {
    const { constant(1) };
    foreign(1);
}
