#![deny(non_snake_case)]

use larder::cached;

#[cached(uncached, refresh, status)]
fn loadPage(id: u32) -> Option<u32> {
    Some(id)
}

#[cached]
fn withArgument(pageId: u32) -> u32 {
    pageId
}

fn main() {
    loadPage(withArgument(1));
}
