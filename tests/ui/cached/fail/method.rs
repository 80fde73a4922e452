use larder::cached;

struct Store {
    id: u32,
}

impl Store {
    #[cached]
    fn by_reference(&self, n: u32) -> u32 {
        self.id + n
    }

    #[cached]
    fn by_value(self: Box<Self>, n: u32) -> u32 {
        self.id + n
    }

    #[cached]
    fn associated(it: &Self) -> u32 {
        it.id
    }
}

fn main() {
    Store { id: 1 }.by_reference(2);
}
