//! The caller still finds the function: one error, not two.
use larder::cached;

#[cached]
fn changes(list: &mut Vec<u32>, cb: &dyn Fn(u32) -> u32, texts: Vec<&str>) -> usize {
    list.push(cb(texts.len() as u32));
    list.len()
}

fn main() {
    let _: usize = changes(&mut Vec::new(), &|n| n, Vec::new());
}
