use larder::cached;

mod geometry {
    #[derive(Clone)]
    pub struct Result;
}

#[cached]
fn solved(n: u32) -> geometry::Result {
    let _ = n;
    geometry::Result
}

struct Plane;

impl Plane {
    #[cached(skip(self), cache_if = |_| true)]
    async fn solved(&self, n: u32) -> geometry::Result {
        let _ = n;
        geometry::Result
    }
}

#[cached(refresh, status)]
fn around<T: larder::CacheKey>(of: T) -> geometry::Result {
    let _ = of;
    geometry::Result
}

fn main() {}
