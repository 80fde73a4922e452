use larder::cached;

#[cached]
fn grow(list: &mut Vec<u32>) -> usize {
    list.push(1);
    list.len()
}

#[cached]
fn maybe(list: Option<&mut [u8]>) -> usize {
    list.map_or(0, |list| list.len())
}

fn main() {}
