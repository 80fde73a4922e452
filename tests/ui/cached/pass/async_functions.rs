//! `async fn`: the same shapes, `?` and `return` inside, and a future that is `Send`.
#![deny(warnings)]

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use larder::cached;

// On one line, where braces that a body does not need would be pointed at.
struct OnOneLine;

#[rustfmt::skip]
impl OnOneLine {
    #[cached(skip(self))]
    async fn method(&self, n: u32) -> Option<u32> { Some(n) }

    #[cached(skip(self))]
    async fn with_pattern(&self, (a, b): (u32, u32)) -> u32 { a + b }

    #[cached(skip(self))]
    fn of_a_thread(&self, [a, b]: [u32; 2]) -> u32 { a + b }
}

#[cached]
async fn plain(text: &str, n: u32) -> Arc<str> {
    std::future::ready(()).await;
    Arc::from(format!("{text}{n}"))
}

#[cached]
async fn fallible(text: &str) -> Result<u64, std::num::ParseIntError> {
    let number: u64 = text.parse()?;
    if number == 1 {
        return Ok(10);
    }
    std::future::ready(Ok(number)).await
}

#[cached]
async fn optional(words: &[String]) -> Option<String> {
    words.first().cloned()
}

#[cached(ttl = "5m", max_entries = 10)]
async fn generic<T: larder::CacheKey + Into<u64>, const N: u64>(mut value: T) -> u64 {
    let own = &mut value;
    own.clone().into() + N
}

#[cached]
async fn recursive(n: u64) -> u64 {
    if n < 2 { n } else { Box::pin(recursive(n - 1)).await + Box::pin(recursive(n - 2)).await }
}

fn send<F: Future + Send>(future: F) -> F {
    future
}

/// These futures are never pending.
fn run<F: Future>(future: F) -> F::Output {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("a future that waits for nothing"),
    }
}

fn main() {
    for _ in 0..2 {
        assert_eq!(&*run(send(plain("a", 1))), "a1");
        assert_eq!(run(send(fallible("1"))), Ok(10));
        assert_eq!(run(fallible("2")), Ok(2));
        assert!(run(fallible("two")).is_err());
        assert_eq!(run(optional(&["a".to_owned()])).as_deref(), Some("a"));
        assert_eq!(run(optional(&[])), None);
        assert_eq!(run(generic::<u32, 5>(2)), 7);
        assert_eq!(run(generic::<u16, 6>(2)), 8);
        assert_eq!(run(recursive(50)), 12_586_269_025);
        assert_eq!((run(OnOneLine.method(1)), run(OnOneLine.with_pattern((1, 2)))), (Some(1), 3));
        assert_eq!(OnOneLine.of_a_thread([1, 2]), 3);
    }
    assert_eq!(plain_cache().stats().hits, 1);
    assert_eq!(fallible_cache().get("1"), Some(10));
    assert_eq!(fallible_cache().stats().load_failures, 2);
    assert_eq!(recursive_cache().len(), 51);
}
