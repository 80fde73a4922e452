//! Where functions stand, what stands above them, who made them, and what they return.
#![deny(warnings)]
#![expect(unreachable_pub, reason = "what `pub` does to an expansion is what is tried")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use larder::cached as remembered;
use larder::{CacheKey, cached};

#[remembered]
fn renamed(n: u8) -> u8 {
    n
}

#[cached]
fn cached(n: u8) -> u8 {
    n
}

mod inside {
    pub mod deeper {
        #[larder::cached()]
        pub(in crate::items) fn limited(n: u8) -> u8 {
            n
        }

        #[larder::cached]
        pub(super) fn above(n: u8) -> u8 {
            n
        }
    }

    pub fn both() -> u8 {
        deeper::limited(1) + deeper::above(2) + deeper::limited_cache().get(1).unwrap_or(0)
    }
}

#[test]
fn found_by_any_path() {
    assert_eq!((renamed(1), cached(1), inside::both()), (1, 1, 4));
}

#[test]
fn in_functions_and_constants() {
    #[derive(Clone, PartialEq, Eq, Hash)]
    enum Kind {
        A,
        B,
    }
    #[cached]
    fn even(n: u64, kind: Kind) -> bool {
        if n == 0 { true } else { odd(n - 1, kind) }
    }
    #[cached]
    fn odd(n: u64, kind: Kind) -> bool {
        if n == 0 { false } else { even(n - 1, kind) }
    }
    assert_eq!((even(10, Kind::A), odd(10, Kind::B)), (true, false));

    #[cached]
    fn outer(n: u8) -> u8 {
        #[cached]
        fn twice(n: u8) -> u8 {
            let inner = |n| {
                #[cached]
                fn inner(n: u8) -> u8 {
                    n + 1
                }
                inner(n)
            };
            inner(n)
        }
        struct Local;
        impl Local {
            #[cached(skip(self))]
            fn twice(&self, n: u8) -> u8 {
                n
            }
        }
        twice(n) + Local.twice(n)
    }
    assert_eq!(outer(2), 5);

    trait InConstant {
        fn more(&self, n: u8) -> u8;
    }
    const _: () = {
        impl InConstant for u8 {
            #[cached]
            fn more(&self, n: u8) -> u8 {
                self + n
            }
        }
    };
    assert_eq!((1.more(2), 2.more(2)), (3, 4));
}

/// Documented.
#[cfg_attr(all(), cached)]
#[cfg_attr(any(), track_caller)]
#[doc(hidden)]
#[deprecated]
#[must_use]
#[cold]
#[rustfmt::skip]
fn adorned(#[cfg_attr(any(), expect(unused))] n: u8) -> u8 { n }

#[cached]
fn with_inner_attribute(n: u8) -> u8 {
    #![expect(unused_variables, reason = "it is what is tried")]
    let unused = 1;
    n
}

#[test]
fn with_attributes() {
    #[expect(deprecated, reason = "it is what is tried")]
    let one = adorned(1);
    assert_eq!((one, with_inner_attribute(1)), (1, 1));
}

macro_rules! whole {
    ($(#[$meta:meta])* $vis:vis $name:ident<$lifetime:lifetime>($($arg:ident: $ty:ty = $expr:expr),*) -> $ret:ty
     where $bound:path; $body:block $lit:literal) => {
        $(#[$meta])*
        #[cached(max_entries = $lit, cost = "1ms")]
        $vis fn $name<$lifetime, T: $bound>($($arg: $ty,)* t: &$lifetime T) -> $ret {
            $(let _ = ($expr, &$arg);)*
            let _ = t;
            $body
        }
    };
}

whole! { #[inline] pub made<'x>(a: Option<&'x str> = 1, b: f32 = a) -> Result<u8, String> where CacheKey; { Ok(1) } 5 }

pub struct Answer(u8);

mod deep {
    pub type Result<T> = std::result::Result<T, String>;
    pub type Option<T> = std::option::Option<T>;
}

#[cached]
fn aliases(n: u8) -> deep::Option<(u8, deep::Result<u8>)> {
    n.checked_sub(1).map(|n| (n, Ok(n)))
}

#[cached(cache_none)]
fn whole_alias(n: u8) -> deep::Option<u8> {
    n.checked_sub(1)
}

#[test]
fn made_by_macros_and_behind_aliases() {
    assert_eq!((made(Some("a"), 0.5, &1_u8), made_cache::<u8>().len()), (Ok(1), 1));
    assert_eq!((aliases(1), aliases(0), aliases_cache().len()), (Some((0, Ok(0))), None, 1));
    assert_eq!((whole_alias(1), whole_alias(0), whole_alias_cache().len()), (Some(0), None, 2));
    assert_eq!(Answer(1).0, 1);
}

#[cached]
fn object(n: u8) -> Arc<dyn Fn(u8) -> u8 + Send + Sync> {
    Arc::new(move |x| x + n)
}

#[cached]
fn pointer(n: u8) -> fn(u8) -> u8 {
    if n > 0 { |x| x + 1 } else { |x| x }
}

#[cached]
fn passed_on(text: &str) -> Result<u8, &'_ str> {
    text.parse().map_err(|_| text)
}

#[cached]
fn of_unit(n: u8) -> Option<()> {
    (n > 0).then_some(())
}

enum Never {}

#[cached]
fn cannot_fail(n: u8) -> Result<u8, Never> {
    Ok(n)
}

#[cached]
fn control(n: u32) -> Option<u32> {
    'found: loop {
        for i in 0.. {
            if i == n {
                break 'found Some(i);
            }
            if i > 100 {
                return None;
            }
        }
    }
}

static RUNS: AtomicU32 = AtomicU32::new(0);

#[cached(once)]
fn of_each_type<T: std::fmt::Debug>(it: T) -> String {
    RUNS.fetch_add(1, Ordering::Relaxed);
    format!("{it:?}")
}

#[test]
fn what_is_returned() {
    assert_eq!((object(1)(1), object(2)(1), pointer(1)(1), pointer(0)(1)), (2, 3, 2, 1));
    assert_eq!((passed_on("1"), passed_on("x"), passed_on_cache().len()), (Ok(1), Err("x"), 1));
    assert_eq!((of_unit(1), of_unit(0), of_unit_cache().len()), (Some(()), None, 1));
    assert_eq!((cannot_fail(1).is_ok(), control(5), control(500)), (true, Some(5), None));
    let said = (of_each_type(1_u8), of_each_type(2_u8), of_each_type("a"));
    assert_eq!((said, RUNS.load(Ordering::Relaxed)), (("1".into(), "1".into(), "\"a\"".into()), 2));
}
