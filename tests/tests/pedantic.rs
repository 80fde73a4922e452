//! A crate that allows nothing, full of annotations: no lint fires in what they expand to. Clippy is what runs this
//! test; that it compiles and passes is the least of it.
#![forbid(unsafe_code)]
#![deny(warnings, missing_docs, unreachable_pub, clippy::pedantic, clippy::nursery)]

use std::borrow::Cow;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use larder::{CacheKey, Weigh, cached, pooled};

/// Of many kinds.
#[cached(policy = "lru", max_mb = 1, ttl = "5m", priority = 2.0, name = "all forms")]
#[must_use]
pub fn forms(
    text: &str,
    number: u32,
    list: &[String],
    maybe: Option<&str>,
    float: f64,
    pair: (u8, &Path),
    _unread: Arc<str>,
) -> String {
    format!("{text}{number}{list:?}{maybe:?}{float}{pair:?}")
}

/// By reference or not.
#[cached]
pub fn viewed(text: impl AsRef<str>, cow: Cow<'_, str>) -> Option<usize> {
    let all = text.as_ref().len() + cow.into_owned().len();
    (all > 0).then_some(all)
}

/// Generic.
///
/// # Errors
///
/// When there is nothing.
#[cached]
pub fn first<'a, T: CacheKey, const N: usize>(of: &'a [T; N], _hint: &'a T) -> Result<T, String> {
    of.first().cloned().ok_or_else(|| "nothing".to_owned())
}

#[cached]
fn constant() -> u32 {
    7
}

#[cached(weigh = |value| value.len() as u64)]
fn weighed((a, mut b): (u8, u8), _: bool) -> Vec<u8> {
    b += 1;
    vec![a, b]
}

/// How long each lives, and who computes it.
#[cached(ttl = "5m", tti = "1m", ttl_by = |_, value| Duration::from_secs(*value), jitter = 10%, wait_at_most = "2s")]
#[must_use]
pub fn aged(name: &str, n: u64) -> u64 {
    n + name.len() as u64
}

/// By whoever asks.
#[cached(single_flight = false)]
#[must_use]
pub fn lone(n: u64) -> u64 {
    n
}

/// By an executor.
///
/// # Errors
///
/// When there is nothing.
#[cached(detach)]
pub async fn detached<T: CacheKey>(
    of: &[T],
    name: &str,
    owned: String,
    fixed: &'static str,
) -> Result<T, String> {
    std::future::ready(()).await;
    of.first().cloned().ok_or_else(|| format!("{name}{owned}{fixed}"))
}

/// By an executor, with nothing to copy.
#[cached(detach)]
pub async fn detached_plain(n: u64) -> u64 {
    std::future::ready(n).await
}

/// Pooled.
#[pooled(max = 4, max_mb = 0.5, reset = Self::clear)]
#[derive(Debug, Default, Weigh)]
pub struct Parser {
    tokens: Vec<String>,
}

impl Parser {
    fn clear(&mut self) {
        self.tokens.clear();
    }
}

/// Pooled by type.
#[pooled(new = Self::new, reset = |stack| stack.items.clear())]
#[derive(Debug, Weigh)]
pub struct Stack<T: Send + 'static> {
    items: Vec<T>,
    #[weigh(skip)]
    name: &'static str,
}

impl<T: Send + 'static> Stack<T> {
    const fn new() -> Self {
        Self { items: Vec::new(), name: "stack" }
    }
}

/// Weighed.
#[derive(Debug, Weigh)]
pub enum Shape<T> {
    /// Nothing.
    Empty,
    /// One.
    Circle(T),
    /// Many.
    Polygon {
        /// Where.
        corners: Vec<T>,
        /// Which.
        id: u8,
    },
}

#[test]
fn annotated_items_work_under_every_lint() {
    let path = Path::new("p");
    assert_eq!(forms("a", 1, &[], None, 0.5, (1, path), "x".into()), "a1[]None0.5(1, \"p\")");
    assert_eq!(viewed("a", "b".into()), Some(2));
    assert_eq!(first(&[1, 2], &0), Ok(1));
    assert_eq!(constant(), 7);
    assert_eq!((aged("a", 1), lone(3)), (2, 3));
    assert_eq!(weighed((1, 1), true), [1, 2]);
    Parser::acquire().tokens.push("a".to_owned());
    assert!(Parser::acquire().tokens.is_empty());
    Stack::<u8>::acquire().items.push(1);
    assert_eq!(Stack::<u8>::acquire().name, "stack");
    let shapes = [Shape::Empty, Shape::Circle(1_u8), Shape::Polygon { corners: vec![1], id: 2 }];
    assert!(shapes.iter().map(Weigh::heap_bytes).sum::<u64>() > 0);
}
