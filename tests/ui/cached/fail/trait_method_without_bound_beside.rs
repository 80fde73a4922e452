use std::sync::Arc;

use larder::cached;

trait Load {
    #[cached(handle)]
    fn with_handle(&self, name: &str) -> Option<String> {
        Some(name.to_owned())
    }

    #[cached(status, refresh)]
    fn with_siblings(&self, n: u32) -> u32 {
        n
    }

    #[cached(uncached)]
    fn with_body(self: Arc<Self>, n: u32) -> u32 {
        n
    }

    #[cached(handle, status, refresh, uncached)]
    fn with_bound(&self, n: u32) -> u32
    where
        Self: larder::CacheKey,
    {
        n
    }
}

struct Plain;

impl Plain {
    #[cached(handle, status)]
    fn of_no_key(&self, n: u32) -> u32 {
        n
    }
}

#[derive(Clone, PartialEq, Eq, Hash)]
struct Shelf<T>(T);

impl<T> Shelf<T> {
    #[cached(handle, refresh)]
    fn of_no_bound(&self, n: u32) -> u32 {
        n
    }
}

#[derive(Clone, PartialEq, Eq, Hash)]
struct Pages;

impl Load for Pages {}

fn main() {
    Pages.with_handle("a");
    Pages::with_handle_cache().clear();
    Pages.with_bound(Pages.with_bound_refresh(1));
    Pages::with_bound_cache().clear();
    Plain.of_no_key(1);
    Shelf(1).of_no_bound(Shelf(1).of_no_bound_refresh(1));
}
