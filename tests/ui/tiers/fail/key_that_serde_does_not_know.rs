use larder::cached;

#[derive(Clone, PartialEq, Eq, Hash)]
struct Id(u32);

#[cached(tiers("lz4"))]
fn page(id: Id) -> String {
    id.0.to_string()
}

fn main() {
    page(Id(1));
}
