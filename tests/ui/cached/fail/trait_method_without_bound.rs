use std::sync::Arc;

use larder::cached;

trait Load {
    #[cached]
    fn load(&self, name: &str, n: u32) -> Option<String> {
        Some(format!("{name}{n}"))
    }

    #[cached(skip(n))]
    fn alone(&self, n: u32) -> u32 {
        n
    }

    #[cached(cache_if = |n| *n > 0)]
    async fn task(&self, n: u32) -> u32 {
        n
    }

    #[cached]
    fn shared(self: Arc<Self>, n: u32) -> u32 {
        n
    }

    #[cached]
    fn with_bound(&self, n: u32) -> u32
    where
        Self: larder::CacheKey,
    {
        n
    }

    #[cached(skip(self))]
    fn without_self(&self, n: u32) -> u32 {
        n
    }
}

#[derive(Clone, PartialEq, Eq, Hash)]
struct Pages;

impl Load for Pages {}

fn main() {
    Pages.load("a", 1);
    Pages.with_bound(Pages.without_self(1));
}
