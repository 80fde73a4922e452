//! The parameter of the `impl` is in the key, by way of `Self`.
use larder::cached;

#[derive(Clone, PartialEq, Eq, Hash)]
struct Of<T>(T);

impl<T> Of<T> {
    #[cached]
    fn load(&self, n: u32) -> u32 {
        n
    }
}

fn main() {
    Of(1).load(1);
}
