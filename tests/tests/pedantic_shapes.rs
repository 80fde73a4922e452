//! Every shape of function and every option that `pedantic.rs` has not, under the lints of the editions, too: nothing in what
//! they expand to is to be said better. Clippy is what runs this test.
#![deny(
    warnings,
    missing_docs,
    unreachable_pub,
    rust_2018_idioms,
    rust_2021_compatibility,
    rust_2024_compatibility,
    future_incompatible,
    nonstandard_style,
    unused,
    elided_lifetimes_in_paths,
    explicit_outlives_requirements,
    let_underscore_drop,
    single_use_lifetimes,
    trivial_casts,
    trivial_numeric_casts,
    unsafe_op_in_unsafe_fn,
    unused_lifetimes,
    unused_qualifications,
    variant_size_differences,
    clippy::pedantic,
    clippy::nursery,
    clippy::undocumented_unsafe_blocks
)]

use std::io;
use std::sync::Arc;
use std::time::Duration;

use larder::{CacheKey, CacheValue, Local, Pooled, RemovalCause, Weigh, cached, pooled};

/// Aliases of a result.
///
/// # Errors
///
/// When it is no number.
#[cached(cost = "cpu", refresh, status, uncached)]
pub fn alias(text: &str) -> io::Result<u32> {
    text.parse().map_err(io::Error::other)
}

type Maybe<T> = Option<T>;

#[cached]
fn unseen_alias(n: u32) -> Maybe<u32> {
    n.checked_sub(1)
}

/// Whoever calls it has read this.
///
/// # Safety
///
/// There is an element at that index.
#[cached(refresh, status)]
#[must_use]
pub unsafe fn unchecked(of: &[u32], idx: usize) -> u32 {
    // SAFETY: the caller says so.
    unsafe { *of.get_unchecked(idx) }
}

/// A name that is a word.
#[cached(status)]
#[must_use]
pub fn r#type(r#fn: u32) -> u32 {
    r#fn + 1
}

/// With and without an argument.
#[cached]
#[must_use]
pub fn configured(n: u32, #[cfg(not(test))] absent: u32, #[cfg(test)] present: u32) -> u32 {
    n + present
}

/// With bounds of its own.
#[cached(skip(twice))]
pub fn bounded<K, V, F>(key: K, twice: F) -> V
where
    K: CacheKey + Into<u64>,
    V: CacheValue + From<u64>,
    F: Fn(u64) -> u64,
{
    V::from(twice(key.into()))
}

macro_rules! functions {
    ($($(#[$attr:meta])* $name:ident($arg:ident: $ty:ty) -> $out:ty $body:block)*) => {
        $(
            $(#[$attr])*
            #[cached(policy = "s3fifo", max_entries = 10)]
            #[must_use]
            pub fn $name($arg: $ty) -> $out $body
        )*
    };
}

functions! {
    /// Made by a macro.
    made_float(x: f64) -> Option<f64> { (x > 0.0).then_some(x.sqrt()) }
    /// Made by a macro, too.
    made_text(x: &str) -> String { x.to_owned() }
}

const fn left(_: u32, _: u32, _: RemovalCause) {}

/// Told of, and weighed by others.
#[cached(
    ttl_by = |_, _| Duration::from_mins(1),
    utility = |_, _| 2.0,
    cost = |_, _| Duration::from_millis(1),
    on_remove = left,
    weigh = |_| 16,
    cache_if = |n| *n > 0
)]
#[must_use]
pub fn ruled(n: u32) -> u32 {
    n
}

/// A key that a function makes.
#[cached(key_by = |n| *n / 10)]
#[must_use]
pub fn made_key(n: u32) -> u32 {
    n / 10
}

/// An object.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Weigh)]
pub struct Shelf<T> {
    /// What is in it.
    pub of: T,
    /// Its caches.
    #[weigh(skip)]
    pub caches: Local,
}

impl<T: CacheKey> Shelf<T> {
    /// By value.
    #[cached(refresh, status)]
    #[must_use]
    pub fn into_first(self) -> T {
        self.of
    }

    /// Shared.
    #[cached(skip(self))]
    #[must_use]
    pub fn shared(self: Arc<Self>, n: u32) -> u32 {
        n
    }

    /// Generic in a generic one.
    #[cached]
    #[must_use]
    pub fn pair<U: CacheKey>(&self, with: U) -> (T, U) {
        (self.of.clone(), with)
    }

    /// One for each object, by value and later.
    #[cached(within = self.caches, once)]
    pub async fn later(&self) -> T {
        std::future::ready(self.of.clone()).await
    }

    /// By an executor.
    #[cached(detach, skip(self))]
    pub async fn detached(self: Arc<Self>, n: u32) -> u32 {
        std::future::ready(n).await
    }
}

/// A trait with bodies.
pub trait Named {
    /// Its name.
    fn name(&self) -> String;

    /// Provided.
    #[cached(key(self.name(): String))]
    fn length(&self) -> usize {
        self.name().len()
    }

    /// Provided, later.
    #[cached(skip(self))]
    fn doubled(&self, n: u32) -> u32 {
        n * 2
    }
}

impl Named for Shelf<u32> {
    #[cached]
    fn name(&self) -> String {
        self.of.to_string()
    }
}

/// Bytes.
#[pooled(buffer, classes = [1024], max_mb = 1)]
#[derive(Debug)]
pub struct Frames;

/// Of one thread.
#[pooled(scope = "thread", max_idle = 4)]
#[derive(Debug, Default)]
pub struct Scratch(Vec<u8>);

/// With every rule.
#[pooled(
    max = 4,
    min_idle = 1,
    max_kb = 4,
    trim_to = Self::trim,
    try_new = Self::open,
    validate = Self::is_fit,
    validate_on_acquire,
    idle = "10m",
    lifetime = "1h",
    jitter = 10%,
    order = "fifo",
    on_exhausted = wait("10ms")
)]
#[derive(Debug, Weigh)]
pub struct Ruled(Vec<u8>);

