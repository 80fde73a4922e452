//! Keys: what makes one, how a borrowed form finds it, and the proofs that carry the bounds of generated code.
//!
//! Everything is hashed with std's `Hash` of the borrowed form, so an argument on the hot path, a look-up through
//! a handle and the stored key agree by the contract of [`Borrow`]. Keys are compared in full, never by hash.
//!
//! Generated code asks for a bound in one place per type ([`key`], [`ref_key`], [`value`]); from there on the
//! operations travel as function pointers, which inlining removes. A missing `Hash` is so one error, at the type.
//!
//! Not here: where entries lie (store) and what they weigh (weight).

use std::borrow::Borrow;
use std::fmt;
use std::hash::{BuildHasher, Hash, Hasher, RandomState};
use std::mem;
use std::sync::OnceLock;

use foldhash::SharedSeed;
use foldhash::quality::FoldHasher;

use crate::weight::{Weigh, Weigher};

/// What a cache's key has to be. Implemented by everything that can be.
#[diagnostic::on_unimplemented(
    message = "`{Self}` can't be part of a key",
    label = "this argument is part of the key",
    note = "a key argument needs `Clone + Hash + Eq + Send + Sync + 'static`: derive what is missing, or take an argument that has it, such as an id or a name",
    note = "or leave it out of the key with `skip(..)`, or say what the key is with `key(..)`"
)]
pub trait CacheKey: Clone + Hash + Eq + Send + Sync + 'static {}

#[diagnostic::do_not_recommend]
impl<T: Clone + Hash + Eq + Send + Sync + 'static> CacheKey for T {}

/// What the object behind a cached method has to be, unless the attribute says otherwise.
#[doc(hidden)]
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
    note = "a cached value needs `Clone + Send + Sync + 'static`: derive `Clone`, or return `Arc<{Self}>`"
)]
pub trait CacheValue: Clone + Send + Sync + 'static {}

#[diagnostic::do_not_recommend]
impl<T: Clone + Send + Sync + 'static> CacheValue for T {}

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

/// The hasher of all keys, seeded once per process: keys can be hostile.
///
/// It mixes once more at its end. With a single multiplication there are seeds, one in a hundred, under which keys that
/// count up stay out of a shard for thousands of inserts.
#[derive(Clone)]
pub struct KeyHasher(FoldHasher<'static>);

impl fmt::Debug for KeyHasher {
    /// Without the state: it would give the seed away.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyHasher").finish_non_exhaustive()
    }
}

/// Forwards what the inner hasher has its own way for; `isize` and the like come down to these.
macro_rules! forward {
    ($($write:ident $int:ty),*) => { $(
        #[inline]
        fn $write(&mut self, int: $int) {
            self.0.$write(int);
        }
    )* };
}

impl Hasher for KeyHasher {
    #[inline]
    fn finish(&self) -> u64 {
        self.0.finish()
    }

    #[inline]
    fn write(&mut self, bytes: &[u8]) {
        self.0.write(bytes);
    }

    forward! { write_u8 u8, write_u16 u16, write_u32 u32, write_u64 u64, write_u128 u128, write_usize usize }
}

/// A fresh hasher with the seed of this process.
#[inline]
pub fn hasher() -> KeyHasher {
    struct Seed {
        start: u64,
        shared: SharedSeed,
    }
    static SEED: OnceLock<Seed> = OnceLock::new();
    let seed = SEED.get_or_init(|| {
        if cfg!(fuzzing) {
            // An input that fails must fail again.
            return Seed { start: 1, shared: SharedSeed::from_u64(2) };
        }
        // std's keys come from the system's randomness, which foldhash's own seeds do not.
        let random = RandomState::new();
        Seed { start: random.hash_one(0), shared: SharedSeed::from_u64(random.hash_one(1)) }
    });
    KeyHasher(FoldHasher::with_seed(seed.start, &seed.shared))
}

