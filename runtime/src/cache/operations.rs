//! What people do with a cache beside looking up, loading and inserting: change an entry by what it is, go through all
//! of them, take out those that match, and deal with many keys at once.
//!
//! None of it holds a lock while the caller's closure decides something, except where that is said.

use std::fmt;
use std::hash::Hash;
use std::iter::FusedIterator;

use super::instance::{Core, Source, Unstored};
use super::{Cache, Here};
use crate::key::Lookup;
use crate::removal::RemovalCause;
use crate::stats::Count;
use crate::store::Sighting;

/// What [`Cache::compute`] does with an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change<V> {
    /// It stays as it is, or absent.
    Keep,
    /// It gets this value.
    Insert(V),
    /// It goes.
    Remove,
}

impl<K, V> Cache<K, V>
where
    K: Hash + Eq + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    /// Changes the entry of `key` by what it is: `with` sees its value, or `None`, and says what becomes of it. Returns
    /// the value that the key has after that, or would have if there were room for it.
    ///
    /// Atomic for each key: nobody writes, removes or computes the entry between what `with` sees and what comes of
    /// it. Where somebody did, `with` is asked again with the new state, so it may run several times; only the last
    /// answer counts. It runs with no lock held and may use the cache. An entry that is evicted meanwhile is absent the
    /// next time.
    ///
    /// Loads of the key that are running when an entry is inserted or removed do not store what they compute. Counts
    /// neither as a hit nor as a miss. Where a value finds no room, no older one stays.
    ///
    /// # Panics
    ///
    /// When `with` does; the entry stays as it was.
    ///
    /// # Examples
    ///
    /// ```
    /// use larder_runtime::{Cache, Change, Domain};
    ///
    /// let domain = Domain::builder().limit_bytes(1 << 20).manual().build();
    /// let visits = Cache::<String, u64>::builder("visits").build_in(&domain)?;
    /// let count = |seen: Option<&u64>| Change::Insert(seen.map_or(1, |seen| seen + 1));
    /// assert_eq!(visits.compute("home".to_owned(), count), Some(1));
    /// assert_eq!(visits.compute("home".to_owned(), count), Some(2));
    /// assert_eq!(visits.compute("home".to_owned(), |_| Change::Remove), None);
    /// # Ok::<(), larder_runtime::BuildError>(())
    /// ```
    pub fn compute(&self, key: K, with: impl FnMut(Option<&V>) -> Change<V>) -> Option<V> {
        let hash = self.core.hash_of(|state| key.hash(state));
        self.here().compute(hash, key, with)
    }

    /// Stores many entries, as many calls of [`insert`](Self::insert) in their order.
    pub fn insert_many(&self, entries: impl IntoIterator<Item = (K, V)>) {
        for (key, value) in entries {
            self.insert(key, value);
        }
    }
}

impl<K, V> Cache<K, V> {
    /// All entries, cloned one by one as the iterator gets there; what is expired is left out.
    ///
    /// Weakly consistent: an entry that is there from the first step to the last comes exactly once; one that is
    /// stored, replaced or removed meanwhile may come or not. Counts as no use. Each shard's list of entries (24 bytes
    /// for each) is taken when the iterator gets to it.
    ///
    /// # Locking
    ///
    /// Key and value are cloned with no lock held.
    #[must_use = "an iterator does nothing unless it is asked for entries"]
    pub fn iter(&self) -> Entries<'_, K, V>
    where
        K: Clone,
        V: Clone,
    {
        Entries { here: self.here(), shard: 0, sighted: Vec::new().into_iter() }
    }

    /// The values of many keys, in their order; a hit or a miss for each.
    ///
    /// As many calls of [`get`](Self::get): what others write meanwhile may be seen for some keys and not for others.
    #[must_use]
    pub fn get_many<L: Lookup<K>>(&self, keys: impl IntoIterator<Item = L>) -> Vec<Option<V>>
    where
        V: Clone,
    {
        keys.into_iter().map(|key| self.get(key)).collect()
    }

    /// Removes the entries of many keys, as many calls of [`invalidate`](Self::invalidate) in their order; returns how many
    /// there were.
    pub fn invalidate_many<L: Lookup<K>>(&self, keys: impl IntoIterator<Item = L>) -> u64 {
        keys.into_iter().map(|key| u64::from(self.invalidate(key))).sum()
    }

    /// Removes the entries of which `is_stale` says so; returns how many. Loads that are running when this begins do
    /// not store what they compute, whatever their key. What is stored while it runs may stay.
    ///
    /// Looks at every entry: for one key, [`invalidate`](Self::invalidate) is the way.
    ///
    /// # Panics
    ///
    /// When `is_stale` does; what was removed before that stays removed.
    ///
    /// # Locking
    ///
    /// `is_stale` runs with no lock held.
    pub fn invalidate_if(&self, mut is_stale: impl FnMut(&K, &V) -> bool) -> u64 {
        self.here().invalidate_if(&mut is_stale)
    }
}

impl<'a, K, V> IntoIterator for &'a Cache<K, V>
where
    K: Clone,
    V: Clone,
{
    type Item = (K, V);
    type IntoIter = Entries<'a, K, V>;

    fn into_iter(self) -> Entries<'a, K, V> {
        self.iter()
    }
}

