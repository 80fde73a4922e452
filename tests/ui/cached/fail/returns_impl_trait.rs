use larder::cached;

#[cached]
fn counted(n: u32) -> impl Iterator<Item = u32> + Clone {
    0..n
}

#[cached]
fn maybe(n: u32) -> Option<impl Fn() -> u32 + Clone> {
    Some(move || n)
}

fn main() {}
