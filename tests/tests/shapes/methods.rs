//! Methods: of types that are hardly objects, of traits, with every receiver.
#![deny(warnings)]
#![expect(unreachable_pub, reason = "what `pub` does to an expansion is what is tried")]

use std::fmt::Debug;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;

use larder::{CacheKey, CacheValue, Local, cached};

trait Length {
    fn length(&self, n: usize) -> usize;
    fn kind() -> &'static str {
        "any"
    }
}

impl<T: CacheKey, const N: usize> Length for [T; N] {
    #[cached]
    fn length(&self, n: usize) -> usize {
        N + n
    }

    #[cached(assoc)]
    fn kind() -> &'static str {
        "array"
    }
}

impl Length for &'static str {
    #[cached]
    fn length(&self, n: usize) -> usize {
        self.len() + n
    }
}

impl<A: CacheKey, B: CacheKey> Length for (A, B) {
    #[cached]
    fn length(&self, n: usize) -> usize {
        2 + n
    }

    #[cached(assoc, once)]
    fn kind() -> &'static str {
        "pair"
    }
}

impl Length for fn() -> u8 {
    #[cached]
    fn length(&self, n: usize) -> usize {
        usize::from(self()) + n
    }
}

impl Length for str {
    #[cached(key(self: &str, n))]
    fn length(&self, n: usize) -> usize {
        self.len() + n
    }
}

impl Length for [u8] {
    #[cached(key(self: &[u8], n))]
    fn length(&self, n: usize) -> usize {
        self.len() + n
    }
}

#[test]
fn of_types_that_are_no_structs() {
    assert_eq!(([1_u8, 2].length(1), [1_u8].length(1), [1_u16].length(2)), (3, 2, 3));
    assert_eq!((Length::length(&"abc", 1), Length::length("ab", 1), (1_u8, 2_u8).length(1)), (4, 3, 3));
    assert_eq!((<[u8; 2]>::kind(), <&str>::kind(), <(u8, u8)>::kind()), ("array", "any", "pair"));
    assert_eq!(Length::length(&[1_u8, 2, 3][..], 1), 4);
    fn five() -> u8 {
        5
    }
    assert_eq!((five as fn() -> u8).length(1), 6);
}

trait Object: Debug {
    fn id(&self) -> u32;
}

impl Object for u32 {
    fn id(&self) -> u32 {
        *self
    }
}

impl dyn Object {
    #[cached(key(self.id(): u32, n))]
    fn of_object(&self, n: u32) -> u32 {
        self.id() + n
    }
}

impl dyn Object + Send {
    #[cached(skip(self))]
    pub fn of_any(&self, n: u32) -> u32 {
        n
    }
}

#[test]
fn of_trait_objects() {
    let (five, six): (&dyn Object, &dyn Object) = (&5_u32, &6_u32);
    assert_eq!((five.of_object(1), six.of_object(1), five.of_object(1)), (6, 7, 6));
    let sent: &(dyn Object + Send) = &5_u32;
    assert_eq!((sent.of_any(1), <dyn Object + Send>::of_any_cache().len()), (1, 1));
}

#[derive(Clone, PartialEq, Eq, Hash, Debug)]
struct Sum<T, const N: usize>(T);

impl<T: CacheKey + CacheValue, const N: usize> Sum<T, N> {
    const TWICE: usize = 2 * N;

    #[cached]
    pub fn itself(&self) -> Self {
        self.clone()
    }

    #[cached]
    pub fn maybe(mut self, n: u8) -> Option<Self> {
        if n > 0 {
            self = Self(self.0);
        }
        Some(self)
    }

    #[cached(assoc)]
    pub fn of(it: T) -> Arc<Self>
    where
        Self: Sized,
    {
        Arc::new(Self(it))
    }

    #[cached]
    pub fn array(&self) -> [u8; N] {
        [1; N]
    }

    #[cached]
    pub fn constant(n: usize) -> usize {
        Self::TWICE + n
    }