/// The hash of what `feed` puts into a fresh hasher.
#[inline]
pub fn hash_of(feed: impl FnOnce(&mut KeyHasher)) -> u64 {
    let mut state = hasher();
    feed(&mut state);
    state.finish()
}

/// The arguments of a call, borrowed: hashed and compared as they are, owned only on a miss.
#[doc(hidden)]
pub trait Query {
    /// The key that is stored.
    type Key;
    /// Feeds the hasher what the key would.
    fn hash(&self, state: &mut KeyHasher);
    /// Whether this is the key.
    fn eq(&self, key: &Self::Key) -> bool;
    /// Makes the key.
    fn own(&self) -> Self::Key;
}

/// The proofs of a key's parts, together: what a store needs of keys that it holds already.
///
/// Sealed: whoever holds one may rely on `Key` being all that [`CacheKey`] asks for. The bounds written here
/// are of the proofs, or speak of lifetimes only, which are checked after types are: no second error beside
/// [`key`]'s.
#[doc(hidden)]
pub trait KeyShape: sealed::Sealed + Send + Sync + 'static {
    /// The key that is stored.
    type Key: 'static;
    /// Whether two keys are equal.
    fn eq(&self, a: &Self::Key, b: &Self::Key) -> bool;
    /// Bytes that the key owns beyond its own size.
    fn heap_bytes(&self, key: &Self::Key) -> u64;
    /// Whether `heap_bytes` sees everything.
    fn exact(&self) -> bool;
}

mod sealed {
    /// Implemented by proofs, which only [`key`](super::key) can start.
    pub trait Sealed {}
}

/// Proof that `T` is a key, as the operations that a key has.
#[doc(hidden)]
#[derive(Debug)]
pub struct KeyProof<T: 'static> {
    /// A constant that each use sees through: one word to hand on, and not seven.
    ops: &'static KeyOps<T>,
    weigher: Weigher<T>,
}

#[derive(Debug)]
struct KeyOps<T> {
    hash: fn(&T, &mut KeyHasher),
    eq: fn(&T, &T) -> bool,
    own: fn(&T) -> T,
    hash_slice: fn(&[T], &mut KeyHasher),
    eq_slice: fn(&[T], &[T]) -> bool,
    own_slice: fn(&[T]) -> Vec<T>,
}

/// The only place that asks for [`CacheKey`].
#[doc(hidden)]
#[inline]
#[must_use]
pub const fn key<T: CacheKey>() -> KeyProof<T> {
    let ops = const {
        &KeyOps {
            hash: T::hash::<KeyHasher>,
            eq: T::eq,
            own: T::clone,
            hash_slice: <[T]>::hash::<KeyHasher>,
            eq_slice: <[T]>::eq,
            own_slice: <[T]>::to_vec,
        }
    };
    KeyProof { ops, weigher: Weigher::shallow() }
}

/// [`key`] for `self`; it asks for [`ReceiverKey`].
#[doc(hidden)]
#[inline]
#[must_use]
pub const fn receiver<T: ReceiverKey>() -> KeyProof<T> {
    key::<T>()
}

/// [`key`] for a value whose type has no name.
#[doc(hidden)]
#[inline]
#[must_use]
pub const fn key_like<T: CacheKey>(_: &T) -> KeyProof<T> {
    key::<T>()
}

impl<T> KeyProof<T> {
    /// This argument, as a part of a query.
    #[inline]
    #[must_use]
    pub fn of(self, place: &T) -> ByVal<'_, T> {
        ByVal { place, ops: self.ops }
    }

    /// The proof for slices of `T`, which are owned as vectors.
    #[inline]
    #[must_use]
    pub const fn slice(self) -> SliceProof<T> {
        SliceProof { ops: self.ops, weigher: Weigher::shallow() }
    }

    /// With a way to weigh what a key owns.
    #[inline]
    #[must_use]
    pub fn weighed(self, weigher: Weigher<T>) -> Self {
        Self { weigher, ..self }
    }
}

