//! Keys: what makes one, how a borrowed form finds it, and the proofs that carry the bounds of generated code.
//!
//! Everything is hashed with std's `Hash` of the borrowed form, so an argument on the hot path, a look-up through
//! a handle and the stored key agree by the contract of [`Borrow`](std::borrow::Borrow). Keys are compared in full, never by hash.
//!
//! Generated code asks for a bound in one place per type ([`weighed_key`], [`by_ref`], [`value`]); from there on the
//! operations travel in types that only those places can make. A missing `Hash` is so one error, at the type.
//!
//! Not here: where entries lie (store) and what they weigh (weight).

mod bits;
mod hasher;
mod lookup;
mod proof;
mod tuple;
mod unordered;
mod value;

use std::hash::Hash;

pub use bits::{Bits32, Bits64};
pub(crate) use hasher::Seeded;
pub use hasher::{KeyHasher, hash_of, hasher};
pub use lookup::Lookup;
pub use proof::{
    Borrowed, ByRef, ByVal, KeyOps, KeyProof, KeyShape, Keyed, Missing, OptionProof, Own, RefOps, Unkeyed,
    WeighedKey, WeighedSlice, by_ref, key, key_like, option_key, weighed_key, weighed_receiver,
    weighed_slice,
};
pub use unordered::{Pair, PairProof, Unordered, pair, pair_key};
pub use value::{
    Cloned, Copied, Fallible, PassedOn, Unvalued, ValueOps, ValueProof, ValueShape, Valued, WeighedBy,
    WeighedValue, copied, copied_slice, value,
};

/// What a cache's key has to be. Implemented by everything that can be.
#[diagnostic::on_unimplemented(
    message = "`{Self}` can't be part of a key",
    label = "this argument is part of the key",
    note = "a key argument needs `Clone + Hash + Eq + Send + Sync + 'static`: derive what is missing, or take an argument that has it, such as an id, a name, or a `BTreeMap` for a `HashMap`",
    note = "or leave it out of the key with `skip(..)`, or say what the key is with `key(..)`"
)]
pub trait CacheKey: Clone + Hash + Eq + Send + Sync + 'static {}

#[diagnostic::do_not_recommend]
impl<T: Clone + Hash + Eq + Send + Sync + 'static> CacheKey for T {}

/// What the object behind a cached method has to be, unless the attribute says otherwise: a [`CacheKey`], which is all
/// that it takes to be one.
#[diagnostic::on_unimplemented(
    message = "`{Self}` can't be part of the key of a `#[cached]` method",
    label = "what the method returns may depend on this, so it is part of the key",
    note = "derive `Clone, PartialEq, Eq, Hash` (it has to be `Send + Sync + 'static`, too), or choose: `skip(self)` if the result does not depend on it, `key(self.id: u64, ..)` for the parts that it depends on, `within = self.caches` for a cache in each object",
    note = "in a generic `impl` or in a trait, ask for `larder::CacheKey`"
)]
pub trait ReceiverKey: CacheKey {}

#[diagnostic::do_not_recommend]
impl<T: CacheKey> ReceiverKey for T {}

/// What a cached value has to be. Implemented by everything that can be.
#[diagnostic::on_unimplemented(
    message = "`{Self}` can't be returned from a `#[cached]` function",
    label = "this value is stored in the cache, and a clone of it is what each hit returns",
    note = "a cached value needs `Clone + Send + Sync + 'static`: derive `Clone`, or return `Arc<{Self}>`",
    note = "what stays on one thread can't be kept: `Arc` for `Rc`, `Mutex` for `RefCell`, `dyn Trait + Send + Sync` for `dyn Trait`"
)]
pub trait CacheValue: Clone + Send + Sync + 'static {}

#[diagnostic::do_not_recommend]
impl<T: Clone + Send + Sync + 'static> CacheValue for T {}

/// The arguments of a call, borrowed: hashed and compared as they are, owned only on a miss. Copied where it is to have an
/// address.
#[doc(hidden)]
pub trait Query: Copy {
    /// The key that is stored.
    type Key;
    /// Feeds the hasher what the key would.
    fn hash(&self, state: &mut KeyHasher);
    /// Whether this is the key.
    fn eq(&self, key: &Self::Key) -> bool;
    /// Makes the key.
    fn own(&self) -> Self::Key;
}

/// A query of several parts, which is handed on by its place.
impl<Q: Query> Query for &Q {
    type Key = Q::Key;

    #[cfg_attr(not(debug_assertions), inline(always))]
    fn hash(&self, state: &mut KeyHasher) {
        Q::hash(self, state);
    }

    #[cfg_attr(not(debug_assertions), inline(always))]
    fn eq(&self, key: &Self::Key) -> bool {
        Q::eq(self, key)
    }

    #[cfg_attr(not(debug_assertions), inline(always))]
    fn own(&self) -> Self::Key {
        Q::own(self)
    }
}

/// A query that found nothing: what is needed to load and store the value.
#[doc(hidden)]
#[derive(Debug)]
pub struct Miss<K> {
    /// The hash of the query.
    pub hash: u64,
    /// The owned key; made before the body runs, which may consume its arguments.
    pub key: K,
    /// Nobody looked: the body is to run whatever there is.
    pub forced: bool,
}
