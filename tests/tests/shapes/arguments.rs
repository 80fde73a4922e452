//! Arguments: patterns, names that expansions use themselves, functions, types behind macros, a dozen at once.
#![deny(warnings)]

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::fmt::Display;
use std::path::Path;
use std::sync::Arc;

use larder::{CacheKey, CacheValue, cached};

#[derive(Clone, PartialEq, Eq, Hash)]
struct Point {
    x: u8,
    y: Option<u8>,
}

#[derive(Clone, PartialEq, Eq, Hash)]
struct Pair(u8, u8);

#[cached]
#[expect(clippy::too_many_arguments, reason = "one of each kind")]
fn patterns(
    Point { x, y: _ }: Point,
    Pair(a, ..): Pair,
    whole @ [_, b, ..]: [u8; 4],
    (ref c, ref mut d): (u8, u8),
    _: u8,
    mut e: u8,
    &f: &u8,
    &(g, h): &(u8, u8),
) -> u32 {
    *d += 1;
    e += 1;
    [x, a, whole[0], b, *c, *d, e, f, g, h].iter().map(|n| u32::from(*n)).sum()
}

#[test]
fn what_a_pattern_leaves_out_is_in_the_key() {
    let call =
        |y, ignored| patterns(Point { x: 1, y }, Pair(1, 2), [1, 1, 0, 0], (1, 1), ignored, 1, &1, &(1, 1));
    assert_eq!((call(None, 0), call(Some(1), 0), call(None, 1), call(None, 0)), (12, 12, 12, 12));
    assert_eq!(patterns_cache().len(), 3);
}

#[cached]
#[expect(clippy::too_many_arguments, reason = "as many as a key has parts")]
fn named_as_ours(
    cache: u8,
    key: u8,
    handle: u8,
    self_: u8,
    r#type: u8,
    __cache: u8,
    __query: u8,
    __miss: u8,
    __value: u8,
    __arg3: u8,
    _0: u8,
    __key0: u8,
) -> u32 {
    [cache, key, handle, self_, r#type, __cache, __query, __miss, __value, __arg3, _0, __key0]
        .iter()
        .map(|n| u32::from(*n))
        .sum()
}

#[cached(key(__cache: u8, __query), force_if = __miss > 1)]
fn spoken_of(__cache: u8, __query: u8, __miss: u8) -> u8 {
    __cache + __query + __miss
}

#[cached(key_by = |__key, cache| (*__key, *cache): (u8, u8), cache_if = |__value| *__value > 0)]
fn in_closures(__key: u8, cache: u8) -> u8 {
    __key + cache
}

#[cached]
fn named_as_itself(named_as_itself: u8, named_as_itself_cache: u8) -> u8 {
    named_as_itself + named_as_itself_cache
}

#[test]
fn names_of_ours_are_free() {
    assert_eq!(named_as_ours(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12), 78);
    assert_eq!((spoken_of(1, 1, 1), spoken_of(1, 1, 2), spoken_of(1, 1, 1)), (3, 4, 4));
    assert_eq!((in_closures(1, 1), in_closures(0, 0), in_closures_cache().len()), (2, 0, 1));
    assert_eq!(named_as_itself(1, 2), 3);
}

#[cached(skip(m, n))]
#[expect(clippy::too_many_arguments, reason = "more than a key has parts")]
fn fourteen(
    a: u8,
    b: u8,
    c: u8,
    d: u8,
    e: u8,
    f: u8,
    g: u8,
    h: u8,
    i: u8,
    j: u8,
    k: u8,
    l: u8,
    m: u8,
    n: &mut u8,
) -> u8 {
    *n = m;
    a + b + c + d + e + f + g + h + i + j + k + l
}

#[test]
fn a_dozen_in_the_key_and_more_beside_it() {
    let mut n = 0;
    assert_eq!((fourteen(1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 7, &mut n), n), (12, 7));
    assert_eq!((fourteen(1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 8, &mut n), n), (12, 7));
}

#[cached(skip(f))]
fn with_once(n: u32, f: impl FnOnce(u32) -> u32) -> u32 {
    f(n)
}

#[cached(skip(f))]
#[expect(
    clippy::redundant_closure,
    clippy::redundant_closure_call,
    reason = "closures in closures are what is tried"
)]
fn with_generic<F: Fn(u32) -> u32>(n: u32, f: F) -> u32 {
    (|x| (|y| f(y))(x))(n)
}

#[cached(skip(f))]
fn with_object(n: u32, f: &dyn Fn(u32) -> u32) -> u32 {
    f(n)
}

#[cached(skip(f))]
fn with_box(n: u32, f: Box<dyn FnOnce(u32) -> u32 + '_>) -> u32 {
    f(n)
}

#[cached(skip(f))]
fn with_any_lifetime<'a, F>(text: &'a str, f: F) -> usize
where
    F: for<'b> Fn(&'b str) -> &'b str,
    F: 'a,
{
    f(text).len()
}

#[cached]
fn with_pointer(f: fn(u8) -> u8, n: u8) -> u8 {
    f(n)
}

#[test]
fn functions() {
    assert_eq!((with_once(1, |x| x + 1), with_once(1, |x| x + 2), with_once(2, |x| x + 2)), (2, 2, 4));
    // Each closure is an instance.
    assert_eq!((with_generic(1, |x| x + 1), with_generic(1, |x| x + 2)), (2, 3));
    assert_eq!((with_object(1, &|x| x + 1), with_box(1, Box::new(|x| x + 1))), (2, 2));
    assert_eq!(with_any_lifetime("abc", |x| &x[1..]), 2);
    fn one_more(n: u8) -> u8 {
        n + 1
    }
    assert_eq!((with_pointer(one_more, 1), with_pointer(one_more, 2)), (2, 3));
}

