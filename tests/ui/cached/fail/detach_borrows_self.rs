use larder::cached;

#[derive(Clone, PartialEq, Eq, Hash)]
struct Store;

impl Store {
    #[cached(detach)]
    async fn load(&self, n: u32) -> u32 {
        n
    }
}

fn main() {
    drop(Store.load(1));
}
