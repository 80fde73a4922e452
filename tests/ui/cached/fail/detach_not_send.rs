use std::rc::Rc;

use larder::cached;

#[cached(detach)]
async fn held_over_an_await(n: u32) -> u32 {
    let shared = Rc::new(n);
    std::future::ready(()).await;
    *shared
}

fn main() {}
