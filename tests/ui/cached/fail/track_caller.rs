use larder::cached;

#[cached]
#[track_caller]
fn tracked(n: u32) -> u32 {
    n
}

fn main() {}
