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

#[cached(skip(b, c, d), refresh,)]
fn with_cfg_and_lists(a: u8, #[cfg(any())] b: DoesNotExist, #[cfg(all())] c: u8, #[cfg(any())] d: Neither) -> u8 {
    a
}

#[cached(key(a, b, c))]
fn with_cfg_and_key(a: u8, #[cfg(any())] b: DoesNotExist, #[cfg(all())] c: u8) -> u8 {
    a + c
}

struct Object(u8);

impl Object {
    #[cached(skip(self, log))]
    #[must_use]
    #[inline]
    fn with_cfg(&self, #[cfg(any())] log: DoesNotExist, #[cfg(not(any()))] n: u8) -> u8 {
        n + self.0
    }

    #[cached(skip(self), uncached)]
    #[expect(unused_variables, reason = "it is so")]
    fn expected(&self, n: u8) -> u8 {
        self.0
    }

    /// Gone soon.
    #[deprecated(note = "use another")]
    #[cached(skip(self))]
    fn outdated(&self, #[allow(unused_mut)] mut n: u8) -> u8 {
        n + self.0
    }
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
    assert_eq!((with_cfg_and_lists(1, 2), with_cfg_and_lists(1, 3), with_cfg_and_lists_cache().len()), (1, 1, 1));
    assert_eq!((with_cfg_and_key(1, 2), with_cfg_and_key_cache().get((1, 2))), (3, Some(3)));
    assert_eq!((Object(1).with_cfg(2), Object(1).expected(2)), (3, 1));
    #[expect(deprecated)]
    let three = Object(1).outdated(2);
    assert_eq!(three, 3);
    assert_eq!(with_cfg_cache().get((1, 2)), Some(3));
}
