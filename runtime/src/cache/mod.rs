//! The cache that people hold: look-ups, inserts, loads and invalidation over a store, under a tenant.
//!
//! Not here: how entries lie (store), whom to evict (policy), who pays (tenant), who computes (flight).

mod builder;
mod call;
#[cfg(feature = "tiers")]
mod deep;
mod detached;
mod instance;
mod learning;
mod listener;
mod load;
mod loading;
mod operations;
mod ops;
mod pins;
mod ranking;
mod rate;
mod refresh;
mod room;
mod tenant;
#[cfg_attr(not(feature = "tiers"), path = "no_tiers.rs")]
mod tiers;
mod times;
#[cfg(any(test, feature = "__validate"))]
mod validate;

pub use builder::{BuildError, Builder};
pub use call::{Ran, Status, Verdict, apart, judge, judge_value, never};
pub use detached::{
    ReturnedWhole, load_detached, load_detached_or_refresh, returned, try_load_detached,
    try_load_detached_or_refresh,
};
pub use load::{forced, look, missed};
pub use loading::{begin, begin_async, end, here, load, load_with, polled, try_end, try_load, try_load_with};
pub use operations::{Change, Entries};
pub use refresh::{begin_async_or_refresh, begin_or_refresh};
pub use times::NoExpiry;
#[cfg(feature = "__validate")]
pub use validate::validate;

pub(crate) use builder::Options;
pub(crate) use instance::Core;
pub(crate) use listener::OnRemove;
pub(crate) use ops::{HeapOf, Ops};
pub(crate) use tenant::{CacheTenant, Instance};

use std::borrow::Borrow;
use std::fmt;
use std::future::Future;
use std::hash::Hash;
use std::sync::Arc;
use std::time::Duration;

use crate::grace::Reading;
use crate::key::Lookup;
use crate::removal::RemovalCause;
use crate::stats::{Count, TenantStats};
use crate::store::Probe;
use instance::Source;

/// A cache under a shared budget. Cloning gives another handle to the same cache.
///
/// `get` and the like take a [`Lookup`]: a reference to the key or to anything it borrows as
/// (`cache.get("a")` with `String` keys), a number by value, or a tuple of such for tuple keys.
///
/// # Locking
///
/// A hit takes no lock. Inserts and invalidations take one shard's, never two at a time; under it, and under that of the
/// table of loads, runs the key's `Eq`, which must not use the same cache. The value's `Clone` runs with no lock held, as do
/// loaders, weighers and the drop of evicted values: these may. What leaves while somebody reads it is dropped when that is
/// over. A cache that shrinks moves entries together; who looks one up in that moment, a fraction of a microsecond, misses
/// it.
///
/// In the child of a `fork`, look-ups and [`tick`](crate::tick) wait for no lock. Whatever stores or removes (a miss of an
/// annotated function, too) may wait for ever for a lock that another thread held when the process forked; it does not if no
/// other thread was in a call to larder, as in a process that forks before it starts threads. There is no background thread
/// in the child.
///
/// # Examples
///
/// ```
/// use larder_runtime::{Cache, Domain, Policy};
///
/// let domain = Domain::builder().limit_bytes(1 << 20).manual().build();
/// let lengths = Cache::<String, usize>::builder("lengths").policy(Policy::Lru).build_in(&domain)?;
/// assert_eq!(lengths.get_or_insert_ref("four", str::len), 4);
/// assert_eq!(lengths.get("four"), Some(4));
/// # Ok::<(), larder_runtime::BuildError>(())
/// ```
pub struct Cache<K, V> {
    pub(crate) core: Arc<Core<K, V>>,
}

impl<K, V> Cache<K, V> {
    pub(crate) fn from_core(core: Arc<Core<K, V>>) -> Self {
        Self { core }
    }

