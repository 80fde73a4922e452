//! Two values of which it does not matter which is which: the key, its look-up, its query and its proof.

use std::hash::{Hash, Hasher};

use super::proof::sealed;
use super::{KeyHasher, KeyShape, Lookup, Query, hash_of};
use crate::weight::Weigh;

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
#[derive(Clone, Copy, Debug)]
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
