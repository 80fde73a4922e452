use std::path::Path;

use larder::cached;

#[cached(key(name: str, n))]
fn text(name: &str, n: u32) -> usize {
    name.len() + n as usize
}

#[cached(key(path.parent().unwrap_or(path): Path, list[1..]: [u32]))]
fn path_and_list(path: &Path, list: &[u32]) -> bool {
    path.exists() && list.is_empty()
}

fn main() {
    text("a", 1);
}
