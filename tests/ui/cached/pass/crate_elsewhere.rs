//! A crate that knows larder by another path.
#![deny(warnings, missing_docs, unreachable_pub)]

mod facade {
    pub(super) mod reexports {
        pub(crate) extern crate larder as pantry;
    }
}

use facade::reexports::pantry::{Local, Weigh, cached, pooled};

/// Nobody else is called so.
mod larder {}

#[cached(crate = crate::facade::reexports::pantry, max_entries = 3)]
fn free(name: &str, x: f64, y: Option<f32>) -> Result<f64, String> {
    y.map(|y| x + f64::from(y)).ok_or_else(|| name.to_owned())
}

#[cached(crate = "crate::facade::reexports::pantry", status, refresh, commutative(a, b))]
async fn quoted(a: u32, b: u32, #[cfg(all())] c: u8, #[cfg(any())] d: u8) -> u32 {
    std::future::ready(a + b + u32::from(c)).await
}

#[derive(Default)]
struct Object {
    caches: Local,
}

impl Object {
    #[cached(crate = facade::reexports::pantry, within = self.caches)]
    fn method(&self, n: u32) -> u32 {
        n
    }
}

#[pooled(crate = crate::facade::reexports::pantry, max = 3)]
#[derive(Default)]
struct Pooled(Vec<u8>);

#[derive(Weigh)]
#[weigh(crate = crate::facade::reexports::pantry)]
struct Weighed<T> {
    text: String,
    list: Vec<T>,
}

#[derive(Weigh)]
#[weigh(crate = facade::reexports::pantry)]
enum Either {
    Left(String),
    Right,
}

#[pooled(crate = facade::reexports::pantry)]
fn lent(n: u32) -> facade::reexports::pantry::Pooled<u32> {
    n
}

fn main() {
    assert!(Weighed { text: "a".to_owned(), list: vec![1_u8] }.heap_bytes() > 0);
    assert_eq!((Either::Left(String::new()).heap_bytes(), Either::Right.heap_bytes(), *lent(1)), (0, 0, 1));
    assert_eq!((free("a", 1.0, Some(0.5)), free("a", 1.0, None)), (Ok(1.5), Err("a".to_owned())));
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    let mut sum = |a, b| std::pin::pin!(quoted(a, b, 1)).poll(&mut context).is_ready();
    assert!(sum(1, 2) && sum(2, 1));
    assert_eq!(quoted_cache().len(), 1);
    assert_eq!(Object::default().method(3), 3);
    let mut object = Pooled::acquire();
    object.0.push(1);
    drop(object);
    assert_eq!(Pooled::pool().idle(), 1);
}