impl<T: 'static> sealed::Sealed for KeyProof<T> {}

impl<T: 'static> KeyShape for KeyProof<T> {
    type Key = T;

    #[inline]
    fn eq(&self, a: &T, b: &T) -> bool {
        (self.ops.eq)(a, b)
    }

    #[inline]
    fn heap_bytes(&self, key: &T) -> u64 {
        (self.weigher.heap)(key)
    }

    #[inline]
    fn exact(&self) -> bool {
        self.weigher.exact
    }
}

/// An argument that is hashed as it is and owned by a clone.
#[doc(hidden)]
#[derive(Debug)]
pub struct ByVal<'a, T: 'static> {
    place: &'a T,
    ops: &'static KeyOps<T>,
}

impl<T> Query for ByVal<'_, T> {
    type Key = T;

    #[inline]
    fn hash(&self, state: &mut KeyHasher) {
        (self.ops.hash)(self.place, state);
    }

    #[inline]
    fn eq(&self, key: &T) -> bool {
        (self.ops.eq)(self.place, key)
    }

    #[inline]
    fn own(&self) -> T {
        (self.ops.own)(self.place)
    }
}

/// Proof that slices of `T` are keys.
#[doc(hidden)]
#[derive(Debug)]
pub struct SliceProof<T: 'static> {
    ops: &'static KeyOps<T>,
    weigher: Weigher<Vec<T>>,
}

impl<T> SliceProof<T> {
    /// This argument, as a part of a query.
    #[inline]
    #[must_use]
    pub fn of(self, place: &[T]) -> BySlice<'_, T> {
        BySlice { place, ops: self.ops }
    }

    /// With a way to weigh what a key owns.
    #[inline]
    #[must_use]
    pub fn weighed(self, weigher: Weigher<Vec<T>>) -> Self {
        Self { weigher, ..self }
    }
}

impl<T: 'static> sealed::Sealed for SliceProof<T> {}

impl<T: 'static> KeyShape for SliceProof<T> {
    type Key = Vec<T>;

    #[inline]
    fn eq(&self, a: &Vec<T>, b: &Vec<T>) -> bool {
        (self.ops.eq_slice)(a, b)
    }

    #[inline]
    fn heap_bytes(&self, key: &Vec<T>) -> u64 {
        (self.weigher.heap)(key)
    }

    #[inline]
    fn exact(&self) -> bool {
        self.weigher.exact
    }
}

/// A slice that is owned as a vector.
#[doc(hidden)]
#[derive(Debug)]
pub struct BySlice<'a, T: 'static> {
    place: &'a [T],
    ops: &'static KeyOps<T>,
}

impl<T> Query for BySlice<'_, T> {
    type Key = Vec<T>;

    #[inline]
    fn hash(&self, state: &mut KeyHasher) {
        (self.ops.hash_slice)(self.place, state);
    }

    #[inline]
    fn eq(&self, key: &Vec<T>) -> bool {
        (self.ops.eq_slice)(self.place, key)
    }

    #[inline]
    fn own(&self) -> Vec<T> {
        (self.ops.own_slice)(self.place)
    }
}

/// Proof that the unsized `B` is the borrowed form of the key `O`.
#[doc(hidden)]
#[derive(Debug)]
pub struct RefProof<B: ?Sized, O> {
    hash: fn(&B, &mut KeyHasher),
    eq: fn(&B, &O) -> bool,
    own: fn(&B) -> O,
}

/// For `str`, `Path`, `OsStr`, `CStr`: owned as what `ToOwned` says.
#[doc(hidden)]
#[inline]
#[must_use]
pub const fn ref_key<B: ?Sized + ToOwned + Hash + Eq>() -> RefProof<B, B::Owned> {
    RefProof { hash: B::hash::<KeyHasher>, eq: |place, key| place == key.borrow(), own: B::to_owned }
}

