use larder::cached;

struct Store {
    id: u32,
}

impl Store {
    #[cached]
    fn by_reference(&mut self, n: u32) -> u32 {
        self.id += n;
        self.id
    }

    #[cached]
    fn typed(self: std::pin::Pin<&mut Self>, n: u32) -> u32 {
        self.id + n
    }
}

fn main() {
    Store { id: 1 }.by_reference(2);
}
