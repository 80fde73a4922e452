use larder::cached;

struct View<'a>(&'a str);

#[cached]
fn list(list: Vec<&str>) -> usize {
    list.len()
}

#[cached]
fn slice(list: &[&str]) -> usize {
    list.len()
}

#[cached]
fn view(view: View<'_>, named: &(u8, View<'static>)) -> usize {
    view.0.len() + named.1.0.len()
}

#[cached]
fn array((first, _): ([&str; 2], u8)) -> usize {
    first.len()
}

fn main() {}
