//! Keys of several parts, and of none: as queries, as look-ups and as proofs.

use super::proof::sealed;
use super::{KeyHasher, KeyShape, Lookup, Query};

/// The key of a function without arguments.
impl Query for () {
    type Key = ();

    #[inline]
    fn hash(&self, _: &mut KeyHasher) {}

    #[inline]
    fn eq(&self, (): &()) -> bool {
        true
    }

    #[inline]
    fn own(&self) {}
}

impl Lookup<()> for () {
    #[inline]
    fn hash(&self, _: &mut KeyHasher) {}

    #[inline]
    fn eq(&self, (): &()) -> bool {
        true
    }
}

impl sealed::Sealed for () {}

impl KeyShape for () {
    type Key = ();

    #[inline]
    fn eq(&self, (): &(), (): &()) -> bool {
        true
    }

    #[inline]
    fn heap_bytes(&self, (): &()) -> u64 {
        0
    }

    #[inline]
    fn exact(&self) -> bool {
        true
    }
}

/// Tuples of parts: as queries, as look-ups and as proofs.
macro_rules! tuples {
    ($($part:ident $key:ident $idx:tt),*) => {
        impl<$($part: Query),*> Query for ($($part,)*) {
            type Key = ($($part::Key,)*);

            #[cfg_attr(not(debug_assertions), inline(always))]
            fn hash(&self, state: &mut KeyHasher) {
                $(self.$idx.hash(state);)*
            }

            #[cfg_attr(not(debug_assertions), inline(always))]
            fn eq(&self, key: &Self::Key) -> bool {
                true $(&& self.$idx.eq(&key.$idx))*
            }

            #[inline]
            fn own(&self) -> Self::Key {
                ($(self.$idx.own(),)*)
            }
        }

        impl<$($key,)* $($part: Lookup<$key>),*> Lookup<($($key,)*)> for ($($part,)*) {
            #[inline]
            fn hash(&self, state: &mut KeyHasher) {
                $(self.$idx.hash(state);)*
            }

            #[inline]
            fn eq(&self, key: &($($key,)*)) -> bool {
                true $(&& self.$idx.eq(&key.$idx))*
            }
        }

        impl<$($part: KeyShape),*> sealed::Sealed for ($($part,)*) {}

        impl<$($part: KeyShape),*> KeyShape for ($($part,)*) {
            type Key = ($($part::Key,)*);

            #[inline]
            fn eq(&self, a: &Self::Key, b: &Self::Key) -> bool {
                true $(&& self.$idx.eq(&a.$idx, &b.$idx))*
            }

            #[inline]
            fn heap_bytes(&self, key: &Self::Key) -> u64 {
                0 $(+ self.$idx.heap_bytes(&key.$idx))*
            }

            #[inline]
            fn exact(&self) -> bool {
                true $(&& self.$idx.exact())*
            }
        }
    };
}

tuples! { A KA 0 }
tuples! { A KA 0, B KB 1 }
tuples! { A KA 0, B KB 1, C KC 2 }
tuples! { A KA 0, B KB 1, C KC 2, D KD 3 }
tuples! { A KA 0, B KB 1, C KC 2, D KD 3, E KE 4 }
tuples! { A KA 0, B KB 1, C KC 2, D KD 3, E KE 4, F KF 5 }
tuples! { A KA 0, B KB 1, C KC 2, D KD 3, E KE 4, F KF 5, G KG 6 }
tuples! { A KA 0, B KB 1, C KC 2, D KD 3, E KE 4, F KF 5, G KG 6, H KH 7 }
tuples! { A KA 0, B KB 1, C KC 2, D KD 3, E KE 4, F KF 5, G KG 6, H KH 7, I KI 8 }
tuples! { A KA 0, B KB 1, C KC 2, D KD 3, E KE 4, F KF 5, G KG 6, H KH 7, I KI 8, J KJ 9 }
tuples! { A KA 0, B KB 1, C KC 2, D KD 3, E KE 4, F KF 5, G KG 6, H KH 7, I KI 8, J KJ 9, L KL 10 }
tuples! { A KA 0, B KB 1, C KC 2, D KD 3, E KE 4, F KF 5, G KG 6, H KH 7, I KI 8, J KJ 9, L KL 10, M KM 11 }
