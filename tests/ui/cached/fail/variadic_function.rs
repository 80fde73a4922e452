use larder::cached;

#[cached]
unsafe extern "C" fn variadic(n: u32, _: ...) -> u32 {
    n
}

fn main() {}
