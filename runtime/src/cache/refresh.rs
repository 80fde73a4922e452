//! Computing a value that is there already, and storing it over what is there.
//!
//! Whoever asks for the key meanwhile is served what was there before. The value is new as of the call, so loads that
//! began before it must not store theirs; and a write or an invalidation that comes while the body runs is newer than
//! the value, which is then only returned.

use std::future::Future;
use std::pin::pin;

use super::instance::{Core, Source, Unstored};
use super::load::Load;
use crate::flight::{Flights, Lead};
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
                    self.invalidate_quietly(hash, |stored| (self.ops.eq)(stored, &key));
                    return;
                }
            }
        }
    }
}
