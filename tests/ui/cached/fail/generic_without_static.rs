//! `'static` is all that is missing: one error, where the parameter is said.
use std::hash::Hash;

use larder::cached;

#[cached]
fn of_key<T: Hash + Eq + Clone + Send + Sync>(of: T) -> bool {
    of == of
}

#[cached]
pub fn of_value<T: Default + Clone + Send + Sync>(n: u32) -> Vec<T> {
    vec![T::default(); n as usize]
}

#[cached]
async fn task<T: Hash + Eq + Clone + Send + Sync>(of: T) -> bool {
    of == of
}

#[cached(refresh, status, uncached)]
fn with_siblings<T: Default + Clone + Send + Sync>(n: u32) -> Result<Vec<T>, u32> {
    if n == 0 { Err(n) } else { Ok(vec![T::default(); n as usize]) }
}

struct Shelf<T>(T);

impl<T: Hash + Eq + Clone + Send + Sync> Shelf<T> {
    #[cached(skip(self))]
    pub fn method(&self, of: T) -> bool {
        of == self.0
    }

    #[cached(skip(self))]
    async fn task_of_method(&self, n: u32) -> Option<T> {
        (n > 0).then(|| self.0.clone())
    }
}

fn main() {}
