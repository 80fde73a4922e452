//! Patterns, `mut`, unused arguments, and arguments with the names that an expansion might use itself.
#![deny(warnings, missing_docs)]

use larder::cached;

/// A point.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Point {
    x: i32,
    y: i32,
}

#[cached]
fn mutable(mut n: u64, mut list: Vec<u64>) -> u64 {
    n += 1;
    list.push(n);
    list.iter().sum()
}

#[cached]
fn patterns((a, mut b): (i32, i32), Point { x, y }: Point, [first, ..]: [u8; 3], &z: &i32) -> i32 {
    b += a;
    b + x + y + i32::from(first) + z
}

#[cached]
fn bound(whole @ (a, _): (i32, i32), ref by_ref: u8) -> i32 {
    whole.1 + a + i32::from(*by_ref)
}

#[cached]
fn unread(_: u8, _n: u16, __m: &str) -> u32 {
    5
}

#[cached]
fn names(cache: u8, miss: &str, value: u16, key: Option<&str>, part: (u8, Option<u8>), query: u8, object: u8) -> usize {
    let __larder_body = miss.len() + key.map_or(0, str::len);
    usize::from(cache) + usize::from(value) + __larder_body + usize::from(part.0) + usize::from(query + object)
}

#[cached]
fn early(n: u32) -> u32 {
    if n > 3 {
        return 3;
    }
    n
}

#[cached]
fn fib(n: u32) -> u64 {
    if n < 2 { u64::from(n) } else { fib(n - 1) + fib(n - 2) }
}

fn main() {
    for _ in 0..2 {
        assert_eq!(mutable(1, vec![1]), 3);
        assert_eq!(patterns((1, 2), Point { x: 3, y: 4 }, [5, 0, 0], &6), 21);
        assert_eq!(bound((1, 2), 3), 6);
        assert_eq!(names(1, "ab", 3, Some("c"), (4, None), 5, 6), 22);
        assert_eq!(early(9), 3);
    }
    // An argument that the body ignores is part of the key all the same.
    unread(1, 2, "a");
    unread(2, 2, "a");
    unread(2, 3, "a");
    unread(2, 3, "b");
    assert_eq!(unread_cache().len(), 4);
    assert_eq!(fib(90), 2_880_067_194_370_816_120);
    assert_eq!(fib_cache().get(80), Some(23_416_728_348_467_685));
}
