use larder::pooled;

#[pooled]
#[derive(Default)]
struct Parser<'a> {
    text: &'a str,
}

fn main() {
    let _ = Parser { text: "" }.text;
}
