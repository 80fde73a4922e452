//! Functions in functions, in modules, of one name in many places: no two share a cache.
#![deny(warnings, missing_docs, unreachable_pub)]

use larder::cached;

#[cached]
fn answer(n: u8) -> u32 {
    u32::from(n)
}

mod inner {
    use super::*;

    #[cached]
    pub(super) fn answer(n: u8) -> u32 {
        100 + u32::from(n)
    }

    pub(super) fn through_the_glob(n: u8) -> u32 {
        answer(n)
    }
}

mod facade {
    mod answer {
        #[larder::cached]
        pub(in super::super) fn answer(n: u8) -> u32 {
            200 + u32::from(n)
        }
    }
    pub(super) use answer::answer;
}

fn outer(n: u8) -> u32 {
    #[derive(Clone, PartialEq, Eq, Hash)]
    struct Local(u8);

    #[cached]
    fn answer(local: Local) -> u32 {
        #[cached]
        fn answer(n: u8) -> u32 {
            300 + u32::from(n)
        }
        answer(local.0) + answer_cache().len() as u32
    }

    let sum = answer(Local(n));
    assert_eq!(answer_cache().get(&Local(n)), Some(sum));
    sum
}

const _: () = {
    #[cached]
    fn nameless(n: u8) -> u8 {
        n
    }
    let _ = nameless;
};

fn main() {
    for _ in 0..2 {
        assert_eq!(answer(1), 1);
        assert_eq!(inner::answer(1), 101);
        assert_eq!(inner::through_the_glob(1), 101);
        assert_eq!(facade::answer(1), 201);
        assert_eq!(outer(1), 302);
    }
    assert_eq!(answer_cache().get(1), Some(1));
    assert_eq!(inner::answer_cache().get(1), Some(101));
}
