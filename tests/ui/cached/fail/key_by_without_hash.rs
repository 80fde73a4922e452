use larder::cached;

struct Key(u32);

fn key_of(id: &u32) -> Key {
    Key(*id)
}

#[cached(key_by = key_of)]
fn by_path(id: u32) -> u32 {
    id
}

#[cached(key_by = |id: &u32| Key(*id))]
fn by_closure(id: u32) -> u32 {
    id
}

fn main() {
    by_path(by_closure(1));
}
