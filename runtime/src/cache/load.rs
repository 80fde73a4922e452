//! What happens on a miss: one caller computes, the others wait, and the value is stored if it may be.
//!
//! Threads and tasks go the same way; the two loops differ only in how they run a body and how they wait.
//! The functions at the end are what generated code calls; they ask for no bounds.

use std::future::Future;
use std::pin::pin;

use super::Cache;
use super::instance::Core;
use crate::flight::{Joined, Lead, Waited, Waiter, Working};
use crate::key::{Fallible, Miss, Query, ValueProof, hash_of};
use crate::stats::Count;
use crate::store::{Freshness, Generation};
use crate::time::Nanos;

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
            match self.join(hash, key) {
                Turn::Lead(mut lead) => {
                    let generation = match self.take_off(hash, &mut lead) {
                        Ok(generation) => generation,
                        Err(value) => return self.hand_over(lead, value),
                    };
                    let load = Load::start(&self.tenant);
                    let result = {
                        let _working = Working::on(lead.id());
                        body()
                    };
                    let value = result?;
                    let nanos = load.succeed();
                    self.land(hash, &mut lead, generation, &value, nanos);
                    return self.hand_over(lead, value);
                }
                Turn::Wait(waiter, own) => {
                    key = own;
                    match self.waited(hash, &key, waiter.wait(self.ops.clone)) {
                        Next::Value(value) => return Ok(value),
                        Next::Join => {}
                        Next::Alone => {
                            let generation = self.store.generation(hash);
                            let load = Load::start(&self.tenant);
                            let value = body()?;
                            self.store_alone(hash, key, generation, &value, load.succeed());
                            return Ok(value);
                        }
                    }
                }
            }
        }
    }

    /// [`try_load`](Self::try_load) for a task: the body is polled in the leader's own future.
    pub(crate) async fn try_load_async<E>(
        &self,
        hash: u64,
        mut key: K,
        body: impl Future<Output = Result<V, E>>,
    ) -> Result<V, E> {
        if self.is_bypassed() {
            return body.await;
        }
        let mut body = pin!(body);
        loop {
            match self.join(hash, key) {
                Turn::Lead(mut lead) => {
                    let generation = match self.take_off(hash, &mut lead) {
                        Ok(generation) => generation,
                        Err(value) => return self.hand_over(lead, value),
                    };
                    let load = Load::start(&self.tenant);
                    let flight = lead.id();
                    let poll = std::future::poll_fn(|context| {
                        let _working = Working::on(flight);
                        body.as_mut().poll(context)
                    });
                    let value = poll.await?;
                    let nanos = load.succeed();
                    self.land(hash, &mut lead, generation, &value, nanos);
                    return self.hand_over(lead, value);
                }
                Turn::Wait(waiter, own) => {
                    key = own;
                    let waited = waiter.wait_async(self.ops.clone).await;
                    match self.waited(hash, &key, waited) {
                        Next::Value(value) => return Ok(value),
                        Next::Join => {}
                        Next::Alone => {
                            let generation = self.store.generation(hash);
                            let load = Load::start(&self.tenant);
                            let value = body.await?;
                            self.store_alone(hash, key, generation, &value, load.succeed());
                            return Ok(value);
                        }
                    }
                }
            }
        }
    }

    fn join(&self, hash: u64, key: K) -> Turn<'_, K, V> {
        match self.flights.join(hash, key, |a, b| (self.ops.eq)(a, b)) {
            Joined::Leader(lead) => Turn::Lead(lead),
            Joined::Waiter(waiter, key) => {
                self.tenant.card.tally.add(Count::Waits, 1);
                Turn::Wait(waiter, key)
            }
        }
    }

    /// What a leader does before it runs the body: notes how fresh its value will be, and looks once more.
    ///
    /// # Errors
    ///
    /// The value, if it came meanwhile.
    fn take_off(&self, hash: u64, lead: &mut Lead<'_, K, V>) -> Result<Generation, V> {
        // Taken before the second look: whoever invalidates after it makes our value stale.
        let generation = self.store.generation(hash);
        // Between our miss and our lead another leader may have landed.
        let same = |key: &K| self.peek(hash, |stored| (self.ops.eq)(stored, key), self.ops.clone);
        match lead.look(same) {
            Some(value) => Err(value),
            None => {
                lead.begin();
                Ok(generation)
            }
        }
    }

    /// Stores what a leader computed. An unstored value still goes to its callers.
    fn land(&self, hash: u64, lead: &mut Lead<'_, K, V>, generation: Generation, value: &V, nanos: Nanos) {
        let Some(key) = lead.take_key() else {
            self.tenant.card.tally.add(Count::Rejections, 1);
            return;
        };
        let cost = self.cost_of(&key, value, nanos);
        let superseded = Some(lead.superseded());
        let freshness = Freshness { generation, superseded, now: self.tenant.now() };
        let _ = self.store_new(hash, key, (self.ops.clone)(value), cost, Some(freshness), true);
    }

    /// Ends the flight: waiters get clones, the leader gets the value.
    fn hand_over<E>(&self, lead: Lead<'_, K, V>, value: V) -> Result<V, E> {
        lead.land(|| (self.ops.clone)(&value));
        Ok(value)
    }

    fn waited(&self, hash: u64, key: &K, waited: Waited<V>) -> Next<V> {
        match waited {
            Waited::Value(value) => Next::Value(value),
            Waited::Cycle => Next::Alone,
            Waited::Retry => {
                // The leader may have stored a value that it could not hand to us.
                let found = self.peek(hash, |stored| (self.ops.eq)(stored, key), self.ops.clone);
                found.map_or(Next::Join, Next::Value)
            }
        }
    }

    /// Stores what a caller computed outside any flight, because waiting would never have ended.
    #[cold]
    fn store_alone(&self, hash: u64, key: K, generation: Generation, value: &V, nanos: Nanos) {
        let cost = self.cost_of(&key, value, nanos);
        let freshness = Freshness { generation, superseded: None, now: self.tenant.now() };
        let _ = self.store_new(hash, key, (self.ops.clone)(value), cost, Some(freshness), true);
    }

    fn cost_of(&self, key: &K, value: &V, measured: Nanos) -> u8 {
        let nanos = match &self.ops.cost {
            Some(cost) => crate::time::nanos(cost(key, value)),
            None => measured,
        };
        self.tenant.costs.observe(nanos)
    }
}