    /// What calls of this thread are meant for: the cache, or its twin in the scope of a test.
    #[inline]
    pub(super) fn here(&self) -> Here<'_, K, V> {
        Here { core: &self.core, twin: self.core.twin() }
    }

    /// [`here`](Self::here), for what outlives the call.
    pub(super) fn shared(&self) -> Arc<Core<K, V>> {
        self.core.twin().unwrap_or_else(|| Arc::clone(&self.core))
    }

    /// Removes every entry. Loads that are running do not store what they compute, and a call that starts
    /// after this returns sees nothing from before.
    ///
    /// # Panics
    ///
    /// When the `Drop` of a key or a value does; every entry has left by then.
    pub fn clear(&self) {
        let core = self.here();
        core.clear(&core.tenant);
        core.tenant.card.reservation.release_credit();
    }

    /// How many entries there are; some may be expired and not swept yet.
    #[must_use]
    pub fn len(&self) -> usize {
        self.here().len()
    }

    /// Whether there are no entries.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes charged to the budget: keys, values, tables and bookkeeping. For a generic annotated
    /// function, of all its instances together.
    #[must_use]
    pub fn weight(&self) -> u64 {
        self.here().tenant.card.reservation.spent()
    }

    /// The counters and figures of this cache; for a generic annotated function, of all its instances
    /// together.
    #[must_use]
    pub fn stats(&self) -> TenantStats {
        let core = self.here();
        core.tenant.core.stats_of(&*core.tenant)
    }

    /// Bounds the cache to so many bytes from now on, everything included; what is above is evicted before this
    /// returns, but for what others insert meanwhile. A bound of 0 stores nothing; [`u64::MAX`] is none. For a
    /// generic annotated function, all its instances together.
    pub fn set_max_bytes(&self, bytes: u64) {
        self.here().tenant.set_max_bytes(bytes);
    }

    /// Bounds the cache to so many entries from now on; like [`set_max_bytes`](Self::set_max_bytes).
    pub fn set_max_entries(&self, entries: u64) {
        self.here().tenant.set_max_entries(entries);
    }

    /// Multiplies what this cache's bytes are worth against other tenants' from now on, as
    /// [`Builder::priority`] does.
    ///
    /// # Errors
    ///
    /// [`BuildError::Priority`] unless it is a finite number above 0.
    pub fn set_priority(&self, priority: f64) -> Result<(), BuildError> {
        if !(priority.is_finite() && priority > 0.0) {
            return Err(BuildError::Priority(priority));
        }
        self.here().tenant.set_priority(priority);
        Ok(())
    }

    /// The name it was given, made unique.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.core.tenant.card.name
    }
}

