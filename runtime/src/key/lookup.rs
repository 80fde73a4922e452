//! What finds an entry without owning its key: references, numbers, and options of them. Tuples are in `tuple`.

use std::borrow::Borrow;
use std::hash::Hash;
use std::mem;

use super::{Bits32, Bits64, KeyHasher};

/// What finds an entry without owning its key.
///
/// With keys of type `K`, any of these finds one:
/// - `&Q`, where `K: Borrow<Q>`: `&str` for `String`, `&Path` for `PathBuf`, `&K` for every `K`;
/// - a number, `bool` or `char` by value; an `f64` for [`Bits64`], an `f32` for [`Bits32`];
/// - a tuple of these for a tuple of keys, an `Option` of one for an `Option` of a key, `()` for `()`.
///
/// So a cache with keys `(String, u32)` is asked with `cache.get(("ab", 7))`, and builds no `String` for it.
///
/// Implementations must hash as the key does: `hash` feeds the hasher what `K`'s own `Hash` would.
#[diagnostic::on_unimplemented(
    message = "`{Self}` can't look up a key of type `{K}`",
    label = "neither the key nor a borrowed form of it",
    note = "pass a reference (`&key`, `\"text\"` for a `String`), a number by value, or a tuple of these for a tuple of keys"
)]
pub trait Lookup<K: ?Sized> {
    /// Feeds the hasher what the equal key would.
    fn hash(&self, state: &mut KeyHasher);
    /// Whether this is the key.
    fn eq(&self, key: &K) -> bool;
}

// Not recommended: what is wrong is the look-up, and not a `Borrow` that nobody should write.
#[diagnostic::do_not_recommend]
impl<K: ?Sized, Q> Lookup<K> for &Q
where
    K: Borrow<Q>,
    Q: Hash + Eq + ?Sized,
{
    #[inline]
    fn hash(&self, state: &mut KeyHasher) {
        Hash::hash(*self, state);
    }

    #[inline]
    fn eq(&self, key: &K) -> bool {
        *self == key.borrow()
    }
}

impl<K, L: Lookup<K>> Lookup<Option<K>> for Option<L> {
    #[inline]
    fn hash(&self, state: &mut KeyHasher) {
        mem::discriminant(self).hash(state);
        if let Some(part) = self {
            part.hash(state);
        }
    }

    #[inline]
    fn eq(&self, key: &Option<K>) -> bool {
        match (self, key) {
            (Some(part), Some(key)) => part.eq(key),
            (None, None) => true,
            _ => false,
        }
    }
}

macro_rules! lookup_by_value {
    ($($ty:ty)*) => { $(
        impl Lookup<$ty> for $ty {
            #[inline]
            fn hash(&self, state: &mut KeyHasher) {
                Hash::hash(self, state);
            }

            #[inline]
            fn eq(&self, key: &$ty) -> bool {
                self == key
            }
        }
    )* };
}

lookup_by_value! { bool char u8 u16 u32 u64 u128 usize i8 i16 i32 i64 i128 isize Bits32 Bits64 }
