use larder::cached;

#[cached]
#[cfg_attr(target_arch = "x86_64", target_feature(enable = "avx2"))]
fn sum(n: u32) -> u32 {
    n
}

struct Numbers(u32);

impl Numbers {
    #[cached(skip(self))]
    #[target_feature(enable = "sse2")]
    fn sum(&self, n: u32) -> u32 {
        self.0 + n
    }
}

fn main() {
    // SAFETY: what is tried is said before this is called.
    unsafe { sum(Numbers(1).sum(2)) };
}
