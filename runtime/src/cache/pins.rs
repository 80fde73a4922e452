//! Entries that stay: pinning them, and letting them go again.
//!
//! Here is what a pin means to the bounds of a cache. How an entry is kept out of the order of eviction is the store's.

use super::Cache;
use super::instance::Core;
use super::room::Effort;
use crate::key::Lookup;
use crate::removal::RemovalCause;
use crate::stats::Count;
use crate::store::NotLinked;

impl<K, V> Cache<K, V> {
    /// Keeps the entry of this key from being evicted or reclaimed: by this cache's own bounds, by other tenants, by
    /// [`trim`](crate::trim), a lowered limit or short memory. `true` if it is there and pinned now, by this call or an
    /// earlier one; a pin is a mark and not a count.
    ///
    /// What says that a value is wrong is stronger than a pin: it still expires, and `invalidate`, `clear` and the like
    /// remove it, and the pin with it. A value that replaces a pinned one before that is pinned, too.
    ///
    /// Pinned bytes are charged like all others, and no bound gives way to them. Where everything that could make way
    /// is pinned, a new value is returned and not stored, and counted as a rejection; a bound or a limit that is
    /// lowered below what is pinned is kept as far as the rest goes, and in full once
    /// [`unpin`](Self::unpin) allows it. [`TenantStats::pinned`](crate::TenantStats::pinned) says how many bytes that
    /// are.
    ///
    /// Counts as no use. An entry may be gone between the insert and the pin: `false` says so.
    ///
    /// # Locking
    ///
    /// The lock of the key's shard.
    ///
    /// # Cost
    ///
    /// No bytes. A look-up is as fast as any other.
    ///
    /// # Examples
    ///
    /// ```
    /// use larder_runtime::{Cache, Domain};
    ///
    /// let domain = Domain::builder().limit_bytes(1 << 20).manual().build();
    /// let tables = Cache::<String, u64>::builder("tables").max_entries(2).build_in(&domain)?;
    /// tables.insert("rates".to_owned(), 1);
    /// assert!(tables.pin("rates"));
    /// for key in ["a", "b", "c"] {
    ///     tables.insert(key.to_owned(), 2);
    /// }
    /// assert_eq!(tables.get("rates"), Some(1));
    /// assert!(tables.unpin("rates"));
    /// # Ok::<(), larder_runtime::BuildError>(())
    /// ```
    pub fn pin(&self, key: impl Lookup<K>) -> bool {
        let hash = self.core.hash_of(|state| key.hash(state));
        self.here().pin(hash, |stored| key.eq(stored))
    }

    /// Undoes [`pin`](Self::pin): the entry may go as any other, as one that has just come. `true` if it was pinned.
    ///
    /// What a bound could not take so far, because it was pinned, is evicted before this returns.
    pub fn unpin(&self, key: impl Lookup<K>) -> bool {
        let hash = self.core.hash_of(|state| key.hash(state));
        self.here().unpin(hash, |stored| key.eq(stored))
    }

    /// Whether the entry of this key is there and pinned. Counts as no use.
    #[must_use]
    pub fn is_pinned(&self, key: impl Lookup<K>) -> bool {
        let hash = self.core.hash_of(|state| key.hash(state));
        let here = self.here();
        !here.is_bypassed() && here.is_pinned(hash, |stored| key.eq(stored))
    }
}

impl<K, V> Core<K, V> {
    fn pin(&self, hash: u64, eq: impl Fn(&K) -> bool) -> bool {
        if self.is_bypassed() {
            return false;
        }
        let pin = || self.store.pin(hash, &eq, self.tenant.now(), &self.tenant.card.reservation);
        let pinned = pin() || (self.fetch(hash, &eq) && pin());
        if pinned {
            // Maybe it was the next victim.
            self.tenant.renew(self);
            self.tenant.publish();
        }
        pinned
    }

    pub(super) fn is_pinned(&self, hash: u64, eq: impl Fn(&K) -> bool) -> bool {
        self.store.is_pinned(hash, eq, self.tenant.now(), &self.tenant.card.reservation)
    }

    fn unpin(&self, hash: u64, eq: impl Fn(&K) -> bool) -> bool {
        let tenant = &*self.tenant;
        let mut effort = Effort::default();
        loop {
            let unpinned = self.store.unpin(hash, &eq, &self.charge(true));
            match unpinned {
                Ok(unpinned) => {
                    if unpinned {
                        tenant.announce(self);
                        tenant.fit_bounds();
                    }
                    return unpinned;
                }
                Err(NotLinked::NoRoom(refused)) if effort.note(tenant.make_way(refused)).is_some() => {}
                Err(_) => break,
            }
        }
        // There is no room even for its place in the order. It is the only one that may go.
        let cause = RemovalCause::Evicted;
        let (removed, leaving) = self.store.remove(hash, &eq, cause, &tenant.card.reservation);
        tenant.left(Count::Evictions, removed.into());
        self.let_go(leaving);
        tenant.fit_bounds();
        removed
    }

    /// Removes the entry of a key if it is pinned: there is no room for its successor beside it.
    pub(super) fn give_up_pinned(&self, hash: u64, key: &K, now: crate::time::Nanos) -> bool {
        let same = |stored: &K| (self.ops.eq)(stored, key);
        let reservation = &self.tenant.card.reservation;
        if !self.store.is_pinned(hash, same, now, reservation) {
            return false;
        }
        let (removed, leaving) = self.store.remove(hash, same, RemovalCause::Replaced, reservation);
        self.tenant.left(Count::Replacements, removed.into());
        self.let_go(leaving);
        removed
    }
}
