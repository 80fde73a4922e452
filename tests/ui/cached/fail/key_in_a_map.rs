use std::collections::{BTreeMap, HashMap};

use larder::cached;

#[cached]
fn hashed(words: &HashMap<String, u32>) -> usize {
    words.len()
}

#[cached]
fn ordered(words: &BTreeMap<String, u32>) -> usize {
    words.len()
}

fn main() {
    ordered(&BTreeMap::new());
}
