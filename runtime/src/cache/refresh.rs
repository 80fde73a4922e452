//! Computing a value that is there already, and storing it over what is there.
//!
//! Whoever asks for the key meanwhile is served what was there before. The value is new as of the call, so loads that
//! began before it must not store theirs; and a write or an invalidation that comes while the body runs is newer than
//! the value, which is then only returned.

use std::future::Future;
use std::pin::pin;

use super::Cache;
use super::instance::{Core, Source, Unstored};
use super::load::{
    Load, Never, load, load_async, load_detached, try_load, try_load_async, try_load_detached,
};
use crate::flight::{Flights, Lead};
use crate::key::{Fallible, Miss};
use crate::time::Nanos;

impl<K, V> Core<K, V> {
    /// Runs the body whatever is stored.
    #[cold]
    pub(super) fn try_refresh<E>(
        &self,
        hash: u64,
        key: K,
        body: impl FnOnce() -> Result<V, E>,
    ) -> Result<V, E> {
        if self.is_bypassed() {
            return body();
        }
        let lead = self.begin_refresh(hash, &key);
        let load = Load::start(&*self.tenant);
        let value = body()?;
        self.end_refresh(hash, key, &value, load.succeed(), &lead);
        Ok(value)
    }

    /// [`try_refresh`](Self::try_refresh) for a task: the body is polled in the caller's own future.
    pub(super) async fn try_refresh_async<E>(
        &self,
        hash: u64,
        key: K,
        body: impl Future<Output = Result<V, E>>,
    ) -> Result<V, E> {
        if self.is_bypassed() {
            return body.await;
        }
        let lead = self.begin_refresh(hash, &key);
        let load = Load::start(&*self.tenant);
        let value = pin!(body).await?;
        self.end_refresh(hash, key, &value, load.succeed(), &lead);
        Ok(value)
    }

    fn begin_refresh(&self, hash: u64, key: &K) -> Lead<K, V, &Flights<K, V>> {
        self.flights.supersede(hash, |other| (self.ops.eq)(other, key));
        self.flights.alone(hash)
    }

    fn end_refresh(&self, hash: u64, mut key: K, value: &V, nanos: Nanos, lead: &Lead<K, V, &Flights<K, V>>) {
        let cost = self.cost_of(&key, value, nanos);
        loop {
            let same = |stored: &K| (self.ops.eq)(stored, &key);
            let now = || self.tenant.core.clock.recent();
            let seen = self.store.sight(hash, same, now, &self.tenant.card.reservation, |_, _| ());
            let Some(((), sighting)) = seen else {
                // Nothing is there: as any other load, which looks for its mark under the shard's lock.
                self.keep(hash, key, value, nanos, lead);
                return;
            };
            if lead.look_for_mark().is_none() {
                return;
            }
            // Whoever invalidates from here on marks first and then removes what was sighted, which is seen.
            let source = Source::After(Some(sighting));
            match self.store_new(hash, key, (self.ops.clone)(value), cost, source, false) {
                Ok(()) => return,
                Err(Unstored { key: back, changed: true }) => key = back,
                Err(Unstored { key, changed: false }) => {
                    // What is there is older than what its caller has seen.
                    self.overwrite(hash, |stored| (self.ops.eq)(stored, &key));
                    return;
                }
            }
        }
    }
}

// For generated code where a call may be forced: what most functions never need is not compiled for them.

/// [`load`], or again if the call is forced.
#[doc(hidden)]
pub fn load_or_refresh<K, V>(cache: &Cache<K, V>, miss: Miss<K>, body: impl FnOnce() -> V) -> V {
    if !miss.forced {
        return load(cache, miss, body);
    }
    match cache.here().try_refresh(miss.hash, miss.key, || Ok::<V, Never>(body())) {
        Ok(value) => value,
        Err(never) => match never {},
    }
}

/// [`try_load`], or again if the call is forced.
#[doc(hidden)]
pub fn try_load_or_refresh<R: Fallible, K>(
    cache: &Cache<K, R::Value>,
    miss: Miss<K>,
    body: impl FnOnce() -> R,
) -> R {
    if !miss.forced {
        return try_load(cache, miss, body);
    }
    match cache.here().try_refresh(miss.hash, miss.key, || body().split()) {
        Ok(value) => R::from_value(value),
        Err(rest) => rest,
    }
}

/// [`load_async`], or again if the call is forced.
#[doc(hidden)]
pub async fn load_async_or_refresh<K, V>(
    cache: &Cache<K, V>,
    miss: Miss<K>,
    body: impl Future<Output = V>,
) -> V {
    if !miss.forced {
        return load_async(cache, miss, body).await;
    }
    let never = async { Ok::<V, Never>(body.await) };
    match cache.here().try_refresh_async(miss.hash, miss.key, never).await {
        Ok(value) => value,
        Err(never) => match never {},
    }
}

/// [`try_load_async`], or again if the call is forced.
#[doc(hidden)]
pub async fn try_load_async_or_refresh<R: Fallible, K>(
    cache: &Cache<K, R::Value>,
    miss: Miss<K>,
    body: impl Future<Output = R>,
) -> R {
    if !miss.forced {
        return try_load_async(cache, miss, body).await;
    }
    let split = async { body.await.split() };
    match cache.here().try_refresh_async(miss.hash, miss.key, split).await {
        Ok(value) => R::from_value(value),
        Err(rest) => rest,
    }
}

/// [`load_detached`]; a forced call runs its body in its own future.
#[doc(hidden)]
pub async fn load_detached_or_refresh<K, V, F>(cache: &Cache<K, V>, miss: Miss<K>, body: F) -> V
where
    K: Send + Sync + 'static,
    V: Send + Sync + 'static,
    F: Future<Output = V> + Send + 'static,
{
    if miss.forced {
        load_async_or_refresh(cache, miss, body).await
    } else {
        load_detached(cache, miss, body).await
    }
}

/// [`try_load_detached`]; a forced call runs its body in its own future.
#[doc(hidden)]
pub async fn try_load_detached_or_refresh<R, K, F>(cache: &Cache<K, R::Value>, miss: Miss<K>, body: F) -> R
where
    R: Fallible + Send + 'static,
    K: Send + Sync + 'static,
    R::Value: Send + Sync + 'static,
    F: Future<Output = R> + Send + 'static,
{
    if miss.forced {
        try_load_async_or_refresh(cache, miss, body).await
    } else {
        try_load_detached(cache, miss, body).await
    }
}
