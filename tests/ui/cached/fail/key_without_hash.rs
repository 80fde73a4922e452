use larder::cached;

#[derive(Clone, PartialEq, Eq)]
struct NoHash;

#[cached]
fn of_reference(it: &NoHash) -> u32 {
    let _ = it;
    1
}

#[cached]
fn of_slice(list: &[NoHash], maybe: Option<u8>) -> u32 {
    let _ = (list, maybe);
    1
}

fn main() {
    of_reference(&NoHash);
}
