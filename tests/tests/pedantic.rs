//! A crate that allows nothing, full of annotations: no lint fires in what they expand to. Clippy is what runs this
//! test; that it compiles and passes is the least of it.
#![forbid(unsafe_code)]
#![deny(warnings, missing_docs, unreachable_pub, clippy::pedantic, clippy::nursery)]

use std::borrow::Cow;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use larder::{CacheKey, Local, Pooled, Status, Weigh, cached, pooled};

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

/// Never fails, which is its own business: it may one day.
///
/// # Errors
///
/// None yet.
#[cached]
pub fn always(n: u32) -> Result<u32, String> {
    Ok(n)
}

/// What is said of it is said once.
#[cached(uncached, refresh, status)]
#[expect(clippy::too_many_arguments, reason = "they are")]
#[must_use]
pub fn many(a: u8, b: u8, c: u8, d: u8, e: u8, f: &str, g: &str, h: &str) -> Vec<u8> {
    [&[a, b, c, d, e], f.as_bytes(), g.as_bytes(), h.as_bytes()].concat()
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

/// An object.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Object {
    id: u32,
    caches: Local,
}

impl Object {
    /// All of it.
    #[cached(uncached, refresh, status, cache_if = |n| *n > 0, force_if = *reload, skip(reload, _log))]
    #[must_use]
    pub fn by_self(&self, n: u32, (a, mut b): (u8, u8), reload: &bool, _log: &str) -> u32 {
        b += a;
        self.id + n + u32::from(b)
    }

    /// Of each.
    ///
    /// # Errors
    ///
    /// When there is nothing.
    #[cached(within = self.caches, uncached, refresh, status)]
    pub fn of_each(&self, name: &str) -> Result<u32, String> {
        let n: u32 = name.parse().map_err(|error: std::num::ParseIntError| error.to_string())?;
        Ok(self.id + n)
    }

    /// Of a thread, later.
    ///
    /// # Errors
    ///
    /// When there is nothing.
    #[cached(scope = "thread", key(self.id: u32, name.trim(): &str), status, cache_err)]
    pub async fn later(&self, name: &str) -> Result<u32, String> {
        let n: u32 = std::future::ready(name).await.parse().map_err(|_| "nothing".to_owned())?;
        Ok(self.id + n)
    }

    #[cached]
    fn private(&self, n: u32) -> Option<u32> {
        self.id.checked_sub(n)
    }

    #[cached]
    async fn private_later(&self, mut n: u32) -> Option<u32> {
        n += 1;
        std::future::ready(self.id).await.checked_sub(n)
    }

    /// Made.
    #[cached(pinned, cost = "1s", namespace = "objects")]
    #[must_use]
    pub fn made(id: u32) -> Self {
        Self { id, ..Self::default() }
    }

    #[cached(assoc, handle = "told_pages")]
    fn told(n: u32) -> u32 {
        n
    }
}

/// A trait.
pub trait Load {
    /// Loads.
    fn load(&self, n: u32) -> String;
}

impl Load for Object {
    #[cached(ttl = "5m")]
    fn load(&self, n: u32) -> String {
        format!("{}{n}", self.id)
    }
}

/// In any order.
#[cached(commutative(a, b), skip(log), status)]
#[must_use]
pub fn likeness(a: &str, b: &str, log: &Object) -> usize {
    a.len().abs_diff(b.len()) + log.id as usize
}

#[cached(key_by = |object, _| object.id: u32, once = false)]
fn by_key(object: &Object, n: u32) -> u32 {
    object.id + n
}

#[cached(once, refresh)]
fn only() -> Option<String> {
    std::env::args().next().map(|_| "only".to_owned())
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

/// Pooled by argument.
///
/// # Errors
///
/// When there is nothing.
#[pooled(max = 4, reset = |text| text.clear())]
pub fn text_of(name: &str, (a, mut b): (u8, u8), _unread: f64) -> Result<Pooled<String>, String> {
    b += a;
    if name.is_empty() { Err("nothing".to_owned()) } else { Ok(format!("{name}{b}")) }
}

/// Pooled by argument, later.
#[pooled]
pub async fn text_later(name: &str) -> Pooled<String> {
    std::future::ready(name).await.to_owned()
}

#[pooled]
fn constant_text(n: u8) -> Pooled<u8> {
    n
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
    let object = Object { id: 1, ..Object::default() };
    assert_eq!(object.by_self(1, (1, 2), &false, ""), object.by_self_refresh(1, (1, 2), &true, ""));
    assert_eq!(
        object.by_self_with_status(1, (1, 2), &false, ""),
        (object.by_self_uncached(1, (1, 2), &true, ""), Status::Hit)
    );
    assert_eq!(
        (object.of_each("1"), object.of_each_refresh("1"), object.of_each_uncached("1")),
        (Ok(2), Ok(2), Ok(2))
    );
    assert_eq!((object.of_each_with_status("2").1, object.private(1)), (Status::Miss, Some(0)));
    assert_eq!((Object::made(3).id, Object::told(4), object.load(5)), (3, 4, "15".to_owned()));
    assert_eq!(
        (likeness("a", "bcd", &object), likeness_with_status("bcd", "a", &object)),
        (3, (3, Status::Hit))
    );
    assert_eq!((by_key(&object, 1), by_key(&object, 2)), (2, 2));
    assert_eq!((only(), only_refresh()), (Some("only".to_owned()), Some("only".to_owned())));
    drop((object.later("1"), object.later_with_status("1"), object.private_later(1)));
    assert_eq!(text_of("a", (1, 2), 0.5).map(|text| text.len()), Ok(2));
    assert_eq!((text_of_pool().idle(), *constant_text(3)), (1, 3));
    drop(text_later("a"));
    Parser::acquire().tokens.push("a".to_owned());
    assert!(Parser::acquire().tokens.is_empty());
    Stack::<u8>::acquire().items.push(1);
    assert_eq!(Stack::<u8>::acquire().name, "stack");
    let shapes = [Shape::Empty, Shape::Circle(1_u8), Shape::Polygon { corners: vec![1], id: 2 }];
    assert!(shapes.iter().map(Weigh::heap_bytes).sum::<u64>() > 0);
}
