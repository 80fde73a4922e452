//! Computing a value that is there already, and storing it over what is there.
//!
//! Whoever asks for the key meanwhile is served what was there before. The value is new as of the call, so loads that
//! began before it must not store theirs; and a write or an invalidation that comes while the body runs is newer than
//! the value, which is then only returned.

use super::instance::{Core, Loaded, Source, Unstored};
use super::load::{Load, Run};
use super::loading::{Begin, Begun, Loading, OnThread, Seen, begin, begin_async};
use crate::flight::{Flights, Lead};
use crate::key::Miss;
use crate::stats::Count;
use crate::time::Nanos;

impl<K, V> Core<K, V> {
    /// Leave to compute a value, whatever is stored.
    #[cold]
    pub(super) fn begin_refresh<W: Default>(&self, hash: u64, key: K) -> Loading<'_, K, V, W> {
        if self.is_bypassed() {
            return Loading::unkept();
        }
        self.flights.supersede(hash, |other| (self.ops.eq)(other, &key));
        let run = Run::Alone(self.flights.alone(hash), key, Self::end_refresh);
        Loading::of(W::default(), Begun { load: Load::start(&*self.tenant), run, core: self, hash })
    }

    /// Stores the value over what is there, unless that is newer.
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
            let Some(marks) = lead.look_for_mark() else {
                self.tenant.card.tally.add(Count::Rejections, 1);
                return;
            };
            // Whoever invalidates from here on marks first and then removes what was sighted, which is seen; and whoever
            // refreshes after us marks, which is seen under the shard's lock.
            let load = Loaded {
                marks: lead.marks(),
                seen: marks,
                look_for_mark: &|| lead.look_for_mark(),
                now: self.tenant.now(),
            };
            let source = Source::After { seen: Some(sighting), load: Some(load) };
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

/// [`begin`], or again if the call is forced.
///
/// # Errors
///
/// As [`begin`]; a forced call always.
#[doc(hidden)]
pub fn begin_or_refresh<'a, K, V>(
    here: &'a Seen<'_, K, V>,
    miss: Miss<K>,
) -> Result<V, Loading<'a, K, V, OnThread>> {
    if !miss.forced {
        return begin(here, miss);
    }
    let mut loading = here.core().begin_refresh(miss.hash, miss.key);
    loading.resume();
    Err(loading)
}

/// [`begin_async`], or again if the call is forced.
///
/// # Errors
///
/// As [`begin_async`]; a forced call always.
#[doc(hidden)]
pub fn begin_async_or_refresh<'a, K, V>(here: &'a Seen<'_, K, V>, miss: Miss<K>) -> Begin<'a, K, V> {
    let begin = begin_async(here, Miss { forced: false, ..miss });
    if miss.forced { begin.forced() } else { begin }
}
