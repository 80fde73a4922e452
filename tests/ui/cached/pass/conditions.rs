//! What is stored, and when the body runs although something is.
#![deny(warnings, missing_docs, unreachable_pub)]

use std::sync::atomic::{AtomicU32, Ordering};

use larder::cached;

static RUNS: AtomicU32 = AtomicU32::new(0);

/// How often the body runs in three calls.
fn runs_of<T>(call: impl Fn() -> T) -> u32 {
    let before = RUNS.load(Ordering::Relaxed);
    for _ in 0..3 {
        call();
    }
    RUNS.load(Ordering::Relaxed) - before
}

fn run() {
    RUNS.fetch_add(1, Ordering::Relaxed);
}

#[cached(cache_if = |found| !found.is_empty())]
fn listed(n: usize) -> Vec<usize> {
    run();
    (0..n).collect()
}

#[cached(cache_if = is_long)]
fn fallible(n: usize) -> Result<String, String> {
    run();
    if n == 9 { Err("nine".to_owned()) } else { Ok("x".repeat(n)) }
}

fn is_long(text: &String) -> bool {
    text.len() > 2
}

#[cached(cache_if = "Wrapped::is_even")]
fn quoted(n: usize) -> Option<Wrapped> {
    run();
    Some(Wrapped(n))
}

#[derive(Clone, Debug, PartialEq)]
struct Wrapped(usize);

impl Wrapped {
    fn is_even(&self) -> bool {
        self.0 % 2 == 0
    }
}


#[cached(cache_if = |_| even)]
fn of_arguments(n: u32, even: bool) -> u32 {
    run();
    n
}

#[cached(cache_if = |value| *value > 2)]
async fn later(n: u32) -> u32 {
    run();
    std::future::ready(n).await
}

#[cached(cache_if = |value| *value > 2)]
async fn later_fallible(n: u32) -> Option<u32> {
    run();
    std::future::ready((n != 9).then_some(n)).await
}

#[cached(cache_err)]
fn with_errors(n: u32) -> Result<u32, String> {
    run();
    if n == 0 { Err("zero".to_owned()) } else { Ok(n) }
}

type Outcome<T> = std::result::Result<T, String>;
mod aliased {
    pub(super) type Result<T> = std::result::Result<T, String>;
}

#[cached(cache_err)]
fn with_errors_behind_an_alias(n: u32) -> aliased::Result<u32> {
    run();
    if n == 0 { Err("zero".to_owned()) } else { Ok(n) }
}

/// Not known for a `Result` by its name: all of it is stored anyway.
#[cached]
fn unrecognised(n: u32) -> Outcome<u32> {
    run();
    if n == 0 { Err("zero".to_owned()) } else { Ok(n) }
}

#[cached(cache_none)]
fn with_nothing(n: u32) -> Option<u32> {
    run();
    n.checked_sub(1)
}

#[cached(force_if = again)]
fn forced(n: u32, again: bool) -> u32 {
    run();
    n + u32::from(again)
}

#[cached(force_if = _reload || n == 7, skip(_reload))]
fn forced_and_skipped(n: u32, _reload: bool) -> Result<u32, String> {
    run();
    Ok(RUNS.load(Ordering::Relaxed) + n)
}

#[cached(force_if = *reload, skip(reload))]
async fn forced_later(n: u32, reload: &bool) -> u32 {
    run();
    std::future::ready(RUNS.load(Ordering::Relaxed) + n - u32::from(*reload) + u32::from(*reload)).await
}

struct Source {
    is_stale: bool,
}

impl Source {
    #[cached(force_if = self.is_stale, skip(self), cache_if = |n| *n > 0)]
    fn read(&self, n: u32) -> Option<u32> {
        run();
        if self.is_stale { n.checked_add(1) } else { Some(n) }
    }
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    match std::pin::pin!(future).poll(&mut context) {
        std::task::Poll::Ready(value) => value,
        std::task::Poll::Pending => unreachable!(),
    }
}

fn main() {
    assert_eq!((runs_of(|| listed(0)), runs_of(|| listed(1))), (3, 1));
    assert_eq!((runs_of(|| fallible(1)), runs_of(|| fallible(3)), runs_of(|| fallible(9))), (3, 1, 3));
    assert_eq!((fallible(1), fallible(3), fallible(9)), (Ok("x".into()), Ok("xxx".into()), Err("nine".into())));
    assert_eq!((runs_of(|| quoted(3)), runs_of(|| quoted(4))), (3, 1));
    assert_eq!((runs_of(|| of_arguments(1, true)), runs_of(|| of_arguments(1, false))), (1, 3));
    assert_eq!((runs_of(|| block_on(later(1))), runs_of(|| block_on(later(3)))), (3, 1));
    assert_eq!((runs_of(|| block_on(later_fallible(9))), runs_of(|| block_on(later_fallible(3)))), (3, 1));
    assert_eq!((runs_of(|| with_errors(0)), runs_of(|| with_errors(1))), (1, 1));
    assert_eq!(with_errors_cache().peek(0), Some(Err("zero".to_owned())));
    assert_eq!((runs_of(|| with_errors_behind_an_alias(0)), runs_of(|| unrecognised(0))), (1, 1));
    assert_eq!((runs_of(|| with_nothing(0)), with_nothing_cache().peek(0)), (1, Some(None)));

    assert_eq!((runs_of(|| forced(1, false)), runs_of(|| forced(1, true))), (1, 3));
    let (first, second) = (forced_and_skipped(1, false), forced_and_skipped(1, true));
    assert_ne!(first, second);
    assert_eq!(forced_and_skipped(1, false), second, "what was computed again is what is stored");
    assert_eq!(runs_of(|| forced_and_skipped(7, false)), 3);
    let (first, second) = (block_on(forced_later(1, &false)), block_on(forced_later(1, &true)));
    assert_ne!(first, second);
    assert_eq!(block_on(forced_later(1, &false)), second);
    let (fresh, stale) = (Source { is_stale: false }, Source { is_stale: true });
    assert_eq!((runs_of(|| fresh.read(1)), runs_of(|| stale.read(1)), fresh.read(1)), (1, 3, Some(2)));
    assert_eq!(runs_of(|| fresh.read(0)), 3);
}
