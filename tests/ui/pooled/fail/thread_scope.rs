//! Objects of one thread: what can't be, and that they stay there.
use std::rc::Rc;

use larder::pooled;

#[pooled(scope = "thred")]
#[derive(Default)]
struct Slip;

#[pooled(scope = "thread", max = 1, on_exhausted = wait("50ms"))]
#[derive(Default)]
struct Waits(Rc<u8>);

#[pooled(scope = "thread")]
fn connect(dsn: &str) -> larder::Pooled<String> {
    dsn.to_owned()
}

#[pooled(scope = "thread")]
#[derive(Default)]
struct Stays(Rc<u8>);

fn main() {
    Slip::acquire();
    Waits::acquire();
    let lease = Stays::acquire();
    std::thread::spawn(move || drop(lease));
    let pool = Stays::pool();
    std::thread::spawn(move || drop(pool));
}