impl<B: ?Sized, O> RefProof<B, O> {
    /// This argument, as a part of a query.
    #[inline]
    #[must_use]
    pub fn of(self, place: &B) -> ByRef<'_, B, O> {
        ByRef { place, proof: self }
    }
}

/// An argument that is hashed as it is and owned as another type.
#[doc(hidden)]
#[derive(Debug)]
pub struct ByRef<'a, B: ?Sized, O> {
    place: &'a B,
    proof: RefProof<B, O>,
}

impl<B: ?Sized, O> Query for ByRef<'_, B, O> {
    type Key = O;

    #[inline]
    fn hash(&self, state: &mut KeyHasher) {
        (self.proof.hash)(self.place, state);
    }

    #[inline]
    fn eq(&self, key: &O) -> bool {
        (self.proof.eq)(self.place, key)
    }

    #[inline]
    fn own(&self) -> O {
        (self.proof.own)(self.place)
    }
}

impl<Q: Query> Query for Option<Q> {
    type Key = Option<Q::Key>;

    #[inline]
    fn hash(&self, state: &mut KeyHasher) {
        mem::discriminant(self).hash(state);
        if let Some(part) = self {
            part.hash(state);
        }
    }

    #[inline]
    fn eq(&self, key: &Self::Key) -> bool {
        match (self, key) {
            (Some(part), Some(key)) => part.eq(key),
            (None, None) => true,
            _ => false,
        }
    }

    #[inline]
    fn own(&self) -> Self::Key {
        self.as_ref().map(Q::own)
    }
}

/// Proof that an `Option` of a key is one.
#[doc(hidden)]
#[derive(Debug)]
pub struct OptionProof<P>(P);

/// The proof of an optional argument, from that of what it holds.
#[doc(hidden)]
#[inline]
#[must_use]
pub const fn option_key<P: KeyShape>(part: P) -> OptionProof<P> {
    OptionProof(part)
}

impl<P: KeyShape> sealed::Sealed for OptionProof<P> {}

impl<P: KeyShape> KeyShape for OptionProof<P> {
    type Key = Option<P::Key>;

    #[inline]
    fn eq(&self, a: &Self::Key, b: &Self::Key) -> bool {
        match (a, b) {
            (Some(a), Some(b)) => self.0.eq(a, b),
            (None, None) => true,
            _ => false,
        }
    }

    #[inline]
    fn heap_bytes(&self, key: &Self::Key) -> u64 {
        key.as_ref().map_or(0, |part| self.0.heap_bytes(part))
    }

    #[inline]
    fn exact(&self) -> bool {
        self.0.exact()
    }
}

/// Two values of which it does not matter which is which: `Unordered(a, b)` equals `Unordered(b, a)`.
///
/// What `#[cached(commutative(a, b))]` has in its key. A look-up takes the borrowed forms in either order:
///
/// ```
/// use larder_runtime::{Cache, Domain, Unordered};
///
/// let domain = Domain::builder().limit_bytes(1 << 20).manual().build();
/// let likeness = Cache::<Unordered<String>, u8>::builder("likeness").build_in(&domain)?;
/// likeness.insert(Unordered("cat".to_owned(), "dog".to_owned()), 40);
/// assert_eq!(likeness.get(Unordered("dog", "cat")), Some(40));
/// # Ok::<(), larder_runtime::BuildError>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Unordered<T>(pub T, pub T);

impl<T: PartialEq> PartialEq for Unordered<T> {
    fn eq(&self, other: &Self) -> bool {
        (self.0 == other.0 && self.1 == other.1) || (self.0 == other.1 && self.1 == other.0)
    }
}

impl<T: Eq> Eq for Unordered<T> {}

impl<T: Hash> Hash for Unordered<T> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let of = |part: &T| hash_of(|state| part.hash(state));
        state.write_u64(of(&self.0).wrapping_add(of(&self.1)));
    }
}

impl<T: Weigh> Weigh for Unordered<T> {
    fn heap_bytes(&self) -> u64 {
        self.0.heap_bytes() + self.1.heap_bytes()
    }
}

