use larder::cached;

#[cached(skip(nam), scope = "thred", handle = "a b", cost = 5, cache_none, commutative(name, id))]
fn describe(name: &str, id: u32) -> String {
    format!("{name}{id}")
}

fn main() {
    describe("a", 1);
}
