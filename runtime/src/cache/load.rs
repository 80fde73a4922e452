//! What happens on a miss: one caller computes, the others wait, and the value is stored if it may be.
//!
//! Threads and tasks go the same way, step by step: whose turn it is, what follows a wait, how a run ends. Only how a
//! body runs and how its caller waits differs. Bodies that an executor runs are in `detached`. The functions at the
//! end are what generated code calls; they ask for no bounds that the types' proofs do not bring.

use std::future::Future;
use std::ops::Deref;
use std::pin::pin;

use super::Cache;
use super::instance::{Core, Loaded, Source};
use crate::flight::{Flights, Joined, Lead, Patience, Waited, Waiter, Working};
use crate::key::{Fallible, Miss, Query, ValueProof, hash_of};
use crate::stats::Count;
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
    pub(crate) fn try_load<E>(&self, hash: u64, key: K, body: impl FnOnce() -> Result<V, E>) -> Result<V, E> {
        match self.begin(hash, key) {
            Ok(value) => Ok(value),
            Err(loading) => Ok(loading.end(body()?)),
        }
    }

    /// [`try_load`](Self::try_load) for a task: the body is polled in the leader's own future.
    pub(crate) async fn try_load_async<E>(
        &self,
        hash: u64,
        key: K,
        body: impl Future<Output = Result<V, E>>,
    ) -> Result<V, E> {
        if self.is_bypassed() {
            return body.await;
        }
        let mut body = pin!(body);
        let mut patience = None;
        let mut turn = self.turn(hash, key);
        loop {
            match turn {
                Turn::Found(value) => return Ok(value),
                Turn::Run(run) => {
                    let load = Load::start(&*self.tenant);
                    let poll = std::future::poll_fn(|context| {
                        let _working = run.working();
                        body.as_mut().poll(context)
                    });
                    let value = poll.await?;
                    return Ok(self.finish(hash, run, value, load.succeed()));
                }
                Turn::Wait(waiter, key) => {
                    let waited = waiter.wait_async(self.patience(&mut patience), self.ops.clone).await;
                    turn = self.after(hash, key, waited);
                }
            }
        }
    }

    /// Whose turn it is to compute a value that is missing.
    pub(super) fn turn(&self, hash: u64, mut key: K) -> Turn<'_, K, V> {
        if !self.ops.single_flight {
            return self.alone(hash, key);
        }
        loop {
            let is_stored = |key: &K| self.peek(hash, |stored| (self.ops.eq)(stored, key), |_| ()).is_some();
            match self.flights.join(hash, key, |a, b| (self.ops.eq)(a, b), is_stored) {
                Joined::Leader(lead) => return Turn::Run(Run::Lead(lead)),
                Joined::Waiter(waiter, key) => {
                    self.tenant.card.tally.add(Count::Waits, 1);
                    return Turn::Wait(waiter, key);
                }
                Joined::Stored(back) => {
                    match self.peek(hash, |stored| (self.ops.eq)(stored, &back), self.ops.clone) {
                        Some(value) => return Turn::Found(value),
                        // Gone again.
                        None => key = back,
                    }
                }
            }
        }
    }

    /// What follows a wait.
    pub(super) fn after(&self, hash: u64, key: K, waited: Waited<V>) -> Turn<'_, K, V> {
        match waited {
            Waited::Value(value) => Turn::Found(value),
            Waited::Cycle => self.alone(hash, key),
            Waited::Retry | Waited::Overdue => {
                // The leader may have stored a value that it could not hand to us.
                match self.peek(hash, |stored| (self.ops.eq)(stored, &key), self.ops.clone) {
                    Some(value) => Turn::Found(value),
                    None if matches!(waited, Waited::Overdue) => self.alone(hash, key),
                    None => self.turn(hash, key),
                }
            }
        }
    }

    /// How long one call waits for others, from its first wait on. Only a cache that bounds it reads the clock.
    pub(super) fn patience<'a>(&'a self, known: &mut Option<Patience<'a>>) -> Option<Patience<'a>> {
        let most = self.ops.wait_at_most()?;
        Some(*known.get_or_insert_with(|| Patience::starting_now(&self.tenant.core, most)))
    }

    /// What a caller does that computes for itself: nobody shares flights here, or waiting would not end in time.
    fn alone(&self, hash: u64, key: K) -> Turn<'_, K, V> {
        Turn::Run(Run::Alone(self.flights.alone(hash), key))
    }

    /// Stores what a body computed, if it may be, and hands it to whoever waits. An unstored value still goes to its
    /// callers.
    pub(super) fn finish(&self, hash: u64, run: Run<'_, K, V>, value: V, nanos: Nanos) -> V {
        match run {
            Run::Lead(mut lead) => {
                self.keep_led(hash, &mut lead, &value, nanos);
                lead.land(|| (self.ops.clone)(&value));
            }
            Run::Alone(lead, key) => self.keep(hash, key, &value, nanos, &lead),
        }
        value
    }

    /// Stores what a leader computed, if it may be; the flight goes on.
    pub(super) fn keep_led<F>(&self, hash: u64, lead: &mut Lead<K, V, F>, value: &V, nanos: Nanos)
    where
        F: Deref<Target = Flights<K, V>>,
    {
        // The flight is still pending, and what makes room for the value may ask for the same key when it is dropped.
        let _working = Working::on(lead.id());
        match lead.take_key() {
            Some(key) => self.keep(hash, key, value, nanos, lead),
            None => self.tenant.card.tally.add(Count::Rejections, 1),
        }
    }

    pub(super) fn keep<F>(&self, hash: u64, key: K, value: &V, nanos: Nanos, lead: &Lead<K, V, F>)
    where
        F: Deref<Target = Flights<K, V>>,
    {
        let cost = self.cost_of(&key, value, nanos);
        let loaded = Loaded {
            marks: lead.marks(),
            seen: lead.marks_seen(),
            look_for_mark: &|| lead.look_for_mark(),
            now: self.tenant.now(),
        };
        let _ = self.store_new(hash, key, (self.ops.clone)(value), cost, Source::Load(loaded), true);
    }

    pub(super) fn cost_of(&self, key: &K, value: &V, measured: Nanos) -> u8 {
        let nanos = match self.ops.cost() {
            Some(cost) => crate::time::nanos(cost(key, value)),
            None => measured,
        };
        self.tenant.costs.observe(nanos)
    }
}