/// Whether two pairs are equal in one order or the other.
fn either_way<A, B>(a: [&A; 2], b: [&B; 2], eq: impl Fn(&A, &B) -> bool) -> bool {
    (eq(a[0], b[0]) && eq(a[1], b[1])) || (eq(a[0], b[1]) && eq(a[1], b[0]))
}

impl<K, L: Lookup<K>> Lookup<Unordered<K>> for Unordered<L> {
    #[inline]
    fn hash(&self, state: &mut KeyHasher) {
        let of = |part: &L| hash_of(|state| part.hash(state));
        state.write_u64(of(&self.0).wrapping_add(of(&self.1)));
    }

    #[inline]
    fn eq(&self, key: &Unordered<K>) -> bool {
        either_way([&self.0, &self.1], [&key.0, &key.1], L::eq)
    }
}

/// Two parts of a query in any order.
#[doc(hidden)]
#[derive(Debug)]
pub struct Pair<Q>(Q, Q);

/// The query of a pair of arguments.
#[doc(hidden)]
#[inline]
#[must_use]
pub const fn pair<Q: Query>(a: Q, b: Q) -> Pair<Q> {
    Pair(a, b)
}

impl<Q: Query> Query for Pair<Q> {
    type Key = Unordered<Q::Key>;

    #[inline]
    fn hash(&self, state: &mut KeyHasher) {
        let of = |part: &Q| hash_of(|state| part.hash(state));
        state.write_u64(of(&self.0).wrapping_add(of(&self.1)));
    }

    #[inline]
    fn eq(&self, key: &Self::Key) -> bool {
        either_way([&self.0, &self.1], [&key.0, &key.1], Q::eq)
    }

    #[inline]
    fn own(&self) -> Self::Key {
        Unordered(self.0.own(), self.1.own())
    }
}

/// Proof that a pair of keys in any order is one.
#[doc(hidden)]
#[derive(Debug)]
pub struct PairProof<P>(P);

/// The proof of a pair of arguments, from that of one.
#[doc(hidden)]
#[inline]
#[must_use]
pub const fn pair_key<P: KeyShape>(part: P) -> PairProof<P> {
    PairProof(part)
}

impl<P: KeyShape> sealed::Sealed for PairProof<P> {}

impl<P: KeyShape> KeyShape for PairProof<P> {
    type Key = Unordered<P::Key>;

    #[inline]
    fn eq(&self, a: &Self::Key, b: &Self::Key) -> bool {
        either_way([&a.0, &a.1], [&b.0, &b.1], |a, b| self.0.eq(a, b))
    }

    #[inline]
    fn heap_bytes(&self, key: &Self::Key) -> u64 {
        self.0.heap_bytes(&key.0) + self.0.heap_bytes(&key.1)
    }

    #[inline]
    fn exact(&self) -> bool {
        self.0.exact()
    }
}

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

            #[inline]
            fn hash(&self, state: &mut KeyHasher) {
                $(self.$idx.hash(state);)*
            }

            #[inline]
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

/// Proof that `V` is a cached value, as the operations that a value has.
#[doc(hidden)]
#[derive(Debug)]
pub struct ValueProof<V> {
    clone: fn(&V) -> V,
    weight: Weight<V>,
}

/// How the heap bytes of a value are found.
#[derive(Debug)]
enum Weight<V> {
    /// It says so itself, or is known to own nothing, or cannot be seen into (`exact` is false).
    Heap(Weigher<V>),
    /// The user's weigher gives all bytes, the value's own size included.
    Total(fn(&V) -> u64),
}

/// The only place that asks for [`CacheValue`].
#[doc(hidden)]
#[inline]
#[must_use]
pub const fn value<V: CacheValue>() -> ValueProof<V> {
    ValueProof { clone: V::clone, weight: Weight::Heap(Weigher::shallow()) }
}

