//! Options that say nothing without another, or the same as another.
use larder::pooled;

#[pooled(trim_to = Self::shrink, jitter = 0.1, validate_on_acquire, on_exhausted = fail)]
#[derive(Default)]
struct Without(Vec<u8>);

impl Without {
    fn shrink(&mut self, bytes: u64) {
        self.0.shrink_to(bytes as usize);
    }
}

#[pooled(new = Self::new, try_new = Self::open, max = 2, min_idle = 3)]
struct Twice;

impl Twice {
    fn new() -> Self {
        Self
    }

    fn open() -> Result<Self, String> {
        Ok(Self)
    }
}

#[pooled(max = 1, on_exhausted = give_up, order = "random")]
#[derive(Default)]
struct Unknown;

#[pooled(max = 1, on_exhausted = fail, order = "fifo", min_idle = 1)]
fn connect(dsn: &str) -> larder::Pooled<String> {
    dsn.to_owned()
}

fn main() {
    let _: larder::Pooled<Without> = Without::acquire();
    let _: larder::Pooled<Twice> = Twice::acquire();
    let _: larder::Pooled<Unknown> = Unknown::acquire();
}
