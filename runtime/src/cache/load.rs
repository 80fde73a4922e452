//! What happens on a miss: one caller computes, the others wait, and the value is stored if it may be.
//!
//! The three functions at the end are what generated code calls; they ask for no bounds.

use super::Cache;
use super::instance::Core;
use crate::flight::{Joined, Lead, Waited, this_party};
use crate::key::{Fallible, Miss, Query, ValueProof, hash_of};
use crate::stats::Count;
use crate::store::Freshness;

impl<K, V> Core<K, V> {
    /// Computes and stores a missing value.
    pub(crate) fn load(&self, hash: u64, key: K, body: impl FnOnce() -> V) -> V {
        match self.try_load(hash, key, || Ok::<V, Never>(body())) {
            Ok(value) => value,
            Err(never) => match never {},
        }
    }

    /// Computes a missing value, and stores it if the body succeeds.
    #[inline(never)]
    pub(crate) fn try_load<E>(
        &self,
        hash: u64,
        mut key: K,
        body: impl FnOnce() -> Result<V, E>,
    ) -> Result<V, E> {
        if self.is_bypassed() {
            return body();
        }
        loop {
            let eq = |a: &K, b: &K| (self.ops.eq)(a, b);
            match self.flights.join(hash, key, this_party(), eq) {
                Joined::Leader(lead) => return self.lead(hash, lead, body),
                Joined::Waiter(waiter, own) => {
                    self.tenant.card.tally.add(Count::Waits, 1);
                    key = own;
                    match waiter.wait(self.ops.clone) {
                        Waited::Value(value) => return Ok(value),
                        Waited::Retry => {
                            // The leader may have stored a value that it could not hand to us.
                            let same = |stored: &K| (self.ops.eq)(stored, &key);
                            if let Some(value) = self.peek(hash, same, self.ops.clone) {
                                return Ok(value);
                            }
                        }
                        Waited::Cycle => return self.run_alone(hash, key, body),
                    }
                }
            }
        }
    }

    fn lead<E>(
        &self,
        hash: u64,
        mut lead: Lead<'_, K, V>,
        body: impl FnOnce() -> Result<V, E>,
    ) -> Result<V, E> {
        // Taken before the second look: whoever invalidates after it makes our value stale.
        let generation = self.store.generation(hash);
        // Between our miss and our lead another leader may have landed.
        let same = |key: &K| self.peek(hash, |stored| (self.ops.eq)(stored, key), self.ops.clone);
        if let Some(value) = lead.look(same) {
            lead.land(|| (self.ops.clone)(&value));
            return Ok(value);
        }
        lead.begin();
        let (value, cost) = self.measured(body)?;
        if let Some(key) = lead.take_key() {
            let cost = self.cost_of(&key, &value, cost);
            let superseded = lead.superseded();
            let now = self.tenant.now();
            let freshness = Freshness { generation, superseded: Some(superseded), now };
            // An unstored value still goes to its callers.
            let _ = self.store_new(hash, key, (self.ops.clone)(&value), cost, Some(freshness), true);
        } else {
            self.tenant.card.tally.add(Count::Rejections, 1);
        }
        lead.land(|| (self.ops.clone)(&value));
        Ok(value)
    }

    /// Runs the body outside any flight, because waiting would never end.
    #[cold]
    fn run_alone<E>(&self, hash: u64, key: K, body: impl FnOnce() -> Result<V, E>) -> Result<V, E> {
        let generation = self.store.generation(hash);
        let (value, cost) = self.measured(body)?;
        let cost = self.cost_of(&key, &value, cost);
        let now = self.tenant.now();
        let freshness = Freshness { generation, superseded: None, now };
        let _ = self.store_new(hash, key, (self.ops.clone)(&value), cost, Some(freshness), true);
        Ok(value)
    }

    /// Runs the body and notes how long it took, in nanoseconds.
    fn measured<E>(&self, body: impl FnOnce() -> Result<V, E>) -> Result<(V, u64), E> {
        let tally = &self.tenant.card.tally;
        let failure = CountFailure(&self.tenant);
        let start = self.tenant.core.now();
        let result = body();
        let nanos = self.tenant.core.now().saturating_sub(start);
        let value = result?;
        std::mem::forget(failure);
        tally.add(Count::Loads, 1);
        tally.add(Count::LoadNanos, nanos);
        Ok((value, nanos))
    }

    fn cost_of(&self, key: &K, value: &V, measured: u64) -> u8 {
        let nanos = match &self.ops.cost {
            Some(cost) => crate::time::nanos(cost(key, value)),
            None => measured,
        };
        self.tenant.costs.observe(nanos)
    }
}

/// Counts a failed load when dropped: on an error, and on a panic.
struct CountFailure<'a>(&'a super::CacheTenant);

impl Drop for CountFailure<'_> {
    fn drop(&mut self) {
        self.0.card.tally.add(Count::LoadFailures, 1);
    }
}

enum Never {}

/// The hit path of generated code: the value, or what a load needs.
///
/// # Errors
///
/// On a miss: the hash and the owned key, made here because the body may consume the arguments.
#[doc(hidden)]
#[inline]
pub fn probe<K, V, Q: Query<Key = K>>(
    cache: &Cache<K, V>,
    query: &Q,
    value: ValueProof<V>,
) -> Result<V, Miss<K>> {
    let hash = hash_of(|state| query.hash(state));
    match cache.core.get(hash, |stored| query.eq(stored), |found| value.clone_of(found)) {
        Some(found) => Ok(found),
        None => Err(Miss { hash, key: query.own() }),
    }
}

/// Computes and stores a missing value. For generated code.
#[doc(hidden)]
pub fn load<K, V>(cache: &Cache<K, V>, miss: Miss<K>, body: impl FnOnce() -> V) -> V {
    cache.core.load(miss.hash, miss.key, body)
}

/// Computes a missing value that may fail, and stores it if it is good. For generated code.
#[doc(hidden)]
pub fn try_load<R, K>(cache: &Cache<K, R::Value>, miss: Miss<K>, body: impl FnOnce() -> R) -> R
where
    R: Fallible,
{
    match cache.core.try_load(miss.hash, miss.key, || body().split()) {
        Ok(value) => R::from_value(value),
        Err(rest) => rest,
    }
}
