//! What an instance is told of its types and its options: how to compare, clone and weigh, and what a user may say of
//! entries.
//!
//! What few caches have lies in boxes of its own, so that a cache without any of it stays small. Not here: what the
//! instance does with it.

use std::sync::Arc;
use std::time::Duration;

use super::instance::Core;
use super::listener::{Listener, OnRemove};
use super::{CostOf, EqOf, Instance, TtlOf, UtilityOf, WeightOf};
use crate::flight::Sharing;
use crate::policy::Factory;
#[cfg(feature = "tiers")]
use crate::tier::Tiers;
use crate::weight::weigh::allocation;

/// What an instance needs to know of its types and its options, away from the hot path.
pub(crate) struct Ops<K, V> {
    pub(crate) eq: EqOf<K>,
    pub(crate) clone: fn(&V) -> V,
    /// Heap bytes of key and value.
    pub(crate) heap: HeapOf<K, V>,
    /// Whether the callers of a missing value share its computation.
    pub(crate) single_flight: bool,
    /// Shows the instance to its tenant; only who knows the types can.
    pub(super) instance: InstanceOf<K, V>,
    /// Bytes of what the closures have in common with others.
    shared: u32,
    /// What few caches have.
    rare: Option<Box<Rare<K, V>>>,
}

/// How a key and a value are weighed.
pub(crate) enum HeapOf<K, V> {
    /// By their types, each by itself; `None` where no heap can be seen.
    Types(Option<fn(&K) -> u64>, Option<fn(&V) -> u64>),
    /// Together.
    Both(WeightOf<K, V>),
}

/// What a user may say of entries beside their weight, and of waiting for them.
struct Rare<K, V> {
    /// Replaces the measured cost.
    cost: Option<CostOf<K, V>>,
    /// Says how long an entry lives at the most, beside the tenant's own rules.
    ttl: Option<TtlOf<K, V>>,
    /// How long a caller waits for another's computation, in all.
    wait_at_most: Option<Duration>,
    /// What even fewer have.
    rarest: Option<Box<Rarest<K, V>>>,
}

/// What a user may say of who is evicted, and who hears of it.
struct Rarest<K, V> {
    /// Multiplies the cost.
    utility: Option<UtilityOf<K, V>>,
    /// Makes orders of the user's own.
    own: Option<Box<Factory>>,
    /// Hears of entries that leave.
    listener: Option<Box<Listener<K, V>>>,
    /// Where entries go on that made room.
    #[cfg(feature = "tiers")]
    tiers: Option<Box<Tiers<K, V>>>,
}

impl<K, V> Default for Rarest<K, V> {
    fn default() -> Self {
        Self {
            utility: None,
            own: None,
            listener: None,
            #[cfg(feature = "tiers")]
            tiers: None,
        }
    }
}

impl<K, V> Default for Rare<K, V> {
    fn default() -> Self {
        Self { cost: None, ttl: None, wait_at_most: None, rarest: None }
    }
}

impl<K, V> Ops<K, V> {
    pub(crate) fn new(
        eq: EqOf<K>,
        clone: fn(&V) -> V,
        heap: HeapOf<K, V>,
        instance: InstanceOf<K, V>,
    ) -> Self {
        Self { eq, clone, heap, single_flight: true, instance, shared: 0, rare: None }
    }

    /// With the way callers share a computation.
    pub(crate) fn sharing(mut self, sharing: Sharing) -> Self {
        self.single_flight = sharing.single_flight;
        if sharing.wait_at_most.is_some() {
            self.rare.get_or_insert_default().wait_at_most = sharing.wait_at_most;
        }
        self
    }

    /// With so many bytes that the closures have in common with others.
    pub(crate) fn having(mut self, bytes: u64) -> Self {
        self.shared = u32::try_from(bytes).unwrap_or(u32::MAX);
        self
    }

    /// With what a user says of each entry.
    pub(crate) fn with(mut self, cost: Option<CostOf<K, V>>, ttl: Option<TtlOf<K, V>>) -> Self {
        if cost.is_some() || ttl.is_some() {
            let rare = self.rare.get_or_insert_default();
            (rare.cost, rare.ttl) = (cost, ttl);
        }
        self
    }

    /// With what a user says of who is evicted.
    pub(crate) fn evicting(mut self, utility: Option<UtilityOf<K, V>>, own: Option<Box<Factory>>) -> Self {
        if utility.is_some() || own.is_some() {
            let rarest = self.rare.get_or_insert_default().rarest.get_or_insert_default();
            (rarest.utility, rarest.own) = (utility, own);
        }
        self
    }

    /// With who hears of entries that leave.
    pub(crate) fn telling(mut self, on_remove: Option<OnRemove<K, V>>) -> Self {
        if let Some(tell) = on_remove {
            let rarest = self.rare.get_or_insert_default().rarest.get_or_insert_default();
            rarest.listener = Some(Box::new(Listener::new(tell)));
        }
        self
    }

