use larder::pooled;

#[pooled(new = Buffer::with_capacity(16))]
struct Buffer(Vec<u8>);

impl Buffer {
    fn with_capacity(bytes: usize) -> Self {
        Self(Vec::with_capacity(bytes))
    }
}

#[pooled(new = 5, policy = "lru", ttl_by = time_of)]
struct Number(u32);

fn main() {
    Buffer::acquire().0.clear();
    let _ = (Buffer::with_capacity(1), Number(1).0);
}
