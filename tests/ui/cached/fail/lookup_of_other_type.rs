use larder::cached;

#[cached]
fn text(name: &str, n: u32) -> usize {
    name.len() + n as usize
}

fn main() {
    text_cache().get("a");
    text_cache().get(("a", "b"));
    text_cache().get((String::from("a"), 7));
}