impl<K, V> Cache<K, V>
where
    K: Hash + Eq + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    /// Configures a cache. The name appears in stats; a second cache of the same name gets `#2`.
    pub fn builder(name: impl Into<String>) -> Builder<K, V> {
        Builder::new(name.into())
    }

    /// Stores a value, over an older one with an equal key.
    ///
    /// The value is not stored, and counted as a rejection, when it is larger than the cache's own bound or
    /// the whole budget, or when nothing could make way for it in time. An older value of the key is gone
    /// in any case. A load of the key that is running meanwhile does not overwrite it.
    pub fn insert(&self, key: K, value: V) {
        let hash = self.core.hash_of(|state| key.hash(state));
        self.here().write(hash, key, value, None);
    }

    /// The value of `key`; computed by `load`, and stored, if it is not there.
    ///
    /// Concurrent callers of one missing key wait for one computation. What a load that calls this cache
    /// for its own key would wait for is itself: it runs again instead. So it is with any circle of loads that wait
    /// for each other, over all caches, whatever lies on a thread's stack between them.
    ///
    /// A wait for another thread that `load` itself makes (a channel, a join, a piece of work in a thread pool)
    /// cannot be seen. If that thread blocks on a key that depends on this load, both wait for ever. In a pool that
    /// steals work while it waits, as rayon's does, it may come to that by itself: where pieces of a load call
    /// caches or wait in the pool in turn.
    ///
    /// # Panics
    ///
    /// When `load` does: nothing is stored, and one of the waiting callers runs its own.
    pub fn get_or_insert_with(&self, key: K, load: impl FnOnce() -> V) -> V {
        let hash = self.core.hash_of(|state| key.hash(state));
        match self.core.get(hash, |stored| *stored == key, V::clone) {
            Some(value) => value,
            None => self.here().load(hash, key, load),
        }
    }

    /// [`get_or_insert_with`](Self::get_or_insert_with) for a borrowed key: a hit builds no owned one.
    pub fn get_or_insert_ref<Q>(&self, key: &Q, load: impl FnOnce(&Q) -> V) -> V
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ToOwned<Owned = K> + ?Sized,
    {
        let hash = self.core.hash_of(|state| key.hash(state));
        match self.core.get(hash, |stored| stored.borrow() == key, V::clone) {
            Some(value) => value,
            None => self.here().load(hash, key.to_owned(), || load(key)),
        }
    }

    /// [`get_or_insert_with`](Self::get_or_insert_with) for a load that can fail.
    ///
    /// # Errors
    ///
    /// What `load` returned. An error is not stored, and not shared: each waiting caller runs its own load.
    pub fn try_get_or_insert_with<E>(&self, key: K, load: impl FnOnce() -> Result<V, E>) -> Result<V, E> {
        let hash = self.core.hash_of(|state| key.hash(state));
        match self.core.get(hash, |stored| *stored == key, V::clone) {
            Some(value) => Ok(value),
            None => self.here().try_load(hash, key, load),
        }
    }

    /// [`get_or_insert_with`](Self::get_or_insert_with) for a task: `load` is polled if the value is missing and
    /// nobody computes it yet.
    ///
    /// Tasks and threads take part in the same flights. The returned future is `Send` if `load` is; no lock is
    /// held while it waits.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future of the caller that computes drops `load`; one of the waiting callers polls its own then.
    pub async fn get_or_insert_async(&self, key: K, load: impl Future<Output = V>) -> V {
        let load = async { Ok::<V, std::convert::Infallible>(load.await) };
        match self.try_get_or_insert_async(key, load).await {
            Ok(value) => value,
            Err(never) => match never {},
        }
    }

    /// [`try_get_or_insert_with`](Self::try_get_or_insert_with) for a task; see
    /// [`get_or_insert_async`](Self::get_or_insert_async).
    ///
    /// # Errors
    ///
    /// What `load` returned. An error is not stored, and not shared: each waiting caller polls its own load.
    pub async fn try_get_or_insert_async<E>(
        &self,
        key: K,
        load: impl Future<Output = Result<V, E>>,
    ) -> Result<V, E> {
        let hash = self.core.hash_of(|state| key.hash(state));
        match self.core.get(hash, |stored| *stored == key, V::clone) {
            Some(value) => Ok(value),
            None => self.here().try_load_async(hash, key, load).await,
        }
    }

    /// [`get_or_insert_async`](Self::get_or_insert_async) with a load that outlives its caller: it runs as a task of
    /// an executor's, and goes on while any caller waits for it, whoever began it. When the last one is gone, it is
    /// dropped.
    ///
    /// The executor is the domain's: [`Domain::set_executor`](crate::Domain::set_executor), or
    /// [`set_executor`](crate::set_executor) for the process. If it drops the task, because it shuts down say, the
    /// caller that began goes on with the load in its own future. In a cache without
    /// [`single_flight`](Builder::single_flight) no load has a second caller, and none is detached.
    ///
    /// # Panics
    ///
    /// When no executor is set and the value is missing. When `load` does: nothing is stored, one of the waiting
    /// callers runs its own, and the executor goes on.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future of the caller that began takes nothing from the others.
    ///
    /// # Cost
    ///
    /// Two allocations a load, for the task and for what is left of it.
    ///
    /// # Examples
    ///
    /// ```
    /// # use larder_runtime::{Cache, Domain};
    /// # fn block_on<T>(future: impl Future<Output = T>) -> T {
    /// #     let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    /// #     match std::pin::pin!(future).poll(&mut context) {
    /// #         std::task::Poll::Ready(value) => value,
    /// #         std::task::Poll::Pending => unreachable!(),
    /// #     }
    /// # }
    /// # let spawn = |task: larder_runtime::Task| block_on(task);
    /// let domain = Domain::builder().limit_bytes(1 << 20).executor(spawn).manual().build();
    /// let pages = Cache::<String, u64>::builder("pages").build_in(&domain)?;
    /// let fetch = async { 7 };
    /// # let seven = block_on(async {
    /// let seven = pages.get_or_insert_detached("seven".to_owned(), fetch).await;
    /// # seven });
    /// assert_eq!(seven, 7);
    /// # Ok::<(), larder_runtime::BuildError>(())
    /// ```
    pub async fn get_or_insert_detached(&self, key: K, load: impl Future<Output = V> + Send + 'static) -> V {
        let load = async { Ok::<V, std::convert::Infallible>(load.await) };
        match self.try_get_or_insert_detached(key, load).await {
            Ok(value) => value,
            Err(never) => match never {},
        }
    }

    /// [`get_or_insert_detached`](Self::get_or_insert_detached) for a load that can fail.
    ///
    /// # Errors
    ///
    /// What `load` returned, to the caller that began it. An error is not stored, and not shared: each waiting caller
    /// begins its own load.
    pub async fn try_get_or_insert_detached<E: Send + 'static>(
        &self,
        key: K,
        load: impl Future<Output = Result<V, E>> + Send + 'static,
    ) -> Result<V, E> {
        let hash = self.core.hash_of(|state| key.hash(state));
        match self.core.get(hash, |stored| *stored == key, V::clone) {
            Some(value) => Ok(value),
            None => self.shared().try_load_detached(hash, key, load).await,
        }
    }

    /// Weighs the entry of this key again, after its value has grown or shrunk inside, and charges the difference.
    /// Returns what it weighs now, in bytes: key and value, themselves included, as
    /// [`Builder::weigh`](Builder::weigh) counts.
    ///
    /// Weights are taken when a value is stored. One that changes later, behind an `Arc` and a lock, weighs what it
    /// did until somebody says so here. A value that has grown makes its way as a new one does: from this cache if
    /// its own bound is in the way, else from whoever's next victim is worth least. Where nothing can make way, and
    /// where the value is now too large for the cache or the budget, it is removed and counted as an eviction.
    ///
    /// `None` when there is no such entry, when it was replaced or removed meanwhile (the new one was weighed when
    /// it came), or when it was removed for want of room. Counts as no use.
    ///
    /// # Panics
    ///
    /// When the weigher does; the entry stays as it was, and so does its weight.
    ///
    /// # Locking
    ///
    /// Key and value are cloned with no lock held, and the clones weighed and dropped so. What only the original has, such
    /// as spare capacity that a clone does not copy, is not weighed.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::sync::{Arc, Mutex};
    /// use larder_runtime::{Cache, Domain};
    ///
    /// type Log = Arc<Mutex<Vec<u8>>>;
    /// let domain = Domain::builder().limit_bytes(1 << 20).manual().build();
    /// let logs = Cache::<u32, Log>::builder("logs")
    ///     .weigh(|_, log| 100 + log.lock().map_or(0, |log| log.capacity() as u64))
    ///     .build_in(&domain)?;
    /// let log = logs.get_or_insert_with(7, Log::default);
    /// log.lock().unwrap().extend([0; 1000]);
    /// assert_eq!(logs.reweigh(7), Some(1100));
    /// assert!(logs.weight() >= 1000);
    /// # Ok::<(), larder_runtime::BuildError>(())
    /// ```
    pub fn reweigh(&self, key: impl Lookup<K>) -> Option<u64>
    where
        K: Clone,
    {
        let hash = self.core.hash_of(|state| key.hash(state));
        let inline = const { (size_of::<K>() + size_of::<V>()) as u64 };
        self.here().reweigh(hash, |stored| key.eq(stored), K::clone).map(|heap| heap + inline)
    }
}

