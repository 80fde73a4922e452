use larder::cached;

struct Store {
    id: u32,
}

impl Store {
    #[cached]
    fn load(&self, n: u32) -> u32 {
        self.id + n
    }
}

/// One mistake, one error, whatever else is asked for.
struct Other(f64);

impl Other {
    #[cached(refresh, status, uncached)]
    pub fn load(&self, n: u32) -> u32 {
        self.0 as u32 + n
    }
}

fn main() {
    Store { id: 1 }.load(2);
}