    #[cached]
    #[expect(clippy::boxed_local, reason = "it is what is tried")]
    pub fn boxed(self: Box<Self>) -> usize {
        N
    }

    #[cached]
    pub fn shared(self: &Arc<Self>) -> usize {
        N
    }

    #[cached]
    pub fn pinned(self: Pin<&Self>) -> usize {
        N
    }

    #[cached]
    pub fn beside(&self, other: &Self, more: Option<Self>) -> bool {
        *self == *other && more.is_none()
    }
}

#[test]
fn of_a_generic_type() {
    let (three, two) = (Sum::<u8, 3>(1), Sum::<u8, 2>(1));
    assert_eq!((three.itself(), three.clone().maybe(1)), (Sum(1), Some(Sum(1))));
    assert_eq!((three.array(), two.array()), ([1; 3], [1; 2]));
    assert_eq!((Sum::<u8, 3>::constant(1), Sum::<u8, 2>::constant(1), Sum::<u8, 9>::of(2).0), (7, 5, 2));
    assert_eq!((Box::new(three.clone()).boxed(), Box::new(two.clone()).boxed()), (3, 2));
    assert_eq!(
        (Arc::new(three.clone()).shared(), Pin::new(&three).pinned(), three.beside(&Sum(1), None)),
        (3, 3, true)
    );
}

trait Shape: CacheKey {
    type Out: CacheValue + From<u8>;
    const N: u8;

    #[cached]
    fn area(&self) -> Self::Out
    where
        Self: Sized,
    {
        Self::Out::from(Self::N)
    }

    #[cached]
    fn corners() -> u8
    where
        Self: Sized,
    {
        Self::N
    }
}

#[derive(Clone, PartialEq, Eq, Hash)]
struct Square;

#[derive(Clone, PartialEq, Eq, Hash)]
struct Circle;

impl Shape for Square {
    type Out = u32;
    const N: u8 = 4;
}

impl Shape for Circle {
    type Out = u32;
    const N: u8 = 0;
}

macro_rules! named {
    ($($name:ident)*) => {
        $(impl Named for $name {
            #[cached(skip(self))]
            fn name(&self, _n: u8) -> &'static str {
                stringify!($name)
            }
        })*
    };
}

trait Named {
    fn name(&self, n: u8) -> &'static str;
}

named!(Square Circle);

#[test]
fn provided_and_made_by_a_macro() {
    assert_eq!((Square.area(), Circle.area(), Square::corners(), Circle::corners()), (4, 0, 4, 0));
    assert_eq!((Square.name(1), Circle.name(1)), ("Square", "Circle"));
}

struct Stays(Rc<u8>, Local);

impl Stays {
    #[cached(key(*self.0: u8, n))]
    fn sum(&self, n: u8) -> u8 {
        *self.0 + n
    }

    #[cached(within = self.1)]
    fn difference(&self, n: u8) -> u8 {
        n - *self.0
    }
}

struct Borrows<'a>(&'a str);

impl Borrows<'_> {
    #[cached(key(self.0: &str))]
    fn text(&self) -> std::borrow::Cow<'static, str> {
        self.0.to_owned().into()
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Hash)]
#[repr(Rust, packed)]
struct Packed {
    a: u8,
    b: u32,
}

impl Packed {
    #[cached(key(self.b: u32))]
    fn field(&self) -> u32 {
        self.b
    }

    #[cached]
    fn whole(self) -> u32 {
        self.b + u32::from(self.a)
    }
}

#[test]
fn of_what_is_no_key() {
    let (one, two) = (Stays(Rc::new(1), Local::new()), Stays(Rc::new(2), Local::new()));
    assert_eq!((one.sum(1), two.sum(1), one.difference(2), two.difference(2)), (2, 3, 1, 0));
    assert_eq!((Borrows("a").text(), Borrows("b").text()), ("a".into(), "b".into()));
    assert_eq!(
        (Packed { a: 1, b: 2 }.field(), Packed { a: 1, b: 2 }.whole(), Packed { a: 2, b: 2 }.whole()),
        (2, 3, 4)
    );
}
