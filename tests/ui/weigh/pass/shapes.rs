//! Structs, tuple structs, enums and generics.
#![forbid(unsafe_code)]
#![deny(warnings, missing_docs)]

use std::marker::PhantomData;
use std::sync::Arc;

use larder::{Weigh, weigh};

/// Without `Weigh`.
pub struct Foreign(u64);

mod foreign {
    pub(crate) fn bytes(foreign: &crate::Foreign) -> u64 {
        foreign.0
    }
}

#[derive(Weigh)]
struct Unit;

#[derive(Weigh)]
struct Tuple(String, u8, #[weigh(skip)] Foreign);

#[derive(Weigh)]
struct Named<'a, T, U: Clone, const N: usize>
where
    T: Clone,
{
    text: String,
    borrowed: &'a str,
    it: T,
    list: Vec<(U, [u8; N])>,
    #[weigh(with = foreign::bytes)]
    foreign: Foreign,
    #[weigh(skip)]
    unseen: Arc<T>,
    marker: PhantomData<Foreign>,
}

#[derive(Weigh)]
struct Projected<I: Iterator> {
    rest: I,
    item: Option<I::Item>,
}

#[derive(Weigh)]
struct OnlyMarked<T>(PhantomData<T>);

#[derive(Weigh)]
enum Shape<T> {
    Empty,
    Circle(T),
    Polygon { corners: Vec<T>, #[weigh(skip)] name: Foreign, r#type: u8 },
}

#[derive(Weigh)]
#[allow(dead_code)]
enum Never {}

#[derive(Weigh)]
struct List {
    next: Option<Box<List>>,
}

struct Counter;

impl Iterator for Counter {
    type Item = String;
    fn next(&mut self) -> Option<String> {
        None
    }
}

impl Weigh for Counter {
    fn heap_bytes(&self) -> u64 {
        1000
    }
}

fn main() {
    let text = || "a text of some length".to_owned();
    let of_text = text().heap_bytes();
    assert!(of_text >= 21);
    assert_eq!(Unit.heap_bytes(), 0);
    let tuple = Tuple(text(), 1, Foreign(9));
    assert_eq!((tuple.heap_bytes(), tuple.1, tuple.2.0), (of_text, 1, 9));
    let named = Named {
        text: text(),
        borrowed: "not ours",
        it: text(),
        list: vec![(1_u8, [0; 3])],
        foreign: Foreign(5),
        unseen: Arc::new(text()),
        marker: PhantomData,
    };
    assert_eq!(named.heap_bytes(), 2 * of_text + weigh::allocation(4) + 5);
    assert_eq!((named.borrowed, named.unseen.len(), named.marker), ("not ours", 21, PhantomData));
    let projected = Projected { rest: Counter, item: Some(text()) };
    assert_eq!(projected.heap_bytes(), of_text + 1000);
    assert_eq!(OnlyMarked::<Foreign>(PhantomData).heap_bytes(), 0);
    assert_eq!(Shape::<String>::Empty.heap_bytes(), 0);
    assert_eq!(Shape::Circle(text()).heap_bytes(), of_text);
    let polygon = Shape::Polygon { corners: vec![1_u8], name: Foreign(1), r#type: 2 };
    assert_eq!(polygon.heap_bytes(), weigh::allocation(1));
    if let Shape::Polygon { name, r#type, .. } = polygon {
        assert_eq!((name.0, r#type), (1, 2));
    }
    let list = List { next: Some(Box::new(List { next: None })) };
    assert_eq!(list.heap_bytes(), weigh::allocation(8));
    assert!(list.next.is_some());
}
