//! What happens on a miss: one caller computes, the others wait, and the value is stored if it may be.
//!
//! Threads and tasks go the same way, step by step: whose turn it is, what follows a wait, how a run ends. Only how a
//! body runs and how its caller waits differs, which is in `loading`; bodies that an executor runs are in `detached`.

use std::future::Future;
use std::ops::Deref;
use std::pin::pin;

use super::Cache;
use super::instance::{Core, Loaded, Source};
use crate::cost::Measure;
use crate::flight::{Flights, Joined, Lead, Patience, Waited, Waiter, Working};
use crate::key::{Miss, Query, ValueOps};
use crate::stats::Count;
use crate::time::{NEVER, Nanos};

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
        match self.begin_async(hash, key).await {
            Ok(value) => Ok(value),
            Err(mut loading) => {
                let value = loading.polled(pin!(body)).await?;
                Ok(loading.end(value))
            }
        }
    }

    /// Whose turn it is to compute a value that is missing.
    pub(super) fn turn(&self, hash: u64, mut key: K) -> Turn<'_, K, V> {
        if !self.ops.single_flight {
            return self.alone(hash, key);
        }
        loop {
            let is_stored = |key: &K| self.see(hash, key, &mut |_| ());
            match self.flights.join(hash, key, |a, b| (self.ops.eq)(a, b), is_stored) {
                Joined::Leader(lead) => return self.raise(hash, Run::Lead(lead)),
                Joined::Waiter(waiter, key) => {
                    self.tenant.card.tally.add(Count::Waits, 1);
                    return Turn::Wait(waiter, key);
                }
                Joined::Stored(back) => {
                    match self.stored(hash, &back) {
                        Some(value) => return Turn::Found(value),
                        // Gone again.
                        None => key = back,
                    }
                }
            }
        }
    }

    /// What a caller finds who looks once more.
    fn stored(&self, hash: u64, key: &K) -> Option<V> {
        let mut found = None;
        self.see(hash, key, &mut |value| found = Some((self.ops.clone)(value)));
        found
    }

    /// Shows `take` the value of this key, if there is one. Who looks once more has time: what is looked with is compiled once.
    fn see(&self, hash: u64, key: &K, take: &mut dyn FnMut(&V)) -> bool {
        self.peek(hash, |stored| (self.ops.eq)(stored, key), take).is_some()
    }

    /// What follows a wait.
    pub(super) fn after(&self, hash: u64, key: K, waited: Waited<V>) -> Turn<'_, K, V> {
        match waited {
            Waited::Value(value) => Turn::Found(value),
            Waited::Cycle => self.alone(hash, key),
            Waited::Retry | Waited::Overdue => {
                // The leader may have stored a value that it could not hand to us.
                match self.stored(hash, &key) {
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
        self.raise(hash, Run::Alone(self.flights.alone(hash), key, Self::keep))
    }

    /// Stores what a body computed, if it may be, and hands it to whoever waits. An unstored value still goes to its
    /// callers.
    pub(super) fn finish(&self, hash: u64, run: Run<'_, K, V>, value: V, nanos: Nanos) -> V {
        match run {
            Run::Lead(mut lead) => {
                self.keep_led(hash, &mut lead, &value, nanos);
                lead.land(|| (self.ops.clone)(&value));
            }
            Run::Alone(lead, key, keep) => keep(self, hash, key, &value, nanos, &lead),
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

    /// Stores what was computed, unless something newer is there.
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
    /// For itself. Last comes how it stores its value.
    Alone(Lead<K, V, &'a Flights<K, V>>, K, Keep<'a, K, V>),
}

/// A way to store a value by its hash, its key, what it took, and whoever computed it. A function, so that those few who
/// compute what is there already are not compiled for all.
pub(super) type Keep<'a, K, V> = fn(&Core<K, V>, u64, K, &V, Nanos, &Lead<K, V, &'a Flights<K, V>>);

impl<K, V> Run<'_, K, V> {
    /// Whether it computes this key.
    #[cfg(feature = "tiers")]
    pub(super) fn is_of(&self, is: impl FnOnce(&K) -> bool) -> bool {
        match self {
            Self::Lead(lead) => lead.is_of(is),
            Self::Alone(_, key, _) => is(key),
        }
    }

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
    /// When it began; `NEVER` once it is counted.
    start: Nanos,
    /// The processor time that it took, on whichever threads it ran; `NEVER` where its cost is the time that passes.
    computed: Nanos,
    /// What its thread had computed when it went to work there; `NEVER` while it rests.
    since: Nanos,
}

impl<T: Deref<Target = super::CacheTenant>> Load<T> {
    pub(super) fn start(tenant: T) -> Self {
        let start = tenant.core.now();
        let computed = match tenant.measure {
            Measure::Elapsed => NEVER,
            Measure::Computed => 0,
        };
        Self { tenant, start, computed, since: NEVER }
    }

    /// The body runs from here on, on this thread.
    #[inline]
    pub(super) fn resume(&mut self) {
        if self.computed != NEVER {
            match self.tenant.core.clock.computed() {
                Some(since) => self.since = since,
                // Nobody tells: the time that passes has to do.
                None => self.computed = NEVER,
            }
        }
    }

    /// The body rests.
    #[inline]
    pub(super) fn pause(&mut self) {
        if self.since != NEVER {
            let now = self.tenant.core.clock.computed().unwrap_or(self.since);
            self.computed += now.saturating_sub(self.since);
            self.since = NEVER;
        }
    }

    /// Counts the load; returns what it cost.
    pub(super) fn succeed(mut self) -> Nanos {
        self.pause();
        let nanos = self.tenant.core.now().saturating_sub(self.start);
        self.tenant.card.tally.load(nanos);
        self.start = NEVER;
        if self.computed == NEVER { nanos } else { self.computed }
    }

    /// The body goes on elsewhere, and is counted there.
    pub(super) fn move_on(mut self) {
        self.start = NEVER;
    }
}

impl<T: Deref<Target = super::CacheTenant>> Drop for Load<T> {
    fn drop(&mut self) {
        if self.start != NEVER {
            self.tenant.card.tally.add(Count::LoadFailures, 1);
        }
    }
}

pub(super) enum Never {}

/// The hit path of generated code; a call, and not a part of each function. It is compiled once for all functions of a
/// crate whose arguments and values have these types, with the operations of those in place.
#[doc(hidden)]
#[cfg_attr(not(debug_assertions), inline(never))]
#[must_use]
pub fn look<K, V, Q: Query<Key = K>, O: ValueOps<V>>(cache: &Cache<K, V>, query: Q, _value: O) -> Option<V> {
    let hash = cache.core.hash_of(|state| query.hash(state));
    match cache.core.recall(hash, |stored| query.eq(stored), O::another) {
        Ok(found) => Some(found),
        Err(reading) => {
            // From here on it has an address; a hit leaves it in registers.
            let asked = query;
            cache.core.look_further(reading, hash, |stored| asked.eq(stored), O::another)
        }
    }
}

/// What a load needs to know of a query that [`look`] found nothing for. It hashes once more, so that a hit leaves
/// nothing behind for it.
#[doc(hidden)]
#[cold]
#[inline(never)]
pub fn missed<K, V, Q: Query<Key = K>>(cache: &Cache<K, V>, query: Q) -> Miss<K> {
    let hash = cache.core.hash_of(|state| query.hash(state));
    Miss { hash, key: query.own(), forced: false }
}

/// [`missed`] for a call whose body is to run whatever there is.
#[doc(hidden)]
#[cold]
#[inline(never)]
pub fn forced<K, V, Q: Query<Key = K>>(cache: &Cache<K, V>, query: Q) -> Miss<K> {
    Miss { forced: true, ..missed(cache, query) }
}
