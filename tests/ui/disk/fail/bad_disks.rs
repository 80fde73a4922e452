use larder::{Local, cached};

#[cached(tiers("disk", "lz4"))]
fn above(n: u32) -> u32 {
    n
}

#[cached(tiers("disk"), scope = "thread")]
fn of_threads(n: u32) -> u32 {
    n
}

#[cached(tiers(disk(path = 3)))]
fn no_path(n: u32) -> u32 {
    n
}

#[cached(tiers(disk(dir = "/tmp")))]
fn other_name(n: u32) -> u32 {
    n
}

#[derive(Default)]
struct Shop {
    caches: Local,
}

impl Shop {
    #[cached(skip(self), within = self.caches, tiers("lz4", "disk"))]
    fn price(&self, of: u32) -> u32 {
        of
    }
}

fn main() {
    above(of_threads(no_path(other_name(Shop::default().price(1)))));
}
