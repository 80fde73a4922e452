use larder::cached;

#[cached]
fn never(n: u32) -> ! {
    panic!("{n}")
}

fn main() {
    never(1);
}