/// What finds entries and takes them out: a [`Lookup`] knows all that this needs of the key.
impl<K, V> Cache<K, V> {
    /// A clone of the value, if it is there and not expired. Counts as a hit or a miss.
    #[cfg_attr(not(debug_assertions), inline(always))]
    #[must_use]
    pub fn get(&self, key: impl Lookup<K>) -> Option<V>
    where
        V: Clone,
    {
        let hash = self.core.hash_of(|state| key.hash(state));
        match self.core.recall(hash, |stored| key.eq(stored), V::clone) {
            Ok(value) => Some(value),
            Err(reading) => {
                // From here on it has an address; what hits need of it stays in registers.
                let key = key;
                let found = self.core.look_further(reading, hash, |stored| key.eq(stored), V::clone);
                found.or_else(|| self.get_below(hash, &|stored| key.eq(stored)))
            }
        }
    }

    /// Like [`get`](Self::get), but without a trace: neither counted nor noted by the policy.
    #[must_use]
    pub fn peek(&self, key: impl Lookup<K>) -> Option<V>
    where
        V: Clone,
    {
        let hash = self.core.hash_of(|state| key.hash(state));
        let core = self.here();
        let found = core.peek(hash, |stored| key.eq(stored), V::clone);
        found.or_else(|| core.peek_below(hash, &|stored| key.eq(stored)).map(|(value, _)| value))
    }

