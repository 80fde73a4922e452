//! Raw names: the handle and the tables drop the `r#`.
#![deny(warnings)]

use larder::{Weigh, cached, pooled};

#[cached]
fn r#type(r#in: &str, r#match: u8) -> usize {
    r#in.len() + usize::from(r#match)
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
    assert_eq!(r#struct::acquire().r#fn, "");
    let names: Vec<_> = larder::declared().map(|item| item.name).collect();
    assert!(names.iter().any(|name| name.ends_with("::type")), "{names:?}");
    assert!(names.iter().any(|name| name.ends_with("::struct")), "{names:?}");
}
