use larder::cached;

#[derive(Clone)]
struct Page;

#[cached(tiers("lz4"))]
fn page(number: u32) -> Page {
    let _ = number;
    Page
}

fn main() {
    page(1);
}
