//! Functions and types that `macro_rules!` makes: a `$t:ty` comes in an invisible group, and is seen through.
#![deny(warnings)]

use larder::{Weigh, cached, pooled};

macro_rules! lengths {
    ($($name:ident($arg:ident: $ty:ty) -> $ret:ty = $value:expr;)*) => {
        $(
            #[cached(max_entries = $value)]
            fn $name($arg: $ty) -> $ret {
                let _ = $arg;
                Default::default()
            }
        )*
    };
}

lengths! {
    of_text(text: &str) -> usize = 10;
    of_float(x: f64) -> f64 = 20;
    of_option(x: Option<&str>) -> u8 = 30;
    of_slice(x: &[u8]) -> Vec<u8> = 40;
    of_nothing(x: (u8, f32)) -> Option<u8> = 50;
}

macro_rules! behind_reference {
    ($name:ident, $ty:ty, $inner:ty) => {
        #[cached]
        fn $name(a: &$ty, b: Option<$inner>, c: Option<$inner>) -> usize {
            a.len() + usize::from(b.is_some()) + usize::from(c > Some(0.5))
        }
    };
}

behind_reference!(behind, str, f64);

macro_rules! whole {
    ($($(#[$attr:meta])* $vis:vis fn $name:ident($($pat:tt: $ty:ty),*) -> $ret:ty $body:block)*) => {
        $($(#[$attr])* #[cached] $vis fn $name($($pat: $ty),*) -> $ret $body)*
    };
}

whole! {
    /// With a body that comes in an invisible group.
    #[must_use]
    pub fn of_block((a, b): (u8, u8), n: Option<f32>) -> Result<u8, String> {
        if n.is_none() {
            return Err("none".to_owned());
        }
        Ok(a + b)
    }
}

macro_rules! hygienic {
    ($body:expr) => {
        #[cached]
        fn with_own_argument(argument: u32) -> u32 {
            argument + $body
        }
    };
}

hygienic!(40);

macro_rules! pool_of {
    ($name:ident, $max:literal, $field:ty, $reset:path) => {
        #[pooled(max = $max, reset = $reset)]
        #[derive(Default, Weigh)]
        struct $name {
            field: $field,
        }
    };
}

pool_of!(Buffer, 4, Vec<u8>, reset);

fn reset(buffer: &mut Buffer) {
    buffer.field.clear();
}

fn main() {
    assert_eq!((of_block((1, 2), Some(0.5)), of_block((1, 2), None)), (Ok(3), Err("none".to_owned())));
    assert_eq!(of_block_cache().get(((1, 2), Some(0.5))), Some(3));
    of_text("a");
    assert_eq!(of_text_cache().get("a"), Some(0));
    of_float(f64::NAN);
    assert_eq!(of_float_cache().get(f64::NAN), Some(0.0));
    of_option(Some("a"));
    assert_eq!(of_option_cache().get(Some("a")), Some(0));
    of_slice(&[1]);
    assert_eq!(of_slice_cache().get(&[1_u8][..]), Some(Vec::new()));
    assert_eq!(of_nothing((1, 0.5)), None);
    assert_eq!(of_nothing_cache().len(), 0);
    assert_eq!(behind("ab", Some(0.5), Some(0.75)), 4);
    assert_eq!(behind_cache().get(("ab", Some(0.5), Some(0.75))), Some(4));
    assert_eq!(with_own_argument(2), 42);
    Buffer::acquire().field.push(1);
    assert!(Buffer::acquire().field.is_empty());
}