/// Whose turn it is to compute.
enum Turn<'a, K, V> {
    Lead(Lead<'a, K, V>),
    Wait(Waiter<V>, K),
}

/// What follows a wait.
enum Next<V> {
    Value(V),
    Join,
    Alone,
}

/// A body at work. Dropped before it succeeded (an error, a panic, a cancelled task), it counts as a failure.
struct Load<'a> {
    tenant: &'a super::CacheTenant,
    start: Nanos,
}

impl<'a> Load<'a> {
    fn start(tenant: &'a super::CacheTenant) -> Self {
        Self { tenant, start: tenant.core.now() }
    }

    /// Counts the load; returns how long it took.
    fn succeed(self) -> Nanos {
        let nanos = self.tenant.core.now().saturating_sub(self.start);
        let tally = &self.tenant.card.tally;
        tally.add(Count::Loads, 1);
        tally.add(Count::LoadNanos, nanos);
        std::mem::forget(self);
        nanos
    }
}

impl Drop for Load<'_> {
    fn drop(&mut self) {
        self.tenant.card.tally.add(Count::LoadFailures, 1);
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
    cache.here().load(miss.hash, miss.key, body)
}

/// Computes a missing value that may fail, and stores it if it is good. For generated code.
#[doc(hidden)]
pub fn try_load<R, K>(cache: &Cache<K, R::Value>, miss: Miss<K>, body: impl FnOnce() -> R) -> R
where
    R: Fallible,
{
    match cache.here().try_load(miss.hash, miss.key, || body().split()) {
        Ok(value) => R::from_value(value),
        Err(rest) => rest,
    }
}

/// [`load`] for an `async fn`. For generated code.
#[doc(hidden)]
pub async fn load_async<K, V>(cache: &Cache<K, V>, miss: Miss<K>, body: impl Future<Output = V>) -> V {
    let never = async { Ok::<V, Never>(body.await) };
    match cache.here().try_load_async(miss.hash, miss.key, never).await {
        Ok(value) => value,
        Err(never) => match never {},
    }
}

/// [`try_load`] for an `async fn`. For generated code.
#[doc(hidden)]
pub async fn try_load_async<R, K>(
    cache: &Cache<K, R::Value>,
    miss: Miss<K>,
    body: impl Future<Output = R>,
) -> R
where
    R: Fallible,
{
    let split = async { body.await.split() };
    match cache.here().try_load_async(miss.hash, miss.key, split).await {
        Ok(value) => R::from_value(value),
        Err(rest) => rest,
    }
}
