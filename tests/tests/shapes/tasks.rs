//! `async` functions: what is borrowed in their last expression, `unsafe`, generic, recursive, with siblings.
#![deny(warnings)]

use std::future::Future;
use std::ops::Add;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use larder::{CacheKey, CacheValue, Local, Status, cached};

fn run<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(done) = future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            return done;
        }
    }
}

trait Matrix<const N: usize> {
    /// # Safety
    ///
    /// None.
    async unsafe fn doubled<T>(&self, by: [T; N]) -> Result<T, String>
    where
        T: CacheKey + CacheValue + Add<Output = T>,
        Self: CacheKey;
}

#[derive(Clone, PartialEq, Eq, Hash)]
struct Array<T, const N: usize>([T; N]);

impl<U, const N: usize> Matrix<N> for Array<U, N>
where
    U: Copy,
{
    #[cached(max_entries = 10)]
    #[inline]
    async unsafe fn doubled<T>(&self, by: [T; N]) -> Result<T, String>
    where
        T: CacheKey + CacheValue + Add<Output = T>,
        Self: CacheKey,
    {
        let [first, ..] = by.as_slice() else { return Err("none".to_owned()) };
        Ok(first.clone() + first.clone())
    }
}

#[test]
fn unsafe_in_a_generic_impl_of_a_generic_trait() {
    let of = |n| async move {
        // SAFETY: it asks for nothing.
        unsafe { Array([1_u8, 2]).doubled::<u64>([n, 3]).await }
    };
    assert_eq!((run(of(2)), run(of(3)), run(of(2))), (Ok(4), Ok(6), Ok(4)));
    // SAFETY: as above.
    assert_eq!(run(async { unsafe { Array([1_u8; 0]).doubled::<u64>([]).await } }), Err("none".to_owned()));
    // SAFETY: as above. Another type of the same method has a cache of its own.
    assert_eq!(run(async { unsafe { Array([1_u8, 2]).doubled([2_u32, 3]).await } }), Ok(4));
}

#[cached]
async fn borrowed<'a, 'b: 'a>(
    a: &'a str,
    b: &'b str,
) -> Result<usize, Box<dyn std::error::Error + Send + Sync>> {
    let n: usize = a.parse()?;
    Ok(n + b.len())
}

#[cached]
async fn recursive(n: u64) -> u64 {
    if n < 2 { n } else { Box::pin(recursive(n - 1)).await + Box::pin(recursive(n - 2)).await }
}

#[cached(skip(log))]
async fn with_log(n: u8, log: &mut Vec<u8>) -> u8 {
    log.push(n);
    n
}

#[test]
fn free_ones() {
    assert_eq!(
        (run(borrowed("1", "b")).ok(), run(borrowed("x", "b")).ok(), borrowed_cache().len()),
        (Some(2), None, 1)
    );
    assert_eq!((run(recursive(30)), recursive_cache().stats().loads), (832_040, 31));
    let mut log = Vec::new();
    assert_eq!((run(with_log(1, &mut log)), run(with_log(1, &mut log)), log), (1, 1, vec![1]));
}

#[cached(status, refresh, uncached)]
async fn with_siblings(__loading: u8, __here: u8, __body: u8, __returned: u8) -> u8 {
    __loading + __here + __body + __returned
}

#[test]
fn arguments_that_are_called_what_an_expansion_calls_its_own() {
    assert_eq!(run(with_siblings(1, 2, 3, 4)), 10);
    assert_eq!(run(with_siblings_with_status(1, 2, 3, 4)), (10, Status::Hit));
    assert_eq!(run(with_siblings_refresh(1, 2, 3, 4)), run(with_siblings_uncached(1, 2, 3, 4)));
}

async fn looked_up(n: u8) -> u8 {
    n / 10
}

#[cached(key(looked_up(n).await: u8), force_if = looked_up(n).await > 3)]
async fn waiting_for_its_key(n: u8) -> u8 {
    n
}

#[test]
fn expressions_of_the_attribute_may_wait() {
    assert_eq!((run(waiting_for_its_key(12)), run(waiting_for_its_key(17))), (12, 12));
    assert_eq!((run(waiting_for_its_key(42)), run(waiting_for_its_key(47))), (42, 47));
}

struct Within<'a, T> {
    caches: Local,
    of: &'a T,
}

impl<'a, T: std::fmt::Debug> Within<'a, T> {
    #[cached(within = &self.caches, refresh, status, uncached, handle)]
    async fn shown(&self, n: u8) -> String {
        format!("{:?}{n}", self.of)
    }

    #[cached(within = self.caches, refresh)]
    async fn length<'b>(&'b self, n: &'b str) -> usize
    where
        'a: 'b,
    {
        n.len()
    }
}

#[test]
fn in_objects_that_borrow() {
    let n = 5_u8;
    let within = Within { caches: Local::new(), of: &n };
    assert_eq!(
        (run(within.shown(1)), run(within.length("ab")), run(within.length_refresh("abc"))),
        ("51".into(), 2, 3)
    );
    assert_eq!((run(within.shown_with_status(1)).1, within.shown_cache().len()), (Status::Hit, 1));
    assert_eq!(run(within.shown_refresh(1)), run(within.shown_uncached(1)));
}

trait Load: CacheKey {
    #[cached(refresh, handle)]
    async fn load<'a, 'b: 'a>(&self, name: &'a str, more: &'b str) -> usize {
        name.len() + more.len()
    }
}

impl Load for u32 {}

#[test]
fn provided_by_a_trait() {
    assert_eq!(
        (run(1_u32.load("a", "b")), run(1_u32.load_refresh("a", "b")), u32::load_cache().len()),
        (2, 2, 1)
    );
}
