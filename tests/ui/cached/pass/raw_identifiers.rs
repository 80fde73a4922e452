//! Raw names: the handle and the tables drop the `r#`.
#![deny(warnings)]

use larder::{Weigh, cached, pooled};

#[cached]
fn r#type(r#in: &str, r#match: u8) -> usize {
    r#in.len() + usize::from(r#match)
}

#[cached(skip(r#dyn), force_if = r#dyn > 3, uncached, refresh, status)]
fn r#loop(r#in: &str, r#dyn: u8) -> usize {
    r#in.len() + usize::from(r#dyn)
}

struct r#Object {
    r#box: u8,
}

impl r#Object {
    /// A raw method.
    #[cached(key(self.r#box: u8, r#in), handle, status)]
    fn r#match(&self, r#in: &str) -> usize {
        usize::from(self.r#box) + r#in.len()
    }
}

#[pooled]
#[derive(Default, Weigh)]
#[allow(non_camel_case_types)]
struct r#struct {
    r#fn: String,
}

fn main() {
    assert_eq!(r#type("ab", 1), 3);
    assert_eq!(type_cache().get(("ab", 1)), Some(3));
    assert_eq!((r#loop("ab", 1), r#loop("ab", 2), r#loop("ab", 4), loop_refresh("ab", 1)), (3, 3, 6, 3));
    assert_eq!((loop_uncached("ab", 2), loop_with_status("ab", 2).0), (4, 3));
    assert_eq!((r#Object { r#box: 1 }).r#match("ab"), 3);
    assert!(r#Object::match_cache().contains((1, "ab")));
    assert_eq!((r#Object { r#box: 1 }).match_with_status("ab"), (3, larder::Status::Hit));
    assert_eq!(r#struct::acquire().r#fn, "");
    let names: Vec<_> = larder::declared().map(|item| item.name).collect();
    assert!(names.iter().any(|name| name.ends_with("::type")), "{names:?}");
    assert!(names.iter().any(|name| name.ends_with("::struct")), "{names:?}");
}
