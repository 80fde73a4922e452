//! Every form of argument that a key can be made of, in a crate that allows nothing.
#![forbid(unsafe_code)]
#![deny(warnings, missing_docs, unreachable_pub)]

use std::borrow::Cow;
use std::ffi::{CStr, OsStr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use larder::{Bits32, Bits64, cached};

/// A key of our own.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Opts {
    /// How it is spelled.
    pub lang: String,
    /// How much of it.
    pub depth: u32,
}

#[cached]
fn none() -> u32 {
    7
}

#[cached]
fn text(name: &str) -> usize {
    name.len()
}

#[cached]
fn mixed(name: &str, id: u32, opts: &Opts) -> Arc<str> {
    format!("{name} {id} {}", opts.lang).into()
}

#[cached]
fn by_value(name: String, list: Vec<u8>) -> String {
    format!("{name}{}", list.len())
}

#[cached]
fn lifetimes<'a, 'b: 'a>(a: &'a str, b: &'b [String], c: &'static str) -> usize {
    a.len() + b.len() + c.len()
}

#[cached]
fn twice_borrowed(name: &&str, opts: &&Opts) -> usize {
    name.len() + opts.lang.len()
}

#[cached]
fn paths(path: &Path, os: &OsStr, c: &CStr) -> usize {
    path.as_os_str().len() + os.len() + c.to_bytes().len()
}

#[cached]
fn floats(x: f64, y: &f32) -> f64 {
    x + f64::from(*y)
}

#[cached]
fn options(a: Option<&str>, b: &Option<u32>, c: Option<(&str, f64)>, d: Option<&[u8]>) -> u32 {
    u32::from(a.is_some()) + b.unwrap_or(0) + u32::from(c.is_some()) + u32::from(d.is_some())
}

#[cached]
fn tuples(pair: (&str, u8), nested: &(u8, (String, f32)), unit: ()) -> usize {
    let () = unit;
    pair.0.len() + nested.1.0.len()
}

#[cached]
fn cows(text: Cow<'_, str>, list: &Cow<'_, [u8]>) -> usize {
    text.len() + list.len()
}

#[cached]
fn as_ref(path: impl AsRef<Path>, text: impl AsRef<str> + Send) -> usize {
    path.as_ref().as_os_str().len() + text.as_ref().len()
}

#[cached]
fn as_they_are(a: Arc<str>, b: [u8; 4], c: Vec<&'static str>, d: Box<[u32]>, e: char, f: fn(u8) -> u8) -> usize {
    a.len() + usize::from(b[0]) + c.len() + d.len() + usize::from(f(u8::from(e.is_alphabetic())))
}

#[cached]
fn twelve(a: u8, b: u8, c: u8, d: u8, e: u8, f: u8, g: u8, h: u8, i: u8, j: u8, k: u8, l: u8) -> u8 {
    a + b + c + d + e + f + g + h + i + j + k + l
}

fn twice(x: u8) -> u8 {
    2 * x
}

fn main() {
    let opts = Opts { lang: "en".to_owned(), depth: 2 };
    for _ in 0..2 {
        assert_eq!(none(), 7);
        assert_eq!(text("four"), 4);
        assert_eq!(&*mixed("ab", 7, &opts), "ab 7 en");
        assert_eq!(by_value("ab".to_owned(), vec![1, 2]), "ab2");
        assert_eq!(lifetimes("a", &["b".to_owned()], "c"), 3);
        assert_eq!(twice_borrowed(&"ab", &&opts), 4);
        assert_eq!(paths(Path::new("abc"), OsStr::new("de"), c"f"), 6);
        assert!(floats(f64::NAN, &0.5).is_nan());
        assert_eq!(options(Some("a"), &Some(2), Some(("b", 0.5)), None), 4);
        assert_eq!(tuples(("ab", 1), &(1, ("c".to_owned(), 0.5)), ()), 3);
        assert_eq!(cows(Cow::Borrowed("ab"), &Cow::Owned(vec![1])), 3);
        assert_eq!(as_ref("ab", String::from("c")), 3);
        assert_eq!(as_ref(PathBuf::from("ab"), "c"), 3);
        assert_eq!(as_they_are("a".into(), [1; 4], vec!["b"], Box::new([1, 2]), 'x', twice), 7);
        assert_eq!(twelve(1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1), 12);
    }
    // The same entries are found by hand.
    assert_eq!(none_cache().get(()), Some(7));
    assert_eq!(text_cache().get("four"), Some(4));
    assert_eq!(mixed_cache().get(("ab", 7, &opts)).as_deref(), Some("ab 7 en"));
    assert_eq!(by_value_cache().get(("ab", &[1_u8, 2][..])).as_deref(), Some("ab2"));
    assert_eq!(lifetimes_cache().get(("a", &["b".to_owned()][..], "c")), Some(3));
    assert_eq!(twice_borrowed_cache().get(("ab", &opts)), Some(4));
    assert_eq!(paths_cache().get((Path::new("abc"), OsStr::new("de"), c"f")), Some(6));
    assert!(floats_cache().get((f64::NAN, 0.5)).is_some());
    assert!(floats_cache().get(&(Bits64::new(f64::NAN), Bits32::new(0.5))).is_some());
    assert_eq!(options_cache().get((Some("a"), Some(2), Some(("b", 0.5)), None::<&[u8]>)), Some(4));
    assert_eq!(tuples_cache().get((("ab", 1), (1, ("c", 0.5)), ())), Some(3));
    assert_eq!(cows_cache().get(("ab", &[1_u8][..])), Some(3));
    assert_eq!(as_ref_cache().get((Path::new("ab"), "c")), Some(3));
    assert_eq!(as_they_are_cache().len(), 1);
    assert_eq!(twelve_cache().get((1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1)), Some(12));
}
