//! What stands above a function and its arguments keeps its meaning.
#![deny(warnings, missing_docs, unfulfilled_lint_expectations)]

use larder::cached;

/// Documented.
#[cached]
#[inline]
#[must_use = "computed with care"]
#[doc(alias = "other")]
pub fn documented(n: u8) -> u8 {
    n
}

#[doc(hidden)]
#[cached]
pub fn hidden(n: u8) -> u8 {
    n
}

/// Gone soon.
#[deprecated(note = "use `documented`")]
#[cached]
pub fn outdated(n: u8) -> u8 {
    if n == 0 { 0 } else { outdated(n - 1) }
}

#[cached]
#[cfg(any())]
fn absent(n: DoesNotExist) -> u8 {
    n
}

#[cached]
#[allow(unused_variables)]
fn unused(n: u8) -> u8 {
    1
}

#[cached]
#[expect(unused_variables)]
fn expected(n: u8) -> u8 {
    1
}

#[cached]
fn unused_argument(#[allow(unused_variables)] n: u8, #[expect(unused_variables)] m: u8) -> u8 {
    1
}

#[cached(max_entries = 10)]
fn with_cfg(a: u8, #[cfg(any())] b: DoesNotExist, #[cfg(all())] c: u8) -> u8 {
    #[cfg(any())]
    let a = a + b;
    #[cfg(all())]
    let a = a + c;
    a
}

#[expect(dead_code)]
#[cached]
fn never_called(n: u8) -> u8 {
    n
}

fn main() {
    assert_eq!(documented(1), 1);
    assert_eq!(hidden(1), 1);
    #[expect(deprecated)]
    let zero = outdated(3);
    assert_eq!(zero, 0);
    assert_eq!(outdated_cache().len(), 4);
    assert_eq!(unused(1) + expected(1) + unused_argument(1, 2), 3);
    assert_eq!(with_cfg(1, 2), 3);
    assert_eq!(with_cfg_cache().get((1, 2)), Some(3));
}
