//! Generic functions: each instance has a cache of its own, whatever its keys and values are.
#![deny(warnings, missing_docs)]

use std::fmt::Debug;

use larder::{CacheKey, CacheValue, cached};

/// In none of the arguments.
#[cached]
pub fn name_of<T>(n: u8) -> String {
    format!("{}{n}", std::any::type_name::<T>())
}

#[cached]
fn doubled<T: CacheKey + Debug>(it: &T, list: &[T], maybe: Option<&T>) -> String {
    format!("{it:?}{list:?}{maybe:?}")
}

#[cached]
fn sized<T, const N: usize>(it: [T; N]) -> usize
where
    T: CacheKey,
{
    it.len() * N
}

#[cached]
fn parsed<T: std::str::FromStr<Err: Debug> + CacheValue>(text: &str) -> Result<T, T::Err> {
    text.parse()
}

#[cached]
fn of_lifetimes<'a, 'b: 'a, T: 'b + CacheKey>(a: &'a str, b: &'b T) -> usize
where
    T: 'a,
{
    let _ = b;
    a.len()
}

#[cached]
fn only_constant<const UP: bool>(text: &str) -> String {
    if UP { text.to_uppercase() } else { text.to_lowercase() }
}

#[cached]
fn viewed<T: CacheKey>(text: impl AsRef<str>, it: T) -> usize {
    let _ = it;
    text.as_ref().len()
}

fn main() {
    for _ in 0..2 {
        assert_eq!(name_of::<u8>(1), "u81");
        assert_eq!(name_of::<u16>(1), "u161");
        // A type that borrows may be a parameter, as long as nothing of it is stored.
        assert_eq!(name_of::<&str>(1), "&str1");
        assert_eq!(doubled(&1, &[2], None), "1[2]None");
        assert_eq!(doubled(&"a", &[], Some(&"b")), "\"a\"[]Some(\"b\")");
        assert_eq!(sized([1, 2]), 4);
        assert_eq!(sized([1, 2, 3]), 9);
        assert_eq!(parsed::<u8>("7"), Ok(7));
        assert_eq!(parsed::<u64>("7"), Ok(7));
        assert!(parsed::<u8>("-7").is_err());
        assert_eq!(of_lifetimes("ab", &1), 2);
        assert_eq!(only_constant::<true>("aB"), "AB");
        assert_eq!(only_constant::<false>("aB"), "ab");
        assert_eq!(viewed("ab", 1), 2);
        assert_eq!(viewed(String::from("ab"), 1), 2);
    }
    assert_eq!(name_of_cache::<u8>().get(1).as_deref(), Some("u81"));
    assert_eq!(name_of_cache::<u16>().get(1).as_deref(), Some("u161"));
    assert_eq!(name_of_cache::<u32>().len(), 0);
    assert_eq!(parsed_cache::<u64>().get("7"), Some(7));
    assert_eq!(sized_cache::<i32, 2>().get(&[1, 2]), Some(4));
    assert_eq!(of_lifetimes_cache::<i32>().get(("ab", 1)), Some(2));
    assert_eq!(only_constant_cache::<true>().len(), 1);
    assert_eq!(viewed_cache::<i32>().get(("ab", 1)), Some(2));
}