impl Ruled {
    fn open() -> io::Result<Self> {
        if std::env::args().next().is_some() {
            Ok(Self(Vec::new()))
        } else {
            Err(io::Error::other("nothing"))
        }
    }

    const fn is_fit(&self) -> bool {
        self.0.is_empty()
    }

    fn trim(&mut self, bytes: u64) {
        self.0.shrink_to(usize::try_from(bytes).unwrap_or_default());
    }
}

/// A device's.
#[cfg(feature = "device")]
#[pooled(gpu = larder::testing::SimDevice, usage = "Storage")]
#[derive(Debug)]
pub struct Activations;

/// Makes objects.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Maker(u32);

impl Maker {
    /// By argument.
    #[pooled(max = 2, skip(self))]
    #[must_use]
    pub fn make(&self, len: usize) -> Pooled<Vec<u8>> {
        vec![0; len]
    }
}

#[derive(Clone, PartialEq, Eq, Hash)]
struct Tally(u32);

impl Tally {
    #[cached(handle, refresh, status, uncached)]
    fn sum(&self, n: u32) -> u32 {
        self.0 + n
    }

    #[cached(refresh, status)]
    async fn later<'a>(&self, text: &'a str, more: &'a str) -> usize {
        std::future::ready(text.len() + more.len()).await
    }

    #[cached(status, refresh)]
    fn noted(&self, n: u32) {
        let _ = self.0 + n;
    }
}

/// Returns nothing.
#[cached(status, uncached)]
pub fn noted(n: u32) {
    let _ = n;
}

#[cached]
async fn noted_later(n: u32) {
    std::future::ready(n).await;
}

#[test]
fn annotated_shapes_work_under_every_lint() {
    #[cached]
    fn inside(n: u32) -> u32 {
        n + 1
    }

    assert_eq!(
        (alias("5").ok(), alias_refresh("6").ok(), alias_uncached("x").ok()),
        (Some(5), Some(6), None)
    );
    assert_eq!(alias_with_status("5").1, larder::Status::Hit);
    let tally = Tally(1);
    assert_eq!(
        (tally.sum(1), tally.sum_refresh(1), tally.sum_uncached(1), Tally::sum_cache().len()),
        (2, 2, 2, 1)
    );
    drop((
        tally.later("a", "b"),
        tally.later_refresh("a", "b"),
        tally.later_with_status("a", "b"),
        noted_later(1),
    ));
    tally.noted(1);
    noted(1);
    noted_uncached(2);
    assert_eq!(
        (tally.noted_with_status(1).1, noted_with_status(1).1),
        (larder::Status::Hit, larder::Status::Hit)
    );
    assert_eq!((unseen_alias(0), unseen_alias(0), unseen_alias_cache().stats().hits), (None, None, 1));
    // SAFETY: there are two.
    let second = unsafe { unchecked(&[1, 2], 1) };
    // SAFETY: as above.
    let first = unsafe { (unchecked_refresh(&[1, 2], 0), unchecked_with_status(&[1, 2], 0).0) };
    assert_eq!((second, first), (2, (1, 1)));
    assert_eq!((r#type(1), type_with_status(1).0, type_cache().len()), (2, 2, 1));
    assert_eq!(
        (configured(1, 2), bounded::<u32, u64, _>(2, |n| n * 2), made_text("a")),
        (3, 4, "a".to_owned())
    );
    assert_eq!((made_float(4.0), ruled(7), made_key(11), made_key(19), inside(1)), (Some(2.0), 7, 1, 1, 2));
    let shelf = Shelf { of: 3_u32, caches: Local::default() };
    assert_eq!((shelf.clone().into_first(), Shelf::<u32>::into_first_cache().len()), (3, 1));
    assert_eq!(
        (Arc::new(shelf.clone()).shared(1), shelf.pair("a".to_owned()), shelf.length()),
        (1, (3, "a".to_owned()), 1)
    );
    assert_eq!((shelf.doubled(2), shelf.name()), (4, "3".to_owned()));
    drop((shelf.later(), Arc::new(shelf.clone()).detached(1)));
    assert_eq!((Frames::acquire(10).capacity(), Scratch::acquire().0.len()), (1024, 0));
    assert!(Ruled::try_acquire().is_ok_and(|ruled| ruled.0.is_empty()));
    #[cfg(feature = "device")]
    assert!(Activations::pool().is_err());
    assert_eq!(Maker(1).make(3).len(), 3);
}
