//! Of a `Result` and an `Option`, also by an alias, only the good outcome is stored.
#![deny(warnings)]

use std::io;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};

use larder::cached;

/// Neither `Clone` nor `'static` is asked of what is not stored.
#[derive(Debug, PartialEq)]
struct Refused<'a>(&'a str);

type Result<T, E = String> = std::result::Result<T, E>;

static RUNS: AtomicU32 = AtomicU32::new(0);

#[cached]
fn plain(text: &str) -> std::result::Result<usize, Refused<'_>> {
    RUNS.fetch_add(1, SeqCst);
    if text.is_empty() { Err(Refused(text)) } else { Ok(text.len()) }
}

#[cached]
fn by_alias(text: &str) -> io::Result<String> {
    RUNS.fetch_add(1, SeqCst);
    let first = text.chars().next().ok_or(io::ErrorKind::InvalidInput)?;
    Ok(first.to_string())
}

#[cached]
fn own_alias(n: u8) -> Result<u8> {
    RUNS.fetch_add(1, SeqCst);
    n.checked_sub(1).ok_or_else(|| "zero".to_owned())
}

#[cached]
fn formatted(n: u8) -> std::fmt::Result {
    RUNS.fetch_add(1, SeqCst);
    if n == 0 { Err(std::fmt::Error) } else { Ok(()) }
}

#[cached]
fn maybe(n: u8) -> Option<Vec<u8>> {
    RUNS.fetch_add(1, SeqCst);
    (n > 0).then(|| vec![n])
}

#[cached]
fn nested(n: u8) -> Option<std::result::Result<u8, String>> {
    RUNS.fetch_add(1, SeqCst);
    (n > 0).then(|| n.checked_sub(2).ok_or_else(|| "one".to_owned()))
}

mod outcomes {
    /// A type of one's own that is called so.
    #[derive(Debug, PartialEq)]
    pub enum Result<T> {
        Done(T),
        Later,
    }

    impl<T> larder::bounds::Fallible for Result<T> {
        type Value = T;
        type Rest = ();

        fn split(self) -> std::result::Result<T, Self> {
            match self {
                Self::Done(value) => Ok(value),
                later => Err(later),
            }
        }

        fn from_value(value: T) -> Self {
            Self::Done(value)
        }
    }
}

#[cached(status)]
fn own_type(n: u8) -> outcomes::Result<u8> {
    RUNS.fetch_add(1, SeqCst);
    if n == 0 { outcomes::Result::Later } else { outcomes::Result::Done(n) }
}

fn runs(call: impl Fn()) -> u32 {
    let before = RUNS.load(SeqCst);
    call();
    call();
    RUNS.load(SeqCst) - before
}

fn main() {
    assert_eq!(runs(|| assert_eq!(plain("ab"), Ok(2))), 1);
    assert_eq!(runs(|| assert_eq!(plain(""), Err(Refused("")))), 2);
    assert_eq!(runs(|| assert_eq!(by_alias("ab").unwrap(), "a")), 1);
    assert_eq!(runs(|| assert!(by_alias("").is_err())), 2);
    assert_eq!(runs(|| assert_eq!(own_alias(1), Ok(0))), 1);
    assert_eq!(runs(|| assert!(own_alias(0).is_err())), 2);
    assert_eq!(runs(|| assert!(formatted(1).is_ok())), 1);
    assert_eq!(runs(|| assert!(formatted(0).is_err())), 2);
    assert_eq!(runs(|| assert_eq!(maybe(1), Some(vec![1]))), 1);
    assert_eq!(runs(|| assert_eq!(maybe(0), None)), 2);
    assert_eq!(runs(|| assert_eq!(own_type(1), outcomes::Result::Done(1))), 1);
    assert_eq!(runs(|| assert_eq!(own_type(0), outcomes::Result::Later)), 2);
    assert_eq!(own_type_with_status(1).1, larder::Status::Hit);
    // Only the outermost counts.
    assert_eq!(runs(|| assert!(nested(1).unwrap().is_err())), 1);
    assert_eq!(plain_cache().get("ab"), Some(2));
    assert_eq!(by_alias_cache().get("ab").as_deref(), Some("a"));
    assert_eq!(maybe_cache().len(), 1);
}