impl<V> ValueProof<V> {
    /// With a way to weigh what a value owns.
    #[inline]
    #[must_use]
    pub fn weighed(self, weigher: Weigher<V>) -> Self {
        Self { weight: Weight::Heap(weigher), ..self }
    }

    /// With the user's weigher, which gives all bytes of a value, its own size included.
    #[inline]
    #[must_use]
    pub fn weigh_with(self, total: fn(&V) -> u64) -> Self {
        Self { weight: Weight::Total(total), ..self }
    }

    /// What a hit returns.
    #[inline]
    #[must_use]
    pub fn clone_of(&self, value: &V) -> V {
        (self.clone)(value)
    }

    /// [`clone_of`](Self::clone_of) without the proof, for where only that is needed.
    #[inline]
    #[must_use]
    pub const fn clone_fn(&self) -> fn(&V) -> V {
        self.clone
    }

    /// Bytes that the value owns beyond its own size.
    #[inline]
    #[must_use]
    pub fn heap_bytes(&self, value: &V) -> u64 {
        match &self.weight {
            Weight::Heap(weigher) => (weigher.heap)(value),
            Weight::Total(total) => total(value).saturating_sub(mem::size_of::<V>() as u64),
        }
    }

    /// Whether `heap_bytes` sees everything.
    #[inline]
    #[must_use]
    pub const fn exact(&self) -> bool {
        match &self.weight {
            Weight::Heap(weigher) => weigher.exact,
            Weight::Total(_) => true,
        }
    }
}

/// What a `#[cached]` function returns when only its success is stored.
#[doc(hidden)]
#[diagnostic::on_unimplemented(
    message = "`{Self}` looks like a `Result` or an `Option`, and is neither",
    label = "`#[cached]` stores what a `Result` or an `Option` holds, and tells them by name",
    note = "give this type another name, or return it behind an alias that is not called `Result` or `Option`"
)]
pub trait Fallible: Sized {
    /// What is stored.
    type Value;
    /// The value to store.
    ///
    /// # Errors
    ///
    /// All that is not stored, as it came.
    fn split(self) -> Result<Self::Value, Self>;
    /// What a hit returns.
    fn from_value(value: Self::Value) -> Self;
}

impl<T, E> Fallible for Result<T, E> {
    type Value = T;

    #[inline]
    fn split(self) -> Result<T, Self> {
        match self {
            Ok(value) => Ok(value),
            Err(error) => Err(Err(error)),
        }
    }

    #[inline]
    fn from_value(value: T) -> Self {
        Ok(value)
    }
}

impl<T> Fallible for Option<T> {
    type Value = T;

    #[inline]
    fn split(self) -> Result<T, Self> {
        self.ok_or(None)
    }

    #[inline]
    fn from_value(value: T) -> Self {
        Some(value)
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

#[cfg(all(test, not(larder_shuttle)))]
mod tests {
    use std::hash::Hasher;

    use foldhash::SharedSeed;

    use super::FoldHasher;

    /// With some seeds they were not: whole shards went without an insert for thousands of keys.
    #[test]
    fn keys_that_count_up_are_spread_evenly_under_every_seed() {
        for seed in 0..300_u64 {
            let shared = SharedSeed::from_u64(seed.wrapping_mul(0xD1B5_4A32_D192_ED03));
            let start = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15);
            // Bits that choose a shard, a segment and a bucket.
            for shift in [40, 29, 8] {
                let (mut counts, mut last) = ([0_u32; 8], [0_u64; 8]);
                for key in 0..4096_u64 {
                    let mut hasher = FoldHasher::with_seed(start, &shared);
                    hasher.write_u64(key);
                    let part = (hasher.finish() >> shift) as usize % 8;
                    assert!(
                        key - last[part] < 300,
                        "bits {shift}: none in {part} from {} to {key}",
                        last[part]
                    );
                    counts[part] += 1;
                    last[part] = key;
                }
                assert!(counts.iter().all(|count| (350..700).contains(count)), "bits {shift}: {counts:?}");
            }
        }
    }
}
