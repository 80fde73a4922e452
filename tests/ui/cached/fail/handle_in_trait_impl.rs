//! Nothing can stand beside a function of a trait; what can't be found there says so by its name.
use larder::cached;

trait Load {
    fn load(&self, n: u32) -> u32;
    fn again(&self, n: u32) -> u32;
}

impl Load for u32 {
    #[cached(handle)]
    fn load(&self, n: u32) -> u32 {
        self + n
    }

    #[cached(refresh)]
    fn again(&self, n: u32) -> u32 {
        self + n
    }
}

fn main() {
    1_u32.load(1_u32.again(1));
}