    /// Whether the key is there and not expired; leaves no trace.
    #[must_use]
    pub fn contains(&self, key: impl Lookup<K>) -> bool {
        let hash = self.core.hash_of(|state| key.hash(state));
        let core = self.here();
        core.peek(hash, |stored| key.eq(stored), |_| ()).is_some()
            || core.peek_below(hash, &|stored| key.eq(stored)).is_some()
    }

    /// Removes the entry of this key; `true` if there was one.
    ///
    /// A load of the key that is running does not store what it computes, and a call that starts after this
    /// returns never sees a value from before.
    pub fn invalidate(&self, key: impl Lookup<K>) -> bool {
        let hash = self.core.hash_of(|state| key.hash(state));
        self.here().invalidate(hash, |stored| key.eq(stored))
    }
}

/// A cache, or what stands for it in a scope.
pub(super) struct Here<'a, K, V> {
    core: &'a Core<K, V>,
    twin: Option<Arc<Core<K, V>>>,
}

impl<K, V> std::ops::Deref for Here<'_, K, V> {
    type Target = Core<K, V>;

    fn deref(&self) -> &Core<K, V> {
        self.twin.as_deref().unwrap_or(self.core)
    }
}

impl<K, V> Clone for Cache<K, V> {
    fn clone(&self) -> Self {
        Self { core: Arc::clone(&self.core) }
    }
}

/// Takes no lock of a shard, so that it may be printed anywhere: the figures are those of [`stats`](Cache::stats).
impl<K, V> fmt::Debug for Cache<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cache")
            .field("name", &self.name())
            .field("entries", &self.here().tenant.entries())
            .field("weight", &self.weight())
            .finish_non_exhaustive()
    }
}

/// Nothing of a panicking user's code is left half done in a cache: see [`Cache`]'s section on locking.
impl<K, V> std::panic::UnwindSafe for Cache<K, V> {}
impl<K, V> std::panic::RefUnwindSafe for Cache<K, V> {}

impl<K, V> Core<K, V> {
    /// The value, where this thread found it lately. A hit takes no lock and writes at most the slot's touch word, the
    /// thread's own mark and its own counters.
    ///
    /// Compiled into each place that looks up, so all else is left to [`look_further`](Self::look_further). Who calls the
    /// two moves what they have in common in between: what has no address yet need not be in memory for a hit.
    ///
    /// # Errors
    ///
    /// What to look further with.
    #[cfg_attr(not(debug_assertions), inline(always))]
    pub(crate) fn recall(
        &self,
        hash: u64,
        eq: impl FnOnce(&K) -> bool,
        clone: impl FnOnce(&V) -> V,
    ) -> Result<V, Option<Reading>> {
        if !self.mode.is_brief() {
            return Err(None);
        }
        let Some(reading) = self.store.read_alone() else { return Err(None) };
        let Some((value, cost)) = self.store.recall(&reading, hash, eq, clone) else {
            return Err(Some(reading));
        };
        drop(reading);
        self.count_hit(cost);
        Ok(value)
    }