/// The entries of a cache; see [`Cache::iter`].
pub struct Entries<'a, K, V> {
    here: Here<'a, K, V>,
    /// The next shard.
    shard: usize,
    /// What was in the one before, and has not come yet.
    sighted: std::vec::IntoIter<Sighting>,
}

impl<K: Clone, V: Clone> Iterator for Entries<'_, K, V> {
    type Item = (K, V);

    fn next(&mut self) -> Option<(K, V)> {
        let Self { here, shard, sighted } = self;
        if here.is_bypassed() {
            // For good: what comes later would not be all of what there is.
            *shard = here.store.shards();
            *sighted = Vec::new().into_iter();
        }
        loop {
            let reservation = &here.tenant.card.reservation;
            let entry = |sighting| {
                let now = || here.tenant.core.clock.recent();
                here.store.look_again(sighting, now, reservation, |key, value| (key.clone(), value.clone()))
            };
            if let Some(entry) = sighted.find_map(entry) {
                return Some(entry);
            }
            if *shard == here.store.shards() {
                return None;
            }
            *sighted = here.store.sight_all(*shard, reservation).into_iter();
            *shard += 1;
        }
    }
}

impl<K: Clone, V: Clone> FusedIterator for Entries<'_, K, V> {}

impl<K, V> fmt::Debug for Entries<'_, K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entries").finish_non_exhaustive()
    }
}

impl<K, V> Core<K, V> {
    fn compute(&self, hash: u64, mut key: K, mut with: impl FnMut(Option<&V>) -> Change<V>) -> Option<V> {
        let mut fetched = false;
        loop {
            let same = |stored: &K| (self.ops.eq)(stored, &key);
            let now = || self.tenant.core.clock.recent();
            if !fetched && self.peek(hash, same, |_| ()).is_none() {
                fetched = self.fetch(hash, &same);
            }
            let seen = if self.is_bypassed() {
                None
            } else {
                self.store
                    .sight(hash, same, now, &self.tenant.card.reservation, |_, value| (self.ops.clone)(value))
            };
            let (mut value, sighting) = seen.unzip();
            match with(value.as_ref()) {
                Change::Keep => return value,
                Change::Remove if self.is_bypassed() => {
                    // It is there again, once the bypass ends.
                    self.invalidate(hash, same);
                    return None;
                }
                Change::Remove => {
                    if self.remove_seen(hash, same, sighting) {
                        return None;
                    }
                }
                Change::Insert(new) if self.is_bypassed() => {
                    // What is stored would be an older value, once the bypass ends.
                    self.overwrite(hash, same);
                    return Some(new);
                }
                Change::Insert(new) => {
                    // Not at the end: where its drop panics, the compiler forgets what is being returned.
                    drop(value.take());
                    let result = (self.ops.clone)(&new);
                    let cost = self.cost_of_written(&key, &new);
                    let source = Source::After { seen: sighting, load: None };
                    match self.store_new(hash, key, new, cost, source, sighting.is_none()) {
                        Ok(()) => return Some(result),
                        Err(Unstored { key: back, changed: true }) => key = back,
                        Err(Unstored { key, changed: false }) => {
                            self.overwrite(hash, |stored| (self.ops.eq)(stored, &key));
                            return Some(result);
                        }
                    }
                }
            }
        }
    }

    /// Removes what was seen, or nothing; `false` when something else is there by now.
    fn remove_seen(&self, hash: u64, same: impl Fn(&K) -> bool, seen: Option<Sighting>) -> bool {
        // The loads first, as with every invalidation.
        let change = self.change(hash);
        self.flights.supersede(hash, &same);
        self.learn_gone(hash);
        let Some(sighting) = seen else {
            change.end();
            return self.peek(hash, same, |_| ()).is_none();
        };
        let cause = RemovalCause::Invalidated;
        let (removed, leaving) = self.store.remove_sighted(sighting, cause, &self.tenant.card.reservation);
        change.end();
        self.tenant.left(Count::Invalidations, removed.into());
        self.let_go(leaving);
        removed
    }

    fn invalidate_if(&self, is_stale: &mut dyn FnMut(&K, &V) -> bool) -> u64 {
        let _all = self.change_all();
        self.flights.supersede_all();
        let (mut count, reservation) = (0, &self.tenant.card.reservation);
        for shard in 0..self.store.shards() {
            for sighting in self.store.sight_all(shard, reservation) {
                // What is expired matches nothing; it goes by itself.
                let now = || self.tenant.core.clock.recent();
                if self.store.look_again(sighting, now, reservation, &mut *is_stale) == Some(true) {
                    let cause = RemovalCause::Invalidated;
                    let (removed, leaving) = self.store.remove_sighted(sighting, cause, reservation);
                    self.tenant.left(Count::Invalidations, removed.into());
                    self.let_go(leaving);
                    if removed {
                        self.learn_gone_like(sighting.hash());
                    }
                    count += u64::from(removed);
                }
            }
        }
        let below = self.remove_below(is_stale);
        self.tenant.card.tally.add(Count::Invalidations, below);
        count + below
    }
}
