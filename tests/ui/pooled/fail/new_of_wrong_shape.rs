use larder::pooled;

#[pooled(new = Self::with_capacity)]
struct Buffer(Vec<u8>);

impl Buffer {
    fn with_capacity(n: usize) -> Self {
        Self(Vec::with_capacity(n))
    }
}

#[pooled(new = || Other::open())]
struct Connection;

struct Other;

impl Other {
    fn open() -> Result<Connection, String> {
        Ok(Connection)
    }
}

fn main() {
    let _ = Buffer::acquire().0.len();
}
