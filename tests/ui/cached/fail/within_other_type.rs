use larder::cached;

struct Object {
    caches: Vec<u8>,
}

impl Object {
    #[cached(within = self.caches)]
    fn load(&self, n: u32) -> u32 {
        n
    }
}

fn main() {
    Object { caches: vec![] }.load(1);
}