    /// The value, wherever it is. `reading` is what [`recall`](Self::recall) said.
    #[inline(never)]
    pub(crate) fn look_further(
        &self,
        reading: Option<Reading>,
        hash: u64,
        eq: impl FnMut(&K) -> bool,
        clone: impl FnOnce(&V) -> V,
    ) -> Option<V> {
        let Some(reading) = reading else { return self.get_otherwise(hash, eq, clone) };
        let heard = self.is_heard(hash);
        let found = self.store.get(&reading, hash, eq, clone, !heard);
        drop(reading);
        match found {
            Some((value, cost)) => {
                self.count_hit(cost);
                if heard {
                    self.learn_hit(hash, cost);
                }
                Some(value)
            }
            None => {
                self.tenant.card.tally.miss();
                if self.is_followed(hash) {
                    self.learn_miss(hash);
                }
                None
            }
        }
    }

    /// [`recall`](Self::recall), then [`look_further`](Self::look_further).
    #[cfg_attr(not(debug_assertions), inline(always))]
    fn get(&self, hash: u64, mut eq: impl FnMut(&K) -> bool, clone: impl Fn(&V) -> V) -> Option<V> {
        match self.recall(hash, &mut eq, &clone) {
            Ok(value) => Some(value),
            Err(reading) => self.look_further(reading, hash, eq, clone),
        }
    }

    #[cfg_attr(not(debug_assertions), inline(always))]
    fn count_hit(&self, cost: u8) {
        if !self.counters.hit(crate::cost::decode(cost)) {
            self.count_hit_elsewhere(cost);
        }
    }

    #[cold]
    #[inline(never)]
    fn count_hit_elsewhere(&self, cost: u8) {
        self.tenant.card.tally.hit(crate::cost::decode(cost));
    }

    /// Where entries expire, where the order of uses is exact, in every mode, and for a thread that reads for the first
    /// time or is reading already. Where idle entries expire a hit writes the time of the use, too, if the clock has moved
    /// since the last.
    #[cold]
    #[inline(never)]
    fn get_otherwise(
        &self,
        hash: u64,
        mut eq: impl FnMut(&K) -> bool,
        clone: impl FnOnce(&V) -> V,
    ) -> Option<V> {
        let twin;
        let core = if self.mode.get().is_normal() {
            self
        } else {
            twin = self.elsewhere()?;
            twin.as_deref().unwrap_or(self)
        };
        match core.store.get_fresh(hash, &mut eq, || core.tenant.core.clock.recent(), clone) {
            Probe::Hit(value, cost) => {
                core.tenant.card.tally.hit(crate::cost::decode(cost));
                if core.store.is_round() {
                    core.store.settle_uses(core.tenant.moment(), &core.tenant.card.reservation);
                }
                if core.is_heard(hash) {
                    core.learn_hit(hash, cost);
                }
                Some(value)
            }
            Probe::Absent => {
                core.tenant.card.tally.miss();
                if core.is_followed(hash) {
                    core.learn_miss(hash);
                }
                None
            }
            Probe::Expired => {
                core.tenant.card.tally.miss();
                core.learn_gone(hash);
                core.drop_expired(hash, eq);
                None
            }
        }
    }

    /// Where to look when the mode is not normal: in a twin, or here; `None` when that is turned off.
    #[cold]
    #[inline(never)]
    fn elsewhere(&self) -> Option<Option<Arc<Self>>> {
        let twin = self.twin();
        let bypassed = twin.as_deref().unwrap_or(self).is_bypassed();
        (!bypassed).then_some(twin)
    }

    fn len(&self) -> usize {
        self.store.len(&self.tenant.card.reservation)
    }

    pub(crate) fn peek<R>(
        &self,
        hash: u64,
        eq: impl FnMut(&K) -> bool,
        take: impl FnOnce(&V) -> R,
    ) -> Option<R> {
        if self.is_bypassed() {
            return None;
        }
        self.store.peek(hash, eq, || self.tenant.core.clock.recent(), take)
    }

