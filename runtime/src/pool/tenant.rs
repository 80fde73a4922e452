//! What a pool is to its domain: figures, and giving memory back.
//!
//! Idle objects are found wherever they wait, in the depot or with a thread; leased ones are nobody's to take.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::PoolCore;
use super::core::Dropped;
use super::magazine::Gate;
use super::node::{List, Own};
use crate::pressure::Level;
use crate::stats::{Count, TenantStats};
use crate::sync::{Ordering, fork};
use crate::tenant::{Card, Claim, Given, ScopeId, Tenant};
use crate::time::{self, Nanos};

/// So many sweeps find an object idle before short memory takes it: one that is idle between two bursts stays.
const PATIENCE: u8 = 3;

impl<T: Send + 'static> Tenant for PoolCore<T> {
    fn card(&self) -> &Card {
        &self.card
    }

    fn reclaim(&self, claim: Claim) -> Given {
        let dropped = self.reclaim_idle(claim);
        self.card.tally.add(Count::Reclaims, dropped.count);
        if let Some(price) = dropped.price {
            self.domain.raise_inflation(price);
        }
        Given { bytes: dropped.bytes, entries: dropped.count }
    }

    fn sweep(&self, now: Nanos) -> u64 {
        if fork::forked() && !self.is_free() { 0 } else { self.sweep_idle(now) }
    }

    fn drop_idle(&self) -> u64 {
        // What comes back is looked at until memory is no longer short.
        self.gate.shut(Gate::ALERT);
        let dropped = self.drop_all();
        self.card.tally.add(Count::Reclaims, dropped.count);
        dropped.bytes + self.uncharge_magazines()
    }

    fn clear(&self) {
        self.clear_idle();
    }

    fn follow_mode(&self) {
        Self::follow_mode(self);
    }

    fn leave(&self, scope: ScopeId) {
        if let Some(twin) = self.twins.leave(scope) {
            // The user's objects are dropped here, with no lock held.
            twin.close();
        }
    }

    fn marginal(&self) -> f64 {
        let price = self.card.price();
        if price.is_finite() { self.density(self.typical()) * self.card.scale() } else { 0.0 }
    }

    fn stats(&self) -> TenantStats {
        self.count_all();
        let mut stats = TenantStats::empty(self.card.name.to_string(), self.card.kind);
        stats.entries = self.members.load(Ordering::Relaxed);
        stats.leased = self.leased();
        stats.uncharged = self.uncharged.load(Ordering::Relaxed);
        stats.uncharged += self.card.uncovered() + self.uncharged_magazines();
        let max = self.max.load(Ordering::Relaxed);
        stats.max_entries = (max < u64::MAX).then_some(max);
        stats
    }
}

impl<T> PoolCore<T> {
    pub(super) fn leased(&self) -> u64 {
        self.nodes.load(Ordering::SeqCst).saturating_sub(self.idle() as u64)
    }

    fn reclaim_idle(&self, claim: Claim) -> Dropped {
        let dropped = self.drop_coldest(claim.bytes, claim.upto);
        if dropped.count > 0 {
            return dropped;
        }
        // None in the depot: if there is none with the threads either, what comes back next says so.
        self.gate.shut(Gate::ALERT);
        self.gather();
        if self.depot.len() > 0 {
            self.gate.open(Gate::ALERT);
        }
        self.drop_coldest(claim.bytes, claim.upto)
    }

    /// Drops what is too old, or was idle for long while memory is short; makes what is missing.
    fn sweep_idle(&self, now: Nanos) -> u64 {
        self.gather_stale();
        self.count_all();
        let options = self.options;
        let is_over = |since: Nanos, most: Option<std::time::Duration>| {
            most.is_some_and(|most| now >= since.saturating_add(time::nanos(most)))
        };
        let mut left = self.depot.len() as u64;
        let aged = self.drop_where(|node| {
            node.seen = node.seen.saturating_add(1);
            let spare = left > options.min_idle;
            let goes = now >= node.until
                || is_over(node.since, options.idle)
                || (spare && is_over(node.since, options.idle_soft));
            left -= u64::from(goes);
            goes
        });
        self.card.tally.add(Count::Expirations, aged.count);
        let mut bytes = aged.bytes;
        if self.domain.level() == Level::High {
            let unused = self.drop_where(|node| node.seen >= PATIENCE);
            self.card.tally.add(Count::Reclaims, unused.count);
            bytes += unused.bytes;
        }
        if options.min_idle > 0 && self.domain.level() == Level::Normal {
            // A constructor that panics is counted, and must not end the tick of the whole domain.
            let _ = catch_unwind(AssertUnwindSafe(|| self.fill_up()));
        }
        bytes
    }

    pub(super) fn clear_idle(&self) {
        let dropped = self.drop_all();
        self.card.tally.add(Count::Invalidations, dropped.count);
        self.card.reservation.release_credit();
    }

    /// Drops about so many bytes of what waits.
    pub(super) fn trim(&self, bytes: u64) -> u64 {
        self.gather();
        let dropped = self.drop_coldest(bytes, f64::INFINITY);
        self.card.tally.add(Count::Reclaims, dropped.count);
        self.card.reservation.release_credit();
        dropped.bytes
    }

    /// Asks of each idle object whether it stays.
    pub(super) fn retain(&self, mut keep: impl FnMut(&mut T) -> bool) {
        self.gather();
        let mut asked = self.depot.take_all(|_| true);
        let mut kept = List::new();
        while let Some(mut own) = asked.pop_cold() {
            if keep(&mut own.object) {
                kept.push_warm(own);
            } else {
                self.card.tally.add(Count::Invalidations, 1);
            }
        }
        self.stow(0, kept);
    }

    /// Puts an object into the pool that nobody lent.
    pub(super) fn take_in(&self, object: T, room: super::Room<T>) -> Result<(), T> {
        let own: Own<T> = self.wrap(object, Some(room), None);
        if own.charged == 0 || own.heap > self.options.max_object {
            return Err(own.take_apart());
        }
        self.stow_back(own);
        Ok(())
    }
}
