//! Methods of every kind: each object has values of its own, and what stands in one `impl` is not mistaken for what
//! stands in another.
#![deny(warnings, missing_docs, unreachable_pub)]

use std::pin::Pin;
use std::sync::Arc;

use larder::cached;

/// An object.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Store {
    id: u32,
}

impl Store {
    #[cached]
    fn private(&self, n: u32) -> u32 {
        self.id * 10 + n
    }

    /// With a handle.
    #[cached]
    pub fn public(&self, name: &str) -> String {
        format!("{}{name}", self.id)
    }

    #[cached]
    fn alone(&self) -> u32 {
        self.id
    }

    #[cached]
    fn by_value(self, n: u32) -> u32 {
        self.id + n
    }

    #[cached]
    fn by_mut_value(mut self, n: u32) -> u32 {
        self.id += n;
        self.id
    }

    #[cached]
    fn boxed(self: Box<Self>, n: u32) -> u32 {
        self.id + n
    }

    #[cached]
    fn counted(self: Arc<Self>, n: u32) -> Arc<Self> {
        if n == 0 { self } else { Arc::new(Self { id: n }) }
    }

    #[cached]
    fn counted_reference(self: &Arc<Self>, n: u32) -> u32 {
        self.id + n
    }

    #[cached]
    fn pinned(self: Pin<&Self>, n: u32) -> u32 {
        self.id + n
    }

    #[cached]
    fn typed(self: &Self, n: u32) -> u32 {
        self.id + n
    }

    /// `Self` says where it stands.
    #[cached]
    pub fn made(id: u32) -> Self {
        Self { id }
    }

    /// In the arguments, too.
    #[cached]
    pub fn compared(a: &Self, b: &Self) -> bool {
        a == b
    }

    /// Or only in the body.
    #[cached]
    pub fn in_body(id: u32) -> u32 {
        Self { id }.id
    }

    /// Nothing says so but the option.
    #[cached(assoc)]
    pub fn told(id: u32) -> u32 {
        id
    }

    #[cached(assoc, handle = false)]
    fn quiet(id: u32) -> u32 {
        id + 1
    }

    #[cached(handle)]
    fn asked(&self) -> u32 {
        self.id
    }

    #[cached(handle = "its_pages")]
    fn named(&self, (a, mut b): (u8, u8), _: bool, mut c: u8, _unread: u8) -> u32 {
        b += 1;
        c += a + b;
        self.id + u32::from(c)
    }

    #[cached]
    fn fallible(&self, text: &str) -> Result<u32, std::num::ParseIntError> {
        let n: u32 = text.parse()?;
        if n == 0 {
            return Ok(self.id);
        }
        Ok(n)
    }

    #[cached]
    async fn asynchronous(&self, text: &str) -> Result<u32, std::num::ParseIntError> {
        let n: u32 = std::future::ready(text).await.parse()?;
        if n == 0 {
            return Ok(self.id);
        }
        Ok(n)
    }

    #[cached]
    async fn asynchronous_plain(&self, mut n: u32) -> u32 {
        n += 1;
        std::future::ready(self.id).await + n
    }

    #[cached]
    fn generic<T: larder::CacheKey + std::fmt::Debug, const N: usize>(&self, value: T, _any: impl AsRef<str>) -> String {
        format!("{}{}{value:?}{N}", self.id, std::any::type_name::<T>())
    }

    #[cached]
    fn borrowing<'a>(&'a self, text: &'a str) -> Result<usize, &'a str> {
        if text.len() > 3 { Err(text) } else { Ok(text.len()) }
    }
}

/// Of the same name as a method, with the same types.
#[cached]
fn told(id: u32) -> u32 {
    id + 1000
}

/// A trait.
trait Load {
    /// Without a body.
    fn load(&self, n: u32) -> String;
    /// Associated.
    fn make(n: u32) -> Self;
    /// With a body.
    #[cached]
    fn provided(&self, n: u32) -> u32
    where
        Self: larder::CacheKey,
    {
        self.load(n).len() as u32
    }
}

impl Load for Store {
    #[cached]
    fn load(&self, n: u32) -> String {
        "s".repeat((self.id + n) as usize)
    }

    #[cached(max_entries = 7)]
    fn make(n: u32) -> Self {
        Self { id: n }
    }
}

impl Load for u8 {
    #[cached]
    fn load(&self, n: u32) -> String {
        "u".repeat(usize::from(*self) + n as usize)
    }

    #[cached]
    fn make(n: u32) -> Self {
        n as Self
    }
}

/// A generic one.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Of<T>(T);

impl<T: larder::CacheKey + std::fmt::Debug> Of<T> {
    /// The instances share nothing.
    #[cached]
    pub fn name(n: u32) -> String {
        let _: Option<Self> = None;
        format!("{}{n}", std::any::type_name::<T>())
    }

    #[cached]
    fn show(&self, n: u32) -> String {
        format!("{:?}{n}", self.0)
    }
}