macro_rules! ty {
    () => { u32 };
    (result) => { Result<u32, String> };
}

#[cached]
fn behind_macros(x: ty!(), y: Option<ty!()>) -> ty!() {
    x + y.unwrap_or(0)
}

#[cached]
fn returned_by_macro(x: u32) -> ty!(result) {
    Ok(x)
}

#[cached]
fn deep(
    map: &BTreeMap<String, Vec<Option<(u8, String)>>>,
    arrays: &[[u8; 2]],
    bytes: Box<[u8]>,
    text: Arc<str>,
    far: &&&u8,
    cow: Cow<'_, [u8]>,
) -> usize {
    map.len() + arrays.len() + bytes.len() + text.len() + usize::from(***far) + cow.len()
}

#[cached]
#[expect(clippy::type_complexity, reason = "it is what is tried")]
fn nested(t: (u8, (&str, Option<(f64, &[u8])>), [Option<u8>; 2]), r: &(f32, &str)) -> usize {
    t.1.0.len() + r.1.len()
}

#[cached]
fn as_refs(a: impl AsRef<str>, b: impl AsRef<[u8]> + Clone, c: &(impl AsRef<Path> + ?Sized)) -> usize {
    a.as_ref().len() + b.as_ref().len() + c.as_ref().as_os_str().len()
}

#[cached(key(d.to_string(): String))]
fn displayed(d: impl Display) -> usize {
    d.to_string().len()
}

#[cached(key(map.len(): usize, { let mut keys: Vec<_> = map.keys().cloned().collect(); keys.sort(); keys }: Vec<String>))]
fn of_map(map: &HashMap<String, f64>) -> usize {
    map.len()
}

#[test]
fn types_of_all_kinds() {
    assert_eq!((behind_macros(1, None), behind_macros(1, Some(1)), returned_by_macro(1)), (1, 2, Ok(1)));
    let of = |far| deep(&BTreeMap::new(), &[[1, 2]], [1].into(), "a".into(), &&far, (&[1][..]).into());
    assert_eq!((of(&1), of(&2), of(&1)), (5, 6, 5));
    assert_eq!(nested((1, ("ab", Some((f64::NAN, &[1]))), [None; 2]), &(0.5, "c")), 3);
    assert!(nested_cache().get(((1, ("ab", Some((f64::NAN, &[1][..]))), &[None; 2]), (0.5, "c"))).is_some());
    assert_eq!((as_refs("a", vec![1], "b"), displayed(12), displayed(345)), (3, 2, 3));
    assert_eq!(of_map(&HashMap::from([("a".to_owned(), 0.5)])), 1);
}

#[cached]
fn all_of_our_letters<
    K: CacheKey,
    V: CacheValue + From<u8>,
    F: CacheKey,
    R: CacheKey,
    __T0: CacheKey,
    __R: CacheKey,
>(
    k: K,
    f: F,
    r: R,
    t: __T0,
    u: __R,
) -> V {
    let _ = (k, f, r, t, u);
    V::from(1)
}

#[cached]
fn odd_bounds<T>(a: T, b: T) -> T
where
    T: CacheKey,
    for<'a> &'a T: std::ops::Add<&'a T, Output = T>,
    [T; 2]: Sized,
    (): Sized,
{
    &a + &b
}

#[test]
fn type_parameters() {
    assert_eq!(all_of_our_letters::<u8, u16, u8, u8, u8, u8>(1, 1, 1, 1, 1), 1);
    assert_eq!(all_of_our_letters::<u8, u32, u8, u8, u8, u8>(1, 1, 1, 1, 1), 1);
    assert_eq!((odd_bounds(1_u8, 2), odd_bounds(1_u64, 2)), (3, 3));
}

#[cached(key(text.parse::<u8>()?: u8))]
fn fails_before_it_has_a_key(text: &str) -> Result<u8, std::num::ParseIntError> {
    text.parse()
}

#[cached(cache_if = |long: &String| long.len() > name.len())]
fn longer(name: &str, by: usize) -> String {
    name.to_owned() + &"a".repeat(by)
}

#[cached]
fn bound_early<'a, 'b: 'a, T>(x: &'a str, y: &'b str, _t: &'a T) -> usize
where
    T: 'a + 'b + CacheKey,
{
    x.len() + y.len()
}

#[cached]
fn constant_arguments<const N: usize, const B: bool, const C: char>(x: [u8; N]) -> [u8; N] {
    if B { x } else { [C as u8; N] }
}

#[test]
fn expressions_and_bounds() {
    let (one, again) = (fails_before_it_has_a_key("1"), fails_before_it_has_a_key("001"));
    assert_eq!((one, again, fails_before_it_has_a_key_cache().len()), (Ok(1), Ok(1), 1));
    assert!(fails_before_it_has_a_key("x").is_err());
    assert_eq!((longer("a", 1), longer("a", 0), longer_cache().len()), ("aa".into(), "a".into(), 1));
    assert_eq!((bound_early("a", "b", &1_u8), bound_early("a", "b", &1_u16)), (2, 2));
    assert_eq!(
        (constant_arguments::<2, true, 'a'>([1, 2]), constant_arguments::<2, false, 'a'>([1, 2])),
        ([1, 2], [97, 97])
    );
}
