//! What few items have: functions of the user's that are asked of entries.

use std::time::Duration;

use crate::key::KeyShape;
use crate::policy::Evict;
use crate::removal::RemovalCause;
#[cfg(feature = "tiers")]
use crate::tier::Tiers;

/// The functions of an item that few items have. For generated code.
#[doc(hidden)]
#[expect(missing_debug_implementations, reason = "nobody holds one")]
pub struct Extras<K, V> {
    /// What a miss costs, where that is not measured.
    pub cost: Option<fn(&K, &V) -> Duration>,
    /// How long a value lives, by its key and itself.
    pub ttl_by: Option<fn(&K, &V) -> Duration>,
    /// How much more than its cost it is worth.
    pub utility: Option<fn(&K, &V) -> f64>,
    /// Makes an order of eviction.
    pub order: Option<fn() -> Box<dyn Evict>>,
    /// Hears of entries that leave.
    pub on_remove: Option<fn(K, V, RemovalCause)>,
    /// Makes the tiers below.
    #[cfg(feature = "tiers")]
    pub tiers: Option<fn() -> Tiers<K, V>>,
}

impl<K, V> Extras<K, V> {
    /// None of them.
    pub const NONE: Self = Self {
        cost: None,
        ttl_by: None,
        utility: None,
        order: None,
        on_remove: None,
        #[cfg(feature = "tiers")]
        tiers: None,
    };
}

/// [`Extras`] of a cache with these keys: says the types that closures among them take. For generated code.
#[doc(hidden)]
pub fn extras<P: KeyShape, V>(_: &P, extras: Extras<P::Key, V>) -> Extras<P::Key, V> {
    extras
}

/// [`Extras`], or `()` where there are none. For generated code.
#[doc(hidden)]
pub trait MaybeExtras<K, V> {
    /// Whether there is any. What takes them is not compiled where not.
    const ANY: bool;

    /// What there is.
    fn extras(self) -> Extras<K, V>;
}

impl<K, V> MaybeExtras<K, V> for () {
    const ANY: bool = false;

    fn extras(self) -> Extras<K, V> {
        Extras::NONE
    }
}

impl<K, V> MaybeExtras<K, V> for Extras<K, V> {
    const ANY: bool = true;

    fn extras(self) -> Self {
        self
    }
}

/// Forgets the type of an order. For generated code.
#[doc(hidden)]
pub fn order<E: Evict>(order: E) -> Box<dyn Evict> {
    Box::new(order)
}