    #[cold]
    fn drop_expired(&self, hash: u64, eq: impl FnMut(&K) -> bool) {
        let now = self.tenant.core.now();
        let (removed, leaving) = self.store.remove_expired(hash, eq, now, &self.tenant.card.reservation);
        self.tenant.left(Count::Expirations, removed.into());
        self.let_go(leaving);
    }

    /// Stores a value that nobody loaded, maybe with a time of its own to live.
    fn write(&self, hash: u64, key: K, value: V, ttl: Option<Duration>) {
        if self.is_bypassed() {
            // What is stored would be an older value, once the bypass ends.
            self.overwrite(hash, |stored| (self.ops.eq)(stored, &key));
            return;
        }
        let cost = self.cost_of_written(&key, &value);
        // While the cache is full, an insert that only overwrites must not push somebody out first. Where its shard
        // makes the place, that one looks.
        let same = |stored: &K| (self.ops.eq)(stored, &key);
        let tenant = &*self.tenant;
        let overwrites = !tenant.policy.is_balanced()
            && tenant.is_full()
            && self.store.peek(hash, same, || 0, |_| ()).is_some();
        let stored = self.store_new(hash, key, value, cost, Source::Write { ttl }, !overwrites);
        if let Err(unstored) = stored {
            // The older value would be wrong from now on.
            self.overwrite(hash, |stored| (self.ops.eq)(stored, &unstored.key));
        }
    }

    /// The cost of a value that nobody loaded.
    fn cost_of_written(&self, key: &K, value: &V) -> u8 {
        match self.ops.cost() {
            Some(cost) => crate::cost::encode(crate::time::nanos(cost(key, value))),
            None => self.tenant.costs.current(),
        }
    }

    pub(crate) fn invalidate(&self, hash: u64, eq: impl Fn(&K) -> bool) -> bool {
        self.take_out(hash, eq, RemovalCause::Invalidated, Count::Invalidations)
    }

    /// Removes what a value that is not stored would have replaced.
    fn overwrite(&self, hash: u64, eq: impl Fn(&K) -> bool) {
        self.take_out(hash, eq, RemovalCause::Replaced, Count::Replacements);
    }

    /// The order matters. First the loads, so that what they compute is not linked any more and nobody joins them;
    /// then the entry; and tiers hear of it before and after.
    fn take_out(&self, hash: u64, eq: impl Fn(&K) -> bool, cause: RemovalCause, why: Count) -> bool {
        let change = self.change(hash);
        self.flights.supersede(hash, &eq);
        self.learn_gone(hash);
        let (removed, leaving) = self.store.remove(hash, &eq, cause, &self.tenant.card.reservation);
        let below = change.end() && !removed;
        self.tenant.left(why, removed.into());
        self.tenant.card.tally.add(why, below.into());
        self.let_go(leaving);
        removed || below
    }
}

/// Compares keys.
pub(crate) type EqOf<K> = Box<dyn Fn(&K, &K) -> bool + Send + Sync>;
/// Weighs a key and a value together, in bytes.
pub(crate) type WeightOf<K, V> = Box<dyn Fn(&K, &V) -> u64 + Send + Sync>;
/// Says what a miss costs.
pub(crate) type CostOf<K, V> = Box<dyn Fn(&K, &V) -> Duration + Send + Sync>;
/// Says how much more, or less, an entry is worth than its cost.
pub(crate) type UtilityOf<K, V> = Box<dyn Fn(&K, &V) -> f64 + Send + Sync>;
/// Says how long an entry lives.
pub(crate) type TtlOf<K, V> = Box<dyn Fn(&K, &V) -> Duration + Send + Sync>;

#[cfg(all(test, not(larder_shuttle)))]
mod lifetime_tests;
#[cfg(all(test, not(larder_shuttle)))]
mod spread_tests;
#[cfg(all(test, not(larder_shuttle)))]
mod tests;

#[cfg(all(test, larder_shuttle))]
mod models;
#[cfg(all(test, larder_shuttle))]
mod read_models;
