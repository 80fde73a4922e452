use larder::{Pooled, pooled};

struct Conn(String);

#[pooled]
fn without_lease(dsn: &str) -> Conn {
    Conn(dsn.to_owned())
}

#[pooled]
fn without_return(dsn: &str) {
    drop(Conn(dsn.to_owned()));
}

#[pooled(new = Conn::new)]
fn with_new(dsn: &str) -> Pooled<Conn> {
    Conn(dsn.to_owned())
}

#[pooled]
const fn constant(n: u32) -> Pooled<u32> {
    n
}

#[pooled]
unsafe fn dangerous(n: u32) -> Pooled<u32> {
    n
}

#[pooled]
extern "C" fn foreign(n: u32) -> Pooled<u32> {
    n
}

#[pooled(mx = 3)]
fn mutable(n: &mut u32) -> Pooled<u32> {
    *n
}

impl Conn {
    #[pooled]
    fn again(&mut self) -> Pooled<Conn> {
        Conn(self.0.clone())
    }
}

fn main() {
    without_lease("a").again().0.clear();
    without_return("a");
    drop((with_new("a"), constant(1), foreign(1), mutable(&mut 1)));
}

#[pooled(skip(n), key(n), assoc)]
#[derive(Default)]
struct Keyed(u32);

#[pooled(skip(m))]
fn unknown(n: u32) -> Pooled<u32> {
    n
}
