//! Floats as keys: by their bits.

use std::fmt;
use std::hash::Hash;

use super::{KeyHasher, Lookup, Query};
use crate::weight::Weigh;

/// The floats, their bits, and the query and look-up forms of both.
macro_rules! bits {
    ($bits:ident $float:ident $word:ident $example:literal) => {
        #[doc = concat!("An `", stringify!($float), "` as a key: equal when the bits are.")]
        ///
        /// A NaN equals a NaN with the same bits, and `0.0` differs from `-0.0`: what a function returns may
        /// depend on either.
        ///
        /// ```
        #[doc = concat!("use larder_runtime::", stringify!($bits), ";")]
        ///
        #[doc = $example]
        /// ```
        #[derive(Clone, Copy, PartialEq, Eq, Hash)]
        pub struct $bits($word);

        impl $bits {
            /// The key of a float.
            #[inline]
            #[must_use]
            pub const fn new(float: $float) -> Self {
                Self(float.to_bits())
            }

            /// The float it was made of, to the bit.
            #[inline]
            #[must_use]
            pub const fn float(self) -> $float {
                $float::from_bits(self.0)
            }
        }

        impl From<$float> for $bits {
            #[inline]
            fn from(float: $float) -> Self {
                Self::new(float)
            }
        }

        impl From<$bits> for $float {
            #[inline]
            fn from(bits: $bits) -> Self {
                bits.float()
            }
        }

        impl fmt::Debug for $bits {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(&self.float(), f)
            }
        }

        impl fmt::Display for $bits {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.float(), f)
            }
        }

        impl Weigh for $bits {
            #[inline]
            fn heap_bytes(&self) -> u64 {
                0
            }
        }

        impl Lookup<$bits> for $float {
            #[inline]
            fn hash(&self, state: &mut KeyHasher) {
                Hash::hash(&$bits::new(*self), state);
            }

            #[inline]
            fn eq(&self, key: &$bits) -> bool {
                $bits::new(*self) == *key
            }
        }

        impl Query for $bits {
            type Key = Self;

            #[inline]
            fn hash(&self, state: &mut KeyHasher) {
                Hash::hash(self, state);
            }

            #[inline]
            fn eq(&self, key: &Self) -> bool {
                self == key
            }

            #[inline]
            fn own(&self) -> Self {
                *self
            }
        }
    };
}

bits! { Bits32 f32 u32 "assert_ne!(Bits32::new(0.0), Bits32::new(-0.0));" }
bits! { Bits64 f64 u64 "assert_eq!(Bits64::new(f64::NAN), Bits64::new(f64::NAN));" }
