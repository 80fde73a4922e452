use larder::cached;

#[cached]
fn of_key<T>(it: T) -> u32 {
    let _ = it;
    1
}

#[cached]
fn of_value<T: Default>(n: u32) -> T {
    let _ = n;
    T::default()
}

fn main() {}