/// Whose turn it is to compute.
pub(super) enum Turn<'a, K, V> {
    /// The caller's own.
    Run(Run<'a, K, V>),
    /// Another's, who may hand over a value.
    Wait(Waiter<V>, K),
    /// Nobody's: the value is here.
    Found(V),
}

/// A caller that computes.
pub(super) enum Run<'a, K, V> {
    /// For all who wait.
    Lead(Lead<K, V, &'a Flights<K, V>>),
    /// For itself.
    Alone(Lead<K, V, &'a Flights<K, V>>, K),
}

impl<K, V> Run<'_, K, V> {
    /// To be held while the body runs or is polled. Nobody waits for who computes alone, so no circle goes through it.
    pub(super) fn working(&self) -> Option<Working> {
        match self {
            Self::Lead(lead) => Some(Working::on(lead.id())),
            Self::Alone(..) => None,
        }
    }
}

/// A body at work. Dropped before it succeeded (an error, a panic, a cancelled task), it counts as a failure.
pub(super) struct Load<T: Deref<Target = super::CacheTenant>> {
    tenant: T,
    start: Nanos,
    failed: bool,
}

impl<T: Deref<Target = super::CacheTenant>> Load<T> {
    pub(super) fn start(tenant: T) -> Self {
        let start = tenant.core.now();
        Self { tenant, start, failed: true }
    }

    /// Counts the load; returns how long it took.
    pub(super) fn succeed(mut self) -> Nanos {
        let nanos = self.tenant.core.now().saturating_sub(self.start);
        self.tenant.card.tally.load(nanos);
        self.failed = false;
        nanos
    }

    /// The body goes on elsewhere, and is counted there.
    pub(super) fn move_on(mut self) {
        self.failed = false;
    }
}

impl<T: Deref<Target = super::CacheTenant>> Drop for Load<T> {
    fn drop(&mut self) {
        if self.failed {
            self.tenant.card.tally.add(Count::LoadFailures, 1);
        }
    }
}

pub(super) enum Never {}

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
        None => Err(Miss { hash, key: query.own(), forced: false }),
    }
}

/// Computes and stores a missing value.
pub(super) fn load<K, V>(cache: &Cache<K, V>, miss: Miss<K>, body: impl FnOnce() -> V) -> V {
    cache.here().load(miss.hash, miss.key, body)
}

/// Computes a missing value that may fail, and stores it if it is good.
pub(super) fn try_load<R, K>(cache: &Cache<K, R::Value>, miss: Miss<K>, body: impl FnOnce() -> R) -> R
where
    R: Fallible,
{
    match cache.here().try_load(miss.hash, miss.key, || body().split()) {
        Ok(value) => R::from_value(value),
        Err(rest) => rest,
    }
}

/// Computes and stores a missing value in a task. For generated code.
#[doc(hidden)]
pub async fn load_async<K, V>(cache: &Cache<K, V>, miss: Miss<K>, body: impl Future<Output = V>) -> V {
    let never = async { Ok::<V, Never>(body.await) };
    match cache.here().try_load_async(miss.hash, miss.key, never).await {
        Ok(value) => value,
        Err(never) => match never {},
    }
}

/// [`load_async`] for a body that may fail. For generated code.
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

/// [`load_async`] for a body that an executor runs. For generated code.
#[doc(hidden)]
pub async fn load_detached<K, V, F>(cache: &Cache<K, V>, miss: Miss<K>, body: F) -> V
where
    K: Send + Sync + 'static,
    V: Send + Sync + 'static,
    F: Future<Output = V> + Send + 'static,
{
    let never = async { Ok::<V, Never>(body.await) };
    match cache.shared().try_load_detached(miss.hash, miss.key, never).await {
        Ok(value) => value,
        Err(never) => match never {},
    }
}

/// [`try_load_async`] for a body that an executor runs. For generated code.
#[doc(hidden)]
pub async fn try_load_detached<R, K, F>(cache: &Cache<K, R::Value>, miss: Miss<K>, body: F) -> R
where
    R: Fallible + Send + 'static,
    K: Send + Sync + 'static,
    R::Value: Send + Sync + 'static,
    F: Future<Output = R> + Send + 'static,
{
    let split = async { body.await.split() };
    match cache.shared().try_load_detached(miss.hash, miss.key, split).await {
        Ok(value) => R::from_value(value),
        Err(rest) => rest,
    }
}
