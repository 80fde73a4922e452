use std::future::Future;
use std::pin::Pin;

use larder::cached;

struct Store;

impl Store {
    /// As `#[async_trait]` writes it.
    #[cached]
    fn load<'async_trait>(&'async_trait self, n: u32) -> Pin<Box<dyn Future<Output = u32> + Send + 'async_trait>> {
        Box::pin(async move { n })
    }
}

#[cached]
fn boxed(n: u32) -> Box<dyn Future<Output = u32> + Send> {
    Box::new(async move { n })
}

#[cached]
fn hidden(n: u32) -> impl Future<Output = u32> {
    async move { n }
}

fn main() {
    drop((Store.load(1), boxed(1), hidden(1)));
}
