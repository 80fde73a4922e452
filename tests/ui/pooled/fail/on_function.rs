use larder::pooled;

struct Connection;

#[pooled(max = 4)]
fn connect() -> Connection {
    Connection
}

fn main() {
    connect();
}