macro_rules! methods {
    ($name:ident, $ty:ty, $ret:ty, $body:expr) => {
        impl Of<u128> {
            #[cached]
            fn $name(&self, n: $ty) -> $ret {
                self.0 + u128::from(n) + $body
            }
        }
    };
}

methods!(by_macro, u8, u128, 5);

/// An item inside says `Self`, the function does not.
#[cached]
pub fn free(n: u32) -> u32 {
    struct Inner(u32);
    impl Inner {
        fn new(n: u32) -> Self {
            Self(n)
        }
    }
    Inner::new(n).0
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    match std::pin::pin!(future).poll(&mut context) {
        std::task::Poll::Ready(value) => value,
        std::task::Poll::Pending => unreachable!(),
    }
}

fn main() {
    let (one, two) = (Store { id: 1 }, Store { id: 2 });
    for _ in 0..2 {
        assert_eq!((one.private(3), two.private(3)), (13, 23));
        assert_eq!((&*one.public("a"), &*two.public("a")), ("1a", "2a"));
        assert_eq!((one.alone(), two.alone()), (1, 2));
        assert_eq!((one.clone().by_value(1), two.clone().by_value(1)), (2, 3));
        assert_eq!((one.clone().by_mut_value(1), two.clone().by_mut_value(1)), (2, 3));
        assert_eq!((Box::new(one.clone()).boxed(1), Box::new(two.clone()).boxed(1)), (2, 3));
        assert_eq!(Arc::new(one.clone()).counted(0).id, 1);
        assert_eq!(Arc::new(two.clone()).counted(0).id, 2);
        assert_eq!(Arc::new(two.clone()).counted_reference(1), 3);
        assert_eq!((Pin::new(&one).pinned(1), Pin::new(&two).pinned(1)), (2, 3));
        assert_eq!((one.typed(1), two.typed(1)), (2, 3));
        assert_eq!((Store::made(5).id, Store::in_body(6)), (5, 6));
        assert!(Store::compared(&one, &one) && !Store::compared(&one, &two));
        assert_eq!((Store::told(1), told(1), Store::quiet(1)), (1, 1001, 2));
        assert_eq!((one.asked(), two.asked()), (1, 2));
        assert_eq!(one.named((1, 2), true, 3, 4), 8);
        assert_eq!((one.fallible("0"), two.fallible("0"), one.fallible("x").is_err()), (Ok(1), Ok(2), true));
        assert_eq!((block_on(one.asynchronous("0")), block_on(two.asynchronous("0"))), (Ok(1), Ok(2)));
        assert!(block_on(one.asynchronous("x")).is_err());
        assert_eq!((block_on(one.asynchronous_plain(1)), block_on(two.asynchronous_plain(1))), (3, 4));
        assert_eq!(one.generic::<u8, 2>(1, "a"), "1u812");
        assert_eq!(one.generic::<u16, 2>(1, "a"), "1u1612");
        assert_eq!(two.generic::<u16, 3>(1, String::new()), "2u1613");
        assert_eq!((one.borrowing("abc"), one.borrowing("abcd")), (Ok(3), Err("abcd")));
        assert_eq!((one.load(1), one.provided(1), 1_u8.load(1), 1_u8.provided(4)), ("ss".into(), 2, "uu".into(), 5));
        assert_eq!((<Store as Load>::make(3).id, <u8 as Load>::make(3)), (3, 3));
        assert_eq!((Of::<u8>::name(1), Of::<u16>::name(1)), ("u81".into(), "u161".into()));
        assert_eq!((Of(1_u8).show(1), Of(1_u16).show(2), Of("a").show(3)), ("11".into(), "12".into(), "\"a\"3".into()));
        assert_eq!(Of(1_u128).by_macro(1), 7);
        assert_eq!(free(3), 3);
    }
    assert_eq!(Store::public_cache().get((&one, "a")).as_deref(), Some("1a"));
    assert_eq!((Store::made_cache().len(), Store::told_cache().len(), told_cache().len()), (1, 1, 1));
    assert_eq!((Store::asked_cache().get(&one), Store::asked_cache().get(&two)), (Some(1), Some(2)));
    assert!(Store::its_pages_cache_is_not_there());
    assert_eq!(Store::its_pages().len(), 1);
    assert_eq!((Of::<u8>::name_cache().len(), Of::<u32>::name_cache().len()), (1, 0));
    assert_eq!(free_cache().len(), 1);
    let names: Vec<String> = larder::stats().tenants.into_iter().map(|tenant| tenant.name).collect();
    for name in ["::Store::public", "::Store::private", "::Store::told", "::told", "::Of::name", "::Store::asynchronous"] {
        assert_eq!(names.iter().filter(|row| row.ends_with(name)).count(), 1 + usize::from(name == "::told"), "{name} {names:?}");
    }
}

impl Store {
    fn its_pages_cache_is_not_there() -> bool {
        true
    }
}