    /// With where entries go on that made room.
    #[cfg(feature = "tiers")]
    pub(crate) fn above(mut self, tiers: Option<Tiers<K, V>>) -> Self {
        if tiers.is_some() {
            self.rare.get_or_insert_default().rarest.get_or_insert_default().tiers = tiers.map(Box::new);
        }
        self
    }

    /// Where entries go on that made room.
    #[cfg(feature = "tiers")]
    pub(super) fn tiers(&self) -> Option<&Tiers<K, V>> {
        self.rarest()?.tiers.as_deref()
    }

    /// Whether somebody wants each entry that leaves.
    pub(super) fn wants_entries(&self) -> bool {
        #[cfg(feature = "tiers")]
        if self.tiers().is_some() {
            return true;
        }
        self.listener().is_some()
    }

    /// Whether a function of the user's says what each entry takes. What it says is given back only when nobody reads the
    /// entry any more, even if there is nothing to drop: so those that leave cannot wait until they are many.
    pub(super) fn weighs_them(&self) -> bool {
        matches!(self.heap, HeapOf::Both(_))
    }

    fn rarest(&self) -> Option<&Rarest<K, V>> {
        self.rare.as_ref()?.rarest.as_deref()
    }

    /// Hears of entries that leave.
    pub(super) fn listener(&self) -> Option<&Listener<K, V>> {
        self.rarest()?.listener.as_deref()
    }

    /// Makes orders of the user's own.
    pub(crate) fn own_order(&self) -> Option<&Factory> {
        self.rarest()?.own.as_deref()
    }

    /// What the user multiplies the cost with, as a byte of [`crate::cost`].
    pub(crate) fn factor(&self, key: &K, value: &V) -> i8 {
        let utility = self.rarest().and_then(|rarest| rarest.utility.as_ref());
        utility.map_or(0, |utility| crate::cost::encode_factor(utility(key, value)))
    }

    /// Heap bytes of key and value.
    pub(crate) fn heap(&self, key: &K, value: &V) -> u64 {
        match &self.heap {
            HeapOf::Types(of_key, of_value) => {
                of_key.map_or(0, |heap| heap(key)) + of_value.map_or(0, |heap| heap(value))
            }
            HeapOf::Both(heap) => heap(key, value),
        }
    }

    /// What a miss costs, where that is not measured.
    pub(crate) fn cost(&self) -> Option<&CostOf<K, V>> {
        self.rare.as_ref().and_then(|rare| rare.cost.as_ref())
    }

    /// How long a caller waits for another's computation, if that is bounded.
    pub(crate) fn wait_at_most(&self) -> Option<Duration> {
        self.rare.as_ref().and_then(|rare| rare.wait_at_most)
    }

    /// How long an entry lives at the most, beside the tenant's own rules.
    pub(super) fn ttl(&self) -> Option<&TtlOf<K, V>> {
        self.rare.as_ref().and_then(|rare| rare.ttl.as_ref())
    }

    /// Bytes that it takes beside its own size.
    pub(super) fn bytes(&self) -> u64 {
        let heap = match &self.heap {
            HeapOf::Types(..) => 0,
            HeapOf::Both(heap) => allocation(size_of_val(&**heap)),
        };
        let rare = self.rare.as_ref().map_or(0, |rare| {
            allocation(size_of_val(&**rare))
                + rare.cost.as_ref().map_or(0, |cost| allocation(size_of_val(&**cost)))
                + rare.ttl.as_ref().map_or(0, |ttl| allocation(size_of_val(&**ttl)))
                + rare.rarest.as_ref().map_or(0, |rarest| rarest.bytes())
        });
        allocation(size_of_val(&*self.eq)) + heap + rare + u64::from(self.shared)
    }
}

impl<K, V> Rarest<K, V> {
    /// Bytes that it takes with its functions.
    fn bytes(&self) -> u64 {
        #[cfg(feature = "tiers")]
        let tiers = self.tiers.as_ref().map_or(0, |tiers| allocation(size_of_val(&**tiers)));
        #[cfg(not(feature = "tiers"))]
        let tiers = 0;
        tiers
            + allocation(size_of_val(self))
            + self.utility.as_ref().map_or(0, |utility| allocation(size_of_val(&**utility)))
            + self.own.as_ref().map_or(0, |own| allocation(size_of_val(&**own)))
            + self.listener.as_ref().map_or(0, |listener| listener.bytes())
    }
}

/// Forgets the types of an instance.
pub(crate) type InstanceOf<K, V> = fn(Arc<Core<K, V>>) -> Arc<dyn Instance + Send + Sync>;
